// Command configmaplist is a Wasmloop module that lists the ConfigMaps of another namespace, or of all, that have certain
// labels.
package main

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/wasmloop/wasmloop/sdk"
)

//go:embed warmup.json
var warmUp []byte

func init() {
	sdk.Register(reconcile)
	sdk.WarmUp(warmUp)
}

func main() { sdk.Main() }

// everywhere asks for the objects of all namespaces.
const everywhere = "*"

// reconcile wants one ConfigMap that names the others.
func reconcile(req *sdk.Request[ConfigMapListing]) (*sdk.Response, error) {
	found, err := sdk.RelatedObjects[Listed](req, "v1", "ConfigMap")
	if err != nil {
		return nil, err
	}
	list := ConfigMap{Object: sdk.NewObject("v1", "ConfigMap", sdk.Name(req.Name, "list"))}
	var names []string
	for _, listed := range found {
		// No labels at all select the list too. It does not list itself.
		if listed.Metadata.Namespace != req.Namespace || listed.Metadata.Name != list.Metadata.Name {
			names = append(names, listed.Metadata.Namespace+"/"+listed.Metadata.Name)
		}
	}
	list.Data = map[string]string{"configmaps": strings.Join(names, "\n")}
	resp := &sdk.Response{Related: []sdk.Related{req.Object.Spec.related()}, Status: status(list.Metadata.Name, len(names))}
	return resp.Own(list), nil
}

// related asks for the ConfigMaps that are to be listed.
func (s Spec) related() sdk.Related {
	namespace := s.SourceNamespace
	if namespace == "" {
		namespace = everywhere
	}
	return sdk.Related{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, LabelSelector: &sdk.LabelSelector{MatchLabels: s.SourceLabels}}
}

func status(list string, count int) Status {
	return Status{Count: count, Conditions: []sdk.Condition{{
		Type: "Ready", Status: sdk.True, Reason: "Listed", Message: fmt.Sprintf("the list is the ConfigMap %s", list),
	}}}
}
