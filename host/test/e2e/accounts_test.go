package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wasmloop/wasmloop/host/internal/engine"
	"github.com/wasmloop/wasmloop/host/test/process"
)

// roles are those of a host that may act as the account of a controller and nothing else, and of that account.
const (
	hostRole = `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: host}, rules: [
  {apiGroups: [""], resources: [serviceaccounts], resourceNames: [site], verbs: [impersonate]},
  {apiGroups: [""], resources: [events], verbs: [create, patch]}]}`
	siteRole = `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: site}, rules: [
  {apiGroups: [test.wasmloop.dev], resources: [electeds], verbs: [list, watch, patch]},
  {apiGroups: [""], resources: [configmaps], verbs: [list, watch%s]}]}`
	binding = `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: %[1]s},
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[1]s}, subjects: [{kind: ServiceAccount, name: %[1]s}]}`
	accountObject = `{apiVersion: v1, kind: ServiceAccount, metadata: {name: %s}}`
)

// tokenOf returns a token of a ServiceAccount.
func tokenOf(t *testing.T, namespace, name string) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	request := &authenticationv1.TokenRequest{}
	if err := api.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// kubeconfigOf writes a kubeconfig file for a ServiceAccount.
func kubeconfigOf(t *testing.T, namespace, name string) (path string) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(cluster.KubeconfigPath())
	if err != nil {
		t.Fatal(err)
	}
	for user := range config.AuthInfos {
		config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: tokenOf(t, namespace, name)}
	}
	path = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestServiceAccount has a host act as the account of a controller, which lacks one right after the other.
func TestServiceAccount(t *testing.T) {
	l, module := newLive(t), buildVersion(t, "v1")
	for _, object := range []string{
		fmt.Sprintf(accountObject, "host"), fmt.Sprintf(accountObject, "site"), hostRole,
		fmt.Sprintf(binding, "host"), fmt.Sprintf(binding, "site"),
	} {
		create(t, l.namespace, object)
	}
	l.mount(t, l.controllers("one")+"  serviceAccount: "+l.namespace+"/site\n", module)
	args := []string{"--metrics-bind-address", l.metrics, "--kubeconfig", kubeconfigOf(t, l.namespace, "host"), "--report-leftovers=false"}
	object := create(t, l.namespace, fmt.Sprintf(liveObject, "a", "one"))
	runWith(t, l.path(), args, func(h *host) {
		// It may not read: the controller does not run, and says why.
		l.status(t, func(status *engine.Status) error {
			if want := "ServiceAccount " + l.namespace + "/site may not list electeds.test.wasmloop.dev in namespace " + l.namespace; !strings.Contains(status.Controllers[0].Trouble, want) {
				return fmt.Errorf("the trouble is %q, want %q", status.Controllers[0].Trouble, want)
			}
			return states("one lacking rights")(status)
		})
		waitForEventOn(t, l.namespace, "ServiceAccount", "site", "Forbidden", "controller one does not run", "list electeds.test.wasmloop.dev", "watch configmaps")
		h.waitForLog(t, "controller does not run before it has the rights that it lacks")

		// It may read, but not write: an event on the object says so.
		role := create(t, l.namespace, fmt.Sprintf(siteRole, ""))
		l.status(t, states("one running"))
		waitForWarning(t, object, "ApplyFailed", `cannot patch resource "configmaps"`, "system:serviceaccount:"+l.namespace+":site")

		// It may write.
		remove(t, role)
		create(t, l.namespace, fmt.Sprintf(siteRole, ", create, patch, delete"))
		waitFor(t, "v1", "ConfigMap", l.namespace, "a", exists)
	})
}

