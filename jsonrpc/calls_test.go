package jsonrpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// outcome is how a call went.
type outcome struct {
	res  string
	err  error
	took time.Duration
}

// start calls in the background.
func start(c *jsonrpc.Conn, ctx context.Context, method, format string, args ...any) chan outcome {
	ch := make(chan outcome, 1)
	begin := time.Now()
	go func() {
		res, err := c.Call(ctx, nil, method, format, args...)
		ch <- outcome{string(res), err, time.Since(begin)}
	}()
	synctest.Wait()
	return ch
}

// stuckFramer never writes; its queue fills up.
func stuckBare(t *testing.T, o *jsonrpc.ConnOptions) *bare {
	b := newBare(t, &wire.Options{Buffer: 1}, nil, o)
	// One frame is with the writer, the rest fills the queue.
	for range o.WriteQueue + 1 {
		if err := b.conn.Notify(t.Context(), "Fill", ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	}
	return b
}

// TestCancel: the end of the ctx ends a call and a notification at once in
// every state, and nothing is left behind.
func TestCancel(t *testing.T) {
	cause := errors.New("changed my mind")
	for _, c := range []struct {
		name string
		run  func(t *testing.T, cancel context.CancelFunc, ctx context.Context)
	}{
		{"before", func(t *testing.T, cancel context.CancelFunc, ctx context.Context) {
			b := newBare(t, nil, nil, nil)
			cancel()
			check(t, <-start(b.conn, ctx, "M", ""), 0)
			if err := b.conn.Notify(ctx, "M", ""); err != context.Canceled {
				t.Errorf("Notify: %v", err)
			}
			b.want("a ctx that is over")
			b.close()
		}},
		{"waiting for room", func(t *testing.T, cancel context.CancelFunc, ctx context.Context) {
			b := stuckBare(t, &jsonrpc.ConnOptions{WriteQueue: 2})
			call := start(b.conn, ctx, "M", "")
			note := make(chan error, 1)
			go func() { note <- b.conn.Notify(ctx, "M", "") }()
			time.Sleep(time.Second)
			cancel()
			check(t, <-call, time.Second)
			if err := <-note; err != context.Canceled {
				t.Errorf("Notify: %v", err)
			}
			b.close()
		}},
		{"waiting for the answer", func(t *testing.T, cancel context.CancelFunc, ctx context.Context) {
			b := newBare(t, nil, nil, &jsonrpc.ConnOptions{FirstID: 1})
			call := start(b.conn, ctx, "M", "")
			time.Sleep(3 * time.Second)
			cancel()
			check(t, <-call, 3*time.Second)
			b.send(`{"id":1,"result":1}` + "\n")
			if s := b.conn.Stats(); s.Orphans != 1 || s.TimedOut != 0 {
				t.Errorf("%+v", s)
			}
			b.close()
		}},
		{"between retries", func(t *testing.T, cancel context.CancelFunc, ctx context.Context) {
			b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Retries: 9})
			call := start(b.conn, ctx, "M", "")
			time.Sleep(3500 * time.Millisecond)
			cancel()
			check(t, <-call, 3500*time.Millisecond)
			if n := len(b.lines()); n != 4 {
				t.Errorf("sent %d times", n)
			}
			time.Sleep(time.Minute)
			b.want("the end")
			b.close()
		}},
		{"in a retry that waits for room", func(t *testing.T, cancel context.CancelFunc, ctx context.Context) {
			b := newBare(t, &wire.Options{Buffer: 64}, nil, &jsonrpc.ConnOptions{Retries: 9, WriteQueue: 1, CallTimeout: time.Hour})
			call := start(b.conn, ctx, "M", "")
			for range 2 { // one stays with the writer, one in the queue
				b.conn.Notify(t.Context(), strings.Repeat("x", 60), "")
				synctest.Wait()
			}
			time.Sleep(1500 * time.Millisecond)
			cancel()
			check(t, <-call, 1500*time.Millisecond)
			b.close()
		}},
		{"before Run", func(t *testing.T, cancel context.CancelFunc, ctx context.Context) {
			end, peer := wire.Pair(nil)
			defer peer.Close()
			conn := jsonrpc.NewConn(newFramer(end), nil)
			call := start(conn, ctx, "M", "")
			time.Sleep(time.Second)
			cancel()
			check(t, <-call, time.Second)
			conn.Close()
		}},
		{"in a handler", func(t *testing.T, cancel context.CancelFunc, ctx context.Context) {
			mux := sumMux()
			done := make(chan outcome, 1)
			var b *bare
			mux.HandleFunc("Calls", func(own context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
				own, stop := context.WithCancel(own)
				context.AfterFunc(ctx, stop)
				begin := time.Now()
				_, err := b.conn.Call(own, nil, "Peer", "")
				done <- outcome{"", err, time.Since(begin)}
			})
			b = newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux})
			b.send(`{"method":"Calls"}` + "\n")
			time.Sleep(time.Second)
			cancel()
			check(t, <-done, time.Second)
			b.lines()
			b.probe("cancel")
			b.close()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				c.run(t, func() { cancel(cause) }, ctx)
			})
		})
	}
}

