package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

// saveFlags are the flags of wasmloop save.
type saveFlags struct {
	registryFlags

	out    string
	config string
	output string
}

func newSaveCommand() *cobra.Command {
	flags := &saveFlags{}
	command := &cobra.Command{
		Use:   "save --out FILE.tar (SOURCE ... | --config FILE)",
		Short: "Write modules of registries with their signatures to an archive",
		Long: `Write modules of registries, those that are named or all of a config file, with their signatures to an archive, for a
place that no registry is reached from: wasmloop load puts them into a host's store or into a registry there. The archive
is a tar of an OCI image layout, which other tools read too.

` + registryHelp,
		Example: `  wasmloop save --out modules.tar oci://ghcr.io/acme/greeting:1.0 oci://ghcr.io/acme/site:2.1
  wasmloop save --out modules.tar --config wasmloop.yaml`,
		RunE: func(command *cobra.Command, args []string) error {
			if err := checkOutput(flags.output); err != nil {
				return err
			}
			return flags.save(command, args)
		},
	}
	flags.register(command)
	set := command.Flags()
	set.StringVar(&flags.out, "out", "", "`file` to write (required)")
	set.StringVar(&flags.config, "config", "", "config `file` whose modules are meant")
	outputFlag(command, &flags.output)
	_ = command.MarkFlagRequired("out")
	_ = command.MarkFlagFilename("out", "tar") // both fail only for a flag that does not exist
	return command
}

func (f *saveFlags) save(command *cobra.Command, urls []string) error {
	urls, err := f.sources(urls, command.ErrOrStderr())
	if err != nil {
		return err
	}
	client, err := f.client(command, urls...)
	if err != nil {
		return err
	}
	saved, err := writeArchive(command.Context(), client, urls, f.out)
	if err != nil {
		return err
	}
	return printArchived(command.OutOrStdout(), f.output, saved)
}

// sources returns what to save: what is named, or what the config has of registries.
func (f *saveFlags) sources(named []string, stderr io.Writer) ([]string, error) {
	if (len(named) > 0) == (f.config != "") {
		return nil, errors.New("name the sources to save, or --config FILE for all of a config")
	}
	if f.config == "" {
		return named, nil
	}
	conf, err := config.Load(f.config)
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, name := range slices.Sorted(maps.Keys(conf.Modules)) {
		url := conf.Modules[name].Source
		if strings.HasPrefix(url, "oci://") {
			urls = append(urls, url)
		} else {
			fmt.Fprintf(stderr, "► module %s is not saved: it comes from %s, which is no registry\n", name, url)
		}
	}
	if len(urls) == 0 {
		return nil, fmt.Errorf("no module of %s comes from a registry", f.config)
	}
	return slices.Compact(slices.Sorted(slices.Values(urls))), nil
}

// writeArchive writes an archive so that no half of one is ever taken for it.
func writeArchive(ctx context.Context, client *source.Client, urls []string, path string) (saved []source.Archived, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return nil, fmt.Errorf("cannot write the archive: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }() // after a rename there is none
	buffered := bufio.NewWriter(file)
	if saved, err = client.Save(ctx, urls, buffered); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := errors.Join(buffered.Flush(), file.Chmod(0o644), file.Close()); err != nil {
		return nil, fmt.Errorf("cannot write the archive: %w", err)
	}
	return saved, os.Rename(file.Name(), path)
}

// archivedView is a module in an archive as -o json shows it.
type archivedView struct {
	Source     string `json:"source"`
	Pinned     string `json:"pinned"`
	Signatures int    `json:"signatures"`
}

func printArchived(w io.Writer, output string, list []source.Archived) error {
	views := make([]archivedView, len(list))
	for i, module := range list {
		views[i] = archivedView{module.URL, module.Pinned, module.Signatures}
	}
	if output == outputJSON {
		return printJSON(w, views)
	}
	for _, view := range views {
		if _, err := fmt.Fprintf(w, "%s  %s\n", view.Pinned, count(view.Signatures, "signature")); err != nil {
			return err
		}
	}
	return nil
}
