package chart

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wasmloop/wasmloop/host/test/process"
)

// installation is a release in a namespace of its own. Its manifests are applied, and its Pod's container runs as a process of this
// machine, with the arguments, the config and the token that it would have.
type installation struct {
	namespace string
	objects   []*unstructured.Unstructured
	hooks     []*unstructured.Unstructured // what helm test makes
	folder    string
	metrics   string // where the host serves its metrics
}

// install applies what the chart renders, changed by change if that is given. What the chart does not make is left to the test.
func install(t *testing.T, change func(*unstructured.Unstructured), args ...string) *installation {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "chart-"}}
	if err := api.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	i := &installation{namespace: namespace.Name, folder: t.TempDir(), metrics: freeAddress(t)}
	for _, object := range render(t, i.namespace, args...) {
		if object.GetAnnotations()["helm.sh/hook"] != "" {
			i.hooks = append(i.hooks, object)
		} else {
			i.objects = append(i.objects, object)
		}
	}
	for _, object := range i.objects {
		if change != nil {
			change(object)
		}
		makeNamespace(t, object.GetNamespace())
		if object.GetKind() == "Deployment" {
			continue // there are no nodes: its Pod runs below
		}
		applyForTest(t, object)
	}
	return i
}

// applyForTest applies an object, and deletes it after the test if it is in no namespace.
func applyForTest(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	if err := api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object.DeepCopy()), client.FieldOwner("test"), client.ForceOwnership); err != nil {
		t.Fatal(err)
	}
	if object.GetNamespace() == "" && object.GetKind() != "CustomResourceDefinition" {
		t.Cleanup(func() { _ = api.Delete(context.WithoutCancel(t.Context()), object) })
	}
}

