package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// output collects what a program prints, for a test that reads meanwhile.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{}
}

func newOutput() *output { return &output{more: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// waitFor waits until the text has been printed and returns all that was.
func (o *output) waitFor(t *testing.T, text string) string {
	t.Helper()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	for {
		if all := o.String(); strings.Contains(all, text) {
			return all
		}
		select {
		case <-o.more:
		case <-late.C:
			t.Fatalf("%q is not in\n%s", text, o)
		}
	}
}

// running is a program that runs until it is interrupted.
type running struct {
	out, log *output
	cancel   context.CancelFunc
	ended    chan error
}

// launch runs the program with arguments.
func launch(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{out: newOutput(), log: newOutput(), ended: make(chan error, 1)}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(t.Context())
	go func() { r.ended <- run(ctx, args, r.out, r.log) }()
	return r
}

// interrupt ends the program, which must not complain.
func (r *running) interrupt(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := <-r.ended; err != nil {
		t.Errorf("interrupted: %v", err)
	}
}

// fullWriter takes n bytes.
type fullWriter struct{ n int }

func (w *fullWriter) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

func TestOutputFails(t *testing.T) {
	for _, args := range []string{"--help", "demo --once", "help run", "completion bash"} {
		if err := run(t.Context(), strings.Fields(args), &fullWriter{10}, io.Discard); !errors.Is(err, syscall.ENOSPC) || exitCode(err) != 1 {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestHelp(t *testing.T) {
	for args, want := range map[string][]string{
		"":                         {"tcp:HOST:PORT", "Available Commands", "demo ", "run ", "call ", "monitor ", "doctor ", "completion "},
		"--help":                   {"Available Commands"},
		"help doctor":              {"--max-frame", "Usage:\n  ccm doctor ENDPOINT"},
		"demo --help":              {"--once", "--listen"},
		"run -h":                   {"--mqtt-pass-file", passwordEnv, "--shadow"},
		"call --help":              {"mqtt://[USER[:PASSWORD]@]HOST[:PORT]/DEVICE", portEnv},
		"monitor --help":           {"--json"},
		"completion bash":          {"bash completion"},
		"bundle":                   {"create ", "inspect ", "verify ", "sign "},
		"bundle create --help":     {"--src-dir", "host_fw:type=STM32"},
		"sim stm32 --help":         {"--ctl", "rst 0"},
		"flash --help":             {"--changed-only", "ctl:PATH", "--no-verify"},
		"__complete run --shadow ": {"aws", "none"},
	} {
		var out, log strings.Builder
		if err := run(t.Context(), strings.Fields(args+" "), &out, &log); err != nil && !strings.HasPrefix(args, "__") {
			t.Errorf("%q: %v", args, err)
		}
		wants(t, out.String(), want...)
	}
}

// TestUsage: what is wrong is named, nothing is printed, and the exit code says
// whose fault it is.
func TestUsage(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	state := filepath.Join(dir, "state")
	t.Setenv(portEnv, "")
	t.Setenv(passwordEnv, "")
	const run0 = "run --id a --host tcp:127.0.0.1:1 --mqtt mqtts://127.0.0.1 "
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"nope", `unknown command "nope" (see ccm --help)`, 2},
		{"docter x", `unknown command "docter", did you mean doctor?`, 2},
		{"--nope", "unknown flag: --nope (see ccm --help)", 2},
		{"help nope", `unknown command "nope"`, 2},
		{"help config nope", `unknown command "nope" (see ccm config --help)`, 2},
		{"completion foo", `unknown command "foo"`, 2},
		{"completion bash x", `unexpected argument "x"`, 2},
		{"demo x", `unexpected argument "x" (see ccm demo --help)`, 2},
		{"demo --once --listen nowhere", "nowhere", 1},

		{"call", "METHOD is missing", 2},
		{"call Sum", "no endpoint: give --port or set CCM_PORT", 2},
		{"call --port tcp:h:1 Sum [1 x", `unexpected argument "x"`, 2},
		{"call --port tcp:h:1 Sum [1", "PARAMS is not JSON: [1", 2},
		{"call --port tcp:h:1 --timeout 0s Sum", "--timeout must be positive", 2},
		{"call --port tcp:h Sum", `--port: endpoint "tcp:h": want tcp:HOST:PORT`, 2},
		{"call --port mqtt://h Sum", "--port: want mqtt://HOST[:PORT]/DEVICE", 2},
		{"call --port mqtt://h/a+ Sum", "--port: want mqtt://HOST[:PORT]/DEVICE", 2},
		{"call --port gopher://h/rpc Sum", `unknown scheme "gopher"`, 2},
		{"call --port ws://a:secret%zz@h/rpc Sum", "--port ws://...@h/rpc is no URL", 2},
		{"call --port http://a:secret/@h/rpc Sum", "--port http://...@h/rpc is no URL", 2},
		{"call --port tcp://a:secret#@h:1 Sum", "is no URL", 2},
		{"call --port HTTP://127.0.0.1:1/rpc Sum", "connection refused", 1},
		{"call --port TCP://127.0.0.1:1 Sum", "connection refused", 1},
		{"call --port unix:///no/such@1.sock Sum", "--port unix:///no/such@1.sock: ", 1},
		{"call --port http Sum", "no such file", 1},
		{"call --port ftp://a:secret@h Sum", "--port ftp://...@h: unknown scheme", 2},
		{"call --port ws:/a:secret@h Sum", "--port ws://...@h is no URL", 2},
		{"call --port ws://h --password-file " + file("empty", "\n") + " Sum", "--password-file: it is empty", 1},
		{"config get --port ws://h --level 10", "--level must be 0 to 9", 2},
		{"config get --port ws://h --level -1", "--level must be 0 to 9", 2},
		{"config set --port ws://h --level 0 a=b", "--level must be 1 to 9", 2},
		{"config set --port ws://h --level 10 a=b", "--level must be 1 to 9", 2},
		{"config set --port ws://h a=\xff", "a: the value is not UTF-8", 2},
		{"wifi join --port ws://h \xff", "must be UTF-8", 2},
		{"fs get --port ws://h x -o /no/such/x", "-o /no/such/x: the directory is missing", 1},
		{"call --port /no/such/port Sum", "no such file or directory (is it plugged in?", 1},
		{"call --port unix:/no/such Sum", "/no/such", 1},

		{"monitor", "give an ENDPOINT or --mqtt", 2},
		{"monitor a b", `unexpected argument "b"`, 2},
		{"monitor a --mqtt mqtt://h", "not both", 2},
		{"monitor --mqtt h:1883", "--mqtt: want mqtt://HOST", 2},
		{"monitor --mqtt mqtt://h/a+b", "--mqtt: invalid topic", 2},
		{"monitor serial:?baud=1", "the path is missing", 2},
		{"monitor /dev/null", "not a serial port", 1},

		{"doctor", "ENDPOINT is missing", 2},
		{"doctor --scan tcp:h:1", "--scan is for serial ports, not for tcp:h:1", 2},
		{"doctor --max-frame 10 x", "--max-frame must be 0, or 63 to", 2},
		{"doctor --max-frame x x", "invalid argument", 2},
		{"doctor " + file("plain", ""), "(TCP and UNIX sockets are", 1},

		{"run --state " + state + " --mac zz", `--mac: want 12 hex digits, not "zz"`, 2},
		{"run --id a --mqtt mqtt://h --host http://u:secret@h", `--host http://...@h`, 2},
		{"run --state " + state + " --https 0", "--https needs --https-cert", 2},
		{"run x", `unexpected argument "x"`, 2},
		{"run", "--id is missing", 2},
		{"run --id a", "--host is missing", 2},
		{"run --id a --host x", "--mqtt is missing", 2},
		{run0 + "--shadow gcp", `--shadow must be aws or none, not "gcp"`, 2},
		{run0 + "--id a/b", `--id "a/b" is not usable`, 2},
		{run0 + "--host tcp:h:2", `--host tcp:h:2: there is another host named ""`, 2},
		{run0 + "--host p=serial:/d?baud=no", `--host p=serial:/d?baud=no: endpoint "serial:/d?baud=no": baud must be`, 2},
		{run0 + "--host p=", `it is empty`, 2},
		{run0 + "--host host=/dev/x", `--host "host": use letters`, 2},
		{run0 + "--mqtt http://h", `--mqtt: unknown scheme "http"; use mqtt or mqtts`, 2},
		{run0 + "--mqtt mqtt://h/dev", "--mqtt: no path, please", 2},
		{run0 + "--mqtt mqtt://h:70000", "--mqtt: the port must be 1 to 65535", 2},
		{run0 + "--mqtt mqtt://h --mqtt-user u", "--mqtt: credentials are not sent without TLS", 2},
		{run0 + "--mqtt mqtt://h --ca x", "--mqtt: mqtt:// means no TLS", 2},
		{run0 + "--cert x", "a certificate needs a key", 2},
		{run0 + "--ca *", "trust everybody", 2},
		{run0 + "--ca /no/such", "--ca, --cert, --key: open /no/such", 1},
		{run0 + "--ca " + file("ca", "no PEM"), "no certificate in it", 1},
		{run0 + "--mqtt-user u --mqtt-pass-file /no/such", "--mqtt-pass-file: open /no/such", 1},
		{run0 + "--mqtt-user u --mqtt-pass-file " + file("big", strings.Repeat("x", maxPassword+1)), "more than 65536 bytes", 1},
		{run0 + "--mqtt-pass-file " + file("pw", "secret"), "a password needs a user name", 2},
	} {
		var out, log strings.Builder
		err := run(t.Context(), strings.Fields(c.args), &out, &log)
		if err == nil || !strings.Contains(err.Error(), c.want) || exitCode(err) != c.code || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s:\n got %v, exit %d\nwant %s, exit %d", c.args, err, exitCode(err), c.want, c.code)
		}
		if strings.Contains(out.String()+log.String(), "secret") || out.Len() > 0 {
			t.Errorf("%s: printed %q and %q", c.args, out.String(), log.String())
		}
	}
}

func TestReadable(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":"µ"}`: `{"a":"µ"}`, "a\tb": `"a\tb"`, "\x1b[31m": `"\x1b[31m"`, "\xff": `"\xff"`, "": "",
		strings.Repeat("x", maxShown+1): strings.Repeat("x", maxShown) + "... (4097 bytes)",
	} {
		if got := readable([]byte(in)); got != want {
			t.Errorf("%q: %s", in, got)
		}
	}
}

// TestColour: a terminal, or what looks like one, unless the user does not want it.
func TestColour(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, c := range []struct {
		noColour, term string
		w              io.Writer
		want           bool
	}{
		{"", "xterm", null, runtime.GOOS != "windows"},
		{"1", "xterm", null, false},
		{"", "dumb", null, false},
		{"", "xterm", io.Discard, false},
	} {
		t.Setenv("NO_COLOR", c.noColour)
		t.Setenv("TERM", c.term)
		if got := wantsColour(c.w); got != c.want {
			t.Errorf("%+v: %t", c, got)
		}
	}
	if got := (&program{}).paint(red, "x"); got != "x" {
		t.Errorf("without colours: %q", got)
	}
}

func TestCutTo(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"µµµµ", 3, "µµ…"}, {"abc", 1, "…"}, {"abc", 0, "abc"}, {"abc", -30, "abc"}} {
		if got := cutTo(c.text, c.width); got != c.want {
			t.Errorf("%q to %d: %q", c.text, c.width, got)
		}
	}
}
