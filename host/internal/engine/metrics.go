package engine

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/wasmloop/wasmloop/host/internal/guest"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Metrics of module calls, beside those that controller-runtime has of queues, reconciles and API calls. None is labelled
// by object: their number would have no bound.
var (
	callsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wasmloop_module_calls_total",
		Help: "Calls of a module by controller and outcome: ok, failed (the module said so), trapped, limit, not_loaded, cancelled.",
	}, []string{"controller", "outcome"})
	callSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "wasmloop_module_call_duration_seconds",
		Help:    "Time of a module call, the making of its instance included, by controller and outcome.",
		Buckets: prometheus.ExponentialBuckets(0.00001, 4, 10),
	}, []string{"controller", "outcome"})
	callFuel = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "wasmloop_module_call_fuel",
		Help:    "Fuel that a module call used, in units of about one function call or loop iteration, by controller and outcome.",
		Buckets: prometheus.ExponentialBuckets(1000, 4, 10),
	}, []string{"controller", "outcome"})
	callMemory = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "wasmloop_module_call_memory_bytes",
		Help:    "Size of a module's memory at the end of a call, by controller and outcome.",
		Buckets: prometheus.ExponentialBuckets(1<<20, 2, 8),
	}, []string{"controller", "outcome"})
	compileSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "wasmloop_module_compile_duration_seconds",
		Help:    "Time that it took to have a module compiled, by how: compiled, or cached (its compiled form was in the cache folder).",
		Buckets: prometheus.ExponentialBuckets(0.01, 3, 8),
	}, []string{"how"})
	skips = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wasmloop_reconciles_skipped_total",
		Help: "Reconciles that needed no call of the module, since nothing that it is shown has changed, by controller.",
	}, []string{"controller"})
	prunes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wasmloop_children_pruned_total",
		Help: "Children that were deleted since they were not wanted any more, by controller.",
	}, []string{"controller"})
	apiRequests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wasmloop_api_requests_total",
		Help: "Requests to the API server for objects by verb (apply, patch, create, delete, get, list, watch), kind and outcome: ok, conflict, forbidden, not_found, invalid, failed.",
	}, []string{"verb", "kind", "api_version", "outcome"})
	fuelTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wasmloop_module_fuel_total",
		Help: "Fuel that calls used, by module.",
	}, []string{"module"})
	failing = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "wasmloop_module_failures_in_a_row",
		Help: "Calls in a row that trapped or went over a limit, by controller. Above 0 the controller is slowed down.",
	}, []string{"controller"})
	failingWatches = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wasmloop_watch_errors_total",
		Help: "Times that a kind could not be listed or watched.",
	}, []string{"kind", "api_version"})
	recordings = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wasmloop_recordings_total",
		Help: "Recordings of calls by outcome: written, lost (no room, or they came too fast).",
	}, []string{"outcome"})
	resyncs = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wasmloop_resyncs_total",
		Help: "Objects that were looked at again though nothing happened, by controller.",
	}, []string{"controller"})
	running = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "wasmloop_controller_running",
		Help: "1 for each controller that runs, 0 for one that waits for its kinds.",
	}, []string{"controller"})
	lacking = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "wasmloop_controller_forbidden",
		Help: "1 for each controller that does not run since it lacks rights, 0 for the others.",
	}, []string{"controller"})
	missingKinds = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "wasmloop_missing_kinds",
		Help: "1 for each kind that a controller waits for, 0 for one that it has waited for.",
	}, []string{"controller", "kind", "api_version"})
	moduleInfo = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "wasmloop_module_info",
		Help: "1 for each loaded module, with its digest, its source with a digest, its tier, and how its instances are put back after a call.",
	}, []string{"module", "digest", "source", "tier", "restoring"})
	moduleTrouble = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "wasmloop_module_trouble",
		Help: "1 for each module that cannot be fetched or loaded, or not in the version that its source has now; 0 for the others.",
	}, []string{"module"})
	swaps = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wasmloop_module_swaps_total",
		Help: "Times that another version took the place of a module that ran.",
	}, []string{"module"})
	replaced = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wasmloop_controller_replacements_total",
		Help: "Times that a controller took the place of the one of its name, since its config entry or its module had changed.",
	}, []string{"controller"})
	configTrouble = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wasmloop_config_trouble",
		Help: "1 if the config file has changed and cannot be taken up, so that the host works by the one before; 0 otherwise.",
	})
	reloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wasmloop_config_reloads_total",
		Help: "Times that the config file had changed, by outcome: taken, refused.",
	}, []string{"outcome"})
)

func init() {
	metrics.Registry.MustRegister(callsTotal, callSeconds, callFuel, callMemory, compileSeconds, skips, prunes, apiRequests, fuelTotal, failing, failingWatches, recordings, resyncs, running, lacking, missingKinds, moduleInfo, moduleTrouble, swaps, replaced, configTrouble, reloads)
}

// forgetController takes a controller that has been taken out from the metrics of how things are. Counters stay, as counters do.
func forgetController(name string) {
	labels := prometheus.Labels{"controller": name}
	for _, metric := range []*prometheus.GaugeVec{failing, running, lacking, missingKinds} {
		metric.DeletePartialMatch(labels)
	}
}

// measured counts and times the calls of a module.
func measured(controller string, module reconcile.Module) reconcile.Module {
	return reconcile.ModuleFunc(func(ctx context.Context, request []byte, log func(abi.Level, string)) ([]byte, error) {
		start := time.Now()
		response, err := module.Call(ctx, request, log)
		ended := outcome(err)
		callSeconds.WithLabelValues(controller, ended).Observe(time.Since(start).Seconds())
		callsTotal.WithLabelValues(controller, ended).Inc()
		return response, err
	})
}

// compiled notes that a module was compiled.
func compiled(took time.Duration, cached bool) {
	how := "compiled"
	if cached {
		how = "cached"
	}
	compileSeconds.WithLabelValues(how).Observe(took.Seconds())
}

// tally counts what the reconciles of a controller come to. It implements reconcile.Tally.
type tally struct{ skipped, pruned prometheus.Counter }

func tallyOf(controller string) tally {
	return tally{skips.WithLabelValues(controller), prunes.WithLabelValues(controller)}
}

// Skipped implements reconcile.Tally.
func (t tally) Skipped() { t.skipped.Inc() }

// Pruned implements reconcile.Tally.
func (t tally) Pruned(children int) { t.pruned.Add(float64(children)) }

// countRequest counts a request to the API server.
func countRequest(verb string, kind schema.GroupVersionKind, err error) {
	apiRequests.WithLabelValues(verb, kind.Kind, kind.GroupVersion().String(), answerOf(err)).Inc()
}

func answerOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return "conflict"
	case apierrors.IsForbidden(err):
		return "forbidden"
	case apierrors.IsNotFound(err):
		return "not_found"
	case apierrors.IsInvalid(err):
		return "invalid"
	default:
		return "failed"
	}
}

func outcome(err error) string {
	var (
		failed *guest.ModuleError
		limit  *guest.LimitError
		trap   *guest.TrapError
		absent *notLoadedError
	)
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &failed):
		return "failed"
	case errors.As(err, &limit):
		return "limit"
	case errors.As(err, &trap):
		return "trapped"
	case errors.As(err, &absent):
		return "not_loaded"
	default:
		return "cancelled"
	}
}
