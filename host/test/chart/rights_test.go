package chart

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/wasmloop/wasmloop/host/test/process"
)

// The default values: the sample writes down where the Service of the metrics is, with just the rights that the chart gives.
func TestDefaultValues(t *testing.T) {
	i := install(t, nil)
	h := i.start(t)
	address := &corev1.ConfigMap{}
	service := one(t, i.objects, "Service")
	key := client.ObjectKey{Namespace: i.namespace, Name: service.GetName() + "-address"}
	eventually(t, func() error { return api.Get(t.Context(), key, address) })
	if want := fmt.Sprintf("%s.%s.svc", service.GetName(), i.namespace); address.Data["HOST"] != want || address.Data["PORT_METRICS"] != "8080" {
		t.Errorf("the sample has written %v, want the host %s", address.Data, want)
	}
	// helm test asks the host how it is, with a token of its own, and nobody else may.
	if output, err := i.helmTest(t, true); err != nil {
		t.Errorf("helm test says %v: %s", err, output)
	}
	if output, err := i.helmTest(t, false); err == nil || !strings.Contains(output, "token") {
		t.Errorf("who has no token is told %v: %s", err, output)
	}
	// What the sample makes is made again.
	if err := api.Delete(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return api.Get(t.Context(), key, address) })
	h.lacksNothing(t)
}

// All samples, with the rights that are derived from their config, and those that cannot be: what they give to others.
func TestSamples(t *testing.T) {
	i := install(t, nil, "--values", samplesValues(t))
	h := i.start(t)
	// Of the Node among the samples nobody hears anything: after a minute no DaemonSet takes it for one, however busy the machine is.
	for name := range samplesConfig(t)["modules"].(map[string]any) {
		h.waitForLog(t, `"module loaded"`, fmt.Sprintf(`"module":%q`, name))
	}
	wants := map[string]string{}
	for _, object := range sampleObjects(t) {
		if err := api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object.DeepCopy()), client.FieldOwner("test"), client.ForceOwnership); err != nil {
			t.Fatal(err)
		}
		if group := object.GroupVersionKind().Group; strings.HasSuffix(group, ".example.com") {
			wants[object.GetKind()+" "+object.GetNamespace()+"/"+object.GetName()] = group
		}
	}
	if len(wants) < 10 {
		t.Errorf("there are only these samples: %v", wants)
	}
	for _, object := range sampleObjects(t) {
		if strings.HasSuffix(object.GroupVersionKind().Group, ".example.com") {
			eventually(t, func() error { return well(t, object) })
		}
	}
	// One makes ClusterRoles, and one gives them away.
	annotate(t, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "markdownviews.view.example.com", "crdroles.example.com/roles", "true")
	const role = "markdownviews.view.example.com-view"
	waitFor(t, "rbac.authorization.k8s.io/v1", "ClusterRole", "", role)
	annotate(t, "rbac.authorization.k8s.io/v1", "ClusterRole", role, "clusteredparent.example.com/bind-in", "default")
	waitFor(t, "rbac.authorization.k8s.io/v1", "RoleBinding", "default", "")
	h.lacksNothing(t)
}

// well returns an error unless an object has a condition that says that all is well.
func well(t *testing.T, object *unstructured.Unstructured) error {
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		return err
	}
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, item := range conditions {
		condition, _ := item.(map[string]any)
		if condition["status"] == "True" && slices.Contains([]any{"Available", "Ready", "Complete"}, condition["type"]) {
			return nil
		}
	}
	return fmt.Errorf("%s %s is not well: %v", object.GetKind(), object.GetName(), conditions)
}

// waitFor waits for an object, or for any of its kind in a namespace that this host has made.
func waitFor(t *testing.T, apiVersion, kind, namespace, name string) {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion(apiVersion)
	list.SetKind(kind + "List")
	eventually(t, func() error {
		if err := api.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
			return err
		}
		for _, object := range list.Items {
			managers := fmt.Sprint(object.GetManagedFields())
			if (name == "" || object.GetName() == name) && strings.Contains(managers, "wasmloop/") {
				return nil
			}
		}
		return fmt.Errorf("there is no %s %s/%s of the host", kind, namespace, name)
	})
}

