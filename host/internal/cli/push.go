package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/engine"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

func newPushCommand() *cobra.Command {
	flags, output := &registryFlags{}, ""
	command := &cobra.Command{
		Use:   "push FILE oci://REGISTRY/REPOSITORY:TAG",
		Short: "Bring a module to an OCI registry",
		Long: `Bring a module to an OCI registry, after a look whether a host would run it, and print its digest and the source URL that
names just this module for ever.

It becomes an artifact in the CNCF's layout for WebAssembly, which other tools read too, with what the module says of itself
as annotations. The same module has the same digest each time.

` + registryHelp,
		Example: `  wasmloop push greeting.wasm oci://ghcr.io/acme/greeting:1.0
  wasmloop push greeting.wasm oci://localhost:5000/greeting:1.0 -o json | jq -r .pinned`,
		Args:              twoArguments("the .wasm file and where it goes"),
		ValidArgsFunction: completeFiles("wasm"),
		RunE: func(command *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			pushed, err := push(command, flags, args[0], args[1])
			if err != nil {
				return err
			}
			return newPulledView(args[1], "", pushed).print(command.OutOrStdout(), output)
		},
	}
	flags.register(command)
	outputFlag(command, &output)
	return command
}

func push(command *cobra.Command, flags *registryFlags, file, url string) (*source.Module, error) {
	ctx := command.Context()
	client, err := flags.client(command, url)
	if err != nil {
		return nil, err
	}
	module, err := fetchFile(ctx, file)
	if err != nil {
		return nil, err
	}
	inspection, err := engine.Inspect(ctx, module)
	if err != nil {
		return nil, refused(file, err)
	}
	return client.Push(ctx, url, module.Bytes, source.PushOptions{Annotations: annotationsOf(inspection.Metadata)})
}

// twoArguments wants just two arguments, and says what they are otherwise.
func twoArguments(what string) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		if len(args) != 2 {
			return errors.New("want two arguments, " + what + ": " + command.UseLine())
		}
		return nil
	}
}
