package rights

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/modinfo"
)

// Kinds tells of kinds what rights need to know of them.
type Kinds interface {
	// Resource returns a kind's name in rules, and whether it is cluster-scoped.
	Resource(kind config.GroupVersionKind) (resource string, cluster bool)
}

// Guesses tell of kinds without asking a cluster. Kinds are GROUP/KIND there, and KIND in the core group.
type Guesses struct {
	// Resources are the plurals of kinds whose plural cannot be guessed.
	Resources map[string]string
	// ClusterScoped are kinds that are cluster-scoped, beside those of Kubernetes.
	ClusterScoped []string
}

// Resource implements Kinds.
func (g *Guesses) Resource(kind config.GroupVersionKind) (resource string, cluster bool) {
	name := Name(kind)
	if resource = g.Resources[name]; resource == "" {
		resource = modinfo.GuessResource(kind.Kind)
	}
	return resource, slices.Contains(clusterScoped, name) || slices.Contains(g.ClusterScoped, name)
}

// Name returns GROUP/KIND, or KIND in the core group.
func Name(kind config.GroupVersionKind) string {
	return strings.TrimPrefix(group(kind)+"/"+kind.Kind, "/")
}

func group(kind config.GroupVersionKind) string {
	return schema.FromAPIVersionAndKind(kind.APIVersion, kind.Kind).Group
}

// clusterScoped are the cluster-scoped kinds of Kubernetes, as the chart has them.
var clusterScoped = []string{
	"Namespace", "Node", "PersistentVolume", "ComponentStatus",
	"admissionregistration.k8s.io/MutatingAdmissionPolicy", "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding",
	"admissionregistration.k8s.io/MutatingWebhookConfiguration", "admissionregistration.k8s.io/ValidatingAdmissionPolicy",
	"admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding", "admissionregistration.k8s.io/ValidatingWebhookConfiguration",
	"apiextensions.k8s.io/CustomResourceDefinition", "apiregistration.k8s.io/APIService",
	"certificates.k8s.io/CertificateSigningRequest", "certificates.k8s.io/ClusterTrustBundle",
	"flowcontrol.apiserver.k8s.io/FlowSchema", "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration",
	"internal.apiserver.k8s.io/StorageVersion", "networking.k8s.io/IngressClass", "networking.k8s.io/IPAddress", "networking.k8s.io/ServiceCIDR",
	"node.k8s.io/RuntimeClass", "rbac.authorization.k8s.io/ClusterRole", "rbac.authorization.k8s.io/ClusterRoleBinding",
	"resource.k8s.io/DeviceClass", "resource.k8s.io/DeviceTaintRule", "resource.k8s.io/ResourceSlice", "scheduling.k8s.io/PriorityClass",
	"storage.k8s.io/CSIDriver", "storage.k8s.io/CSINode", "storage.k8s.io/StorageClass", "storage.k8s.io/VolumeAttachment",
	"storage.k8s.io/VolumeAttributesClass", "storagemigration.k8s.io/StorageVersionMigration",
}
