package apiserver

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestOwnedFields holds the fields that are found in one walk against those of structured-merge-diff, of objects as they are applied
// and with anything in them taken away, doubled, or something else.
func TestOwnedFields(t *testing.T) {
	server := newServer(t, Options{})
	random := rand.New(rand.NewPCG(3, 4))
	known, tried := 0, 0
	for name, text := range applied {
		for i := range 400 {
			changed := distorted(t, random, text, i%3)
			k := server.kinds[changed.GroupVersionKind()]
			if k == nil {
				continue
			}
			subresource := ""
			if k.status && i%2 == 0 {
				subresource = "status"
			}
			w := &write{server: server, kind: k, request: &Request{Subresource: subresource}}
			tried++
			got, ok := k.fields.of(changed.Object, k.without[subresource])
			if !ok {
				continue
			}
			known++
			want, err := w.ownedPaths(changed)
			if err != nil || !cmp.Equal(want, got) && len(want)+len(got) > 0 {
				t.Fatalf("%s: %v\n%#v: -paths +walk (%v)\n%s", name, changed, subresource, err, cmp.Diff(want, got))
			}
		}
	}
	t.Logf("%d of %d are found in one walk", known, tried)
	if known < tried/4 {
		t.Error("that is too few to hold anything against")
	}
}

// TestCreateAtOnce holds what creates an object of a custom kind at once against Kubernetes' field manager.
func TestCreateAtOnce(t *testing.T) {
	server := newServer(t, Options{})
	random := rand.New(rand.NewPCG(5, 6))
	known := 0
	for name, text := range applied {
		for i := range 400 {
			sent := distorted(t, random, text, i%3)
			k := server.kinds[sent.GroupVersionKind()]
			if k == nil || !k.custom {
				continue
			}
			w := &write{server: server, kind: k, request: &Request{Verb: Create, Manager: "m"}}
			decoded, err := w.decode(sent)
			if err != nil {
				continue
			}
			forgetSystemFields(decoded)
			want := w.managed(k.empty(), decoded.DeepCopy())
			got := w.createAtOnce(decoded)
			if got == nil {
				continue
			}
			if known++; !cmp.Equal(want.Object, got.Object) {
				t.Fatalf("%s: -field manager +at once\n%s", name, cmp.Diff(want.Object, got.Object))
			}
		}
	}
	t.Logf("%d are created at once", known)
	if known < 300 {
		t.Error("that is too few to hold anything against")
	}
}

// distorted returns an object with so many changes.
func distorted(t *testing.T, random *rand.Rand, text string, times int) *unstructured.Unstructured {
	t.Helper()
	changed := object(t, text)
	for range times {
		distort(random, changed.Object)
	}
	return changed
}

// distort changes something somewhere in a value.
func distort(random *rand.Rand, value any) {
	switch v := value.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		if len(keys) == 0 {
			return
		}
		key := keys[random.IntN(len(keys))]
		switch random.IntN(6) {
		case 0:
			delete(v, key)
		case 1:
			v[key] = anyValue(random, 2)
		case 2:
			v["unheard"] = anyValue(random, 2)
		default:
			distort(random, v[key])
		}
	case []any:
		if len(v) == 0 {
			return
		}
		i := random.IntN(len(v))
		switch random.IntN(5) {
		case 0:
			v[i] = anyValue(random, 2)
		case 1:
			other := (&unstructured.Unstructured{Object: map[string]any{"item": v[i]}}).DeepCopy().Object["item"]
			v[(i+1)%len(v)] = other
		default:
			distort(random, v[i])
		}
	}
}
