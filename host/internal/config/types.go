// Package config reads the host's config file: its types, and how it is loaded, defaulted and validated.
package config

//go:generate go test -count=1 -run ^TestSchema -update .

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The type that a config file must say it is.
const (
	APIVersion = "wasmloop.dev/v1alpha1"
	Kind       = "HostConfig"
)

// Config is a config file: the modules that the host loads, and the controllers that they are the logic of.
type Config struct {
	// APIVersion is wasmloop.dev/v1alpha1.
	APIVersion string `json:"apiVersion"`
	// Kind is HostConfig.
	Kind string `json:"kind"`
	// Modules are the WebAssembly modules, by a name of your choice.
	Modules map[string]Module `json:"modules"`
	// Controllers are run side by side. Names are unique.
	Controllers []Controller `json:"controllers"`
	// Registries say how to reach registries that need settings, by HOST or HOST:PORT as sources have it. Default: over TLS,
	// with the certificates that the system trusts.
	Registries map[string]Registry `json:"registries,omitempty"`
	// ImagePullSecrets name Secrets with the credentials for registries, of type kubernetes.io/dockerconfigjson, in the cluster
	// that the host works on. They go before what docker login has written. Default: none.
	ImagePullSecrets []SecretReference `json:"imagePullSecrets,omitempty"`
	// Policy says which modules the host may run. Default: all.
	Policy Policy `json:"policy,omitzero"`
	// LogLevel is how much the host logs: info or debug. Default: info, and debug with --debug.
	LogLevel string `json:"logLevel,omitempty"`
}

// The values of Config.LogLevel.
const (
	LogInfo  = "info"
	LogDebug = "debug"
)

// Module says where a module comes from and what a call of it may use.
type Module struct {
	// Source is where the module comes from: file://PATH, where a relative path starts at the config file,
	// oci://REGISTRY/REPOSITORY:TAG, https://HOST/PATH@sha256:HEX or configmap://NAMESPACE/NAME/KEY. With @sha256:HEX at the end
	// it is that very module: HEX is the digest of a registry's manifest, and of the module itself elsewhere.
	Source string `json:"source"`
	// Poll is how often the source is asked whether it has another module now, which then takes the place of the one that
	// runs. A source with a digest has none. Default: never.
	Poll Duration `json:"poll,omitempty"`
	// Limits bound each call, unless a controller says otherwise.
	Limits Limits `json:"limits,omitzero"`
	// Isolation is what a call may see of those before it: hermetic (nothing) or pooled (whatever they left in the
	// instance; for comparison only). Default hermetic.
	Isolation string `json:"isolation,omitempty"`
}

// Registry is how to reach a registry.
type Registry struct {
	// PlainHTTP sends all without encryption, credentials too. Default false, but for registries on this machine.
	PlainHTTP bool `json:"plainHTTP,omitempty"`
	// CAFile is a file with certificates (PEM) of authorities to trust beside those of the system. A relative path starts at
	// the config file.
	CAFile string `json:"caFile,omitempty"`
	// Mirrors are asked before the registry, one after the other: HOST or HOST/PATH, under which the repositories are.
	Mirrors []string `json:"mirrors,omitempty"`
}

// SecretReference names a Secret.
type SecretReference struct {
	// Namespace is where it is.
	Namespace string `json:"namespace"`
	// Name is its name.
	Name string `json:"name"`
}

// Policy says which modules the host may run.
type Policy struct {
	// RequireDigest refuses sources without a digest: wasmloop lock adds them. Default false.
	RequireDigest bool `json:"requireDigest,omitempty"`
	// AllowedSources are what a source must begin with, up to the end of a part of its path: oci://ghcr.io/acme. Default: all
	// are allowed.
	AllowedSources []string `json:"allowedSources,omitempty"`
	// Signatures are those that a module must have. Default: none.
	Signatures *Signatures `json:"signatures,omitempty"`
}

