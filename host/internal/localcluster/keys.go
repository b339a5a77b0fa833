package localcluster

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// leafLifetime is how long the certificates of the server and its clients last. Each start makes new ones.
const leafLifetime = 365 * 24 * time.Hour

// keys are the cluster's certificate authority and the key of its service accounts. They are kept in a folder, so that
// credentials from an earlier start stay good. As an envtest.Authn it gives clients their certificates.
type keys struct {
	dir   string
	names []string
	ca    *x509.Certificate
	key   crypto.Signer
}

var _ envtest.Authn = (*keys)(nil)

// loadKeys reads the keys in dir, makes those that are missing, and leaves a new serving certificate for kube-apiserver,
// good for further names, under the names that envtest looks for, and one that kubelets know it by.
func loadKeys(dir string, names []string) (*keys, error) {
	k := &keys{dir: dir, names: append([]string{"localhost", loopback}, names...)}
	steps := []func() error{k.loadCA, k.loadServiceAccountKey, k.renewServingCertificate, k.renewKubeletClient}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, fmt.Errorf("cannot make the cluster's keys: %w", err)
		}
	}
	return k, nil
}

func (k *keys) caFile() string            { return filepath.Join(k.dir, "ca.crt") }
func (k *keys) serviceAccountKey() string { return filepath.Join(k.dir, "sa.key") }

func (k *keys) caPEM() []byte {
	return encode(k.ca)
}

func (k *keys) loadCA() error {
	keyPEM, isNew, err := keyutil.LoadOrGenerateKeyFile(filepath.Join(k.dir, "ca.key"))
	if err != nil {
		return err
	}
	if k.key, err = parseKey(keyPEM); err != nil {
		return err
	}
	if found, err := cert.CertsFromFile(k.caFile()); err == nil && !isNew {
		k.ca = found[0]
		return nil
	}
	if k.ca, err = cert.NewSelfSignedCACert(cert.Config{CommonName: contextName}, k.key); err != nil {
		return err
	}
	return cert.WriteCert(k.caFile(), k.caPEM())
}

func (k *keys) loadServiceAccountKey() error {
	_, _, err := keyutil.LoadOrGenerateKeyFile(k.serviceAccountKey())
	return err
}

func (k *keys) renewServingCertificate() error {
	certPEM, keyPEM, err := k.signServer(apiServerName, k.names)
	if err != nil {
		return err
	}
	return k.write("apiserver", certPEM, keyPEM)
}

// renewKubeletClient makes the certificate that kube-apiserver shows to kubelets, if somebody adds any.
func (k *keys) renewKubeletClient() error {
	certPEM, keyPEM, err := k.signClient(envtest.User{Name: kubeletClient, Groups: []string{admins}})
	if err != nil {
		return err
	}
	return k.write(kubeletClient, certPEM, keyPEM)
}

func (k *keys) write(name string, certPEM, keyPEM []byte) error {
	return errors.Join(
		os.WriteFile(filepath.Join(k.dir, name+".crt"), certPEM, 0o600),
		os.WriteFile(filepath.Join(k.dir, name+".key"), keyPEM, 0o600),
	)
}

// signServer makes a certificate that is good for names and addresses.
func (k *keys) signServer(name string, good []string) (certPEM, keyPEM []byte, err error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range good {
		if address := net.ParseIP(name); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return k.sign(template)
}

func (k *keys) signClient(user envtest.User) (certPEM, keyPEM []byte, err error) {
	return k.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user.Name, Organization: user.Groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// sign completes the template, makes a key for it and signs it.
func (k *keys) sign(template *x509.Certificate) (certPEM, keyPEM []byte, err error) {
	if keyPEM, err = keyutil.MakeEllipticPrivateKeyPEM(); err != nil {
		return nil, nil, err
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.NotBefore = k.ca.NotBefore
	template.NotAfter = time.Now().Add(leafLifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, k.ca, key.Public(), k.key)
	if err != nil {
		return nil, nil, err
	}
	return encode(&x509.Certificate{Raw: der}), keyPEM, nil
}

// Configure tells kube-apiserver whose client certificates to believe.
func (k *keys) Configure(_ string, args *envtest.Arguments) error {
	args.Set("client-ca-file", k.caFile())
	return nil
}

// Start has nothing to do: the keys are files.
func (k *keys) Start() error { return nil }

// Stop has nothing to do.
func (k *keys) Stop() error { return nil }

// AddUser returns a copy of base with a new client certificate for the user.
func (k *keys) AddUser(user envtest.User, base *rest.Config) (*rest.Config, error) {
	certPEM, keyPEM, err := k.signClient(user)
	if err != nil {
		return nil, fmt.Errorf("cannot make the client certificate of %s: %w", user.Name, err)
	}
	config := rest.CopyConfig(base)
	config.CertData, config.KeyData = certPEM, keyPEM
	return config, nil
}

func parseKey(keyPEM []byte) (crypto.Signer, error) {
	key, err := keyutil.ParsePrivateKeyPEM(keyPEM)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T cannot sign", key)
	}
	return signer, nil
}

func encode(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: certificate.Raw})
}
