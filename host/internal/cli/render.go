package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/render"
)

// renderFlags are the flags of wasmloop render.
type renderFlags struct {
	target targetFlags
	output string
	now    string
	watch  bool
	quiet  bool
}

const renderExample = `  # What a module wants for an object
  wasmloop render --module hello.wasm object.yaml

  # With the controller's settings, and with what is in the cluster already
  wasmloop render --config wasmloop.yaml object.yaml observed.yaml crds/

  # What would change
  wasmloop render --module hello.wasm object.yaml observed.yaml -o diff`

// The values of render's -o.
const (
	outputYAML = "yaml"
	outputDiff = "diff"
	outputTree = "tree"
)

func newRenderCommand() *cobra.Command {
	flags := &renderFlags{}
	command := &cobra.Command{
		Use:   "render [--module FILE.wasm] [--config FILE] OBJECT.yaml [OBSERVED.yaml | FOLDER ...]",
		Short: "Show what a module wants for an object, without a cluster",
		Long: `Run the real reconcile loop for one object over a cluster in memory, until nothing happens any more, and print the
children that the module wants, what it sets of the object (its status, labels and annotations), and last a document of
kind RenderOutcome with what else there is: events, deleted children, when to call again.

OBJECT has the object that is reconciled ("-" is stdin), OBSERVED what else is in the cluster: children, related objects,
namespaces, CustomResourceDefinitions. What is missing is made up, and stderr says so: namespaces, definitions of kinds
that are not built in (their objects may be anything then), and without --config the controller's entry. An observed
object is a child if it says so by an owner reference to the object, or if it says nothing and the module wants it.

Exit codes: 0 all is well; 1 wrong usage or input; 2 the module failed or its answer cannot be carried out; 3 its answer
is not as the protocol has it.`,
		Example: renderExample,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if err := flags.check(args); err != nil {
				return err
			}
			if flags.watch {
				return flags.runAgain(command, args)
			}
			return flags.run(command, args)
		},
	}
	flags.target.register(command)
	set := command.Flags()
	set.StringVarP(&flags.output, "output", "o", outputYAML, "what is printed: yaml, json, diff (against what is observed) or tree")
	set.StringVar(&flags.now, "now", "", "`time` that the clock begins with, as RFC 3339 (default: 2026-01-01T00:00:00Z)")
	set.BoolVar(&flags.watch, "watch", false, "do it again whenever a file changes, until interrupted")
	set.BoolVarP(&flags.quiet, "quiet", "q", false, "print nothing on stderr but errors")
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(
		[]string{outputYAML, outputJSON, outputDiff, outputTree}, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that does not exist
	return command
}

func (f *renderFlags) check(args []string) error {
	switch f.output {
	case outputYAML, outputJSON, outputDiff, outputTree:
	default:
		return fmt.Errorf("unknown --output %q: want yaml, json, diff or tree", f.output)
	}
	if f.watch && args[0] == "-" {
		return errors.New("--watch needs files, and stdin is none")
	}
	_, err := f.time()
	return err
}

func (f *renderFlags) time() (now time.Time, err error) {
	if f.now != "" {
		if now, err = time.Parse(time.RFC3339, f.now); err != nil {
			return now, fmt.Errorf("--now %q is no time like 2026-01-31T12:00:00Z", f.now)
		}
	}
	return now, nil
}

func (f *renderFlags) run(command *cobra.Command, args []string) error {
	ctx, stdout, stderr := command.Context(), command.OutOrStdout(), command.ErrOrStderr()
	object, err := readOne(command.InOrStdin(), args[0])
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
	module, closeModule, err := target.load(ctx, render.SandboxOptions{CacheDir: f.target.cacheDir})
	if err != nil {
		return &codedError{err, exitModule}
	}
	defer closeModule()
	now, _ := f.time() // check has looked
	input := render.Input{Name: target.name, Entry: target.entry, Module: module, Only: object, Objects: observed, Now: now}
	return f.show(ctx, stdout, stderr, input)
}

func (f *renderFlags) show(ctx context.Context, stdout, stderr io.Writer, input render.Input) error {
	if f.quiet {
		stderr = io.Discard
	}
	cluster, err := render.Run(ctx, input, func(note string) { fmt.Fprintf(stderr, "► %s\n", note) })
	if err != nil {
		return err
	}
	outcomes := cluster.Outcomes()
	if len(outcomes) == 0 {
		fmt.Fprintln(stderr, "► the object is not reconciled")
		return nil
	}
	outcome := outcomes[0]
	for _, line := range outcome.Logs {
		fmt.Fprintf(stderr, "│ %s %s\n", line.Level, line.Text)
	}
	if err := printRendered(stdout, f.output, cluster, outcome); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "► %s of the module, %d units of fuel\n", count(outcome.Calls, "call"), outcome.Fuel)
	return failureOf(outcome)
}

// failureOf returns the error that a failed reconcile ends the command with.
func failureOf(outcome *render.Outcome) error {
	switch outcome.Failure() {
	case render.None:
		return nil
	case render.InvalidResponse:
		return &codedError{outcome.Problem(), exitProtocol}
	default:
		return &codedError{outcome.Problem(), exitModule}
	}
}

// count returns a number of things.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
