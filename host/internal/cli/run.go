package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"slices"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/engine"
)

// runFlags are the flags of wasmloop run.
type runFlags struct {
	config      string
	kubeconfig  string
	controllers []string
	logFormat   string
	debug       bool
	local       localFlags
	recordLimit string
	watchConfig bool
	engine      engine.Options
}

const runExample = `  # The samples, against a control plane of their own on this machine
  wasmloop run --config config/wasmloop.yaml --local --crd config/crd --apply config/samples

  # All controllers but one, against the cluster that KUBECONFIG or ~/.kube/config names
  wasmloop run --config wasmloop.yaml --controllers '*,-podrunner'`

func newRunCommand(stderr io.Writer) *cobra.Command {
	flags := &runFlags{}
	command := &cobra.Command{
		Use:   "run",
		Short: "Run the controllers of a config file",
		Long: `Run the controllers of a config file until interrupted.

The cluster is the first of these that there is: the one that --local starts on this machine, that of --kubeconfig, that
of the variable KUBECONFIG, that of ~/.kube/config, the one that wasmloop runs in.`,
		Example: runExample,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return flags.run(command.Context(), stderr)
		},
	}
	flags.register(command)
	return command
}

func (f *runFlags) register(command *cobra.Command) {
	set := command.Flags()
	set.StringVar(&f.config, "config", "", "config `file` (required)")
	_ = command.MarkFlagRequired("config") // fails only for a flag that does not exist
	set.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig `file` of the cluster to work on")
	set.StringSliceVar(&f.controllers, "controllers", []string{"*"},
		"controllers to run: 'foo' runs foo, '-foo' does not, '*' stands for all that are not named")
	set.StringVar(&f.logFormat, "log-format", "text", "how log lines are written: text or json")
	set.BoolVar(&f.debug, "debug", false, "log more, unless logLevel in the config says otherwise")
	set.BoolVar(&f.watchConfig, "watch-config", true, "take up the config file, and those that it names, as they change")
	set.StringVar(&f.engine.MetricsAddress, "metrics-bind-address", "127.0.0.1:8080", "`address` to serve Prometheus metrics on; 0: none")
	set.BoolVar(&f.engine.MetricsSecure, "metrics-secure", false, "serve metrics over TLS, to those whom the API server knows and lets get the path /metrics")
	set.StringVar(&f.engine.MetricsCertDir, "metrics-cert-dir", "", "`folder` with tls.crt and tls.key for --metrics-secure (default: a certificate of its own making)")
	set.StringVar(&f.engine.PprofAddress, "pprof-bind-address", "", "loopback `address` to serve profiles on (default: none)")
	set.StringVar(&f.engine.HealthAddress, "health-probe-bind-address", "127.0.0.1:8081", "`address` to serve /healthz and /readyz on; 0: none")
	set.BoolVar(&f.engine.LeaderElection, "leader-elect", false, "let only one of several hosts work at a time")
	set.StringVar(&f.engine.LeaderElectionNamespace, "leader-election-namespace", "", "`namespace` of the Lease for --leader-elect (default: that of the host's Pod)")
	set.StringVar(&f.engine.LeaseName, "lease-name", engine.DefaultLeaseName, "`name` of that Lease: hosts with another one do not wait for each other")
	set.StringVar(&f.engine.CacheDir, "cache-dir", "", "`folder` for compiled modules, writable for this host alone (default: none, or inside --local-dir)")
	set.BoolVar(&f.engine.ReportLeftovers, "report-leftovers", true, "look once for children and finalizers that earlier configs left over, and log them")
	set.DurationVar(&f.engine.ReportAfter, "report-leftovers-after", 0, "look for them so long after the start")
	_ = set.MarkHidden("report-leftovers-after") // fails only for a flag that does not exist; it is for tests
	f.local.register(set)
	f.registerRecording(set)
	command.MarkFlagsMutuallyExclusive("local", "kubeconfig")
}

func (f *runFlags) registerRecording(set *pflag.FlagSet) {
	set.StringVar(&f.engine.Record.Dir, "record", "", "record calls of modules in files of this `folder`, for wasmloop replay")
	set.BoolVar(&f.engine.Record.FailuresOnly, "record-failures", false, "record just the calls that fail, and the answers that are none")
	set.BoolVar(&f.engine.Record.Secrets, "record-secrets", false, "record the contents of Secrets too")
	set.StringVar(&f.recordLimit, "record-limit", "100Mi", "`size` of all recordings together; the oldest go first")
}

