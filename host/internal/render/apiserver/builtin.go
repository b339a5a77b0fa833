package apiserver

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
)

// builtinTable has the built-in kinds that are served: group and version, resource, kind, short names, and of
// n(amespaced), s(tatus subresource), g(eneration), p(ath segments as names), l(abels as names), "-" for none. A test holds
// it against a real server.
const builtinTable = `
v1                              configmaps                       ConfigMap                       cm      n
v1                              endpoints                        Endpoints                       ep      n
v1                              events                           Event                           ev      n
v1                              limitranges                      LimitRange                      limits  n
v1                              namespaces                       Namespace                       ns      sl
v1                              nodes                            Node                            no      s
v1                              persistentvolumeclaims           PersistentVolumeClaim           pvc     ns
v1                              persistentvolumes                PersistentVolume                pv      s
v1                              pods                             Pod                             po      nsg
v1                              podtemplates                     PodTemplate                     -       ng
v1                              replicationcontrollers           ReplicationController           rc      nsg
v1                              resourcequotas                   ResourceQuota                   quota   ns
v1                              secrets                          Secret                          -       n
v1                              serviceaccounts                  ServiceAccount                  sa      n
v1                              services                         Service                         svc     nsl
admissionregistration.k8s.io/v1 mutatingwebhookconfigurations    MutatingWebhookConfiguration    -       g
admissionregistration.k8s.io/v1 validatingwebhookconfigurations  ValidatingWebhookConfiguration  -       g
admissionregistration.k8s.io/v1 validatingadmissionpolicies      ValidatingAdmissionPolicy       -       sg
admissionregistration.k8s.io/v1 validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding -     g
apiextensions.k8s.io/v1         customresourcedefinitions        CustomResourceDefinition        crd,crds sg
apps/v1                         controllerrevisions              ControllerRevision              -       n
apps/v1                         daemonsets                       DaemonSet                       ds      nsg
apps/v1                         deployments                      Deployment                      deploy  nsg
apps/v1                         replicasets                      ReplicaSet                      rs      nsg
apps/v1                         statefulsets                     StatefulSet                     sts     nsg
autoscaling/v2                  horizontalpodautoscalers         HorizontalPodAutoscaler         hpa     ns
batch/v1                        cronjobs                         CronJob                         cj      nsg
batch/v1                        jobs                             Job                             -       nsg
certificates.k8s.io/v1          certificatesigningrequests       CertificateSigningRequest       csr     s
coordination.k8s.io/v1          leases                           Lease                           -       n
discovery.k8s.io/v1             endpointslices                   EndpointSlice                   -       ng
events.k8s.io/v1                events                           Event                           ev      n
flowcontrol.apiserver.k8s.io/v1 flowschemas                      FlowSchema                      -       sg
flowcontrol.apiserver.k8s.io/v1 prioritylevelconfigurations      PriorityLevelConfiguration      -       sg
networking.k8s.io/v1            ingressclasses                   IngressClass                    -       g
networking.k8s.io/v1            ingresses                        Ingress                         ing     nsg
networking.k8s.io/v1            networkpolicies                  NetworkPolicy                   netpol  ng
node.k8s.io/v1                  runtimeclasses                   RuntimeClass                    -       -
policy/v1                       poddisruptionbudgets             PodDisruptionBudget             pdb     nsg
rbac.authorization.k8s.io/v1    clusterrolebindings              ClusterRoleBinding              -       p
rbac.authorization.k8s.io/v1    clusterroles                     ClusterRole                     -       p
rbac.authorization.k8s.io/v1    rolebindings                     RoleBinding                     -       np
rbac.authorization.k8s.io/v1    roles                            Role                            -       np
scheduling.k8s.io/v1            priorityclasses                  PriorityClass                   pc      g
storage.k8s.io/v1               csidrivers                       CSIDriver                       -       -
storage.k8s.io/v1               csinodes                         CSINode                         -       -
storage.k8s.io/v1               csistoragecapacities             CSIStorageCapacity              -       n
storage.k8s.io/v1               storageclasses                   StorageClass                    sc      -
storage.k8s.io/v1               volumeattachments                VolumeAttachment                -       s
`

var deploymentKind = schema.GroupKind{Group: "apps", Kind: "Deployment"}

