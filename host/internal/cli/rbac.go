package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/engine"
	"github.com/wasmloop/wasmloop/host/internal/rights"
)

// askTimeout is how long the cluster may take for each answer.
const askTimeout = 10 * time.Second

// rbacFlags are the flags of wasmloop rbac.
type rbacFlags struct {
	config         string
	controllers    []string
	serviceAccount string
	namespace      string
	leaseName      string
	leaderElect    bool
	metricsSecure  bool
	tokenAccounts  map[string]string
	resources      map[string]string
	clusterScoped  []string
	offline        bool
	kubeconfig     string
}

func newRBACCommand() *cobra.Command {
	flags := &rbacFlags{}
	command := &cobra.Command{
		Use:   "rbac",
		Short: "Print the ServiceAccounts and Roles that a config needs",
		Long: `Print what the host, and each ServiceAccount that a controller of the config acts as, must be allowed to do, and no more:
ServiceAccounts, Roles, ClusterRoles and their bindings, for kubectl apply. The Helm chart makes the same by itself.

A controller whose kinds name namespaces has Roles in these, and no ClusterRole unless it deals with what is in no namespace or in
all of them. Whoever owns Roles, ClusterRoles or their bindings must also have the rights that these give, or escalate and bind: that
is for you to add.

The cluster says what the plurals of kinds are and which are cluster-scoped. With --offline, without a cluster, and for kinds that it
does not serve, plurals are guessed, and just the kinds that are part of Kubernetes are known to be cluster-scoped: correct that with
--resource and --cluster-scoped.`,
		Example: `  wasmloop rbac --config wasmloop.yaml | kubectl apply -f -
  wasmloop rbac --config wasmloop.yaml --service-account controllers/host
  wasmloop rbac --config wasmloop.yaml --offline --resource example.com/Octopus=octopodes --cluster-scoped example.com/Tenant`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return flags.print(command.OutOrStdout(), command.ErrOrStderr())
		},
	}
	flags.register(command)
	return command
}

func (f *rbacFlags) register(command *cobra.Command) {
	set := command.Flags()
	set.StringVar(&f.config, "config", "", "config `file` (required)")
	_ = command.MarkFlagRequired("config") // fails only for a flag that does not exist
	set.StringSliceVar(&f.controllers, "controllers", []string{"*"}, "controllers that the host runs, as in run --controllers")
	set.StringVar(&f.serviceAccount, "service-account", "wasmloop-system/wasmloop", "the host's ServiceAccount, `NAMESPACE/NAME`")
	set.StringVar(&f.namespace, "namespace", "", "`namespace` that the host runs in, where its Lease is (default: that of --service-account)")
	set.BoolVar(&f.leaderElect, "leader-elect", true, "let it elect a leader, as run --leader-elect does")
	set.StringVar(&f.leaseName, "lease-name", engine.DefaultLeaseName, "`name` of the Lease, as in run --lease-name")
	set.BoolVar(&f.metricsSecure, "metrics-secure", false, "let it ask who reads its metrics, as run --metrics-secure does")
	set.StringToStringVar(&f.tokenAccounts, "token-account", nil,
		"whose token the tokenFile of a controller is, `CONTROLLER=NAMESPACE/NAME`; without it such a controller gets no rights")
	set.StringToStringVar(&f.resources, "resource", nil, "the plural of a kind, `GROUP/KIND=PLURAL`, KIND=PLURAL in the core group")
	set.StringSliceVar(&f.clusterScoped, "cluster-scoped", nil, "cluster-scoped kinds, `GROUP/KIND`")
	set.BoolVar(&f.offline, "offline", false, "ask no cluster")
	set.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig `file` of the cluster to ask (default: as for wasmloop run)")
	command.MarkFlagsMutuallyExclusive("offline", "kubeconfig")
}

func (f *rbacFlags) print(stdout, stderr io.Writer) error {
	conf, err := config.LoadElsewhere(f.config)
	if err != nil {
		return err
	}
	if err := conf.Select(f.controllers); err != nil {
		return err
	}
	options, err := f.options(conf, stderr)
	if err != nil {
		return err
	}
	options.Kinds, err = f.kinds(conf, stderr)
	if err != nil {
		return err
	}
	for i, object := range rights.Objects(rights.Derive(conf, options)) {
		document, err := yaml.Marshal(object)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(stdout, "---")
		}
		if _, err := stdout.Write(document); err != nil {
			return err
		}
	}
	return nil
}

