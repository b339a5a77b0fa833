package engine

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// StatusPath is where the server of metrics says how the host is.
const StatusPath = "/status"

// Status is how a host is, as it tells whoever asks.
type Status struct {
	// Version is that of the host.
	Version string `json:"version"`
	// ConfigTrouble is why the host does not work by the config file as it is now, but as it was.
	ConfigTrouble string `json:"configTrouble,omitempty"`
	// Controllers and Modules are those of the config, by name.
	Controllers []ControllerStatus `json:"controllers"`
	Modules     []ModuleStatus     `json:"modules"`
}

// ControllerStatus is how a controller is.
type ControllerStatus struct {
	Name   string `json:"name"`
	Module string `json:"module"`
	// State is what it does: waiting for the lease, fetching its module, waiting for its kinds, filling its caches,
	// lacking rights, running, not running.
	State string `json:"state"`
	// Account is whom the host acts as for it. Empty: as itself.
	Account string `json:"account,omitempty"`
	// Trouble is why it does not run.
	Trouble string `json:"trouble,omitempty"`
	// Objects is how many it looks after, and Settled how many of them are as its module wants them.
	Objects int `json:"objects"`
	Settled int `json:"settled"`
	// Calls is how often its module was called since the host started, and Failed how many of those calls went wrong.
	Calls  int64 `json:"calls"`
	Failed int64 `json:"failed"`
	// LastCall is when it was called last, and LastError why the last call that went wrong did.
	LastCall  *time.Time `json:"lastCall,omitempty"`
	LastError string     `json:"lastError,omitempty"`
}

// ModuleStatus is how a module is.
type ModuleStatus struct {
	Name string `json:"name"`
	// Source is what the config says, and Pinned the same with the digest that it was resolved to.
	Source string `json:"source"`
	Pinned string `json:"pinned,omitempty"`
	// Digest is that of the module's bytes. Empty: none was loaded.
	Digest string `json:"digest,omitempty"`
	// Loaded is when it was.
	Loaded *time.Time `json:"loaded,omitempty"`
	// Pending is true while what the config wants of it now is being seen to.
	Pending bool `json:"pending,omitempty"`
	// Trouble is why there is none, or no newer one.
	Trouble string `json:"trouble,omitempty"`
}

// Status says how the host is.
func (e *Engine) Status() Status {
	status := Status{Version: e.version, Controllers: []ControllerStatus{}, Modules: []ModuleStatus{}}
	members := e.fleet.runners()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.trouble != nil {
		status.ConfigTrouble = e.trouble.Error()
	}
	for _, entry := range e.config.Controllers {
		controller := ControllerStatus{Name: entry.Name, Module: entry.Module, State: stateStandby}
		if r := members[entry.Name]; r != nil {
			r.describe(&controller)
		}
		e.calls.of(entry.Name).describe(&controller)
		status.Controllers = append(status.Controllers, controller)
	}
	for _, s := range e.modules {
		status.Modules = append(status.Modules, s.describe())
	}
	slices.SortFunc(status.Controllers, func(a, b ControllerStatus) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(status.Modules, func(a, b ModuleStatus) int { return strings.Compare(a.Name, b.Name) })
	return status
}

// serveStatus answers with Status.
func (e *Engine) serveStatus(w http.ResponseWriter, _ *http.Request) {
	encoded, err := json.Marshal(e.Status())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(encoded) // who does not listen any more need not hear it
}

func (r *runner) describe(status *ControllerStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != "" {
		status.State = r.state
	}
	status.Trouble = r.trouble
	if !r.account.own {
		status.Account = r.account.name
	}
	for _, reconciler := range r.current {
		known, settled := reconciler.Known()
		status.Objects += known
		status.Settled += settled
	}
}

func (s *supply) describe() ModuleStatus {
	version := s.Version()
	status := ModuleStatus{Name: s.name, Source: s.ordered().entry.Source, Pinned: version.Pinned, Digest: version.Digest, Loaded: timeOrNil(version.Since), Pending: version.Pending}
	if version.Trouble != nil {
		status.Trouble = version.Trouble.Error()
	}
	return status
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// callLog counts the calls of the controllers.
type callLog struct {
	mu   sync.Mutex
	each map[string]*callCount
}

// callCount counts the calls of one controller.
type callCount struct {
	mu            sync.Mutex
	calls, failed int64
	last          time.Time
	err           string
}

func (l *callLog) of(controller string) *callCount {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.each == nil {
		l.each = map[string]*callCount{}
	}
	if l.each[controller] == nil {
		l.each[controller] = &callCount{}
	}
	return l.each[controller]
}

// forget forgets the calls of a controller.
func (l *callLog) forget(controller string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.each, controller)
}

// counted has the calls of a module counted.
func (c *callCount) counted(module reconcile.Module) reconcile.Module {
	return reconcile.ModuleFunc(func(ctx context.Context, request []byte, log func(abi.Level, string)) ([]byte, error) {
		response, err := module.Call(ctx, request, log)
		c.note(err, time.Now())
		return response, err
	})
}

func (c *callCount) note(err error, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	c.last = now
	if err != nil {
		c.failed++
		c.err = err.Error()
	}
}

func (c *callCount) describe(status *ControllerStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	status.Calls, status.Failed, status.LastCall, status.LastError = c.calls, c.failed, timeOrNil(c.last), c.err
}