// TestTokenFile has a host use the token of an account, with no right to act as another.
func TestTokenFile(t *testing.T) {
	l, module := newLive(t), buildVersion(t, "v1")
	for _, object := range []string{
		fmt.Sprintf(accountObject, "host"), fmt.Sprintf(accountObject, "site"), fmt.Sprintf(siteRole, ", create, patch, delete"), fmt.Sprintf(binding, "site"),
	} {
		create(t, l.namespace, object)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(tokenOf(t, l.namespace, "site")), 0o600); err != nil {
		t.Fatal(err)
	}
	l.mount(t, l.controllers("one")+"  tokenFile: "+token+"\n", module)
	create(t, l.namespace, fmt.Sprintf(liveObject, "a", "one"))
	args := []string{"--metrics-bind-address", l.metrics, "--kubeconfig", kubeconfigOf(t, l.namespace, "host"), "--report-leftovers=false"}
	runWith(t, l.path(), args, func(*host) {
		waitFor(t, "v1", "ConfigMap", l.namespace, "a", exists)
	})
}

// waitForEventOn waits for a Warning event about an object that has all the parts in its message.
func waitForEventOn(t *testing.T, namespace, kind, name, reason string, parts ...string) {
	t.Helper()
	eventually(t, func() error {
		events := &corev1.EventList{}
		if err := api.List(t.Context(), events, client.InNamespace(namespace)); err != nil {
			return err
		}
		for _, event := range events.Items {
			about := event.InvolvedObject
			if about.Kind == kind && about.Name == name && event.Reason == reason && event.Type == corev1.EventTypeWarning && process.HasAll(event.Message, parts) {
				return nil
			}
		}
		return fmt.Errorf("no event %s on %s %s has all of %q", reason, kind, name, parts)
	})
}

const metricsRole = `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: %[1]s}, rules: [{nonResourceURLs: [/metrics, /status], verbs: [get]}]}`

// readers makes the accounts reader, which may read metrics and status, and stranger, with files of those names that have their
// tokens. What it returns takes the right away again.
func (l *live) readers(t *testing.T) (remover func()) {
	t.Helper()
	for _, name := range []string{"reader", "stranger"} {
		create(t, l.namespace, fmt.Sprintf(accountObject, name))
		write(t, filepath.Join(l.folder, name), tokenOf(t, l.namespace, name))
	}
	role := create(t, "", fmt.Sprintf(metricsRole, l.namespace))
	bound := create(t, "", fmt.Sprintf(`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: %[1]s},
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}, subjects: [{kind: ServiceAccount, name: reader, namespace: %[1]s}]}`, l.namespace))
	return func() { remove(t, bound); remove(t, role) }
}

// TestSecureMetrics has metrics and status shown over TLS to an account that may get them, and to no other.
func TestSecureMetrics(t *testing.T) {
	l, module := newLive(t), buildVersion(t, "v1")
	l.mount(t, l.controllers("one"), module)
	defer l.readers(t)()
	runWith(t, l.path(), []string{"--metrics-bind-address", l.metrics, "--metrics-secure"}, func(*host) {
		ask := func(flags ...string) answer {
			return command(t, append([]string{"status", "--address", "https://" + l.metrics}, flags...)...)
		}
		eventually(t, func() error {
			got := ask("--token-file", filepath.Join(l.folder, "reader"), "--insecure-skip-tls-verify")
			if got.code != 0 || !strings.Contains(got.stdout, "one") {
				return fmt.Errorf("the one who may: %+v", got)
			}
			return nil
		})
		for name, flags := range map[string][]string{
			"403 Forbidden":    {"--insecure-skip-tls-verify", "--token-file", filepath.Join(l.folder, "stranger")},
			"401 Unauthorized": {"--insecure-skip-tls-verify"},
			"certificate":      {"--token-file", filepath.Join(l.folder, "reader")},
		} {
			if got := ask(flags...); got.code == 0 || !strings.Contains(got.stderr, name) {
				t.Errorf("want an answer with %q, got %+v", name, got)
			}
		}
		if got := command(t, "status", "--address", l.metrics); !strings.Contains(got.stderr, "--address https://") {
			t.Errorf("one who asks without TLS is not told so: %+v", got)
		}
		if got := command(t, "status", "--address", l.metrics, "--token-file", filepath.Join(l.folder, "reader")); !strings.Contains(got.stderr, "without encryption") {
			t.Errorf("a token goes over an open line: %+v", got)
		}
	})
}
