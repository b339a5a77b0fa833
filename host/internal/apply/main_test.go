package apply

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/localcluster/clustertest"
)

// What the tests share: an API server, and a client that stands for everybody but the Applier. Each test keeps to a
// namespace of its own.
var (
	cluster *rest.Config
	mapper  meta.RESTMapper
	api     client.Client
	shown   fresh
)

func TestMain(m *testing.M) {
	os.Exit(clustertest.Run(m, "testdata/crds.yaml", func(config *rest.Config) (err error) {
		cluster = config
		cluster.QPS = -1
		if api, err = client.New(cluster, client.Options{}); err != nil {
			return err
		}
		mapper = api.RESTMapper()
		shown.Client, err = clientOf(cluster)
		return err
	}))
}

func clientOf(config *rest.Config) (*kube.Client, error) {
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	return kube.NewClient(config, transport, mapper)
}

// fresh is a cache that never lags: it shows what the API server has.
type fresh struct{ *kube.Client }

func (f fresh) Get(ctx context.Context, id kube.ID) (*kube.Object, error) {
	object, err := f.Client.Get(ctx, id)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return object, err
}

// requests notes the requests that a client makes.
type requests struct {
	mu   sync.Mutex
	made []string
}

// take returns the requests since the last call, as METHOD RESOURCE/NAME, with /SUBRESOURCE.
func (r *requests) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	made := r.made
	r.made = nil
	return made
}

func (r *requests) note(request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	parts = parts[2:] // api/v1
	if !strings.HasPrefix(request.URL.Path, "/api/") {
		parts = parts[1:] // apis/GROUP/VERSION
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	r.made = append(r.made, request.Method+" "+strings.Join(parts, "/"))
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// bench is a namespace with an Applier for it, whose requests are noted.
type bench struct {
	*Applier
	requests  *requests
	namespace string
	owner     Owner
}

// newBench makes a namespace, which is also the owner of all that is applied: an owner may be of any kind.
func newBench(t *testing.T, options Options) *bench {
	t.Helper()
	b := &bench{requests: &requests{}}
	namespace := object(t, "{apiVersion: v1, kind: Namespace, metadata: {generateName: apply-}}")
	create(t, namespace)
	b.namespace = namespace.GetName()
	b.owner = OwnerOf("tester", observe(t, namespace))
	config := rest.CopyConfig(cluster)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			b.requests.note(request)
			return next.RoundTrip(request)
		})
	})
	writer, err := clientOf(config)
	if err != nil {
		t.Fatal(err)
	}
	b.Applier = New("tester", shown, writer, options)
	return b
}

// object parses an object.
func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	parsed := &unstructured.Unstructured{}
	encoded, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.UnmarshalJSON(encoded); err != nil {
		t.Fatal(err)
	}
	return parsed
}

// object parses an object and puts it into the bench's namespace, if it is of a kind that lives in one.
func (b *bench) object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	parsed := object(t, text)
	namespaced, err := api.IsObjectNamespaced(parsed)
	if err != nil {
		t.Fatal(err)
	}
	if namespaced {
		parsed.SetNamespace(b.namespace)
	}
	return parsed
}

func (b *bench) objects(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*unstructured.Unstructured
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		parsed = append(parsed, b.object(t, string(document)))
	}
	return parsed
}

func create(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	if err := api.Create(t.Context(), object, client.FieldOwner("somebody")); err != nil {
		t.Fatal(err)
	}
}

// identify returns an object that has no more than what names it.
func identify(object *unstructured.Unstructured) *unstructured.Unstructured {
	named := &unstructured.Unstructured{}
	named.SetGroupVersionKind(object.GroupVersionKind())
	named.SetName(object.GetName())
	named.SetNamespace(object.GetNamespace())
	return named
}

// observe returns an object as a cache shows it, nil if it is not there.
func observe(t *testing.T, object *unstructured.Unstructured) *kube.Object {
	t.Helper()
	found, err := shown.Get(t.Context(), idOf(object))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// exported lets cmp compare all there is of an object.
var exported = cmp.Exporter(func(reflect.Type) bool { return true })

// live returns an object as the API server has it.
func live(t *testing.T, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	found := identify(object)
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(object), found); err != nil {
		t.Fatal(err)
	}
	return found
}

// edit changes an object as somebody with kubectl edit does.
func edit(t *testing.T, object *unstructured.Unstructured, change func(map[string]any)) {
	t.Helper()
	found := live(t, object)
	change(found.Object)
	if err := api.Update(t.Context(), found, client.FieldOwner("somebody")); err != nil {
		t.Fatal(err)
	}
}

// set sets a field of a decoded object.
func set(t *testing.T, object map[string]any, value any, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(object, value, path...); err != nil {
		t.Fatal(err)
	}
}
