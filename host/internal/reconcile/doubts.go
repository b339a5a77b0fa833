package reconcile

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// doubtful says whether a write that failed may have been carried out all the same, since the answer was lost.
func doubtful(err error) bool {
	if _, broken := errors.AsType[*url.Error](err); broken {
		return true
	}
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code >= http.StatusInternalServerError
}

// doubt remembers that nobody knows whether a child was written. If it was, the cache shows it in time. Until then its
// owner must not be let go, or a child that has no owner reference would stay.
func (m *memory) doubt(name types.NamespacedName, child kube.ID) {
	m.update(name, func(known *remembered) {
		if known.doubts == nil {
			known.doubts = map[kube.ID]time.Time{}
		}
		known.doubts[child] = time.Now()
	})
}

// unsure returns how long to wait until all that was written is known.
func (m *memory) unsure(name types.NamespacedName) (wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.objects[name]
	if known == nil {
		return 0
	}
	for child, since := range known.doubts {
		if left := cacheTimeout - time.Since(since); left > 0 {
			wait = max(wait, left)
		} else {
			delete(known.doubts, child)
		}
	}
	return wait
}

// sure forgets doubts about a child.
func (m *memory) sure(name types.NamespacedName, child kube.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.objects[name]; known != nil {
		delete(known.doubts, child)
	}
}
