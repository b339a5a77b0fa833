package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/wasmloop/wasmloop/host/test/bench/contest"
)

// repair edits and deletes children in turn, and measures until each is as it was.
func (b *bench) repair(ctx context.Context) error {
	latencies, err := b.latencies(ctx, func(i int) error {
		children := b.Client.Resource(configMaps).Namespace(namespace)
		if i%2 == 0 {
			return children.Delete(ctx, "markdowns-"+name(i), metav1.DeleteOptions{})
		}
		patch := []byte(`{"data":{"page.md":"scribble"}}`)
		_, err := children.Patch(ctx, "markdowns-"+name(i), types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	}, func(event watch.Event) bool {
		page, _, _ := unstructured.NestedString(event.Object.(*unstructured.Unstructured).Object, "data", "page.md")
		return event.Type != watch.Deleted && page != "scribble"
	})
	b.figures.repair50, b.figures.repair99 = contest.Quantile(latencies, 0.5), contest.Quantile(latencies, 0.99)
	return err
}

// follow changes specs, and measures until the child has followed.
func (b *bench) follow(ctx context.Context) error {
	const text = "another text"
	latencies, err := b.latencies(ctx, func(i int) error { return b.patchView(ctx, i, text) }, func(event watch.Event) bool {
		page, _, _ := unstructured.NestedString(event.Object.(*unstructured.Unstructured).Object, "data", "page.md")
		return page == text
	})
	b.figures.follow50, b.figures.follow99 = contest.Quantile(latencies, 0.5), contest.Quantile(latencies, 0.99)
	return err
}

// latencies disturbs one object after the other, and measures until the ConfigMap of each is mended.
func (b *bench) latencies(ctx context.Context, disturb func(i int) error, mended func(event watch.Event) bool) ([]time.Duration, error) {
	watcher, err := b.Client.Resource(configMaps).Namespace(namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	defer watcher.Stop()
	var latencies []time.Duration
	for i := range min(samples, b.objects) {
		drain(watcher)
		begin := time.Now()
		if err := disturb(i); err != nil {
			return nil, err
		}
		for done := false; !done; {
			select {
			case event := <-watcher.ResultChan():
				child, ok := event.Object.(*unstructured.Unstructured)
				done = ok && child.GetName() == "markdowns-"+name(i) && mended(event)
			case <-ctx.Done():
				return nil, fmt.Errorf("%s is not mended: %w", name(i), ctx.Err())
			}
		}
		latencies = append(latencies, time.Since(begin))
		time.Sleep(20 * time.Millisecond) // one disturbance at a time
	}
	return latencies, nil
}

// drain drops the events that have come so far.
func drain(watcher watch.Interface) {
	for {
		select {
		case <-watcher.ResultChan():
		default:
			return
		}
	}
}

func (b *bench) patchView(ctx context.Context, i int, text string) error {
	patch := fmt.Appendf(nil, `{"spec":{"markdowns":{"page.md":%q}}}`, text)
	_, err := b.Client.Resource(views).Namespace(namespace).Patch(ctx, name(i), types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// until tries until it is so.
func (b *bench) until(ctx context.Context, so func() (bool, error)) error {
	for {
		ok, err := so()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", ctx.Err(), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