func check(t *testing.T, o outcome, after time.Duration) {
	t.Helper()
	if o.err != context.Canceled || o.took != after || o.res != "" {
		t.Errorf("%q, %v after %v; want Canceled after %v", o.res, o.err, o.took, after)
	}
}

// TestCallEndsWithConn: Close, hang-up and failure end calls in every state.
func TestCallEndsWithConn(t *testing.T) {
	for name, end := range map[string]func(*bare){
		"Close":  func(b *bare) { b.conn.Close() },
		"EOF":    func(b *bare) { b.peer.Close() },
		"broken": func(b *bare) { b.end.Unplug() },
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Retries: 3})
			call := start(b.conn, t.Context(), "M", "")
			end(b)
			if o := <-call; !errors.Is(o.err, jsonrpc.ErrClosed) || o.took != 0 {
				t.Errorf("%s: waiting for the answer: %v after %v", name, o.err, o.took)
			}
			b.close()

			b = stuckBare(t, &jsonrpc.ConnOptions{WriteQueue: 1})
			call = start(b.conn, t.Context(), "M", "")
			end(b)
			if o := <-call; !errors.Is(o.err, jsonrpc.ErrClosed) || o.took != 0 {
				t.Errorf("%s: waiting for room: %v after %v", name, o.err, o.took)
			}
			b.close()
			if o := <-start(b.conn, t.Context(), "M", ""); o.err != jsonrpc.ErrClosed {
				t.Errorf("%s: afterwards: %v", name, o.err)
			}
		})
	}
}

// TestMaxInFlight: one call too many fails the oldest, which is not sent again
// and whose late answer fits nothing.
func TestMaxInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{MaxInFlight: 3, FirstID: 10, Retries: 2})
		var calls []chan outcome
		for i := range 8 {
			calls = append(calls, start(b.conn, t.Context(), "M", "%d", i))
			if i >= 3 {
				if o := <-calls[i-3]; o.err != jsonrpc.ErrBusy {
					t.Errorf("call %d: %v", i-3, o.err)
				}
			}
		}
		if s := b.conn.Stats(); s.Evicted != 5 || len(b.lines()) != 8 {
			t.Errorf("%+v", s)
		}
		time.Sleep(1100 * time.Millisecond)
		if l := b.lines(); len(l) != 3 {
			t.Errorf("sent again: %q", l)
		}
		for id := 10; id < 18; id++ {
			b.send(fmt.Sprintf(`{"id":%d,"result":%d}`+"\n", id, id))
		}
		for i, ch := range calls[5:] {
			if o := <-ch; o.res != fmt.Sprint(15+i) || o.err != nil {
				t.Errorf("call %d: %+v", 5+i, o)
			}
		}
		if s := b.conn.Stats(); s.Orphans != 5 {
			t.Errorf("orphans %d", s.Orphans)
		}
		b.close()
	})
}

