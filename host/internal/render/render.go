// Package render runs the real reconcile loop over an in-memory cluster: for the command line and for tests, without a
// cluster and without waiting. Everything happens in an order that is always the same, and, unless waves of objects are asked
// for, in one goroutine; the clock moves only when it is told to.
//
// The files: plan.go prepares a controller and what is to be in its cluster, with entry.go, kinds.go and claims.go for what nobody
// has said; cluster.go is a cluster with the controller running in it, with cache.go, queue.go, wave.go and writer.go; load.go
// fills it. result.go is what came of it.
package render

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// Object is an object of the cluster.
type Object = *unstructured.Unstructured

// Input is what a cluster begins with.
type Input struct {
	// Name is the controller's name if Entry is nil.
	Name string
	// Entry is the controller's entry in a config. nil: it is made up, of the kind of Only, and of what the module answers.
	Entry *config.Controller
	// Module is the controller's module.
	Module reconcile.Module
	// Only is the object that is reconciled. nil: all of the kinds that the entry says.
	Only Object
	// For is the kind that is reconciled if neither Entry nor Only says so.
	For schema.GroupVersionKind
	// Objects are what else there is: CustomResourceDefinitions and namespaces among them, if they matter. What lacks is made up.
	Objects []Object
	// Now is what the clock begins with. The zero value: the first of January 2026.
	Now time.Time
}

// start is what clocks begin with: never the real time, so that the result is always the same.
var start = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// maxPrepare is how often a plan is prepared anew, each time with what the module's last answer has shown to be missing.
const maxPrepare = 20

// Run reconciles the objects of an input until nothing happens any more. It returns the cluster then; the error says what
// is wrong with the input, and not what came of it. notes are told what was made up.
func Run(ctx context.Context, input Input, note func(string)) (*Cluster, error) {
	plan, err := Prepare(ctx, input, note)
	if err != nil {
		return nil, err
	}
	options := Options{}
	if input.Only == nil {
		options.Wave = wave
	}
	return plan.Converge(ctx, options)
}

// wave is how many objects are reconciled side by side: enough for many processors, and what they make fits into memory twice.
const wave = 256

// Converge starts a cluster and lets the controller work until nothing happens any more. The plan grows with what the answers
// show to be missing.
func (p *Plan) Converge(ctx context.Context, options Options) (*Cluster, error) {
	for range maxPrepare {
		cluster, err := p.Start(ctx, options)
		if err != nil {
			return nil, err
		}
		if options.Wave > 1 && cluster.step(ctx) { // many objects: what the first show to be missing need not be found out by all
			grown, err := p.Grow(ctx, cluster)
			if err != nil {
				return nil, err
			}
			if grown {
				continue
			}
		}
		cluster.Settle(ctx)
		grown, err := p.Grow(ctx, cluster)
		switch {
		case err != nil:
			return nil, err
		case grown:
		case cluster.Raced():
			options.Wave = 1
		default:
			return cluster, nil
		}
	}
	return nil, fmt.Errorf("the module wants something else each time, %d times in a row", maxPrepare)
}

// IDOf returns what names an object.
func IDOf(object Object) kube.ID {
	id := kube.ID{GroupVersionKind: object.GroupVersionKind()}
	id.Namespace, id.Name = object.GetNamespace(), object.GetName()
	return id
}
