// Command globalconfigmap is a Wasmloop module that copies a ConfigMap into all namespaces, also into those that come later.
package main

import (
	_ "embed"
	"fmt"

	"github.com/wasmloop/wasmloop/sdk"
)

//go:embed warmup.json
var warmUp []byte

func init() {
	sdk.Register(reconcile)
	sdk.WarmUp(warmUp)
}

func main() { sdk.Main() }

// reconcile wants a copy in each namespace. Without an original there are no copies.
func reconcile(req *sdk.Request[GlobalConfigMap]) (*sdk.Response, error) {
	from := req.Object.Spec.Source
	source, found, err := sdk.RelatedObject[ConfigMap](req, "v1", "ConfigMap", from.Namespace+"/"+from.Name)
	if err != nil {
		return nil, err
	}
	namespaces, err := sdk.RelatedObjects[Namespace](req, "v1", "Namespace")
	if err != nil {
		return nil, err
	}
	resp := (&sdk.Response{Related: []sdk.Related{
		{APIVersion: "v1", Kind: "ConfigMap", Namespace: from.Namespace, Names: []string{from.Name}},
		{APIVersion: "v1", Kind: "Namespace"}, // without names and without a selector: all
	}}).Own()
	copies := 0
	for _, namespace := range namespaces {
		// Nothing can be made in a namespace that is going, and that of the original needs no copy.
		if found && namespace.Metadata.DeletionTimestamp == nil && namespace.Metadata.Name != from.Namespace {
			resp.Own(source.copyTo(namespace.Metadata.Name))
			copies++
		}
	}
	resp.Status = Status{Copies: copies, Conditions: []sdk.Condition{ready(from, found)}}
	return resp, nil
}

// copyTo returns the copy for a namespace.
func (c ConfigMap) copyTo(namespace string) ConfigMap {
	made := ConfigMap{Object: sdk.NewObject("v1", "ConfigMap", c.Metadata.Name), Data: c.Data, BinaryData: c.BinaryData}
	made.Metadata.Namespace = namespace
	return made
}

func ready(from Source, found bool) sdk.Condition {
	if !found {
		return sdk.Condition{
			Type: "Ready", Status: sdk.False, Reason: "SourceMissing",
			Message: fmt.Sprintf("there is no ConfigMap %s/%s to copy", from.Namespace, from.Name),
		}
	}
	return sdk.Condition{Type: "Ready", Status: sdk.True, Reason: "Copied", Message: "there is a copy in each namespace"}
}
