package engine

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
	"github.com/wasmloop/wasmloop/host/internal/setup"
)

const (
	// kindPoll is how often the cluster is asked for a kind that it does not serve yet.
	kindPoll = 2 * time.Second
	// kindReminder is how often the log says that a kind is still waited for.
	kindReminder = time.Minute
)

// kinds waits for kinds.
type kinds struct{ *setup.Kinds }

// wait returns the kinds as the cluster serves them, as soon as it serves all. The log and the metrics of the controller say
// what it waits for.
func (k kinds) wait(ctx context.Context, log logr.Logger, controller string, wanted []config.GroupVersionKind) ([]reconcile.Kind, error) {
	found := make([]reconcile.Kind, 0, len(wanted))
	for _, kind := range wanted {
		served, err := k.waitOne(ctx, log, controller, kind)
		if err != nil {
			return nil, err
		}
		found = append(found, served)
	}
	return found, nil
}

func (k kinds) waitOne(ctx context.Context, log logr.Logger, controller string, wanted config.GroupVersionKind) (reconcile.Kind, error) {
	var said time.Time
	missing := missingKinds.WithLabelValues(controller, wanted.Kind, wanted.APIVersion)
	defer missing.Set(0)
	for {
		kind, err := k.ask(ctx, wanted.Schema())
		if err == nil {
			if !said.IsZero() {
				log.Info("the cluster serves the kind now", "kind", wanted.String())
			}
			return kind, nil
		}
		missing.Set(1)
		if time.Since(said) > kindReminder {
			log.Info(waiting(err), "kind", wanted.String(), "reason", err.Error())
			said = time.Now()
		}
		select {
		case <-ctx.Done():
			return reconcile.Kind{}, ctx.Err()
		case <-time.After(kindPoll):
		}
	}
}

// ask asks the cluster how it serves a kind. Questions of that sort cannot be taken back, and a cluster that cannot be reached is
// asked again and again, so that who must end does not wait for the answer.
func (k kinds) ask(ctx context.Context, wanted schema.GroupVersionKind) (kind reconcile.Kind, err error) {
	answered := make(chan struct{})
	var found reconcile.Kind
	var failed error
	go func() {
		defer close(answered)
		found, failed = k.Find(ctx, wanted)
	}()
	select {
	case <-answered:
		return found, failed
	case <-ctx.Done():
		return reconcile.Kind{}, context.Cause(ctx)
	}
}

func waiting(err error) string {
	if meta.IsNoMatchError(err) {
		return "waiting for a kind that the cluster does not serve"
	}
	return "waiting for the cluster to say how it serves a kind"
}
