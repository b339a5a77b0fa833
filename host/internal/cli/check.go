package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/render"
	"github.com/wasmloop/wasmloop/host/internal/render/check"
)

// checkFlags are the flags of wasmloop check.
type checkFlags struct {
	target targetFlags
	time   time.Duration
	seed   uint64
}

const checkExample = `  # A module with its samples
  wasmloop check --module hello.wasm samples/

  # As the controller that a config has, for longer
  wasmloop check --config wasmloop.yaml --time 5m object.yaml crds/`

func newCheckCommand() *cobra.Command {
	flags := &checkFlags{}
	command := &cobra.Command{
		Use:   "check [--module FILE.wasm] [--config FILE] OBJECT.yaml | FOLDER ...",
		Short: "Search for cases in which a module breaks the rules of a controller",
		Long: `Run a module over a cluster in memory, with the objects that are given and with variations of them (fields dropped,
extremes, unknown fields, lists in another order), in all kinds of states, and see whether it is

  deterministic   the same request gets the same answer, whatever the time and whatever the order of maps
  coming to rest  nothing is left to do after some reconciles
  of one mind     it does not go back and forth between answers
  idempotent      reconciling its own result again changes nothing
  indifferent     it comes to the same end when children are missing or were edited, and when the host ends after any write
  within bounds   it neither traps nor goes over a limit, and its answers are as the protocol has them

Each object of the kind that the controller reconciles is checked; without --config that is the kind of the first one.
The others are in the cluster, as with wasmloop render. What is found is made as short as possible and printed as a folder of
testdata. That nothing is found within --time proves nothing.

Exit codes: 0 nothing was found; 1 something was, or the usage or input is wrong.`,
		Example: checkExample,
		Args:    cobra.MinimumNArgs(1),
		RunE:    flags.run,
	}
	flags.target.register(command)
	set := command.Flags()
	set.DurationVar(&flags.time, "time", 10*time.Second, "how long variations are looked for; the objects as they are take as long as they take")
	set.Uint64Var(&flags.seed, "seed", 0, "`number` that the choice of variations comes from")
	return command
}

func (f *checkFlags) run(command *cobra.Command, args []string) error {
	ctx, stderr := command.Context(), command.ErrOrStderr()
	objects, err := readObjects(command.InOrStdin(), args...)
	if err != nil {
		return err
	}
	if len(objects) == 0 {
		return fmt.Errorf("%s has no object", strings.Join(args, ", "))
	}
	target, err := f.target.find(kindsIn(objects)...)
	if err != nil {
		return err
	}
	module, closeModule, err := target.load(ctx, render.SandboxOptions{CacheDir: f.target.cacheDir})
	if err != nil {
		return err
	}
	defer closeModule()
	others, closeOthers, err := check.Others(ctx, target.url, target.entry, f.target.cacheDir)
	if err != nil {
		return err
	}
	defer closeOthers()
	inputs := check.InputsOf(render.Input{Name: target.name, Entry: target.entry, Module: module, Only: objects[0]}, objects)
	if len(inputs) == 0 {
		return fmt.Errorf("none of the objects is of a kind that controller %s reconciles", target.entry.Name)
	}
	report, err := check.Run(ctx, inputs, check.Options{Others: others, Time: f.time, Seed: f.seed}, func(note string) {
		fmt.Fprintf(stderr, "► %s\n", note)
	})
	if err != nil {
		return err
	}
	return f.print(command.OutOrStdout(), report)
}

func (f *checkFlags) print(w io.Writer, report *check.Report) error {
	if violation := report.Violation; violation != nil {
		if err := printViolation(w, violation); err != nil {
			return err
		}
		return violation
	}
	_, err := fmt.Fprintf(w, "✔ nothing found: %s, %s, %s, %s of the module (seed %d)\n",
		count(report.Objects, "object"), count(report.Variations, "variation"), count(report.States, "state"), count(report.Calls, "call"), f.seed)
	return err
}

// printViolation prints what was found, and the case as the files of a folder.
func printViolation(w io.Writer, violation *check.Violation) error {
	var b strings.Builder
	if violation.Variation != "" {
		fmt.Fprintf(&b, "With a variation of the object: %s.\n", violation.Variation)
	}
	if violation.Detail != "" {
		fmt.Fprintf(&b, "%s\n", coloured(w, violation.Detail))
	}
	folder := "testdata/" + strings.ReplaceAll("not "+violation.Property, " ", "-")
	object, err := render.Encode([]map[string]any{render.Portable(violation.Object).Object})
	if err != nil {
		return err
	}
	fmt.Fprintf(&b, "-- %s/object.yaml --\n%s", folder, object)
	if len(violation.Observed) > 0 {
		var documents []map[string]any
		for _, each := range violation.Observed {
			documents = append(documents, each.Object)
		}
		observed, err := render.Encode(documents)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "-- %s/observed.yaml --\n%s", folder, observed)
	}
	_, err = io.WriteString(w, b.String())
	return err
}
