package apiserver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// applied are objects as clients apply them. What comes of them is the same whichever way it is found out.
var applied = map[string]string{
	"a built-in kind":              `{apiVersion: v1, kind: ConfigMap, metadata: {name: o, namespace: default, labels: {app: o}}, data: {a: "1", b: ""}}`,
	"lists with keys":              `{apiVersion: apps/v1, kind: Deployment, metadata: {name: o, namespace: default}, spec: {replicas: 2, selector: {matchLabels: {app: o}}, template: {metadata: {labels: {app: o}}, spec: {containers: [{name: c, image: i, ports: [{containerPort: 80}, {containerPort: 81, protocol: UDP}], env: [{name: A, value: b}, {name: B, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], resources: {requests: {cpu: 500m, memory: 1Gi}}}]}}}}`,
	"a custom kind":                `{apiVersion: test.dev/v1, kind: Widget, metadata: {name: o, namespace: default, annotations: {a: b}}, spec: {size: 1, list: [1, 2], empty: {}}}`,
	"a kind with one field more":   `{apiVersion: v1, kind: Service, metadata: {name: o, namespace: default}, spec: {selector: {app: o}, ports: [{name: http, port: 80, targetPort: http}]}}`,
	"status of one who may not":    `{apiVersion: test.dev/v1, kind: Widget, metadata: {name: o, namespace: default}, spec: {size: 1}, status: {conditions: [{observedGeneration: 1}]}}`,
	"nothing that anybody owns":    `{apiVersion: v1, kind: ConfigMap, metadata: {name: o, namespace: default}}`,
	"nulls":                        `{apiVersion: v1, kind: ConfigMap, metadata: {name: o, namespace: default, labels: null}, data: {a: null}}`,
	"nulls of a custom kind":       `{apiVersion: test.dev/v1, kind: Widget, metadata: {name: o, namespace: default}, spec: {size: null}}`,
	"a version that creates only":  `{apiVersion: v1, kind: ConfigMap, metadata: {name: o, namespace: default, resourceVersion: "1"}, data: {a: "1"}}`,
	"metadata of all sorts":        `{apiVersion: v1, kind: ConfigMap, metadata: {name: o, namespace: default, creationTimestamp: null, generation: 7, finalizers: [a.b/c], ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: p, uid: u, controller: true}]}}`,
	"an unknown field":             `{apiVersion: v1, kind: ConfigMap, metadata: {name: o, namespace: default}, unheard: of}`,
	"a wrong type":                 `{apiVersion: v1, kind: ConfigMap, metadata: {name: o, namespace: default}, data: [a]}`,
	"a key of a list that is lost": `{apiVersion: v1, kind: Service, metadata: {name: o, namespace: default}, spec: {ports: [{name: http}]}}`,
	"the same key twice":           `{apiVersion: v1, kind: Service, metadata: {name: o, namespace: default}, spec: {ports: [{port: 80}, {port: 80}]}}`,
	"a secret":                     `{apiVersion: v1, kind: Secret, metadata: {name: o, namespace: default}, stringData: {a: b}, data: {c: ZA==}}`,
	"a cluster-scoped kind":        `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: o}, rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}`,
	"another version":              `{apiVersion: test.dev/v2, kind: Widget, metadata: {name: o, namespace: default}, spec: {size: 1}}`,
	"entries of managers":          `{apiVersion: v1, kind: ConfigMap, metadata: {name: o, namespace: default, managedFields: [{manager: m, operation: Apply}]}}`,
}

// TestApplyNew holds what creates an object at once against Kubernetes' field manager.
func TestApplyNew(t *testing.T) {
	for name, text := range applied {
		t.Run(name, func(t *testing.T) {
			sent := object(t, text)
			request := Request{Verb: Apply, Kind: sent.GroupVersionKind(), NamespacedName: nameOf(sent), Object: sent, Manager: "m"}
			got, gotErr := newServer(t, Options{}).Do(t.Context(), request)
			server := newServer(t, Options{})
			want, wantErr := applyByManager(server, request)
			if diff := cmp.Diff(messageOf(wantErr), messageOf(gotErr)); diff != "" {
				t.Fatalf("errors: -field manager +at once:\n%s", diff)
			}
			if wantErr != nil {
				return
			}
			if diff := cmp.Diff(want.Object, got.Object.Object); diff != "" {
				t.Errorf("-field manager +at once:\n%s", diff)
			}
		})
	}
}

