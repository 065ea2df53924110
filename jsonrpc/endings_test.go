package jsonrpc_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// A damaged call costs a try, not the time that the try might have taken.
func TestDamagedCallWithinTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Retries: 2, FirstID: 7, CallTimeout: time.Second})
		ended := make(chan error, 1)
		go func() {
			got, err := b.conn.Call(t.Context(), nil, "M", "")
			if string(got) != "1" {
				t.Errorf("got %q", got)
			}
			ended <- err
		}()
		b.want("the call", `{"id":7,"method":"M"}`)
		b.send(`{"id":7,"error":{"code":-32700,"message":"damaged"}}` + "\n")
		b.want("the call again", `{"id":7,"method":"M"}`)
		b.send(`{"id":7,"result":1}` + "\n")
		if err := <-ended; err != nil {
			t.Error(err)
		}
		b.close()
	})
}

// CallTimeout bounds a call with retries as a whole.
func TestRetriesWithinTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Retries: 5, RetryAfter: 400 * time.Millisecond, CallTimeout: time.Second})
		start := time.Now()
		_, err := b.conn.Call(t.Context(), nil, "M", "")
		if !errors.Is(err, jsonrpc.ErrTimeout) || time.Since(start) != time.Second {
			t.Errorf("%v after %v, want ErrTimeout after 1s", err, time.Since(start))
		}
		if n := len(b.lines()); n != 3 {
			t.Errorf("sent %d times, want 3", n)
		}
		b.close()
	})
}

// Quiet waits for the answers that the peer is owed, also on a line that takes none.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := sumMux()
		mux.HandleFunc("Slow", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) { time.Sleep(time.Second) })
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux})
		quiet := func(limit, want time.Duration, wantErr error) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			start := time.Now()
			if err := b.conn.Quiet(ctx); !errors.Is(err, wantErr) || time.Since(start) != want {
				t.Errorf("%v after %v, want %v after %v", err, time.Since(start), wantErr, want)
			}
		}
		synctest.Wait()
		quiet(time.Minute, 0, nil)
		b.send(`{"id":1,"method":"Slow"}` + "\n" + `{"id":2,"method":"Slow"}` + "\n")
		synctest.Wait()
		quiet(1500*time.Millisecond, 1500*time.Millisecond, context.DeadlineExceeded)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { quiet(time.Minute, 500*time.Millisecond, nil) })
		}
		both.Wait()
		b.want("both", `{"id":1,"result":null}`, `{"id":2,"result":null}`)
		b.end.Stall(true)
		b.send(`{"id":3,"method":"Slow"}` + "\n")
		synctest.Wait()
		quiet(3*time.Second, 3*time.Second, context.DeadlineExceeded)
		b.end.Stall(false)
		quiet(time.Minute, 0, nil)
		b.close()
		b.conn.Quiet(t.Context())
	})
}

// A handler that waits for its turn to call does not keep the lane.
func TestWindowLeavesLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := sumMux()
		var b *bare
		mux.HandleFunc("Calls", func(ctx context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			_, err := b.conn.Call(ctx, nil, "Late", "")
			w.Fail(err)
		})
		b = newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux, Retries: 1, RetryAfter: time.Hour, FirstID: 100, MaxInFlight: 50})
		var calls sync.WaitGroup
		for range 32 { // as many as may be ahead
			calls.Go(func() { b.conn.Call(t.Context(), nil, "Open", "") })
		}
		if n := len(b.lines()); n != 32 {
			t.Fatalf("%d calls, want 32", n)
		}
		b.send(`{"id":1,"method":"Calls"}` + "\n")
		b.probe("a handler that waits for its turn")
		b.conn.Close()
		calls.Wait()
		b.close()
	})
}

