package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestInitRelease makes a module with a wasmloop that the module proxy has: it asks for the SDK of that version.
func TestInitRelease(t *testing.T) {
	held := version
	version = "v0.3.0"
	t.Cleanup(func() { version = held })
	got := run(t, nil, "init", "greeting")
	if got.Code != exitOK || !strings.Contains(got.Stderr, "go mod tidy") {
		t.Fatalf("it says that the SDK has to be fetched: got %+v", got)
	}
	text, err := os.ReadFile(filepath.Join("greeting", goMod))
	if err != nil {
		t.Fatal(err)
	}
	want := "module example.com/greeting\n\ngo " + sdkGo + "\n\nrequire github.com/wasmloop/wasmloop v0.3.0\n"
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("go.mod (-want +got):\n%s", diff)
	}
}

func TestRelease(t *testing.T) {
	tests := map[string]bool{
		"v0.3.0": true, "v1.0.0-rc.1": true,
		"dev": false, "": false, "(devel)": false, "v0.0.0-20260101000000-0123456789ab": false, "v0.3.1+dirty": false,
		"v0.3.1-0.20260101000000-0123456789ab": false,
	}
	for candidate, want := range tests {
		if got := releaseForm.MatchString(candidate); got != want {
			t.Errorf("%s: got %t, want %t", candidate, got, want)
		}
	}
}
