package apply

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// ranks is the order of applying: what others need comes first. Kinds that are not named come last.
var ranks = rank(
	[]string{"Namespace"},
	[]string{"CustomResourceDefinition.apiextensions.k8s.io"},
	[]string{"ServiceAccount"},
	[]string{
		"ClusterRole.rbac.authorization.k8s.io", "ClusterRoleBinding.rbac.authorization.k8s.io",
		"Role.rbac.authorization.k8s.io", "RoleBinding.rbac.authorization.k8s.io",
	},
	[]string{"ConfigMap", "Secret", "PersistentVolumeClaim"},
	[]string{"Service"},
	[]string{
		"Deployment.apps", "StatefulSet.apps", "DaemonSet.apps", "ReplicaSet.apps", "Job.batch", "CronJob.batch", "Pod",
	},
)

func rank(groups ...[]string) map[string]int {
	ranks := map[string]int{}
	for i, group := range groups {
		for _, kind := range group {
			ranks[kind] = i - len(groups)
		}
	}
	return ranks
}

func rankOf(kind schema.GroupVersionKind) int { return ranks[kind.GroupKind().String()] }

// Sort puts objects in the order of applying. Within a kind, and among kinds of one rank, their order stays.
func Sort(objects []*unstructured.Unstructured) {
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int {
		return rankOf(a.GroupVersionKind()) - rankOf(b.GroupVersionKind())
	})
}

// sortObjects puts observed objects in the same order.
func sortObjects(objects []*kube.Object) {
	slices.SortStableFunc(objects, func(a, b *kube.Object) int { return rankOf(a.Kind) - rankOf(b.Kind) })
}
