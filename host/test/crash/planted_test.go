package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// fault is something that is wrong with the host on purpose.
type fault string

// The faults.
const (
	// careless deletes what has the name, whatever became of it.
	careless fault = "careless"
	// grabbing applies to what has the name, whether it is there or not, and whatever became of it.
	grabbing fault = "grabbing"
	// unmarked applies without owner references.
	unmarked fault = "unmarked"
	// unheld sets no finalizers.
	unheld fault = "unheld"
	// deaf does not hear of children that have no owner reference.
	deaf fault = "deaf"
	// forgetful does not try again.
	forgetful fault = "forgetful"
	// indifferent takes what one module came to for what another would.
	indifferent fault = "indifferent"
	// blind does not see its children.
	blind fault = "blind"
)

// wrap puts the fault into what the host reads and writes by.
func (f fault) wrap(reader reconcile.Reader, writer *kube.Client) (reconcile.Reader, apply.Writer) {
	switch f {
	case careless, grabbing, unmarked, unheld:
		return reader, &faultyWriter{writer, f}
	case blind:
		return &blindReader{reader}, writer
	default:
		return reader, writer
	}
}

type faultyWriter struct {
	*kube.Client
	fault fault
}

// Apply implements apply.Writer.
func (w *faultyWriter) Apply(ctx context.Context, id kube.ID, body []byte, write kube.Write) (*kube.Object, error) {
	var sent map[string]any
	if err := json.Unmarshal(body, &sent); err != nil {
		return nil, err
	}
	metadata, _ := sent["metadata"].(map[string]any)
	if w.fault == grabbing {
		delete(metadata, "uid")
		delete(metadata, "resourceVersion")
	}
	if w.fault == unmarked {
		delete(metadata, "ownerReferences")
	}
	body, err := json.Marshal(sent)
	if err != nil {
		return nil, err
	}
	return w.Client.Apply(ctx, id, body, write)
}

// Patch implements apply.Writer.
func (w *faultyWriter) Patch(ctx context.Context, id kube.ID, body []byte, write kube.Write) (*kube.Object, error) {
	if w.fault == unheld && bytes.Contains(body, []byte(`"finalizers":["`)) {
		return w.Get(ctx, id)
	}
	return w.Client.Patch(ctx, id, body, write)
}

// Delete implements apply.Writer.
func (w *faultyWriter) Delete(ctx context.Context, object *kube.Object) error {
	if w.fault == careless {
		if live, err := w.Get(ctx, object.ID()); err == nil {
			object = live
		}
	}
	return w.Client.Delete(ctx, object)
}

type blindReader struct{ reconcile.Reader }

// ByIndex implements reconcile.Reader.
func (*blindReader) ByIndex(context.Context, schema.GroupVersionKind, string) ([]*kube.Object, error) {
	return nil, nil
}

// TestPlantedFaults shows that what is wrong is found: each fault by a scenario that has to do with it.
func TestPlantedFaults(t *testing.T) {
	hostile := plan{disturbed: true, neighbour: true}
	tests := map[fault]struct {
		reason   string
		scenario string
		plan     plan
	}{
		careless:    {"it deletes what the neighbour has taken over", "children come and go", hostile},
		grabbing:    {"it takes over what is there already", "create", hostile},
		unmarked:    {"its children do not name their owner", "create", plan{}},
		unheld:      {"children abroad stay when their owner goes", "children abroad", plan{}},
		deaf:        {"children abroad are not mended", "a child abroad is deleted", plan{}},
		forgetful:   {"what went wrong once stays wrong", "admission", plan{}},
		indifferent: {"the new module is not asked", "another module", plan{outcomes: true}},
		blind:       {"nothing is pruned", "children come and go", plan{}},
	}
	for planted, tt := range tests {
		t.Run(string(planted), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(100) {
				each := tt.plan
				each.fault, each.seed = planted, seed
				if came := carryOut(t, scenarios[tt.scenario], each); len(came.violations) > 0 {
					t.Logf("found with seed %d: %s", seed, came.violations[0])
					return
				}
			}
			t.Errorf("%s: and it is not found", tt.reason)
		})
	}
}
