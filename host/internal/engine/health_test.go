package engine

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/config"
)

// TestStuckReconcile has the liveness check name a reconcile that does not end, and be content when it has.
func TestStuckReconcile(t *testing.T) {
	e := &Engine{}
	web := key{modern, types.NamespacedName{Namespace: "n", Name: "web"}}
	ended := e.progress.begin("quick", web, time.Hour)
	ended()
	end := e.progress.begin("slow", web, time.Minute)
	for after, want := range map[time.Duration]string{
		30 * time.Second: "",
		2 * time.Minute:  "a reconcile of controller slow does not end: Modern n/web, for 2m0s",
		3 * time.Hour:    "controller slow does not end",
	} {
		err := e.progress.stuck(time.Now().Add(after))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("after %s: %v, want %q", after, err, want)
		}
	}
	if err := e.healthy(nil); err != nil {
		t.Errorf("it has just begun: %v", err)
	}
	end()
	if err := e.progress.stuck(time.Now().Add(3 * time.Hour)); err != nil {
		t.Errorf("it has ended: %v", err)
	}
}

// TestPatience has no controller taken for stuck whose workers wait for each other, since its module keeps going wrong.
func TestPatience(t *testing.T) {
	entry := config.Controller{Workers: 1000}
	entry.Limits.Timeout = "1m"
	if got, want := (&runner{entry: entry}).patience(), 1000*(lastPause+time.Minute); got < want {
		t.Errorf("it is given %s, and may wait for %s", got, want)
	}
}
