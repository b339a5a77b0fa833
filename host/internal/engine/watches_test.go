package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

func gauge(t *testing.T, of prometheus.Gauge) float64 {
	t.Helper()
	var metric dto.Metric
	if err := of.Write(&metric); err != nil {
		t.Fatal(err)
	}
	return metric.GetGauge().GetValue()
}

func counter(t *testing.T, of prometheus.Counter) float64 {
	t.Helper()
	var metric dto.Metric
	if err := of.Write(&metric); err != nil {
		t.Fatal(err)
	}
	return metric.GetCounter().GetValue()
}

// TestPlan says what the API server is asked for.
func TestPlan(t *testing.T) {
	tests := map[string]struct {
		reason string
		entry  string
		// fors and owned are what is watched, left what the host selects by itself.
		fors, owned []string
		left        string
	}{
		"all": {"nothing is said", `for: {apiVersion: engine.test/v1, kind: Modern}`, []string{"Modern"}, nil, ""},
		"labels": {
			"the API server selects by labels",
			`for: {apiVersion: engine.test/v1, kind: Modern, labelSelector: {matchLabels: {a: b}}}`,
			[]string{"Modern labels a=b"},
			nil, "",
		},
		"annotations": {
			"the API server knows no selector of annotations",
			`for: {apiVersion: engine.test/v1, kind: Modern, annotationSelector: {matchLabels: {a: b}}}`,
			[]string{"Modern"},
			nil, "annotations a=b",
		},
		"fields that the API server knows": {
			"", `for: {apiVersion: v1, kind: Pod, fieldSelector: "spec.nodeName=n,metadata.name!=x"}`, []string{"Pod fields metadata.name!=x,spec.nodeName=n"}, nil, "",
		},
		"fields that it does not know": {
			"names it always knows",
			`for: {apiVersion: engine.test/v1, kind: Modern, fieldSelector: "metadata.name=x,spec.size=1"}`,
			[]string{"Modern fields metadata.name=x"},
			nil, "fields metadata.name=x,spec.size=1",
		},
		"namespaces": {
			"a watch in each needs no rights beyond",
			"for: {apiVersion: engine.test/v1, kind: Modern, namespaces: [b, a], labelSelector: {matchLabels: {a: b}}}\nowns: [{apiVersion: v1, kind: ConfigMap}, {apiVersion: v1, kind: Secret}]",
			[]string{"a/Modern labels a=b", "b/Modern labels a=b"},
			[]string{"a/ConfigMap", "a/Secret", "b/ConfigMap", "b/Secret"},
			"",
		},
		"children in other namespaces": {
			"an object that lets go of its children must be seen when it is not selected any more",
			"for: {apiVersion: engine.test/v1, kind: Modern, namespaces: [a], labelSelector: {matchLabels: {a: b}}}\nowns: [{apiVersion: v1, kind: ConfigMap, namespaces: [c]}]",
			[]string{"a/Modern"},
			[]string{"a/ConfigMap", "c/ConfigMap"},
			"labels a=b",
		},
		"cluster-scoped children": {
			"likewise",
			"for: {apiVersion: engine.test/v1, kind: Modern, namespaces: [a], fieldSelector: metadata.name=x}\nowns: [{apiVersion: engine.test/v1, kind: Plain}]",
			[]string{"a/Modern"},
			[]string{"Plain"},
			"fields metadata.name=x",
		},
		"finalize": {
			"likewise", "finalize: true\nfor: {apiVersion: engine.test/v1, kind: Modern, labelSelector: {matchLabels: {a: b}}}",
			[]string{"Modern"},
			nil, "labels a=b",
		},
		"cluster-scoped": {
			"its children go with it, wherever they are",
			"for: {apiVersion: engine.test/v1, kind: Plain, labelSelector: {matchLabels: {a: b}}}\nowns: [{apiVersion: v1, kind: ConfigMap, namespaces: [c]}]",
			[]string{"Plain labels a=b"},
			[]string{"ConfigMap"},
			"",
		},
		"owned, too": {
			"children are looked for among all",
			"for: {apiVersion: v1, kind: ConfigMap, metadataOnly: true, labelSelector: {matchLabels: {a: b}}}\nowns: [{apiVersion: v1, kind: ConfigMap}]",
			[]string{"ConfigMap"},
			[]string{"ConfigMap"},
			"labels a=b",
		},
		"fields kept": {
			"what the host selects by is kept beside what the module sees",
			`for: {apiVersion: engine.test/v1, kind: Modern, fields: [spec.a], labelSelector: {matchLabels: {a: b}}, annotationSelector: {matchLabels: {a: b}}}`,
			[]string{"Modern labels a=b keep metadata.annotations,spec.a"},
			nil, "annotations a=b",
		},
		"metadata": {"", `for: {apiVersion: engine.test/v1, kind: Modern, metadataOnly: true}`, []string{"Modern metadata"}, nil, ""},
	}
	e := engineOf(t, cluster)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			conf, err := config.Parse("config.yaml", []byte("apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules: {m: {source: 'file://m.wasm'}}\ncontrollers:\n- name: c\n  module: m\n  "+
				strings.ReplaceAll(tt.entry, "\n", "\n  ")))
			if err != nil {
				t.Fatal(err)
			}
			r := &runner{engine: e, account: e.own, entry: conf.Controllers[0]}
			fors, err := e.kinds.wait(t.Context(), logr.Discard(), "c", r.entry.ForKinds())
			if err != nil {
				t.Fatal(err)
			}
			owned, err := r.owned(t.Context(), logr.Discard())
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.plan(t.Context(), fors, owned)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([][]string{tt.fors, tt.owned}, [][]string{described(got.fors[0].selections), described(got.owned)}); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
			var left []string
			selector := got.fors[0].selector
			if selector.Labels != nil {
				left = append(left, "labels "+selector.Labels.String())
			}
			if selector.Annotations != nil {
				left = append(left, "annotations "+selector.Annotations.String())
			}
			if selector.Fields != nil && !selector.Fields.Empty() {
				left = append(left, "fields "+selector.Fields.String())
			}
			if diff := cmp.Diff(tt.left, strings.Join(left, " ")); diff != "" {
				t.Errorf("what the host selects by: %s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

func described(selections []kube.Selection) (described []string) {
	for _, s := range selections {
		text := s.Kind
		if s.Namespace != "" {
			text = s.Namespace + "/" + text
		}
		if s.Labels != "" {
			text += " labels " + s.Labels
		}
		if s.Fields != "" {
			text += " fields " + s.Fields
		}
		if s.MetadataOnly {
			text += " metadata"
		}
		if s.Keep != "" {
			text += " keep " + string(s.Keep)
		}
		described = append(described, text)
	}
	slices.Sort(described)
	return described
}

// TestRelatedSelections says what of a related kind is watched: what the rules and the module may ask for at the most.
func TestRelatedSelections(t *testing.T) {
	tests := map[string]struct {
		reason  string
		related string
		want    []string
	}{
		"own namespace":   {"that of the objects that are reconciled", `rules: [{apiVersion: v1, kind: ConfigMap}]`, []string{"a/ConfigMap", "b/ConfigMap"}},
		"one object":      {"no other is held", `rules: [{apiVersion: v1, kind: ConfigMap, namespace: x, names: [y]}]`, []string{"x/ConfigMap fields metadata.name=y"}},
		"some objects":    {"a right to each of them will do", `rules: [{apiVersion: v1, kind: ConfigMap, namespace: x, names: [y, z]}]`, []string{"x/ConfigMap fields metadata.name=y", "x/ConfigMap fields metadata.name=z"}},
		"many objects":    {"a watch of each would cost more", `rules: [{apiVersion: v1, kind: ConfigMap, namespace: x, names: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q]}]`, []string{"x/ConfigMap"}},
		"labels":          {"", `rules: [{apiVersion: v1, kind: ConfigMap, namespace: "*", labelSelector: {matchLabels: {a: b}}}]`, []string{"ConfigMap labels a=b"}},
		"other labels":    {"both must be found", `rules: [{apiVersion: v1, kind: ConfigMap, labelSelector: {matchLabels: {a: b}}}, {apiVersion: v1, kind: ConfigMap, namespace: x, names: [y]}]`, []string{"a/ConfigMap", "b/ConfigMap", "x/ConfigMap"}},
		"allowed":         {"", `allow: [{apiVersion: v1, kind: ConfigMap, namespaces: [x], names: [y]}]`, []string{"a/ConfigMap fields metadata.name=y", "b/ConfigMap fields metadata.name=y", "x/ConfigMap fields metadata.name=y"}},
		"all allowed":     {"", `allow: [{apiVersion: v1, kind: ConfigMap, namespaces: ["*"], metadataOnly: true}]`, []string{"ConfigMap metadata"}},
		"fields":          {"", `allow: [{apiVersion: v1, kind: ConfigMap, namespaces: ["*"], fields: [data.a]}]`, []string{"ConfigMap keep data.a"}},
		"of another kind": {"", `allow: [{apiVersion: v1, kind: Secret, namespaces: [x]}, {apiVersion: v1, kind: ConfigMap}]`, []string{"a/ConfigMap", "b/ConfigMap"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			conf, err := config.Parse("config.yaml", []byte("apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules: {m: {source: 'file://m.wasm'}}\ncontrollers:\n- name: c\n  module: m\n"+
				"  for: {apiVersion: engine.test/v1, kind: Modern, namespaces: [a, b]}\n  related: {"+tt.related+"}"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := relatedSelections(&conf.Controllers[0], configMaps, true)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, described(got)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// labelled has a controller select by labels.
func labelled(_ string, entry *config.Controller) {
	entry.For[0].LabelSelector = &config.LabelSelector{MatchLabels: map[string]string{"managed": "yes"}}
}

// count waits until the module was called so often for a Modern.
func (r *room) count(name string, want int) {
	r.t.Helper()
	eventually(r.t, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.calls[name] != want {
			return fmt.Errorf("the module was called %d times for %s, want %d", r.calls[name], name, want)
		}
		return nil
	})
}

// relabel sets the labels of a Modern.
func (r *room) relabel(name string, labels map[string]string) {
	r.t.Helper()
	object := r.read(modern, name)
	object.SetLabels(labels)
	r.update(object)
}

func (r *room) read(kind schema.GroupVersionKind, name string) *unstructured.Unstructured {
	r.t.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	if err := r.api.Get(r.t.Context(), types.NamespacedName{Namespace: r.namespace, Name: name}, object); err != nil {
		r.t.Fatal(err)
	}
	return object
}

// TestSelectedByTheServer has objects come and go as their labels change.
func TestSelectedByTheServer(t *testing.T) {
	r := newRoom(t, cluster, labelled)
	r.modern("a", "")
	r.modern("b", "")
	r.relabel("b", map[string]string{"managed": "yes"})
	r.count("b", 1)
	r.relabel("b", map[string]string{"managed": "no"})
	r.relabel("a", map[string]string{"managed": "yes"})
	r.count("a", 1)
	r.relabel("b", map[string]string{"managed": "yes", "again": "yes"})
	r.count("b", 2)
	r.count("a", 1)
}

// TestPartial has the cache hold a part of each object, and the module write to what it does not hold.
func TestPartial(t *testing.T) {
	for name, project := range map[string]func(*config.Reconciled){
		"fields":   func(r *config.Reconciled) { r.Fields = []string{"metadata.labels"} },
		"metadata": func(r *config.Reconciled) { r.MetadataOnly, r.Fields = true, []string{"metadata.labels"} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t, cluster, func(_ string, entry *config.Controller) { project(&entry.For[0]) })
			r.mu.Lock()
			r.answer = func(*abi.Request) string {
				return `{"status":{"conditions":[{"type":"Ready","status":"True"}]},"annotations":{"asks":"nothing"}}`
			}
			r.mu.Unlock()
			r.modern("a", "something")
			eventually(t, func() error {
				object := r.read(modern, "a")
				conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
				if asks := object.GetAnnotations()["asks"]; asks != "nothing" || len(conditions) != 1 {
					r.mu.Lock()
					defer r.mu.Unlock()
					return fmt.Errorf("got the annotation %q and the conditions %v; the host says %v", asks, conditions, r.fail)
				}
				return nil
			})
			r.mu.Lock()
			shown := string(r.last["a"].Object)
			r.mu.Unlock()
			if strings.Contains(shown, "annotations") || strings.Contains(shown, "status") {
				t.Errorf("the module sees what it is not to: %s", shown)
			}
			r.relabel("a", map[string]string{"x": "y"})
			eventually(t, func() error {
				r.mu.Lock()
				defer r.mu.Unlock()
				if shown := string(r.last["a"].Object); !strings.Contains(shown, `"labels":{"x":"y"}`) {
					return fmt.Errorf("the module has seen %s", shown)
				}
				return nil
			})
			conditions, _, _ := unstructured.NestedSlice(r.read(modern, "a").Object, "status", "conditions")
			if len(conditions) != 1 {
				t.Errorf("what it does not hold stays as it is: got %v", conditions)
			}
		})
	}
}

// TestNamespaceSelector has objects looked at again when their namespace's labels change.
func TestNamespaceSelector(t *testing.T) {
	r := newRoom(t, cluster, func(namespace string, entry *config.Controller) {
		entry.For[0].Namespaces = nil
		entry.For[0].NamespaceSelector = &config.LabelSelector{MatchLabels: map[string]string{"selector-test": namespace}}
	})
	r.modern("a", "")
	namespace := func(label string) {
		t.Helper()
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"})
		if err := r.api.Get(t.Context(), types.NamespacedName{Name: r.namespace}, object); err != nil {
			t.Fatal(err)
		}
		object.SetLabels(map[string]string{"selector-test": label})
		r.update(object)
	}
	namespace(r.namespace)
	r.count("a", 1)
	namespace("no")
	r.relabel("a", map[string]string{"b": "c"})
	namespace(r.namespace)
	r.count("a", 2)
}

// passing is a CRD that comes and goes, in one scope or the other.
func passing(name, scope string) string {
	return `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ` + name + `.engine.test}
spec:
  group: engine.test
  scope: ` + scope + `
  names: {kind: ` + strings.ToUpper(name[:1]) + name[1:] + `, plural: ` + name + `, singular: ` + name + `}
  versions: [{name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`
}

// removeDefinition deletes a CRD, and waits until the API server serves it no more.
func (r *room) removeDefinition(name string) {
	r.t.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	object.SetName(name + ".engine.test")
	if err := r.api.Delete(r.t.Context(), object); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, func() error {
		if err := r.api.Get(r.t.Context(), types.NamespacedName{Name: object.GetName()}, object); err == nil || !apierrors.IsNotFound(err) {
			return errors.Join(errors.New("it is still there"), err)
		}
		return nil
	})
}

// createSoon creates an object of a kind that will be served soon.
func (r *room) createSoon(namespace, text string) {
	r.t.Helper()
	eventually(r.t, func() error {
		object := objectOf(r.t, text)
		object.SetNamespace(namespace)
		return r.api.Create(r.t.Context(), object)
	})
}

// TestKindGoesAndComes has a controller wait for the kind that it reconciles, go on, wait again, and go on with a kind of
// that name that is cluster-scoped.
func TestKindGoesAndComes(t *testing.T) {
	r := newRoom(t, cluster, func(_ string, entry *config.Controller) {
		entry.Name = "waiter"
		entry.For = []config.Reconciled{{GroupVersionKind: config.GroupVersionKind{APIVersion: "engine.test/v1", Kind: "Passing"}}}
	})
	r.mu.Lock()
	r.answer = func(*abi.Request) string { return `{"status":{"seen":"yes"}}` }
	r.mu.Unlock()
	metrics := func(isRunning, isMissing float64) {
		t.Helper()
		eventually(t, func() error {
			got := []float64{gauge(t, running.WithLabelValues("waiter")), gauge(t, missingKinds.WithLabelValues("waiter", "Passing", "engine.test/v1"))}
			if !slices.Equal(got, []float64{isRunning, isMissing}) {
				return fmt.Errorf("whether it runs and whether the kind is missing: got %v, want %v %v", got, isRunning, isMissing)
			}
			return nil
		})
	}
	metrics(0, 1)
	r.create("", passing("passing", "Namespaced"))
	r.createSoon(r.namespace, `{apiVersion: engine.test/v1, kind: Passing, metadata: {name: first}}`)
	r.count("first", 2) // and once more for its own status
	metrics(1, 0)
	r.removeDefinition("passing")
	metrics(0, 1)
	if left := r.engine.own.cache.Selections(); len(left) > 0 {
		t.Errorf("what waits watches nothing: got %v", left)
	}
	r.create("", passing("passing", "Cluster"))
	var err error
	if r.api, err = client.New(cluster, client.Options{}); err != nil { // the old one takes it for namespaced
		t.Fatal(err)
	}
	r.createSoon("", `{apiVersion: engine.test/v1, kind: Passing, metadata: {name: second}}`)
	r.count("second", 2)
	metrics(1, 0)
	eventually(t, func() error {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(schema.GroupVersionKind{Group: "engine.test", Version: "v1", Kind: "Passing"})
		if err := r.api.Get(t.Context(), types.NamespacedName{Name: "second"}, object); err != nil {
			return err
		}
		if seen, _, _ := unstructured.NestedString(object.Object, "status", "seen"); seen != "yes" {
			return fmt.Errorf("its status is %v", object.Object["status"])
		}
		return nil
	})
	r.removeDefinition("passing")
}

// TestRelatedKindGoes has those look again who asked for a kind that is gone, and again when it is back.
func TestRelatedKindGoes(t *testing.T) {
	ebbing := schema.GroupVersionKind{Group: "engine.test", Version: "v1", Kind: "Ebbing"}
	r := newRoom(t, cluster, func(_ string, entry *config.Controller) {
		entry.Related.Allow = append(entry.Related.Allow, config.AllowedRelated{GroupVersionKind: kindOf(ebbing)})
	})
	r.create("", passing("ebbing", "Namespaced"))
	r.createSoon(r.namespace, `{apiVersion: engine.test/v1, kind: Ebbing, metadata: {name: x}}`)
	r.modern("a", `{"apiVersion":"engine.test/v1","kind":"Ebbing"}`)
	r.seesOf("a", ebbing, 1)
	r.removeDefinition("ebbing")
	eventually(t, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !strings.Contains(r.fail["a"], "RelatedFailed: cannot read the related objects of kind Ebbing: ") {
			return fmt.Errorf("it says %q", r.fail["a"])
		}
		return nil
	})
	r.create("", passing("ebbing", "Namespaced"))
	r.createSoon(r.namespace, `{apiVersion: engine.test/v1, kind: Ebbing, metadata: {name: yy}}`)
	r.createSoon(r.namespace, `{apiVersion: engine.test/v1, kind: Ebbing, metadata: {name: zz}}`)
	r.seesOf("a", ebbing, 2)
	r.removeDefinition("ebbing")
}

// TestRelatedIdle ends the watch of a kind that nobody asks for any more, and begins anew for who asks later.
func TestRelatedIdle(t *testing.T) {
	r := newRoom(t, cluster)
	watching := func(want bool) {
		t.Helper()
		eventually(t, func() error {
			watched := slices.ContainsFunc(r.engine.own.cache.Selections(), func(s kube.Selection) bool { return s.GroupVersionKind == configMaps })
			if watched != want {
				return fmt.Errorf("ConfigMaps are watched: %t, want %t", watched, want)
			}
			return nil
		})
	}
	watching(false)
	r.configMap("x", "web", "v1")
	r.modern("a", `{"apiVersion":"v1","kind":"ConfigMap","names":["x"]}`)
	r.sees("a", "x=v1")
	watching(true)
	object := r.read(modern, "a")
	object.SetAnnotations(nil)
	r.update(object)
	watching(false)
	object = r.read(modern, "a")
	object.SetAnnotations(map[string]string{"asks": `{"apiVersion":"v1","kind":"ConfigMap","labelSelector":{"matchLabels":{"app":"web"}}}`})
	r.update(object)
	r.sees("a", "x=v1")
	watching(true)
	time.Sleep(5 * idleInTests) // as long as it is asked for, it stays
	watching(true)
}
