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

// A module that cannot be fetched is tried again after the first of these, then twice as long each time up to the second: a
// registry may come back, and a signature may be attached.
const firstFetchPause, lastFetchPause = time.Second, time.Minute

// supply fetches a module of the config and loads it for its controllers, and looks from time to time whether its source has
// another one now, which then takes its place.
type supply struct {
	engine *Engine
	name   string
	entry  config.Module
	// users are the controllers of the module.
	users []config.Controller
	log   logr.Logger

	mu sync.Mutex
	// modules are what the controllers call, by their names.
	modules map[string]*module
	version version
}

// version is which version of a module runs, as far as it is known.
type version struct {
	// Digest is that of the module, and Pinned its source with a digest: what a registry has it by.
	Digest, Pinned string
	// Since is when it was loaded.
	Since time.Time
	// Trouble is why there is none, or no newer one. nil: nothing is wrong.
	Trouble error
}

// supplies returns the supply of each module that has a controller.
func (e *Engine) supplies() map[string]*supply {
	supplies := map[string]*supply{}
	for _, controller := range e.config.Controllers {
		s := supplies[controller.Module]
		if s == nil {
			s = &supply{
				engine: e, name: controller.Module, entry: e.config.Modules[controller.Module], modules: map[string]*module{},
				log: e.log.WithValues("module", controller.Module),
			}
			supplies[s.name] = s
		}
		s.users = append(s.users, controller)
		s.modules[controller.Name] = s.newModule(&controller)
	}
	return supplies
}

func (s *supply) newModule(controller *config.Controller) *module {
	return s.engine.newModule(s.name, controller.Name, s.engine.callRecorder(controller))
}

// module returns what a controller calls now.
func (s *supply) module(controller string) *module {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.modules[controller]
}

