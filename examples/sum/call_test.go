package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/internal/testbed"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// checkCalls calls the host at an endpoint.
func checkCalls(t *testing.T, endpoint string) {
	t.Helper()
	for _, c := range []struct {
		method, params, want string
		code                 int
	}{
		{"Sum", "[2,3]", "5", 0},
		{"Sum", "[2,\n 3.5]", "5.5", 0},
		{"RPC.Ping", "", "{}", 0},
		{"Sum", `["%d","%s"]`, "", jsonrpc.CodeInvalidParams},
		{"Nope", "true", "", jsonrpc.CodeMethodNotFound},
	} {
		var out strings.Builder
		err := run(t.Context(), []string{"--call", c.method, "--params", c.params, endpoint}, nil, &out, io.Discard)
		if c.code != 0 {
			e, is := errors.AsType[*jsonrpc.Error](err)
			if !is || e.Code != c.code || exitCode(err) != 1 || out.Len() != 0 {
				t.Errorf("%s %s: %v, %q", c.method, c.params, err, out.String())
			}
		} else if err != nil || out.String() != c.want+"\n" {
			t.Errorf("%s %s: %q, %v", c.method, c.params, out.String(), err)
		}
	}
}

func TestCallTCP(t *testing.T) { checkCalls(t, "tcp:"+start(t, "--listen", "127.0.0.1:0")) }

func TestCallSerial(t *testing.T) {
	a, b := testbed.PTYPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{a}, nil, io.Discard, io.Discard) }()
	checkCalls(t, b)
	checkCalls(t, "serial:"+b+"?baud=9600")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A peer that says nothing, and one that hangs up.
func TestCallFails(t *testing.T) {
	l := listen(t)
	defer l.Close()
	args := []string{"--call", "Sum", "--timeout", "50ms", "tcp:" + l.Addr().String()}
	var out strings.Builder
	if err := run(t.Context(), args, nil, &out, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent peer: %v", err)
	}
	silent, _ := l.Accept()
	silent.Close()

	go func() {
		if c, err := l.Accept(); err == nil {
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			c.Read(make([]byte, 100))
			io.WriteString(c, "bye\n")
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	args[3] = "10s"
	var log strings.Builder
	if err := run(t.Context(), args, nil, &out, &log); !errors.Is(err, io.EOF) {
		t.Errorf("peer that hangs up: %v", err)
	}
	if out.Len() != 0 || log.String() != "not a frame: \"bye\"\n" {
		t.Errorf("printed %q and %q", out.String(), log.String())
	}
}