// readRecordLimit reads the limit of recordings.
func (f *runFlags) readRecordLimit() (err error) {
	if f.engine.Record.Dir == "" && (f.engine.Record.FailuresOnly || f.engine.Record.Secrets) {
		return errors.New("--record-failures and --record-secrets need --record FOLDER")
	}
	f.engine.Record.MaxBytes, err = config.Size(f.recordLimit).Bytes()
	if err != nil || f.engine.Record.MaxBytes <= 0 {
		return fmt.Errorf("--record-limit %q: want a size, like 100Mi", f.recordLimit)
	}
	return nil
}

func (f *runFlags) run(ctx context.Context, stderr io.Writer) error {
	conf, err := f.load()
	if err != nil {
		return err
	}
	level := &slog.LevelVar{}
	level.Set(levelOf(conf, f.debug))
	log, err := newLogger(stderr, f.logFormat, level)
	if err != nil {
		return err
	}
	if err := f.checkAddresses(); err != nil {
		return err
	}
	if f.watchConfig {
		f.engine.Reload = engine.Reload{
			File: f.config, Load: f.load, Taken: func(conf *config.Config) { level.Set(levelOf(conf, f.debug)) },
		}
	}
	f.engine.Log, f.engine.Version = log, version
	if err := f.readRecordLimit(); err != nil {
		return err
	}
	if f.local.enabled {
		return f.runLocal(ctx, stderr, conf, log)
	}
	if f.local.used() {
		return errors.New("--crd, --apply and --local-dir need --local: on other clusters use kubectl")
	}
	cluster, err := clusterOf(f.kubeconfig)
	if err != nil {
		return err
	}
	return f.runEngine(ctx, conf, cluster)
}

// load reads the config, and leaves just the controllers in it that are to run.
func (f *runFlags) load() (*config.Config, error) {
	conf, err := config.Load(f.config)
	if err != nil {
		return nil, err
	}
	return conf, f.selectControllers(conf)
}

// checkAddresses refuses to serve profiles to others: they show what is in the host's memory.
func (f *runFlags) checkAddresses() error {
	if f.engine.MetricsCertDir != "" && !f.engine.MetricsSecure {
		return errors.New("--metrics-cert-dir needs --metrics-secure")
	}
	if f.engine.PprofAddress == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(f.engine.PprofAddress)
	if err != nil {
		return fmt.Errorf("--pprof-bind-address %q: want HOST:PORT", f.engine.PprofAddress)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--pprof-bind-address %q: profiles are served on a loopback address alone, like 127.0.0.1:6060", f.engine.PprofAddress)
	}
	return nil
}

// selectControllers leaves just the controllers in conf that are to run.
func (f *runFlags) selectControllers(conf *config.Config) error {
	all := slices.Clone(conf.Controllers)
	if err := conf.Select(f.controllers); err != nil {
		return err
	}
	f.engine.Deselected = slices.DeleteFunc(all, func(entry config.Controller) bool {
		return slices.ContainsFunc(conf.Controllers, func(running config.Controller) bool { return running.Name == entry.Name })
	})
	return nil
}

// clusterOf returns how to reach the cluster that a kubeconfig file, or else the environment, names.
func clusterOf(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	cluster, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("no cluster: give --kubeconfig FILE or set KUBECONFIG (for a control plane on this machine: wasmloop run --local)")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot find the cluster: %w", err)
	}
	return cluster, nil
}

// memoryShare is how much of the memory that a container may take Go's collector tries to get along with. The rest is for modules,
// whose memory is none of Go's.
const memoryShare = 0.8

// limitMemory has Go's collector work harder before the kernel ends the process. GOMEMLIMIT goes before it, and without a limit of the
// container there is none.
func limitMemory(log logr.Logger) {
	switch limit, err := memlimit.Set(memlimit.WithRatio(memoryShare)); {
	case err == nil && limit > 0 && limit < math.MaxInt64:
		log.Info("memory is limited", "collectorLimit", limit)
	case err != nil:
		log.V(1).Info("no limit of memory was found", "reason", err.Error())
	}
}

func (f *runFlags) runEngine(ctx context.Context, conf *config.Config, cluster *rest.Config) error {
	limitMemory(f.engine.Log)
	e, err := engine.New(ctx, cluster, conf, f.engine)
	if err != nil {
		return err
	}
	return e.Start(ctx)
}
