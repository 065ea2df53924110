package cloud_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/internal/testbed"
)

// tlsBroker is a broker behind TLS.
type tlsBroker struct {
	*broker
	bytes atomic.Int64 // that the broker has got from clients
	mu    sync.Mutex
	hello []tls.ConnectionState
}

// newTLSBroker starts a broker with a certificate. The caller must call close.
func newTLSBroker(t *testing.T, cfg *tls.Config) *tlsBroker {
	b := &tlsBroker{broker: newBroker(t)}
	b.accept = func(conn net.Conn) net.Conn {
		return &tlsEnd{Conn: tls.Server(conn, cfg), b: b}
	}
	return b
}

// states returns the connections that were made.
func (b *tlsBroker) states() []tls.ConnectionState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hello
}

// tlsEnd counts what is read.
type tlsEnd struct {
	*tls.Conn
	b     *tlsBroker
	noted bool
}

func (e *tlsEnd) Read(p []byte) (int, error) {
	n, err := e.Conn.Read(p)
	e.b.bytes.Add(int64(n))
	if n > 0 && !e.noted {
		e.noted = true
		e.b.mu.Lock()
		e.b.hello = append(e.b.hello, e.ConnectionState())
		e.b.mu.Unlock()
	}
	return n, err
}

// rsaKey returns an RSA key.
func rsaKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// writeFile writes a file in a directory of the test.
func writeFile(t testing.TB, text []byte, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestTLS (T1): no connection is made but to the server that is meant, and
// nothing is sent to others.
func TestTLS(t *testing.T) {
	type scene struct {
		ca, cert *testbed.Certificate // of the server
		server   tls.Config
		client   cloud.Config
	}
	leaf := func(s *scene, t *testing.T, change func(*x509.Certificate)) {
		s.cert = s.ca.Issue(t, "server", nil, change)
	}
	intermediate := func(s *scene, t *testing.T, key crypto.Signer) *testbed.Certificate {
		return s.ca.Issue(t, "intermediate", key, func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		})
	}
	clientCert := func(s *scene, t *testing.T, by *testbed.Certificate) {
		s.client.TLS.CertFile, s.client.TLS.KeyFile = by.Issue(t, "client", nil, nil).WriteFiles(t)
	}
	demandCert := func(s *scene, version uint16) {
		s.server.ClientAuth, s.server.ClientCAs, s.server.MaxVersion = tls.RequireAndVerifyClientCert, x509.NewCertPool(), version
		s.server.ClientCAs.AddCert(s.ca.Cert)
	}
	day := 24 * time.Hour
	tests := []struct {
		name   string
		set    func(s *scene, t *testing.T)
		reason cloud.Reason // ReasonNone = connected
	}{
		{"valid", func(s *scene, t *testing.T) {}, cloud.ReasonNone},
		{"valid, TLS 1.2", func(s *scene, t *testing.T) { s.server.MaxVersion = tls.VersionTLS12 }, cloud.ReasonNone},
		{"valid, by name", func(s *scene, t *testing.T) { s.client.Servers = []string{"localhost"} }, cloud.ReasonNone},
		{"valid, RSA", func(s *scene, t *testing.T) { s.cert = s.ca.Issue(t, "server", rsaKey(t, 2048), nil) }, cloud.ReasonNone},
		{"valid, classical curves", func(s *scene, t *testing.T) { s.client.TLS.CompatCurves = true }, cloud.ReasonNone},
		{"expired", func(s *scene, t *testing.T) {
			leaf(s, t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(-2*day), time.Now().Add(-day) })
		}, cloud.ReasonTLSExpired},
		{"not yet valid", func(s *scene, t *testing.T) {
			leaf(s, t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(day), time.Now().Add(2*day) })
		}, cloud.ReasonTLSNotYetValid},
		{"not yet valid, but built later", func(s *scene, t *testing.T) {
			leaf(s, t, func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = time.Now().Add(20*time.Hour), time.Now().Add(30*time.Hour)
			})
			s.client.BuildTime = time.Now().Add(22 * time.Hour)
		}, cloud.ReasonNone},
		{"expired since it was built", func(s *scene, t *testing.T) {
			leaf(s, t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Hour) })
			s.client.BuildTime = time.Now().Add(day / 2)
		}, cloud.ReasonTLSExpired},
		{"wrong host", func(s *scene, t *testing.T) {
			leaf(s, t, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example"} })
		}, cloud.ReasonTLSName},
		{"wrong host, named", func(s *scene, t *testing.T) {
			leaf(s, t, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example"} })
			s.client.TLS.ServerName = "other.example"
		}, cloud.ReasonNone},
		{"no name but the common one", func(s *scene, t *testing.T) {
			s.cert = s.ca.Issue(t, "127.0.0.1", nil, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, nil })
		}, cloud.ReasonTLSName},
		{"signed by itself", func(s *scene, t *testing.T) {
			s.cert = testbed.NewCA(t, "x").Issue(t, "server", nil, nil)
			s.cert = s.cert.Issue(t, "server", s.cert.Key, func(c *x509.Certificate) { c.Subject = s.cert.Cert.Subject })
		}, cloud.ReasonTLSUnknownCA},
		{"unknown CA", func(s *scene, t *testing.T) { s.cert = testbed.NewCA(t, "test CA").Issue(t, "server", nil, nil) }, cloud.ReasonTLSUnknownCA},
		{"the system's CAs", func(s *scene, t *testing.T) {
			s.client.TLS.CAFile, s.client.TLS.Enable = "", true
		}, cloud.ReasonTLSUnknownCA},
		{"issuer that is no CA", func(s *scene, t *testing.T) {
			no := s.ca.Issue(t, "no CA", nil, nil)
			s.cert = no.Issue(t, "server", nil, nil)
			s.server.Certificates = []tls.Certificate{s.cert.TLS(no)}
		}, cloud.ReasonTLSUnknownCA},
		{"intermediate", func(s *scene, t *testing.T) {
			i := intermediate(s, t, nil)
			s.cert = i.Issue(t, "server", nil, nil)
			s.server.Certificates = []tls.Certificate{s.cert.TLS(i)}
		}, cloud.ReasonNone},
		{"intermediate missing", func(s *scene, t *testing.T) {
			s.cert = intermediate(s, t, nil).Issue(t, "server", nil, nil)
		}, cloud.ReasonTLSUnknownCA},
		{"chain in reverse order", func(s *scene, t *testing.T) {
			i := intermediate(s, t, nil)
			pair := i.Issue(t, "server", nil, nil).TLS(i)
			pair.Certificate[0], pair.Certificate[1] = pair.Certificate[1], pair.Certificate[0]
			s.server.Certificates = []tls.Certificate{pair}
		}, cloud.ReasonTLS},
		{"certificate for clients", func(s *scene, t *testing.T) {
			leaf(s, t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
		}, cloud.ReasonTLS},
		{"TLS 1.0", func(s *scene, t *testing.T) {
			s.server.MinVersion, s.server.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
		}, cloud.ReasonTLSVersion},
		{"TLS 1.1", func(s *scene, t *testing.T) {
			s.server.MinVersion, s.server.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
		}, cloud.ReasonTLSVersion},
		{"SHA-1", func(s *scene, t *testing.T) {
			s.ca = testbed.NewCA(t, "x").Issue(t, "RSA CA", rsaKey(t, 2048), func(c *x509.Certificate) {
				c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
			})
			leaf(s, t, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA })
		}, cloud.ReasonTLSWeak},
		{"RSA 1024", func(s *scene, t *testing.T) { s.cert = s.ca.Issue(t, "server", rsaKey(t, 1024), nil) }, cloud.ReasonTLSWeak},
		{"RSA 1024 in the chain", func(s *scene, t *testing.T) {
			i := intermediate(s, t, rsaKey(t, 1024))
			s.cert = i.Issue(t, "server", nil, nil)
			s.server.Certificates = []tls.Certificate{s.cert.TLS(i)}
		}, cloud.ReasonTLSWeak},
		{"client certificate", func(s *scene, t *testing.T) { demandCert(s, tls.VersionTLS13); clientCert(s, t, s.ca) }, cloud.ReasonNone},
		{"client certificate, TLS 1.2", func(s *scene, t *testing.T) { demandCert(s, tls.VersionTLS12); clientCert(s, t, s.ca) }, cloud.ReasonNone},
		{"client certificate missing", func(s *scene, t *testing.T) { demandCert(s, tls.VersionTLS13) }, cloud.ReasonTLSClient},
		{"client certificate missing, TLS 1.2", func(s *scene, t *testing.T) { demandCert(s, tls.VersionTLS12) }, cloud.ReasonTLS},
		{"client certificate of another CA", func(s *scene, t *testing.T) {
			demandCert(s, tls.VersionTLS13)
			clientCert(s, t, testbed.NewCA(t, "test CA"))
		}, cloud.ReasonTLSClient},
		{"CA file empty", func(s *scene, t *testing.T) { s.client.TLS.CAFile = writeFile(t, nil, 0o600) }, cloud.ReasonConfig},
		{"CA file garbage", func(s *scene, t *testing.T) { s.client.TLS.CAFile = writeFile(t, []byte("garbage"), 0o600) }, cloud.ReasonConfig},
		{"CA file with a key", func(s *scene, t *testing.T) { s.client.TLS.CAFile = writeFile(t, s.ca.KeyPEM(t), 0o600) }, cloud.ReasonConfig},
		{"CA file missing", func(s *scene, t *testing.T) { s.client.TLS.CAFile = "/nonexistent/ca.pem" }, cloud.ReasonConfig},
		{"CA file too large", func(s *scene, t *testing.T) {
			s.client.TLS.CAFile = writeFile(t, append(s.ca.PEM(), make([]byte, 256<<10)...), 0o600)
		}, cloud.ReasonConfig},
		{"CA text", func(s *scene, t *testing.T) { s.client.TLS.CAFile, s.client.TLS.CA = "", s.ca.PEM() }, cloud.ReasonNone},
		{"CA text garbage", func(s *scene, t *testing.T) { s.client.TLS.CAFile, s.client.TLS.CA = "", []byte("x") }, cloud.ReasonConfig},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scene{ca: testbed.NewCA(t, "test CA"), client: cloud.Config{Servers: []string{"127.0.0.1"}, ClientID: "a"}}
				s.client.TLS.CAFile = writeFile(t, s.ca.PEM(), 0o644)
				leaf(s, t, nil)
				before := s.ca
				test.set(s, t)
				if s.ca != before {
					s.client.TLS.CAFile = writeFile(t, s.ca.PEM(), 0o644)
				}
				if s.server.Certificates == nil {
					s.server.Certificates = []tls.Certificate{s.cert.TLS()}
				}
				b := newTLSBroker(t, &s.server)
				defer b.close()
				s.client.Dial = b.dial
				c := run(t, s.client)
				time.Sleep(5 * time.Minute) // several attempts
				st := c.Status()
				c.stop(t)
				if st.Reason != test.reason || st.Connected != (test.reason == cloud.ReasonNone) || !st.Secure {
					t.Fatalf("status %v: %v", st.Reason, st)
				}
				t.Log(st)
				if n := b.bytes.Load(); (n > 0) != st.Connected {
					t.Errorf("the server got %d bytes", n)
				}
				if st.Reason == cloud.ReasonConfig && b.dials.Load() > 0 {
					t.Error("dialled with a configuration that cannot be used")
				}
			})
		})
	}
}

