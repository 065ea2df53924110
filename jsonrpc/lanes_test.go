package jsonrpc_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// scribe logs what handlers do, with the virtual time since its beginning.
type scribe struct {
	mu    sync.Mutex
	start time.Time
	log   []string
}

func (s *scribe) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, fmt.Sprintf("%v ", time.Since(s.start))+fmt.Sprintf(format, args...))
}

func (s *scribe) want(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.log, want) {
		t.Errorf("got  %q\nwant %q", s.log, want)
	}
	s.log = nil
}

// laneMux has handlers of every lane that take the milliseconds of their first
// argument.
func laneMux(s *scribe) *jsonrpc.Mux {
	m := &jsonrpc.Mux{}
	slow := jsonrpc.HandlerFunc(func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		name := fmt.Sprintf("%s %s", r.Method(), r.Arg(1).Raw)
		s.note("%s begins", name)
		ms, _ := r.Arg(0).Int()
		time.Sleep(time.Duration(ms) * time.Millisecond)
		s.note("%s ends", name)
	})
	m.Handle("Ordered", slow)
	m.Handle("Beside", jsonrpc.In(jsonrpc.Beside, slow))
	m.Handle("Now", jsonrpc.In(jsonrpc.Immediate, slow))
	return m
}

func TestLaneOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scribe{start: time.Now()}
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: laneMux(s), NoReplyCache: true})
		// Requests and notifications share the lane, in order, one at a time.
		b.send(`{"id":1,"method":"Ordered","params":[30,1]}
{"method":"Ordered","params":[0,2]}{"method":"Ordered","params":[10,3]}
{"id":4,"method":"Ordered","params":[0,4]}
{"id":5,"method":"Beside","params":[5,5]}
{"id":6,"method":"Now","params":[0,6]}
`)
		time.Sleep(time.Second)
		s.mu.Lock()
		slices.Sort(s.log[:4]) // the first three begin at the same time, the last ends at once
		s.mu.Unlock()
		s.want(t, "0s Beside 5 begins", "0s Now 6 begins", "0s Now 6 ends", "0s Ordered 1 begins",
			"5ms Beside 5 ends", "30ms Ordered 1 ends", "30ms Ordered 2 begins", "30ms Ordered 2 ends",
			"30ms Ordered 3 begins", "40ms Ordered 3 ends", "40ms Ordered 4 begins", "40ms Ordered 4 ends")
		b.want("lanes", `{"id":6,"result":null}`, `{"id":5,"result":null}`, `{"id":1,"result":null}`, `{"id":4,"result":null}`)
		b.close()
	})
}

// TestLaneOneAtATime: however handlers leave the lane, no two that have not
// called out run at once, and all start in order.
func TestLaneOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		var started []int64
		mux := &jsonrpc.Mux{}
		var b *bare
		enter := func(r *jsonrpc.Request) {
			n, _ := r.Arg(0).Int()
			started = append(started, n) // a race if two run at once
			if now := running.Add(1); now > most.Load() {
				most.Store(now)
			}
			time.Sleep(time.Millisecond)
		}
		mux.HandleFunc("Plain", func(_ context.Context, _ *jsonrpc.Response, r *jsonrpc.Request) {
			enter(r)
			running.Add(-1)
		})
		mux.HandleFunc("Calls", func(ctx context.Context, _ *jsonrpc.Response, r *jsonrpc.Request) {
			enter(r)
			running.Add(-1)
			b.conn.Call(ctx, nil, "Peer", "") // the lane is free from here on
		})
		mux.HandleFunc("Detaches", func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			enter(r)
			running.Add(-1)
			d := w.Detach()
			go func() { // with the ctx of a handler that has returned
				_, err := b.conn.Call(ctx, nil, "Peer", "")
				d.Fail(err)
			}()
		})
		b = newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux, QueueLen: 1000, WriteQueue: 1000, MaxInFlight: 1000, MaxHandlers: 1000, CallTimeout: time.Second})
		var text strings.Builder
		const n = 300
		for i := range n {
			fmt.Fprintf(&text, `{"id":%d,"method":"%s","params":[%d]}`+"\n", i, []string{"Plain", "Calls", "Detaches"}[i*7%3], i)
		}
		b.send(text.String())
		time.Sleep(10 * time.Second)
		b.close()
		if most.Load() != 1 {
			t.Errorf("%d handlers of the ordered lane ran at once", most.Load())
		}
		if len(started) != n || !slices.IsSorted(started) {
			t.Errorf("%d of %d handlers started, in order: %v", len(started), n, slices.IsSorted(started))
		}
	})
}

