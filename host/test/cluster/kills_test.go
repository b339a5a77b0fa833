package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// testHandOver has the host that works go, in order and without warning: the other one, which has its modules ready, takes over.
func testHandOver(t *testing.T) {
	p := newProber(t)
	waitForModules(t)
	figure(t, "nobody reconciles, at most, when the leader's Pod is deleted", p.during(func() error { return disturb(t, deleteLeader) }))
	waitForModules(t)
	figure(t, "nobody reconciles, at most, when the leader is killed", p.during(func() error { return disturb(t, killLeader) }))
	waitForHosts(t)
	p.end()
}

// testKills makes, changes and deletes objects while hosts come and go. At last all is as it should be, and nothing has been made
// twice.
func testKills(t *testing.T) {
	made := watchAddresses(t)
	l := &load{services: newServices(t)}
	disturbances := []func(*testing.T) error{deleteLeader, killLeader, deleteAllAtOnce, deleteLeader}
	done := make(chan error, 1)
	go func() {
		for _, way := range disturbances {
			if err := disturb(t, way); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
			l.act()
			time.Sleep(20 * time.Millisecond)
		}
	}
	figure(t, "changes of objects while hosts were killed", l.acts)
	figure(t, "objects then", len(l.ports))
	figure(t, "until all of them were reconciled", took(l.waitUntilSettled))
	waitForHosts(t)
	counts := made()
	for _, name := range slices.Collect(maps.Keys(l.ports)) {
		if times := counts[name+"-address"]; times != 1 {
			t.Errorf("the address of %s was made %d times", name, times)
		}
		l.delete(name)
	}
	l.waitUntilSettled()
}

// load does things to Services at random. No name is used twice.
type load struct {
	*services
	acts int
}

func (l *load) act() {
	l.t.Helper()
	l.acts++
	ours := slices.Sorted(maps.Keys(l.ports))
	port := 1 + rand.Int32N(60000)
	switch n := rand.IntN(10); {
	case n < 4 || len(ours) == 0:
		l.create(fmt.Sprintf("load-%d", l.acts), port)
	case n < 8:
		l.change(ours[rand.IntN(len(ours))], port)
	default:
		l.delete(ours[rand.IntN(len(ours))])
	}
}

// watchAddresses counts from now on how often each address is made. What it returns ends that and returns the counts.
func watchAddresses(t *testing.T) func() map[string]int {
	t.Helper()
	watcher, err := shared.client.Watch(t.Context(), &corev1.ConfigMapList{}, client.InNamespace(release))
	if err != nil {
		t.Fatal(err)
	}
	end, counted := make(chan struct{}), make(chan map[string]int, 1)
	go func() {
		counts := map[string]int{}
		defer func() { counted <- counts }()
		for {
			select {
			case event, open := <-watcher.ResultChan():
				if !open && t.Context().Err() != nil { // the test has ended, and says why
					return
				}
				if !open {
					t.Error("the watch ended early: what it saw is not all")
					return
				}
				if object, is := event.Object.(*corev1.ConfigMap); is && event.Type == watch.Added {
					counts[object.Name]++
				}
			case <-end:
				return
			}
		}
	}()
	return func() map[string]int {
		close(end)
		defer watcher.Stop()
		return <-counted
	}
}

// disturb does something to the hosts and waits until another one, or the same one anew, works.
func disturb(t *testing.T, way func(*testing.T) error) error {
	before, err := holder(t)
	if err != nil {
		return err
	}
	if err := way(t); err != nil {
		return err
	}
	for deadline := time.Now().Add(waitTimeout); ; time.Sleep(20 * time.Millisecond) {
		now, err := holder(t)
		if err != nil {
			return err
		}
		if now != "" && now != before {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("nobody takes over")
		}
	}
}

// holder returns the name that the host that works goes by: its Pod's, and something that changes when it is started anew.
func holder(t *testing.T) (string, error) {
	lease := &coordinationv1.Lease{}
	if err := shared.client.Get(t.Context(), client.ObjectKey{Namespace: release, Name: "wasmloop"}, lease); err != nil {
		return "", err
	}
	if lease.Spec.HolderIdentity == nil {
		return "", nil
	}
	return *lease.Spec.HolderIdentity, nil
}

// leader returns the Pod of the host that works. A host whose Pod is gone may work for a moment longer, and even take over from one
// that ends before it.
func leader(t *testing.T) (*corev1.Pod, error) {
	for deadline := time.Now().Add(waitTimeout); ; time.Sleep(20 * time.Millisecond) {
		identity, err := holder(t)
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(identity, "_")
		pod := &corev1.Pod{}
		err = shared.client.Get(t.Context(), client.ObjectKey{Namespace: release, Name: name}, pod)
		waits := name == "" || apierrors.IsNotFound(err)
		if !waits || time.Now().After(deadline) {
			return pod, err
		}
	}
}

func deleteLeader(t *testing.T) error {
	pod, err := leader(t)
	if err != nil {
		return err
	}
	return shared.client.Delete(t.Context(), pod)
}

// killLeader has no warning, as when memory runs out.
func killLeader(t *testing.T) error {
	pod, err := leader(t)
	if err != nil {
		return err
	}
	p, err := findProcess(pod)
	if err != nil {
		return err
	}
	return p.kill()
}

// deleteAllAtOnce deletes all Pods and leaves their hosts no time.
func deleteAllAtOnce(t *testing.T) error {
	labels := client.MatchingLabels{"app.kubernetes.io/component": "host"}
	return shared.client.DeleteAllOf(t.Context(), &corev1.Pod{}, client.InNamespace(release), labels, client.GracePeriodSeconds(0))
}

// waitForHosts waits until there are two hosts, and both are ready.
func waitForHosts(t *testing.T) {
	t.Helper()
	eventually(t, "two Pods that are ready", func() error {
		ready := 0
		pods := hosts(t)
		for _, pod := range pods {
			for _, condition := range pod.Status.Conditions {
				if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil {
					ready++
				}
			}
		}
		if ready != 2 || len(pods) != 2 {
			return fmt.Errorf("there are %d, and %d are ready", len(pods), ready)
		}
		return nil
	})
}

// waitForModules waits until there are two hosts, and both have compiled their modules: that of the sample and the one from the
// registry. One can be ready before.
func waitForModules(t *testing.T) {
	t.Helper()
	waitForHosts(t)
	for _, pod := range hosts(t) {
		eventually(t, "the modules of "+pod.Name, func() error {
			if loaded := strings.Count(sh(t, "kubectl -n wasmloop logs "+pod.Name), `"msg":"module loaded"`); loaded < 2 {
				return fmt.Errorf("%d of 2 are loaded", loaded)
			}
			return nil
		})
	}
}

func testMemory(t *testing.T) {
	waitForModules(t)
	for _, pod := range hosts(t) {
		p := processOf(t, &pod)
		if log := sh(t, "kubectl -n wasmloop logs "+pod.Name); !strings.Contains(log, fmt.Sprintf(`"collectorLimit":%d`, (512<<20)*8/10)) {
			t.Errorf("Pod %s does not know how much memory it may take: %s", pod.Name, log)
		}
		figure(t, "memory of "+pod.Name+" (resident, at most)", p.mebibytes(t, "VmRSS")+", "+p.mebibytes(t, "VmHWM"))
	}
}
