package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/render"
)

// renderFlags are the flags of wasmloop render.
type renderFlags struct {
	target targetFlags
	// loaded is where the module came from the last time.
	loaded string
	all    bool
	output string
	now    string
	watch  bool
	quiet  bool
}

const renderExample = `  # What a module wants for an object
  wasmloop render --module hello.wasm object.yaml

  # With the controller's settings, and with what is in the cluster already
  wasmloop render --config wasmloop.yaml object.yaml observed.yaml crds/

  # All objects of a file, a thousand as well
  kustomize build overlays/prod | wasmloop render --config wasmloop.yaml --all -

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

With --all, all objects in the files are reconciled that are of a kind that the controller reconciles (without --config: of
the kind of the first one that is neither a namespace nor a definition), side by side in one cluster. They are printed by
name; a RenderOutcome says in its field "of" which object it is about, and -o json prints a list.

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
	set.BoolVar(&flags.all, "all", false, "reconcile all objects in the files that are of the controller's kinds, not only the one in OBJECT")
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
	if f.watch && slices.Contains(args, "-") {
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
	ctx := command.Context()
	input, target, err := f.input(command.InOrStdin(), args)
	if err != nil {
		return err
	}
	f.loaded = target.url
	module, closeModule, err := target.load(ctx, render.SandboxOptions{CacheDir: f.target.cacheDir})
	if err != nil {
		return &codedError{err, exitModule}
	}
	defer closeModule()
	input.Name, input.Entry, input.Module = target.name, target.entry, module
	input.Now, _ = f.time() // check has looked
	return f.show(ctx, command.OutOrStdout(), command.ErrOrStderr(), input)
}

// input reads the objects, and finds the target for those that are reconciled.
func (f *renderFlags) input(stdin io.Reader, args []string) (input render.Input, target *target, err error) {
	if f.all {
		if input.Objects, err = readObjects(stdin, args...); err != nil {
			return input, nil, err
		}
		if len(input.Objects) == 0 {
			return input, nil, fmt.Errorf("%s has no object", strings.Join(args, ", "))
		}
		input.For = likelyReconciled(input.Objects)
		target, err = f.target.find(kindsIn(input.Objects)...)
		return input, target, err
	}
	if input.Only, err = readOne(stdin, args[0], ", or reconcile all of them with --all"); err != nil {
		return input, nil, err
	}
	if input.Objects, err = readObjects(stdin, args[1:]...); err != nil {
		return input, nil, err
	}
	target, err = f.target.find(input.Only.GroupVersionKind())
	return input, target, err
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
	switch {
	case len(outcomes) == 0 && f.all:
		return errors.New("none of the objects is reconciled: the controller reconciles other kinds, or does not select them")
	case len(outcomes) == 0:
		fmt.Fprintln(stderr, "► the object is not reconciled")
		return nil
	}
	f.printLogs(stderr, outcomes)
	printer := &renderPrinter{w: stdout, cluster: cluster, outcomes: outcomes, all: f.all}
	if err := printer.print(f.output); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "► %s\n", f.summary(outcomes))
	return failureOf(outcomes...)
}

// printLogs prints what the module has logged; of which object, if there are several.
func (f *renderFlags) printLogs(w io.Writer, outcomes []*render.Outcome) {
	for _, outcome := range outcomes {
		of := ""
		if f.all {
			of = outcome.ID.String() + ": "
		}
		for _, line := range outcome.Logs {
			fmt.Fprintf(w, "│ %s %s%s\n", line.Level, of, line.Text)
		}
	}
}

func (f *renderFlags) summary(outcomes []*render.Outcome) string {
	calls, fuel := 0, uint64(0)
	for _, outcome := range outcomes {
		calls, fuel = calls+outcome.Calls, fuel+outcome.Fuel
	}
	summary := fmt.Sprintf("%s of the module, %d units of fuel", count(calls, "call"), fuel)
	if f.all {
		summary = count(len(outcomes), "object") + ", " + summary
	}
	return summary
}

// failuresNamed is how many failed reconciles the command's error names.
const failuresNamed = 10

// failureOf returns the error that failed reconciles end the command with. Its exit code is that of the worst.
func failureOf(outcomes ...*render.Outcome) error {
	var problems []string
	code := 0
	for _, outcome := range outcomes {
		switch outcome.Failure() {
		case render.None:
			continue
		case render.InvalidResponse:
			code = exitProtocol
		default:
			code = max(code, exitModule)
		}
		problems = append(problems, outcome.Problem().Error())
	}
	switch {
	case len(problems) == 0:
		return nil
	case len(outcomes) == 1:
		return &codedError{errors.New(problems[0]), code}
	}
	named := problems[:min(len(problems), failuresNamed)]
	text := fmt.Sprintf("%d of %s failed:\n  %s", len(problems), count(len(outcomes), "object"), strings.Join(named, "\n  "))
	if more := len(problems) - len(named); more > 0 {
		text += fmt.Sprintf("\n  and %d more", more)
	}
	return &codedError{errors.New(text), code}
}

// count returns a number of things.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
