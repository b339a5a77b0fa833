package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/setup"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

// What cannot be fetched is tried again after the first of these, then twice as long each time up to the second: a registry
// may come back, and a signature may be attached.
const firstFetchPause, lastFetchPause = time.Second, time.Minute

// supply sees to it that the controllers of a module of the config run with what its source has: it fetches it, loads it, and
// puts it in the place of what runs, until it is told of another config.
type supply struct {
	engine *Engine
	name   string
	log    logr.Logger
	stop   context.CancelFunc
	// awake has an item when what is wanted has changed, or what the source has may have.
	awake chan struct{}

	mu      sync.Mutex
	order   *order
	version version
	// carriedOut is the order that was carried out last, or found to be impossible.
	carriedOut *order
	// refused is the last module that an order could not be carried out with, and never can be.
	refused refusal
}

// refusal is why an order cannot be carried out with the module of a digest.
type refusal struct {
	order  *order
	digest string
	err    error
}

// order is what a supply is to see to.
type order struct {
	entry config.Module
	// users are the controllers of the module.
	users  []config.Controller
	source *source.Client
}

// version is which version of a module runs, as far as it is known.
type version struct {
	// Digest is that of the module, and Pinned its source with a digest: what a registry has it by.
	Digest, Pinned string
	// Since is when it was loaded.
	Since time.Time
	// Trouble is why there is none, or no newer one. nil: nothing is wrong.
	Trouble error
	// Pending is true while what the config wants now is being seen to, for the first time.
	Pending bool
}

// errOutdated ends what was begun by an order when there is another one, or none any more.
var errOutdated = errors.New("the config has changed meanwhile")

// outdated says whether there is another order, or none any more. Orders change while e.placing is held.
func (s *supply) outdated(ctx context.Context, by *order) bool {
	return ctx.Err() != nil || s.ordered() != by
}

func (e *Engine) newSupply(name string) *supply {
	return &supply{engine: e, name: name, log: e.log.WithValues("module", name), awake: make(chan struct{}, 1)}
}

// ordered returns what is to be seen to.
func (s *supply) ordered() *order {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.order
}

// see gives another order.
func (s *supply) see(next *order) {
	s.mu.Lock()
	s.order = next
	s.mu.Unlock()
	s.wake()
}

// wake has the source looked at.
func (s *supply) wake() {
	select {
	case s.awake <- struct{}{}:
	default: // it has not begun yet
	}
}

// Version returns which version runs.
func (s *supply) Version() version {
	s.mu.Lock()
	defer s.mu.Unlock()
	version := s.version
	version.Pending = s.carriedOut != s.order
	return version
}

// run sees to its orders until ctx is done.
func (s *supply) run(ctx context.Context) {
	var done *order // what was carried out last
	pause := firstFetchPause
	for {
		next, before := s.ordered(), s.Version()
		err := s.settle(ctx, next, next != done)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errOutdated) {
			continue
		}
		var again <-chan time.Time
		switch {
		case err == nil:
			done, pause = next, firstFetchPause
			again = s.nextPoll(next)
		case lasts(err): // another try with the same module would end in the same way
			done, pause = nil, firstFetchPause
			again = s.nextPoll(next)
		default:
			again = time.After(pause)
		}
		s.told(err, next, before, pause)
		select {
		case <-ctx.Done():
			return
		case <-s.awake:
			pause = firstFetchPause
		case <-again:
			pause = min(2*pause, lastFetchPause)
		}
	}
}

// nextPoll says when the source is to be asked again. It is never if it has no poll.
func (*supply) nextPoll(of *order) <-chan time.Time {
	every, err := of.entry.Poll.Duration()
	if err != nil {
		return nil
	}
	return time.After(every)
}

// told notes how an attempt ended, and logs what is new about it. before is what ran when it began.
func (s *supply) told(err error, about *order, before version, pause time.Duration) {
	s.noteTrouble(err, about)
	if err == nil || before.Trouble != nil && before.Trouble.Error() == err.Error() {
		return
	}
	_, broken := errors.AsType[*notLoadedError](err)
	switch _, stale := errors.AsType[*staleError](err); {
	case stale:
		s.log.Info("the registry cannot be asked; running what its tag was when it last could", "reason", err.Error())
	case before.Digest != "":
		s.log.Error(err, "the module cannot be replaced by what its source has now; the one before goes on", "source", about.entry.Source)
	case lasts(err):
		s.log.Error(err, "module cannot be loaded; its controllers say so on each object, the others go on", "source", about.entry.Source)
	case broken:
		s.log.Error(err, "module cannot be loaded now; trying again", "source", about.entry.Source, "after", pause.String())
	default:
		s.log.Error(err, "module cannot be fetched, so that its controllers do not start; trying again", "source", about.entry.Source, "after", pause.String())
	}
}

// staleError says why a module may not be what its tag is now.
type staleError struct{ error }

