package cloud

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// maxPEM is the largest file with certificates or a key.
const maxPEM = 256 << 10

// minRSA is the size of the smallest RSA key in a server's chain.
const minRSA = 2048

// TLSConfig says how servers are reached over TLS. The zero value trusts the
// system's CAs and shows no certificate. It is in force for servers with the
// scheme mqtts, and for those without a scheme if any of Enable, CA, CAFile, Cert
// and CertFile is set.
//
// TLS 1.2 is the least, the server's certificate is always verified, and RSA keys
// of less than 2048 bits and SHA-1 signatures are refused; no field changes that.
// Files are read at every attempt to connect, so that they may be replaced.
type TLSConfig struct {
	Enable bool // for servers without a scheme, with the system's CAs

	CAFile string // PEM file of the CAs to trust, instead of the system's; "*" is refused
	CA     []byte // PEM text of CAs to trust, beside those of CAFile

	CertFile string // PEM file of our certificate and its chain
	Cert     []byte // the same as text, instead of CertFile
	KeyFile  string // PEM file of its key: PKCS#8, PKCS#1 or SEC 1
	// Signer is the key instead of KeyFile: in a TPM or another secure element.
	Signer crypto.Signer

	ServerName string   // name in the server's certificate; "" = the host of the server
	NextProtos []string // ALPN, as AWS wants on port 443

	// AllowReadableKey permits a KeyFile that others than its owner may read.
	AllowReadableKey bool
	// CompatCurves leaves out the post-quantum key exchange, whose larger first
	// message some middleboxes drop.
	CompatCurves bool
}

var (
	errCAAny     = errors.New("TLS.CAFile: * (trust everybody) is not possible")
	errKeyTwice  = errors.New("TLS: KeyFile and Signer are both set")
	errCertTwice = errors.New("TLS: CertFile and Cert are both set")
	errCertAlone = errors.New("TLS: a certificate needs a key, and a key a certificate")
	errNoCerts   = errors.New("no certificate in it")
)

// on reports whether servers without a scheme are reached over TLS.
func (t *TLSConfig) on() bool {
	return t.Enable || t.CAFile != "" || len(t.CA) > 0 || t.CertFile != "" || len(t.Cert) > 0
}

// check validates what can be validated without reading files.
func (t *TLSConfig) check() error {
	hasCert := t.CertFile != "" || len(t.Cert) > 0
	switch {
	case t.CAFile == "*" || string(bytes.TrimSpace(t.CA)) == "*":
		return errCAAny
	case t.KeyFile != "" && t.Signer != nil:
		return errKeyTwice
	case t.CertFile != "" && len(t.Cert) > 0:
		return errCertTwice
	case hasCert != (t.KeyFile != "" || t.Signer != nil):
		return errCertAlone
	}
	return nil
}

// Check reads the files and reports what is wrong with them: unreadable, too
// large, without a certificate, a key that others may read or that does not
// belong to the certificate. A [Conn] does the same at every attempt to connect.
func (t *TLSConfig) Check() error {
	if err := t.check(); err != nil {
		return err
	}
	p, err := t.read()
	if err != nil {
		return err
	}
	defer clear(p.key)
	if _, err := t.roots(p); err != nil {
		return err
	}
	_, err = t.certificate(p)
	return err
}

// pems is what the files hold.
type pems struct {
	ca, cert, key []byte
}

// read reads the files.
func (t *TLSConfig) read() (p pems, err error) {
	p.cert = t.Cert
	if t.CAFile != "" {
		if p.ca, err = readPEM(t.CAFile); err != nil {
			return p, err
		}
	}
	if t.CertFile != "" {
		if p.cert, err = readPEM(t.CertFile); err != nil {
			return p, err
		}
	}
	if t.KeyFile != "" {
		if err = t.private(); err == nil {
			p.key, err = readPEM(t.KeyFile)
		}
	}
	return p, err
}

// digest changes when what the files hold changes.
func (p *pems) digest() (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, text := range [][]byte{p.ca, p.cert, p.key} {
		part := sha256.Sum256(text)
		h.Write(part[:])
	}
	h.Sum(sum[:0])
	return sum
}

