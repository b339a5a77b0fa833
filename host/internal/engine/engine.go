// Package engine runs the controllers of a config: a controller-runtime manager with one controller for each entry.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/record"
	"github.com/wasmloop/wasmloop/host/internal/setup"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

// Options are the optional settings of an Engine.
type Options struct {
	// MetricsAddress is where Prometheus metrics are served, and the Status, HOST:PORT. Empty or "0": nowhere.
	MetricsAddress string
	// MetricsSecure serves them over TLS, to those alone whom the API server knows and lets get the path.
	MetricsSecure bool
	// MetricsCertDir is the folder with tls.crt and tls.key for that. Empty: a certificate of the host's own making.
	MetricsCertDir string
	// PprofAddress is where profiles are served, HOST:PORT. Empty: nowhere.
	PprofAddress string
	// HealthAddress is where /healthz and /readyz are served, HOST:PORT. Empty or "0": nowhere.
	HealthAddress string
	// LeaderElection lets only one of several hosts work at a time. It needs a Lease in LeaderElectionNamespace.
	LeaderElection bool
	// LeaderElectionNamespace is the namespace of the Lease. Empty: that of the Pod that the host runs in.
	LeaderElectionNamespace string
	// LeaseName is the name of the Lease. Empty: DefaultLeaseName.
	LeaseName string
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
	// Reload says where other configs come from. The zero value: there are none.
	Reload Reload
	// Version is that of the host, for recordings.
	Version string
	// Log takes the log. The zero value discards it.
	Log logr.Logger
}

// DefaultLeaseName is the name of the Lease of leader election.
const DefaultLeaseName = "wasmloop.wasmloop.dev"

// leaseRetry is how long a host that waits for the lease pauses before it asks again whether it is given back: up to 1.2 times as much is
// added by chance. It is most of the time in which another host goes on.
const leaseRetry = time.Second

// shutdownTimeout is how long running reconciles may take to end.
const shutdownTimeout = 5 * time.Second

// Engine runs controllers against one cluster.
type Engine struct {
	manager  manager.Manager
	runtime  *guest.Runtime
	fleet    fleet
	calls    callLog
	progress progress
	kinds    kinds
	mapper   *setup.Mapper
	events   *events
	// accounts are whom the host acts as, and own is its own account.
	accounts accounts
	own      *account
	log      logr.Logger
	reload   Reload
	// placing is held by who puts controllers in the places of others.
	placing sync.Mutex

	mu     sync.Mutex // of what a change of the config changes
	config *config.Config
	// source fetches modules, as sourceSettings say.
	source         *source.Client
	sourceSettings string
	// modules are the supplies of the modules, by their names in the config.
	modules map[string]*supply
	// equipped is true once all modules were loaded, or found not to load.
	equipped bool
	// trouble is why the config file is not what the host works by. nil: it is.
	trouble error

	// cacheDir is where compiled modules and outcomes are kept.
	cacheDir string
	idler    idler
	// relatedIdle replaces the constant of that name, for tests.
	relatedIdle time.Duration
	// reviewInterval likewise.
	reviewInterval time.Duration
	report         *reporter     // nil if there is to be none
	store          *record.Store // nil if nothing is recorded
	version        string
	// supplying is done when no supply runs any more, which stopSupplying ends.
	supplying     sync.WaitGroup
	supplyContext context.Context //nolint:containedctx // supplies live as long as the engine
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
	e := &Engine{manager: mgr, log: options.Log, cacheDir: options.CacheDir, version: options.Version, reload: options.Reload}
	if err := e.openStore(options.Record); err != nil {
		return nil, err
	}
	e.mapper = setup.NewMapper(cluster, mgr.GetHTTPClient())
	e.accounts = accounts{cluster: cluster, mapper: e.mapper, log: options.Log}
	if e.own, err = e.accounts.of(&config.Controller{}); err != nil {
		return nil, err
	}
	if e.kinds.Kinds, err = setup.NewKinds(cluster, mgr.GetHTTPClient(), e.mapper); err != nil {
		return nil, err
	}
	if options.ReportLeftovers {
		whole := func() *config.Config {
			return &config.Config{Controllers: slices.Concat(e.current().Controllers, options.Deselected)}
		}
		e.report = &reporter{&Leftovers{e.own.client, e.kinds.Discovery}, whole, options.ReportAfter, options.Log}
	}
	if e.events, err = newEvents(cluster, mgr); err != nil {
		return nil, err
	}
	if e.runtime, err = guest.NewRuntime(ctx, guest.Options{CacheDir: options.CacheDir, Compiled: compiled}); err != nil {
		return nil, err
	}
	e.supplyContext, e.stopSupplying = context.WithCancel(ctx)
	// The modules are fetched and loaded while the host connects to the cluster and fills its caches.
	if err := errors.Join(e.register(), e.take(ctx, conf)); err != nil {
		e.stopSupplying()
		return nil, err
	}
	return e, nil
}

// newRunner returns what runs a controller with a module.
func (e *Engine) newRunner(entry *config.Controller, of config.Module, m *module) (*runner, error) {
	as, err := e.accounts.of(entry)
	if err != nil {
		return nil, err
	}
	recorder := e.events.recorder(entry.Name)
	r := &runner{
		engine: e, entry: *entry, account: as, module: m, fingerprint: fingerprint(entry, of), digest: m.digestOf,
		recorder: recorder, opened: make(chan struct{}),
	}
	if as.subject != nil {
		r.alert = func(reason, message string) { recorder.eventOn(as.subject, corev1.EventTypeWarning, reason, message) }
	}
	return r, nil
}

func managerOptions(options Options) manager.Options {
	metrics := server.Options{BindAddress: orNone(options.MetricsAddress)}
	if options.MetricsSecure {
		metrics.SecureServing, metrics.CertDir, metrics.FilterProvider = true, options.MetricsCertDir, filters.WithAuthenticationAndAuthorization
	}
	return manager.Options{
		Logger:                        options.Log,
		Metrics:                       metrics,
		PprofBindAddress:              orNone(options.PprofAddress),
		HealthProbeBindAddress:        orNone(options.HealthAddress),
		LeaderElection:                options.LeaderElection,
		LeaderElectionID:              cmp.Or(options.LeaseName, DefaultLeaseName),
		LeaderElectionNamespace:       options.LeaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true,
		RetryPeriod:                   new(leaseRetry),
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
	if err := e.manager.AddHealthzCheck("reconciles", e.healthy); err != nil {
		return fmt.Errorf("cannot add the health check: %w", err)
	}
	if err := e.manager.AddMetricsServerExtraHandler(StatusPath, http.HandlerFunc(e.serveStatus)); err != nil {
		return fmt.Errorf("cannot serve the status: %w", err)
	}
	for name, check := range map[string]healthz.Checker{"caches": e.ready, "modules": e.supplied, "apiserver": (&probe{discovery: e.kinds.Discovery}).check} {
		if err := e.manager.AddReadyzCheck(name, check); err != nil {
			return fmt.Errorf("cannot add the readiness check: %w", err)
		}
	}
	if err := e.manager.Add(&e.idler); err != nil {
		return fmt.Errorf("cannot add what gives memory back: %w", err)
	}
	if e.report != nil {
		if err := e.manager.Add(e.report); err != nil {
			return fmt.Errorf("cannot add the report of leftovers: %w", err)
		}
	}
	if e.reload.File != "" {
		if err := e.manager.Add(&reloader{engine: e, Reload: e.reload}); err != nil {
			return fmt.Errorf("cannot watch the config: %w", err)
		}
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
