package host_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/internal/testbed"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// calls is how many calls go each way over a serial line.
func calls() int {
	if race.Enabled {
		return 2000
	}
	return 10_000
}

func add(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	a, _ := r.Arg(0).Int()
	b, _ := r.Arg(1).Int()
	w.Resultf("%d", a+b)
}

// TestSerialCalls: two serial ports joined by a cable carry calls both ways at
// once; the ports are closed, opened again and used again.
func TestSerialCalls(t *testing.T) {
	pathA, pathB := testbed.PTYPair(t)
	h := host.New(nil)
	h.HandleFunc("Sum", add)
	for round := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		var ends sync.WaitGroup
		ends.Go(func() {
			if err := h.Run(ctx, open(t, pathA)); err != nil {
				t.Errorf("round %d: host: %v", round, err)
			}
		})
		var mux jsonrpc.Mux
		mux.HandleFunc("Sum", add)
		greeted := make(chan struct{})
		mux.HandleFunc("Sys.Init", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) { close(greeted) })
		module := jsonrpc.NewConn(framing.NewConn(open(t, pathB), nil), &jsonrpc.ConnOptions{Handler: &mux})
		ends.Go(func() {
			if err := module.Run(ctx); err != nil {
				t.Errorf("round %d: module: %v", round, err)
			}
		})
		select {
		case <-greeted:
		case <-time.After(10 * time.Second):
			t.Fatal("the host does not say Sys.Init")
		}
		var callers sync.WaitGroup
		for name, call := range map[string]func(context.Context, []byte, string, string, ...any) ([]byte, error){
			"host": h.Call, "module": module.Call,
		} {
			callers.Go(func() { callMany(t, name, call) })
		}
		callers.Wait()
		cancel()
		ends.Wait()
	}
}

func callMany(t *testing.T, name string, call func(context.Context, []byte, string, string, ...any) ([]byte, error)) {
	var buf []byte
	for i := range calls() {
		got, err := call(t.Context(), buf[:0], "Sum", "[%d,%d]", i, 2)
		if err != nil || string(got) != strconv.Itoa(i+2) {
			t.Errorf("%s: call %d: %s, %v", name, i, got, err)
			return
		}
		buf = got
	}
}

func open(t *testing.T, path string) *uart.Port {
	p, err := uart.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSerialHangup: the end of the line, as when an adapter is pulled, ends Run
// with an error that says so; the host goes on with the next port.
func TestSerialHangup(t *testing.T) {
	h := host.New(nil)
	for range 2 {
		master, path := testbed.PTY(t)
		ended := make(chan error, 1)
		port := open(t, path)
		go func() { ended <- h.Run(t.Context(), port) }()
		buf := make([]byte, 64)
		if n, err := master.Read(buf); err != nil || n == 0 {
			t.Fatalf("no greeting: %v", err)
		}
		master.Close()
		if err := <-ended; !errors.Is(err, uart.ErrUnplugged) {
			t.Errorf("Run: %v, want ErrUnplugged", err)
		}
		if _, err := h.Call(t.Context(), nil, "X", ""); !errors.Is(err, host.ErrNotAttached) {
			t.Errorf("Call: %v, want ErrNotAttached", err)
		}
	}
}
