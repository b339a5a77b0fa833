package check

import (
	"context"
	"errors"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/render"
)

// worlds are what others see of what the sandbox freezes. Things of which there are two come in the same order in every
// second random stream, so that there are several.
var worlds = []struct {
	what  string
	seed  uint64
	epoch time.Time
}{
	{"another random stream (does it depend on the order of a map?)", 1, time.Time{}},
	{"another random stream (does it depend on the order of a map?)", 2, time.Time{}},
	{"another random stream (does it depend on the order of a map?)", 3, time.Time{}},
	{"another random stream (does it depend on the order of a map?)", 4, time.Time{}},
	{"another clock (does it depend on the time?)", 0, time.Date(2033, time.November, 22, 17, 43, 59, 123456789, time.UTC)},
}

// Others loads a module into sandboxes that differ in what no module may depend on. Close lets them go.
func Others(ctx context.Context, url string, entry *config.Controller, cacheDir string) (others []Other, closeAll func(), err error) {
	var sandboxes []*render.Sandbox
	closeAll = func() {
		for _, sandbox := range sandboxes {
			_ = sandbox.Close(context.WithoutCancel(ctx)) // memory is all that there is to lose
		}
	}
	for _, world := range worlds {
		sandbox, err := render.NewSandbox(ctx, render.SandboxOptions{CacheDir: cacheDir, Seed: world.seed, Epoch: world.epoch})
		if err == nil {
			sandboxes = append(sandboxes, sandbox)
			var module *render.Module
			if module, err = sandbox.Load(ctx, url, entry); err == nil {
				others = append(others, Other{world.what, module})
			}
		}
		if err != nil {
			closeAll()
			return nil, nil, errors.Join(errors.New("cannot load the module in "+world.what), err)
		}
	}
	return others, closeAll, nil
}
