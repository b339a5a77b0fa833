package rights

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/config"
)

// Objects returns what gives the accounts their rights: the ServiceAccounts, and for each a ClusterRole, Roles and their bindings.
// They are called after the account, and so are those that an account has elsewhere.
func Objects(accounts []Account) (objects []any) {
	for _, account := range accounts {
		objects = append(objects, &corev1.ServiceAccount{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
			ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: account.Name},
		})
	}
	for _, account := range accounts {
		for _, namespace := range slices.Sorted(maps.Keys(account.Rules)) {
			objects = append(objects, bound(account.NamespacedName, namespace, account.Rules[namespace])...)
		}
	}
	return objects
}

// bound returns a role and its binding.
func bound(account types.NamespacedName, namespace string, rules []rbacv1.PolicyRule) []any {
	meta := metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("wasmloop:%s:%s", account.Namespace, account.Name)}
	kind := func(kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}
	}
	ref := func(kind string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: meta.Name}
	}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace, Name: account.Name}}
	if namespace == config.AllNamespaces {
		meta.Namespace = ""
		return []any{
			&rbacv1.ClusterRole{TypeMeta: kind("ClusterRole"), ObjectMeta: meta, Rules: rules},
			&rbacv1.ClusterRoleBinding{TypeMeta: kind("ClusterRoleBinding"), ObjectMeta: meta, Subjects: subjects, RoleRef: ref("ClusterRole")},
		}
	}
	return []any{
		&rbacv1.Role{TypeMeta: kind("Role"), ObjectMeta: meta, Rules: rules},
		&rbacv1.RoleBinding{TypeMeta: kind("RoleBinding"), ObjectMeta: meta, Subjects: subjects, RoleRef: ref("Role")},
	}
}
