package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/wasmloop/wasmloop/host/internal/engine"
)

// statusPoll is how often a host is asked again.
const statusPoll = time.Second

// running is the state of a controller that does its work.
const running = "running"

// await asks until a host answers that all its controllers run and nothing is wrong with its config and its modules. Each time it connects
// anew: behind the address of a Service there may be several hosts, of which one works.
func (h *hostAddress) await(ctx context.Context, patience time.Duration, stderr io.Writer) (*engine.Status, error) {
	deadline := time.After(patience)
	for said := ""; ; {
		status, err := h.ask(ctx)
		if err == nil {
			err = unready(status)
		}
		if err == nil {
			return status, nil
		}
		if err.Error() != said {
			said = err.Error()
			fmt.Fprintf(stderr, "► waiting: %s\n", said)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline:
			return nil, fmt.Errorf("the host is not ready after %s: %w", patience, err)
		case <-time.After(statusPoll):
		}
	}
}

// unready says what keeps a host from being ready; nil: nothing.
func unready(status *engine.Status) error {
	var why []string
	if status.ConfigTrouble != "" {
		why = append(why, "the config has changed and is not taken up: "+status.ConfigTrouble)
	}
	for _, controller := range status.Controllers {
		if controller.State != running {
			why = append(why, fmt.Sprintf("controller %s is %s", controller.Name, controller.State))
		}
	}
	for _, module := range status.Modules {
		if module.Pending {
			why = append(why, fmt.Sprintf("module %s is being loaded", module.Name))
		}
		if module.Trouble != "" {
			why = append(why, fmt.Sprintf("module %s: %s", module.Name, module.Trouble))
		}
	}
	if len(why) == 0 {
		return nil
	}
	return errors.New(strings.Join(why, "; "))
}