// Signatures are those that a module must have. Only modules from registries can have any.
type Signatures struct {
	// Keys are public keys (PEM), or names of files with one: wasmloop keygen makes them, and cosign. A relative path starts at
	// the config file.
	Keys []string `json:"keys,omitempty"`
	// Identities are who may sign without a key, with a certificate of a Sigstore authority. They need TrustedRoot.
	Identities []Identity `json:"identities,omitempty"`
	// TrustedRoot is a file with the authorities and logs to trust (Sigstore's trusted_root.json). Nothing is asked over the
	// network. A relative path starts at the config file.
	TrustedRoot string `json:"trustedRoot,omitempty"`
	// Require is how many of the keys and identities must have signed: any (one of them) or all (each). Default any.
	Require string `json:"require,omitempty"`
}

// Identity is who signs with a certificate. An expression stands for the whole of what it is compared with.
type Identity struct {
	// Issuer is who has vouched for the subject: https://accounts.google.com.
	Issuer string `json:"issuer,omitempty"`
	// IssuerRegExp is a regular expression for it instead.
	IssuerRegExp string `json:"issuerRegExp,omitempty"`
	// Subject is who has signed: a mail address, or the URL of a workflow.
	Subject string `json:"subject,omitempty"`
	// SubjectRegExp is a regular expression for it instead.
	SubjectRegExp string `json:"subjectRegExp,omitempty"`
}

// The values of Signatures.Require.
const (
	RequireAny = "any"
	RequireAll = "all"
)

// Limits bound what one call of a module may use.
type Limits struct {
	// Memory bounds the module's linear memory. Default 64Mi, at most 4Gi.
	Memory Size `json:"memory,omitempty"`
	// Fuel bounds the work of a call, in units of about one function call or loop iteration: "500M". Default 1G.
	Fuel Count `json:"fuel,omitempty"`
	// Timeout bounds the time of a call. Default 5s.
	Timeout Duration `json:"timeout,omitempty"`
	// Request bounds the size of an encoded request. Default 16Mi.
	Request Size `json:"request,omitempty"`
	// Response bounds the size of an encoded response. Default 4Mi.
	Response Size `json:"response,omitempty"`
	// Tables bounds the elements of the module's tables in all. Default 1M.
	Tables Count `json:"tables,omitempty"`
	// LogLines bounds the lines that a call may log; what is beyond is dropped. Default 1k.
	LogLines Count `json:"logLines,omitempty"`
	// LogBytes bounds the length of all log lines of a call. Default 256Ki.
	LogBytes Size `json:"logBytes,omitempty"`
}

// Controller binds a kind of object to the module that reconciles it.
type Controller struct {
	// Name identifies the controller in logs, metrics, events, field managers and ownership: a DNS label. Objects
	// that a controller made are its own by this name, so a renamed controller does not know them.
	Name string `json:"name"`
	// Module is the name of an entry of modules.
	Module string `json:"module"`
	// For is the kind that is reconciled, or a list of kinds.
	For []Reconciled `json:"for"`
	// ServiceAccount is whom the host acts as for this controller, reads included: NAMESPACE/NAME. The host needs the verb
	// impersonate on it, and the account the rights to the controller's objects. Default: the host's own account.
	ServiceAccount string `json:"serviceAccount,omitempty"`
	// TokenFile is a file with a token that the host uses for this controller instead, and reads again as it changes. A relative
	// path starts at the config file. Default: none.
	TokenFile string `json:"tokenFile,omitempty"`
	// Owns are the kinds that the module may return as children, one version per kind. They are watched.
	Owns []Owned `json:"owns,omitempty"`
	// Related says which objects the module may see beside the reconciled object and its children. They are watched.
	Related Related `json:"related,omitzero"`
	// Clock gives the module the time, and lets it ask to be called again after some time. Without it the same request
	// always has the same answer. Default false.
	Clock bool `json:"clock,omitempty"`
	// Finalize has the module asked what is to be done before an object goes: the object gets a finalizer, and is
	// reconciled with finalizing true until the answer says finalized. Default false.
	Finalize bool `json:"finalize,omitempty"`
	// Schedule has the module called for each object at certain times, which are written as for cron: "0 3 * * *". It needs
	// clock: true. Times are UTC unless it begins with CRON_TZ=ZONE.
	Schedule string `json:"schedule,omitempty"`
	// MinInterval is the least time between two calls of the module for one object: what happens in between is told of
	// together. Default: none.
	MinInterval Duration `json:"minInterval,omitempty"`
	// Adopt lets the controller take over an object that it wants as a child, that exists already, and that nobody
	// controls. Default false: such an object is left alone, and an event says so.
	Adopt bool `json:"adopt,omitempty"`
	// Prune says how children that a module no longer wants are deleted.
	Prune Prune `json:"prune,omitzero"`
	// Limits bound each call for this controller. What it leaves out is as the module has it.
	Limits Limits `json:"limits,omitzero"`
	// Workers is how many objects are reconciled at the same time. Default 4.
	Workers int `json:"workers,omitempty"`
	// Resync is the time after which an object is looked at again though nothing happened. Default 10h.
	Resync Duration `json:"resync,omitempty"`
	// Settings are handed to the module as they are: an object of the module's own form.
	Settings json.RawMessage `json:"settings,omitempty"`
}

