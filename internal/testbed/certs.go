package testbed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificate is a certificate with its key. It is valid from an hour ago until
// tomorrow, by the clock of the test, unless it was issued otherwise.
type Certificate struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// NewCA makes a CA, signed by itself.
func NewCA(t testing.TB, name string) *Certificate {
	t.Helper()
	template := newTemplate(name)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	return sign(t, template, nil, nil)
}

// Issue makes a certificate for 127.0.0.1, ::1 and localhost, for servers and
// clients, signed by c. change, if set, may change everything in it, and key, if
// set, is the key in the place of a new one (P-256).
func (c *Certificate) Issue(t testing.TB, name string, key crypto.Signer, change func(*x509.Certificate)) *Certificate {
	t.Helper()
	template := newTemplate(name)
	template.DNSNames = []string{"localhost"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if change != nil {
		change(template)
	}
	return sign(t, template, c, key)
}

func newTemplate(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
	}
}

// sign makes a certificate, signed by itself if by is nil.
func sign(t testing.TB, template *x509.Certificate, by *Certificate, key crypto.Signer) *Certificate {
	t.Helper()
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	c := &Certificate{Cert: template, Key: key}
	if by == nil {
		by = c
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Cert, key.Public(), by.Key)
	if err != nil {
		t.Fatalf("make a certificate: %v", err)
	}
	if c.Cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return c
}

// PEM returns the certificate as text.
func (c *Certificate) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Cert.Raw})
}

// KeyPEM returns the key as text, in PKCS#8.
func (c *Certificate) KeyPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// TLS returns the certificate, followed by those of issuers, for a
// [tls.Config].
func (c *Certificate) TLS(issuers ...*Certificate) tls.Certificate {
	pair := tls.Certificate{Certificate: [][]byte{c.Cert.Raw}, PrivateKey: c.Key}
	for _, i := range issuers {
		pair.Certificate = append(pair.Certificate, i.Cert.Raw)
	}
	return pair
}

// WriteFiles writes certificate and key to files with mode 0600 in a directory
// of the test.
func (c *Certificate) WriteFiles(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, text := range map[string][]byte{certFile: c.PEM(), keyFile: c.KeyPEM(t)} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
