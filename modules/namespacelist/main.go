// Command namespacelist is a Wasmloop module that lists the namespaces that have certain labels.
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

// reconcile wants a ConfigMap that names the namespaces.
func reconcile(req *sdk.Request[NamespaceListing]) (*sdk.Response, error) {
	namespaces, err := sdk.RelatedObjects[Namespace](req, "v1", "Namespace")
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(namespaces))
	for _, namespace := range namespaces {
		names = append(names, namespace.Metadata.Name)
	}
	list := ConfigMap{Object: sdk.NewObject("v1", "ConfigMap", sdk.Name(req.Name, "list"))}
	list.Data = map[string]string{"namespaces": strings.Join(names, "\n")}
	resp := &sdk.Response{
		Related: []sdk.Related{{APIVersion: "v1", Kind: "Namespace", LabelSelector: &req.Object.Spec.LabelSelector}},
		Status:  status(list.Metadata.Name, len(names)),
	}
	return resp.Own(list), nil
}

func status(list string, count int) Status {
	return Status{Count: count, Conditions: []sdk.Condition{{
		Type: "Ready", Status: sdk.True, Reason: "Listed", Message: fmt.Sprintf("the list is the ConfigMap %s", list),
	}}}
}
