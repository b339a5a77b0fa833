package main

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/abi"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

func TestReconcile(t *testing.T) {
	cases := map[string]struct {
		podSpec string
		want    map[string]any
	}{
		"containers in their order": {
			podSpec: `{"containers": [{"name": "web", "image": "nginx"}, {"name": "agent", "image": "agent"}]}`,
			want:    map[string]any{"replicaSet": "web", "containers": []any{"web", "agent"}},
		},
		"init containers are told apart": {
			podSpec: `{"initContainers": [{"name": "setup"}], "containers": [{"name": "web"}]}`,
			want: map[string]any{
				"replicaSet": "web", "containers": []any{"web"}, "initContainers": []any{"setup"},
			},
		},
		"no template, which old ReplicaSets may lack": {
			podSpec: `null`,
			want:    map[string]any{"replicaSet": "web", "containers": []any{}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := json.RawMessage(`{"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "namespace": "default"},
				"spec": {"template": {"spec": ` + tc.podSpec + `}}}`)
			got := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{Object: object})

			want := []sdktest.LogLine{{Level: abi.LevelInfo, Message: "ReplicaSet has containers", Fields: tc.want}}
			if diff := cmp.Diff(want, got.Logs); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(abi.Response{}, got.Response); diff != "" {
				t.Errorf("a logger has an opinion (-want +got):\n%s", diff)
			}
		})
	}
}