// Handlers that end their goroutine after a call leave one lane, not several.
func TestLaneGoexitAfterCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := sumMux()
		var b *bare
		var running, most atomic.Int64
		mux.HandleFunc("Exit", func(ctx context.Context, _ *jsonrpc.Response, _ *jsonrpc.Request) {
			b.conn.Call(ctx, nil, "Peer", "")
			runtime.Goexit()
		})
		mux.HandleFunc("Count", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Second)
			running.Add(-1)
		})
		var panics atomic.Int64
		b = newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux, FirstID: 50, CallTimeout: time.Minute, Observer: func(e jsonrpc.Event) {
			if e.Kind == jsonrpc.EventPanic {
				panics.Add(1)
			}
		}})
		for range 3 {
			b.send(`{"method":"Exit"}` + "\n")
			id := mjson.Find([]byte(b.one()), "$.id").Raw
			b.send(string(jsonrpc.AppendResult(nil, id, []byte("1"))) + "\n")
		}
		for range 6 {
			b.send(`{"method":"Count"}` + "\n")
		}
		time.Sleep(time.Minute)
		if most.Load() != 1 || panics.Load() != 3 || b.conn.Stats().Panics != 3 {
			t.Errorf("%d handlers at once, %d panics told, %d counted", most.Load(), panics.Load(), b.conn.Stats().Panics)
		}
		b.probe("Goexit after Call")
		b.close()
	})
}

// An answer that cannot be written after the peer has sent its last frame is an
// error of Run.
func TestWriteErrorAfterEOF(t *testing.T) {
	full := errors.New("disk full")
	p := &fullDisk{script: script{in: []byte(`{"id":1,"method":"Sum","params":[2,3]}` + "\n")}, err: full}
	c := jsonrpc.NewConn(framing.NewConn(p, nil), &jsonrpc.ConnOptions{Handler: sumMux()})
	if err := c.Run(t.Context()); !errors.Is(err, full) || !errors.Is(err, io.EOF) {
		t.Errorf("Run: %v, want both the write error and EOF", err)
	}
}

type fullDisk struct {
	script
	err error
}

func (f *fullDisk) Write([]byte) (int, error) { return 0, f.err }

// Params that are not JSON are refused before anything is sent.
func TestInvalidParams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil, nil, nil)
		for _, c := range []struct {
			format string
			args   []any
		}{
			{"[%d", []any{1}}, {"{on:%d}", []any{1}}, {"%s", []any{"[1,]"}}, {"%s", []any{"\"\xff\""}}, {"1 2", nil},
		} {
			if _, err := b.conn.Call(t.Context(), nil, "M", c.format, c.args...); !errors.Is(err, jsonrpc.ErrInvalidJSON) {
				t.Errorf("Call %q: %v", c.format, err)
			}
			if err := b.conn.Notify(t.Context(), "M", c.format, c.args...); !errors.Is(err, jsonrpc.ErrInvalidJSON) {
				t.Errorf("Notify %q: %v", c.format, err)
			}
		}
		if l := b.lines(); len(l) != 0 {
			t.Errorf("sent %q", l)
		}
		b.close()
	})
}

// A panic is told to the observer, with its cause.
func TestPanicIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the cause")
		mux := sumMux()
		mux.HandleFunc("Bad", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) { panic(cause) })
		var told error
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux, Observer: func(e jsonrpc.Event) {
			if e.Kind == jsonrpc.EventPanic && strings.Contains(string(e.Frame), `"Bad"`) {
				told = e.Err
			}
		}})
		b.send(`{"id":1,"method":"Bad"}` + "\n")
		if got := b.one(); !strings.Contains(got, "did not return") || told != cause {
			t.Errorf("got %s, told %v", got, told)
		}
		b.close()
	})
}

// Large replies are sent but not remembered.
func TestReplyCacheLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := sumMux()
		ran := 0
		mux.HandleFunc("Large", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			ran++
			w.Resultf("%Q", strings.Repeat("x", 60_000*ran))
		})
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux})
		for _, want := range []int{60_000, 60_000, 120_000, 180_000} {
			if want == 120_000 {
				b.conn.NewSession()
			}
			b.send(`{"id":1,"method":"Large"}` + "\n")
			if n := len(b.one()); n != want+len(`{"id":1,"result":""}`) {
				t.Errorf("reply of %d bytes, want %d", n, want)
			}
		}
		b.close()
	})
}