// TestFrameLimit: what is longer than the peer takes is not sent, and the
// connection lives. Replies become an error.
func TestFrameLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events journal
		l := &link{errA: make(chan error, 1), errB: make(chan error, 1)}
		l.endA, l.endB = wire.Pair(nil)
		const limit = 100
		l.a = jsonrpc.NewConn(limited{framing.NewConn(l.endA, nil), limit}, &jsonrpc.ConnOptions{Handler: sumMux(), FirstID: 10, Observer: events.observe})
		l.b = jsonrpc.NewConn(framing.NewConn(l.endB, nil), &jsonrpc.ConnOptions{Handler: sumMux()})
		go func() { l.errA <- l.a.Run(t.Context()) }()
		go func() { l.errB <- l.b.Run(t.Context()) }()
		fits := strings.Repeat("x", limit-len(`{"id":10,"method":"Echo","params":""}`))
		if got, err := l.a.Call(t.Context(), nil, "Echo", "%Q", fits); err != nil || len(got) != len(fits)+2 {
			t.Errorf("exactly the limit: %s, %v", got, err)
		}
		if got, err := l.a.Call(t.Context(), []byte("keep"), "Echo", "%Q", fits+"x"); err != jsonrpc.ErrTooLong || string(got) != "keep" {
			t.Errorf("one more: %s, %v", got, err)
		}
		if err := l.a.Notify(t.Context(), "Echo", "%Q", strings.Repeat("x", limit)); err != jsonrpc.ErrTooLong {
			t.Errorf("Notify: %v", err)
		}
		if _, err := l.b.Call(t.Context(), nil, "Echo", "%Q", strings.Repeat("x", limit)); !isCode(err, jsonrpc.CodeTooLarge) {
			t.Errorf("a reply: %v", err)
		}
		if got, err := l.b.Call(t.Context(), nil, "Sum", "[1,1]"); err != nil || string(got) != "2" {
			t.Errorf("afterwards: %s, %v", got, err)
		}
		if s := l.a.Stats(); s.TooLong != 3 || s.WriteErrors != 0 || events.kind[jsonrpc.EventTooLong] != 3 {
			t.Errorf("%+v", s)
		}
		l.close()
	})
}

// TestFramingLimit: the limit of framing.Conn refuses a frame and does not end
// the connection.
func TestFramingLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, crc := range []framing.CRCMode{framing.CRCOff, framing.CRCSend} {
			b := newBare(t, nil, &framing.Options{MaxWrite: 60, CRC: crc}, &jsonrpc.ConnOptions{Handler: sumMux()})
			var f jsonrpc.Framer = b.frame
			if _, is := f.(jsonrpc.FrameLimiter); !is {
				t.Error("framing.Conn does not tell its limit")
			}
			for n := range 80 {
				err := b.conn.Notify(t.Context(), "M", "%Q", strings.Repeat("x", n))
				room := 60 - len(`{"method":"M","params":""}`)
				if crc == framing.CRCSend {
					room -= 8
				}
				if (err == nil) != (n <= room) || err != nil && !errors.Is(err, jsonrpc.ErrTooLong) {
					t.Errorf("%v: %d bytes: %v", crc, n, err)
				}
				b.lines()
			}
			b.close()
		}
	})
}

// TestOneLine: line feeds that a handler or a caller puts between the tokens of
// JSON text do not end the frame, nor the connection.
func TestOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := sumMux()
		mux.HandleFunc("Pretty", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			w.Result([]byte("{\n  \"a\": [\n    1\n  ]\n}\n"))
		})
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux, FirstID: 5})
		for range 2 { // the second one comes from the cache
			b.send(`{"id":1,"method":"Pretty"}` + "\n")
			b.want("Pretty", `{"id":1,"result":{   "a": [     1   ] } }`)
		}
		call := start(b.conn, t.Context(), "M", "%s", "[\n1,\n2\n]")
		b.want("Call", `{"id":5,"method":"M","params":[ 1, 2 ]}`)
		b.send(`{"id":5,"result":1}` + "\n")
		if o := <-call; o.err != nil {
			t.Error(o.err)
		}
		if err := b.conn.Notify(t.Context(), "a\nb", "%Q", "\n"); err != nil {
			t.Error(err)
		}
		b.want("Notify", `{"method":"a\nb","params":"\n"}`)
		b.probe("line feeds")
		b.close()
	})
}

