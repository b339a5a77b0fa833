package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

// owns are the kinds that the controller's config declares.
var owns = []sdktest.Kind{{APIVersion: "v1", Kind: "Service"}}

// web returns a StatefulSet with this annotation, as it is observed.
func web(replicas int, ports string) any {
	return map[string]any{
		"apiVersion": "apps/v1", "kind": "StatefulSet",
		"metadata": map[string]any{"name": "web", "namespace": "default", "uid": "web-uid", "annotations": map[string]any{portsAnnotation: ports}},
		"spec": map[string]any{
			"replicas": replicas, "ordinals": map[string]any{"start": 1}, "selector": map[string]any{"matchLabels": map[string]any{"app": "web"}},
		},
	}
}

// pod returns a Pod that the object with this UID controls.
func pod(name, controller string) any {
	return map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{
		"name": name, "namespace": "default", "ownerReferences": []any{
			map[string]any{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": controller, "controller": true},
		},
	}}
}

func observed(name string) any {
	made := service(name, []Port{{Name: "port-80", Port: 80, TargetPort: 80, Protocol: "TCP"}})
	made.Metadata.Namespace = "default"
	return made
}

func TestReconcile(t *testing.T) {
	tests := map[string]struct {
		reason   string
		object   any
		related  []any
		children []any
		want     []string // nil: no opinion
		events   int
	}{
		"its Pods":            {"each gets one", web(2, "80"), []any{pod("web-2", "web-uid"), pod("web-1", "web-uid")}, nil, []string{"Service web-1", "Service web-2"}, 0},
		"somebody else's Pod": {"it has the same labels, and another owner", web(2, "80"), []any{pod("web-1", "other")}, nil, []string{}, 0},
		"no Pods yet":         {"they will come", web(2, "80"), nil, nil, []string{}, 0},
		"a Pod that is made anew": {
			"its Service stays meanwhile, and so does its address",
			web(2, "80"),
			[]any{pod("web-1", "web-uid")},
			[]any{observed("web-1"), observed("web-2")},
			[]string{"Service web-1", "Service web-2"},
			0,
		},
		"a Pod that has gone for good": {
			"there are fewer now",
			web(1, "80"),
			[]any{pod("web-1", "web-uid")},
			[]any{observed("web-0"), observed("web-1"), observed("web-2"), observed("web-01")},
			[]string{"Service web-1"},
			0,
		},
		"a Pod that is still going": {
			"it is served to its end",
			web(1, "80"),
			[]any{pod("web-1", "web-uid"), pod("web-2", "web-uid")},
			[]any{observed("web-2")},
			[]string{"Service web-1", "Service web-2"},
			0,
		},
		"an annotation that is no list of ports": {
			"what there is stays until it is mended",
			web(2, "http"),
			[]any{pod("web-1", "web-uid")},
			[]any{observed("web-2")},
			nil, 1,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: tt.object, Owns: owns, Related: tt.related, Children: tt.children})
			if diff := cmp.Diff(tt.want, sdktest.Names(got)); diff != "" {
				t.Errorf("%s: Services (-want +got):\n%s", tt.reason, diff)
			}
			if len(got.Events) != tt.events || got.Finalized {
				t.Errorf("%s: events %v, finalized %t", tt.reason, got.Events, got.Finalized)
			}
			asked := []sdk.Related{{APIVersion: "v1", Kind: "Pod", LabelSelector: &sdk.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}}
			if diff := cmp.Diff(asked, got.Related); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
		})
	}
}

func TestService(t *testing.T) {
	got := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{
		Object: web(1, "80:8080, 443"), Owns: owns, Related: []any{pod("web-1", "web-uid")},
	})
	want := Service{Object: sdk.NewObject("v1", "Service", "web-1"), Spec: ServiceSpec{
		Selector: map[string]string{"statefulset.kubernetes.io/pod-name": "web-1"},
		Ports: []Port{
			{Name: "port-80", Port: 80, TargetPort: 8080, Protocol: "TCP"}, {Name: "port-443", Port: 443, TargetPort: 443, Protocol: "TCP"},
		},
	}}
	if diff := cmp.Diff(want, sdktest.Child[Service](t, got, "Service", "web-1")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFinalize(t *testing.T) {
	got := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{
		Object: web(1, "80"), Related: []any{pod("web-1", "web-uid")}, Children: []any{observed("web-1")}, Finalizing: true,
	})
	if names := sdktest.Names(got); names == nil || len(names) > 0 || !got.Finalized {
		t.Errorf("want no Services and the finalizer gone, got %v, %t", names, got.Finalized)
	}
}

func TestPorts(t *testing.T) {
	for _, text := range []string{"", "0", "65536", "-1", "80:", ":80", "80,,81", "80:8080:1", "80,80:8080", "http"} {
		if ports, err := parsePorts(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, ports)
		}
	}
}

func TestWarmUp(t *testing.T) { sdktest.WarmUp(t) }
