package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// services are what the sample reconciles: for each there must be a ConfigMap with its address, and for nothing else. The release's own
// is left out: once a config does not select it any more, its child is left as it is.
type services struct {
	t     *testing.T
	ports map[string]int32
}

func newServices(t *testing.T) *services { return &services{t: t, ports: map[string]int32{}} }

func (s *services) object(name string, port int32) *corev1.Service {
	object := &corev1.Service{ObjectMeta: named(name)}
	object.Labels = map[string]string{"wasmloop.dev/sample": "serviceaddress"}
	object.Spec.ClusterIP = corev1.ClusterIPNone // there are only so many addresses
	object.Spec.Ports = []corev1.ServicePort{{Name: "main", Port: port}}
	return object
}

func (s *services) create(name string, port int32) {
	s.t.Helper()
	if err := shared.client.Create(s.t.Context(), s.object(name, port)); err != nil {
		s.t.Fatal(err)
	}
	s.ports[name] = port
}

func (s *services) change(name string, port int32) {
	s.t.Helper()
	patch := fmt.Sprintf(`[{"op": "replace", "path": "/spec/ports/0/port", "value": %d}]`, port)
	if err := shared.client.Patch(s.t.Context(), s.object(name, port), client.RawPatch("application/json-patch+json", []byte(patch))); err != nil {
		s.t.Fatal(err)
	}
	s.ports[name] = port
}

func (s *services) delete(name string) {
	s.t.Helper()
	if err := shared.client.Delete(s.t.Context(), s.object(name, 1)); err != nil {
		s.t.Fatal(err)
	}
	delete(s.ports, name)
}

// waitFor waits until a Service's address is written down.
func (s *services) waitFor(name string, port int32) {
	s.t.Helper()
	eventually(s.t, "the address of "+name, func() error {
		var address corev1.ConfigMap
		if err := shared.client.Get(s.t.Context(), client.ObjectKey{Namespace: release, Name: name + "-address"}, &address); err != nil {
			return err
		}
		if got := address.Data["PORT_MAIN"]; got != strconv.Itoa(int(port)) {
			return fmt.Errorf("its port is %s, want %d", got, port)
		}
		return nil
	})
}

// waitUntilSettled waits until all addresses are those of the Services that there are, and there are no others.
func (s *services) waitUntilSettled() {
	s.t.Helper()
	want := map[string]string{}
	for name, port := range s.ports {
		want[name] = fmt.Sprintf("%s.%s.svc:%d", name, release, port)
	}
	eventually(s.t, "all addresses to be those of the Services", func() error {
		got, err := s.addresses()
		if diff := cmp.Diff(want, got); err == nil && diff != "" {
			err = errors.New("-want +got:\n" + diff)
		}
		return err
	})
}

// addresses returns what is written down, by the name of the Service.
func (s *services) addresses() (map[string]string, error) {
	found := map[string]string{}
	var list corev1.ConfigMapList
	if err := shared.client.List(s.t.Context(), &list, client.InNamespace(release)); err != nil {
		return nil, err
	}
	for _, address := range list.Items {
		name, is := strings.CutSuffix(address.Name, "-address")
		if !is || name == release+"-metrics" {
			continue
		}
		for key, port := range address.Data {
			if strings.HasPrefix(key, "PORT_") {
				found[name] = address.Data["HOST"] + ":" + port
			}
		}
	}
	return found, nil
}

// prober changes a Service time and again, to find out how long nobody reconciles it.
type prober struct {
	*services
	port int32
	// longest is how long a change had to wait at most.
	longest time.Duration
}

func newProber(t *testing.T) *prober {
	t.Helper()
	p := &prober{services: newServices(t), port: 1000}
	p.create("probe", p.port)
	p.waitFor("probe", p.port)
	return p
}

// end takes the Service away.
func (p *prober) end() {
	p.t.Helper()
	p.delete("probe")
	p.waitUntilSettled()
}

// probe changes the Service and waits until that is written down.
func (p *prober) probe() {
	p.t.Helper()
	p.port++
	began := time.Now()
	p.change("probe", p.port)
	p.waitFor("probe", p.port)
	p.longest = max(p.longest, time.Since(began))
}

// during probes while something happens, and once more when it has, and returns how long a change had to wait at most.
func (p *prober) during(what func() error) time.Duration {
	p.t.Helper()
	p.longest = 0
	done := make(chan error, 1)
	go func() { done <- what() }()
	for {
		select {
		case err := <-done:
			if err != nil {
				p.t.Fatal(err)
			}
			p.probe()
			return p.longest
		default:
			p.probe()
		}
	}
}
