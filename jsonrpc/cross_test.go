package jsonrpc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// shuffler answers requests late and in another order: it keeps detached
// answers and gives a random one for each that comes.
type shuffler struct {
	mu   sync.Mutex
	rng  *rand.Rand
	kept []kept
	ran  atomic.Int64
}

type kept struct {
	w *jsonrpc.Response
	n int64
}

func (s *shuffler) serve(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	n, _ := r.Arg(0).Int()
	s.ran.Add(1)
	k := kept{w.Detach(), n}
	s.mu.Lock()
	s.kept = append(s.kept, k)
	i := s.rng.IntN(len(s.kept))
	k, s.kept[i] = s.kept[i], s.kept[len(s.kept)-1]
	if keep := len(s.kept) < 20; keep {
		s.kept[len(s.kept)-1] = k
		s.mu.Unlock()
		return
	}
	s.kept = s.kept[:len(s.kept)-1]
	s.mu.Unlock()
	k.w.Resultf("%d", mark(k.n, 3))
}

// flush answers what is left, from time to time, until stop.
func (s *shuffler) flush(stop <-chan struct{}) {
	for {
		s.mu.Lock()
		list := s.kept
		s.kept = nil
		s.mu.Unlock()
		s.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for _, k := range list {
			k.w.Resultf("%d", mark(k.n, 3))
		}
		select {
		case <-stop:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// TestU5BothWays: 64 calls at a time from each side, answered in random order.
func TestU5BothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const width = 64
		calls := heavyCalls() / 2
		sides := [2]*shuffler{}
		opts := [2]*jsonrpc.ConnOptions{}
		for i := range sides {
			sides[i] = &shuffler{rng: rand.New(rand.NewPCG(uint64(i), 9))}
			opts[i] = &jsonrpc.ConnOptions{Handler: jsonrpc.HandlerFunc(sides[i].serve), MaxInFlight: width, MaxHandlers: width,
				QueueLen: width, WriteQueue: 2 * width}
		}
		l := newLink(t, t.Context(), nil, nil, opts[0], opts[1])
		stop := make(chan struct{})
		var flushers, callers sync.WaitGroup
		for _, s := range sides {
			flushers.Go(func() { s.flush(stop) })
		}
		var done, bad atomic.Int64
		for side, c := range []*jsonrpc.Conn{l.a, l.b} {
			var next atomic.Int64
			for range width {
				callers.Go(func() {
					dst := make([]byte, 0, 64)
					for n := next.Add(1); n <= int64(calls); n = next.Add(1) {
						n := n*2 + int64(side)
						res, err := c.Call(t.Context(), dst[:0], "M", "[%d]", n)
						done.Add(1)
						if v, _ := strconv.ParseInt(string(res), 10, 64); err != nil || v != mark(n, 3) {
							bad.Add(1)
							t.Errorf("call %d: %s, %v", n, res, err)
						}
					}
				})
			}
		}
		callers.Wait()
		close(stop)
		flushers.Wait()
		sa, sb := l.a.Stats(), l.b.Stats()
		if done.Load() != int64(2*calls) || sides[0].ran.Load() != int64(calls) || sides[1].ran.Load() != int64(calls) {
			t.Errorf("%d calls ended, handlers ran %d and %d times; want %d each side", done.Load(), sides[0].ran.Load(), sides[1].ran.Load(), calls)
		}
		if sa.Orphans+sb.Orphans+sa.Busy+sb.Busy+sa.Evicted+sb.Evicted != 0 {
			t.Errorf("a: %+v\nb: %+v", sa, sb)
		}
		t.Logf("%d calls both ways, %d at a time: %d wrong", 2*calls, width, bad.Load())
		l.close()
	})
}

