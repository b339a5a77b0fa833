package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wasmloop/wasmloop/host/internal/config"
)

const (
	readerRole = `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: reader}, rules: [
  {apiGroups: [engine.test], resources: ["*"], verbs: ["*"]}]}`
	readerBinding = `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: reader},
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}, subjects: [{kind: ServiceAccount, name: reader}]}`
)

// TestRightsAreReviewed takes an account its right to read while the controller runs, gives it back, and at last takes the account
// itself away: what is watched goes on for as long as the API server lets it, unless somebody looks.
func TestRightsAreReviewed(t *testing.T) {
	r := newRoom(t, cluster, func(namespace string, entry *config.Controller) {
		setup := &room{t: t}
		var err error
		if setup.api, err = client.New(cluster, client.Options{}); err != nil {
			t.Fatal(err)
		}
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "reader"}}
		if err := setup.api.Create(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		setup.create(namespace, readerRole)
		setup.create(namespace, readerBinding)
		request := &authenticationv1.TokenRequest{}
		if err := setup.api.SubResource("token").Create(t.Context(), account, request); err != nil {
			t.Fatal(err)
		}
		entry.Name, entry.TokenFile, entry.Related = "reviewed", filepath.Join(t.TempDir(), "token"), config.Related{}
		if err := os.WriteFile(entry.TokenFile, []byte(request.Status.Token), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	r.becomes(stateRunning, "")
	r.delete(objectOf(t, readerBinding), "reader")
	r.becomes(stateLacking, "may not list modern.engine.test in namespace "+r.namespace)
	r.create(r.namespace, readerBinding)
	r.becomes(stateRunning, "")
	r.delete(&corev1.ServiceAccount{}, "reader")
	r.becomes(stateLacking, "Unauthorized")
}

func (r *room) delete(object client.Object, name string) {
	r.t.Helper()
	object.SetNamespace(r.namespace)
	object.SetName(name)
	if err := r.api.Delete(r.t.Context(), object); err != nil {
		r.t.Fatal(err)
	}
}

// becomes waits for a state of the controller, of which the metric tells, too.
func (r *room) becomes(state, trouble string) {
	r.t.Helper()
	eventually(r.t, func() error {
		var status ControllerStatus
		r.runner.describe(&status)
		if status.State != state || !strings.Contains(status.Trouble, trouble) {
			return fmt.Errorf("it is %s, %q; want %s, %q", status.State, status.Trouble, state, trouble)
		}
		if lacks := gauge(r.t, lacking.WithLabelValues(r.runner.entry.Name)) == 1; lacks != (state == stateLacking) {
			return errors.New("the metric says something else")
		}
		return nil
	})
}
