package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/wasmloop/wasmloop/host/internal/record"
	"github.com/wasmloop/wasmloop/host/internal/render"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

// replayFlags are the flags of wasmloop replay.
type replayFlags struct {
	module   string
	cacheDir string
	output   string
}

func newReplayCommand() *cobra.Command {
	flags := &replayFlags{}
	command := &cobra.Command{
		Use:   "replay FILE",
		Short: "Make a recorded call of a module again",
		Long: `Make a call again that wasmloop run --record has recorded, with the same module or with another one, and say what
differs: the answer, the fuel, the module. A call is a function of its request, so with the same module nothing does.

The exit code is 0 if nothing differs, or if another module was asked for with --module; 1 if something does; 2 if the
module failed in another way than recorded.`,
		Example: `  wasmloop run --config wasmloop.yaml --record recordings --record-failures
  wasmloop replay recordings/20261122T101500.123456789_site_default_home.json
  wasmloop replay recordings/20261122T101500.123456789_site_default_home.json --module fixed.wasm`,
		Args:              oneArgument("a file that wasmloop run --record has written"),
		ValidArgsFunction: completeFiles("json"),
		RunE: func(command *cobra.Command, args []string) error {
			return flags.run(command.Context(), command.OutOrStdout(), args[0])
		},
	}
	command.Flags().StringVar(&flags.module, "module", "", "Wasm `file` to call instead of the recorded module")
	command.Flags().StringVar(&flags.cacheDir, "cache-dir", render.CacheDir(), "`folder` for compiled modules, writable for this user alone")
	_ = command.MarkFlagFilename("module", "wasm") // fails only for a flag that does not exist
	outputFlag(command, &flags.output)
	return command
}

func (f *replayFlags) run(ctx context.Context, out io.Writer, path string) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	recording, err := record.Read(path)
	if err != nil {
		return err
	}
	module, err := f.fetch(ctx, recording)
	if err != nil {
		return err
	}
	replayed, err := recording.Replay(ctx, module, f.cacheDir)
	if err != nil {
		return err
	}
	if f.output == outputJSON {
		err = printJSON(out, comparisonOf(recording, replayed))
	} else {
		err = printReplayed(out, recording, replayed)
	}
	if err != nil {
		return err
	}
	return f.verdict(recording, replayed)
}

// fetch returns the module to call: the recorded one, if it is still where it was.
func (f *replayFlags) fetch(ctx context.Context, recording *record.Recording) (*source.Module, error) {
	if f.module == "" {
		module, err := source.Fetch(ctx, recording.Module.Source)
		if err != nil {
			return nil, fmt.Errorf("the recorded module is not to be had: name it with --module FILE: %w", err)
		}
		return module, nil
	}
	if _, err := os.Stat(f.module); err != nil {
		return nil, fmt.Errorf("cannot read the module: %w", err)
	}
	path, err := filepath.Abs(f.module)
	if err != nil {
		return nil, err
	}
	return source.Fetch(ctx, "file://"+path)
}

// verdict is the error that a replay ends with.
func (f *replayFlags) verdict(recording *record.Recording, replayed *record.Replayed) error {
	switch {
	case replayed.Error != "" && replayed.Error != recording.Error:
		return &codedError{fmt.Errorf("the module failed: %s", replayed.Error), exitModule}
	case f.module != "" || replayed.Same(recording):
		return nil
	case replayed.Digest != recording.Module.Digest:
		return fmt.Errorf("the call is not as recorded, since the module at %s is another one now", recording.Module.Source)
	case recording.Redacted:
		return errors.New("the call is not as recorded; the contents of Secrets were left out of the recording, which may be why")
	default:
		return errors.New("the call is not as recorded")
	}
}

// comparison is what -o json prints.
type comparison struct {
	Same     bool       `json:"same"`
	Redacted bool       `json:"redacted"`
	Recorded callResult `json:"recorded"`
	Replayed callResult `json:"replayed"`
}

type callResult struct {
	Digest   string `json:"digest"`
	Fuel     uint64 `json:"fuel"`
	Error    string `json:"error,omitempty"`
	Response string `json:"response,omitempty"`
}

func comparisonOf(recording *record.Recording, replayed *record.Replayed) *comparison {
	return &comparison{
		Same: replayed.Same(recording), Redacted: recording.Redacted,
		Recorded: callResult{recording.Module.Digest, recording.Fuel, recording.Error, recording.Response},
		Replayed: callResult{replayed.Digest, replayed.Fuel, replayed.Error, replayed.Response},
	}
}

func printReplayed(out io.Writer, recording *record.Recording, replayed *record.Replayed) error {
	f := &fields{out: out}
	f.add("call", fmt.Sprintf("of controller %s at %s, by host %s", recording.Controller, recording.Time.UTC().Format("2006-01-02T15:04:05Z"), recording.Host))
	f.add("module", compared(recording.Module.Digest, replayed.Digest))
	f.add("fuel", compared(fmt.Sprint(recording.Fuel), fmt.Sprint(replayed.Fuel)))
	f.add("error", compared(orNone(recording.Error), orNone(replayed.Error)))
	answer := "as recorded"
	if recording.Response != replayed.Response {
		answer = "not as recorded: see below"
	}
	f.add("answer", answer)
	if recording.Redacted {
		f.add("secrets", "their contents, if there were any, were left out of the recording")
	}
	if len(replayed.Log) > 0 {
		f.add("log", replayed.Log...)
	}
	if err := f.print(); err != nil {
		return err
	}
	if recording.Response == replayed.Response {
		return nil
	}
	text := diff.Diff("recorded", []byte(readable(recording.Response)), "replayed", []byte(readable(replayed.Response)))
	_, err := fmt.Fprintf(out, "\n%s", coloured(out, string(text)))
	return err
}

func compared(recorded, replayed string) string {
	if recorded == replayed {
		return recorded + ", as recorded"
	}
	return fmt.Sprintf("%s, recorded was %s", replayed, recorded)
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// readable returns a response as YAML, or as it is if it is no JSON.
func readable(response string) string {
	if response == "" {
		return ""
	}
	converted, err := yaml.JSONToYAML([]byte(response))
	if err != nil {
		return strings.TrimSuffix(response, "\n") + "\n"
	}
	return string(converted)
}
