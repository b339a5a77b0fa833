package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/engine"
)

const (
	// statusTimeout is how long the host may take to answer.
	statusTimeout = 5 * time.Second
	// maxStatus is the most that is read of its answer, in bytes: a host with 1,000 controllers says a tenth of that.
	maxStatus = 8 << 20
)

// hostAddress is where a host is asked, and how.
type hostAddress struct {
	address   string
	tokenFile string
	caFile    string
	insecure  bool
}

func newStatusCommand() *cobra.Command {
	var host hostAddress
	var output string
	var wait time.Duration
	command := &cobra.Command{
		Use:   "status",
		Short: "Show how a running host is",
		Long: `Show how a running host is: its controllers, what they do, the objects that they look after and the calls of their modules;
and its modules, with their digests, and what is wrong with them.

The host is asked where it serves its metrics. For one in a cluster: kubectl port-forward deployment/wasmloop 8080. One with
--metrics-secure wants a token of an account that may get the path /status: kubectl create token NAME.

With --wait it is asked until all its controllers run and nothing is wrong with its config and its modules. What is still missing is said on
stderr. Behind the address of a Service with several hosts, one that does so is enough.

Exit codes: 0 the host has answered; 1 it has not, or not so within --wait.`,
		Example: `  wasmloop status
  wasmloop status --wait 1m
  wasmloop status --address https://127.0.0.1:8080 --token-file token --insecure-skip-tls-verify
  wasmloop status --address 127.0.0.1:9090 -o json | jq '.modules[] | select(.trouble)'`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			ask := func() (*engine.Status, error) { return host.ask(command.Context()) }
			if wait > 0 {
				ask = func() (*engine.Status, error) {
					return host.await(command.Context(), wait, command.ErrOrStderr())
				}
			}
			status, err := ask()
			if err != nil {
				return err
			}
			if output == outputJSON {
				return printJSON(command.OutOrStdout(), status)
			}
			return printStatus(command.OutOrStdout(), status, time.Now())
		},
	}
	command.Flags().StringVar(&host.address, "address", "127.0.0.1:8080", "`address` of the host's metrics, as in run --metrics-bind-address; https://HOST:PORT with --metrics-secure")
	command.Flags().StringVar(&host.tokenFile, "token-file", "", "`file` with the token to show to the host (default: none)")
	command.Flags().StringVar(&host.caFile, "ca-file", "", "`file` with certificates (PEM) of authorities to trust (default: those of the system)")
	command.Flags().BoolVar(&host.insecure, "insecure-skip-tls-verify", false, "believe any certificate: whoever is in between can read the token")
	command.MarkFlagsMutuallyExclusive("ca-file", "insecure-skip-tls-verify")
	command.Flags().DurationVar(&wait, "wait", 0, "how long to wait until all is well; 0: not at all")
	outputFlag(command, &output)
	return command
}

// client returns what asks the host. It has a connection of its own for each question.
func (h *hostAddress) client() (*http.Client, error) {
	trust := &tls.Config{InsecureSkipVerify: h.insecure} //nolint:gosec // the flag says what it means
	if h.caFile != "" {
		pem, err := os.ReadFile(h.caFile)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca-file %s: there is no certificate in it (PEM)", h.caFile)
		}
	}
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust, DisableKeepAlives: true}}, nil
}

// authorize shows the token, which is not sent without encryption.
func (h *hostAddress) authorize(request *http.Request) error {
	if h.tokenFile == "" {
		return nil
	}
	if request.URL.Scheme != "https" {
		return fmt.Errorf("--token-file: the token would go to %s without encryption: give --address https://HOST:PORT", request.URL.Host)
	}
	token, err := os.ReadFile(h.tokenFile)
	if err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	return nil
}

// ask asks a host how it is.
func (h *hostAddress) ask(ctx context.Context) (*engine.Status, error) {
	address := h.address
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "/")+engine.StatusPath, nil)
	if err != nil {
		return nil, fmt.Errorf("--address %q: %w", address, err)
	}
	client, err := h.client()
	if err == nil {
		err = h.authorize(request)
	}
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("no host answers at %s: give --address HOST:PORT as in its --metrics-bind-address: %w", address, errors.Unwrap(err))
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	status := &engine.Status{}
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("the host at %s says %s: give --token-file with a token of an account that may get the path %s", address, response.Status, engine.StatusPath)
	case http.StatusBadRequest: // what a server with TLS says to those who speak without
		return nil, fmt.Errorf("the host at %s says %s: one with --metrics-secure is asked by --address https://HOST:PORT", address, response.Status)
	default:
		return nil, fmt.Errorf("what answers at %s is no host: it says %s", request.URL, response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxStatus)).Decode(status); err != nil {
		return nil, fmt.Errorf("what answers at %s is no host: %w", request.URL, err)
	}
	return status, nil
}

// printStatus prints a status as tables.
func printStatus(w io.Writer, status *engine.Status, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CONTROLLER\tMODULE\tSTATE\tOBJECTS\tSETTLED\tCALLS\tFAILED\tLAST CALL")
	for _, c := range status.Controllers {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", c.Name, c.Module, c.State, c.Objects, c.Settled, c.Calls, c.Failed, ago(c.LastCall, now))
	}
	fmt.Fprintln(table, "\t")
	fmt.Fprintln(table, "MODULE\tLOADED\tSOURCE")
	for _, m := range status.Modules {
		source := m.Pinned
		if source == "" {
			source = m.Source
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", m.Name, ago(m.Loaded, now), source)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return printTroubles(w, status)
}

// printTroubles prints what is wrong, which is too long for a table.
func printTroubles(w io.Writer, status *engine.Status) error {
	var troubles []string
	if status.ConfigTrouble != "" {
		troubles = append(troubles, "✗ config: it has changed and is not taken up: "+status.ConfigTrouble)
	}
	for _, m := range status.Modules {
		if m.Trouble != "" {
			troubles = append(troubles, fmt.Sprintf("✗ module %s: %s", m.Name, m.Trouble))
		}
	}
	for _, c := range status.Controllers {
		if c.Trouble != "" {
			troubles = append(troubles, fmt.Sprintf("✗ controller %s: it does not run: %s", c.Name, c.Trouble))
		}
		if c.LastError != "" {
			troubles = append(troubles, fmt.Sprintf("✗ controller %s: its last call that failed: %s", c.Name, c.LastError))
		}
	}
	if len(troubles) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(troubles, "\n"))
	return err
}

// ago says how long ago something was.
func ago(then *time.Time, now time.Time) string {
	if then == nil {
		return "never"
	}
	return now.Sub(*then).Round(time.Second).String() + " ago"
}
