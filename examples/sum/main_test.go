package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/leakcheck"
	"github.com/ccmkit/ccmkit/internal/testbed"
	"github.com/ccmkit/ccmkit/jsonrpc"
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
		`{"id":5,"method":"Sum","params":[-2,1]}`, // no line end after it
	}, "\n")
	want := strings.Join([]string{
		`{"id":12007,"result":5}`,
		`{"id":1,"result":9.22337203685478e+18}`,
		`{"id":2,"result":0.3}`,
		`{"id":3,"error":{"code":-32602,"message":"params must be two numbers"}}`,
		`{"id":4,"error":{"code":-32700,"message":"the closing bracket does not match"}}`,
		`{"id":"x","error":{"code":-32601,"message":"method not found"}}`,
		`{"id":5,"result":-1}`,
	}, "\n")
	var out strings.Builder
	if err := run(t.Context(), []string{"--stdio"}, strings.NewReader(in), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range strings.Split(want, "\n") { // -32700 is sent by the reader, maybe earlier
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("%s is not in %q", line, got)
		}
	}
	if len(got) != 7 {
		t.Errorf("%d lines, want 7: %q", len(got), got)
	}
}

// start runs the program and returns the first word it prints.
func start(t *testing.T, args ...string) string {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, args, nil, w, io.Discard)
		w.CloseWithError(io.EOF)
		ended <- err
	}()
	out := bufio.NewReader(r)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("no first line: %v, %v", err, <-ended)
	}
	go io.Copy(io.Discard, out)
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	place, _, _ := strings.Cut(line, " ")
	return place
}

// check calls Sum over a port.
func check(t *testing.T, port framing.Port) {
	t.Helper()
	c := jsonrpc.NewConn(framing.NewConn(port, &framing.Options{CRC: framing.CRCSend}), nil)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(t.Context()) }()
	if got, err := c.Call(t.Context(), nil, "Sum", "[%d,%d]", 2, 3); err != nil || string(got) != "5" {
		t.Errorf("Sum = %s, %v", got, err)
	}
	c.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestTCP(t *testing.T) {
	addr := start(t, "--listen", "127.0.0.1:0")
	for range 2 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		check(t, conn)
	}
}

func TestPTY(t *testing.T) {
	testbed.Require(t, "pty")
	path := start(t, "--pty")
	for range 2 { // peers come and go
		port, err := uart.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		check(t, port)
	}
}

func TestSerial(t *testing.T) {
	a, b := testbed.PTYPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"serial:" + a + "?baud=9600"}, nil, io.Discard, io.Discard) }()
	port, err := uart.Open(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, port)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "want exactly one place to serve on, got 0"},
		{"--demo --pty", "got 2"},
		{"a b", "got 2"},
		{"--nope", "flag provided but not defined"},
		{"serial:/dev/x?speed=1", `unknown setting "speed"`},
		{"serial:/dev/x?baud=0", "baud must be a positive number"},
		{"/no/such/port", "/no/such/port"},
		{"--listen nowhere", "nowhere"},
	} {
		err := run(t.Context(), strings.Fields(c.args), nil, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q in it", c.args, err, c.want)
		}
	}
}
