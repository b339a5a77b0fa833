package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/abi"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

func TestReconcile(t *testing.T) {
	got := sdktest.Reconcile(t, sdk.Registered(), sdktest.Request{Object: sdk.NewObject("v1", "Pod", "web-0")})

	want := []sdktest.LogLine{{
		Level: abi.LevelInfo, Message: "Reconciler is called", Fields: map[string]any{"pod": "web-0"},
	}}
	if diff := cmp.Diff(want, got.Logs); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(abi.Response{}, got.Response); diff != "" {
		t.Errorf("a logger has an opinion (-want +got):\n%s", diff)
	}
}