// roots returns the CAs, nil for the system's.
func (t *TLSConfig) roots(p pems) (*x509.CertPool, error) {
	if t.CAFile == "" && len(t.CA) == 0 {
		return nil, nil
	}
	roots := x509.NewCertPool()
	if len(t.CA) > 0 && !roots.AppendCertsFromPEM(t.CA) {
		return nil, fmt.Errorf("TLS.CA: %w", errNoCerts)
	}
	if t.CAFile != "" && !roots.AppendCertsFromPEM(p.ca) {
		return nil, fmt.Errorf("%s: %w", t.CAFile, errNoCerts)
	}
	return roots, nil
}

// certificate returns our certificate chain with its key, nil for none.
func (t *TLSConfig) certificate(p pems) (*tls.Certificate, error) {
	switch {
	case t.Signer != nil:
		return withSigner(p.cert, t.Signer)
	case t.KeyFile == "":
		return nil, nil
	}
	own, err := tls.X509KeyPair(p.cert, p.key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.KeyFile, err)
	}
	return &own, nil
}

// private reports whether others may read the key.
func (t *TLSConfig) private() error {
	if t.AllowReadableKey || runtime.GOOS == "windows" {
		return nil
	}
	info, err := os.Stat(t.KeyFile)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s: others may read this key (mode %04o, want 0600)", t.KeyFile, mode)
	}
	return nil
}

// withSigner joins a certificate chain with a key that cannot be read.
func withSigner(chain []byte, signer crypto.Signer) (*tls.Certificate, error) {
	own := &tls.Certificate{PrivateKey: signer}
	for {
		var block *pem.Block
		if block, chain = pem.Decode(chain); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			own.Certificate = append(own.Certificate, block.Bytes)
		}
	}
	if len(own.Certificate) == 0 {
		return nil, fmt.Errorf("TLS certificate: %w", errNoCerts)
	}
	leaf, err := x509.ParseCertificate(own.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	public, comparable := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !comparable || !public.Equal(leaf.PublicKey) {
		return nil, errors.New("TLS.Signer: it is not the key of the certificate")
	}
	own.Leaf = leaf
	return own, nil
}

// readPEM reads a file of at most maxPEM bytes.
func readPEM(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err == nil && len(text) > maxPEM {
		err = fmt.Errorf("%s: more than %d bytes", name, maxPEM)
	}
	return text, err
}

// tlsClient makes the settings of TLS connections. It belongs to the goroutine
// of Run.
type tlsClient struct {
	cfg   *TLSConfig
	clock func() time.Time

	// made is for the files with this digest. It holds the sessions that can be
	// resumed, which is done without another look at CAs and certificate.
	made *tls.Config
	of   [sha256.Size]byte
}

// config returns the settings for a connection to a host.
func (t *tlsClient) config(host string) (*tls.Config, error) {
	p, err := t.cfg.read()
	if err != nil {
		return nil, err
	}
	defer clear(p.key)
	if of := p.digest(); t.made == nil || of != t.of {
		if t.made, err = t.make(p); err != nil {
			return nil, err
		}
		t.of = of
	}
	c := t.made.Clone()
	c.ServerName = t.cfg.ServerName
	if c.ServerName == "" {
		c.ServerName = host
	}
	return c, nil
}

func (t *tlsClient) make(p pems) (*tls.Config, error) {
	roots, err := t.cfg.roots(p)
	if err != nil {
		return nil, err
	}
	own, err := t.cfg.certificate(p)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots, NextProtos: t.cfg.NextProtos, Time: t.clock,
		VerifyConnection: strongChain, ClientSessionCache: tls.NewLRUClientSessionCache(8),
	}
	if own != nil {
		c.Certificates = []tls.Certificate{*own}
	}
	if t.cfg.CompatCurves {
		c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	}
	return c, nil
}

// strongChain refuses chains with short RSA keys. The CA is not looked at: it is
// trusted for itself.
func strongChain(s tls.ConnectionState) error {
	for _, chain := range s.VerifiedChains {
		if strong(chain) {
			return nil
		}
	}
	return errWeakKey
}

func strong(chain []*x509.Certificate) bool {
	for i, cert := range chain {
		key, is := cert.PublicKey.(*rsa.PublicKey)
		if is && key.N.BitLen() < minRSA && (i == 0 || i < len(chain)-1) {
			return false
		}
	}
	return true
}