// TestCallFormat: arguments that do not fit the format are an error, and
// nothing is sent.
func TestCallFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := sumMux()
		mux.HandleFunc("Bad", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Resultf("[%d]", "x") })
		mux.HandleFunc("Empty", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Resultf("%s", "") })
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux, MaxInFlight: 1})
		for _, c := range []struct {
			format string
			args   []any
		}{{"[%d]", nil}, {"[%d]", []any{"x"}}, {"%Q", []any{5}}} {
			_, err := b.conn.Call(t.Context(), nil, "M", c.format, c.args...)
			if _, is := errors.AsType[*mjson.FormatError](err); !is {
				t.Errorf("Call %q %v: %v", c.format, c.args, err)
			}
			if _, is := errors.AsType[*mjson.FormatError](b.conn.Notify(t.Context(), "M", c.format, c.args...)); !is {
				t.Errorf("Notify %q %v", c.format, c.args)
			}
		}
		b.want("bad formats")
		b.send(`{"id":1,"method":"Bad"}` + "\n")
		if r := decodeReply(t, b.one()); r.Error == nil || r.Error.Code != jsonrpc.CodeInternalError {
			t.Errorf("Bad: %+v", r)
		}
		b.send(`{"id":2,"method":"Empty"}` + "\n")
		b.want("Empty", `{"id":2,"result":null}`)
		if s := b.conn.Stats(); s.Evicted != 0 {
			t.Errorf("evicted %d", s.Evicted)
		}
		b.close()
	})
}

// TestWriteQueueFull: with a peer that does not read, calls and notifications
// end after CallTimeout, answers are dropped, and the reader goes on.
func TestWriteQueueFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := sumMux()
		b := stuckBare(t, &jsonrpc.ConnOptions{Handler: mux, WriteQueue: 3, CallTimeout: 2 * time.Second})
		call := start(b.conn, t.Context(), "M", "")
		note := make(chan error, 1)
		go func() { note <- b.conn.Notify(t.Context(), "M", "") }()
		go func() { // the line holds one byte: this takes as long as the reader does
			for i := range 20 {
				fmt.Fprintf(b.peer, `{"id":%d,"method":"RPC.List"}`+"\n", i)
				fmt.Fprintf(b.peer, `{"id":"s%d","method":"Sum","params":[1,1]}`+"\n", i)
			}
		}()
		time.Sleep(2*time.Second + time.Millisecond)
		if o := <-call; o.err != jsonrpc.ErrTimeout || o.took != 2*time.Second {
			t.Errorf("Call: %v after %v", o.err, o.took)
		}
		if err := <-note; err != jsonrpc.ErrTimeout {
			t.Errorf("Notify: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if s := b.conn.Stats(); s.Received != 40 || s.Unsent != 40 {
			t.Errorf("received %d, answers dropped %d; want 40, 40", s.Received, s.Unsent)
		}
		for range 10 {
			b.lines() // now it reads
			time.Sleep(time.Second)
		}
		go b.peer.Write([]byte("\n" + probe + "\n"))
		time.Sleep(time.Second)
		var got []string
		for range 200 {
			got = append(got, b.lines()...)
		}
		if len(got) == 0 || got[len(got)-1] != probeReply {
			t.Errorf("afterwards: %q", got)
		}
		b.close()
	})
}

