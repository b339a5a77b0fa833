package check_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/render/check"
)

// few bounds the variations of each object, so that the number does not depend on the machine.
const few = 12

// TestSamples finds nothing wrong with the sample modules.
func TestSamples(t *testing.T) {
	conf, err := config.Load(root + "/config/wasmloop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := range conf.Controllers {
		entry := &conf.Controllers[i]
		t.Run(entry.Name, func(t *testing.T) {
			t.Parallel()
			text := read(t, root+"/modules/"+entry.Module+"/samples/*.yaml")
			if definitions := read(t, root+"/config/crd/*.yaml"); entry.For[0].Kind != "CustomResourceDefinition" {
				text += definitions
			}
			report := search(t, conf.Modules[entry.Module].Source, entry, text, check.Options{Variations: few})
			t.Logf("%+v", report)
			if found := report.Violation; found != nil {
				t.Errorf("%v (%s)\n%s", found, found.Variation, found.Detail)
			}
			if report.Objects == 0 || report.States == 0 {
				t.Error("nothing was looked at")
			}
		})
	}
}

func read(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	var text strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString("---\n" + string(data) + "\n")
	}
	return text.String()
}
