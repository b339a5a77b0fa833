package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/source/signature"
)

func newKeygenCommand() *cobra.Command {
	var prefix string
	command := &cobra.Command{
		Use:   "keygen",
		Short: "Make a pair of keys to sign modules with",
		Long: `Make a pair of keys, ECDSA P-256: PREFIX.key to sign with, which is encrypted with a password, and PREFIX.pub to verify
with, which anybody may have. They are as cosign makes them, and cosign's own serve as well.

The password is asked for, or taken from ` + passwordVariables[0] + ` or ` + passwordVariables[1] + `. Files that exist are not overwritten.`,
		Example: `  wasmloop keygen --out team`,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return keygen(command.Context(), prefix, command.OutOrStdout(), command.ErrOrStderr())
		},
	}
	command.Flags().StringVar(&prefix, "out", "wasmloop", "`prefix` of the files to write")
	return command
}

func keygen(ctx context.Context, prefix string, stdout, stderr io.Writer) error {
	privateFile, publicFile := prefix+".key", prefix+".pub"
	for _, path := range []string{privateFile, publicFile} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s: it exists already: choose another --out, or remove it first", path)
		}
	}
	password, err := newPassword(ctx, privateFile, stderr)
	if err != nil {
		return err
	}
	privatePEM, publicPEM, err := signature.GenerateKey(password)
	if err != nil {
		return err
	}
	if err := writeNew(privateFile, privatePEM, 0o600); err != nil {
		return err
	}
	if err := writeNew(publicFile, publicPEM, 0o644); err != nil {
		_ = os.Remove(privateFile) // half a pair is of no use
		return err
	}
	if len(password) == 0 {
		fmt.Fprintf(stderr, "! the password is empty: whoever can read %s can sign\n", privateFile)
	}
	table := &fields{out: stdout}
	table.add("private", privateFile)
	table.add("public", publicFile)
	return table.print()
}

// writeNew writes a file that must not exist yet. What is half written is removed.
func writeNew(path string, data []byte, mode os.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	_, err = file.Write(data)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(path)
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
