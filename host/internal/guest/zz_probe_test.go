package guest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/guest/guesttest"
)

func TestProbe(t *testing.T) {
	ctx := context.Background()
	r, _ := NewRuntime(ctx, Options{})
	name := guesttest.MarkdownView
	if v := os.Getenv("PROBE"); v != "" {
		name = v
	}
	m, err := r.Load(ctx, file(t, name), Limits{}, Hermetic)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("image", m.program.image.size, m.program.mode, m.program.why)
	req := file(t, guesttest.Request)
	for range 6 {
		start := time.Now()
		res, err := m.Call(ctx, req, silent)
		fmt.Println(time.Since(start), res.Memory, res.Fuel, len(res.Response), err, len(m.program.idle))
	}
}
