package differential

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	configMap  = `{apiVersion: v1, kind: ConfigMap, metadata: {name: o}, data: {a: "1", b: "2"}}`
	widget     = `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: o}, spec: {size: 1}}`
	gadget     = `{apiVersion: apply.test/v1, kind: Gadget, metadata: {name: o}, spec: {size: 1}}`
	service    = `{apiVersion: v1, kind: Service, metadata: {name: o}, spec: {selector: {app: o}, ports: [{port: 80}]}}`
	deployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: o, labels: {app: o}}, spec: {replicas: 1, selector: {matchLabels: {app: o}},
		template: {metadata: {labels: {app: o}}, spec: {containers: [{name: c, image: i, ports: [{containerPort: 80}], resources: {requests: {cpu: "0.5", memory: 1024Mi}}}]}}}}`
	job = `{apiVersion: batch/v1, kind: Job, metadata: {name: o}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}`
	set = `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: o}, spec: {serviceName: s, selector: {matchLabels: {app: o}},
		template: {metadata: {labels: {app: o}}, spec: {containers: [{name: c, image: i}]}}}}`
	binding = `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: o}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}, subjects: [{kind: ServiceAccount, name: s}]}`
)

func cm(more string) string {
	return `{apiVersion: v1, kind: ConfigMap, metadata: {name: o` + more + `}, data: {a: "1"}}`
}

func cmData(data string) string {
	return `{apiVersion: v1, kind: ConfigMap, metadata: {name: o}, data: ` + data + `}`
}

func wSpec(spec string) string {
	return `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: o}, spec: ` + spec + `}`
}

func wStatus(status string) string {
	return `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: o}, status: ` + status + `}`
}

func ports(list string) string {
	return `{apiVersion: v1, kind: Service, metadata: {name: o}, spec: {ports: ` + list + `}}`
}

func setAt(value any, path ...string) func(map[string]any) {
	return func(object map[string]any) {
		if err := unstructured.SetNestedField(object, value, path...); err != nil {
			panic(err)
		}
	}
}

func drop(path ...string) func(map[string]any) {
	return func(object map[string]any) { unstructured.RemoveNestedField(object, path...) }
}

// cases are what is done on both servers, step by step. They must lead to the same.
var cases = map[string][]step{
	// Apply: creating, taking, sharing.
	"apply creates":                                {apply("m", configMap)},
	"apply without a change":                       {apply("m", configMap), apply("m", configMap)},
	"apply changes a value":                        {apply("m", configMap), apply("m", cmData(`{a: "9", b: "2"}`))},
	"apply lets go of a field":                     {apply("m", configMap), apply("m", cmData(`{a: "1"}`))},
	"apply lets go of all fields":                  {apply("m", configMap), apply("m", cmData(`{}`))},
	"apply without the object's fields":            {apply("m", configMap), apply("m", `{apiVersion: v1, kind: ConfigMap, metadata: {name: o}}`)},
	"apply conflicts":                              {create(configMap), apply("m", cmData(`{a: "9"}`))},
	"apply conflicts with another apply":           {apply("m", configMap), apply("n", cmData(`{a: "9", b: "9"}`))},
	"forced apply takes":                           {apply("m", configMap), force("n", cmData(`{a: "9"}`))},
	"fields are shared at the same value":          {apply("m", configMap), apply("n", configMap), apply("m", cmData(`{a: "1"}`)), apply("n", cmData(`{}`))},
	"shared fields conflict when one changes them": {apply("m", configMap), apply("n", configMap), apply("m", cmData(`{a: "9"}`))},
	"apply over an object that was never tracked":  {create(configMap), merge(`{"metadata":{"managedFields":[{}]}}`), apply("m", cmData(`{a: "1"}`))},
	"an update of what was applied":                {apply("m", configMap), edit(setAt("9", "data", "a"))},
	"an update that changes nothing":               {apply("m", configMap), edit(func(map[string]any) {})},
	"a removal of what was applied":                {apply("m", configMap), edit(drop("data", "a")), apply("m", configMap)},
	"apply without a manager":                      {apply("", configMap)},
	"apply with managedFields":                     {apply("m", cm(`, managedFields: [{manager: x, operation: Apply, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {}}]`))},
	"apply of another name": {func(r *run) error {
		return r.api.Patch(r.Context(), identity(r.parse(configMap)), client.RawPatch(types.ApplyPatchType, []byte(cmJSON("p"))), client.FieldOwner("m"))
	}},
	"apply of an unknown field to a built-in kind":  {apply("m", `{apiVersion: v1, kind: ConfigMap, metadata: {name: o}, dta: {}}`)},
	"apply of an unknown field to a custom kind":    {apply("m", wSpec(`{sze: 1}`))},
	"apply of a wrong type to a built-in kind":      {apply("m", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: o}, spec: {replicas: two}}`)},
	"apply of a wrong type to a custom kind":        {apply("m", wSpec(`{size: two}`))},
	"apply of a number as a string":                 {apply("m", cmData(`{a: 1}`))},
	"apply with labels, annotations and finalizers": {apply("m", cm(`, labels: {a: b}, annotations: {c: d}, finalizers: [x.io/f]`)), apply("m", cm(`, labels: {a: c}`))},
	"apply of invalid labels":                       {apply("m", cm(`, labels: {"a b": c}`))},
	"apply of an owner":                             {apply("m", cm(`, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: x, uid: u, controller: true}]`)), apply("n", cm(`, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: y, uid: v}]`))},
	"apply of two controllers":                      {apply("m", cm(`, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: x, uid: u, controller: true}, {apiVersion: v1, kind: ConfigMap, name: y, uid: v, controller: true}]`))},
	"apply of an invalid name":                      {apply("m", `{apiVersion: v1, kind: ConfigMap, metadata: {name: O_o}}`)},

	// Preconditions in an apply.
	"apply of version 1, nothing there":           {apply("m", cm(`, resourceVersion: "1"`))},
	"apply of version 1, something there":         {create(configMap), apply("m", cm(`, resourceVersion: "1"`))},
	"forced apply of version 1, something there":  {create(configMap), force("m", cm(`, resourceVersion: "1"`))},
	"apply of the version":                        {create(configMap), apply("m", cm(`, resourceVersion: "$VERSION"`))},
	"apply of a UID, nothing there":               {force("m", cm(`, uid: $OTHER`))},
	"apply of a UID, another there":               {create(configMap), force("m", cm(`, uid: $OTHER`))},
	"apply of the UID":                            {create(configMap), force("m", cm(`, uid: $UID`))},
	"apply of version 1 of a custom kind":         {create(widget), force("m", `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: o, resourceVersion: "1"}, spec: {size: 2}}`)},
	"apply of the UID of an object that has gone": {create(configMap), remove(), force("m", cm(`, uid: $UID`))},

	// What is empty, null or unknown.
	"empty lists and objects of a built-in kind": {apply("m", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: o, labels: {}, annotations: {}}, spec: {strategy: {}, selector: {matchLabels: {app: o}},
		template: {metadata: {creationTimestamp: null, labels: {app: o}, annotations: {}}, spec: {securityContext: {}, containers: [{name: c, image: i, env: [], args: [], resources: {}, ports: []}], volumes: []}}}, status: {}}`)},
	"emptied objects of a custom kind":       {apply("m", widget), apply("m", wSpec(`{}`))},
	"emptied lists of a custom kind":         {apply("m", wSpec(`{tags: [a], plain: [a], ports: [{port: 1}]}`)), apply("m", wSpec(`{plain: [], size: 1}`)), apply("m", wSpec(`{size: 1, tags: []}`))},
	"an emptied keyed list of a custom kind": {apply("m", wSpec(`{size: 1, ports: [{port: 1}]}`)), apply("m", wSpec(`{size: 1, ports: []}`))},
	"empty objects of a custom kind":         {apply("m", wSpec(`{}`))},
	"null in a custom kind":                  {create(wSpec(`{size: null}`))},
	"applied null in a custom kind":          {apply("m", wSpec(`{size: null}`))},
	"applied null in a built-in kind":        {apply("m", `{apiVersion: v1, kind: ConfigMap, metadata: {name: o}, data: null}`)},
	"create with an unknown field":           {create(wSpec(`{size: 1, sze: 2}`)), edit(setAt("x", "spec", "more"))},
	"create of a built-in kind with one":     {create(`{apiVersion: v1, kind: ConfigMap, metadata: {name: o, lbls: {}}, dta: {}, data: {a: "1"}}`)},
	"strict create with an unknown field": {func(r *run) error {
		return r.api.Create(r.Context(), r.parse(wSpec(`{sze: 2}`)), client.FieldValidation("Strict"))
	}},
	"unknown fields that are preserved": {create(gadget), merge(`{"status":{"any":{"thing":[1,2]}}}`), apply("m", `{apiVersion: apply.test/v1, kind: Gadget, metadata: {name: o}, status: {other: 1}}`)},
	"a wrong type in a custom kind":     {create(wSpec(`{size: two}`)), create(widget), merge(`{"spec":{"size":"two"}}`)},
	"a wrong type in a built-in kind":   {create(`{apiVersion: v1, kind: ConfigMap, metadata: {name: o}, data: [a]}`)},
	"a required field":                  {create(wStatus(`{}`)), applyStatus("m", wStatus(`{conditions: [{type: Ready}]}`))},

	// Lists.
	"ports, keyed with a default":    {apply("m", ports(`[{port: 80}]`)), apply("m", ports(`[{port: 80, name: http}]`)), apply("m", ports(`[{port: 80, protocol: TCP, name: http}]`))},
	"ports of two managers":          {apply("m", ports(`[{port: 80, name: a}]`)), apply("n", ports(`[{port: 53, protocol: UDP, name: b}]`)), apply("m", ports(`[{port: 81, name: c}]`))},
	"ports of a custom kind":         {apply("m", wSpec(`{ports: [{port: 80}, {port: 80, protocol: UDP}]}`)), apply("n", wSpec(`{ports: [{port: 80, name: x}]}`)), apply("m", wSpec(`{ports: [{port: 80}]}`))},
	"the same key twice in an apply": {apply("m", wSpec(`{ports: [{port: 80}, {port: 80, protocol: TCP}]}`))},
	"the same key twice in a create": {create(wSpec(`{ports: [{port: 80}, {port: 80, protocol: TCP}]}`))},
	"a set":                          {apply("m", wSpec(`{tags: [a, b]}`)), apply("n", wSpec(`{tags: [b, c]}`)), apply("m", wSpec(`{tags: [a]}`)), apply("n", wSpec(`{tags: []}`))},
	"the same item of a set twice":   {create(wSpec(`{tags: [a, a]}`))},
	"an atomic list":                 {apply("m", wSpec(`{plain: [a, b]}`)), apply("n", wSpec(`{plain: [b]}`)), force("n", wSpec(`{plain: [b]}`))},
	"containers of two managers":     {apply("m", deployment), apply("n", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: o}, spec: {template: {spec: {containers: [{name: d, image: i}]}}}}`), apply("m", deployment)},
	"finalizers of two managers":     {apply("m", cm(`, finalizers: [x.io/m]`)), apply("n", cm(`, finalizers: [x.io/n]`)), apply("m", cm(``))},
	"ports in an update": {create(service), edit(func(object map[string]any) {
		setAt([]any{map[string]any{"port": int64(81), "targetPort": int64(81)}}, "spec", "ports")(object)
	})},

	// Normalised values.
	"quantities":               {apply("m", deployment), apply("m", deployment), apply("n", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: o}, spec: {template: {spec: {containers: [{name: c, resources: {requests: {cpu: 500m}}}]}}}}`)},
	"a Secret's stringData":    {create(`{apiVersion: v1, kind: Secret, metadata: {name: o}, stringData: {a: x}}`), merge(`{"stringData":{"b":"y"}}`)},
	"an applied stringData":    {apply("m", `{apiVersion: v1, kind: Secret, metadata: {name: o}, stringData: {a: x}}`), apply("m", `{apiVersion: v1, kind: Secret, metadata: {name: o}, stringData: {a: y}}`)},
	"defaults of a custom one": {create(wSpec(`{ports: [{port: 1}]}`)), merge(`{"spec":{"ports":[{"port":2,"protocol":null}]}}`)},

	// Status.
	"status is not created":                 {create(`{apiVersion: apply.test/v1, kind: Widget, metadata: {name: o}, spec: {size: 1}, status: {phase: x}}`)},
	"status is not applied with the object": {apply("m", `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: o}, spec: {size: 1}, status: {phase: x}}`)},
	"status is not updated with the object": {create(widget), edit(setAt("x", "status", "phase")), mergeStatus(`{"status":{"phase":"y"}}`), edit(setAt("x", "status", "phase"))},
	"applied status":                        {create(widget), applyStatus("m", wStatus(`{phase: a, conditions: [{type: Ready, status: "True"}]}`)), applyStatus("m", wStatus(`{phase: b}`)), applyStatus("m", wStatus(`{phase: b}`))},
	"emptied status":                        {create(widget), applyStatus("m", wStatus(`{phase: a}`)), applyStatus("m", wStatus(`{}`))},
	"applied status of nothing":             {applyStatus("m", wStatus(`{phase: a}`))},
	"applied status with another's UID":     {create(widget), applyStatus("m", `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: o, uid: $OTHER}, status: {phase: a}}`)},
	"applied status with the UID":           {create(widget), applyStatus("m", `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: o, uid: $UID}, status: {phase: a}}`)},
	"applied status with a spec and labels": {create(widget), applyStatus("m", `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: o, labels: {a: b}}, spec: {size: 3}, status: {phase: a}}`)},
	"updated status with a spec and labels": {create(widget), editStatus(func(o map[string]any) {
		setAt(int64(3), "spec", "size")(o)
		setAt("b", "metadata", "labels", "a")(o)
		setAt("x", "status", "phase")(o)
	})},
	"status of a kind without the subresource":   {create(gadget), applyStatus("m", `{apiVersion: apply.test/v1, kind: Gadget, metadata: {name: o}, status: {a: b}}`), apply("m", `{apiVersion: apply.test/v1, kind: Gadget, metadata: {name: o}, status: {a: b}}`)},
	"applied status of a Deployment":             {apply("m", deployment), applyStatus("m", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: o}, status: {replicas: 1, conditions: [{type: Available, status: "True", reason: r, message: m}]}}`), apply("m", deployment)},
	"an invalid status":                          {create(widget), mergeStatus(`{"status":{"count":"many"}}`)},
	"status of an object whose spec was invalid": {create(widget), applyStatus("m", `{apiVersion: apply.test/v1, kind: Widget, metadata: {name: o}, spec: {size: x}, status: {phase: a}}`)},

	// Patches.
	"merge patch of labels and annotations":         {create(configMap), merge(`{"metadata":{"labels":{"a":"b"},"annotations":{"c":"d"}}}`), merge(`{"metadata":{"labels":{"a":null}}}`)},
	"merge patch with the UID":                      {create(configMap), merge(`{"metadata":{"uid":"$UID","labels":{"a":"b"}}}`)},
	"merge patch with another's UID":                {create(configMap), merge(`{"metadata":{"uid":"$OTHER","labels":{"a":"b"}}}`)},
	"merge patch with the version":                  {create(configMap), merge(`{"metadata":{"resourceVersion":"$VERSION","labels":{"a":"b"}}}`), merge(`{"metadata":{"resourceVersion":"1","labels":{"a":"c"}}}`)},
	"merge patch of nothing":                        {func(r *run) error { r.parse(configMap); return merge(`{"data":{"a":"b"}}`)(r) }},
	"merge patch that changes nothing":              {create(configMap), merge(`{"data":{"a":"1"}}`)},
	"merge patch of the name":                       {create(configMap), merge(`{"metadata":{"name":"p"}}`)},
	"merge patch of a custom kind":                  {create(widget), merge(`{"spec":{"size":2,"unknown":3}}`)},
	"merge patch that is no JSON":                   {create(configMap), merge(`{`)},
	"JSON patch":                                    {create(configMap), patch(types.JSONPatchType, `[{"op":"test","path":"/data/a","value":"1"},{"op":"replace","path":"/data/a","value":"9"}]`)},
	"JSON patch whose test fails":                   {create(configMap), patch(types.JSONPatchType, `[{"op":"test","path":"/data/a","value":"2"}]`)},
	"merge patch of what the server says":           {create(widget), merge(`{"metadata":{"generation":7,"creationTimestamp":"2020-01-01T00:00:00Z","deletionTimestamp":"2020-01-01T00:00:00Z"}}`)},
	"reset of managedFields":                        {apply("m", configMap), edit(setAt([]any{}, "metadata", "managedFields"))},
	"merge patch that adds a finalizer and removes": {create(configMap), merge(`{"metadata":{"finalizers":["x.io/f"]}}`), merge(`{"metadata":{"finalizers":null}}`)},

	// Create, update, delete.
	"create twice":              {create(configMap), create(configMap)},
	"create with a version":     {create(cm(`, resourceVersion: "5"`))},
	"create with system fields": {create(cm(`, uid: $OTHER, generation: 5, creationTimestamp: "2020-01-01T00:00:00Z", deletionTimestamp: "2020-01-01T00:00:00Z"`))},
	"create in no namespace": {func(r *run) error {
		o := r.parse(configMap)
		o.SetNamespace("nowhere")
		return r.api.Create(r.Context(), o)
	}},
	"apply in no namespace": {func(r *run) error {
		o := r.parse(configMap)
		o.SetNamespace("nowhere")
		return r.api.Apply(r.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("m"))
	}},
	"update of nothing":                {update(configMap)},
	"update without a version":         {create(configMap), update(cmData(`{c: d}`))},
	"update of a custom kind without":  {create(widget), update(wSpec(`{size: 2}`))},
	"update of an old version":         {create(configMap), merge(`{"data":{"a":"2"}}`), update(cm(`, resourceVersion: "1"`))},
	"update with another's UID":        {create(configMap), update(cm(`, uid: $OTHER`))},
	"delete":                           {create(configMap), remove()},
	"delete nothing":                   {create(configMap), remove(), remove()},
	"delete with the UID":              {create(configMap), removeIf("$UID", "")},
	"delete with another's UID":        {create(configMap), removeIf("$OTHER", "")},
	"delete with the version":          {create(configMap), removeIf("$UID", "$VERSION")},
	"delete with another version":      {create(configMap), removeIf("$UID", "1")},
	"delete in the foreground":         {create(configMap), remove(client.PropagationPolicy(metav1.DeletePropagationForeground))},
	"delete that orphans":              {create(configMap), remove(client.PropagationPolicy(metav1.DeletePropagationOrphan))},
	"finalizers keep an object":        {create(`{apiVersion: apply.test/v1, kind: Widget, metadata: {name: o, finalizers: [x.io/a, x.io/b]}, spec: {size: 1}}`), remove(), remove(), merge(`{"metadata":{"finalizers":["x.io/b"]}}`), merge(`{"metadata":{"finalizers":["x.io/b","x.io/c"]}}`), force("m", widget), merge(`{"metadata":{"finalizers":null}}`)},
	"create while it is being deleted": {create(cm(`, finalizers: [x.io/a]`)), remove(), create(configMap)},
	"a finalizer goes by un-applying":  {apply("m", cm(`, finalizers: [x.io/a]`)), remove(), apply("m", cm(``))},
	"a namespace":                      {create(`{apiVersion: v1, kind: Namespace, metadata: {name: o}}`)},

	// Generations.
	"generation of a custom kind":                        {create(widget), merge(`{"metadata":{"labels":{"a":"b"}}}`), merge(`{"spec":{"size":2}}`), mergeStatus(`{"status":{"phase":"x"}}`), remove()},
	"generation of a kind without the status":            {create(gadget), merge(`{"metadata":{"labels":{"a":"b"}}}`), merge(`{"status":{"phase":"x"}}`)},
	"generation of a Deployment":                         {create(deployment), merge(`{"metadata":{"labels":{"a":"b"}}}`), merge(`{"metadata":{"annotations":{"a":"b"}}}`), merge(`{"spec":{"replicas":2}}`), mergeStatus(`{"status":{"replicas":2}}`)},
	"generation of a ConfigMap":                          {create(configMap), merge(`{"data":{"a":"2"}}`)},
	"generation in a delete with a finalizer":            {create(deployment), merge(`{"metadata":{"finalizers":["x.io/a"]}}`), remove(), merge(`{"spec":{"replicas":2}}`)},
	"generation of a NetworkPolicy, RoleBinding and Job": {create(`{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: o}, spec: {podSelector: {}, policyTypes: [Ingress]}}`), create(binding)},

	// Fields that cannot be changed.
	"immutable ConfigMap":          {create(configMap), merge(`{"immutable":true}`), merge(`{"data":{"a":"2"}}`), merge(`{"immutable":false}`), merge(`{"metadata":{"labels":{"a":"b"}}}`)},
	"immutable Secret":             {create(`{apiVersion: v1, kind: Secret, metadata: {name: o}, immutable: true, data: {a: YQ==}}`), merge(`{"data":{"a":"Yg=="}}`), merge(`{"type":"other"}`)},
	"a Service's clusterIP":        {create(`{apiVersion: v1, kind: Service, metadata: {name: o}, spec: {clusterIP: 10.0.0.71, clusterIPs: [10.0.0.71], ports: [{port: 80, targetPort: 80}]}}`), merge(`{"spec":{"clusterIP":"10.0.0.72","clusterIPs":["10.0.0.72"]}}`), remove()},
	"a Deployment's selector":      {create(deployment), merge(`{"spec":{"selector":{"matchLabels":{"app":"p"}},"template":{"metadata":{"labels":{"app":"p"}}}}}`), merge(`{"spec":{"replicas":3}}`)},
	"a Job's template":             {create(job), merge(`{"spec":{"template":{"spec":{"restartPolicy":"OnFailure"}}}}`)},
	"a Job's completions":          {create(job), merge(`{"spec":{"completions":5}}`)},
	"a StatefulSet's service name": {create(set), merge(`{"spec":{"serviceName":"t"}}`), merge(`{"spec":{"replicas":3}}`)},
	"a RoleBinding's role":         {create(binding), merge(`{"roleRef":{"name":"s"}}`), merge(`{"subjects":[]}`)},
	"a workload whose selector does not match": {
		create(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: o}, spec: {selector: {matchLabels: {app: p}}, template: {metadata: {labels: {app: o}}, spec: {containers: [{name: c, image: i}]}}}}`),
		apply("m", deployment), merge(`{"spec":{"replicas":-1}}`),
	},
	"a foreign change takes a field":     {apply("m", configMap), merge(`{"data":{"a":"9"}}`), merge(`{"data":{"b":null}}`), patch(types.JSONPatchType, `[{"op":"add","path":"/data/c","value":"9"}]`)},
	"the last field goes with the entry": {apply("m", configMap), merge(`{"data":{"a":"8","b":"9"}}`), merge(`{"metadata":{"managedFields":[{}]}}`), apply("m", configMap)},
	"a dry run": {create(configMap), func(r *run) error {
		return r.api.Patch(r.Context(), r.last.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"data":{"a":"9"}}`)), client.DryRunAll)
	}, func(r *run) error { return r.api.Delete(r.Context(), r.last.DeepCopy(), client.DryRunAll) }},
}