// TestRetriesJoinAndReplay: a call that is repeated while it is queued or
// running joins it; afterwards it gets the same answer, for ten seconds and
// for the last 32 calls; reads run again.
func TestRetriesJoinAndReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int64
		release := make(chan struct{})
		mux := blockMux(release)
		mux.HandleFunc("Count", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Resultf("%d", ran.Add(1)) })
		mux.HandleFunc("Sys.Count", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Resultf("%d", ran.Add(1)) })
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux})
		b.send(`{"id":1,"method":"Block"}` + "\n")
		for range 3 {
			b.send(`{"id":2,"method":"Count"}` + "\n" + `{"id":1,"method":"Block"}` + "\n")
		}
		b.want("joined")
		close(release)
		b.want("released", `{"id":1,"result":null}`, `{"id":2,"result":1}`)
		b.send(`{"id":2,"method":"Count"}` + "\n")
		b.want("replayed", `{"id":2,"result":1}`)
		for i := range 2 {
			b.send(`{"id":3,"method":"Sys.Count"}` + "\n")
			b.want("a read", fmt.Sprintf(`{"id":3,"result":%d}`, 2+i))
		}
		if s := b.conn.Stats(); s.Joined != 5 || s.Replayed != 1 {
			t.Errorf("%+v", s)
		}
		for i := range 31 {
			b.send(fmt.Sprintf(`{"id":"n%d","method":"Count"}`+"\n", i))
			b.one()
		}
		b.send(`{"id":2,"method":"Count"}` + "\n")
		b.want("31 calls later", `{"id":2,"result":1}`)
		b.send(`{"id":"one more","method":"Count"}` + "\n")
		b.one()
		b.send(`{"id":1,"method":"Block"}` + "\n") // the first to be forgotten
		b.want("Block", `{"id":1,"result":null}`)
		b.send(`{"id":"n30","method":"Count"}` + "\n")
		b.want("n30", `{"id":"n30","result":34}`)
		if n := ran.Load(); n != 35 {
			t.Errorf("ran %d times", n)
		}
		time.Sleep(11 * time.Second)
		b.send(`{"id":"n30","method":"Count"}` + "\n")
		b.want("after ten seconds", `{"id":"n30","result":36}`)
		b.conn.NewSession()
		b.send(`{"id":"n30","method":"Count"}` + "\n")
		b.want("a new session", `{"id":"n30","result":37}`)
		b.close()
	})
}

// TestCodes: the door's dialect reaches every error.
func TestCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: sumMux(), Codes: jsonrpc.ManagementCode})
		for f, code := range map[string]int{
			`{"id":1,"method":"Nope"}`: 404, `{"id":2,"method":"Sum"}`: 400, `{"id":3,"method":"Fail"}`: 500,
			`{"id":4,"method":"Panic"}`: 500, `{"id":5,"method":"Sum","method":"x"}`: 400, `{"id":6,"method":"Sum","params":[}`: 400,
		} {
			b.send(f + "\n")
			if r := decodeReply(t, b.one()); r.Error == nil || r.Error.Code != code {
				t.Errorf("%s: %+v", f, r.Error)
			}
		}
		b.close()
	})
}

// TestReplyCacheSessions: an answer to a call of an earlier session does not
// become the remembered answer to a call of this one.
func TestReplyCacheSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var parked []*jsonrpc.Response
		var mux jsonrpc.Mux
		mux.HandleFunc("Park", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { parked = append(parked, w.Detach()) })
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: &mux, MaxHandlers: 100})
		const call = `{"id":1,"method":"Park"}` + "\n"
		b.send(call + `{"method":"Sys.Init"}` + "\n")
		for i := range 31 { // so that the call takes the place of the one before
			b.send(fmt.Sprintf(`{"id":"n%d","method":"Park"}`+"\n", i))
		}
		b.send(call)
		if len(parked) != 33 {
			t.Fatalf("%d calls", len(parked))
		}
		parked[0].Result([]byte("1"))
		b.lines()
		b.send(call)
		b.want("a retry of the second call")
		parked[32].Result([]byte("2"))
		b.want("the second call", `{"id":1,"result":2}`)
		b.send(call)
		b.want("a retry", `{"id":1,"result":2}`)
		b.close()
	})
}

// TestReplyCacheFull: while 32 calls run, one more is not remembered, and they
// are not forgotten.
func TestReplyCacheFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var parked []*jsonrpc.Response
		var mux jsonrpc.Mux
		mux.HandleFunc("Park", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { parked = append(parked, w.Detach()) })
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: &mux, MaxHandlers: 100})
		for i := range 40 {
			b.send(fmt.Sprintf(`{"id":%d,"method":"Park"}`+"\n", i))
		}
		for i := range 32 {
			b.send(fmt.Sprintf(`{"id":%d,"method":"Park"}`+"\n", i))
		}
		if s := b.conn.Stats(); s.Joined != 32 || len(parked) != 40 {
			t.Errorf("joined %d, calls %d", s.Joined, len(parked))
		}
		for _, d := range parked {
			d.Result(nil)
		}
		if n := len(b.lines()); n != 40 {
			t.Errorf("%d answers", n)
		}
		b.close()
	})
}