// statuses are statuses that are applied one after the other, each by the manager of its name or by "m".
var statuses = map[string][]string{
	"a first one":           {`{a: 1, b: {c: d}}`},
	"another value":         {`{a: 1}`, `{a: 2}`},
	"fields come and go":    {`{a: 1, b: {c: d, e: f}}`, `{b: {e: f}, g: true}`, `{h: [1, 2]}`},
	"the same":              {`{a: 1}`, `{a: 1}`},
	"an empty list stays":   {`{n: 1, conditions: []}`, `{n: 2}`},
	"emptied":               {`{a: {b: c}, d: [1]}`, `{a: {}, d: []}`},
	"nothing":               {`{}`, `{a: 1}`, `{}`},
	"null":                  {`{a: null}`, `{a: 1}`, `{a: null}`},
	"conditions":            {`{conditions: [{type: A, status: "True"}, {type: B, status: "False"}]}`, `{conditions: [{type: A, status: "False"}, {type: B, status: "False"}]}`},
	"conditions in order":   {`{conditions: [{type: A}, {type: B}, {type: C}]}`, `{conditions: [{type: C}, {type: A}]}`, `{conditions: [{type: B}, {type: A}, {type: D}, {type: C}]}`},
	"by two managers":       {`{a: 1}`, `{manager: n, b: 1}`, `{a: 2}`, `{manager: n, a: 3}`},
	"taken over":            {`{manager: n, a: 1}`, `{a: 1, b: 2}`, `{a: 1}`},
	"wrong type":            {`{phase: 1}`, `{phase: p}`, `{phase: [1]}`},
	"a list's key is lost":  {`{conditions: [{type: A}]}`, `{conditions: [{status: "True"}]}`},
	"a list's key is twice": {`{conditions: [{type: A}]}`, `{conditions: [{type: A}, {type: A}]}`},
	"an unknown field":      {`{phase: p}`, `{unheard: {of: 1}}`},
	"not one object":        {`{a: 1}`, `[1]`},
}

// TestApplyWithoutMetadata names no object.
func TestApplyWithoutMetadata(t *testing.T) {
	sent := object(t, `{apiVersion: v1, kind: ConfigMap, data: {a: b}}`)
	request := Request{Verb: Apply, Kind: sent.GroupVersionKind(), NamespacedName: types.NamespacedName{Namespace: "default", Name: "o"}, Object: sent, Manager: "m"}
	if _, err := newServer(t, Options{}).Do(t.Context(), request); !apierrors.IsBadRequest(err) {
		t.Errorf("got %v", err)
	}
}

// TestApplyOfKindThatGoes deletes a kind's definition while an apply to one of its objects is worked out.
func TestApplyOfKindThatGoes(t *testing.T) {
	var server *Server
	meanwhile := func() {}
	server = newServer(t, Options{Now: func() time.Time {
		do := meanwhile
		meanwhile = func() {}
		do()
		return noon
	}})
	crd := object(t, strings.ReplaceAll(listCRD, "things", "others"))
	if _, err := server.Do(t.Context(), Request{Verb: Create, Kind: crd.GroupVersionKind(), Object: crd, Manager: "m"}); err != nil {
		t.Fatal(err)
	}
	sent := object(t, `{apiVersion: list.dev/v1, kind: Thing, metadata: {name: o, namespace: default}, spec: {a: 1}}`)
	meanwhile = func() {
		if _, err := server.Do(t.Context(), Request{Verb: Delete, Kind: crd.GroupVersionKind(), NamespacedName: nameOf(crd)}); err != nil {
			t.Error(err)
		}
	}
	_, err := server.Do(t.Context(), Request{Verb: Apply, Kind: sent.GroupVersionKind(), NamespacedName: nameOf(sent), Object: sent, Manager: "m"})
	if !apierrors.IsNotFound(err) {
		t.Errorf("want that the kind is not found, got %v", err)
	}
	server.CollectGarbage()
}

