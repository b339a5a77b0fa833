package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"

	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// moduleOf returns a contained module that does what call does.
func moduleOf(t *testing.T, call func() error) *containment {
	t.Helper()
	module := reconcile.ModuleFunc(func(context.Context, []byte, func(abi.Level, string)) ([]byte, error) { return nil, call() })
	return contained(t.Name(), module, logr.Discard()).(*containment)
}

func (c *containment) call(ctx context.Context) error {
	_, err := c.Call(ctx, nil, nil)
	return err
}

func TestContainmentCountsWhatGoesWrong(t *testing.T) {
	cases := map[string]struct {
		err  error
		want int
	}{
		"a trap does":                             {err: &guest.TrapError{Cause: errors.New("unreachable")}, want: 2},
		"a limit does":                            {err: &guest.LimitError{Limit: "fuel"}, want: 2},
		"the module's own error ends it":          {err: &guest.ModuleError{Message: "no"}, want: 0},
		"an answer ends it":                       {err: nil, want: 0},
		"that the host is being stopped ends it":  {err: context.Canceled, want: 0},
		"that the module is not loaded ends that": {err: &notLoadedError{"m", errors.New("gone")}, want: 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			contained := moduleOf(t, func() error { return c.err })
			contained.note(&guest.TrapError{Cause: errors.New("before")})
			if err := contained.call(t.Context()); !errors.Is(err, c.err) {
				t.Errorf("the call returns %v, want %v", err, c.err)
			}
			if contained.failures != c.want {
				t.Errorf("%d failures in a row, want %d", contained.failures, c.want)
			}
		})
	}
}

// A controller whose module keeps failing has one call at a time, whatever its workers; others have as many as they ask
// for.
func TestContainmentSerialisesFailingCalls(t *testing.T) {
	for name, failing := range map[string]bool{"a failing controller": true, "another": false} {
		t.Run(name, func(t *testing.T) {
			const workers = 4
			var running atomic.Int32
			most := make(chan int32, workers)
			together := make(chan struct{}) // closed when all are in their calls
			contained := moduleOf(t, func() error {
				now := running.Add(1)
				defer running.Add(-1)
				most <- now
				if failing {
					return &guest.TrapError{Cause: errors.New("again")}
				}
				if now == workers {
					close(together)
				}
				<-together
				return nil
			})
			if failing {
				contained.note(&guest.TrapError{Cause: errors.New("before")})
			}
			var group sync.WaitGroup
			for range workers {
				group.Go(func() { _ = contained.call(t.Context()) }) // how the calls end is another test's
			}
			group.Wait()
			close(most)
			atOnce := int32(0)
			for now := range most {
				atOnce = max(atOnce, now)
			}
			if want := map[bool]int32{true: 1, false: workers}[failing]; atOnce != want {
				t.Errorf("%d calls ran at once, want %d", atOnce, want)
			}
		})
	}
}

// A host that is being stopped does not wait for a pause to end.
func TestContainmentPauseEndsWithTheHost(t *testing.T) {
	contained := moduleOf(t, func() error { return nil })
	for range 30 { // the longest pause
		contained.note(&guest.LimitError{Limit: "timeout"})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := contained.call(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the call returns %v", err)
	}
}