func (f *rbacFlags) options(conf *config.Config, stderr io.Writer) (options rights.Options, err error) {
	if options.Host, err = readAccount("--service-account", f.serviceAccount); err != nil {
		return options, err
	}
	options.Namespace, options.MetricsSecure = cmp.Or(f.namespace, options.Host.Namespace), f.metricsSecure
	if f.leaderElect {
		options.Lease = f.leaseName
	}
	options.TokenAccounts = map[string]types.NamespacedName{}
	for controller, account := range f.tokenAccounts {
		isController := func(c config.Controller) bool { return c.Name == controller && c.TokenFile != "" }
		if !slices.ContainsFunc(conf.Controllers, isController) {
			return options, fmt.Errorf("--token-account %s: the config has no controller of this name with a tokenFile", controller)
		}
		if options.TokenAccounts[controller], err = readAccount("--token-account "+controller, account); err != nil {
			return options, err
		}
	}
	for _, controller := range conf.Controllers {
		if _, known := options.TokenAccounts[controller.Name]; controller.TokenFile != "" && !known {
			fmt.Fprintf(stderr, "! controller %s has a tokenFile: its rights are left out, say whose they are with --token-account %s=NAMESPACE/NAME\n",
				controller.Name, controller.Name)
		}
	}
	return options, nil
}

func readAccount(flag, text string) (types.NamespacedName, error) {
	namespace, name, _ := strings.Cut(text, "/")
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		return types.NamespacedName{}, fmt.Errorf("%s %q: want NAMESPACE/NAME", flag, text)
	}
	return types.NamespacedName{Namespace: namespace, Name: name}, nil
}

// kinds returns what is known of kinds: what the flags say, else the cluster, else guesses.
func (f *rbacFlags) kinds(conf *config.Config, stderr io.Writer) (*rights.Guesses, error) {
	known := &rights.Guesses{Resources: map[string]string{}, ClusterScoped: slices.Clone(f.clusterScoped)}
	if !f.offline {
		err := f.ask(conf, known, stderr)
		if err != nil && f.kubeconfig != "" {
			return nil, err
		}
		if err != nil {
			fmt.Fprintf(stderr, "! plurals are guessed (--offline does so without this line): %v\n", err)
		}
	}
	maps.Copy(known.Resources, f.resources)
	return known, nil
}

// ask asks the cluster about all kinds of the config.
func (f *rbacFlags) ask(conf *config.Config, known *rights.Guesses, stderr io.Writer) error {
	cluster, err := clusterOf(f.kubeconfig)
	if err != nil {
		return err
	}
	cluster.Timeout = askTimeout
	client, err := rest.HTTPClientFor(cluster)
	if err != nil {
		return fmt.Errorf("cannot ask the cluster: %w", err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(cluster, client)
	if err != nil {
		return fmt.Errorf("cannot ask the cluster: %w", err)
	}
	for _, kind := range kindsOf(conf) {
		of := kind.Schema()
		mapping, err := mapper.RESTMapping(of.GroupKind(), of.Version)
		switch {
		case meta.IsNoMatchError(err):
			fmt.Fprintf(stderr, "! the cluster does not serve %s %s: its plural is guessed\n", kind.APIVersion, kind.Kind)
			continue
		case err != nil:
			return fmt.Errorf("cannot ask the cluster about %s %s: %w", kind.APIVersion, kind.Kind, err)
		}
		known.Resources[rights.Name(kind)] = mapping.Resource.Resource
		if mapping.Scope.Name() == meta.RESTScopeNameRoot {
			known.ClusterScoped = append(known.ClusterScoped, rights.Name(kind))
		}
	}
	return nil
}

// kindsOf returns all kinds that a config names, each once.
func kindsOf(conf *config.Config) (kinds []config.GroupVersionKind) {
	for i := range conf.Controllers {
		c := &conf.Controllers[i]
		for _, kind := range slices.Concat(c.ForKinds(), c.OwnedKinds(), c.RelatedKinds()) {
			if !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
	}
	return kinds
}
