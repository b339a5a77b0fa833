package guest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Many goroutines load, call, cancel and close a few modules of all sorts, while idle ones are let go: each gets the
// right answer, and all come to an end.
func TestHammer(t *testing.T) {
	ctx := t.Context()
	r := newRuntime(t, Options{CacheDir: t.TempDir(), ConcurrentCalls: 3, IdleTimeout: time.Millisecond})
	tasks := []struct {
		wasm          []byte
		request, want string
		err           error // of which type
	}{
		{goModule, `{"object":{}}`, "", &ModuleError{}},
		{fixture(t, "answers"), "hello", "hello", nil},
		{fixture(t, "state_globals"), "", "\x00", nil},
		{fixture(t, "state_grown_memory"), "", "\x01", nil},
		{fixture(t, "state_table_grow"), "", "\x01", nil},
		{fixture(t, "command_answers"), "hello", "hello", nil},
		{fixture(t, "trap_divide"), "", "", &TrapError{}},
		{fixture(t, "loop_br"), "", "", &LimitError{}},
		{fixture(t, "recursion_deep"), "", "", &LimitError{}},
		{fixture(t, "grow_until_refused"), "", "", &LimitError{}},
		{fixture(t, "error_terminal"), "", "", &ModuleError{}},
	}
	var workers sync.WaitGroup
	for worker := range 16 {
		workers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for range 6 {
				task := tasks[random.IntN(len(tasks))]
				m, err := r.Load(ctx, task.wasm, Limits{Fuel: 5_000_000 + uint64(random.IntN(2))}, Hermetic)
				if err != nil {
					t.Error(err)
					continue
				}
				for range random.IntN(12) {
					response, err := callOrCancel(ctx, m, task.request, random.IntN(8) == 0, random.IntN(300))
					if errors.Is(err, context.Canceled) {
						continue
					}
					if string(response) != task.want || fmt.Sprintf("%T", err) != fmt.Sprintf("%T", task.err) {
						t.Errorf("answer %q with %v, want %q with %T", response, err, task.want, task.err)
					}
				}
				_, _ = m.Restoring()
				if err := m.Close(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	if len(r.programs) != 0 {
		t.Errorf("%d programs are left", len(r.programs))
	}
}

// callOrCancel calls a module, and if it is told to, cancels the call after some microseconds.
func callOrCancel(ctx context.Context, m *Module, request string, cancelled bool, microseconds int) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if cancelled {
		stop := time.AfterFunc(time.Duration(microseconds)*time.Microsecond, cancel)
		defer stop.Stop()
	}
	result, err := m.Call(ctx, []byte(request), noLog)
	return result.Response, err
}

// A call whose context ends while it runs ends soon, with the context's cause.
func TestCancelledCall(t *testing.T) {
	r := newRuntime(t, Options{ConcurrentCalls: 1})
	m := load(t, r, fixture(t, "loop_br"), Limits{Fuel: 1 << 60, Timeout: time.Hour})
	cause := errors.New("nobody wants it any more")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	var waiting sync.WaitGroup
	for range 5 { // of which some never begin
		waiting.Go(func() {
			if _, err := m.Call(ctx, nil, noLog); !errors.Is(err, cause) {
				t.Errorf("error %v, want %v", err, cause)
			}
		})
	}
	waiting.Wait()
	expect(t, m, "{ }", "{}")
}

// countdown is a context that is cancelled after it was asked so many times whether it is.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// A load that is cancelled, whenever that is, fails, and does not decide what the module is like for others.
func TestCancelledLoad(t *testing.T) {
	options := Options{CacheDir: t.TempDir()}
	const many = 1 << 30
	whole := &countdown{t.Context(), many}
	m, err := newRuntime(t, options).Load(whole, goModule, Limits{}, Hermetic)
	if err != nil {
		t.Fatal(err)
	}
	asked := many - whole.left
	want, result := callFor(t, m, string(goRequest))
	const steps = 12
	for n := range steps {
		r := newRuntime(t, options)
		if _, err := r.Load(&countdown{t.Context(), asked * n / steps}, goModule, Limits{}, Hermetic); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
		got, again := callFor(t, load(t, r, goModule, Limits{}), string(goRequest))
		if fmt.Sprint(want, result.Fuel) != fmt.Sprint(got, again.Fuel) {
			t.Errorf("after a load that was cancelled: %+v for %d, want %+v for %d", got, again.Fuel, want, result.Fuel)
		}
	}
}
