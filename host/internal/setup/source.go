package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/source"
	"github.com/wasmloop/wasmloop/host/internal/source/signature"
)

// Source returns what fetches the modules of a config, as its registries and its policy say. options has what the config does not
// say.
func Source(conf *config.Config, options source.Options) (*source.Client, error) {
	options.Registries = map[string]source.Registry{}
	for host, registry := range conf.Registries {
		options.Registries[host] = source.Registry(registry)
	}
	options.Policy = source.Policy{RequireDigest: conf.Policy.RequireDigest, AllowedSources: conf.Policy.AllowedSources}
	if conf.Policy.Signatures != nil {
		verifier, err := verifierOf(conf.Policy.Signatures)
		if err != nil {
			return nil, fmt.Errorf("policy.signatures: %w", err)
		}
		options.Policy.Verify = func(_ context.Context, subject source.Subject) error { return Verify(verifier, subject) }
	}
	return source.New(options)
}

// Verify holds the signatures of a module against a policy.
func Verify(verifier *signature.Verifier, subject source.Subject) error {
	signatures := make([]signature.Signature, len(subject.Signatures))
	for i, each := range subject.Signatures {
		signatures[i] = signature.Signature(each)
	}
	_, err := verifier.Verify(subject.Digest, signatures)
	return err
}

func verifierOf(conf *config.Signatures) (*signature.Verifier, error) {
	policy := signature.Policy{Require: signature.Require(conf.Require)}
	for i, key := range conf.Keys {
		read, err := readKey(i, key)
		if err != nil {
			return nil, err
		}
		policy.Keys = append(policy.Keys, read)
	}
	for _, identity := range conf.Identities {
		policy.Identities = append(policy.Identities, signature.Identity(identity))
	}
	if conf.TrustedRoot != "" {
		var err error
		if policy.TrustedRoot, err = os.ReadFile(conf.TrustedRoot); err != nil {
			return nil, fmt.Errorf("cannot read the trusted root: %w", err)
		}
	}
	return signature.NewVerifier(policy)
}

// pemBegin is how keys begin that are not named by a file.
const pemBegin = "-----BEGIN"

func readKey(i int, key string) (signature.Key, error) {
	if strings.HasPrefix(strings.TrimSpace(key), pemBegin) {
		return signature.Key{Name: fmt.Sprintf("keys[%d]", i), PEM: []byte(key)}, nil
	}
	data, err := os.ReadFile(key)
	if errors.Is(err, os.ErrNotExist) {
		return signature.Key{}, fmt.Errorf("keys[%d]: there is no file %s", i, key)
	}
	if err != nil {
		return signature.Key{}, fmt.Errorf("keys[%d]: %w", i, err)
	}
	return signature.Key{Name: key, PEM: data}, nil
}