// listCRD defines a kind with conditions that are a list with keys.
const listCRD = `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: things.list.dev}, spec: {
	group: list.dev, scope: Namespaced, names: {kind: Thing, plural: things, singular: thing, listKind: ThingList}, versions: [
	{name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {status: {
		type: object, x-kubernetes-preserve-unknown-fields: true, properties: {conditions: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [type], items: {
			type: object, required: [type], properties: {type: {type: string}, status: {type: string, default: Unknown}}}}}}}}}}]}}`

// TestApplyStatus holds statuses that are applied at once against Kubernetes' field manager.
func TestApplyStatus(t *testing.T) {
	for name, each := range statuses {
		for _, kind := range []string{"{apiVersion: test.dev/v1, kind: Widget", "{apiVersion: test.dev/v2, kind: Widget", "{apiVersion: list.dev/v1, kind: Thing", "{apiVersion: v1, kind: Namespace", "{apiVersion: apps/v1, kind: Deployment"} {
			t.Run(name+" of "+kind[1:], func(t *testing.T) {
				atOnce, byManager := newServer(t, Options{}), newServer(t, Options{})
				for _, server := range []*Server{atOnce, byManager} {
					crd := object(t, listCRD)
					if _, err := server.Do(t.Context(), Request{Verb: Create, Kind: crd.GroupVersionKind(), Object: crd, Manager: "creator"}); err != nil {
						t.Fatal(err)
					}
					made := object(t, kind+`, metadata: {name: o, namespace: default}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}}}}`)
					if _, err := server.Do(t.Context(), Request{Verb: Create, Kind: made.GroupVersionKind(), NamespacedName: nameOf(made), Object: made, Manager: "creator"}); err != nil {
						t.Fatal(err)
					}
				}
				for i, status := range each {
					applyStatusTo(t, atOnce, byManager, fmt.Sprintf("%s, metadata: {name: o, namespace: default}, status: %s}", kind, status), i)
				}
			})
		}
	}
}

// applyStatusTo applies a status in both ways and compares what comes of it.
func applyStatusTo(t *testing.T, atOnce, byManager *Server, text string, step int) {
	t.Helper()
	sent := object(t, text)
	request := Request{
		Verb: Apply, Kind: sent.GroupVersionKind(), NamespacedName: nameOf(sent), Object: sent, Manager: "m", Subresource: "status", Force: true,
	}
	if status, ok := sent.Object["status"].(map[string]any); ok && status["manager"] != nil {
		request.Manager = "n"
		delete(status, "manager")
	}
	got, gotErr := atOnce.Do(t.Context(), request)
	want, wantErr := applyByManager(byManager, request)
	if apierrors.ReasonForError(wantErr) != apierrors.ReasonForError(gotErr) { // which of two mistakes it names is left to chance
		t.Fatalf("step %d: by the field manager: %v, at once: %v", step, wantErr, gotErr)
	}
	if wantErr != nil {
		return
	}
	if diff := cmp.Diff(want.Object, got.Object.Object); diff != "" {
		t.Errorf("step %d: -field manager +at once:\n%s", step, diff)
	}
}

