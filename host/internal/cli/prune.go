package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/engine"
)

// leftoverFlags are the flags of the commands that look for leftovers.
type leftoverFlags struct {
	config     string
	kubeconfig string
	controller string
	yes        bool
}

func (f *leftoverFlags) register(command *cobra.Command, yes string) {
	set := command.Flags()
	set.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig `file` of the cluster (default: as for wasmloop run)")
	set.StringVar(&f.controller, "controller", "", "look only for what this controller left over")
	set.BoolVar(&f.yes, "yes", false, yes)
}

func newPruneCommand() *cobra.Command {
	flags := &leftoverFlags{}
	command := &cobra.Command{
		Use:   "prune",
		Short: "List or delete children that no controller looks after any more",
		Long: `List the children of controllers that are not in the config file any more, and the children of kinds that their
controller does not own any more. With --controller and --yes, delete them.

No host deletes such children by itself: it cannot know whether they are to stay. A controller of another host is not in the
config file either, so look at the list first.`,
		Example: `  # What is left over?
  wasmloop prune --config wasmloop.yaml

  # Delete what the controller "site" left over
  wasmloop prune --config wasmloop.yaml --controller site --yes`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return flags.prune(command.Context(), command.OutOrStdout(), command.ErrOrStderr())
		},
	}
	command.Flags().StringVar(&flags.config, "config", "", "config `file` (required)")
	_ = command.MarkFlagRequired("config") // fails only for a flag that does not exist
	flags.register(command, "delete what is listed; needs --controller")
	return command
}

func (f *leftoverFlags) prune(ctx context.Context, stdout, stderr io.Writer) error {
	if f.yes && f.controller == "" {
		return errors.New("--yes needs --controller: which controller's children are to be deleted")
	}
	conf, err := config.Load(f.config)
	if err != nil {
		return err
	}
	return f.treat(ctx, stdout, stderr, conf, "deleted", func(leftover engine.Leftover) bool { return !leftover.Held })
}

// treat lists the leftovers that wanted picks, and removes them if the user has said yes.
func (f *leftoverFlags) treat(ctx context.Context, stdout, stderr io.Writer, conf *config.Config, done string, wanted func(engine.Leftover) bool) error {
	cluster, err := clusterOf(f.kubeconfig)
	if err != nil {
		return err
	}
	leftovers, err := engine.NewLeftovers(cluster)
	if err != nil {
		return err
	}
	found, err := leftovers.Find(ctx, conf)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(leftover engine.Leftover) bool {
		return f.controller != "" && leftover.Controller != f.controller || !wanted(leftover)
	})
	if len(found) == 0 {
		fmt.Fprintln(stderr, "there is nothing of that sort")
		return nil
	}
	if err := printLeftovers(stdout, found); err != nil {
		return err
	}
	if !f.yes {
		fmt.Fprintln(stderr, "nothing was changed; --yes with --controller does it")
		return nil
	}
	var errs []error
	for _, leftover := range found {
		if err := leftovers.Remove(ctx, leftover); err != nil {
			errs = append(errs, err)
		}
	}
	fmt.Fprintf(stderr, "%d of %d %s\n", len(found)-len(errs), len(found), done)
	return errors.Join(errs...)
}

func printLeftovers(w io.Writer, found []engine.Leftover) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CONTROLLER\tKIND\tNAMESPACE\tNAME\tWHY")
	for _, leftover := range found {
		object := leftover.Object
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", leftover.Controller, object.Kind.GroupKind(), object.Namespace, object.Name, leftover.Why)
	}
	return table.Flush()
}
