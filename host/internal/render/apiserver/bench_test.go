package apiserver

import (
	"context"
	"fmt"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

var benched = map[string]string{
	"ConfigMap": `{apiVersion: v1, kind: ConfigMap, metadata: {name: o, namespace: default, labels: {app: o}}, data: {a: "%d", b: "2"}}`,
	"Deployment": `{apiVersion: apps/v1, kind: Deployment, metadata: {name: o, namespace: default, labels: {app: o}}, spec: {replicas: %d, selector: {matchLabels: {app: o}},
		template: {metadata: {labels: {app: o}}, spec: {containers: [{name: c, image: i, ports: [{containerPort: 80}], env: [{name: A, value: b}], resources: {requests: {cpu: 500m, memory: 1Gi}}}]}}}}`,
	"Widget": `{apiVersion: test.dev/v1, kind: Widget, metadata: {name: o, namespace: default}, spec: {size: %d}}`,
}

// BenchmarkApply measures an apply that changes one field of an object, through the Go API and through a client.
func BenchmarkApply(b *testing.B) {
	for kind, text := range benched {
		first, second := object(b, fmt.Sprintf(text, 1)), object(b, fmt.Sprintf(text, 2))
		b.Run(kind+"/go", func(b *testing.B) {
			server := newServer(b, Options{})
			request := Request{Verb: Apply, Kind: first.GroupVersionKind(), NamespacedName: nameOf(first), Manager: "m", Force: true}
			for i := 0; b.Loop(); i++ {
				if request.Object = first; i%2 == 1 {
					request.Object = second
				}
				if _, err := server.Do(context.Background(), request); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kind+"/client", func(b *testing.B) {
			api := clientOf(b, newServer(b, Options{}))
			for i := 0; b.Loop(); i++ {
				desired := first.DeepCopy()
				if i%2 == 1 {
					desired = second.DeepCopy()
				}
				if err := api.Apply(context.Background(), client.ApplyConfigurationFromUnstructured(desired), client.FieldOwner("m"), client.ForceOwnership); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNew measures what a fresh server costs a test.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		newServer(b, Options{})
	}
}
