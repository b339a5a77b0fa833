package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/engine"
)

const (
	// statusTimeout is how long the host may take to answer.
	statusTimeout = 5 * time.Second
	// maxStatus is the most that is read of its answer, in bytes: a host with 1,000 controllers says a tenth of that.
	maxStatus = 8 << 20
)

func newStatusCommand() *cobra.Command {
	var address, output string
	var wait time.Duration
	command := &cobra.Command{
		Use:   "status",
		Short: "Show how a running host is",
		Long: `Show how a running host is: its controllers, what they do, the objects that they look after and the calls of their modules;
and its modules, with their digests, and what is wrong with them.

The host is asked where it serves its metrics. For one in a cluster: kubectl port-forward deployment/wasmloop 8080.

With --wait it is asked until all its controllers run and nothing is wrong with its modules. What is still missing is said on
stderr. Behind the address of a Service with several hosts, one that does so is enough.

Exit codes: 0 the host has answered; 1 it has not, or not so within --wait.`,
		Example: `  wasmloop status
  wasmloop status --wait 1m
  wasmloop status --address 127.0.0.1:9090 -o json | jq '.modules[] | select(.trouble)'`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			ask := func() (*engine.Status, error) { return askStatus(command.Context(), address) }
			if wait > 0 {
				ask = func() (*engine.Status, error) {
					return awaitStatus(command.Context(), address, wait, command.ErrOrStderr())
				}
			}
			status, err := ask()
			if err != nil {
				return err
			}
			if output == outputJSON {
				return printJSON(command.OutOrStdout(), status)
			}
			return printStatus(command.OutOrStdout(), status, time.Now())
		},
	}
	command.Flags().StringVar(&address, "address", "127.0.0.1:8080", "`address` of the host's metrics, as in run --metrics-bind-address")
	command.Flags().DurationVar(&wait, "wait", 0, "how long to wait until all is well; 0: not at all")
	outputFlag(command, &output)
	return command
}

func askStatus(ctx context.Context, address string) (*engine.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "/")+engine.StatusPath, nil)
	if err != nil {
		return nil, fmt.Errorf("--address %q: %w", address, err)
	}
	request.Close = true // it is the only one over its connection
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("no host answers at %s: give --address HOST:PORT as in its --metrics-bind-address: %w", address, errors.Unwrap(err))
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	status := &engine.Status{}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("what answers at %s is no host: it says %s", request.URL, response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxStatus)).Decode(status); err != nil {
		return nil, fmt.Errorf("what answers at %s is no host: %w", request.URL, err)
	}
	return status, nil
}

// printStatus prints a status as tables.
func printStatus(w io.Writer, status *engine.Status, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CONTROLLER\tMODULE\tSTATE\tOBJECTS\tSETTLED\tCALLS\tFAILED\tLAST CALL")
	for _, c := range status.Controllers {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", c.Name, c.Module, c.State, c.Objects, c.Settled, c.Calls, c.Failed, ago(c.LastCall, now))
	}
	fmt.Fprintln(table, "\t")
	fmt.Fprintln(table, "MODULE\tLOADED\tSOURCE")
	for _, m := range status.Modules {
		source := m.Pinned
		if source == "" {
			source = m.Source
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", m.Name, ago(m.Loaded, now), source)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return printTroubles(w, status)
}

// printTroubles prints what is wrong, which is too long for a table.
func printTroubles(w io.Writer, status *engine.Status) error {
	var troubles []string
	for _, m := range status.Modules {
		if m.Trouble != "" {
			troubles = append(troubles, fmt.Sprintf("✗ module %s: %s", m.Name, m.Trouble))
		}
	}
	for _, c := range status.Controllers {
		if c.LastError != "" {
			troubles = append(troubles, fmt.Sprintf("✗ controller %s: its last call that failed: %s", c.Name, c.LastError))
		}
	}
	if len(troubles) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(troubles, "\n"))
	return err
}

// ago says how long ago something was.
func ago(then *time.Time, now time.Time) string {
	if then == nil {
		return "never"
	}
	return now.Sub(*then).Round(time.Second).String() + " ago"
}
