package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var (
	killsFlag    = flag.Int("kills", 10, "kill the host as often in TestKills")
	killSeedFlag = flag.Uint64("killseed", 0, "what TestKills does at random comes from this seed; 0: another one each time")
)

const familiesConfig = `
apiVersion: wasmloop.dev/v1alpha1
kind: HostConfig
modules:
  families: {source: file://%s/families.wasm}
controllers:
- name: families
  module: families
  for: {apiVersion: test.wasmloop.dev/v1, kind: Family}
  owns:
  - {apiVersion: v1, kind: ConfigMap, namespaces: [%s]}
  - {apiVersion: v1, kind: Secret}
  - {apiVersion: v1, kind: ServiceAccount}
`

// loaded is what the log says when a host is ready to call the module.
var loaded = []string{"module loaded", `"controller":"families"`}

// TestKills kills the host without warning, time and again, while users make, change and delete objects and children. After
// that all is as if it had never been killed.
func TestKills(t *testing.T) {
	seed := *killSeedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-killseed %d", seed)
	k := newKillings(t, rand.New(rand.NewPCG(seed, 0)))
	shared.waitForLog(t, "module loaded", `"controller":"later"`) // compiling its modules takes all the machine
	h := k.start()
	h.waitForLog(t, loaded...) // from now on it is compiled
	k.kill(h)
	done := 0
	for range *killsFlag {
		h := k.start()
		k.live(h)
		k.kill(h)
		done += strings.Count(h.Log(), `"msg":"child `)
		if k.random.IntN(2) == 0 {
			k.act() // while it is down
		}
	}
	t.Logf("the hosts that were killed did %d things to children", done)
	h = k.start()
	defer func() {
		k.kill(h)
		if t.Failed() { // also when the test has ended meanwhile
			t.Logf("the last host says:\n%s\nand there are:\n%s", h.Log(), k.dump())
		}
	}()
	eventually(t, k.converged)
	settled := k.versions()
	k.kill(h)
	h = k.start()
	h.waitForLog(t, "Starting workers", `"controller":"families"`)
	time.Sleep(time.Second)
	if diff := cmp.Diff(settled, k.versions()); diff != "" {
		t.Errorf("one more restart changes something, -before +after:\n%s", diff)
	}
}

// killings are a host that is killed and what it works on.
type killings struct {
	t            *testing.T
	ctx          context.Context //nolint:containedctx // it is that of the test, until that is over
	random       *rand.Rand
	config       string
	home, abroad string
	// families are those that should exist, with their specs.
	families map[string]map[string]any
	// foreign are the objects of others, as they were made.
	foreign []*unstructured.Unstructured
}

// families is how many objects there are at most.
const families = 20

