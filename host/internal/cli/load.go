package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/render"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

// loadFlags are the flags of wasmloop load.
type loadFlags struct {
	registryFlags

	store  string
	to     string
	output string
}

func newLoadCommand() *cobra.Command {
	flags := &loadFlags{}
	command := &cobra.Command{
		Use:   "load FILE.tar",
		Short: "Put the modules of an archive into the local store or a registry",
		Long: `Put the modules of an archive that wasmloop save wrote, with their signatures, into the local store, from which a host takes
them by the sources that they were saved by, or with --to into another registry, where their repositories and tags keep
their names. Signatures are verified when a module is fetched.

` + registryHelp,
		Example: `  wasmloop load modules.tar
  wasmloop load modules.tar --to oci://registry.internal/wasm`,
		Args:              oneArgument("the archive"),
		ValidArgsFunction: completeFiles("tar"),
		RunE: func(command *cobra.Command, args []string) error {
			if err := checkOutput(flags.output); err != nil {
				return err
			}
			return flags.load(command, args[0])
		},
	}
	flags.register(command)
	set := command.Flags()
	set.StringVar(&flags.store, "store", storeOf(render.CacheDir()), "`folder` of the store to put them into")
	set.StringVar(&flags.to, "to", "", "`registry` to put them into instead: oci://REGISTRY[/PREFIX]")
	_ = set.MarkHidden("cache-dir") // fails only for a flag that does not exist; --store says more
	command.MarkFlagsMutuallyExclusive("store", "to")
	outputFlag(command, &flags.output)
	return command
}

func (f *loadFlags) load(command *cobra.Command, path string) error {
	client, err := f.target(command)
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot read the archive: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	loaded, err := client.Load(command.Context(), file, f.to)
	if err != nil {
		return err
	}
	return printArchived(command.OutOrStdout(), f.output, loaded)
}

// target returns a client for where the modules go.
func (f *loadFlags) target(command *cobra.Command) (*source.Client, error) {
	if f.to == "" {
		return source.New(source.Options{StoreDir: f.store})
	}
	f.cacheDir = "" // nothing is fetched
	repository := f.to + "/any:tag"
	if _, err := source.Parse(repository); err != nil {
		return f.client(command) // which will say what is wrong with --to
	}
	return f.client(command, repository)
}
