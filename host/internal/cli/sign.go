package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/source"
	"github.com/wasmloop/wasmloop/host/internal/source/signature"
)

// signFlags are the flags of wasmloop sign.
type signFlags struct {
	registryFlags

	key    string
	output string
}

func newSignCommand() *cobra.Command {
	flags := &signFlags{}
	command := &cobra.Command{
		Use:   "sign oci://REGISTRY/REPOSITORY[:TAG][@sha256:HEX] --key FILE",
		Short: "Sign a module in a registry",
		Long: `Sign a module in a registry with a key, and attach the signature to it there, as cosign does. What is signed is the digest
that the tag has now; with a digest in the source it is that.

The key's password is asked for, or taken from ` + passwordVariables[0] + ` or ` + passwordVariables[1] + `.

` + registryHelp,
		Example: `  wasmloop keygen --out team
  wasmloop sign oci://ghcr.io/acme/greeting:1.0 --key team.key`,
		Args: oneArgument("the module in its registry"),
		RunE: func(command *cobra.Command, args []string) error {
			if err := checkOutput(flags.output); err != nil {
				return err
			}
			return flags.sign(command, args[0])
		},
	}
	flags.register(command)
	command.Flags().StringVar(&flags.key, "key", "", "private key `file` (required)")
	outputFlag(command, &flags.output)
	_ = command.MarkFlagRequired("key")
	_ = command.MarkFlagFilename("key", "key") // both fail only for a flag that does not exist
	return command
}

// signedView is a signature or a verification as -o json shows it.
type signedView struct {
	Source string   `json:"source"`
	Pinned string   `json:"pinned"`
	By     []string `json:"by"`
}

func (f *signFlags) sign(command *cobra.Command, url string) error {
	ctx := command.Context()
	client, err := f.client(command, url)
	if err != nil {
		return err
	}
	pinned, err := client.Resolve(ctx, url)
	if err != nil {
		return err
	}
	key, err := loadPrivateKey(ctx, f.key, command.ErrOrStderr())
	if err != nil {
		return err
	}
	if err := attach(ctx, client, key, pinned); err != nil {
		return err
	}
	return printSigned(command, f.output, signedView{url, pinned, []string{"key " + f.key}}, "signed")
}

// attach signs the manifest that a source is pinned to.
func attach(ctx context.Context, client *source.Client, key *signature.PrivateKey, pinned string) error {
	ref, err := source.Parse(pinned)
	if err != nil {
		return err
	}
	signed, err := signature.Sign(key, ref.Digest, ref.Host+"/"+ref.Path)
	if err != nil {
		return fmt.Errorf("cannot sign %s: %w", pinned, err)
	}
	return client.Attach(ctx, pinned, source.Signature(signed))
}

func printSigned(command *cobra.Command, output string, view signedView, done string) error {
	if output == outputJSON {
		return printJSON(command.OutOrStdout(), view)
	}
	table := &fields{out: command.OutOrStdout()}
	table.add(done, view.Pinned)
	table.add("by", view.By...)
	return table.print()
}