// Unwrap returns the cause.
func (e *staleError) Unwrap() error { return e.error }

// settle has the controllers of an order run with what its source has. If fresh is false they do already, unless the source
// has another module now.
func (s *supply) settle(ctx context.Context, next *order, fresh bool) error {
	if !fresh {
		pinned, err := next.source.Resolve(ctx, next.entry.Source)
		if err != nil || pinned == s.Version().Pinned {
			return err
		}
	}
	fetched, err := next.source.Fetch(ctx, next.entry.Source)
	if err != nil {
		return err
	}
	if fetched.Stale != nil && !fresh {
		return &staleError{fetched.Stale}
	}
	if err := s.provide(ctx, next, fetched); err != nil {
		return err
	}
	if fetched.Stale != nil {
		return &staleError{fetched.Stale}
	}
	return nil
}

// provide has all controllers of an order run with a module. If that cannot be done for one of those that run with another one,
// all of those stay as they are.
func (s *supply) provide(ctx context.Context, by *order, fetched *source.Module) error {
	if s.refused.order == by && s.refused.digest == fetched.Digest {
		return s.refused.err
	}
	next, err := s.prepareAll(ctx, by, fetched)
	if next != nil {
		err = errors.Join(s.swap(ctx, by, fetched, next), err)
	}
	if lasts(err) {
		s.refused = refusal{by, fetched.Digest, err}
	}
	return err
}

// prepareAll loads a module for all controllers of an order that do not run with it. It returns what is to take the places of
// others, nil if those must stay; and what went wrong, which may concern controllers alone that have no module at all.
func (s *supply) prepareAll(ctx context.Context, by *order, fetched *source.Module) (next []*runner, err error) {
	next = []*runner{}
	var failures []error
	for i := range by.users {
		user := &by.users[i]
		running, first, err := s.begin(ctx, by, user, fetched)
		if err != nil {
			s.engine.closeAll(ctx, next)
			return nil, err
		}
		switch {
		case first:
			failures = append(failures, s.loadFirst(ctx, running, by, user, fetched))
		case running == nil || running.serves(user, by.entry, fetched.Digest): // in the first case it has been taken out
		default:
			made, err := s.prepare(ctx, by, user, fetched)
			switch {
			case err == nil:
				next = append(next, made)
			case running.supplied().loadedGuest() == nil:
				failures = append(failures, err)
			default:
				s.engine.closeAll(ctx, next)
				return nil, errors.Join(append(failures, err)...)
			}
		}
	}
	return next, errors.Join(failures...)
}

// begin returns what runs a controller of an order, and whether it has waited for its first module, which is this one then.
func (s *supply) begin(ctx context.Context, by *order, user *config.Controller, fetched *source.Module) (running *runner, first bool, err error) {
	s.engine.placing.Lock()
	defer s.engine.placing.Unlock()
	if s.outdated(ctx, by) {
		return nil, false, errOutdated
	}
	running = s.engine.fleet.runner(user.Name)
	first = running != nil && running.fingerprint == fingerprint(user, by.entry) && running.supplied().begin(fetched)
	return running, first, nil
}

// prepare loads a module for a controller that runs with another one.
func (s *supply) prepare(ctx context.Context, by *order, user *config.Controller, fetched *source.Module) (*runner, error) {
	m := s.engine.newModule(s.name, user, by.entry)
	m.begin(fetched)
	defer close(m.loaded)
	if err := m.load(ctx, s.engine.runtime, user, by.entry, fetched); err != nil {
		return nil, &notLoadedError{s.name, fmt.Errorf("cannot load %s: %w", fetched.Pinned, err)}
	}
	made, err := s.engine.newRunner(user, by.entry, m)
	if err != nil {
		return nil, errors.Join(err, m.close(ctx))
	}
	return made, nil
}

// loadFirst loads a module for a controller that has waited for it. One that cannot be loaded is told of on each object.
func (s *supply) loadFirst(ctx context.Context, waiting *runner, by *order, user *config.Controller, fetched *source.Module) error {
	m, start := waiting.supplied(), time.Now()
	defer close(m.loaded)
	if err := m.load(ctx, s.engine.runtime, user, by.entry, fetched); err != nil {
		m.err = &notLoadedError{s.name, err}
		return m.err
	}
	restoring, why := m.guest.Restoring()
	s.log.Info("module loaded", "controller", user.Name, "digest", fetched.Digest, "source", fetched.Pinned,
		"tier", string(m.guest.Tier()), "restoring", restoring, "because", why, "seconds", time.Since(start).Seconds())
	return nil
}