// builtinScheme has the Go types of the built-in kinds.
var builtinScheme = sync.OnceValue(func() *runtime.Scheme {
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensionsv1.AddToScheme} {
		utilruntime.Must(add(types))
	}
	return types
})

// builtinTypes are what server-side apply knows of the built-in kinds. Parsing them takes its time.
var builtinTypes = sync.OnceValue(func() managedfields.TypeConverter { return applyconfigurations.NewTypeConverter(builtinScheme()) })

// builtinKinds returns the kinds of the table. They are the same for all servers.
var builtinKinds = sync.OnceValues(func() ([]*kind, error) {
	var kinds []*kind
	for line := range strings.Lines(strings.TrimSpace(builtinTable)) {
		k := parseBuiltin(strings.Fields(line))
		if err := k.complete(); err != nil {
			return nil, fmt.Errorf("cannot serve %s: %w", k.GroupVersionKind, err)
		}
		kinds = append(kinds, k)
	}
	return kinds, nil
})

// Preload gets ready what all servers need to know of the built-in kinds, which takes a fifth of a second. The first server waits for
// it; whoever has something else to do until then calls it beside that.
func Preload() { _, _ = builtinKinds() }

func parseBuiltin(columns []string) *kind {
	version, _ := schema.ParseGroupVersion(columns[0])
	flags := columns[4]
	k := &kind{
		GroupVersionKind: version.WithKind(columns[2]),
		resource:         version.WithResource(columns[1]),
		singular:         strings.ToLower(columns[2]),
		namespaced:       strings.Contains(flags, "n"),
		status:           strings.Contains(flags, "s"),
		generation:       strings.Contains(flags, "g"),
		name:             validation.NameIsDNSSubdomain,
	}
	switch {
	case strings.Contains(flags, "p"):
		k.name = pathSegment
	case strings.Contains(flags, "l"):
		k.name = validation.NameIsDNSLabel
	}
	if columns[3] != "-" {
		k.short = strings.Split(columns[3], ",")
	}
	k.model = builtin{k.GroupVersionKind}
	return k
}

// builtin is the model of a built-in kind: the Go type of its API.
type builtin struct{ gvk schema.GroupVersionKind }

// types has no schema for CustomResourceDefinitions: their lists are owned as a whole.
func (b builtin) types() managedfields.TypeConverter {
	if b.gvk.GroupKind() == definitionKind {
		return managedfields.NewDeducedTypeConverter()
	}
	return builtinTypes()
}

func (b builtin) merged(object map[string]any, _ string) (map[string]any, error) {
	return withoutEntries(object, func(object map[string]any) (map[string]any, error) {
		decoded, _, err := b.decodeAs(object, false)
		return decoded, err
	})
}

func (b builtin) zero() map[string]any {
	zero, _, err := b.throughValue(map[string]any{}, false) // which needs nothing to be known of the type
	if err != nil {
		return map[string]any{}
	}
	return zero
}

func (b builtin) decode(object map[string]any) (decoded map[string]any, unknown []string, err error) {
	return b.decodeAs(object, true)
}

func (b builtin) decodeAs(object map[string]any, track bool) (decoded map[string]any, unknown []string, err error) {
	if decoded, unknown, err = b.roundTrip(object, track); err != nil {
		return nil, nil, err
	}
	sent, _ := object["metadata"].(map[string]any)
	if metadata, ok := decoded["metadata"].(map[string]any); ok {
		keepReset(metadata, sent)
	}
	decoded["apiVersion"], decoded["kind"] = b.gvk.GroupVersion().String(), b.gvk.Kind
	b.setDefaults(decoded)
	return decoded, unknown, nil
}

// roundTrip passes an object through its Go type, which drops what is unknown or empty and writes quantities and times as
// the API server does. What is unknown is returned if it is to be tracked.
func (b builtin) roundTrip(object map[string]any, track bool) (decoded map[string]any, unknown []string, err error) {
	if out, ok := goTypeOf(builtinScheme().AllKnownTypes()[b.gvk]).convert(object); ok {
		return out.(map[string]any), nil, nil
	}
	return b.throughValue(object, track)
}