// Version returns which version runs.
func (s *supply) Version() version {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// run fetches and loads the module, and then looks for others, until ctx is done.
func (s *supply) run(ctx context.Context) {
	fetched := s.fetchAtLast(ctx)
	if fetched == nil {
		return
	}
	for _, controller := range s.users {
		m := s.module(controller.Name)
		m.identify(fetched)
		s.load(ctx, m, &controller, fetched)
	}
	s.noteVersion(fetched)
	if every, err := s.entry.Poll.Duration(); err == nil {
		s.poll(ctx, every)
	}
}

// fetchAtLast fetches the module, and tries again until it can. It returns nil when ctx is done.
func (s *supply) fetchAtLast(ctx context.Context) *source.Module {
	for pause := firstFetchPause; ; pause = min(2*pause, lastFetchPause) {
		fetched, err := s.engine.source.Fetch(ctx, s.entry.Source)
		if err == nil {
			return fetched
		}
		if ctx.Err() != nil {
			return nil
		}
		s.noteTrouble(err)
		s.log.Error(err, "module cannot be fetched, so that its controllers do not start; trying again", "source", s.entry.Source, "after", pause.String())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// identify says which module it is that was fetched.
func (m *module) identify(fetched *source.Module) {
	m.digest = fetched.Digest
	if m.recorder != nil {
		m.recorder.module.Digest = fetched.Digest
		if fetched.Manifest != "" { // a tag may be another module by the time of a replay
			m.recorder.module.Source = fetched.Pinned
		}
	}
	close(m.fetched)
}

// load loads a module that was fetched for a controller. One that cannot be loaded is told of on each object.
func (s *supply) load(ctx context.Context, m *module, controller *config.Controller, fetched *source.Module) {
	defer close(m.loaded)
	start := time.Now()
	if err := m.load(ctx, s.engine.runtime, controller, guest.Isolation(s.entry.Isolation), fetched); err != nil {
		m.err = &notLoadedError{s.name, err}
		s.noteTrouble(err)
		s.log.Error(err, "module cannot be loaded; its controllers say so on each object, the others go on",
			"controller", controller.Name, "source", s.entry.Source)
		return
	}
	restoring, why := m.guest.Restoring()
	s.log.Info("module loaded", "controller", controller.Name, "digest", fetched.Digest, "source", fetched.Pinned,
		"tier", string(m.guest.Tier()), "restoring", restoring, "because", why, "seconds", time.Since(start).Seconds())
}

func (m *module) load(ctx context.Context, runtime *guest.Runtime, controller *config.Controller, isolation guest.Isolation, fetched *source.Module) (err error) {
	if m.limits, err = setup.Limits(controller.Limits); err != nil {
		return err
	}
	if m.recorder != nil {
		m.recorder.module.Limits = m.limits
	}
	m.guest, err = runtime.Load(ctx, fetched.Bytes, m.limits, isolation)
	return err
}

// noteVersion remembers which version runs, and tells of it.
func (s *supply) noteVersion(fetched *source.Module) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.modules[s.users[0].Name]
	if m.guest == nil {
		return
	}
	s.version = version{Digest: fetched.Digest, Pinned: fetched.Pinned, Since: time.Now(), Trouble: fetched.Stale}
	if fetched.Stale != nil {
		s.log.Info("the registry cannot be asked; running what its tag was when it last could", "reason", fetched.Stale.Error())
	}
	restoring, _ := m.guest.Restoring()
	moduleInfo.DeletePartialMatch(map[string]string{"module": s.name})
	moduleInfo.WithLabelValues(s.name, fetched.Digest, fetched.Pinned, string(m.guest.Tier()), restoring).Set(1)
	moduleTrouble.WithLabelValues(s.name).Set(flag(fetched.Stale != nil))
}

func (s *supply) noteTrouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version.Trouble = err
	moduleTrouble.WithLabelValues(s.name).Set(flag(err != nil))
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// poll asks the source again and again which module it has.
func (s *supply) poll(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.look(ctx); ctx.Err() == nil {
			s.told(err)
		}
	}
}

// told notes how a look ended, and logs what is new about it.
func (s *supply) told(err error) {
	before := s.Version().Trouble
	if err != nil && (before == nil || before.Error() != err.Error()) {
		s.log.Error(err, "the module cannot be replaced by what its source has now; the one before goes on", "source", s.entry.Source)
	}
	s.noteTrouble(err)
}

// look asks the source which module it has, and has another one take the place of what runs.
func (s *supply) look(ctx context.Context) error {
	pinned, err := s.engine.source.Resolve(ctx, s.entry.Source)
	if err != nil || pinned == s.Version().Pinned {
		return err
	}
	fetched, err := s.engine.source.Fetch(ctx, s.entry.Source)
	if err != nil {
		return err
	}
	if fetched.Stale != nil {
		return fetched.Stale
	}
	return s.swap(ctx, fetched)
}

// swap loads a module for all its controllers while the one before goes on, and then has them call it. If that cannot be done
// for one of them, all stay as they are.
func (s *supply) swap(ctx context.Context, fetched *source.Module) error {
	next := make([]*module, 0, len(s.users))
	for i := range s.users {
		m := s.newModule(&s.users[i])
		m.identify(fetched)
		err := m.load(ctx, s.engine.runtime, &s.users[i], guest.Isolation(s.entry.Isolation), fetched)
		if err != nil {
			return errors.Join(fmt.Errorf("cannot load %s: %w", fetched.Pinned, err), closeAll(ctx, next))
		}
		close(m.loaded)
		next = append(next, m)
	}
	old := make([]*module, 0, len(s.users))
	for i, controller := range s.users {
		s.mu.Lock()
		old = append(old, s.modules[controller.Name])
		s.modules[controller.Name] = next[i]
		s.mu.Unlock()
		s.engine.fleet.replace(s.engine.newRunner(controller, next[i])) //nolint:contextcheck // it lives as long as the fleet
	}
	s.noteVersion(fetched)
	swaps.WithLabelValues(s.name).Inc()
	s.log.Info("module replaced", "digest", fetched.Digest, "source", fetched.Pinned)
	return closeAll(ctx, old)
}

// closeAll lets modules go that nobody calls any more.
func closeAll(ctx context.Context, modules []*module) error {
	var errs []error
	for _, m := range modules {
		if m.guest != nil {
			errs = append(errs, m.guest.Close(ctx))
		}
	}
	return errors.Join(errs...)
}
