package apply

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestSort puts one of each in order. Those that nothing is known of come last: what they need is not known either.
func TestSort(t *testing.T) {
	order := []string{
		"v1 Namespace", "apiextensions.k8s.io/v1 CustomResourceDefinition", "v1 ServiceAccount",
		"rbac.authorization.k8s.io/v1 RoleBinding", "rbac.authorization.k8s.io/v1 Role", // one rank: as they were given
		"v1 Secret", "v1 ConfigMap", "v1 Service", "batch/v1 Job", "apps/v1 Deployment",
		"example.com/v1 Service", "networking.k8s.io/v1 Ingress",
	}
	mixed := []int{10, 8, 3, 5, 0, 11, 9, 1, 6, 4, 7, 2}
	objects := make([]*unstructured.Unstructured, len(order))
	for i, at := range mixed {
		objects[i] = &unstructured.Unstructured{}
		version, kind, _ := strings.Cut(order[at], " ")
		objects[i].SetAPIVersion(version)
		objects[i].SetKind(kind)
	}
	Sort(objects)
	got := make([]string, len(objects))
	for i, object := range objects {
		got[i] = object.GetAPIVersion() + " " + object.GetKind()
	}
	if diff := cmp.Diff(order, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