// What is said of most statuses is worked out at once, or nothing would be gained.
func TestStatusesAreAppliedAtOnce(t *testing.T) {
	server := newServer(t, Options{})
	made := object(t, `{apiVersion: test.dev/v1, kind: Widget, metadata: {name: o, namespace: default}}`)
	create := Request{Verb: Create, Kind: made.GroupVersionKind(), NamespacedName: nameOf(made), Object: made, Manager: "creator"}
	if _, err := server.Do(t.Context(), create); err != nil {
		t.Fatal(err)
	}
	for _, generation := range []string{"1", "2"} {
		sent := object(t, `{apiVersion: test.dev/v1, kind: Widget, metadata: {name: o}, status: {conditions: [{observedGeneration: `+generation+`}]}}`)
		request := Request{Verb: Apply, Kind: sent.GroupVersionKind(), NamespacedName: nameOf(made), Object: sent, Manager: "m", Subresource: "status"}
		w := &write{server: server, kind: server.kinds[request.Kind], request: &request}
		if w.applyAtOnce(w.existing()) == nil {
			t.Errorf("generation %s is left to the field manager", generation)
		}
		if _, err := server.Do(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
}

// applyByManager creates an object by means of the field manager alone.
func applyByManager(server *Server, request Request) (*unstructured.Unstructured, error) {
	k := server.kinds[request.Kind]
	w := &write{server: server, kind: k, request: &request}
	answer, err := w.change(request.Subresource == "", func(live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		merged, err := k.managers[request.Subresource].Apply(w.base(live), request.Object.DeepCopy(), request.Manager, request.Force)
		if err != nil {
			return nil, err
		}
		decoded, err := k.merged(merged.(*unstructured.Unstructured).Object, request.Subresource)
		if err != nil {
			return nil, err
		}
		result := &unstructured.Unstructured{Object: decoded}
		server.stampTimes(result, w.base(live))
		return result, nil
	})
	if err != nil {
		return nil, withStatus(err)
	}
	return answer.Object, nil
}

func messageOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestStatusLeavesWhatIsStored writes statuses of an object whose kind has been defined anew, with a default and without a field that
// it has: what was stored before never changes, since others may look at it.
func TestStatusLeavesWhatIsStored(t *testing.T) {
	const crd = `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: things.anew.dev}, spec: {
		group: anew.dev, scope: Namespaced, names: {kind: Thing, plural: things, singular: thing, listKind: ThingList}, versions: [
		{name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, properties: {
		spec: {type: object, properties: {FIELD}}, status: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}}]}}`
	server := newServer(t, Options{})
	define := func(verb Verb, field string) {
		t.Helper()
		definition := object(t, strings.Replace(crd, "FIELD", field, 1))
		if _, err := server.Do(t.Context(), Request{Verb: verb, Kind: definition.GroupVersionKind(), NamespacedName: nameOf(definition), Object: definition, Manager: "m", Force: true}); err != nil {
			t.Fatal(err)
		}
	}
	define(Apply, `old: {type: string}`)
	sent := object(t, `{apiVersion: anew.dev/v1, kind: Thing, metadata: {name: o, namespace: default}, spec: {old: a}}`)
	created, err := server.Do(t.Context(), Request{Verb: Create, Kind: sent.GroupVersionKind(), NamespacedName: nameOf(sent), Object: sent, Manager: "m"})
	if err != nil {
		t.Fatal(err)
	}
	stored := created.Object
	want := stored.DeepCopy()
	define(Apply, `size: {type: integer, default: 3}`)
	for _, status := range []string{`{a: 1}`, `{a: 2}`} {
		applied := object(t, `{apiVersion: anew.dev/v1, kind: Thing, metadata: {name: o, namespace: default}, status: `+status+`}`)
		request := Request{Verb: Apply, Kind: sent.GroupVersionKind(), NamespacedName: nameOf(sent), Subresource: "status", Object: applied, Manager: "m"}
		if _, err := server.Do(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	live := server.Get(sent.GroupVersionKind(), nameOf(sent))
	delete(live.Object, "status")
	if _, err := server.Do(t.Context(), Request{Verb: Update, Kind: sent.GroupVersionKind(), NamespacedName: nameOf(sent), Subresource: "status", Object: live, Manager: "m"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Object, stored.Object); diff != "" {
		t.Errorf("what was stored has changed: -want +got:\n%s", diff)
	}
}
