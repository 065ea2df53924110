package jsonrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// TestU6HostResets: the host resets after each byte of a request, and at each
// byte of the reply, and starts a new session in different ways. The session is
// usable within one call, and no handler runs twice for an id in a session.
func TestU6HostResets(t *testing.T) {
	const request = `{"id":1,"method":"Count","params":[2,3]}` + "\n"
	points := 0
	for _, boot := range []struct {
		name     string
		says     string        // when it has started
		gap      time.Duration // how long that takes
		lost     int           // calls that may be lost
		sameSess bool          // nobody tells that the session is new
	}{
		{"LF and Sys.Init", "\n" + `{"method":"Sys.Init"}` + "\n", 0, 0, false},
		{"Sys.Init glued to the rest", `{"method":"Sys.Init"}` + "\n", 0, 1, true},
		{"Sys.Init after a second", `{"method":"Sys.Init"}` + "\n", 1100 * time.Millisecond, 0, false},
		{"LF only", "\n", 0, 0, true},
		{"nothing", "", 0, 1, true},
		{"nothing, after a second", "", 1100 * time.Millisecond, 0, true},
		{"boot text", "ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n\x00\xff\n" + `{"method":"Sys.Init"}` + "\n", 0, 0, false},
	} {
		for cut := 0; cut <= len(request); cut++ {
			points++
			synctest.Test(t, func(t *testing.T) {
				var ran atomic.Int64
				var mux jsonrpc.Mux
				mux.HandleFunc("Count", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Resultf("%d", ran.Add(1)) })
				b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: &mux})
				b.send(request[:cut])
				whole := cut >= len(request)-1
				if whole { // without its LF too, after a while
					time.Sleep(60 * time.Millisecond)
				}
				synctest.Wait()
				before := ran.Load()
				if before > 1 || before == 1 && !whole {
					t.Fatalf("%s, cut at %d: the handler ran %d times", boot.name, cut, before)
				}
				b.lines() // lost with the host
				b.send("")
				time.Sleep(boot.gap)
				b.send(boot.says)
				b.lines()
				lost := 0
				for ; ; lost++ {
					b.send(request)
					if l := b.lines(); len(l) > 0 {
						if r := decodeReply(t, l[len(l)-1]); r.Result != nil {
							break
						}
					}
					if lost >= boot.lost {
						t.Fatalf("%s, cut at %d: %d calls lost", boot.name, cut, lost+1)
					}
				}
				want := before + 1
				if whole && boot.sameSess && boot.name != "Sys.Init glued to the rest" {
					want = before // the call is taken for a retry
				}
				if got := ran.Load(); got != want {
					t.Errorf("%s, cut at %d: the handler ran %d times, want %d", boot.name, cut, got, want)
				}
				b.send("\n" + request + request) // retries
				if got := ran.Load(); got != want {
					t.Errorf("%s, cut at %d: after retries the handler ran %d times, want %d", boot.name, cut, got, want)
				}
				b.close()
			})
		}
	}
	// The module calls, the host resets at each byte of its reply.
	const reply = `{"id":7,"result":"abc"}` + "\n"
	for cut := range len(reply) - 1 {
		points++
		synctest.Test(t, func(t *testing.T) {
			b := newBare(t, nil, nil, &jsonrpc.ConnOptions{FirstID: 7, Handler: sumMux()})
			first := start(b.conn, t.Context(), "M", "")
			b.send(reply[:cut])
			time.Sleep(100 * time.Millisecond)
			b.send("\n" + `{"method":"Sys.Init"}` + "\n")
			b.lines()
			second := start(b.conn, t.Context(), "M", "")
			b.send(`{"id":8,"result":2}` + "\n")
			if o := <-second; o.res != "2" || o.err != nil {
				t.Errorf("cut at %d: %+v", cut, o)
			}
			if o := <-first; o.err != jsonrpc.ErrTimeout {
				t.Errorf("cut at %d: the call in progress: %+v", cut, o)
			}
			b.lines()
			b.probe("a reset")
			b.close()
		})
	}
	t.Logf("%d resets", points)
}

// TestU6ModuleReopens: the connection is made anew, as when the port was opened
// again: replies of the old session fit nothing.
func TestU6ModuleReopens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		same := 0
		for range 50 {
			b := newBare(t, nil, nil, nil)
			start(b.conn, t.Context(), "M", "")
			id := string(decodeReply2(b.one()).ID)
			b.close()
			b2 := newBare(t, nil, nil, nil)
			call := start(b2.conn, t.Context(), "M", "")
			if string(decodeReply2(b2.one()).ID) == id {
				same++ // one in 65536
			} else {
				b2.send(`{"id":` + id + `,"result":"old"}` + "\n")
				select {
				case o := <-call:
					t.Errorf("an old reply ended a new call: %+v", o)
				default:
				}
			}
			b2.close()
		}
		if same > 2 {
			t.Errorf("%d of 50 connections began with the same id", same)
		}
	})
}

var errEIO = fmt.Errorf("tty: %w", syscall.EIO)

// timeout is an error as EAGAIN looks like after a read deadline.
type timeout struct{}

func (timeout) Error() string { return "resource temporarily unavailable" }
func (timeout) Timeout() bool { return true }

// flaky is a port whose call number at fails in the given way.
type flaky struct {
	*wire.End
	mu    sync.Mutex
	calls int
	at    int
	how   string
	hit   bool
	gone  bool
}

