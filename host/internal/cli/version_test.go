package cli

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBuildInfo(t *testing.T) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	tests := map[string]struct {
		reason string
		info   *debug.BuildInfo
		want   buildInfo
	}{
		"nothing recorded": {
			"a build may have been told to record nothing", nil,
			buildInfo{Version: "dev", ABIVersion: 1, Go: runtime.Version(), Wazero: unknown, Platform: platform},
		},
		"a checkout": {
			"the commit says more than a made-up version",
			&debug.BuildInfo{
				Main: debug.Module{Version: "v0.0.0-20260101000000-0123456789ab+dirty"},
				Deps: []*debug.Module{{Path: "github.com/tetratelabs/wazero", Version: "v1.12.0"}},
				Settings: []debug.BuildSetting{
					{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-01T00:00:00Z"}, {Key: "vcs.modified", Value: "true"},
				},
			},
			buildInfo{
				Version: "dev", Revision: "abc-dirty", Time: "2026-01-01T00:00:00Z", ABIVersion: 1, Go: runtime.Version(), Wazero: "v1.12.0", Platform: platform,
			},
		},
		"a release": {
			"as go install makes it", &debug.BuildInfo{Main: debug.Module{Version: "v0.2.0-rc.1"}},
			buildInfo{Version: "v0.2.0-rc.1", ABIVersion: 1, Go: runtime.Version(), Wazero: unknown, Platform: platform},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(&tt.want, newBuildInfo(tt.info)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}
