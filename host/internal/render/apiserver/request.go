package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Verb is what a request does.
type Verb string

// The verbs.
const (
	Get    Verb = "get"
	List   Verb = "list"
	Watch  Verb = "watch"
	Create Verb = "create"
	Update Verb = "update"
	Patch  Verb = "patch"
	Apply  Verb = "apply"
	Delete Verb = "delete"
)

// Writes says whether the verb may change something.
func (v Verb) Writes() bool { return v != Get && v != List && v != Watch }

// Request is one request for a resource.
type Request struct {
	// Number counts the writes from 1; it is 0 for other requests. The server sets it.
	Number int
	Verb   Verb
	Kind   schema.GroupVersionKind
	// NamespacedName names the object. Create takes the name from the object.
	types.NamespacedName
	// Subresource is "status" or "".
	Subresource string
	// Object is what create, update and apply send. It is not changed.
	Object *unstructured.Unstructured
	// PatchType is merge or JSON; Body is the patch.
	PatchType types.PatchType
	Body      []byte
	// Manager is the field manager.
	Manager string
	// Force takes fields from other managers in an apply.
	Force bool
	// DryRun changes nothing.
	DryRun bool
	// FieldValidation is Ignore, Warn or Strict. "": Warn, of which nobody hears.
	FieldValidation string
	// Delete has the options of a delete.
	Delete metav1.DeleteOptions
	// LabelSelector and FieldSelector are those of a list or a watch.
	LabelSelector, FieldSelector string
}

// Answer is the answer to a request that is not a watch.
type Answer struct {
	// Object is the object as it is now, or as it was last if it is gone. It must not be changed.
	Object *unstructured.Unstructured
	// Created and Gone say whether the request has created or removed the object.
	Created, Gone bool
	// Items are what a list has found, and Version is the resourceVersion at which it did. They must not be changed.
	Items   []*unstructured.Unstructured
	Version int64
}

// Do carries out a request that is not a watch, like one over HTTP. Its errors have an API status, but those that
// Options.Intercept makes up.
func (s *Server) Do(ctx context.Context, request Request) (*Answer, error) {
	var answer *Answer
	err := s.intercept(ctx, &request, func() (err error) {
		answer, err = s.perform(ctx, &request)
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func (s *Server) intercept(ctx context.Context, request *Request, do func() error) error {
	s.number(request)
	if s.options.Intercept == nil {
		return do()
	}
	done := false
	err := s.options.Intercept(ctx, *request, func() error {
		done = true
		return do()
	})
	if err == nil && !done {
		return errors.New("the request was neither carried out nor refused")
	}
	return err
}

func (s *Server) number(request *Request) {
	if !request.Verb.Writes() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	request.Number = s.writes
}

// perform carries out a request at once.
func (s *Server) perform(ctx context.Context, request *Request) (*Answer, error) {
	w := &write{server: s, ctx: ctx, request: request}
	if request.Verb == Apply && request.Manager != "" {
		w.prepare()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.serving(request); k == nil {
		return nil, errUnknown
	} else if k != w.kind { // it was defined anew meanwhile
		w.kind, w.prepared = k, nil
	}
	answer, err := w.answer()
	if err != nil {
		return nil, withStatus(err)
	}
	return answer, nil
}

// serving returns the kind that a request is for, nil if it is not served.
func (s *Server) serving(request *Request) *kind {
	k := s.kinds[request.Kind]
	if k == nil || request.Subresource != "" && (request.Subresource != "status" || !k.status) {
		return nil
	}
	return k
}

func (w *write) answer() (*Answer, error) {
	switch w.request.Verb {
	case Get:
		return w.get()
	case List:
		return w.find()
	case Create:
		return w.create()
	case Update:
		return w.update()
	case Patch:
		return w.patch()
	case Apply:
		return w.apply()
	case Delete:
		return w.delete()
	default:
		return nil, apierrors.NewMethodNotSupported(w.resource(), string(w.request.Verb))
	}
}

func (w *write) get() (*Answer, error) {
	found := w.existing()
	if found == nil {
		return nil, apierrors.NewNotFound(w.resource(), w.request.Name)
	}
	return &Answer{Object: w.kind.present(found)}, nil
}

func (w *write) find() (*Answer, error) {
	matches, err := selector(w.request)
	if err != nil {
		return nil, err
	}
	return &Answer{Items: w.server.list(w.kind, w.request.Namespace, matches), Version: w.server.version}, nil
}

// errUnknown is the answer to requests for what is not served.
var errUnknown = apierrors.NewGenericServerResponse(http.StatusNotFound, "", schema.GroupResource{}, "", "404 page not found", 0, false)

// withStatus makes an error that the server did not foresee what it is to a client.
func withStatus(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return err
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: err.Error()}}
}

// parseFields returns what a field selector matches. As for custom kinds, only names and namespaces can be selected.
func parseFields(text string) (func(*unstructured.Unstructured) bool, error) {
	parsed, err := fields.ParseSelector(text)
	if err != nil {
		return nil, err
	}
	for _, requirement := range parsed.Requirements() {
		if requirement.Field != "metadata.name" && requirement.Field != "metadata.namespace" {
			return nil, fmt.Errorf("field label not supported: %s", requirement.Field)
		}
	}
	return func(object *unstructured.Unstructured) bool {
		return parsed.Matches(fields.Set{"metadata.name": object.GetName(), "metadata.namespace": object.GetNamespace()})
	}, nil
}
