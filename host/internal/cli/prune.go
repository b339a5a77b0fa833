package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"

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

No host deletes such children by itself: it cannot know whether they are to stay. Look at the list first: a controller of
another host, with another config file, is not in this config file either, and its children are in use.`,
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
		return errors.New("--yes needs --controller NAME: it deletes what one controller left over, not what all did")
	}
	conf, err := config.Load(f.config)
	if err != nil {
		return err
	}
	none := "no children are left over"
	if f.controller != "" {
		none += " of controller " + f.controller
	}
	return f.treat(ctx, stdout, stderr, treatment{
		config: conf,
		wanted: func(leftover engine.Leftover) bool { return !leftover.Held },
		header: "WHY",
		none:   none,
		todo:   "nothing was deleted; with --controller NAME and --yes, what is listed of that controller is",
		done:   "deleted",
	})
}

// treatment says what is to be done about leftovers, and what is said of it.
type treatment struct {
	config *config.Config
	// wanted picks the leftovers that it is about.
	wanted func(engine.Leftover) bool
	// header is that of the last column of the list.
	header string
	// none is said if there is nothing, todo if the user has not said yes, done of what was done.
	none, todo, done string
	// needed makes it an error if there is nothing.
	needed bool
}

// treat lists leftovers, and removes them if the user has said yes.
func (f *leftoverFlags) treat(ctx context.Context, stdout, stderr io.Writer, t treatment) error {
	cluster, err := clusterOf(f.kubeconfig)
	if err != nil {
		return err
	}
	leftovers, err := engine.NewLeftovers(cluster)
	if err != nil {
		return err
	}
	found, forbidden, err := leftovers.Find(ctx, t.config)
	if err != nil {
		return err
	}
	if len(forbidden) > 0 {
		fmt.Fprintf(stderr, "there may be more: you may not list %s\n", names(forbidden))
	}
	found = slices.DeleteFunc(found, func(leftover engine.Leftover) bool {
		return f.controller != "" && leftover.Controller != f.controller || !t.wanted(leftover)
	})
	if len(found) == 0 && t.needed {
		return errors.New(t.none)
	}
	if len(found) == 0 {
		fmt.Fprintln(stderr, t.none)
		return nil
	}
	if err := printLeftovers(stdout, found, t.header); err != nil {
		return err
	}
	if !f.yes {
		fmt.Fprintln(stderr, t.todo)
		return nil
	}
	var errs []error
	for _, leftover := range found {
		if err := leftovers.Remove(ctx, leftover); err != nil {
			errs = append(errs, err)
		}
	}
	fmt.Fprintf(stderr, "%s %d of %d\n", t.done, len(found)-len(errs), len(found))
	return errors.Join(errs...)
}

func names(kinds []schema.GroupKind) string {
	list := make([]string, len(kinds))
	for i, kind := range kinds {
		list[i] = kind.String()
	}
	return strings.Join(list, ", ")
}

func printLeftovers(w io.Writer, found []engine.Leftover, header string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CONTROLLER\tKIND\tNAMESPACE\tNAME\t"+header)
	for _, leftover := range found {
		object := leftover.Object
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n",
			leftover.Controller, object.Kind.GroupKind(), cmp.Or(object.Namespace, "-"), object.Name, leftover.Why)
	}
	return table.Flush()
}
