package apiserver

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// immutableRule says what is wrong with a change.
type immutableRule func(object, old map[string]any) field.ErrorList

// immutable has the fields of built-in kinds that cannot be changed, as far as controllers run into them.
var immutable = map[schema.GroupKind][]immutableRule{
	{Kind: "ConfigMap"}:                                              {frozen("data", "binaryData")},
	{Kind: "Secret"}:                                                 {fixed("type"), frozen("data")},
	{Kind: "Service"}:                                                {fixedClusterIP},
	{Kind: "Pod"}:                                                    {fixedPod},
	{Kind: "PersistentVolumeClaim"}:                                  {fixedClaim},
	{Group: "apps", Kind: "Deployment"}:                              {fixed("spec.selector")},
	{Group: "apps", Kind: "ReplicaSet"}:                              {fixed("spec.selector")},
	{Group: "apps", Kind: "DaemonSet"}:                               {fixed("spec.selector")},
	{Group: "apps", Kind: "StatefulSet"}:                             {fixedStatefulSet},
	{Group: "batch", Kind: "Job"}:                                    {fixedCompletions, fixed("spec.selector", "spec.completionMode", "spec.podFailurePolicy", "spec.backoffLimitPerIndex", "spec.managedBy", "spec.template")},
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:        {fixedRole},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}: {fixedRole},
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                  {fixed("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")},
}

func at(object map[string]any, path string) any {
	value, _, _ := unstructured.NestedFieldNoCopy(object, strings.Split(path, ".")...)
	return value
}

func pathOf(path string) *field.Path {
	names := strings.Split(path, ".")
	return field.NewPath(names[0], names[1:]...)
}

// fixed fields have the value that they were created with.
func fixed(paths ...string) immutableRule {
	return func(object, old map[string]any) (errs field.ErrorList) {
		for _, path := range paths {
			errs = append(errs, validation.ValidateImmutableField(at(object, path), at(old, path), pathOf(path))...)
		}
		return errs
	}
}

// frozen fields are fixed once the object says that it is immutable, and it cannot take that back.
func frozen(paths ...string) immutableRule {
	return func(object, old map[string]any) (errs field.ErrorList) {
		if old["immutable"] != true {
			return nil
		}
		for _, path := range append([]string{"immutable"}, paths...) {
			if !isSame(object[path], old[path]) {
				errs = append(errs, field.Forbidden(field.NewPath(path), "field is immutable when `immutable` is set"))
			}
		}
		return errs
	}
}

// fixedClusterIP lets a Service keep its address. One that is left out stays as it was.
func fixedClusterIP(object, old map[string]any) field.ErrorList {
	was, is := at(old, "spec.clusterIP"), at(object, "spec.clusterIP")
	if was == nil || was == "" || was == is || at(object, "spec.type") == "ExternalName" {
		return nil
	}
	if spec, ok := object["spec"].(map[string]any); ok && (is == nil || is == "") {
		spec["clusterIP"] = was
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("spec", "clusterIPs").Index(0), is, "may not change once set")}
}

func fixedRole(object, old map[string]any) field.ErrorList {
	if isSame(object["roleRef"], old["roleRef"]) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("roleRef"), object["roleRef"], "cannot change roleRef")}
}

// fixedStatefulSet allows changes of some fields only.
func fixedStatefulSet(object, old map[string]any) field.ErrorList {
	return fixedBut(object, old, "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
		"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy", "minReadySeconds")
}

func fixedClaim(object, old map[string]any) field.ErrorList {
	return fixedBut(object, old, "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
		"resources", "volumeAttributesClassName", "volumeName", "storageClassName", "volumeMode", "dataSourceRef")
}

// fixedPod allows other images, and a few more fields.
func fixedPod(object, old map[string]any) field.ErrorList {
	return fixedBut(withoutImages(object), withoutImages(old), "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
		"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates", "nodeName")
}

func withoutImages(pod map[string]any) map[string]any {
	pod = runtime.DeepCopyJSON(pod)
	for _, list := range []string{"spec.containers", "spec.initContainers"} {
		for _, container := range items(at(pod, list)) {
			delete(container, "image")
		}
	}
	return pod
}

// fixedBut refuses a change of any field of the spec but these.
func fixedBut(object, old map[string]any, message string, names ...string) field.ErrorList {
	if isSame(specWithout(object, names), specWithout(old, names)) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec"), message)}
}

func specWithout(object map[string]any, names []string) map[string]any {
	spec, _ := object["spec"].(map[string]any)
	spec = maps.Clone(spec)
	maps.DeleteFunc(spec, func(name string, _ any) bool { return slices.Contains(names, name) })
	return spec
}

// fixedCompletions lets only an Indexed Job change them, together with its parallelism.
func fixedCompletions(object, old map[string]any) field.ErrorList {
	is, was := at(object, "spec.completions"), at(old, "spec.completions")
	if isSame(is, was) || at(object, "spec.completionMode") == "Indexed" && isSame(is, at(object, "spec.parallelism")) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("spec", "completions"), fmt.Sprint(is), "field is immutable")}
}

// validateWorkload looks for what the built-in controllers need most: a selector that matches the pods.
func validateWorkload(object map[string]any) (errs field.ErrorList) {
	if replicas, ok := at(object, "spec.replicas").(int64); ok && replicas < 0 {
		errs = append(errs, field.Invalid(pathOf("spec.replicas"), replicas, "must be greater than or equal to 0"))
	}
	text, _ := at(object, "spec.selector").(map[string]any)
	if text == nil {
		return append(errs, field.Required(pathOf("spec.selector"), ""))
	}
	written := &metav1.LabelSelector{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(text, written); err != nil {
		return append(errs, field.Invalid(pathOf("spec.selector"), text, err.Error()))
	}
	selector, err := metav1.LabelSelectorAsSelector(written)
	if err != nil {
		return append(errs, field.Invalid(pathOf("spec.selector"), text, err.Error()))
	}
	pods, _, _ := unstructured.NestedStringMap(object, "spec", "template", "metadata", "labels")
	if selector.Empty() || !selector.Matches(labels.Set(pods)) {
		errs = append(errs, field.Invalid(pathOf("spec.template.metadata.labels"), pods, "`selector` does not match template `labels`"))
	}
	return errs
}
