package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/leakcheck"
	"github.com/ccmkit/ccmkit/internal/testbed"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func TestDemo(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"--demo"}, &out); err != nil {
		t.Fatal(err)
	}
	rest := out.String()
	for _, part := range []string{`desires {"on":true}`, "LED ON\n", `{"on":true,`, `desires {"on":false}`, "LED off\n", `{"on":false,`} {
		var found bool
		if _, rest, found = strings.Cut(rest, part); !found {
			t.Errorf("no %q, in this order, in\n%s", part, out.String())
		}
	}
}

// TestDemoInterrupted: Ctrl-C ends it at any moment, and nothing stays.
func TestDemoInterrupted(t *testing.T) {
	for after := range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(after)*10*time.Millisecond)
		if err := run(ctx, []string{"--demo"}, io.Discard); err != nil {
			t.Errorf("after %d0 ms: %v", after, err)
		}
		cancel()
	}
}

// start runs the program and returns its output after the first word, which is
// the place at which it serves.
func start(t *testing.T, args ...string) (place string, out *bufio.Reader, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, args, w)
		w.Close()
		ended <- err
	}()
	out = bufio.NewReader(r)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("no first line: %v, %v", err, <-ended)
	}
	place, _, _ = strings.Cut(line, " ")
	return place, out, func() error {
		go io.Copy(io.Discard, out)
		cancel()
		return <-ended
	}
}

// play plays the module: it wants the first report, switches the LED on, and
// wants that reported.
func play(t *testing.T, port framing.Port, out *bufio.Reader) {
	t.Helper()
	c := framing.NewConn(port, nil)
	defer c.Close()
	want := func(part string) {
		t.Helper()
		timer := time.AfterFunc(10*time.Second, func() { c.Close() })
		defer timer.Stop()
		for {
			frame, err := c.ReadFrame()
			if err != nil {
				t.Fatalf("no frame with %s: %v", part, err)
			}
			if strings.Contains(string(frame), part) {
				return
			}
		}
	}
	want(`"Shadow.Report","params":{"on":false,"uptime":0}`)
	if err := c.WriteFrame([]byte(`{"method":"Shadow.Delta","params":{"on":true}}`)); err != nil {
		t.Fatal(err)
	}
	if line, err := out.ReadString('\n'); line != "LED ON\n" || err != nil {
		t.Fatalf("printed %q, %v", line, err)
	}
	want(`"Shadow.Report","params":{"on":true,"uptime":`)
}

func TestTCP(t *testing.T) {
	address, out, stop := start(t, "--listen", "127.0.0.1:0")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	play(t, conn, out)
	if line, _ := out.ReadString('\n'); !strings.HasPrefix(line, "the module has gone") {
		t.Errorf("printed %q", line)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestPTY(t *testing.T) {
	testbed.Require(t, "pty")
	path, out, stop := start(t, "--pty")
	port, err := uart.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	play(t, port, out)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestSerial(t *testing.T) {
	a, b := testbed.PTYPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{a}, w) }()
	port, err := uart.Open(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	play(t, port, bufio.NewReader(r))
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"": "give one of", "--demo --pty": "give one of", "a b": "give one of", "--listen x /dev/y": "give one of",
		"--nope": "not defined: -nope", "/no/such/port": "/no/such/port", "--listen nowhere": "nowhere",
	} {
		if err := run(t.Context(), strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", args, err)
		}
	}
	var out strings.Builder
	if err := run(t.Context(), []string{"--help"}, &out); err != nil || !strings.Contains(out.String(), "-listen") {
		t.Errorf("%v, %q", err, out.String())
	}
}
