package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/wasmloop/wasmloop/host/test/bench/contest"
)

const (
	// freshPause is the time between a fresh object's child and the next fresh object.
	freshPause = 100 * time.Millisecond
	// freshAlone is how many fresh objects are measured while nothing else happens.
	freshAlone = 20
	// quiet is how long no module is called when all work is done.
	quiet = 2 * time.Second
)

// Why targets are missed that are.
const whyCalls = "a child that others changed meanwhile is another request"

// sharers are objects that share a related object, each with a child that shows its value.
type sharers struct {
	plane   *contest.Plane
	process *contest.Process
	audit   *contest.AuditLog
	number  int
	fresh   int // how many were created later
	// children are the ConfigMaps that come and change.
	children chan *unstructured.Unstructured
}

// measureSharing measures a change of an object that many others depend on, and how long a fresh object takes meanwhile.
func (b *bench) measureSharing(ctx context.Context, plane *contest.Plane) (rows []row, err error) {
	say("%d objects that share a related one", b.sharing)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s := &sharers{plane: plane, number: b.sharing}
	host, err := b.host(plane, "sharing", sharing)
	if err != nil {
		return nil, err
	}
	s.audit = plane.Audit(host)
	children, err := plane.Client.Resource(configMaps).Namespace(namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	defer children.Stop()
	s.children = make(chan *unstructured.Unstructured, 10*b.sharing)
	go s.receive(children)
	if err := s.create(ctx); err != nil {
		return nil, err
	}
	if s.process, err = plane.Launch(host); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.process.Stop()) }()
	_, err = s.during(ctx, func() (followed, error) { return s.follow(ctx, "0", b.sharing, 0) })
	if err != nil {
		return nil, err
	}
	alone, err := s.during(ctx, func() (followed, error) { return s.follow(ctx, "0", 0, freshAlone) })
	if err != nil {
		return nil, err
	}
	amid, err := s.during(ctx, func() (followed, error) {
		if err := s.change(ctx, "1"); err != nil {
			return followed{}, err
		}
		return s.follow(ctx, "1", b.sharing, -1)
	})
	return s.rows(alone, amid), err
}

// receive takes what a watch tells as it comes: the API server ends a watch that is not read.
func (s *sharers) receive(watch watch.Interface) {
	defer close(s.children)
	for event := range watch.ResultChan() {
		if child, ok := event.Object.(*unstructured.Unstructured); ok {
			s.children <- child
		}
	}
}

// rows returns what was measured of fresh objects alone, and amid those that follow a change. What fresh objects take is not
// counted for the others.
func (s *sharers) rows(alone, amid followed) []row {
	born, woken := float64(len(amid.latencies)), float64(s.number+len(alone.latencies))
	calls := amid.calls - born*alone.calls/float64(len(alone.latencies))
	ms := contest.Milliseconds
	idle, busy := contest.Quantile(alone.latencies, 0.5), contest.Quantile(amid.latencies, 0.5)
	return []row{
		{name: fmt.Sprintf("related object of %d: until all have followed", s.number), figure: amid.took.Seconds(), unit: "s"},
		{name: "related object: followed in a second", figure: float64(s.number) / amid.took.Seconds()},
		{name: "related object: module calls for each object", figure: calls / woken, target: atMost(1), why: whyCalls},
		{name: "related object: API calls for each object", figure: (amid.requests - born) / woken, target: atMost(1)},
		{name: fmt.Sprintf("fresh object, idle host: until its child is there, p50 of %d", len(alone.latencies)), figure: ms(idle), unit: "ms"},
		{name: fmt.Sprintf("fresh object, amid all that: p50 of %d", len(amid.latencies)), figure: ms(busy), unit: "ms"},
		{name: "fresh object, amid all that: the longest", figure: ms(contest.Quantile(amid.latencies, 1)), unit: "ms"},
		{name: "fresh object, amid all that / idle host", figure: float64(busy) / float64(idle)},
	}
}

// during returns how objects follow, and what the host does until it is done.
func (s *sharers) during(ctx context.Context, follow func() (followed, error)) (f followed, err error) {
	before, err := s.quiet(ctx)
	if err != nil {
		return f, err
	}
	s.audit.Mark()
	if f, err = follow(); err != nil {
		return f, err
	}
	after, err := s.quiet(ctx)
	if err != nil {
		return f, err
	}
	requests, err := s.audit.Count()
	f.calls, f.requests = after-before, requests.All()
	return f, err
}

func (s *sharers) create(ctx context.Context) error {
	shared := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "shared"}, "data": map[string]any{"value": "0"},
	}}
	if _, err := s.plane.Client.Resource(configMaps).Namespace(namespace).Create(ctx, shared, metav1.CreateOptions{}); err != nil {
		return err
	}
	return contest.Each(s.number, func(i int) error { return s.createView(ctx, fmt.Sprintf("old-%05d", i)) })
}

func (s *sharers) createView(ctx context.Context, name string) error {
	_, err := s.plane.Client.Resource(views).Namespace(namespace).Create(ctx, view(name), metav1.CreateOptions{})
	return err
}

// change changes the related object.
func (s *sharers) change(ctx context.Context, value string) error {
	patch := fmt.Appendf(nil, `{"data":{"value":%q}}`, value)
	_, err := s.plane.Client.Resource(configMaps).Namespace(namespace).Patch(ctx, "shared", types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// followed is how objects have followed.
type followed struct {
	took      time.Duration   // until the last one had
	latencies []time.Duration // of fresh objects
	// calls and requests are those of the host until it was done.
	calls, requests float64
}

// follow waits until the children of so many objects show a value. Meanwhile it creates fresh objects one after the other: so
// many, or -1 for as many as there is time for.
func (s *sharers) follow(ctx context.Context, value string, objects, fresh int) (f followed, err error) {
	done, begin := map[string]bool{}, time.Now()
	waiting, born := "", time.Time{}
	pause := time.NewTimer(freshPause)
	for len(done) < objects || waiting != "" || len(f.latencies) < fresh {
		select {
		case child, ok := <-s.children:
			if !ok {
				return f, errors.New("the API server has ended the watch")
			}
			if shown, _, _ := unstructured.NestedString(child.Object, "data", "value"); shown != value {
				continue
			}
			switch name := child.GetName(); {
			case name == waiting:
				f.latencies = append(f.latencies, time.Since(born))
				waiting = ""
				pause.Reset(freshPause)
			case strings.HasPrefix(name, "follows-old-"):
				if done[name] = true; len(done) == objects {
					f.took = time.Since(begin)
				}
			}
		case <-pause.C:
			if fresh >= 0 && len(f.latencies) == fresh || fresh < 0 && len(done) == objects {
				continue
			}
			name := fmt.Sprintf("fresh-%05d", s.fresh)
			s.fresh++
			waiting, born = "follows-"+name, time.Now()
			if err := s.createView(ctx, name); err != nil {
				return f, err
			}
		case <-ctx.Done():
			return f, fmt.Errorf("%d of %d objects have followed: %w", len(done), objects, ctx.Err())
		}
	}
	return f, nil
}

// quiet waits until no module is called any more, and returns how often it was.
func (s *sharers) quiet(ctx context.Context) (calls float64, err error) {
	for before := -1.0; calls != before; {
		before = calls
		select {
		case <-time.After(quiet):
		case <-ctx.Done():
			return 0, fmt.Errorf("the host goes on calling its module: %w", ctx.Err())
		}
		if calls, err = s.process.Calls(ctx); err != nil {
			return 0, err
		}
	}
	return calls, nil
}