// TestNotTLS: servers on the port that speak something else.
func TestNotTLS(t *testing.T) {
	tests := []struct {
		name   string
		serve  func(conn net.Conn)
		reason cloud.Reason
		text   string
	}{
		{"HTTP", func(conn net.Conn) { io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n") }, cloud.ReasonTLS, "it does not speak TLS on this port"},
		{"MQTT", func(conn net.Conn) {}, cloud.ReasonClosed, "during the TLS handshake"},
		{"half a record", func(conn net.Conn) { conn.Write([]byte{0x16, 3, 3, 1, 0, 1}) }, cloud.ReasonClosed, "during the TLS handshake"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, wait := scripted(func(conn net.Conn) {
					conn.Read(make([]byte, 4096)) // ClientHello
					test.serve(conn)
				})
				defer wait()
				c := run(t, cloud.Config{Servers: []string{"mqtts://a"}, ClientID: "a", Dial: dial})
				defer c.stop(t)
				synctest.Wait()
				if s := c.Status(); s.Reason != test.reason || !strings.HasSuffix(s.Err.Error(), test.text) {
					t.Errorf("status %+v", s)
				}
			})
		})
	}
}

// TestKeys (T2): where our certificate and its key may come from.
func TestKeys(t *testing.T) {
	ca := testbed.NewCA(t, "test CA")
	ec := ca.Issue(t, "client", nil, nil)
	old := ca.Issue(t, "client", rsaKey(t, 2048), nil)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec.Key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	sec1 = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(old.Key.(*rsa.PrivateKey))})
	tests := []struct {
		name string
		cert []byte
		key  []byte
		mode os.FileMode
		set  func(*cloud.TLSConfig)
		want string // part of the error, "" = none
	}{
		{"PKCS#8", ec.PEM(), ec.KeyPEM(t), 0o600, nil, ""},
		{"PKCS#8, RSA", old.PEM(), old.KeyPEM(t), 0o400, nil, ""},
		{"SEC 1", ec.PEM(), sec1, 0o600, nil, ""},
		{"PKCS#1", old.PEM(), pkcs1, 0o600, nil, ""},
		{"signer", ec.PEM(), nil, 0, func(c *cloud.TLSConfig) { c.KeyFile, c.Signer = "", hardware{ec.Key} }, ""},
		{"certificate as text", ec.PEM(), ec.KeyPEM(t), 0o600, func(c *cloud.TLSConfig) { c.CertFile, c.Cert = "", ec.PEM() }, ""},
		{"signer, certificate as text", ec.PEM(), nil, 0, func(c *cloud.TLSConfig) {
			c.KeyFile, c.Signer, c.CertFile, c.Cert = "", hardware{ec.Key}, "", ec.PEM()
		}, ""},
		{"others may read", ec.PEM(), ec.KeyPEM(t), 0o644, nil, "others may read this key (mode 0644, want 0600)"},
		{"the group may read", ec.PEM(), ec.KeyPEM(t), 0o640, nil, "others may read this key"},
		{"others may read, allowed", ec.PEM(), ec.KeyPEM(t), 0o644, func(c *cloud.TLSConfig) { c.AllowReadableKey = true }, ""},
		{"other key", ec.PEM(), (&testbed.Certificate{Key: other}).KeyPEM(t), 0o600, nil, "private key does not match"},
		{"other signer", ec.PEM(), nil, 0, func(c *cloud.TLSConfig) { c.KeyFile, c.Signer = "", hardware{other} }, "not the key of the certificate"},
		{"no key in it", ec.PEM(), ec.PEM(), 0o600, nil, "found a certificate rather than a key"},
		{"garbage key", ec.PEM(), []byte("garbage"), 0o600, nil, "failed to find any PEM data in key"},
		{"garbage certificate", []byte("garbage"), ec.KeyPEM(t), 0o600, nil, "failed to find any PEM data in certificate"},
		{"garbage certificate, signer", []byte("garbage"), nil, 0, func(c *cloud.TLSConfig) { c.KeyFile, c.Signer = "", hardware{ec.Key} }, "no certificate in it"},
		{"no key file", ec.PEM(), nil, 0, func(c *cloud.TLSConfig) { c.KeyFile = "/nonexistent" }, "no such file"},
		{"no certificate file", nil, ec.KeyPEM(t), 0o600, func(c *cloud.TLSConfig) { c.CertFile = "/nonexistent" }, "no such file"},
		{"key and signer", ec.PEM(), ec.KeyPEM(t), 0o600, func(c *cloud.TLSConfig) { c.Signer = ec.Key }, "both set"},
		{"two certificates", ec.PEM(), ec.KeyPEM(t), 0o600, func(c *cloud.TLSConfig) { c.Cert = ec.PEM() }, "both set"},
		{"key alone", ec.PEM(), ec.KeyPEM(t), 0o600, func(c *cloud.TLSConfig) { c.CertFile = "" }, "needs a key"},
	}
	server := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "server", nil, nil).TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	server.ClientCAs.AddCert(ca.Cert)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := cloud.TLSConfig{CA: ca.PEM(), CertFile: writeFile(t, test.cert, 0o644)}
			if test.key != nil {
				cfg.KeyFile = writeFile(t, test.key, test.mode)
			}
			if test.set != nil {
				test.set(&cfg)
			}
			err := cfg.Check()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Fatalf("Check: %v, want %q", err, test.want)
			}
			if test.want != "" {
				return
			}
			b := newTLSBroker(t, server)
			defer b.close()
			c := run(t, cloud.Config{Servers: []string{"localhost"}, ClientID: "a", TLS: cfg, Dial: b.dial})
			defer c.stop(t)
			c.connected(t, true)
			if s := b.states(); len(s) != 1 || s[0].PeerCertificates[0].Subject.CommonName != "client" {
				t.Errorf("%d connections", len(s))
			}
		})
	}
}

