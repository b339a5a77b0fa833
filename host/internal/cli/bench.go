package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/render"
)

// benchFlags are the flags of wasmloop bench.
type benchFlags struct {
	target    targetFlags
	duration  time.Duration
	functions int
	output    string
}

func newBenchCommand() *cobra.Command {
	flags := &benchFlags{}
	command := &cobra.Command{
		Use:   "bench OBJECT.yaml [OBSERVED.yaml ...]",
		Short: "Measure what a call of a module takes: time, fuel, memory",
		Long: `Reconcile an object as wasmloop render does, and call the module again and again with the last request of that. Printed
is what a call takes beside the limits, and which of the module's functions the fuel goes to.

Times are this machine's. Fuel is the same everywhere.`,
		Example: `  wasmloop bench --module site.wasm site.yaml
  wasmloop bench --config wasmloop.yaml --controller site site.yaml --time 10s`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("name the file of the object that is reconciled: %s", command.UseLine())
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			if err := checkOutput(flags.output); err != nil {
				return err
			}
			if flags.duration <= 0 || flags.functions < 0 {
				return errors.New("--time must be above 0, and --functions not below")
			}
			return flags.run(command, args)
		},
	}
	flags.target.register(command)
	command.Flags().DurationVar(&flags.duration, "time", 2*time.Second, "how long to call the module")
	command.Flags().IntVar(&flags.functions, "functions", 10, "how many functions to list; 0: none")
	outputFlag(command, &flags.output)
	return command
}

func (f *benchFlags) run(command *cobra.Command, args []string) error {
	ctx := command.Context()
	object, err := readOne(command.InOrStdin(), args[0], "")
	if err != nil {
		return err
	}
	observed, err := readObjects(command.InOrStdin(), args[1:]...)
	if err != nil {
		return err
	}
	target, err := f.target.find(object.GroupVersionKind())
	if err != nil {
		return err
	}
	request, err := f.request(ctx, target, object, observed)
	if err != nil {
		return err
	}
	fmt.Fprintf(command.ErrOrStderr(), "► loading the module, and calling it for %s\n", f.duration)
	measured, err := render.Measure(ctx, target.url, target.entry, request, f.duration)
	if err != nil {
		return &codedError{err, exitModule}
	}
	measured.Functions = measured.Functions[:min(len(measured.Functions), f.functions)]
	if f.output == outputJSON {
		return printJSON(command.OutOrStdout(), measured)
	}
	return printMeasured(command.OutOrStdout(), measured)
}

// request returns the last request of a reconcile.
func (f *benchFlags) request(ctx context.Context, target *target, object render.Object, observed []render.Object) ([]byte, error) {
	module, closeModule, err := target.load(ctx, render.SandboxOptions{CacheDir: f.target.cacheDir})
	if err != nil {
		return nil, &codedError{err, exitModule}
	}
	defer closeModule()
	requests := &render.Requests{Module: module}
	cluster, err := render.Run(ctx, render.Input{Name: target.name, Entry: target.entry, Module: requests, Only: object, Objects: observed}, func(string) {})
	if err != nil {
		return nil, err
	}
	for _, outcome := range cluster.Outcomes() {
		if err := failureOf(outcome); err != nil {
			return nil, err
		}
	}
	if requests.Last == nil {
		return nil, errors.New("the object is not reconciled, so that the module is not called")
	}
	return requests.Last, nil
}

func printMeasured(out io.Writer, m *render.Measurement) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	rows := [][3]string{
		{"time, median", m.Median.String(), "of " + count(m.Calls, "call")},
		{"time, worst", m.Worst.String(), "limit " + m.Limits.Timeout.String()},
		{"first call", m.First.String(), ""},
		{"load", m.Load.Round(time.Millisecond).String(), "without a cache of compiled modules"},
		{"fuel", fmt.Sprint(m.Fuel), fmt.Sprintf("limit %d", m.Limits.Fuel)},
		{"memory", bytesText(m.Memory), "limit " + bytesText(m.Limits.Memory)},
		{"request", bytesText(uint64(m.Request)), "limit " + bytesText(m.Limits.Request)},
		{"response", bytesText(uint64(m.Response)), "limit " + bytesText(m.Limits.Response)},
	}
	for _, row := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\n", row[0], row[1], row[2])
	}
	if len(m.Functions) > 0 {
		fmt.Fprintf(table, "\nfuel, itself\twith callees\tfunction\n")
	}
	unnamed := 0
	for _, function := range m.Functions {
		fmt.Fprintf(table, "%.1f %%\t%.1f %%\t%s\n", 100*function.Self, 100*function.Total, function.Name)
		if strings.HasPrefix(function.Name, "$") {
			unnamed++
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if unnamed > 0 && unnamed == len(m.Functions) {
		_, err := fmt.Fprintln(out, "\nThe module has no names of functions: build it with them (for Go without -ldflags=-s) to see which these are.")
		return err
	}
	return nil
}

func bytesText(bytes uint64) string {
	switch {
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	case bytes >= 10<<10:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	default:
		return fmt.Sprintf("%d bytes", bytes)
	}
}