// TestLaneFree: the lane is free while a handler waits in a call that was given
// its ctx, not while it waits in another one.
func TestLaneFree(t *testing.T) {
	for _, own := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := &scribe{start: time.Now()}
			mux := laneMux(s)
			var b *bare
			mux.HandleFunc("Calls", func(ctx context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
				if !own {
					ctx = t.Context()
				}
				ctx = context.WithValue(ctx, s, "derived")
				res, err := b.conn.Call(ctx, nil, "Peer", "")
				s.start = s.start.Add(time.Since(s.start) % time.Millisecond) // reading takes a nanosecond
				s.note("called %s %v", res, err)
			})
			b = newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux, FirstID: 9})
			b.send(`{"id":1,"method":"Calls"}{"method":"Ordered","params":[0,1]}` + "\n")
			b.want("Calls", `{"id":9,"method":"Peer"}`)
			time.Sleep(5 * time.Millisecond)
			b.send(`{"id":9,"result":7}` + "\n")
			if own {
				s.want(t, "0s Ordered 1 begins", "0s Ordered 1 ends", "5ms called 7 <nil>")
			} else {
				s.want(t, "5ms called 7 <nil>", "5ms Ordered 1 begins", "5ms Ordered 1 ends")
			}
			b.want("the result", `{"id":1,"result":null}`)
			b.close()
		})
	}
}

// TestLaneManyWaiting: more handlers wait in calls than there may be. All calls
// end, and afterwards the connection works.
func TestLaneManyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := sumMux()
		var b *bare
		mux.HandleFunc("Calls", func(ctx context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			_, err := b.conn.Call(ctx, nil, "Peer", "")
			w.Fail(err)
		})
		b = newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux, MaxHandlers: 4, QueueLen: 3})
		for i := range 12 {
			b.send(fmt.Sprintf(`{"id":%d,"method":"Calls"}`+"\n", i))
		}
		start := time.Now()
		got := map[int]int{}
		for time.Since(start) < time.Minute {
			for _, l := range b.lines() {
				if r := decodeReply2(l); r.Error != nil {
					got[r.Error.Code]++
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		if got[jsonrpc.CodeTimeout]+got[jsonrpc.CodeBusy] != 12 || got[jsonrpc.CodeBusy] == 0 {
			t.Errorf("answers by code: %v, want 12 of 504 and 429", got)
		}
		b.probe("overload")
		b.close()
	})
}

func TestBesideLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scribe{start: time.Now()}
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: laneMux(s), MaxBeside: 2})
		b.send(`{"id":1,"method":"Beside","params":[10,1]}
{"id":2,"method":"Beside","params":[20,2]}
{"id":3,"method":"Beside","params":[0,3]}
{"method":"Beside","params":[0,4]}
`)
		b.want("the limit", `{"id":3,"error":{"code":429,"message":"busy"}}`)
		time.Sleep(15 * time.Millisecond)
		b.want("the first", `{"id":1,"result":null}`)
		b.send(`{"id":3,"method":"Beside","params":[0,3]}` + "\n") // the refusal was not remembered
		b.want("again", `{"id":3,"result":null}`)
		time.Sleep(15 * time.Millisecond)
		b.want("the second", `{"id":2,"result":null}`)
		if st := b.conn.Stats(); st.Busy != 2 {
			t.Errorf("busy %d, want 2", st.Busy)
		}
		b.close()
	})
}