// hardware is a key that only signs.
type hardware struct{ key crypto.Signer }

func (h hardware) Public() crypto.PublicKey { return h.key.Public() }
func (h hardware) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return h.key.Sign(r, digest, o)
}

// TestSessions: sessions are resumed, but not beyond a change of the CA.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := testbed.NewCA(t, "test CA")
		b := newTLSBroker(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "server", nil, nil).TLS()}, NextProtos: []string{"mqtt"}})
		defer b.close()
		caFile := writeFile(t, ca.PEM(), 0o600)
		c := run(t, cloud.Config{
			Servers: []string{"localhost:443"}, ClientID: "a", Dial: b.dial,
			TLS: cloud.TLSConfig{CAFile: caFile, NextProtos: []string{"x-amzn-mqtt-ca", "mqtt"}},
		})
		defer c.stop(t)
		for range 3 {
			c.connected(t, true)
			b.cut()
			c.connected(t, false)
		}
		for i, s := range b.states() {
			if s.DidResume != (i > 0) || s.ServerName != "localhost" || s.NegotiatedProtocol != "mqtt" || s.Version != tls.VersionTLS13 {
				t.Errorf("connection %d: resumed %v, server name %q, protocol %q, version %x", i, s.DidResume, s.ServerName, s.NegotiatedProtocol, s.Version)
			}
		}
		c.connected(t, true)
		if err := os.WriteFile(caFile, testbed.NewCA(t, "another").PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		b.cut()
		c.connected(t, false)
		time.Sleep(time.Minute)
		if s := c.Status(); s.Reason != cloud.ReasonTLSUnknownCA {
			t.Errorf("status %+v", s)
		}
		if err := os.WriteFile(caFile, ca.PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		c.connected(t, true)
	})
}

