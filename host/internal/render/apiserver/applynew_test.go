package apiserver

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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

// applyByManager creates an object by means of the field manager alone.
func applyByManager(server *Server, request Request) (*unstructured.Unstructured, error) {
	k := server.kinds[request.Kind]
	w := &write{server: server, kind: k, request: &request}
	answer, err := w.change(true, func(live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		merged, err := k.managers[""].Apply(w.base(live), request.Object.DeepCopy(), request.Manager, request.Force)
		if err != nil {
			return nil, err
		}
		decoded, err := k.merged(merged.(*unstructured.Unstructured).Object)
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