func annotate(t *testing.T, apiVersion, kind, name, key, value string) {
	t.Helper()
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(apiVersion)
	object.SetKind(kind)
	object.SetName(name)
	patch := fmt.Sprintf(`{"metadata": {"annotations": {%q: %q}}}`, key, value)
	if err := api.Patch(t.Context(), object, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

// samplesValues writes a values file with the config of all samples, whose modules are in a volume.
func samplesValues(t *testing.T) string {
	t.Helper()
	config := samplesConfig(t)
	for name, module := range config["modules"].(map[string]any) {
		module.(map[string]any)["source"] = "file:///modules/samples/" + name + ".wasm"
	}
	values, err := yaml.Marshal(map[string]any{
		"config":  config,
		"modules": map[string]any{"volumes": []any{map[string]any{"name": "samples", "persistentVolumeClaim": map[string]any{"claimName": "samples"}}}},
		"rbac": map[string]any{"extraRules": []any{map[string]any{
			"apiGroups": []any{"rbac.authorization.k8s.io"}, "resources": []any{"clusterroles"}, "verbs": []any{"escalate", "bind"},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return writeValues(t, string(values))
}

// samplesConfig returns the config of all samples.
func samplesConfig(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile(root + "config/wasmloop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	return config
}

// sampleObjects returns the objects of config/samples.
func sampleObjects(t *testing.T) (objects []*unstructured.Unstructured) {
	t.Helper()
	files, err := filepath.Glob(root + "config/samples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no samples (%v)", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, decode(t, string(text))...)
	}
	for _, object := range objects {
		namespaced, err := api.IsObjectNamespaced(object)
		if err != nil {
			t.Fatal(err)
		}
		if namespaced && object.GetNamespace() == "" {
			object.SetNamespace("default")
		}
	}
	return objects
}

// Whichever right is missing, somebody is told which: in the log, or by an event on the object.
func TestMissingRights(t *testing.T) {
	cases := []struct {
		resource, verb string
		event          bool
	}{
		{"services", "list", false},
		{"services", "watch", false},
		{"configmaps", "list", false},
		{"configmaps", "watch", false},
		{"configmaps", "create", true},
		{"configmaps", "patch", true},
		{"events", "create", false},
		{"leases", "create", false},
		{"leases", "get", false},
	}
	for _, c := range cases {
		t.Run(c.verb+" "+c.resource, func(t *testing.T) {
			t.Parallel()
			i := install(t, withoutVerb(t, c.resource, c.verb))
			service := one(t, i.objects, "Service").DeepCopy()
			if c.resource == "events" { // one that says something
				taken := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: service.GetName() + "-address"}}
				if err := api.Create(t.Context(), taken); err != nil {
					t.Fatal(err)
				}
			}
			h := i.start(t)
			if !c.event {
				h.waitForLog(t, c.verb, c.resource)
				return
			}
			eventually(t, func() error { return warned(t, i.namespace, "Service", service.GetName(), c.verb, c.resource) })
		})
	}
}

// warned returns an error unless there is a Warning on an object with all these parts.
func warned(t *testing.T, namespace, kind, name string, parts ...string) error {
	events := &corev1.EventList{}
	if err := api.List(t.Context(), events, client.InNamespace(namespace)); err != nil {
		return err
	}
	var others []string
	for _, event := range events.Items {
		about := event.InvolvedObject.Kind == kind && event.InvolvedObject.Name == name
		if about && event.Type == corev1.EventTypeWarning && process.HasAll(event.Message, parts) {
			return nil
		}
		others = append(others, event.Message)
	}
	return fmt.Errorf("no Warning on %s %s has %q; there are %q", kind, name, parts, others)
}

// wasmloop rbac and the chart derive the same from each config.
func TestCommandAndChartAgree(t *testing.T) {
	files := append(valuesFiles(t), samplesValues(t), writeValues(t, allKindsValues(t)))
	for _, values := range files {
		if strings.HasSuffix(values, "existing.yaml") {
			continue // the chart does not see that config, and makes no rights
		}
		t.Run(filepath.Base(filepath.Dir(values))+"/"+filepath.Base(values), func(t *testing.T) {
			agree(t, values)
		})
	}
}

// agree renders a values file without what is no part of a config, and compares the rights with those of the command.
func agree(t *testing.T, values string) {
	t.Helper()
	objects := withoutReader(render(t, home, "--values", values, "--no-hooks", "--set-json", "rbac.extraRules=[]"))
	i := &installation{namespace: home, objects: objects, folder: t.TempDir()}
	arguments := []string{"rbac", "--offline", "--config", i.config(t), "--service-account", home + "/" + one(t, i.accounts(), "ServiceAccount").GetName()}
	arguments = append(arguments, rbacArguments(t, values, objects)...)
	command := exec.Command(filepath.Join(built, "wasmloop"), arguments...)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := diffRights(t, objects, decode(t, string(output))); diff != "" {
		t.Errorf("-chart +command:\n%s", diff)
	}
}

// withoutReader leaves out the ClusterRole of those who read metrics, which no account of the config has.
func withoutReader(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	return slices.DeleteFunc(objects, func(object *unstructured.Unstructured) bool {
		return strings.HasSuffix(object.GetName(), ":metrics-reader")
	})
}

// Controllers act as accounts of their own: the host has no rights to what they deal with, and one that lacks a right says so, while
// the others go on.
func TestAccounts(t *testing.T) {
	const values = `
config:
  apiVersion: wasmloop.dev/v1alpha1
  kind: HostConfig
  modules: {serviceaddress: {source: "file:///modules/serviceaddress.wasm"}}
  controllers:
    - name: one
      module: serviceaddress
      serviceAccount: accounts-one/one
      for: {apiVersion: v1, kind: Service, namespaces: [accounts-one]}
      owns: [{apiVersion: v1, kind: ConfigMap}]
    - name: two
      module: serviceaddress
      serviceAccount: accounts-two/two
      for: {apiVersion: v1, kind: Service, namespaces: [accounts-two]}
      owns: [{apiVersion: v1, kind: ConfigMap}]
    - name: three
      module: serviceaddress
      serviceAccount: accounts-three/three
      for: {apiVersion: v1, kind: Service, namespaces: [accounts-three]}
      owns: [{apiVersion: v1, kind: ConfigMap}]
`
	lackingImpersonate := withoutVerbIn(t, "accounts-two", "serviceaccounts", "impersonate")
	lackingWatch := withoutVerbIn(t, "accounts-three", "configmaps", "watch")
	i := install(t, func(object *unstructured.Unstructured) {
		lackingImpersonate(object)
		lackingWatch(object)
	}, "--values", writeValues(t, values))
	for _, namespace := range []string{"accounts-one", "accounts-two", "accounts-three"} {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
		}
		if err := api.Create(t.Context(), service); err != nil {
			t.Fatal(err)
		}
	}
	h := i.start(t)
	eventually(t, func() error {
		return api.Get(t.Context(), client.ObjectKey{Namespace: "accounts-one", Name: "web-address"}, &corev1.ConfigMap{})
	})
	h.waitForLog(t, "two", "impersonate", "serviceaccounts")
	eventually(t, func() error {
		return warned(t, "accounts-three", "ServiceAccount", "three", "watch", "configmaps")
	})
}

// Without its namespaces' Roles a confined controller has no rights, and with metrics for everybody there is no ClusterRole at all.
func TestConfinedByRolesAlone(t *testing.T) {
	for _, values := range []string{"confined.yaml", "default.yaml"} {
		for _, object := range render(t, home, "--values", filepath.Join(folder, "ci", values), "--set", "metrics.secure=false") {
			if strings.HasPrefix(object.GetKind(), "ClusterRole") {
				t.Errorf("%s: there is a %s %s", values, object.GetKind(), object.GetName())
			}
		}
	}
}
