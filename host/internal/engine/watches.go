package engine

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// watchReport says in the log which kinds cannot be watched, and why, from time to time for as long as that lasts.
type watchReport struct {
	log logr.Logger

	mu   sync.Mutex
	said map[schema.GroupVersionKind]time.Time
}

// report is told each time that a kind cannot be listed or watched. A watch that ends after a while, and one whose place in
// the history of changes is gone, are as it should be.
func (r *watchReport) report(kind schema.GroupVersionKind, err error) {
	if errors.Is(err, io.EOF) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || utilnet.IsTimeout(err) {
		return
	}
	failingWatches.WithLabelValues(kind.Kind, kind.GroupVersion().String()).Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.said == nil {
		r.said = map[schema.GroupVersionKind]time.Time{}
	}
	if time.Since(r.said[kind]) < kindReminder {
		return
	}
	r.said[kind] = time.Now()
	r.log.Info(watchTrouble(err), "kind", kind.String(), "reason", err.Error())
}

func watchTrouble(err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return "the host may not watch a kind: grant it the verbs get, list and watch; trying again"
	case apierrors.IsNotFound(err):
		return "the cluster does not serve a kind any more: waiting for it"
	default:
		return "a kind cannot be watched: trying again"
	}
}
