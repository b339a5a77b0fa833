package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wasmloop/wasmloop/host/test/bench/contest"
)

// Why targets are missed that are.
const whyResync = "the look whether anything changed takes nearly all"

// usage is what a host does in some time.
type usage struct {
	cpu                        time.Duration
	reconciles, resyncs, calls float64
}

func usageOf(ctx context.Context, p *contest.Process) (u usage, err error) {
	var errs [4]error
	u.cpu, errs[0] = p.CPU()
	u.reconciles, errs[1] = p.Reconciles(ctx)
	u.calls, errs[2] = p.Calls(ctx)
	u.resyncs, errs[3] = p.Resyncs(ctx)
	return u, errors.Join(errs[:]...)
}

func (u usage) minus(v usage) usage {
	return usage{u.cpu - v.cpu, u.reconciles - v.reconciles, u.resyncs - v.resyncs, u.calls - v.calls}
}

// measureResync measures a host that looks at all ConfigMaps again and again, beside one that does not.
func (b *bench) measureResync(ctx context.Context, plane *contest.Plane) (rows []row, err error) {
	say("resync of %d objects", b.objects)
	resyncing, err := b.host(plane, "resyncing", fmt.Sprintf(resynced, b.resync))
	if err != nil {
		return nil, err
	}
	idling, err := b.host(plane, "idling", reconciled)
	if err != nil {
		return nil, err
	}
	var processes [2]*contest.Process
	for i, c := range []contest.Contender{resyncing, idling} {
		if processes[i], err = plane.Launch(c); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, processes[i].Stop()) }()
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, p := range processes {
		if err := p.Reconciled(bounded, b.objects); err != nil {
			return nil, err
		}
	}
	time.Sleep(settle)
	audit := plane.Audit(resyncing) // and of the other one
	audit.Mark()
	const periods = 2
	used, err := during(ctx, processes, periods*b.resync)
	if err != nil {
		return nil, err
	}
	requests, err := audit.Count()
	if err != nil {
		return nil, err
	}
	busy, idle := used[0], used[1]
	if busy.resyncs < periods*float64(b.objects) {
		return nil, fmt.Errorf("%.0f resyncs in %d periods of %d objects: the host does not do what is to be measured", busy.resyncs, periods, b.objects)
	}
	each := float64(busy.cpu-idle.cpu) / float64(time.Microsecond) / busy.resyncs
	seconds := (periods * b.resync).Seconds()
	return []row{
		{name: fmt.Sprintf("resync of unchanged objects every %v: resyncs in %v", b.resync, periods*b.resync), figure: busy.resyncs},
		{name: "resync: CPU in a second, of a host without resync", figure: contest.Milliseconds(idle.cpu) / seconds, unit: "ms"},
		{name: "resync: CPU of an unchanged object", figure: each, unit: "µs", target: atMost(10), why: whyResync},
		{name: "resync: module calls", figure: busy.calls, target: atMost(0)},
		{name: "resync: API calls", figure: requests.All(), target: atMost(0)},
	}, nil
}

// during returns what processes use in some time.
func during(ctx context.Context, processes [2]*contest.Process, period time.Duration) (used [2]usage, err error) {
	var before [2]usage
	for i, p := range processes {
		if before[i], err = usageOf(ctx, p); err != nil {
			return used, err
		}
	}
	time.Sleep(period)
	for i, p := range processes {
		after, err := usageOf(ctx, p)
		if err != nil {
			return used, err
		}
		used[i] = after.minus(before[i])
	}
	return used, nil
}