// TestCurves: without the post-quantum key exchange, the first message of the
// client is small.
func TestCurves(t *testing.T) {
	for _, compat := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			first := make(chan int, 10)
			dial, wait := scripted(func(conn net.Conn) {
				n, _ := conn.Read(make([]byte, 1<<16))
				first <- n
			})
			defer wait()
			c := run(t, cloud.Config{Servers: []string{"mqtts://a"}, ClientID: "a", TLS: cloud.TLSConfig{CompatCurves: compat}, Dial: dial})
			defer c.stop(t)
			if n := <-first; (n < 600) != compat {
				t.Errorf("CompatCurves %v: %d bytes", compat, n)
			}
		})
	}
}

// TestHandshakeStall (T3): a server that stops anywhere in the handshake is given
// up after 15 s, and Run returns at once while it waits.
func TestHandshakeStall(t *testing.T) {
	step := 37
	if os.Getenv("CCMKIT_FULL") != "" && !race.Enabled {
		step = 1
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		stalls := 0
		for at, over := 0, false; !over; at += step {
			synctest.Test(t, func(t *testing.T) {
				ca := testbed.NewCA(t, "test CA")
				cfg := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "server", nil, nil).TLS()}, MaxVersion: version, SessionTicketsDisabled: true}
				dial, wait := scripted(func(conn net.Conn) {
					s := &stall{Conn: conn, left: at}
					secure := tls.Server(s, cfg)
					if secure.Handshake() == nil && s.left >= 0 {
						over = true
					}
					io.Copy(io.Discard, conn)
				})
				c := run(t, cloud.Config{Servers: []string{"localhost"}, ClientID: "a", TLS: cloud.TLSConfig{CA: ca.PEM()}, Dial: dial, Rand: func() float64 { return 0.999 }})
				time.Sleep(15*time.Second - time.Millisecond)
				if s := c.Status(); s.Failures != 0 {
					t.Errorf("%d bytes: %v too soon", at, s)
				}
				time.Sleep(2 * time.Millisecond)
				if s := c.Status(); s.Reason != cloud.ReasonTimeout {
					t.Errorf("%d bytes: %v", at, s)
				}
				time.Sleep(5 * time.Second) // within the next attempt
				if d := took(func() { c.stop(t) }); d > 100*time.Millisecond {
					t.Errorf("%d bytes: Run took %v to return", at, d)
				}
				wait()
				stalls++
			})
		}
		t.Logf("TLS %x: %d stalls", version, stalls)
	}
}

// stall lets some bytes out and then no more.
type stall struct {
	net.Conn
	left int // below 0: stalled
}

func (s *stall) Write(p []byte) (int, error) {
	if len(p) > s.left {
		s.Conn.Write(p[:max(s.left, 0)])
		s.left = -1
		return len(p), nil
	}
	s.left -= len(p)
	return s.Conn.Write(p)
}