// TestLanePanics: a panic in any lane is an internal error, keeps nothing of
// the answer that was begun, and the lane goes on.
func TestLanePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := sumMux()
		for name, lane := range map[string]jsonrpc.Lane{"O": jsonrpc.Ordered, "B": jsonrpc.Beside, "I": jsonrpc.Immediate} {
			mux.Handle(name, jsonrpc.In(lane, jsonrpc.HandlerFunc(func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
				if r.Arg(0).Exists() {
					w.Result([]byte(`"half"`))
				}
				panic("a bug of the handler")
			})))
		}
		mux.HandleFunc("Detached", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			d := w.Detach()
			time.AfterFunc(time.Second, func() { d.Result([]byte("1")) })
			panic(errors.New("after Detach"))
		})
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux})
		for i, m := range []string{"O", "B", "I", "O", "B", "I"} {
			params := ""
			if i > 2 {
				params = `,"params":[1]`
			}
			b.send(fmt.Sprintf(`{"id":%d,"method":%q%s}`+"\n", i, m, params))
			if r := decodeReply(t, b.one()); r.Error == nil || r.Error.Code != jsonrpc.CodeInternalError || string(r.ID) != fmt.Sprint(i) {
				t.Errorf("lane %s: %+v", m, r)
			}
			b.send(fmt.Sprintf(`{"method":%q}`+"\n", m))
			b.want("a notification")
			b.probe(m)
			b.send(fmt.Sprintf(`{"method":"Sys.Init"}` + "\n"))
		}
		b.send(`{"id":9,"method":"Detached"}` + "\n")
		b.want("the panic after Detach")
		time.Sleep(time.Second)
		b.want("the answer", `{"id":9,"result":1}`)
		b.close()
	})
}

// TestDetachLimits: too many detached answers are refused, answers to
// notifications and second answers go nowhere, and late ones do no harm.
func TestDetachLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := sumMux()
		var parked []*jsonrpc.Response
		mux.HandleFunc("Park", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			parked = append(parked, w.Detach())
			w.Result([]byte(`"dropped"`))
		})
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux, MaxHandlers: 3})
		for i := range 3 {
			b.send(fmt.Sprintf(`{"id":%d,"method":"Park"}{"method":"Park"}`+"\n", i))
		}
		b.want("parked")
		b.send(`{"id":"x","method":"Park"}` + "\n")
		b.want("too many", `{"id":"x","error":{"code":429,"message":"busy"}}`)
		b.send(`{"id":0,"method":"Park"}` + "\n") // a retry joins
		b.want("a retry")
		for i, d := range slices.Backward(parked) {
			d.Resultf("%d", i)
			d.Error(1, "second")
		}
		b.want("answers", `{"id":2,"result":4}`, `{"id":1,"result":2}`, `{"id":0,"result":0}`)
		b.send(`{"id":1,"method":"Park"}` + "\n")
		b.want("a retry after the answer", `{"id":1,"result":2}`)
		parked = nil
		b.send(`{"id":7,"method":"Park"}` + "\n")
		b.close()
		parked[0].Result(nil) // after the end
	})
}

// TestDetachStuck: whoever gives a detached answer does not wait for a peer that
// takes nothing. Answers that find no room still count as detached.
func TestDetachStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := sumMux()
		var parked []*jsonrpc.Response
		mux.HandleFunc("Park", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { parked = append(parked, w.Detach()) })
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux, MaxHandlers: 5, WriteQueue: 1})
		b.end.Stall(true)
		for i := range 5 {
			b.send(fmt.Sprintf(`{"id":%d,"method":"Park"}`+"\n", i))
		}
		begin := time.Now()
		for _, d := range parked {
			d.Result([]byte("1"))
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("waited for %v", d)
		}
		for i := 5; i < 8; i++ { // there is room for two: one is being written, one queued
			b.send(fmt.Sprintf(`{"id":%d,"method":"Park"}`+"\n", i))
		}
		if st := b.conn.Stats(); st.Busy != 1 {
			t.Errorf("busy %d", st.Busy)
		}
		b.end.Stall(false)
		time.Sleep(time.Second)
		if n := len(b.lines()); n != 5+1 {
			t.Errorf("%d answers", n)
		}
		b.close()
		parked[5].Result(nil) // after the end
	})
}