func newKillings(t *testing.T, random *rand.Rand) *killings {
	t.Helper()
	wasm := []string{"GOOS=wasip1", "GOARCH=wasm"}
	if err := goBuild(wasm, "families.wasm", "./testdata/modules/families", "-buildmode=c-shared"); err != nil {
		t.Fatal(err)
	}
	k := &killings{t: t, ctx: t.Context(), random: random, home: newNamespace(t), abroad: newNamespace(t), families: map[string]map[string]any{}}
	k.config = filepath.Join(t.TempDir(), "config.yaml")
	write(t, k.config, fmt.Sprintf(familiesConfig, built, k.abroad))
	for _, namespace := range []string{k.home, k.abroad} {
		k.foreign = append(k.foreign, create(t, namespace, fmt.Sprintf(
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: foreign, annotations: {wasmloop.dev/owned-by: families/no-such/ConfigMap/%s/another, wasmloop.dev/applied: copied}}}`, namespace)))
	}
	t.Cleanup(k.clear)
	return k
}

// clear lets all objects go that the test has made, also without a host.
func (k *killings) clear() {
	k.ctx = context.WithoutCancel(k.ctx)
	for _, family := range k.list("test.wasmloop.dev/v1", "Family", k.home) {
		family.SetFinalizers(nil)
		k.forgive(api.Update(k.ctx, family))
	}
}

func (k *killings) start() *host {
	k.t.Helper()
	h, err := startHost(hostOptions{config: k.config})
	if err != nil {
		k.t.Fatal(err)
	}
	return h
}

// kill is kill -9: the process does not get to do anything about it.
func (k *killings) kill(h *host) {
	k.t.Helper()
	if err := h.Kill(); err != nil {
		k.t.Errorf("the host has ended by itself: %v\n%s", err, h.Log())
	}
}

// live has users work until the moment at which the host is killed: while it starts, at work, or at rest.
func (k *killings) live(h *host) {
	k.t.Helper()
	if k.random.IntN(4) > 0 {
		h.waitForLog(k.t, loaded...)
	}
	for end := time.Now().Add(time.Duration(k.random.IntN(1000)) * time.Millisecond); time.Now().Before(end); {
		k.act()
		time.Sleep(time.Duration(k.random.IntN(40)) * time.Millisecond)
	}
}

// act has a user do something.
func (k *killings) act() {
	k.t.Helper()
	name := fmt.Sprintf("family-%d", k.random.IntN(families))
	spec, there := k.families[name]
	switch action := k.random.IntN(10); {
	case !there:
		k.make(name)
	case action == 0:
		k.forgive(api.Delete(k.ctx, k.named("test.wasmloop.dev/v1", "Family", name)))
		delete(k.families, name)
	case action < 4:
		k.change(name)
	case action < 6:
		for _, member := range spec["members"].([]any) {
			k.forgive(api.Delete(k.ctx, k.named("v1", "Secret", member.(string))))
		}
	default:
		k.edit(spec)
	}
}

// forgive fails unless an error says that somebody else was faster.
func (k *killings) forgive(err error) {
	k.t.Helper()
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
		k.t.Fatal(err)
	}
}

// spec makes up what a family is to be.
func (k *killings) spec(name string) map[string]any {
	members := []any{}
	for i := range 3 {
		if k.random.IntN(3) > 0 {
			members = append(members, fmt.Sprintf("%s-%d", name, i))
		}
	}
	spec := map[string]any{"members": members, "text": fmt.Sprint(k.random.IntN(1000))}
	if k.random.IntN(2) == 0 {
		spec["abroad"] = k.abroad
	}
	return spec
}

func (k *killings) make(name string) {
	k.t.Helper()
	made := k.named("test.wasmloop.dev/v1", "Family", name)
	spec := k.spec(name)
	made.Object["spec"] = spec
	switch err := api.Create(k.ctx, made); {
	case apierrors.IsAlreadyExists(err): // the old one is going
	case err != nil:
		k.t.Fatal(err)
	default:
		k.families[name] = spec
	}
}

func (k *killings) change(name string) {
	k.t.Helper()
	live := k.named("test.wasmloop.dev/v1", "Family", name)
	if err := api.Get(k.ctx, client.ObjectKeyFromObject(live), live); err != nil {
		k.t.Fatal(err)
	}
	spec := k.spec(name)
	live.Object["spec"] = spec
	err := api.Update(k.ctx, live)
	k.forgive(err)
	if err == nil {
		k.families[name] = spec
	}
}

// edit changes the children of a family, as far as there are any.
func (k *killings) edit(spec map[string]any) {
	k.t.Helper()
	for _, member := range spec["members"].([]any) {
		live := k.named("v1", "ConfigMap", member.(string))
		if api.Get(k.ctx, client.ObjectKeyFromObject(live), live) != nil {
			continue
		}
		live.Object["data"] = map[string]any{"text": "edited by hand"}
		k.forgive(api.Update(k.ctx, live))
	}
}

func (k *killings) named(apiVersion, kind, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(apiVersion)
	object.SetKind(kind)
	object.SetNamespace(k.home)
	object.SetName(name)
	return object
}

func (k *killings) list(apiVersion, kind, namespace string) (found []*unstructured.Unstructured) {
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion(apiVersion)
	list.SetKind(kind + "List")
	if err := api.List(k.ctx, list, client.InNamespace(namespace)); err != nil {
		k.t.Error(err)
	}
	for i := range list.Items {
		found = append(found, &list.Items[i])
	}
	return found
}

// converged says what is not as it should be.
func (k *killings) converged() error {
	var errs []error
	wanted := map[string]string{} // children, with the text that they should have
	for name, spec := range k.families {
		text := spec["text"].(string)
		for _, member := range spec["members"].([]any) {
			wanted[fmt.Sprintf("ConfigMap %s/%s", k.home, member)] = text
			wanted[fmt.Sprintf("Secret %s/%s", k.home, member)] = ""
			wanted[fmt.Sprintf("ServiceAccount %s/%s", k.home, member)] = ""
		}
		if spec["abroad"] != nil {
			wanted[fmt.Sprintf("ConfigMap %s/%s", k.abroad, name)] = text
		}
		errs = append(errs, k.hasStatus(name, text))
	}
	errs = append(errs, k.untouched())
	if diff := cmp.Diff(wanted, k.children()); diff != "" {
		errs = append(errs, fmt.Errorf("children -want +got:\n%s", diff))
	}
	var there []string
	for _, family := range k.list("test.wasmloop.dev/v1", "Family", k.home) {
		there = append(there, family.GetName())
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(k.families)), there); diff != "" {
		errs = append(errs, fmt.Errorf("objects -want +got:\n%s", diff))
	}
	return errors.Join(errs...)
}

func (k *killings) hasStatus(name, text string) error {
	live := k.named("test.wasmloop.dev/v1", "Family", name)
	if err := api.Get(k.ctx, client.ObjectKeyFromObject(live), live); err != nil {
		return err
	}
	return field(text, "status", "text")(live)
}

// children returns all that carries our annotation or an owner reference to a family, with its text.
func (k *killings) children() map[string]string {
	found := map[string]string{}
	for _, namespace := range []string{k.home, k.abroad} {
		for _, kind := range []string{"ConfigMap", "Secret", "ServiceAccount"} {
			for _, each := range k.list("v1", kind, namespace) {
				_, claims := each.GetAnnotations()["wasmloop.dev/owned-by"]
				if each.GetName() == "foreign" || !claims && len(each.GetOwnerReferences()) == 0 {
					continue
				}
				text, _, _ := unstructured.NestedString(each.Object, "data", "text")
				found[fmt.Sprintf("%s %s/%s", kind, namespace, each.GetName())] = text
			}
		}
	}
	return found
}

// untouched says whether what others have made is as they made it.
func (k *killings) untouched() error {
	for _, made := range k.foreign {
		live, err := get(k.t, made.GetAPIVersion(), made.GetKind(), made.GetNamespace(), made.GetName())
		if err != nil {
			return err
		}
		if diff := cmp.Diff(made.Object, live.Object); diff != "" {
			return fmt.Errorf("%s of others was changed: -made +is:\n%s", made.GetName(), diff)
		}
	}
	return nil
}

// dump returns all objects, and the children of which only an annotation says whose they are.
func (k *killings) dump() string {
	var b strings.Builder
	for _, each := range slices.Concat(k.list("test.wasmloop.dev/v1", "Family", k.home), k.list("v1", "ConfigMap", k.abroad)) {
		text, err := each.MarshalJSON()
		if err != nil {
			k.t.Error(err)
		}
		b.Write(text)
	}
	return b.String()
}

// versions returns the resourceVersions of all objects and children.
func (k *killings) versions() map[string]string {
	versions := map[string]string{}
	for _, namespace := range []string{k.home, k.abroad} {
		for _, kind := range []string{"v1 ConfigMap", "v1 Secret", "v1 ServiceAccount", "test.wasmloop.dev/v1 Family"} {
			apiVersion, name, _ := strings.Cut(kind, " ")
			for _, each := range k.list(apiVersion, name, namespace) {
				versions[name+" "+namespace+"/"+each.GetName()] = each.GetResourceVersion()
			}
		}
	}
	return versions
}
