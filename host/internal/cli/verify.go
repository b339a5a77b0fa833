package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/source"
	"github.com/wasmloop/wasmloop/host/internal/source/signature"
)

// verifyFlags are the flags of wasmloop verify.
type verifyFlags struct {
	registryFlags
	signerFlags

	output string
}

func newVerifyCommand() *cobra.Command {
	flags := &verifyFlags{}
	command := &cobra.Command{
		Use:   "verify oci://REGISTRY/REPOSITORY[:TAG][@sha256:HEX]",
		Short: "Verify the signatures of a module in a registry",
		Long: `Verify that a module in a registry has the signatures that it must have, as a host does whose config has these keys and
identities under policy.signatures. Nothing but the registry is asked over the network.

Exit codes: 0 it has them; 1 it has not, or it could not be found out.

` + registryHelp,
		Example: `  wasmloop verify oci://ghcr.io/acme/greeting:1.0 --key team.pub
  wasmloop verify oci://ghcr.io/acme/greeting:1.0 --trusted-root trusted_root.json \
    --certificate-oidc-issuer https://token.actions.githubusercontent.com \
    --certificate-identity-regexp 'https://github.com/acme/.*'`,
		Args: oneArgument("the module in its registry"),
		RunE: func(command *cobra.Command, args []string) error {
			if err := checkOutput(flags.output); err != nil {
				return err
			}
			return flags.verify(command, args[0])
		},
	}
	flags.registryFlags.register(command)
	flags.signerFlags.register(command)
	outputFlag(command, &flags.output)
	return command
}

func (f *verifyFlags) verify(command *cobra.Command, url string) error {
	verifier, err := f.verifier()
	if err != nil {
		return err
	}
	client, err := f.client(command, url)
	if err != nil {
		return err
	}
	subject, err := client.Signatures(command.Context(), url)
	if err != nil {
		return err
	}
	pinned, err := pinnedTo(url, subject.Digest)
	if err != nil {
		return err
	}
	signatures := make([]signature.Signature, len(subject.Signatures))
	for i, each := range subject.Signatures {
		signatures[i] = signature.Signature(each)
	}
	verified, err := verifier.Verify(subject.Digest, signatures)
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	view := signedView{Source: url, Pinned: pinned}
	for _, signer := range verified.Signers {
		view.By = append(view.By, signerText(signer))
	}
	return printSigned(command, f.output, view, "verified")
}

// pinnedTo returns a source with a digest.
func pinnedTo(url, digest string) (string, error) {
	ref, err := source.Parse(url)
	if err != nil {
		return "", err
	}
	ref.Digest = digest
	return ref.String(), nil
}

func signerText(signer signature.Signer) string {
	text := signer.Name
	if signer.Subject != "" {
		text += ": " + signer.Subject
	}
	if !signer.Time.IsZero() {
		text += " at " + signer.Time.UTC().Format(time.RFC3339)
	}
	return text
}