// TestReplyCacheOtherBody: an id with another body, of the same length too, is
// another call, and then ids mean nothing until the next session.
func TestReplyCacheOtherBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: sumMux()})
		for _, s := range []struct{ send, want string }{
			{`{"id":1,"method":"Sum","params":[1,2]}`, `{"id":1,"result":3}`},
			{`{"id":1,"method":"Sum","params":[2,2]}`, `{"id":1,"result":4}`},
			{`{"id":1,"method":"Sum","params":[1,2]}`, `{"id":1,"result":3}`},
			{`{"id":1,"method":"Sum","params":[2,2]}`, `{"id":1,"result":4}`},
		} {
			b.send(s.send + "\n")
			b.want(s.send, s.want)
		}
		if s := b.conn.Stats(); s.Replayed != 0 || s.Joined != 0 {
			t.Errorf("%+v", s)
		}
		b.close()
	})
}

// TestCallTimerReuse: an answer that comes in the instant of the timeout leaves
// nothing behind that could end a later call without a timeout of its own.
func TestCallTimerReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mux jsonrpc.Mux
		mux.HandleFunc("Wait", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			ms, _ := r.Arg(0).Int()
			time.Sleep(time.Duration(ms) * time.Millisecond)
		})
		l := newLink(t, t.Context(), nil, nil, &jsonrpc.ConnOptions{CallTimeout: 5 * time.Millisecond}, &jsonrpc.ConnOptions{Handler: &mux})
		ctx, cancel := context.WithTimeout(t.Context(), 1e6*time.Hour)
		defer cancel()
		timeouts := 0
		for range heavy(50_000) {
			_, err := l.a.Call(t.Context(), nil, "Wait", "[5]")
			if err != nil && err != jsonrpc.ErrTimeout {
				t.Fatal(err)
			}
			if err != nil {
				timeouts++
			}
			if _, err := l.a.Call(ctx, nil, "Wait", "[1]"); err != nil {
				t.Fatalf("a call without a timeout: %v", err)
			}
		}
		t.Logf("%d calls ended by the timeout", timeouts)
		l.close()
	})
}

// TestErrorText: whatever an error says, the caller gets it: long texts cut
// between characters, bytes that are not UTF-8 replaced.
func TestErrorText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text string
		var mux jsonrpc.Mux
		mux.HandleFunc("Go", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Fail(errors.New(text)) })
		mux.HandleFunc("Own", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Error(5, text) })
		mux.HandleFunc("Late", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Detach().Fail(errors.New(text)) })
		l := newLink(t, t.Context(), nil, nil, nil, &jsonrpc.ConnOptions{Handler: &mux})
		for in, out := range map[string]string{
			"":                                "",
			"plain":                           "plain",
			"q\"\\\n\x00\x7f/é€😀":             "q\"\\\n\x00\x7f/é€😀",
			"bad \xff\xc0\xaf end":            "bad \ufffd end",
			strings.Repeat("é", 300):          strings.Repeat("é", 128),
			strings.Repeat("€", 300):          strings.Repeat("€", 85),
			"x" + strings.Repeat("\xff", 400): "x\ufffd",
		} {
			text = in
			for _, method := range []string{"Go", "Own", "Late"} {
				_, err := l.a.Call(t.Context(), nil, method, "")
				e, is := errors.AsType[*jsonrpc.Error](err)
				if method == "Own" && len(in) > jsonrpc.MaxErrorText { // only Go errors are cut
					if !is {
						t.Errorf("%s %q: %v", method, in, err)
					}
				} else if !is || e.Message != out {
					t.Errorf("%s %q: %v", method, in, err)
				}
			}
		}
		l.close()
	})
}

