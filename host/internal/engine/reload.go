package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

// Reload says where an Engine finds another config than the one that it began with.
type Reload struct {
	// File is the config file, which is watched with all files that it names.
	File string
	// Load reads it. What it refuses changes nothing.
	Load func() (*config.Config, error)
	// Taken is told of each config that was taken up. nil: nobody is.
	Taken func(*config.Config)
}

// filesInterval is how often files are looked at. What has changed is taken up once it is the same twice, so that a file that is
// being written is not taken for a whole one.
const filesInterval = time.Second

// troubleInterval is how often a config is tried again that could not be taken up: what it lacks may be there without a change
// of its files.
const troubleInterval = 10 * time.Second

// reloader watches the files of the config. It implements manager.Runnable.
type reloader struct {
	Reload
	engine *Engine
	// known is how the files were before they were taken up last, seen how they were a moment ago. What is missing in known is
	// looked at once more: nobody can say how a file was before its name was known.
	known, seen snapshot
}

// snapshot says how files are: what tells a changed one from the one before, by path.
type snapshot map[string]fileState

// fileState is all that tells a file from another one without reading it. A link that leads to another file makes another state.
type fileState struct {
	info os.FileInfo // nil: there is none
}

func (s fileState) equal(other fileState) bool {
	if s.info == nil || other.info == nil {
		return s.info == other.info
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() && s.info.ModTime().Equal(other.info.ModTime())
}

func (s snapshot) equal(other snapshot) bool { return maps.EqualFunc(s, other, fileState.equal) }

func look(files []string) snapshot {
	found := snapshot{}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil { // whatever it is, reading it will tell
			info = nil
		}
		found[file] = fileState{info}
	}
	return found
}

// NeedLeaderElection is false: a host that waits for the lease is to have the newest config, too, when it gets it.
func (r *reloader) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (r *reloader) Start(ctx context.Context) error {
	ticker := time.NewTicker(filesInterval)
	defer ticker.Stop()
	var tried time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := r.look()
		settled := now.equal(r.seen)
		changed := !now.equal(r.known)
		r.seen = now
		if !settled || !changed && (r.engine.configTroubled() == nil || time.Since(tried) < troubleInterval) {
			continue
		}
		tried = time.Now()
		r.reload(ctx, changed)
		r.known = now
	}
}

// look looks at the config file and at those that the config names.
func (r *reloader) look() snapshot {
	return look(append(r.engine.current().Files(), r.File))
}

// reload takes the config file up as it is now. changed is false if it is but tried again. Where only other files have changed,
// those who use them tell of it.
func (r *reloader) reload(ctx context.Context, changed bool) {
	current, before := r.engine.current(), r.engine.configTroubled()
	next, err := r.Load()
	if err == nil {
		err = r.engine.take(ctx, next)
	}
	r.engine.noteConfig(err)
	switch {
	case err == nil && before == nil && encoded(next) == encoded(current):
	case err == nil:
		reloads.WithLabelValues("taken").Inc()
		if r.Taken != nil {
			r.Taken(next)
		}
		r.engine.log.Info("config taken up", "file", r.File)
	case changed || before == nil || before.Error() != err.Error():
		reloads.WithLabelValues("refused").Inc()
		r.engine.log.Error(err, "the config has changed and cannot be taken up; all goes on by the one before", "file", r.File)
	}
}

func (e *Engine) noteConfig(err error) {
	configTrouble.Set(flag(err != nil))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.trouble = err
}

func (e *Engine) configTroubled() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.trouble
}

// current returns the config that the host works by.
func (e *Engine) current() *config.Config {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.config
}

// take has the host work by a config: it starts, stops and has those controllers replaced that it concerns. On an error nothing
// has changed.
func (e *Engine) take(ctx context.Context, next *config.Config) error {
	client, settings, err := e.sourceOf(next)
	if err != nil {
		return err
	}
	e.placing.Lock()
	defer e.placing.Unlock()
	added, err := e.pending(next)
	if err != nil {
		return err
	}
	removed := e.removed(next)
	orders := ordersOf(next, client)
	e.mu.Lock()
	e.config, e.source, e.sourceSettings = next, client, settings
	e.mu.Unlock()
	e.endSupplies(orders)
	var old []*runner
	for _, name := range removed {
		old = append(old, e.fleet.remove(name))
		e.calls.forget(name)
		forgetController(name)
		e.log.Info("controller taken out; what it has made stays: see wasmloop prune", "controller", name)
	}
	for _, r := range added {
		old = append(old, e.fleet.runner(r.entry.Name))
		e.fleet.replace(r) //nolint:contextcheck // it lives as long as the fleet
	}
	e.order(orders) //nolint:contextcheck // supplies live as long as the engine
	e.closeAll(ctx, old)
	return nil
}

