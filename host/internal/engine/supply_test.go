package engine

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

// TestOutdatedOrders has a supply find out that what it was told to do is not wanted any more.
func TestOutdatedOrders(t *testing.T) {
	user := config.Controller{Name: "one", Module: "m"}
	fetched := &source.Module{Digest: "sha256:1"}
	ended, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		ctx  context.Context //nolint:containedctx // of a case
		next *order          // nil: the order stays
		// entry is the controller's in the config by now.
		entry config.Controller
		want  error
		begun bool
	}{
		"the order holds":               {ctx: t.Context(), entry: user, begun: true},
		"there is another order":        {ctx: t.Context(), next: &order{}, entry: user, want: errOutdated},
		"the module is used no more":    {ctx: ended, entry: user, want: errOutdated},
		"the controller is another one": {ctx: t.Context(), entry: config.Controller{Name: "one", Module: "other"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := &Engine{}
			s, by := e.newSupply("m"), &order{users: []config.Controller{user}}
			s.see(by)
			m := e.newModule(c.entry.Module, &c.entry, by.entry)
			e.fleet.replace(&runner{entry: c.entry, module: m, fingerprint: fingerprint(&c.entry, by.entry)})
			if c.next != nil {
				s.see(c.next)
			}
			_, first, err := s.begin(c.ctx, by, &user, fetched)
			if first != c.begun || m.isFetched() != c.begun || !errors.Is(err, c.want) {
				t.Errorf("begun: %t, fetched: %t, %v; want %t, %v", first, m.isFetched(), err, c.begun, c.want)
			}
			made := &runner{entry: user, module: e.newModule("m", &user, by.entry)}
			err = s.swap(c.ctx, by, fetched, []*runner{made})
			if swapped := e.fleet.runner("one") == made; swapped != (c.want == nil) || !errors.Is(err, c.want) {
				t.Errorf("swapped: %t, %v; want %v", swapped, err, c.want)
			}
		})
	}
}

// TestLasts tells what another try would mend from what it would not.
func TestLasts(t *testing.T) {
	refused := &notLoadedError{"m", &guest.LoadError{Reason: "it is none"}}
	full := &notLoadedError{"m", &guest.LoadError{Reason: "there is no space", Cause: syscall.ENOSPC}}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"nothing":                     {nil, false},
		"no module":                   {refused, true},
		"a full disk":                 {full, false},
		"no registry":                 {errors.New("it does not answer"), false},
		"two without a module":        {errors.Join(refused, refused), true},
		"one of them and a full disk": {errors.Join(refused, errors.Join(full)), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lasts(c.err); got != c.want {
				t.Errorf("%v lasts: %t", c.err, got)
			}
		})
	}
	if full.Terminal() || !refused.Terminal() {
		t.Error("objects wait for what never comes, or not for what may")
	}
}
