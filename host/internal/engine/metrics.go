package engine

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
		Help:    "Time of a module call, the making of its instance included, by controller.",
		Buckets: prometheus.ExponentialBuckets(0.00001, 4, 10),
	}, []string{"controller"})
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
)

func init() {
	metrics.Registry.MustRegister(callsTotal, callSeconds, fuelTotal, failing, failingWatches, recordings, resyncs, running, missingKinds, moduleInfo, moduleTrouble, swaps)
}

// measured counts and times the calls of a module.
func measured(controller string, module reconcile.Module) reconcile.Module {
	seconds := callSeconds.WithLabelValues(controller)
	return reconcile.ModuleFunc(func(ctx context.Context, request []byte, log func(abi.Level, string)) ([]byte, error) {
		start := time.Now()
		response, err := module.Call(ctx, request, log)
		seconds.Observe(time.Since(start).Seconds())
		callsTotal.WithLabelValues(controller, outcome(err)).Inc()
		return response, err
	})
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
