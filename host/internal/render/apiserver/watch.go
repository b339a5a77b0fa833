package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// bookmarkEvery is how often a watch that asks for bookmarks gets one while nothing happens.
const bookmarkEvery = time.Minute

// watch answers a watch with a body that goes on as things change.
func (s *Server) watch(request *http.Request, parsed *Request) (*http.Response, error) {
	var response *http.Response
	err := s.intercept(request.Context(), parsed, func() error {
		stream, err := s.newStream(request, parsed)
		if err == nil {
			response = responseOf(http.StatusOK, stream, -1) //nolint:bodyclose // whoever asked closes it
		}
		return err
	})
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return failure(err), nil
	}
	return response, err
}

// stream is the body of a watch. Whoever reads it waits for changes.
type stream struct {
	server    *Server
	kind      *kind
	namespace string
	matches   func(*unstructured.Unstructured) bool
	bookmarks bool
	version   int64 // what was sent up to
	buffer    bytes.Buffer
	over      bool
	ctx       context.Context // a body has no other way to know that its request is over
	stop      context.CancelFunc
}

func (s *Server) newStream(request *http.Request, parsed *Request) (*stream, error) {
	matches, err := selector(parsed)
	if err != nil {
		return nil, err
	}
	query := request.URL.Query()
	w := &stream{server: s, namespace: parsed.Namespace, matches: matches, bookmarks: query.Get("allowWatchBookmarks") == "true"}
	w.ctx, w.stop = request.Context(), func() {}
	if seconds, _ := strconv.Atoi(query.Get("timeoutSeconds")); seconds > 0 {
		w.ctx, w.stop = context.WithTimeout(w.ctx, time.Duration(seconds)*time.Second)
	} else {
		w.ctx, w.stop = context.WithCancel(w.ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.kind = s.kinds[parsed.Kind]
	return w, w.start(query.Get("resourceVersion"), query.Get("sendInitialEvents") == "true")
}

// start decides where a watch begins: with all that is there, or after a resourceVersion.
func (w *stream) start(version string, initial bool) (err error) {
	if version != "" {
		if w.version, err = strconv.ParseInt(version, 10, 64); err != nil {
			return apierrors.NewBadRequest(fmt.Sprintf("invalid resourceVersion %q", version))
		}
	}
	switch {
	case initial || w.version == 0:
		for _, object := range w.server.list(w.kind, w.namespace, w.matches) {
			w.send(watch.Added, object.Object)
		}
		w.version = w.server.version
		if initial {
			w.bookmark(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
		}
	case w.version < w.server.compacted:
		w.expire()
	}
	return nil
}

// expire ends a watch of changes that are forgotten.
func (w *stream) expire() {
	status := apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", w.version, w.server.compacted)).Status()
	status.Kind, status.APIVersion = "Status", "v1"
	w.send(watch.Error, status)
	w.over = true
}

func (w *stream) send(event watch.EventType, object any) {
	encoded, err := json.Marshal(map[string]any{"type": event, "object": object})
	if err != nil {
		w.over = true
		return
	}
	w.buffer.Write(append(encoded, '\n'))
}

func (w *stream) bookmark(annotations map[string]string) {
	object := objectOf(w.kind.GroupVersionKind, types.NamespacedName{})
	unstructured.RemoveNestedField(object.Object, "metadata", "name")
	object.SetResourceVersion(strconv.FormatInt(w.version, 10))
	if annotations != nil {
		object.SetAnnotations(annotations)
	}
	w.send(watch.Bookmark, object.Object)
}

// Read returns the next changes, as soon as there are any.
func (w *stream) Read(p []byte) (int, error) {
	for w.buffer.Len() == 0 {
		if w.over {
			return 0, io.EOF
		}
		changed := w.catchUp()
		if w.buffer.Len() > 0 {
			break
		}
		if err := w.wait(changed); err != nil {
			return 0, err
		}
	}
	return w.buffer.Read(p)
}

// catchUp sends what has changed, and returns what is closed at the next change.
func (w *stream) catchUp() <-chan struct{} {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	if w.version < w.server.compacted {
		w.expire()
		return nil
	}
	for _, change := range w.server.changesSince(w.version) {
		w.version = change.Version
		if change.Object.GroupVersionKind().GroupKind() == w.kind.GroupKind() {
			w.sendChange(change)
		}
	}
	return w.server.changed
}

// sendChange sends a change as it looks through the selectors: an object that matches no longer is deleted.
func (w *stream) sendChange(change Change) {
	if w.namespace != "" && change.Object.GetNamespace() != w.namespace {
		return
	}
	was := change.Old != nil && w.matches(change.Old)
	is := change.Type != watch.Deleted && w.matches(change.Object)
	object := w.kind.present(change.Object).Object
	switch {
	case is && was:
		w.send(watch.Modified, object)
	case is:
		w.send(watch.Added, object)
	case was:
		last := w.kind.present(change.Old).DeepCopy()
		last.SetResourceVersion(strconv.FormatInt(change.Version, 10))
		w.send(watch.Deleted, last.Object)
	}
}

func (w *stream) wait(changed <-chan struct{}) error {
	var tick <-chan time.Time
	if w.bookmarks {
		timer := time.NewTimer(bookmarkEvery)
		defer timer.Stop()
		tick = timer.C
	}
	select {
	case <-changed:
	case <-tick:
		w.bookmark(nil)
	case <-w.ctx.Done():
		return io.EOF
	}
	return nil
}

// Close ends the watch.
func (w *stream) Close() error {
	w.stop()
	return nil
}
