package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmloop/wasmloop/sdk"
	"github.com/wasmloop/wasmloop/sdk/sdktest"
)

// owns are the kinds that the controller's config declares.
var owns = []sdktest.Kind{{APIVersion: "v1", Kind: "ConfigMap"}}

// service returns one of the namespace shop.
func service(ports ...Port) any {
	object := sdk.NewObject("v1", "Service", "web")
	object.Metadata.Namespace = "shop"
	return struct {
		sdk.Object
		Spec Spec `json:"spec"`
	}{object, Spec{Ports: ports}}
}

func TestReconcile(t *testing.T) {
	tests := map[string]struct {
		reason string
		ports  []Port
		want   map[string]string
	}{
		"one port":     {"the only port needs no name", []Port{{"", 80}}, map[string]string{"HOST": "web.shop.svc", "PORT": "80"}},
		"named ports":  {"each has a variable", []Port{{"http", 80}, {"admin-api", 8080}}, map[string]string{"HOST": "web.shop.svc", "PORT_HTTP": "80", "PORT_ADMIN_API": "8080"}},
		"without any":  {"a headless Service may have none", nil, map[string]string{"HOST": "web.shop.svc"}},
		"largest port": {"numbers stay numbers", []Port{{"", 65535}}, map[string]string{"HOST": "web.shop.svc", "PORT": "65535"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := sdktest.Settle(t, sdk.Registered(), sdktest.Request{Object: service(tt.ports...), Owns: owns})
			want := ConfigMap{Object: sdk.NewObject("v1", "ConfigMap", "web-address"), Data: tt.want}
			if diff := cmp.Diff(want, sdktest.Child[ConfigMap](t, got, "ConfigMap", "web-address")); diff != "" {
				t.Errorf("%s: the address (-want +got):\n%s", tt.reason, diff)
			}
		})
	}
}

func TestWarmUp(t *testing.T) { sdktest.WarmUp(t) }
