package testbed

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// MosquittoOptions configure a broker. The zero value takes everybody, without
// TLS, and forgets everything when it is stopped.
type MosquittoOptions struct {
	// Server, if set, is the certificate of the broker, which then speaks TLS.
	Server *Certificate
	// ClientCA, if set, must have signed the certificate of every client.
	ClientCA *Certificate
	// Users are names and passwords; if set, others are refused.
	Users map[string]string
	// ACL is the text of an ACL file: "user NAME", "topic read FILTER" ... It
	// says what can be published and is delivered; subscribing is always
	// granted.
	ACL string
	// Deny are filters (patterns with # too) that anonymous clients may not
	// subscribe to. It needs the plugin mosquitto_dynamic_security.so, a part
	// of the usual packages.
	Deny []string
	// Persistent keeps sessions and retained messages over a stop, and over a
	// kill what is older than a second.
	Persistent bool
	// Config is appended to the configuration.
	Config string
}

// MosquittoServer is a running mosquitto broker on 127.0.0.1.
type MosquittoServer struct {
	Addr string // "127.0.0.1:PORT", the same after a restart

	t    testing.TB
	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the program has ended

	mu  sync.Mutex
	log bytes.Buffer
}

// Mosquitto starts a mosquitto broker for the length of the test, which is
// skipped if the program is not installed; see [Require].
func Mosquitto(t testing.TB, o MosquittoOptions) *MosquittoServer {
	t.Helper()
	Require(t, "mosquitto")
	m := &MosquittoServer{t: t, dir: t.TempDir()}
	t.Cleanup(func() {
		m.Kill()
		if log := m.Log(); t.Failed() {
			t.Logf("mosquitto, the end of its log:\n%s", log[max(0, len(log)-4096):])
		}
	})
	var err error
	for range 3 { // somebody else may have taken the port meanwhile
		m.configure(o)
		if err = m.start(); err == nil {
			return m
		}
		m.Kill()
	}
	t.Fatalf("start mosquitto: %v\n%s", err, m.Log())
	return nil
}

// configure writes the files of a broker on a port that is free now.
func (m *MosquittoServer) configure(o MosquittoOptions) {
	m.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		m.t.Fatal(err)
	}
	m.Addr = l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(m.Addr)
	var conf strings.Builder
	fmt.Fprintf(&conf, "log_dest stderr\nlog_type all\nallow_anonymous %v\n", o.Users == nil)
	if os.Getuid() == 0 {
		conf.WriteString("user root\n")
	}
	if o.Persistent {
		fmt.Fprintf(&conf, "persistence true\npersistence_location %s/\nautosave_interval 1\n", m.dir)
	}
	if o.Users != nil {
		fmt.Fprintf(&conf, "password_file %s\n", m.file("users", passwords(m.t, o.Users)))
	}
	if o.ACL != "" {
		fmt.Fprintf(&conf, "acl_file %s\n", m.file("acl", []byte(o.ACL)))
	}
	if o.Deny != nil {
		fmt.Fprintf(&conf, "plugin %s\nplugin_opt_config_file %s\n", securityPlugin(m.t), m.file("security.json", denials(o.Deny)))
	}
	fmt.Fprintf(&conf, "listener %s 127.0.0.1\n", port)
	if o.Server != nil {
		fmt.Fprintf(&conf, "certfile %s\nkeyfile %s\n", m.file("server.crt", o.Server.PEM()), m.file("server.key", o.Server.KeyPEM(m.t)))
	}
	if o.ClientCA != nil {
		fmt.Fprintf(&conf, "cafile %s\nrequire_certificate true\n", m.file("ca.crt", o.ClientCA.PEM()))
	}
	m.file("conf", []byte(conf.String()+o.Config))
}

// file writes a file and returns its path.
func (m *MosquittoServer) file(name string, text []byte) string {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		m.t.Fatal(err)
	}
	return path
}