// swap puts controllers in the places of those of their names, unless the config has changed meanwhile.
func (s *supply) swap(ctx context.Context, by *order, fetched *source.Module, next []*runner) error {
	s.engine.placing.Lock()
	defer s.engine.placing.Unlock()
	if s.outdated(ctx, by) { // the next order is for others
		s.engine.closeAll(ctx, next)
		return errOutdated
	}
	var old []*runner
	for _, made := range next {
		old = append(old, s.engine.fleet.runner(made.entry.Name))
		s.engine.fleet.replace(made) //nolint:contextcheck // it lives as long as the fleet
		replaced.WithLabelValues(made.entry.Name).Inc()
		s.log.Info("controller replaced", "controller", made.entry.Name, "digest", fetched.Digest, "source", fetched.Pinned)
	}
	s.engine.closeAll(ctx, old)
	s.noteVersion(fetched, by)
	return nil
}

// closeAll lets go of the modules of controllers that do not run any more, of which some may be nil. What goes wrong with that
// concerns no other.
func (e *Engine) closeAll(ctx context.Context, runners []*runner) {
	for _, r := range runners {
		if r == nil {
			continue
		}
		if err := r.supplied().close(ctx); err != nil {
			e.log.Error(err, "a module that is not called any more cannot be let go", "controller", r.entry.Name)
		}
	}
}

// fingerprint says what a controller is apart from its module.
func fingerprint(entry *config.Controller, module config.Module) string {
	return encoded([]any{entry, module.Isolation})
}

// supplied returns the module that a supply provided.
func (r *runner) supplied() *module { return r.module.(*module) }

// serves says whether a runner is that of a config entry with a module of a digest.
func (r *runner) serves(entry *config.Controller, module config.Module, digest string) bool {
	return r.fingerprint == fingerprint(entry, module) && r.supplied().isOf(digest)
}

// noteVersion remembers which version runs, if it does.
func (s *supply) noteVersion(fetched *source.Module, by *order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	loaded := s.loaded(fetched, by, s.engine.fleet.runners())
	if loaded == nil {
		return
	}
	if s.version.Digest != "" && s.version.Digest != fetched.Digest {
		swaps.WithLabelValues(s.name).Inc()
	}
	if s.version.Digest != fetched.Digest {
		s.version.Since = time.Now()
	}
	s.version.Digest, s.version.Pinned = fetched.Digest, fetched.Pinned
	restoring, _ := loaded.Restoring()
	moduleInfo.DeletePartialMatch(moduleLabel(s.name))
	moduleInfo.WithLabelValues(s.name, fetched.Digest, fetched.Pinned, string(loaded.Tier()), restoring).Set(1)
}

// loaded returns the module as it is loaded for one of the controllers of an order, nil if it is for none.
func (*supply) loaded(fetched *source.Module, by *order, runners map[string]*runner) *guest.Module {
	for _, user := range by.users {
		if r := runners[user.Name]; r != nil && r.supplied().isOf(fetched.Digest) {
			return r.supplied().loadedGuest()
		}
	}
	return nil
}

func (s *supply) noteTrouble(err error, about *order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version.Trouble, s.carriedOut = err, about
	moduleTrouble.WithLabelValues(s.name).Set(flag(err != nil))
}

// forget takes the module out of the metrics.
func (s *supply) forget() {
	moduleInfo.DeletePartialMatch(moduleLabel(s.name))
	moduleTrouble.DeletePartialMatch(moduleLabel(s.name))
}

func moduleLabel(name string) map[string]string { return map[string]string{"module": name} }

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// begin says which module it is that was fetched, and returns false if that was said before.
func (m *module) begin(fetched *source.Module) bool {
	select {
	case <-m.fetched:
		return false
	default:
	}
	m.digest = fetched.Digest
	if m.recorder != nil {
		m.recorder.module.Digest = fetched.Digest
		if fetched.Manifest != "" { // a tag may be another module by the time of a replay
			m.recorder.module.Source = fetched.Pinned
		}
	}
	close(m.fetched)
	return true
}

// isOf says whether it was loaded from bytes of a digest.
func (m *module) isOf(digest string) bool {
	select {
	case <-m.loaded:
		return m.guest != nil && m.digest == digest
	default:
		return false
	}
}

func (m *module) load(ctx context.Context, runtime *guest.Runtime, controller *config.Controller, entry config.Module, fetched *source.Module) (err error) {
	if m.limits, err = setup.Limits(controller.Limits); err != nil {
		return err
	}
	if m.recorder != nil {
		m.recorder.module.Limits = m.limits
	}
	loaded, err := runtime.Load(ctx, fetched.Bytes, m.limits, guest.Isolation(entry.Isolation))
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.guest = loaded
	if m.closed {
		return errors.Join(errTakenOut, loaded.Close(ctx))
	}
	return nil
}

var errTakenOut = errors.New("its controller was taken out meanwhile")

// close lets go of what was loaded, or will be.
func (m *module) close(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed = true; m.guest == nil {
		return nil
	}
	return m.guest.Close(ctx)
}

// loadedGuest returns what was loaded, nil if nothing is yet.
func (m *module) loadedGuest() *guest.Module {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.guest
}