// Related says which objects a module may see beside the reconciled object and its children.
type Related struct {
	// Rules name objects that every request has.
	Rules []RelatedRule `json:"rules,omitempty"`
	// Allow is what the module's responses may ask for. Default: nothing.
	Allow []AllowedRelated `json:"allow,omitempty"`
}

// RelatedRule names objects of one kind: by names, by label selector, or all of a namespace where both are left out.
type RelatedRule struct {
	GroupVersionKind `json:",inline"`
	// Namespace is where they are; "*" stands for all namespaces. Default: that of the reconciled object.
	Namespace string `json:"namespace,omitempty"`
	// Names are their names.
	Names []string `json:"names,omitempty"`
	// LabelSelector selects them by labels.
	LabelSelector *LabelSelector `json:"labelSelector,omitempty"`
	Projection    `json:",inline"`
}

// Projection is what is known of a watched kind's objects. Neither the host nor the module has more of them.
type Projection struct {
	View `json:",inline"`
	// MetadataOnly has the API server send the objects' metadata alone. Default false.
	MetadataOnly bool `json:"metadataOnly,omitempty"`
}

// View is what a module sees of a kind's objects. What it does not see makes no difference: a change of that alone does not
// call the module.
type View struct {
	// Fields are the paths of the fields that the module sees, like spec.template or metadata.annotations[example.com/a],
	// beside apiVersion, kind and the object's name, namespace and uid. Default: all.
	Fields []string `json:"fields,omitempty"`
	// Ignore are the paths of fields that the module does not see, like status or metadata.annotations[example.com/a].
	// Default: none.
	Ignore []string `json:"ignore,omitempty"`
}

// LabelSelector selects by labels, as Kubernetes' does.
type LabelSelector struct {
	// MatchLabels are labels that an object must have.
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
	// MatchExpressions are conditions that an object must meet.
	MatchExpressions []LabelSelectorRequirement `json:"matchExpressions,omitempty"`
}

// LabelSelectorRequirement is a condition on a label.
type LabelSelectorRequirement struct {
	// Key is the label's key.
	Key string `json:"key"`
	// Operator is In, NotIn, Exists or DoesNotExist.
	Operator string `json:"operator"`
	// Values are what In and NotIn compare with.
	Values []string `json:"values,omitempty"`
}

// Schema returns s as apimachinery has it.
func (s *LabelSelector) Schema() *metav1.LabelSelector {
	selector := &metav1.LabelSelector{MatchLabels: s.MatchLabels}
	for _, expression := range s.MatchExpressions {
		selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: expression.Key, Operator: metav1.LabelSelectorOperator(expression.Operator), Values: expression.Values,
		})
	}
	return selector
}

