package host_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// Calls that are made while the host attaches come after Sys.Init: the module
// runs each once, and has no reason to forget one.
func TestCallsWhileAttaching(t *testing.T) {
	h := host.New(&host.Config{RetryAfter: 20 * time.Millisecond})
	var n atomic.Int64
	for round := range 60 {
		var first atomic.Pointer[string]
		var mu sync.Mutex
		runs := map[int64]int{}
		var mux jsonrpc.Mux
		mux.HandleFunc("X", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			i, _ := r.Arg(0).Int()
			mu.Lock()
			runs[i]++
			mu.Unlock()
			w.Resultf("%ld", i)
		})
		a, b := wire.Pair(nil)
		m := jsonrpc.NewConn(framing.NewConn(b, nil), &jsonrpc.ConnOptions{Handler: &mux, Observer: func(e jsonrpc.Event) {
			if e.Kind == jsonrpc.EventReceived {
				f := string(e.Frame)
				first.CompareAndSwap(nil, &f)
			}
		}})
		var ends, callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for done := 0; done < 5; {
					_, err := h.Call(t.Context(), nil, "X", "[%ld]", n.Add(1))
					if err == nil {
						done++
					} else if !errors.Is(err, host.ErrNotAttached) {
						t.Errorf("round %d: %v", round, err)
						return
					}
				}
			})
		}
		ends.Go(func() { m.Run(t.Context()) })
		ends.Go(func() { h.Run(t.Context(), a) })
		callers.Wait()
		if f := *first.Load(); f != `{"method":"Sys.Init"}` {
			t.Errorf("round %d: first came %s", round, f)
		}
		if s := m.Stats(); s.Stale != 0 {
			t.Errorf("round %d: %d stale", round, s.Stale)
		}
		m.Close()
		ends.Wait()
		for i, times := range runs {
			if times != 1 {
				t.Errorf("round %d: call %d ran %d times", round, i, times)
			}
		}
	}
}

func TestAttachTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host.New(nil)
		m, end := attach(t, h, answers("1"))
		synctest.Wait()
		a, b := wire.Pair(nil)
		if err := h.Run(t.Context(), a); !errors.Is(err, host.ErrAttached) {
			t.Errorf("second Run: %v", err)
		}
		if n, err := b.Read(make([]byte, 10)); n != 0 || err == nil {
			t.Errorf("the port is open: read %d bytes, %v", n, err)
		}
		if _, err := h.Call(t.Context(), nil, "X", ""); err != nil {
			t.Errorf("the first Run: %v", err)
		}
		if f := m.frames(); len(f) != 2 {
			t.Errorf("the module got %q", f)
		}
		end()
	})
}

func TestAttached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host.New(nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Attached(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a port: %v", err)
		}
		for range 3 {
			waited := make(chan error)
			go func() { waited <- h.Attached(t.Context()) }()
			synctest.Wait()
			_, end := attach(t, h, answers("1"))
			if err := <-waited; err != nil {
				t.Error(err)
			}
			if _, err := h.Call(t.Context(), nil, "X", ""); err != nil {
				t.Error(err)
			}
			end()
		}
	})
}

// A port that takes nothing holds up neither the end of Run nor other callers.
func TestStuckPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host.New(nil)
		a, b := wire.Pair(&wire.Options{Buffer: 1})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- h.Run(ctx, a) }()
		synctest.Wait()
		if err := h.Report(ctx, "{}"); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		b.Close()
	})
}

// OnInit's function is called after each attach and for each Sys.Init of the
// module, in the lane then.
func TestOnInit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host.New(nil)
		h.OnInit(func(ctx context.Context) { h.Report(ctx, "{%Q:%d}", "up", 1) })
		h.HandleFunc("X", func(ctx context.Context, _ *jsonrpc.Response, _ *jsonrpc.Request) { h.Report(ctx, "{%Q:%d}", "x", 1) })
		m, end := attach(t, h, nil)
		up, x := `{"method":"Shadow.Report","params":{"up":1}}`, `{"method":"Shadow.Report","params":{"x":1}}`
		if f := m.frames(); !slices.Equal(f, []string{`{"method":"Sys.Init"}`, up}) {
			t.Errorf("after attaching: %q", f)
		}
		m.Notify(t.Context(), "Sys.Init", "")
		m.Notify(t.Context(), "X", "")
		if f := m.frames(); !slices.Equal(f, []string{up, x}) {
			t.Errorf("after Sys.Init: %q", f)
		}
		h.OnInit(nil)
		m.Notify(t.Context(), "Sys.Init", "")
		if f := m.frames(); len(f) != 0 {
			t.Errorf("got %q", f)
		}
		end()
	})
}