// helmTest runs the container of helm test, with the token of its Pod or without one.
func (i *installation) helmTest(t *testing.T, withToken bool) (string, error) {
	t.Helper()
	pod := one(t, i.hooks, "Pod")
	for _, object := range i.hooks {
		if object != pod {
			applyForTest(t, object)
		}
	}
	account, _, _ := unstructured.NestedString(pod.Object, "spec", "serviceAccountName")
	token := filepath.Join(i.folder, "token")
	if err := os.WriteFile(token, []byte(i.token(t, i.namespace, account)), 0o600); err != nil {
		t.Fatal(err)
	}
	var arguments []string
	for _, argument := range argumentsOf(t, pod, "spec") {
		switch name, value, _ := strings.Cut(argument, "="); {
		case name == "--address":
			scheme, _, _ := strings.Cut(value, "://")
			argument = name + "=" + scheme + "://" + i.metrics
		case name == "--token-file" && !withToken:
			continue
		case name == "--token-file":
			argument = name + "=" + token
		case name == "--wait" && !withToken:
			continue
		}
		arguments = append(arguments, argument)
	}
	output, err := exec.Command(filepath.Join(built, "wasmloop"), arguments...).CombinedOutput()
	return string(output), err
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// kubeconfig returns a kubeconfig file with a token of a ServiceAccount and nothing else.
func (i *installation) kubeconfig(t *testing.T, namespace, name string) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["a"] = &clientcmdapi.Cluster{Server: cluster.Config().Host, CertificateAuthorityData: cluster.Config().CAData}
	config.AuthInfos["a"] = &clientcmdapi.AuthInfo{Token: i.token(t, namespace, name)}
	config.Contexts["a"] = &clientcmdapi.Context{Cluster: "a", AuthInfo: "a"}
	config.CurrentContext = "a"
	path := filepath.Join(i.folder, name+".kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// token returns a token of a ServiceAccount, as its Pod would have it.
func (i *installation) token(t *testing.T, namespace, name string) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := api.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// config writes the config as the Pod would see it, but for the place of the modules.
func (i *installation) config(t *testing.T) string {
	t.Helper()
	data, _, err := unstructured.NestedStringMap(one(t, i.objects, "ConfigMap").Object, "data")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("file:///modules/samples/", "file://"+built+"/", "file:///modules/", "file://"+built+"/").Replace(data["config.yaml"])
	path := filepath.Join(i.folder, "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// arguments returns those of the container, but for places and addresses, which are the machine's.
func (i *installation) arguments(t *testing.T) []string {
	t.Helper()
	given := containerArguments(t, i.objects)
	here := map[string]string{
		"--config": i.config(t), "--cache-dir": filepath.Join(built, "compiled"), "--health-probe-bind-address": "0", "--metrics-bind-address": i.metrics,
	}
	arguments := []string{"--kubeconfig=" + i.kubeconfig(t, i.namespace, one(t, i.accounts(), "ServiceAccount").GetName())}
	for _, argument := range given[1:] {
		name, _, _ := strings.Cut(argument, "=")
		if value, changed := here[name]; changed {
			argument = name + "=" + value
		}
		arguments = append(arguments, argument)
	}
	return append([]string{given[0]}, arguments...)
}

// containerArguments returns the arguments of the host's container.
func containerArguments(t *testing.T, objects []*unstructured.Unstructured) []string {
	t.Helper()
	return argumentsOf(t, one(t, objects, "Deployment"), "spec", "template", "spec")
}

// argumentsOf returns the arguments of the only container of a Pod's spec.
func argumentsOf(t *testing.T, object *unstructured.Unstructured, spec ...string) []string {
	t.Helper()
	containers, _, err := unstructured.NestedSlice(object.Object, append(spec, "containers")...)
	if err != nil || len(containers) != 1 {
		t.Fatalf("there are %d containers (%v)", len(containers), err)
	}
	arguments, _, err := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
	if err != nil {
		t.Fatal(err)
	}
	return arguments
}

// accounts returns the ServiceAccounts of the release's namespace.
func (i *installation) accounts() (accounts []*unstructured.Unstructured) {
	for _, object := range i.objects {
		if object.GetKind() == "ServiceAccount" && object.GetNamespace() == i.namespace {
			accounts = append(accounts, object)
		}
	}
	return accounts
}

// host is a running host.
type host struct{ *process.Process }

// start runs the container until the test ends.
func (i *installation) start(t *testing.T) *host {
	t.Helper()
	started, err := process.Start(exec.Command(filepath.Join(built, "wasmloop"), i.arguments(t)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var exit *exec.ExitError // tests look at what it says, and not at how it ends
		if err := started.Stop(); err != nil && !errors.As(err, &exit) {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the host's log:\n%s", started.Log())
		}
	})
	return &host{started}
}

// waitForLog waits for a log line that has all the parts.
func (h *host) waitForLog(t *testing.T, parts ...string) {
	t.Helper()
	eventually(t, func() error { return h.Said(parts...) })
}

// lacksNothing wants that the API server has refused the host nothing.
func (h *host) lacksNothing(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(h.Log()) {
		if strings.Contains(line, "orbidden") || strings.Contains(line, "may not") {
			t.Errorf("a right is missing: %s", line)
		}
	}
}

// withoutVerb returns a change that takes a verb on a resource out of all roles.
func withoutVerb(t *testing.T, resource, verb string) func(*unstructured.Unstructured) {
	t.Helper()
	return withoutVerbIn(t, "", resource, verb)
}

// withoutVerbIn returns one that takes it out of the roles of a namespace, or of all if that is "".
func withoutVerbIn(t *testing.T, namespace, resource, verb string) func(*unstructured.Unstructured) {
	t.Helper()
	taken := false
	t.Cleanup(func() {
		if !taken {
			t.Errorf("the chart does not give %s on %s", verb, resource)
		}
	})
	return func(object *unstructured.Unstructured) {
		if object.GroupVersionKind().Group != rbacv1.GroupName || namespace != "" && object.GetNamespace() != namespace {
			return
		}
		rules, _, _ := unstructured.NestedSlice(object.Object, "rules")
		for _, rule := range rules {
			fields, _ := rule.(map[string]any)
			resources, _, _ := unstructured.NestedStringSlice(fields, "resources")
			verbs, _, _ := unstructured.NestedStringSlice(fields, "verbs")
			if len(resources) != 1 || resources[0] != resource {
				continue
			}
			var left []any
			for _, other := range verbs {
				if other == verb {
					taken = true
				} else {
					left = append(left, other)
				}
			}
			if fields["verbs"] = left; len(left) == 0 {
				fields["verbs"] = []any{"deletecollection"} // a rule must have some
			}
		}
		if rules != nil {
			object.Object["rules"] = rules
		}
	}
}