// passwords makes a password file: PBKDF2 with SHA-512, as mosquitto_passwd
// does.
func passwords(t testing.TB, users map[string]string) []byte {
	var text bytes.Buffer
	for name, password := range users {
		const iterations = 101
		salt := make([]byte, 12)
		rand.Read(salt)
		key, err := pbkdf2.Key(sha512.New, password, salt, iterations, 64)
		if err != nil {
			t.Fatal(err)
		}
		b64 := base64.StdEncoding.EncodeToString
		fmt.Fprintf(&text, "%s:$7$%d$%s$%s\n", name, iterations, b64(salt), b64(key))
	}
	return text.Bytes()
}

// securityPlugin returns the path of the plugin that can refuse subscriptions.
func securityPlugin(t testing.TB) string {
	t.Helper()
	const name = "mosquitto_dynamic_security.so"
	for _, pattern := range []string{"/usr/lib/*/", "/usr/lib/", "/usr/local/lib/"} {
		if found, err := filepath.Glob(pattern + name); err == nil && len(found) > 0 {
			return found[0]
		}
	}
	Missing(t, "mosquitto", fmt.Errorf("%s is not in the usual places", name))
	return ""
}

// denials makes a configuration of the plugin that allows everything but to
// subscribe to some filters.
func denials(filters []string) []byte {
	var acls []string
	for _, f := range filters {
		acls = append(acls, fmt.Sprintf(`{"acltype":"subscribePattern","topic":%q,"priority":0,"allow":false}`, f))
	}
	return fmt.Appendf(nil, `{
		"defaultACLAccess":{"publishClientSend":true,"publishClientReceive":true,"subscribe":true,"unsubscribe":true},
		"roles":[{"rolename":"everybody","acls":[%s]}],
		"groups":[{"groupname":"everybody","roles":[{"rolename":"everybody","priority":0}],"clients":[]}],
		"clients":[],
		"anonymousGroup":"everybody"}`, strings.Join(acls, ","))
}

// Start starts the broker again after Stop or Kill, and waits until it answers.
func (m *MosquittoServer) Start() {
	m.t.Helper()
	if err := m.start(); err != nil {
		m.t.Fatalf("start mosquitto: %v\n%s", err, m.Log())
	}
}

func (m *MosquittoServer) start() error {
	m.cmd = exec.Command("mosquitto", "-c", filepath.Join(m.dir, "conf"))
	m.cmd.Stderr = logWriter{m}
	m.done = make(chan struct{})
	dieWithParent(m.cmd)
	started := make(chan error)
	go func() {
		defer close(m.done)
		runtime.LockOSThread() // the program dies with this thread
		err := m.cmd.Start()
		started <- err
		if err == nil {
			_ = m.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	return m.ready()
}

// ready waits until the broker takes connections.
func (m *MosquittoServer) ready() error {
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", m.Addr, time.Second)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
		select {
		case <-m.done:
			return fmt.Errorf("it ended: %v", m.cmd.ProcessState)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Stop ends the broker as a system would, and waits.
func (m *MosquittoServer) Stop() {
	m.t.Helper()
	if err := m.cmd.Process.Signal(os.Interrupt); err != nil {
		m.t.Fatal(err)
	}
	select {
	case <-m.done:
	case <-time.After(10 * time.Second):
		m.t.Fatal("mosquitto does not end")
	}
}

// Kill ends the broker with SIGKILL, and waits.
func (m *MosquittoServer) Kill() {
	if m.cmd != nil && m.cmd.Process != nil {
		_ = m.cmd.Process.Kill()
		<-m.done
	}
}

// Log returns what the broker has logged.
func (m *MosquittoServer) Log() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.String()
}

// logWriter keeps what the broker logs.
type logWriter struct{ m *MosquittoServer }

func (w logWriter) Write(p []byte) (int, error) {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	return w.m.log.Write(p)
}
