package setup

import (
	"fmt"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// Mapper says how a cluster serves kinds. It learns of new ones by itself, and of others that go or change by Forget. It
// implements kube.Mapper.
type Mapper struct {
	cluster    *rest.Config
	httpClient *http.Client

	mu      sync.Mutex
	current meta.RESTMapper // nil: nothing is known
}

// NewMapper returns a Mapper for the cluster that config leads to, over httpClient.
func NewMapper(cluster *rest.Config, httpClient *http.Client) *Mapper {
	return &Mapper{cluster: cluster, httpClient: httpClient}
}

// RESTMapping says how a kind is served.
func (m *Mapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	m.mu.Lock()
	current := m.current
	if current == nil {
		var err error
		if current, err = apiutil.NewDynamicRESTMapper(m.cluster, m.httpClient); err != nil {
			m.mu.Unlock()
			return nil, fmt.Errorf("cannot set up discovery: %w", err)
		}
		m.current = current
	}
	m.mu.Unlock()
	return current.RESTMapping(kind, versions...)
}

// Forget has everything asked for anew.
func (m *Mapper) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current = nil
}
