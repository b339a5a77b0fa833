package cli

import (
	"errors"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/source"
)

// pullFlags are the flags of wasmloop pull.
type pullFlags struct {
	registryFlags

	out    string
	output string
}

func newPullCommand() *cobra.Command {
	flags := &pullFlags{}
	command := &cobra.Command{
		Use:   "pull SOURCE",
		Short: "Fetch a module into a file",
		Long: `Fetch a module as a host would, from oci://REGISTRY/REPOSITORY[:TAG][@sha256:HEX] or https://HOST/PATH@sha256:HEX, and write
it to a file. What was fetched is kept in --cache-dir: a source with a digest is not asked for twice, and for a tag whose
registry is down there is what it was when last asked.

` + registryHelp,
		Example: `  wasmloop pull oci://ghcr.io/acme/greeting:1.0
  wasmloop pull oci://ghcr.io/acme/greeting:1.0 --out greeting.wasm -o json`,
		Args: oneArgument("the source"),
		RunE: func(command *cobra.Command, args []string) error {
			if err := checkOutput(flags.output); err != nil {
				return err
			}
			return flags.pull(command, args[0])
		},
	}
	flags.register(command)
	command.Flags().StringVar(&flags.out, "out", "", "`file` to write (default: the last part of the source's path, with .wasm, in this folder)")
	outputFlag(command, &flags.output)
	_ = command.MarkFlagFilename("out", "wasm") // fails only for a flag that does not exist
	return command
}

func (f *pullFlags) pull(command *cobra.Command, url string) error {
	module, err := f.fetch(command, url)
	if err != nil {
		return err
	}
	if f.out == "" {
		if f.out, err = fileFor(url); err != nil {
			return err
		}
	}
	if err := writeFile(f.out, module.Bytes); err != nil {
		return err
	}
	return newPulledView(url, f.out, module).print(command.OutOrStdout(), f.output)
}

// fetch fetches a module, and says if it may be an old one.
func (f *registryFlags) fetch(command *cobra.Command, url string) (*source.Module, error) {
	client, err := f.client(command, url)
	if err != nil {
		return nil, err
	}
	module, err := client.Fetch(command.Context(), url)
	if err != nil {
		return nil, err
	}
	warnStale(command.ErrOrStderr(), module)
	return module, nil
}

// fileFor returns the name of the file that a source is written to.
func fileFor(url string) (string, error) {
	ref, err := source.Parse(url)
	if err != nil {
		return "", err
	}
	name := strings.TrimSuffix(path.Base(ref.Path), ".wasm")
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, `/\:`) {
		return "", errors.New("say with --out which file to write")
	}
	return name + ".wasm", nil
}