// With retries a call is never so far ahead of the oldest one that the peer has
// forgotten it.
func TestRetryWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Retries: 2, FirstID: 100, MaxInFlight: 50})
		var calls sync.WaitGroup
		calls.Go(func() {
			if got, err := b.conn.Call(t.Context(), nil, "Slow", ""); err != nil || string(got) != `"slow"` {
				t.Errorf("Slow: %s, %v", got, err)
			}
		})
		b.want("the oldest", `{"id":100,"method":"Slow"}`)
		for i := range 60 {
			calls.Go(func() {
				if _, err := b.conn.Call(t.Context(), nil, "Quick", "[%d]", i); err != nil {
					t.Errorf("Quick %d: %v", i, err)
				}
			})
		}
		answer := func() (n int) {
			for _, l := range b.lines() {
				if id := mjson.Find([]byte(l), "$.id").Raw; string(id) != "100" {
					b.send(string(jsonrpc.AppendResult(nil, id, []byte("1"))) + "\n")
					n++
				}
			}
			return n
		}
		if n := answer(); n != 31 {
			t.Errorf("%d calls beside the oldest one, want 31", n)
		}
		if n := answer(); n != 0 {
			t.Errorf("%d more calls while the oldest one waits", n)
		}
		b.send(`{"id":100,"result":"slow"}` + "\n")
		for answer() > 0 {
		}
		calls.Wait()
		b.close()
	})
}

// TestDamagedCall: a peer that could not parse a call gets it again, as long as
// retries are left; the last such answer is the error of the call.
func TestDamagedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Retries: 2, FirstID: 7})
		ended := make(chan error, 1)
		go func() {
			_, err := b.conn.Call(t.Context(), nil, "M", "")
			ended <- err
		}()
		for range 3 {
			b.want("the call", `{"id":7,"method":"M"}`)
			b.send(`{"id":7,"error":{"code":-32700,"message":"damaged"}}` + "\n")
		}
		e, is := errors.AsType[*jsonrpc.Error](<-ended)
		if !is || e.Code != jsonrpc.CodeParseError {
			t.Errorf("got %v", e)
		}
		if s := b.conn.Stats(); s.Retried != 2 || time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) > time.Second {
			t.Errorf("retried %d times", s.Retried)
		}
		b.close()
	})
}

// TestNotifyWritten: it returns when the bytes have left, not when they are
// queued, and with the fate of the frame otherwise.
func TestNotifyWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t, t.Context(), &wire.Options{Baud: 9600}, nil, nil, &jsonrpc.ConnOptions{Handler: sumMux()})
		defer l.close()
		start := time.Now()
		if err := l.a.Notify(t.Context(), "Note", "%Q", strings.Repeat("x", 93)); err != nil || time.Since(start) != 0 {
			t.Errorf("Notify: %v after %v", err, time.Since(start))
		}
		// 33 bytes of it and 123 of the one before, 10 bits each.
		if err := l.a.NotifyWritten(t.Context(), "Note", "[1,2]"); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d.Round(100*time.Microsecond) != 1625*100*time.Microsecond {
			t.Errorf("written after %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := l.a.NotifyWritten(ctx, "Note", "%Q", strings.Repeat("x", 93)); err != context.DeadlineExceeded {
			t.Errorf("no time: %v", err)
		}
		// That one was being written. One that waits is not sent any more.
		sent := l.a.Stats().Sent
		if err := l.a.NotifyWritten(ctx, "Note", ""); err != context.DeadlineExceeded {
			t.Errorf("no time: %v", err)
		}
		if l.a.Notify(t.Context(), "Note", "%Q", strings.Repeat("x", 93)) != nil {
			t.Error("Notify")
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := l.a.NotifyWritten(ctx, "Note", "[3]"); err != context.DeadlineExceeded {
			t.Errorf("no time: %v", err)
		}
		time.Sleep(time.Second)
		if got := l.a.Stats().Sent - sent; got != 2 {
			t.Errorf("%d frames sent, want 2", got)
		}
		time.AfterFunc(time.Millisecond, func() { l.a.Close() })
		if err := l.a.NotifyWritten(t.Context(), "Note", ""); err != jsonrpc.ErrClosed {
			t.Errorf("closed: %v", err)
		}
	})
}
