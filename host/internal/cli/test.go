package cli

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/render"
	"github.com/wasmloop/wasmloop/host/internal/render/golden"
)

// testFlags are the flags of wasmloop test.
type testFlags struct {
	target targetFlags
	update bool
	junit  string
}

const testExample = `  # The cases in testdata, with the module in this folder
  wasmloop test

  # Take what comes of the cases for what is wanted
  wasmloop test modules/hello --update`

func newTestCommand() *cobra.Command {
	flags := &testFlags{}
	command := &cobra.Command{
		Use:   "test [FOLDER]",
		Short: "Run a module's cases: what it must want for which objects",
		Long: `Run the cases in FOLDER/testdata (FOLDER is . unless it is given) over a cluster in memory. Each case is a folder. It has

  object.yaml, observed*.yaml   what wasmloop render is given
  want.yaml                     what it must print; fields may be in any order
or
  steps.yaml                    a list of steps: changes of the cluster, and what must hold after each

A step has some of these fields:

  - name: the index changes
    apply: [OBJECT, ...]                                     # made or changed by a server-side apply
    patch: [{apiVersion, kind, name, subresource, patch: {}}]  # a merge patch
    delete: [{apiVersion, kind, namespace, name}]
    after: 30s                                               # time passes
    restart: true                                            # the host starts anew
    want:
      objects: [OBJECT, ...]      # are there, with at least these fields
      absent: [{apiVersion, kind, namespace, name}]
      maxCalls: 2                 # of the module, in this step
      events: [REASON, ...]
      fails: true                 # the last reconcile; without it none may

The module is --module, or FOLDER/NAME.wasm where NAME is the folder's, or the only .wasm file in it.

Exit codes: 0 all cases passed; 1 one has failed, or the usage or input is wrong.`,
		Example:           testExample,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeFolders,
		RunE: func(command *cobra.Command, args []string) error {
			folder := "."
			if len(args) > 0 {
				folder = args[0]
			}
			return flags.run(command.Context(), command.OutOrStdout(), folder)
		},
	}
	flags.target.register(command)
	set := command.Flags()
	set.BoolVarP(&flags.update, "update", "u", false, "write want.yaml anew where it is not what came of the case")
	set.StringVar(&flags.junit, "junit", "", "`file` to write the results into, as JUnit does")
	return command
}

func (f *testFlags) run(ctx context.Context, stdout io.Writer, folder string) error {
	cases, err := golden.Find(filepath.Join(folder, "testdata"))
	if err != nil {
		return err
	}
	if len(cases) == 0 {
		return fmt.Errorf("%s has no case: make a folder there with object.yaml", filepath.Join(folder, "testdata"))
	}
	if f.target.module == "" && f.target.config == "" {
		if f.target.module, err = moduleIn(folder); err != nil {
			return err
		}
	}
	results, err := f.runAll(ctx, cases)
	if err != nil {
		return err
	}
	if err := printResults(stdout, results); err != nil {
		return err
	}
	if f.junit != "" {
		if err := writeJUnit(f.junit, filepath.Base(folder), results); err != nil {
			return err
		}
	}
	failed := 0
	for _, result := range results {
		if result.Failure != "" {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s failed", failed, count(len(results), "case"))
	}
	return nil
}

// moduleIn finds the module of a folder.
func moduleIn(folder string) (string, error) {
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	named := filepath.Join(folder, filepath.Base(absolute)+".wasm")
	if _, err := os.Stat(named); err == nil {
		return named, nil
	}
	found, _ := filepath.Glob(filepath.Join(folder, "*.wasm")) // which fails only for another pattern
	switch len(found) {
	case 0:
		return "", fmt.Errorf("there is no module in %s: build it with wasmloop build, or give --module", folder)
	case 1:
		return found[0], nil
	default:
		return "", fmt.Errorf("there are several modules in %s: give --module", folder)
	}
}

func (f *testFlags) runAll(ctx context.Context, cases []*golden.Case) ([]*golden.Result, error) {
	results := make([]*golden.Result, 0, len(cases))
	loaded := map[string]*render.Module{}
	for _, each := range cases {
		object := each.Object()
		if object == nil {
			return nil, fmt.Errorf("case %s has no object", each.Name)
		}
		target, err := f.target.find(object.GroupVersionKind())
		if err != nil {
			return nil, err
		}
		key := target.url
		if target.entry != nil {
			key += " " + target.entry.Name
		}
		if loaded[key] == nil {
			module, closeModule, err := target.load(ctx, render.SandboxOptions{CacheDir: f.target.cacheDir})
			if err != nil {
				return nil, err
			}
			defer closeModule()
			loaded[key] = module
		}
		result, err := each.Run(ctx, render.Input{Name: target.name, Entry: target.entry, Module: loaded[key]}, f.update)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}

// printResults prints a table, and below it what failed.
func printResults(w io.Writer, results []*golden.Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tcase\tcalls\ttime")
	for _, result := range results {
		mark := "✔"
		switch {
		case result.Failure != "":
			mark = "✗"
		case result.Updated:
			mark = "► written"
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", mark, result.Name, result.Calls, result.Took.Round(100*time.Microsecond))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, result := range results {
		if result.Failure == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "\n%s\n%s", heading(w, result.Name), coloured(w, result.Failure)); err != nil {
			return err
		}
	}
	return nil
}

// The form of JUnit's reports, as far as readers of them agree.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func writeJUnit(path, name string, results []*golden.Result) error {
	suite := junitSuite{Name: name, Tests: len(results)}
	total := time.Duration(0)
	for _, result := range results {
		total += result.Took
		one := junitCase{Class: name, Name: result.Name, Time: seconds(result.Took)}
		if result.Failure != "" {
			suite.Failures++
			line, _, _ := strings.Cut(result.Failure, "\n")
			one.Failure = &junitFailure{line, result.Failure}
		}
		suite.Cases = append(suite.Cases, one)
	}
	suite.Time = seconds(total)
	encoded, err := xml.MarshalIndent(suite, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append([]byte(xml.Header), append(encoded, '\n')...), 0o644); err != nil { //nolint:gosec // a report that all may read
		return fmt.Errorf("cannot write the report: %w", err)
	}
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
