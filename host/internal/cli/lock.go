package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/render"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

// lockFlags are the flags of wasmloop lock.
type lockFlags struct {
	config string
	update bool
	check  bool
	output string
}

func newLockCommand() *cobra.Command {
	flags := &lockFlags{}
	command := &cobra.Command{
		Use:   "lock --config FILE",
		Short: "Write the digests of modules into a config file",
		Long: `Ask for the digest of each module whose source in a config file has none, and write it to the source's end: a host runs
just this module then, whatever becomes of the tag. Nothing else of the file is changed, comments neither. Modules in files on
this machine stay as they are.

Registries are reached as the config says. Exit codes: 0 all is well; 1 something went wrong, or, with --check, the file would
change.`,
		Example: `  wasmloop lock --config wasmloop.yaml
  wasmloop lock --config wasmloop.yaml --update     # what the tags are now, instead of what they were`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := checkOutput(flags.output); err != nil {
				return err
			}
			return flags.lock(command)
		},
	}
	set := command.Flags()
	set.StringVar(&flags.config, "config", "", "config `file` (required)")
	set.BoolVar(&flags.update, "update", false, "ask anew for sources that have a tag and a digest")
	set.BoolVar(&flags.check, "check", false, "write nothing, and fail if there is anything to write")
	outputFlag(command, &flags.output)
	_ = command.MarkFlagRequired("config")
	_ = command.MarkFlagFilename("config", "yaml", "yml") // both fail only for a flag that does not exist
	return command
}

// lockedView is a module that was locked as -o json shows it.
type lockedView struct {
	Module string `json:"module"`
	Before string `json:"before"`
	After  string `json:"after"`
}

func (f *lockFlags) lock(command *cobra.Command) error {
	text, locked, err := f.resolve(command.Context())
	if err != nil {
		return err
	}
	if err := f.print(command, locked); err != nil {
		return err
	}
	before, err := os.ReadFile(f.config)
	if err != nil || bytes.Equal(before, text) {
		return err
	}
	if f.check {
		return errors.New("there are sources without the digest that they have now: wasmloop lock writes it")
	}
	return writeFile(f.config, text)
}

func (f *lockFlags) resolve(ctx context.Context) (text []byte, locked []config.Locked, err error) {
	conf, err := config.LoadUnlocked(f.config)
	if err != nil {
		return nil, nil, err
	}
	client, err := render.Source(conf, source.Options{})
	if err != nil {
		return nil, nil, err
	}
	return config.Lock(f.config, f.update, func(url string) (string, error) { return client.Resolve(ctx, url) })
}

func (f *lockFlags) print(command *cobra.Command, locked []config.Locked) error {
	views := make([]lockedView, len(locked))
	for i, each := range locked {
		views[i] = lockedView{each.Name, each.Before, each.After}
	}
	if f.output == outputJSON {
		return printJSON(command.OutOrStdout(), views)
	}
	table := &fields{out: command.OutOrStdout()}
	for _, view := range views {
		table.add(view.Module, view.After)
	}
	if len(views) == 0 {
		fmt.Fprintln(command.ErrOrStderr(), "✔ all sources have their digest")
	}
	return table.print()
}
