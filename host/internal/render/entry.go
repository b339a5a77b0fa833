package render

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// makeUpEntry returns the smallest entry of a config that reconciles a kind.
func makeUpEntry(name string, kind schema.GroupVersionKind) (*config.Controller, error) {
	name = strings.Trim(notInName.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if name == "" || len(name) > 40 {
		name = "module"
	}
	text, err := json.Marshal(map[string]any{
		"apiVersion": config.APIVersion, "kind": config.Kind,
		"modules": map[string]any{name: map[string]any{"source": "file:///module.wasm"}},
		"controllers": []any{map[string]any{
			"name": name, "module": name, "for": map[string]any{"apiVersion": kind.GroupVersion().String(), "kind": kind.Kind},
		}},
	})
	if err != nil {
		return nil, err
	}
	conf, err := config.Parse("the entry made up for "+kind.Kind, text)
	if err != nil {
		return nil, err
	}
	return &conf.Controllers[0], nil
}

// widen lets an entry that was made up have what an answer for an object in a namespace needs, and says what that is.
func widen(entry *config.Controller, namespace string, answer *abi.Response) (added []string) {
	for _, child := range answer.Children {
		added = append(added, widenOwns(entry, namespace, child.Reference())...)
	}
	for _, kept := range answer.Keep {
		added = append(added, widenOwns(entry, namespace, kept)...)
	}
	for _, rule := range answer.Related {
		added = append(added, widenRelated(entry, rule)...)
	}
	if answer.RequeueAfter > 0 && !entry.Clock {
		entry.Clock = true
		added = append(added, "clock: true, since the module asks to be called again")
	}
	return added
}

func widenOwns(entry *config.Controller, namespace string, child abi.Reference) (added []string) {
	kind := config.GroupVersionKind{APIVersion: child.APIVersion, Kind: child.Kind}
	at := slices.IndexFunc(entry.Owns, func(owned config.Owned) bool {
		return owned.Schema().GroupKind() == kind.Schema().GroupKind()
	})
	if at < 0 {
		at = len(entry.Owns)
		entry.Owns = append(entry.Owns, config.Owned{
			GroupVersionKind: kind, UpdateStrategy: config.UpdateInPlace, OwnerReference: config.OwnerReferenceController,
		})
		added = append(added, "owns "+kindText(kind))
	}
	owned := &entry.Owns[at]
	if child.Namespace != "" && namespace != "" && child.Namespace != namespace && len(owned.Namespaces) == 0 {
		owned.Namespaces = []string{reconcile.AllNamespaces}
		added = append(added, fmt.Sprintf("owns %s in all namespaces", kindText(kind)))
	}
	return added
}

func widenRelated(entry *config.Controller, rule abi.Related) []string {
	kind := config.GroupVersionKind{APIVersion: rule.APIVersion, Kind: rule.Kind}
	if slices.ContainsFunc(entry.Related.Allow, func(allowed config.AllowedRelated) bool { return allowed.GroupVersionKind == kind }) {
		return nil
	}
	entry.Related.Allow = append(entry.Related.Allow, config.AllowedRelated{GroupVersionKind: kind, Namespaces: []string{reconcile.AllNamespaces}})
	return []string{"related.allow " + kindText(kind)}
}

func kindText(kind config.GroupVersionKind) string { return kind.APIVersion + " " + kind.Kind }

// lacking is how the Go SDK says that a module wants to see children of a kind that is not owned.
var lacking = regexp.MustCompile(`children of kind ([A-Za-z0-9]+)\.([A-Za-z0-9./-]+) are not in the request`)

// widenByError does as widen after a failure.
func widenByError(entry *config.Controller, err error) []string {
	if err == nil {
		return nil
	}
	found := lacking.FindStringSubmatch(err.Error())
	if found == nil {
		return nil
	}
	return widenOwns(entry, "", abi.Reference{Kind: found[1], APIVersion: found[2]})
}