// TestU5HostilePeer: a peer permutes its replies, sends many twice and old ones
// again, answers calls that never were, and reuses the ids of its own requests.
// Each of our calls completes once, with its own answer, and each of the peer's
// requests is answered once.
func TestU5HostilePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const width = 64
		calls := heavyCalls() / 2
		portA, portB := wire.Pair(&wire.Options{Buffer: 1 << 20})
		var served atomic.Int64
		mux := &jsonrpc.Mux{}
		mux.HandleFunc("Peer", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			served.Add(1)
			w.Result(r.Arg(0).Raw)
		})
		a := jsonrpc.NewConn(framing.NewConn(portA, nil), &jsonrpc.ConnOptions{Handler: mux, MaxInFlight: width, QueueLen: 4 * width, WriteQueue: 4 * width})
		ended := make(chan error, 1)
		go func() { ended <- a.Run(t.Context()) }()
		p := &hostile{t: t, f: framing.NewConn(portB, nil), rng: rand.New(rand.NewPCG(1, 2)), outstanding: map[int64]bool{}}
		peerDone := make(chan struct{})
		go func() { defer close(peerDone); p.run() }()
		ticks := make(chan struct{})
		var ticker sync.WaitGroup
		ticker.Go(func() { p.tick(ticks) })

		var next, bad atomic.Int64
		var callers sync.WaitGroup
		for range width {
			callers.Go(func() {
				dst := make([]byte, 0, 64)
				for n := next.Add(1); n <= int64(calls); n = next.Add(1) {
					res, err := a.Call(t.Context(), dst[:0], "M", "[%d]", n)
					if v, _ := strconv.ParseInt(string(res), 10, 64); err != nil || v != mark(n, 4) {
						bad.Add(1)
						t.Errorf("call %d: %s, %v", n, res, err)
					}
				}
			})
		}
		callers.Wait()
		close(ticks)
		ticker.Wait()
		synctest.Wait()
		s := a.Stats()
		a.Close()
		<-ended
		<-peerDone
		p.mu.Lock()
		defer p.mu.Unlock()
		if s.Orphans != p.extra || p.extra == 0 {
			t.Errorf("%d orphans, %d extra replies", s.Orphans, p.extra)
		}
		if uint64(served.Load()) != p.asked || len(p.outstanding) != 0 || p.asked == 0 {
			t.Errorf("the peer asked %d times, %d were served, %d without answer", p.asked, served.Load(), len(p.outstanding))
		}
		t.Logf("%d calls, %d duplicate, late and invented replies, %d requests of the peer: %d wrong", calls, p.extra, p.asked, bad.Load())
		portB.Close()
	})
}

// hostile is the peer of TestU5HostilePeer.
type hostile struct {
	t   *testing.T
	f   *framing.Conn
	rng *rand.Rand
	msg jsonrpc.Message

	mu          sync.Mutex
	waiting     [][]byte // replies not sent yet
	old         [64][]byte
	sent        int
	extra       uint64         // replies that fit no call
	asked       uint64         // requests of our own
	outstanding map[int64]bool // their numbers
}

func (h *hostile) run() {
	for {
		frame, err := h.f.ReadFrame()
		if err != nil {
			return
		}
		if err := jsonrpc.Parse(frame, &h.msg); err != nil {
			h.t.Errorf("the peer got %q: %v", frame, err)
			return
		}
		h.mu.Lock()
		if h.msg.Kind() == jsonrpc.KindCall {
			n, _ := h.msg.Arg(0).Int()
			h.waiting = append(h.waiting, jsonrpc.AppendResult(nil, h.msg.ID(), strconv.AppendInt(nil, mark(n, 4), 10)))
		} else {
			n, err := strconv.ParseInt(string(h.msg.Result()), 10, 64)
			if err != nil || !h.outstanding[n] {
				h.t.Errorf("the peer got %q for a request it did not make", frame)
			}
			delete(h.outstanding, n)
		}
		h.mu.Unlock()
	}
}

// tick answers once in a virtual millisecond, until stop.
func (h *hostile) tick(stop <-chan struct{}) {
	for {
		h.mu.Lock()
		h.rng.Shuffle(len(h.waiting), func(i, j int) { h.waiting[i], h.waiting[j] = h.waiting[j], h.waiting[i] })
		var out [][]byte
		for _, reply := range h.waiting {
			out = append(out, reply)
			if h.rng.IntN(3) == 0 { // at once again
				out = append(out, reply)
				h.extra++
			}
			if old := h.old[h.rng.IntN(len(h.old))]; old != nil && h.rng.IntN(4) == 0 {
				out = append(out, old)
				h.extra++
			}
			if h.rng.IntN(50) == 0 {
				out = append(out, fmt.Appendf(nil, `{"id":%d,"result":%d}`, 1<<40+h.rng.Int64N(1000), h.sent))
				h.extra++
			}
			if h.rng.IntN(8) == 0 { // a request with an id that was used before
				h.asked++
				h.outstanding[int64(h.asked)] = true
				out = append(out, fmt.Appendf(nil, `{"id":%d,"method":"Peer","params":[%d]}`, h.rng.IntN(3), h.asked))
			}
		}
		// Old replies are taken only from earlier rounds: they have been sent.
		for _, reply := range h.waiting {
			h.old[h.sent%len(h.old)] = reply
			h.sent++
		}
		h.waiting = h.waiting[:0]
		h.mu.Unlock()
		for _, f := range out {
			if h.f.WriteFrame(f) != nil {
				return
			}
		}
		select {
		case <-stop:
			return
		case <-time.After(time.Millisecond):
		}
	}
}
