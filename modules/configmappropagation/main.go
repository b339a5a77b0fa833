// Command configmappropagation is a Wasmloop module that copies a ConfigMap into other namespaces, and keeps the copies as the
// original is.
package main

import (
	_ "embed"
	"fmt"
	"slices"
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

// reconcile wants a copy in each namespace that is listed and there. Without an original there are no copies.
func reconcile(req *sdk.Request[ConfigMapPropagation]) (*sdk.Response, error) {
	targets := req.Object.targets(req.Namespace)
	source, found, err := sdk.RelatedObject[ConfigMap](req, "v1", "ConfigMap", req.Object.Spec.Source)
	if err != nil {
		return nil, err
	}
	namespaces, err := sdk.RelatedObjects[Namespace](req, "v1", "Namespace")
	if err != nil {
		return nil, err
	}
	resp := (&sdk.Response{Related: []sdk.Related{
		{APIVersion: "v1", Kind: "ConfigMap", Names: []string{req.Object.Spec.Source}},
		{APIVersion: "v1", Kind: "Namespace", Names: targets},
	}}).Own()
	usable := usableNames(namespaces)
	copies := 0
	for _, target := range targets {
		if found && slices.Contains(usable, target) {
			resp.Own(source.copyTo(target))
			copies++
		}
	}
	resp.Status = status(req.Object.Spec.Source, found, targets, usable, copies)
	return resp, nil
}

// targets returns the namespaces that are listed, each once and in order. That of the original needs no copy.
func (p ConfigMapPropagation) targets(own string) []string {
	targets := slices.Clone(p.Spec.TargetNamespaces)
	slices.Sort(targets)
	targets = slices.DeleteFunc(slices.Compact(targets), func(name string) bool { return name == own })
	return append([]string{}, targets...) // a rule without names would ask for all namespaces
}

// usableNames returns the names of the namespaces in which something can be made.
func usableNames(namespaces []Namespace) []string {
	names := make([]string, 0, len(namespaces))
	for _, namespace := range namespaces {
		if namespace.Metadata.DeletionTimestamp == nil {
			names = append(names, namespace.Metadata.Name)
		}
	}
	return names
}

// copyTo returns the copy for a namespace.
func (c ConfigMap) copyTo(namespace string) ConfigMap {
	made := ConfigMap{Object: sdk.NewObject("v1", "ConfigMap", c.Metadata.Name), Data: c.Data, BinaryData: c.BinaryData}
	made.Metadata.Namespace = namespace
	return made
}

func status(source string, found bool, targets, usable []string, copies int) Status {
	ready := sdk.Condition{Type: "Ready", Status: sdk.True, Reason: "Copied", Message: "there is a copy in each namespace"}
	missing := slices.DeleteFunc(slices.Clone(targets), func(name string) bool { return slices.Contains(usable, name) })
	switch {
	case !found:
		ready = sdk.Condition{
			Type: "Ready", Status: sdk.False, Reason: "SourceMissing", Message: fmt.Sprintf("there is no ConfigMap %s to copy", source),
		}
	case len(missing) > 0:
		ready = sdk.Condition{
			Type: "Ready", Status: sdk.False, Reason: "NamespacesMissing", Message: "these namespaces are not there: " + strings.Join(missing, ", "),
		}
	}
	return Status{Copies: copies, Conditions: []sdk.Condition{ready}}
}
