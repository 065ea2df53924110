package jsonrpc_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// link joins two connections by a line in memory. Both run until the test ends.
type link struct {
	a, b       *jsonrpc.Conn
	endA, endB *wire.End
	errA, errB chan error
}

func newLink(t testing.TB, ctx context.Context, w *wire.Options, f *framing.Options, a, b *jsonrpc.ConnOptions) *link {
	t.Helper()
	l := &link{errA: make(chan error, 1), errB: make(chan error, 1)}
	l.endA, l.endB = wire.Pair(w)
	l.a = jsonrpc.NewConn(framing.NewConn(l.endA, f), a)
	l.b = jsonrpc.NewConn(framing.NewConn(l.endB, f), b)
	go func() { l.errA <- l.a.Run(ctx) }()
	go func() { l.errB <- l.b.Run(ctx) }()
	t.Cleanup(l.close)
	return l
}

// close ends both connections and waits for them.
func (l *link) close() {
	l.a.Close()
	l.b.Close()
	for _, ch := range []chan error{l.errA, l.errB} {
		if ch != nil {
			<-ch
		}
	}
	l.errA, l.errB = nil, nil
}

// sumMux serves Sum, Echo, Fail and Panic.
func sumMux() *jsonrpc.Mux {
	m := &jsonrpc.Mux{}
	m.HandleFunc("Sum", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		a, okA := r.Arg(0).Int()
		b, okB := r.Arg(1).Int()
		if !okA || !okB {
			w.Fail(jsonrpc.ErrInvalidParams)
			return
		}
		w.Resultf("%d", a+b)
	})
	m.HandleFunc("Echo", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) { w.Result(r.Params()) })
	m.HandleFunc("Fail", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		w.Fail(errors.New("out of \"coffee\""))
	})
	m.HandleFunc("Panic", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) { panic("ouch") })
	m.HandleFunc("Nothing", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) {})
	m.Handle("RPC.List", jsonrpc.ListHandler(m))
	return m
}

func TestConnCall(t *testing.T) {
	l := newLink(t, t.Context(), nil, nil, nil, &jsonrpc.ConnOptions{Handler: sumMux()})
	for _, c := range []struct {
		method, format string
		args           []any
		want           string
		code           int
	}{
		{"Sum", "[%d,%d]", []any{2, 3}, "5", 0},
		{"Sum", "", nil, "", jsonrpc.CodeInvalidParams},
		{"Echo", `{%Q:%s}`, []any{"on", "true"}, `{"on":true}`, 0},
		{"Echo", "", nil, "null", 0},
		{"Nothing", "", nil, "null", 0},
		{"This_Function_Does_Not_Exist", "true", nil, "", jsonrpc.CodeMethodNotFound},
		{"Fail", "", nil, "", jsonrpc.CodeInternalError},
		{"Panic", "", nil, "", jsonrpc.CodeInternalError},
		{"RPC.List", "", nil, `["RPC.List","Nothing","Panic","Fail","Echo","Sum"]`, 0},
	} {
		got, err := l.a.Call(t.Context(), []byte("> "), c.method, c.format, c.args...)
		if c.code != 0 {
			if e, is := errors.AsType[*jsonrpc.Error](err); !is || e.Code != c.code {
				t.Errorf("%s: error %v, want code %d", c.method, err, c.code)
			}
			continue
		}
		if err != nil || string(got) != "> "+c.want {
			t.Errorf("%s = %q, %v; want %q", c.method, got, err, c.want)
		}
	}
}

func TestConnHandlersMayCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var muxA, muxB jsonrpc.Mux
		var l *link
		// Down counts to 0, from one side to the other and back.
		down := func(peer func() *jsonrpc.Conn) jsonrpc.HandlerFunc {
			return func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
				n, _ := r.Arg(0).Int()
				if n == 0 {
					w.Result([]byte("0"))
					return
				}
				res, err := peer().Call(ctx, nil, "Down", "[%d]", n-1)
				if err != nil {
					w.Fail(err)
					return
				}
				below, _ := strconv.Atoi(string(res))
				w.Resultf("%d", below+1)
			}
		}
		muxA.Handle("Down", down(func() *jsonrpc.Conn { return l.a }))
		muxB.Handle("Down", down(func() *jsonrpc.Conn { return l.b }))
		l = newLink(t, t.Context(), nil, nil, &jsonrpc.ConnOptions{Handler: &muxA}, &jsonrpc.ConnOptions{Handler: &muxB})
		synctest.Wait()
		got, err := l.a.Call(t.Context(), nil, "Down", "[%d]", 7)
		if err != nil || string(got) != "7" {
			t.Fatalf("got %s, %v; want 7", got, err)
		}
		l.close()
	})
}

func TestConnTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mux jsonrpc.Mux
		mux.HandleFunc("Slow", func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			select {
			case <-ctx.Done():
			case <-time.After(time.Minute):
			}
		})
		l := newLink(t, t.Context(), nil, nil, nil, &jsonrpc.ConnOptions{Handler: &mux})
		start := time.Now()
		if _, err := l.a.Call(t.Context(), nil, "Slow", ""); !errors.Is(err, jsonrpc.ErrTimeout) || time.Since(start) != 10*time.Second {
			t.Errorf("without deadline: %v after %v, want ErrTimeout after 10s", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start = time.Now()
		if _, err := l.a.Call(ctx, nil, "Slow", ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 30*time.Second {
			t.Errorf("with deadline: %v after %v, want the deadline after 30s", err, time.Since(start))
		}
		time.Sleep(3 * time.Minute)
		if s := l.a.Stats(); s.Orphans != 2 || s.TimedOut != 1 {
			t.Errorf("orphans %d, timed out %d; want 2, 1", s.Orphans, s.TimedOut)
		}
		l.close()
	})
}

func TestConnReplyCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int64
		var mux jsonrpc.Mux
		mux.HandleFunc("Count", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			w.Resultf("%d", ran.Add(1))
		})
		mux.HandleFunc("Count.Get", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			w.Resultf("%d", ran.Add(1))
		})
		end, peer := wire.Pair(nil)
		c := jsonrpc.NewConn(framing.NewConn(end, nil), &jsonrpc.ConnOptions{Handler: &mux})
		ended := make(chan error)
		go func() { ended <- c.Run(t.Context()) }()
		for i, s := range []struct{ send, want string }{
			{`{"id":1,"method":"Count"}`, `{"id":1,"result":1}`},
			{`{"id":1,"method":"Count"}`, `{"id":1,"result":1}`},
			{`{"id":"1","method":"Count"}`, `{"id":"1","result":2}`},
			{`{"id":7,"method":"Count.Get"}`, `{"id":7,"result":3}`},
			{`{"id":7,"method":"Count.Get"}`, `{"id":7,"result":4}`},
			{"wait", ""},
			{`{"id":1,"method":"Count"}`, `{"id":1,"result":5}`},
			{`{"id":1,"method":"Count"}`, `{"id":1,"result":5}`},
			{`{"method":"Sys.Init"}`, ""},
			{`{"id":1,"method":"Count"}`, `{"id":1,"result":6}`},
			{`{"id":1,"method":"Count","params":1}`, `{"id":1,"result":7}`}, // the id means nothing: off
			{`{"id":1,"method":"Count"}`, `{"id":1,"result":8}`},
			{`{"id":1,"method":"Count"}`, `{"id":1,"result":9}`},
		} {
			if s.send == "wait" {
				time.Sleep(10*time.Second + 1)
				continue
			}
			io.WriteString(peer, s.send+"\n")
			synctest.Wait()
			if s.want == "" {
				continue
			}
			buf := make([]byte, 256)
			n, err := peer.Read(buf)
			if got := string(buf[:n]); err != nil || got != s.want+"\n" {
				t.Fatalf("step %d: sent %s, got %q, %v; want %q", i, s.send, got, err, s.want)
			}
		}
		c.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestConnDetach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mux jsonrpc.Mux
		mux.HandleFunc("Later", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			d := w.Detach()
			w.Result([]byte(`"too late"`))
			time.AfterFunc(time.Second, func() {
				d.Result([]byte(`"later"`))
				d.Result([]byte(`"twice"`))
			})
		})
		mux.HandleFunc("Now", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) { w.Result([]byte("1")) })
		l := newLink(t, t.Context(), nil, nil, nil, &jsonrpc.ConnOptions{Handler: &mux})
		later := make(chan string)
		start := time.Now()
		go func() {
			got, _ := l.a.Call(t.Context(), nil, "Later", "")
			later <- string(got)
		}()
		if got, err := l.a.Call(t.Context(), nil, "Now", ""); err != nil || string(got) != "1" || time.Since(start) > time.Second {
			t.Errorf("Now = %s, %v after %v", got, err, time.Since(start))
		}
		if got := <-later; got != `"later"` || time.Since(start) != time.Second {
			t.Errorf("Later = %s after %v", got, time.Since(start))
		}
		l.close()
	})
}

func TestConnEnd(t *testing.T) {
	l := newLink(t, t.Context(), nil, nil, nil, nil)
	l.b.Close()
	if err := <-l.errB; err != nil {
		t.Errorf("Run after Close: %v", err)
	}
	if err := <-l.errA; !errors.Is(err, io.EOF) {
		t.Errorf("Run after the peer hung up: %v", err)
	}
	l.errA, l.errB = nil, nil
	if _, err := l.a.Call(t.Context(), nil, "Sum", ""); !errors.Is(err, jsonrpc.ErrClosed) {
		t.Errorf("Call after the end: %v", err)
	}
	if err := l.a.Notify(t.Context(), "Sum", ""); !errors.Is(err, jsonrpc.ErrClosed) {
		t.Errorf("Notify after the end: %v", err)
	}
}

// A peer that sends its requests and closes, as a shell pipe does, still gets
// its answers.
func TestConnAnswersAfterEOF(t *testing.T) {
	in := `{"id":1,"method":"Sum","params":[2,3]}` + "\n" + `{"id":2,"method":"Sum","params":[4,5]}` + "\n"
	p := &script{in: []byte(in)}
	c := jsonrpc.NewConn(framing.NewConn(p, nil), &jsonrpc.ConnOptions{Handler: sumMux()})
	if err := c.Run(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("Run: %v", err)
	}
	want := `{"id":1,"result":5}` + "\n" + `{"id":2,"result":9}` + "\n"
	if string(p.out) != want {
		t.Errorf("got %q, want %q", p.out, want)
	}
}

// script is a port that reads as in and then EOF.
type script struct{ in, out []byte }

func (s *script) Read(p []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}
func (s *script) Write(p []byte) (int, error)     { s.out = append(s.out, p...); return len(p), nil }
func (s *script) Close() error                    { return nil }
func (s *script) SetReadDeadline(time.Time) error { return nil }