func cmJSON(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q}}`, name)
}

// repetition keeps the objects of one run of a case from the next.
var repetition int

// TestSame runs each case on both servers and compares what comes of each step: the answer's code, reason and causes, and
// then the object, with its managedFields.
func TestSame(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			diff := compare(t, cases[name])
			// Entries of managedFields are in the order of the seconds in which they were made, and another order is a change. The
			// in-memory server's clock stands still.
			if diff != "" && time.Now().Unix() != began.Unix() {
				t.Logf("another second began meanwhile; once more:\n%s", diff)
				time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
				diff = compare(t, cases[name])
			}
			if diff != "" {
				t.Error(diff)
			}
		})
	}
}

// compare does steps on both servers, and says where they differ.
func compare(t *testing.T, steps []step) string {
	t.Helper()
	repetition++
	namespace := fmt.Sprintf("case-%d", repetition)
	wanted, got := newRun(t, realAPI, namespace), newRun(t, memoryAPI, namespace)
	var differs strings.Builder
	for i, what := range steps {
		want, have := wanted.do(what), got.do(what)
		if diff := cmp.Diff(want, have); diff != "" {
			fmt.Fprintf(&differs, "step %d: -real +in memory:\n%s\n", i+1, diff)
		}
	}
	return differs.String()
}

func newRun(t *testing.T, api client.Client, namespace string) *run {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetAPIVersion("v1")
	object.SetKind("Namespace")
	object.SetName(namespace)
	if err := api.Create(t.Context(), object); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	return &run{T: t, api: api, namespace: namespace}
}
