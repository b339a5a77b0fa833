// Package engine runs the controllers of a config: a controller-runtime manager with one controller for each entry.
package engine

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/record"
	"github.com/wasmloop/wasmloop/host/internal/setup"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

// Options are the optional settings of an Engine.
type Options struct {
	// MetricsAddress is where Prometheus metrics are served, and the Status, HOST:PORT. Empty or "0": nowhere.
	MetricsAddress string
	// HealthAddress is where /healthz and /readyz are served, HOST:PORT. Empty or "0": nowhere.
	HealthAddress string
	// LeaderElection lets only one of several hosts work at a time. It needs a Lease in LeaderElectionNamespace.
	LeaderElection bool
	// LeaderElectionNamespace is the namespace of the Lease. Empty: that of the Pod that the host runs in.
	LeaderElectionNamespace string
	// CacheDir is where compiled modules are kept, and what needs not be reconciled again by the next process. Empty: in
	// memory only.
	CacheDir string
	// ReportLeftovers has the host look once, a minute after it has begun to work, for what controllers and kinds of
	// earlier configs left over, and tell of it in the log.
	ReportLeftovers bool
	// ReportAfter replaces that minute, for tests.
	ReportAfter time.Duration
	// Deselected are controllers of the config that this host is not to run. What they have is not left over.
	Deselected []config.Controller
	// Record says whether calls of modules are recorded, and where to. The zero value: they are not.
	Record record.StoreOptions
	// Version is that of the host, for recordings.
	Version string
	// Log takes the log. The zero value discards it.
	Log logr.Logger
}

// leaseName is the name of the Lease of leader election.
const leaseName = "wasmloop.wasmloop.dev"

// shutdownTimeout is how long running reconciles may take to end.
const shutdownTimeout = 5 * time.Second

// Engine runs controllers against one cluster.
type Engine struct {
	manager manager.Manager
	runtime *guest.Runtime
	source  *source.Client
	// modules are the supplies of the modules, by their names in the config.
	modules map[string]*supply
	fleet   fleet
	calls   callLog
	kinds   kinds
	mapper  *setup.Mapper
	events  *events
	client  *kube.Client
	cache   *kube.Cache
	config  *config.Config
	log     logr.Logger
	// cacheDir is where compiled modules and outcomes are kept.
	cacheDir string
	idler    idler
	// relatedIdle replaces the constant of that name, for tests.
	relatedIdle time.Duration
	report      *reporter     // nil if there is to be none
	store       *record.Store // nil if nothing is recorded
	version     string
	// supplying is done when no supply runs any more, which stopSupplying ends.
	supplying     sync.WaitGroup
	stopSupplying context.CancelFunc
}

// New returns an Engine that runs conf's controllers against the cluster of cluster. It begins to load the modules; one
// that cannot be loaded makes its controllers' reconciles fail, and leaves the others alone.
func New(ctx context.Context, cluster *rest.Config, conf *config.Config, options Options) (*Engine, error) {
	cluster = rest.CopyConfig(cluster)
	// The API server's priority and fairness limits clients better than a client does itself.
	cluster.QPS = -1
	cluster.UserAgent = "wasmloop"
	mgr, err := manager.New(cluster, managerOptions(options))
	if err != nil {
		return nil, fmt.Errorf("cannot set up the connection to the cluster: %w", err)
	}
	e := &Engine{manager: mgr, config: conf, log: options.Log, cacheDir: options.CacheDir, version: options.Version}
	if err := e.openStore(options.Record); err != nil {
		return nil, err
	}
	e.mapper = setup.NewMapper(cluster, mgr.GetHTTPClient())
	if e.client, err = kube.NewClient(cluster, mgr.GetHTTPClient(), e.mapper); err != nil {
		return nil, err
	}
	e.cache = kube.NewCache(e.client, reconcile.IndexKeys)
	e.cache.OnError = (&watchReport{log: options.Log}).report
	if e.kinds.Kinds, err = setup.NewKinds(cluster, mgr.GetHTTPClient(), e.mapper); err != nil {
		return nil, err
	}
	if options.ReportLeftovers {
		whole := &config.Config{Controllers: slices.Concat(conf.Controllers, options.Deselected)}
		e.report = &reporter{&Leftovers{e.client, e.kinds.Discovery}, whole, options.ReportAfter, options.Log}
	}
	if e.events, err = newEvents(cluster, mgr); err != nil {
		return nil, err
	}
	if e.runtime, err = guest.NewRuntime(ctx, guest.Options{CacheDir: options.CacheDir}); err != nil {
		return nil, err
	}
	if e.source, err = e.newSource(options); err != nil {
		return nil, err
	}
	e.modules = e.supplies()
	if err := e.register(); err != nil { //nolint:contextcheck // no controller runs before Start
		return nil, err
	}
	e.supply(ctx)
	return e, nil
}

// supply has the modules fetched and loaded, while the host connects to the cluster and fills its caches.
func (e *Engine) supply(ctx context.Context) {
	ctx, e.stopSupplying = context.WithCancel(ctx)
	for _, s := range e.modules {
		e.supplying.Go(func() { s.run(ctx) })
	}
}

// newRunner returns what runs a controller with a module.
func (e *Engine) newRunner(entry config.Controller, m *module) *runner {
	return &runner{
		engine: e, entry: entry, module: m, digest: m.digestOf, recorder: e.events.recorder(entry.Name), opened: make(chan struct{}),
	}
}

func managerOptions(options Options) manager.Options {
	return manager.Options{
		Logger:                        options.Log,
		Metrics:                       server.Options{BindAddress: orNone(options.MetricsAddress)},
		HealthProbeBindAddress:        orNone(options.HealthAddress),
		LeaderElection:                options.LeaderElection,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       options.LeaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(shutdownTimeout),
	}
}

func orNone(address string) string {
	if address == "" {
		return "0"
	}
	return address
}

// register adds all that runs to the manager.
func (e *Engine) register() error {
	if err := e.manager.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("cannot add the health check: %w", err)
	}
	if err := e.manager.AddMetricsServerExtraHandler(StatusPath, http.HandlerFunc(e.serveStatus)); err != nil {
		return fmt.Errorf("cannot serve the status: %w", err)
	}
	if err := e.manager.AddReadyzCheck("caches", e.ready); err != nil {
		return fmt.Errorf("cannot add the readiness check: %w", err)
	}
	if err := e.manager.Add(&e.idler); err != nil {
		return fmt.Errorf("cannot add what gives memory back: %w", err)
	}
	if e.report != nil {
		if err := e.manager.Add(e.report); err != nil {
			return fmt.Errorf("cannot add the report of leftovers: %w", err)
		}
	}
	for _, entry := range e.config.Controllers {
		e.fleet.add(e.newRunner(entry, e.modules[entry.Module].module(entry.Name)))
	}
	if err := e.manager.Add(&e.fleet); err != nil {
		return fmt.Errorf("cannot add the controllers: %w", err)
	}
	return nil
}

// Start runs the controllers until ctx is done.
func (e *Engine) Start(ctx context.Context) error {
	defer e.events.stop()
	defer func() {
		e.stopSupplying()
		e.supplying.Wait()
		if e.store != nil {
			e.store.Close()
		}
		_ = e.runtime.Close(context.WithoutCancel(ctx)) // the process ends, or the next Engine starts afresh
	}()
	if err := e.manager.Start(ctx); err != nil {
		return fmt.Errorf("cannot run the controllers: %w", err)
	}
	return nil
}
