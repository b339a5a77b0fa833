package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The API server takes everything that the chart renders, by its own rules and strictly.
func TestServerTakesWhatIsRendered(t *testing.T) {
	for _, values := range valuesFiles(t) {
		t.Run(filepath.Base(values), func(t *testing.T) {
			for _, object := range render(t, home, "--values", values) {
				makeNamespace(t, object.GetNamespace())
				err := api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object.DeepCopy()), client.FieldOwner("test"), client.ForceOwnership, client.DryRunAll)
				if err != nil {
					t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
				}
				if object.GetKind() == "ServiceAccount" { // no Pod is admitted without it
					applyForTest(t, object)
				}
			}
		})
	}
}

// makeNamespace makes a namespace unless it is there.
func makeNamespace(t *testing.T, name string) {
	t.Helper()
	if name == "" {
		return
	}
	err := api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// What the schema refuses. Each names the value.
func TestSchemaRefuses(t *testing.T) {
	const (
		modules = "modules: {a: {source: 'oci://ghcr.io/acme/a:1'}}"
		config  = "config:\n  apiVersion: wasmloop.dev/v1alpha1\n  kind: HostConfig\n  " + modules + "\n"
	)
	cases := map[string]struct{ values, want string }{
		"a value that there is not":            {"replicaCount: 3", "replicaCount"},
		"one within another":                   {"metrics: {ports: 1}", "ports"},
		"a number of replicas that is none":    {"replicas: two", "replicas"},
		"less than none":                       {"replicas: -1", "replicas"},
		"a level that there is not":            {"log: {level: trace}", "level"},
		"a privileged port":                    {"metrics: {port: 80}", "port"},
		"a digest that is none":                {"image: {digest: latest}", "digest"},
		"a config of another kind":             {"config: {apiVersion: v1, kind: ConfigMap, modules: {}, controllers: []}", "config"},
		"a config without controllers":         {config, "controllers"},
		"a field that no controller has":       {config + "  controllers: [{name: a, module: a, for: {apiVersion: v1, kind: Pod}, own: []}]", "own"},
		"a controller's name that is none":     {config + "  controllers: [{name: A_B, module: a, for: {apiVersion: v1, kind: Pod}}]", "name"},
		"a strategy that there is not":         {config + "  controllers: [{name: a, module: a, for: {apiVersion: v1, kind: Pod}, owns: [{apiVersion: v1, kind: Pod, updateStrategy: Replace}]}]", "updateStrategy"},
		"a source that is no URL":              {strings.Replace(config, "oci://ghcr.io/acme/a:1", "a.wasm", 1) + "  controllers: []", "source"},
		"a word that YAML takes for a boolean": {config + "  controllers: [{name: a, module: a, for: {apiVersion: v1, kind: Pod, labelSelector: {matchLabels: {a: on}}}}]", "matchLabels"},
		"a plural that is none":                {"rbac: {resources: {example.com/Octopus: Octopodes}}", "Octopus"},
		"a kind without its form":              {"rbac: {clusterScoped: [tenants.example.com]}", "clusterScoped"},
		"a rule without verbs":                 {"rbac: {extraRules: [{apiGroups: [''], resources: [pods]}]}", "verbs"},
		"a volume without a name":              {"modules: {volumes: [{configMap: {name: a}}]}", "volumes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := template(home, "--values", writeValues(t, c.values))
			if err == nil || !strings.Contains(err.Error(), "schema") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says %v, want a violation of the schema about %s", err, c.want)
			}
		})
	}
}

func writeValues(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestReadmeDescribesAllValues finds values whose comment helm-docs could not read.
func TestReadmeDescribesAllValues(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	values := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 4 || !strings.HasPrefix(line, "| ") {
			continue
		}
		values++
		if strings.Trim(cells[3], " |") == "" {
			t.Errorf("nothing is said of the value %s", cells[0])
		}
	}
	if values < 50 {
		t.Errorf("the table has only %d values", values)
	}
}