// TestRunWaits: Run returns only after every handler has, handlers see the end
// in their ctx, and those that wait in the queue do not start any more.
func TestRunWaits(t *testing.T) {
	for name, end := range map[string]func(b *bare, cancel func()){
		"Close":  func(b *bare, _ func()) { b.conn.Close() },
		"cancel": func(_ *bare, cancel func()) { cancel() },
		"EOF":    func(b *bare, _ func()) { b.peer.Close() },
		"broken": func(b *bare, _ func()) { b.end.Unplug() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scribe{start: time.Now()}
				mux := laneMux(s)
				stuck := jsonrpc.HandlerFunc(func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
					<-ctx.Done()
					time.Sleep(3 * time.Second)
					w.Result(r.Params())
					s.note("stuck ends")
				})
				mux.Handle("Stuck", stuck)
				mux.Handle("StuckBeside", jsonrpc.In(jsonrpc.Beside, stuck))
				b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b2 := &bare{t: t, ended: make(chan error, 1)}
				b2.end, b2.peer = wire.Pair(nil)
				_ = b.close()
				b2.conn = jsonrpc.NewConn(newFramer(b2.end), &jsonrpc.ConnOptions{Handler: mux})
				go func() { b2.ended <- b2.conn.Run(ctx) }()
				b2.send(`{"id":1,"method":"Stuck"}` + "\n" + `{"id":2,"method":"StuckBeside"}` + "\n")
				for i := range 20 {
					b2.send(fmt.Sprintf(`{"id":"q%d","method":"Ordered","params":[0,0]}`+"\n", i))
				}
				end(b2, cancel)
				err := <-b2.ended
				if (err == nil) != (name == "Close" || name == "cancel") {
					t.Errorf("Run: %v", err)
				}
				if name == "EOF" { // what was asked for before the end may still be answered
					s.want(t, "4s stuck ends", "4s stuck ends")
				} else {
					s.want(t, "3s stuck ends", "3s stuck ends")
				}
				b2.conn.Close()
				b2.peer.Close()
				if err := b2.conn.Run(ctx); err == nil {
					t.Error("Run a second time")
				}
			})
		})
	}
}

// TestRunEarlyEnds: a connection that is closed, or whose ctx is over, before
// Run.
func TestRunEarlyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, peer := wire.Pair(nil)
		defer peer.Close()
		c := jsonrpc.NewConn(newFramer(end), nil)
		c.Close()
		c.Close()
		if err := c.Run(t.Context()); err != nil {
			t.Errorf("after Close: %v", err)
		}
		end, peer2 := wire.Pair(nil)
		defer peer2.Close()
		c = jsonrpc.NewConn(newFramer(end), nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Run(ctx); err != nil {
			t.Errorf("with a ctx that is over: %v", err)
		}
		<-c.Done()
	})
}

// TestLaneChains: handlers on both sides call each other, more of them than may
// wait. Some are refused, none waits for a timeout.
func TestLaneChains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l *link
		chain := func(peer func() *jsonrpc.Conn) *jsonrpc.Mux {
			m := &jsonrpc.Mux{}
			m.HandleFunc("Chain", func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
				n, _ := r.Arg(0).Int()
				if n > 0 {
					if _, err := peer().Call(ctx, nil, "Chain", "[%d]", n-1); err != nil {
						w.Fail(err)
						return
					}
				}
				w.Resultf("%d", n)
			})
			return m
		}
		opts := func(m *jsonrpc.Mux) *jsonrpc.ConnOptions {
			return &jsonrpc.ConnOptions{Handler: m, MaxHandlers: 8, MaxInFlight: 100}
		}
		l = newLink(t, t.Context(), nil, nil, opts(chain(func() *jsonrpc.Conn { return l.a })), opts(chain(func() *jsonrpc.Conn { return l.b })))
		synctest.Wait()
		start := time.Now()
		var done sync.WaitGroup
		var good, busy atomic.Int64
		for range 12 {
			for _, c := range []*jsonrpc.Conn{l.a, l.b} {
				done.Go(func() {
					switch _, err := c.Call(t.Context(), nil, "Chain", "[3]"); {
					case err == nil:
						good.Add(1)
					case errors.Is(err, jsonrpc.ErrBusy):
						busy.Add(1)
					default:
						t.Error(err)
					}
				})
			}
		}
		done.Wait()
		if took := time.Since(start); took > time.Second {
			t.Errorf("%d good, %d busy after %v", good.Load(), busy.Load(), took)
		}
		if got, err := l.a.Call(t.Context(), nil, "Chain", "[3]"); err != nil || string(got) != "3" {
			t.Errorf("afterwards: %s, %v", got, err)
		}
		l.close()
	})
}

// TestLaneGoexit: a handler that ends its goroutine is answered for, and the
// lane goes on.
func TestLaneGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := sumMux()
		mux.HandleFunc("Exit", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) { runtime.Goexit() })
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux})
		for range 3 {
			b.send(`{"id":"x","method":"Exit"}` + "\n")
			if got := b.one(); !strings.Contains(got, `"code":-32603`) {
				t.Errorf("got %s", got)
			}
			b.conn.NewSession()
		}
		b.probe("Goexit")
		b.close()
	})
}