func (b builtin) throughValue(object map[string]any, track bool) (decoded map[string]any, unknown []string, err error) {
	typed, err := builtinScheme().New(b.gvk)
	if err != nil {
		return nil, nil, err
	}
	err = runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object, typed, track)
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		for _, each := range strict.Errors() {
			unknown = append(unknown, strings.Trim(strings.TrimPrefix(each.Error(), "unknown field "), `"`))
		}
	} else if err != nil {
		return nil, nil, err
	}
	decoded, err = runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	return decoded, unknown, err
}

// normalise has nothing left to do: decode and merged have done it.
func (builtin) normalise(map[string]any, string) error { return nil }

// setDefaults sets the defaults that list keys and validation need, and few others.
func (b builtin) setDefaults(object map[string]any) {
	switch b.gvk.Kind {
	case "Secret":
		moveStringData(object)
		setDefault(object, "type", "Opaque")
	case "Service":
		spec, _ := object["spec"].(map[string]any)
		for _, port := range items(spec["ports"]) {
			setDefault(port, "protocol", "TCP")
		}
	case "Namespace":
		labelNamespace(object)
	case "ConfigMap", "Role", "ClusterRole":
	case "Deployment", "ReplicaSet", "StatefulSet":
		spec, _ := object["spec"].(map[string]any)
		setDefault(spec, "replicas", int64(1))
		defaultContainerPorts(spec)
	default:
		defaultContainerPorts(object)
	}
}

// labelNamespace gives a namespace the label by which selectors find it.
func labelNamespace(object map[string]any) {
	namespace := &unstructured.Unstructured{Object: object}
	labels := namespace.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	if name := namespace.GetName(); name != "" {
		labels["kubernetes.io/metadata.name"] = name
		namespace.SetLabels(labels)
	}
}

// defaultContainerPorts sets the protocol of container ports, wherever they are.
func defaultContainerPorts(value any) {
	switch v := value.(type) {
	case map[string]any:
		if _, port := v["containerPort"]; port {
			setDefault(v, "protocol", "TCP")
		}
		for name, item := range v {
			if name != "metadata" && name != "status" {
				defaultContainerPorts(item)
			}
		}
	case []any:
		for _, item := range v {
			defaultContainerPorts(item)
		}
	}
}

// moveStringData encodes a Secret's stringData, which is only a way to write data.
func moveStringData(secret map[string]any) {
	plain, _ := secret["stringData"].(map[string]any)
	delete(secret, "stringData")
	if len(plain) == 0 {
		return
	}
	data, ok := secret["data"].(map[string]any)
	if !ok {
		data = map[string]any{}
		secret["data"] = data
	}
	for key, value := range plain {
		if text, ok := value.(string); ok {
			data[key] = base64.StdEncoding.EncodeToString([]byte(text))
		}
	}
}

func setDefault(object map[string]any, name string, value any) {
	if _, there := object[name]; object != nil && !there {
		object[name] = value
	}
}

// items returns those items of a list that are objects.
func items(list any) []map[string]any {
	var objects []map[string]any
	values, _ := list.([]any)
	for _, value := range values {
		if object, ok := value.(map[string]any); ok {
			objects = append(objects, object)
		}
	}
	return objects
}

// validate finds the mistakes that are made most, and refuses changes of fields that cannot be changed.
func (b builtin) validate(object, old map[string]any, subresource string) field.ErrorList {
	if subresource != "" {
		return nil
	}
	var errs field.ErrorList
	if b.gvk.Group == "apps" && b.gvk.Kind != "ControllerRevision" {
		errs = validateWorkload(object)
	}
	if b.gvk.GroupKind() == definitionKind {
		errs = validateDefinition(object)
	}
	if old == nil {
		return errs
	}
	for _, rule := range immutable[b.gvk.GroupKind()] {
		errs = append(errs, rule(object, old)...)
	}
	return errs
}

// pathSegment checks the names of kinds that may have anything in them that a path can: those of RBAC.
func pathSegment(name string, _ bool) (messages []string) {
	if name == "." || name == ".." {
		messages = append(messages, fmt.Sprintf("may not be %q", name))
	}
	for _, part := range []string{"/", "%"} {
		if strings.Contains(name, part) {
			messages = append(messages, fmt.Sprintf("may not contain %q", part))
		}
	}
	return messages
}
