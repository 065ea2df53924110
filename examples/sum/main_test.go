package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/ccmkit/ccmkit/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func TestDemo(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"--demo"}, nil, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`caller > {"id":12007,"method":"Sum","params":[2,3]}`, `host   < {"id":12007,"result":5}`,
		`"result":-1.5`, `"code":-32601,"message":"method not found"`, "all answers are right",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in\n%s", want, out.String())
		}
	}
}

func TestStdio(t *testing.T) {
	in := strings.Join([]string{
		`{"id": 12007, "method": "Sum", "params": [2,3]}`,
		`{"id":1,"method":"Sum","params":[9223372036854775807,1]}`,
		`{"id":2,"method":"Sum","params":[0.1,0.2]}`,
		`{"id":3,"method":"Sum","params":{"a":1}}`,
		`{"method":"Sum","params":[1,1]}`,
		`boot: hello`,
		`{"id":4,"method":"Sum","params":[1,1}`,
		`{"id":"x","method":"Nope"}`,
		`{"id":6,"method":"Sum","params":[1e308,1e308]}`,
		`{"id":5,"method":"Sum","params":[-2,1]}`, // no line end after it
	}, "\n")
	want := strings.Join([]string{
		`{"id":12007,"result":5}`,
		`{"id":1,"result":9.22337203685478e+18}`,
		`{"id":2,"result":0.3}`,
		`{"id":3,"error":{"code":-32602,"message":"params must be two numbers"}}`,
		`{"id":4,"error":{"code":-32700,"message":"the closing bracket does not match"}}`,
		`{"id":"x","error":{"code":-32601,"message":"method not found"}}`,
		`{"id":6,"error":{"code":-32602,"message":"the sum is out of range"}}`,
		`{"id":5,"result":-1}`,
	}, "\n")
	var out, log strings.Builder
	if err := run(t.Context(), []string{"--stdio"}, strings.NewReader(in), &out, &log); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range strings.Split(want, "\n") { // -32700 is sent by the reader, maybe earlier
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("%s is not in %q", line, got)
		}
	}
	if len(got) != 8 {
		t.Errorf("%d lines, want 8: %q", len(got), got)
	}
	wantLog := `not a frame: "boot: hello"` + "\n" + `malformed frame: "{\"id\":4,`
	if !strings.HasPrefix(log.String(), wantLog) || strings.Count(log.String(), "\n") != 2 {
		t.Errorf("log:\n%s", log.String())
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
	in := strings.Repeat(`{"id":1,"method":"Sum","params":[2,3]}`+"\n", 3)
	for _, mode := range []string{"--stdio", "--demo", "--help", "--listen 127.0.0.1:0"} {
		err := run(t.Context(), strings.Fields(mode), strings.NewReader(in), &fullWriter{10}, io.Discard)
		if !errors.Is(err, syscall.ENOSPC) || exitCode(err) != 1 {
			t.Errorf("%s: %v", mode, err)
		}
	}
	if err := run(t.Context(), []string{"--demo"}, nil, &fullWriter{700}, io.Discard); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("--demo, later: %v", err)
	}
}

func TestHelp(t *testing.T) {
	var out, log strings.Builder
	if err := run(t.Context(), []string{"--help"}, nil, &out, &log); exitCode(err) != 0 || err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(out.String(), "Usage: sum") || !strings.Contains(out.String(), "-baud") || log.Len() != 0 {
		t.Errorf("got %q and %q", out.String(), log.String())
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"", "no place to serve on", 2},
		{"--listen=", "no place to serve on", 2},
		{"--demo --pty", "several places to serve on: --demo and --pty", 2},
		{"a b", `several places to serve on: "a" and "b" (`, 2},
		{"/dev/x --baud 9600", "flags go before the path", 2},
		{"--nope", "flag provided but not defined", 2},
		{"--baud 0 /dev/x", "baud must be a positive number", 2},
		{"serial:/dev/x?speed=1", `unknown setting "speed"`, 2},
		{"serial:/dev/x?baud=0", "baud must be a positive number", 2},
		{"tcp:127.0.0.1:1", "--listen", 2},
		{"--params 1 /dev/x", "--params without --call", 2},
		{"--call Sum", "no endpoint", 2},
		{"--call Sum a b", `"a" and "b"`, 2},
		{"--call Sum --pty", "one endpoint and nothing else, got --pty", 2},
		{"--call Sum --params [2 /dev/x", "not JSON", 2},
		{"--call Sum --timeout 0 /dev/x", "--timeout must be positive", 2},
		{"/no/such/port", "/no/such/port", 1},
		{"--listen nowhere", "nowhere", 1},
		{"--call Sum /no/such/port", "/no/such/port", 1},
	} {
		var out, log strings.Builder
		err := run(t.Context(), strings.Fields(c.args), nil, &out, &log)
		if err == nil || !strings.Contains(err.Error(), c.want) || exitCode(err) != c.code {
			t.Errorf("%q: %v, exit %d; want %q and %d", c.args, err, exitCode(err), c.want, c.code)
		}
		if out.Len() != 0 || log.Len() != 0 { // main prints the error
			t.Errorf("%q: printed %q and %q", c.args, out.String(), log.String())
		}
	}
}

// TestPeerErrors: what goes wrong with a peer is no output of the program.
func TestPeerErrors(t *testing.T) {
	var log strings.Builder
	l := listen(t)
	c := dialTCP(t, l)
	io.WriteString(c, "hello\n")
	c.(*net.TCPConn).CloseWrite()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveListener(ctx, l, &lockedWriter{w: &log}) }()
	io.Copy(io.Discard, c) // until the server has closed its end
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if log.String() != "not a frame: \"hello\"\n" {
		t.Errorf("log: %q", log.String())
	}
}