// step counts a call and reports whether it is to fail.
func (f *flaky) step() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.calls-1 == f.at {
		f.hit = true
		f.gone = f.how == "disappears"
	}
	return f.calls-1 == f.at || f.gone
}

func (f *flaky) Read(p []byte) (int, error) {
	if !f.step() {
		return f.End.Read(p)
	}
	switch f.how {
	case "EAGAIN":
		return 0, timeout{}
	case "short":
		return f.End.Read(p[:1])
	}
	return 0, errEIO
}

func (f *flaky) Write(p []byte) (int, error) {
	if !f.step() {
		return f.End.Write(p)
	}
	switch f.how {
	case "EAGAIN":
		return 0, timeout{}
	case "short":
		return f.End.Write(p[:len(p)/2])
	}
	return 0, errEIO
}

// Close lets the port fail no more.
func (f *flaky) Close() error {
	f.mu.Lock()
	f.at = -1
	f.mu.Unlock()
	return f.End.Close()
}

func (f *flaky) SetReadDeadline(t time.Time) error {
	if f.step() {
		return errEIO
	}
	return f.End.SetReadDeadline(t)
}

// TestU8PortFails: the port fails at each of its calls, in each way. Run
// returns an error that tells why, every call ends, the next connection works
// at once, and no goroutine is left (the bubble would not end).
func TestU8PortFails(t *testing.T) {
	cycles := map[string]int{}
	for _, how := range []string{"EIO", "EAGAIN", "short", "disappears"} {
		for at := 0; ; at++ {
			more := false
			synctest.Test(t, func(t *testing.T) { more = portFails(t, how, at) })
			cycles[how]++
			if !more || t.Failed() {
				break
			}
		}
	}
	rounds := 1000
	for i := 0; i < heavy(10*rounds) && !t.Failed(); i++ {
		how := []string{"EIO", "EAGAIN", "short", "disappears"}[i%4]
		synctest.Test(t, func(t *testing.T) { portFails(t, how, i/4%20) })
		cycles["again"]++
	}
	t.Logf("cycles: %v", cycles)
}

// portFails is one cycle; it reports whether the fault was met.
func portFails(t *testing.T, how string, at int) bool {
	end, peerEnd := wire.Pair(&wire.Options{Silent: true})
	peer := jsonrpc.NewConn(framing.NewConn(peerEnd, nil), &jsonrpc.ConnOptions{Handler: sumMux()})
	peerEnded := make(chan error, 1)
	go func() { peerEnded <- peer.Run(t.Context()) }()
	defer func() { peer.Close(); <-peerEnded }()

	port := &flaky{End: end, at: at, how: how}
	session := func(p framing.Port) (ok int, err error) {
		c := jsonrpc.NewConn(framing.NewConn(p, nil), &jsonrpc.ConnOptions{Handler: sumMux(), Retries: 1})
		ended := make(chan error, 1)
		go func() { ended <- c.Run(t.Context()) }()
		for i := range 3 {
			if res, err := c.Call(t.Context(), nil, "Sum", "[%d,1]", i); err == nil && string(res) == fmt.Sprint(i+1) {
				ok++
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if res, err := peer.Call(ctx, nil, "Sum", "[%d,2]", i); err == nil && string(res) == fmt.Sprint(i+2) {
				ok++
			}
			cancel()
		}
		synctest.Wait() // what fails now has failed before Close
		select {
		case err = <-ended:
		default:
			c.Close()
			err = <-ended
		}
		return ok, err
	}
	ok, err := session(port)
	port.mu.Lock()
	hit := port.hit
	port.mu.Unlock()
	want := map[string]error{"EIO": syscall.EIO, "EAGAIN": timeout{}, "short": io.ErrShortWrite, "disappears": syscall.EIO}[how]
	switch {
	case err != nil && !errors.Is(err, want):
		t.Errorf("%s at %d: Run: %v", how, at, err)
	case err == nil && ok != 6:
		t.Errorf("%s at %d: the connection lives, but %d of 6 calls succeeded", how, at, ok)
	case err == nil && hit && how == "disappears":
		t.Errorf("%s at %d: Run does not tell", how, at)
	}
	begin := time.Now()
	if ok, err := session(end.Reopen()); err != nil || ok != 6 || time.Since(begin) > 2*time.Second {
		t.Errorf("%s at %d: the next connection: %v, %d of 6 calls, %v", how, at, err, ok, time.Since(begin))
	}
	return hit
}

// A reply to a request of the session before is not sent: its id may belong to
// another request by now.
func TestStaleReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := sumMux()
		slow := func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			time.Sleep(time.Second)
			w.Result([]byte(`"old"`))
		}
		mux.HandleFunc("Slow", slow)
		mux.HandleFunc("Later", func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			d := w.Detach()
			time.AfterFunc(2*time.Second, func() { d.Result([]byte(`"old"`)) })
		})
		b := newBare(t, nil, nil, &jsonrpc.ConnOptions{Handler: mux})
		b.send(`{"id":2,"method":"Later"}` + "\n" + `{"id":1,"method":"Slow"}` + "\n" + `{"method":"Sys.Init"}` + "\n" +
			`{"id":1,"method":"Sum","params":[2,3]}` + "\n" + `{"id":2,"method":"Sum","params":[3,3]}` + "\n")
		time.Sleep(5 * time.Second)
		b.want("the new session", `{"id":1,"result":5}`, `{"id":2,"result":6}`)
		if s := b.conn.Stats(); s.Stale != 2 {
			t.Errorf("stale %d, want 2", s.Stale)
		}
		b.close()
	})
}
