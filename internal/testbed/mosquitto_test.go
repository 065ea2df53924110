package testbed

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"testing"
	"time"
)

// connect sends CONNECT with a user name and a password over a connection, and
// returns the code of CONNACK.
func connect(t *testing.T, conn net.Conn, user, password string) byte {
	t.Helper()
	defer conn.Close()
	body := []byte("\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01x")
	for _, s := range []string{user, password} {
		body = append(append(body, 0, byte(len(s))), s...)
	}
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(append([]byte{0x10, byte(len(body))}, body...)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4)
	if _, err := io.ReadFull(conn, answer); err != nil {
		t.Fatal(err)
	}
	return answer[3]
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestMosquitto(t *testing.T) {
	m := Mosquitto(t, MosquittoOptions{})
	for _, end := range []func(){m.Stop, m.Kill} {
		if code := connect(t, dial(t, m.Addr), "", ""); code != 0 {
			t.Errorf("CONNACK %d", code)
		}
		end()
		if conn, err := net.Dial("tcp", m.Addr); err == nil {
			conn.Close()
			t.Error("still there")
		}
		m.Start()
	}
}

func TestMosquittoUsers(t *testing.T) {
	m := Mosquitto(t, MosquittoOptions{Users: map[string]string{"alice": "secret"}})
	for password, want := range map[string]byte{"secret": 0, "wrong": 5} {
		if code := connect(t, dial(t, m.Addr), "alice", password); code != want {
			t.Errorf("%s: CONNACK %d, want %d", password, code, want)
		}
	}
}

func TestMosquittoTLS(t *testing.T) {
	ca := NewCA(t, "CA")
	m := Mosquitto(t, MosquittoOptions{Server: ca.Issue(t, "server", nil, nil), ClientCA: ca})
	cfg := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost", Certificates: []tls.Certificate{ca.Issue(t, "client", nil, nil).TLS()}}
	cfg.RootCAs.AddCert(ca.Cert)
	if code := connect(t, tls.Client(dial(t, m.Addr), cfg), "", ""); code != 0 {
		t.Errorf("CONNACK %d", code)
	}
	cfg.Certificates = nil
	conn := tls.Client(dial(t, m.Addr), cfg)
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a client without a certificate is welcome")
	}
}