// AllowedRelated is what responses may ask for of one kind.
type AllowedRelated struct {
	GroupVersionKind `json:",inline"`
	// Namespaces are the namespaces beside that of the reconciled object; "*" stands for all. Default: none.
	Namespaces []string `json:"namespaces,omitempty"`
	// Names are the names that may be asked for. Default: all.
	Names      []string `json:"names,omitempty"`
	Projection `json:",inline"`
}

// Reconciled is a kind that is reconciled, and which of its objects. An object has to meet all that is said.
type Reconciled struct {
	GroupVersionKind `json:",inline"`
	// Namespaces are the namespaces of the objects. Default: all.
	Namespaces []string `json:"namespaces,omitempty"`
	// NamespaceSelector selects the namespaces of the objects by their labels.
	NamespaceSelector *LabelSelector `json:"namespaceSelector,omitempty"`
	// LabelSelector selects objects by labels.
	LabelSelector *LabelSelector `json:"labelSelector,omitempty"`
	// AnnotationSelector selects objects by annotations, as LabelSelector does by labels.
	AnnotationSelector *LabelSelector `json:"annotationSelector,omitempty"`
	// FieldSelector selects objects by the text of fields, which are given by their path: "spec.nodeName=a,status.phase!=Failed".
	FieldSelector string `json:"fieldSelector,omitempty"`
	Projection    `json:",inline"`
}

// Owned is a kind that children may have, and how they are kept.
type Owned struct {
	GroupVersionKind `json:",inline"`
	// Namespaces are the namespaces, beside the object's own, that children of this kind may be in; "*" stands for all.
	// Default: none for a namespaced object, all for a cluster-scoped one.
	Namespaces []string `json:"namespaces,omitempty"`
	// UpdateStrategy says how a child that differs from what the module wants is made so: InPlace (change it), Recreate
	// (change it, and where a field is immutable delete it and make it anew) or OnDelete (leave it until somebody has
	// deleted it, then make it anew). Default InPlace.
	UpdateStrategy string `json:"updateStrategy,omitempty"`
	// OwnerReference says what a child's owner reference says of the object: Controller, that it controls the child, or
	// Owner, only that the child goes with it. Default Controller.
	OwnerReference string `json:"ownerReference,omitempty"`
	// Prune says what becomes of children of this kind that are no longer wanted.
	Prune OwnedPrune `json:"prune,omitzero"`
	View  `json:",inline"`
}

// The values of Owned.UpdateStrategy and of Owned.OwnerReference.
const (
	UpdateInPlace  = "InPlace"
	UpdateRecreate = "Recreate"
	UpdateOnDelete = "OnDelete"

	OwnerReferenceController = "Controller"
	OwnerReferenceOwner      = "Owner"
)

// OwnedPrune says what becomes of children that are no longer wanted.
type OwnedPrune struct {
	// Orphan leaves them behind, and likewise when the object is deleted: the child is not deleted but given up. Default
	// false.
	Orphan bool `json:"orphan,omitempty"`
}

// Prune bounds the deletion of children.
type Prune struct {
	// MaxPerReconcile is the most children that one reconcile may delete. One that would delete more deletes none, and
	// an event says so. Default 100.
	MaxPerReconcile int `json:"maxPerReconcile,omitempty"`
}

// GroupVersionKind names a kind as objects do.
type GroupVersionKind struct {
	// APIVersion is GROUP/VERSION, or VERSION for the core group.
	APIVersion string `json:"apiVersion"`
	// Kind is the kind's name in CamelCase.
	Kind string `json:"kind"`
}

// Schema returns k as apimachinery has it.
func (k GroupVersionKind) Schema() schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(k.APIVersion, k.Kind)
}

// String returns KIND.VERSION.GROUP, or KIND.VERSION for the core group.
func (k GroupVersionKind) String() string {
	gvk := k.Schema()
	if gvk.Group == "" {
		return k.Kind + "." + gvk.Version
	}
	return k.Kind + "." + gvk.Version + "." + gvk.Group
}
