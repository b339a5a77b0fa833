// Command secretpropagation is a Wasmloop module that copies a Secret into all namespaces that have certain labels, also into
// those that come later.
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

// reconcile wants a copy in each namespace that is selected. Without an original there are no copies.
func reconcile(req *sdk.Request[SecretPropagation]) (*sdk.Response, error) {
	spec := req.Object.Spec
	source, found, err := sdk.RelatedObject[Secret](req, "v1", "Secret", spec.Source.Namespace+"/"+spec.Source.Name)
	if err != nil {
		return nil, err
	}
	namespaces, err := sdk.RelatedObjects[Namespace](req, "v1", "Namespace")
	if err != nil {
		return nil, err
	}
	resp := (&sdk.Response{Related: []sdk.Related{
		{APIVersion: "v1", Kind: "Secret", Namespace: spec.Source.Namespace, Names: []string{spec.Source.Name}},
		{APIVersion: "v1", Kind: "Namespace", LabelSelector: &spec.NamespaceSelector},
	}}).Own()
	copies := 0
	for _, namespace := range namespaces {
		// Nothing can be made in a namespace that is going, and that of the original needs no copy.
		if found && namespace.Metadata.DeletionTimestamp == nil && namespace.Metadata.Name != spec.Source.Namespace {
			resp.Own(source.copyTo(namespace.Metadata.Name))
			copies++
		}
	}
	resp.Status = Status{Copies: copies, Conditions: []sdk.Condition{ready(spec.Source, found)}}
	return resp, nil
}

// copyTo returns the copy for a namespace.
func (s Secret) copyTo(namespace string) Secret {
	made := Secret{Object: sdk.NewObject("v1", "Secret", s.Metadata.Name), Type: s.Type, Data: s.Data}
	made.Metadata.Namespace = namespace
	return made
}

func ready(source Source, found bool) sdk.Condition {
	if !found {
		return sdk.Condition{
			Type: "Ready", Status: sdk.False, Reason: "SourceMissing",
			Message: fmt.Sprintf("there is no Secret %s/%s to copy", source.Namespace, source.Name),
		}
	}
	return sdk.Condition{Type: "Ready", Status: sdk.True, Reason: "Copied", Message: "there is a copy in each namespace"}
}