// endSupplies ends the supplies that have no orders any more.
func (e *Engine) endSupplies(orders map[string]*order) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, s := range e.modules {
		if orders[name] == nil {
			s.stop()
			s.forget()
			delete(e.modules, name)
		}
	}
}

// pending returns what is to run those controllers of a config that do not run yet. Their modules are yet to be fetched. The
// others go on as they are until the new modules are loaded.
func (e *Engine) pending(next *config.Config) (added []*runner, err error) {
	for i := range next.Controllers {
		entry := &next.Controllers[i]
		module := next.Modules[entry.Module]
		running := e.fleet.runner(entry.Name)
		if running != nil && (running.supplied().isFetched() || running.fingerprint == fingerprint(entry, module)) {
			continue
		}
		r, err := e.newRunner(entry, module, e.newModule(entry.Module, entry, module))
		if err != nil {
			return nil, fmt.Errorf("controller %s: %w", entry.Name, err)
		}
		added = append(added, r)
	}
	return added, nil
}

// removed returns the controllers that run and are not in a config.
func (e *Engine) removed(next *config.Config) (names []string) {
	for name := range e.fleet.runners() {
		if !slices.ContainsFunc(next.Controllers, func(entry config.Controller) bool { return entry.Name == name }) {
			names = append(names, name)
		}
	}
	return names
}

// order gives the supplies their orders, and starts those that there are not yet.
func (e *Engine) order(orders map[string]*order) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.modules == nil {
		e.modules = map[string]*supply{}
	}
	for name, next := range orders {
		s := e.modules[name]
		switch {
		case s == nil:
			s = e.newSupply(name)
			s.see(next)
			e.modules[name] = s
			ctx, stop := context.WithCancel(e.supplyContext)
			s.stop = stop
			e.supplying.Go(func() { s.run(ctx) })
		case !s.ordered().equal(next):
			s.see(next)
		case strings.HasPrefix(next.entry.Source, "file://"): // the file may have changed
			s.wake()
		}
	}
}

// ordersOf returns what the supply of each module that has a controller is to see to.
func ordersOf(conf *config.Config, client *source.Client) map[string]*order {
	orders := map[string]*order{}
	for _, controller := range conf.Controllers {
		of := orders[controller.Module]
		if of == nil {
			of = &order{entry: conf.Modules[controller.Module], source: client}
			orders[controller.Module] = of
		}
		of.users = append(of.users, controller)
	}
	return orders
}

func (o *order) equal(other *order) bool {
	return o.source == other.source && encoded(o.entry) == encoded(other.entry) && encoded(o.users) == encoded(other.users)
}

// encoded returns JSON to compare by.
func encoded(value any) string {
	text, err := json.Marshal(value)
	if err != nil { // it was decoded from JSON
		return err.Error()
	}
	return string(text)
}

// sourceOf returns what fetches the modules of a config: what did before if nothing of it has changed.
func (e *Engine) sourceOf(conf *config.Config) (*source.Client, string, error) {
	trust, err := contents(conf.TrustFiles())
	if err != nil {
		return nil, "", err
	}
	settings := encoded([]any{conf.Registries, conf.ImagePullSecrets, conf.Policy, trust})
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.source != nil && settings == e.sourceSettings {
		return e.source, settings, nil
	}
	client, err := e.newSource(conf)
	return client, settings, err
}

// contents reads files.
func contents(files []string) (all [][]byte, err error) {
	var errs []error
	for _, file := range files {
		data, err := os.ReadFile(file)
		errs, all = append(errs, err), append(all, data)
	}
	return all, errors.Join(errs...)
}

// isFetched says whether it is known which module it is.
func (m *module) isFetched() bool {
	select {
	case <-m.fetched:
		return true
	default:
		return false
	}
}
