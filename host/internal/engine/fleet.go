package engine

import (
	"context"
	"sync"
	"time"
)

// holdTimeout is how long what is watched stays so for a controller that takes the place of another one, and does not come to
// watch it itself.
const holdTimeout = time.Minute

// fleet runs the controllers, each until another takes its place. It implements manager.Runnable.
type fleet struct {
	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // nil until the host may work; the controllers live as long as it
	members map[string]*member
	running sync.WaitGroup
}

// member is a controller of the fleet.
type member struct {
	runner *runner
	stop   context.CancelFunc // nil as long as it does not run
	done   chan struct{}      // closed when it has stopped
}

// NeedLeaderElection is true: only one host may write.
func (f *fleet) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable.
func (f *fleet) Start(ctx context.Context) error {
	f.mu.Lock()
	f.ctx = ctx
	for _, m := range f.members {
		f.launch(m) //nolint:contextcheck // it has that of the fleet
	}
	f.mu.Unlock()
	<-ctx.Done()
	f.running.Wait()
	return nil
}

// launch runs a member. f.mu must be held.
func (f *fleet) launch(m *member) {
	if f.ctx.Err() != nil {
		close(m.done)
		m.stop = func() {}
		return
	}
	ctx, stop := context.WithCancel(f.ctx)
	m.stop = stop
	f.running.Go(func() {
		defer close(m.done)
		m.runner.Start(ctx)
	})
}

// replace puts a controller in the place of the one of its name, if there is one, between two reconciles: those that run end before the first
// one of the new controller begins. What is watched stays so meanwhile, and what the old one has written and not seen yet the
// new one waits for. It returns when the old one has stopped.
func (f *fleet) replace(next *runner) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.members == nil {
		f.members = map[string]*member{}
	}
	old := f.members[next.entry.Name]
	m := &member{runner: next, done: make(chan struct{})}
	f.members[next.entry.Name] = m
	switch {
	case f.ctx == nil: // it runs as soon as the host works
		return
	case old == nil:
		f.launch(m)
		return
	}
	// A watch of another account is none of the new one's.
	release, opened := func() {}, next.opened
	if next.account == old.runner.account {
		release = next.account.cache.Hold()
	}
	old.stop()
	<-old.done
	next.last, next.replaces = old.runner.last, len(old.runner.last) > 0
	f.launch(m)
	go func() {
		defer release()
		select {
		case <-opened:
		case <-m.done:
		case <-time.After(holdTimeout): // it waits for something, which may take long
		}
	}()
}

// remove takes a controller out, and returns when it has stopped. It returns what ran it, nil if there was none.
func (f *fleet) remove(name string) *runner {
	f.mu.Lock()
	m := f.members[name]
	delete(f.members, name)
	running := m != nil && m.stop != nil
	f.mu.Unlock()
	if m == nil {
		return nil
	}
	if running {
		m.stop()
		<-m.done
	}
	return m.runner
}

// runner returns what runs a controller, nil if there is none of that name.
func (f *fleet) runner(name string) *runner {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.members[name]; m != nil {
		return m.runner
	}
	return nil
}

// runners returns what runs each controller.
func (f *fleet) runners() map[string]*runner {
	f.mu.Lock()
	defer f.mu.Unlock()
	runners := make(map[string]*runner, len(f.members))
	for name, m := range f.members {
		runners[name] = m.runner
	}
	return runners
}
