package apiserver

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Server is an API server and its storage. It is safe for concurrent use; what requests make of it is stored one after another.
type Server struct {
	options Options

	mu        sync.Mutex
	kinds     map[schema.GroupVersionKind]*kind
	resources map[schema.GroupVersionResource]*kind
	objects   map[schema.GroupKind]map[types.NamespacedName]*unstructured.Unstructured
	version   int64 // the resourceVersion of the last change
	made      int64 // how many names were made up
	births    map[string]uint64
	changes   []Change
	compacted int64         // the changes up to this resourceVersion are forgotten
	changed   chan struct{} // closed at the next change
	writes    int
}

// Options are the optional settings of a Server.
type Options struct {
	// CRDs define the custom kinds that are served from the start.
	CRDs []*apiextensionsv1.CustomResourceDefinition
	// Now is the server's clock, which several goroutines may read. nil: time.Now.
	Now func() time.Time
	// Seed goes into all UIDs, so that those of two servers differ.
	Seed uint32
	// AnyNamespace lets objects be created in namespaces that do not exist.
	AnyNamespace bool
	// Intercept is called around each request, with the server unlocked. It decides whether and when do is called, and what
	// the client hears: an error with an API status is the server's answer, any other error a broken connection. So it can
	// refuse a request, carry it out and lose the answer, delay it, or stop its client before or after. nil: it just does it.
	Intercept func(ctx context.Context, request Request, do func() error) error
	// Admit is asked about each write before it is stored, as admission plugins and quotas are. object is as it would be
	// stored, nil for a delete; old is as it was, nil for a create. Neither may be changed, nor the server be called. nil:
	// all is admitted.
	Admit func(ctx context.Context, request Request, object, old *unstructured.Unstructured) error
}

// defaultNamespaces are there from the start.
var defaultNamespaces = []string{"default", "kube-node-lease", "kube-public", "kube-system"}

// New returns a server that has nothing but the namespaces of a new cluster.
func New(options Options) (*Server, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Server{
		options:   options,
		kinds:     map[schema.GroupVersionKind]*kind{},
		resources: map[schema.GroupVersionResource]*kind{},
		objects:   map[schema.GroupKind]map[types.NamespacedName]*unstructured.Unstructured{},
		version:   1, // so that no object ever has resourceVersion 1, as in a real cluster
		changed:   make(chan struct{}),
		births:    map[string]uint64{},
	}
	builtin, err := builtinKinds()
	if err != nil {
		return nil, err
	}
	for _, k := range builtin {
		s.serve(k)
	}
	for _, crd := range options.CRDs {
		if err := s.Install(crd); err != nil {
			return nil, err
		}
	}
	return s, s.createNamespaces()
}

// Install serves the kind that a CustomResourceDefinition defines.
func (s *Server) Install(crd *apiextensionsv1.CustomResourceDefinition) error {
	custom, err := customKinds(crd)
	if err != nil {
		return fmt.Errorf("cannot serve the kind of CustomResourceDefinition %s: %w", crd.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range custom {
		s.serve(k)
	}
	return nil
}

func (s *Server) serve(k *kind) {
	s.kinds[k.GroupVersionKind] = k
	s.resources[k.resource] = k
	if s.objects[k.GroupKind()] == nil {
		s.objects[k.GroupKind()] = map[types.NamespacedName]*unstructured.Unstructured{}
	}
}

func (s *Server) createNamespaces() error {
	for _, name := range defaultNamespaces {
		namespace := objectOf(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, types.NamespacedName{Name: name})
		request := Request{Verb: Create, Kind: namespace.GroupVersionKind(), Object: namespace, Manager: "kube-apiserver"}
		if _, err := s.perform(context.Background(), &request); err != nil {
			return err
		}
	}
	return nil
}

// Get returns an object as it is. It is not a request: neither logged nor intercepted. nil: there is none.
func (s *Server) Get(gvk schema.GroupVersionKind, name types.NamespacedName) *unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[gvk]
	if found := s.objects[gvk.GroupKind()][name]; k != nil && found != nil {
		return k.present(found).DeepCopy()
	}
	return nil
}

// Has says whether there is an object. Like Get it is not a request.
func (s *Server) Has(gvk schema.GroupVersionKind, name types.NamespacedName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kinds[gvk] != nil && s.objects[gvk.GroupKind()][name] != nil
}

// Objects returns all objects of all kinds, sorted by kind, namespace and name. Like Get it is not a request.
func (s *Server) Objects() []*unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all()
	for i, object := range all {
		all[i] = object.DeepCopy()
	}
	return all
}

// all returns all objects in an order that is the same in each run.
func (s *Server) all() []*unstructured.Unstructured {
	var all []*unstructured.Unstructured
	for _, objects := range s.objects {
		for _, object := range objects {
			all = append(all, object)
		}
	}
	slices.SortFunc(all, func(a, b *unstructured.Unstructured) int {
		if order := strings.Compare(a.GetAPIVersion()+"/"+a.GetKind(), b.GetAPIVersion()+"/"+b.GetKind()); order != 0 {
			return order
		}
		return compareNames(a, b)
	})
	return all
}

// list returns the objects of a kind in a namespace ("": in all) that match, sorted.
func (s *Server) list(k *kind, namespace string, matches func(*unstructured.Unstructured) bool) []*unstructured.Unstructured {
	found := []*unstructured.Unstructured{}
	for name, object := range s.objects[k.GroupKind()] {
		if (namespace == "" || name.Namespace == namespace) && matches(object) {
			found = append(found, k.present(object))
		}
	}
	slices.SortFunc(found, compareNames)
	return found
}

func compareNames(a, b *unstructured.Unstructured) int {
	if order := strings.Compare(a.GetNamespace(), b.GetNamespace()); order != 0 {
		return order
	}
	return strings.Compare(a.GetName(), b.GetName())
}

// selector returns what a request's selectors match.
func selector(request *Request) (func(*unstructured.Unstructured) bool, error) {
	byLabel, err := labels.Parse(request.LabelSelector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	byField, err := parseFields(request.FieldSelector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return func(object *unstructured.Unstructured) bool {
		return byLabel.Matches(labels.Set(object.GetLabels())) && byField(object)
	}, nil
}

// newUID makes up the UID of a new object, which is the same one in each run, whatever is created before it: it goes by what
// the object is called, and by how many of that name there have been.
func (s *Server) newUID(k *kind, object *unstructured.Unstructured) types.UID {
	called := k.GroupKind().String() + "/" + nameOf(object).String()
	born := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(called), s.births[called]))
	s.births[called]++
	return types.UID(fmt.Sprintf("%08x-0000-4000-8000-%012x", s.options.Seed, born[:6]))
}

// nameLetters are those that Kubernetes makes names of.
const nameLetters = "bcdfghjklmnpqrstvwxz2456789"

// newName makes up the end of a generated name.
func (s *Server) newName() string {
	s.made++
	var suffix [5]byte
	number := int(s.made) * 7919 // a prime, so that names in sequence look different
	for i := range suffix {
		suffix[i] = nameLetters[number%len(nameLetters)]
		number = number/len(nameLetters) + 13*i
	}
	return string(suffix[:])
}

// objectOf returns an object that has nothing but its identity.
func objectOf(gvk schema.GroupVersionKind, name types.NamespacedName) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetGroupVersionKind(gvk)
	object.SetName(name.Name)
	if name.Namespace != "" {
		object.SetNamespace(name.Namespace)
	}
	return object
}
