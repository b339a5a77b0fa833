package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/wasmloop/wasmloop/host/internal/source/signature"
)

// maxKeyFile is the most that is read of a file with a key or a trusted root.
const maxKeyFile = 1 << 20 // bytes

// loadPrivateKey reads the key to sign with. Its password is asked for if it is encrypted and no variable has it.
func loadPrivateKey(ctx context.Context, path string, stderr io.Writer) (*signature.PrivateKey, error) {
	data, err := readKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key: %w", err)
	}
	key, err := signature.ParsePrivateKey(data, func() ([]byte, error) { return keyPassword(ctx, path, stderr) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func readKeyFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err == nil && len(data) > maxKeyFile {
		err = fmt.Errorf("%s: it is larger than %d MiB", path, maxKeyFile>>20)
	}
	return data, err
}

// signerFlags are the flags that say who must have signed a module. Their names are cosign's where cosign has them.
type signerFlags struct {
	keys                   []string
	subject, subjectRegExp string
	issuer, issuerRegExp   string
	trustedRoot, require   string
}

func (f *signerFlags) register(command *cobra.Command) {
	set := command.Flags()
	set.StringArrayVar(&f.keys, "key", nil, "public key `file` of somebody who may sign (repeatable)")
	set.StringVar(&f.subject, "certificate-identity", "", "who may sign with a certificate: an email address or the `URL` of a workflow")
	set.StringVar(&f.subjectRegExp, "certificate-identity-regexp", "", "`pattern` for the whole of --certificate-identity instead")
	set.StringVar(&f.issuer, "certificate-oidc-issuer", "", "`URL` of the issuer by whose word it is them")
	set.StringVar(&f.issuerRegExp, "certificate-oidc-issuer-regexp", "", "`pattern` for the whole of --certificate-oidc-issuer instead")
	set.StringVar(&f.trustedRoot, "trusted-root", "", "Sigstore trusted root `file`, by which certificates are verified")
	set.StringVar(&f.require, "require", string(signature.Any), "how many of the keys and identities must have signed: any or all")
	_ = command.RegisterFlagCompletionFunc("require", cobra.FixedCompletions([]string{string(signature.Any), string(signature.All)}, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that does not exist
	_ = command.MarkFlagFilename("key", "pub", "pem")                                                                                                                     // likewise
	_ = command.MarkFlagFilename("trusted-root", "json")                                                                                                                  // likewise
}

// verifier returns what verifies by these flags.
func (f *signerFlags) verifier() (*signature.Verifier, error) {
	policy, err := f.policy()
	if err != nil {
		return nil, err
	}
	verifier, err := signature.NewVerifier(policy)
	if err != nil {
		return nil, fmt.Errorf("cannot verify: %w", err)
	}
	return verifier, nil
}

func (f *signerFlags) policy() (signature.Policy, error) {
	policy := signature.Policy{Require: signature.Require(f.require)}
	if err := f.check(); err != nil {
		return policy, err
	}
	for _, path := range f.keys {
		data, err := readKeyFile(path)
		if err != nil {
			return policy, fmt.Errorf("cannot read the key: %w", err)
		}
		policy.Keys = append(policy.Keys, signature.Key{Name: path, PEM: data})
	}
	if f.subject+f.subjectRegExp != "" {
		policy.Identities = []signature.Identity{{
			Issuer: f.issuer, IssuerRegExp: f.issuerRegExp, Subject: f.subject, SubjectRegExp: f.subjectRegExp,
		}}
	}
	if f.trustedRoot != "" {
		data, err := readKeyFile(f.trustedRoot)
		if err != nil {
			return policy, fmt.Errorf("cannot read the trusted root: %w", err)
		}
		policy.TrustedRoot = data
	}
	return policy, nil
}

// check names the flags that are missing. What they say is for NewVerifier to check.
func (f *signerFlags) check() error {
	bySubject, byIssuer := f.subject+f.subjectRegExp != "", f.issuer+f.issuerRegExp != ""
	switch {
	case bySubject && !byIssuer:
		return errors.New("--certificate-identity needs --certificate-oidc-issuer: anybody may call themselves anything")
	case byIssuer && !bySubject:
		return errors.New("--certificate-oidc-issuer needs --certificate-identity: it would be anybody that the issuer knows")
	case bySubject && f.trustedRoot == "":
		return errors.New("--certificate-identity needs --trusted-root FILE, which has the authorities whose certificates are believed")
	case f.trustedRoot != "" && !bySubject:
		return errors.New("--trusted-root needs --certificate-identity: it says whose word counts, and not who may sign")
	case len(f.keys) == 0 && !bySubject:
		return errors.New("name somebody who may sign: --key FILE, or --certificate-identity with --certificate-oidc-issuer and --trusted-root")
	}
	return nil
}
