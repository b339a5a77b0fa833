package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/render"
)

// rendered is how many objects are rendered at once.
const rendered = 1000

// renderRuns is how often they are. The first run is slower, since the process has to get its memory first.
const renderRuns = 5

// BenchmarkRender renders so many MarkdownViews into one cluster, from nothing to rest, as `wasmloop render --all` does, and prints the
// time of one, by the median of the runs, beside its target.
func BenchmarkRender(b *testing.B) {
	input := renderInput(b)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as the command does
	for b.Loop() {
		each := make([]float64, renderRuns)
		for i := range each {
			began := time.Now()
			cluster, err := render.Run(b.Context(), input, func(string) {})
			if err != nil {
				b.Fatal(err)
			}
			each[i] = milliseconds(time.Since(began)) / rendered
			checkRendered(b, cluster)
		}
		what := fmt.Sprintf("render of %d MarkdownViews, each, median of %d runs (the first: %.3g ms)", rendered, renderRuns, each[0])
		slices.Sort(each)
		printRows(os.Stdout, []row{
			atMost(what, each[renderRuns/2], 2, "ms").because("two calls of a Go module and five server-side applies"),
		})
	}
}

func renderInput(b *testing.B) render.Input {
	b.Helper()
	const root = "../../.."
	conf, err := config.Load(root + "/config/wasmloop.yaml")
	if err != nil {
		b.Fatal(err)
	}
	entry := &conf.Controllers[0]
	sandbox, err := render.NewSandbox(b.Context(), render.SandboxOptions{CacheDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	module, err := sandbox.Load(b.Context(), conf.Modules[entry.Module].Source, entry)
	if err != nil {
		b.Fatal(err)
	}
	input := render.Input{Entry: entry, Module: module}
	for _, file := range []string{"config/crd/view.example.com_markdownviews.yaml", "modules/markdownview/samples/tiny.yaml"} {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			b.Fatal(err)
		}
		objects, err := render.Decode(file, data)
		if err != nil {
			b.Fatal(err)
		}
		input.Objects = append(input.Objects, objects...)
	}
	view := input.Objects[len(input.Objects)-1]
	for i := 1; i < rendered; i++ {
		another := view.DeepCopy()
		another.SetName(fmt.Sprintf("tiny-%d", i))
		input.Objects = append(input.Objects, another)
	}
	return input
}

func checkRendered(b *testing.B, cluster *render.Cluster) {
	b.Helper()
	outcomes := cluster.Outcomes()
	if len(outcomes) != rendered {
		b.Fatalf("%d objects were reconciled, want %d", len(outcomes), rendered)
	}
	for _, outcome := range outcomes {
		if outcome.Err != nil || len(cluster.Children(outcome.ID)) != 3 {
			b.Fatalf("%s has %d children: %v", outcome.ID, len(cluster.Children(outcome.ID)), outcome.Err)
		}
	}
}
