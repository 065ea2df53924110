package jsonrpc_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// mark is a check value that belongs to a number.
func mark(n, salt int64) int64 { return (n*2654435761 + salt) & 0xffffff }

// station is one side of a noisy line: it calls, and judges the calls it gets.
type station struct {
	ran     []atomic.Int32 // handler runs by call number
	wrong   atomic.Int64   // requests with a value that nobody sent
	twice   atomic.Int64   // handler runs too many
	badRes  atomic.Int64   // calls that returned a wrong result
	crossed atomic.Int64   // of them, calls that returned another one's result
	good    atomic.Int64
	failed  atomic.Int64
	errs    sync.Map // texts of errors
}

func newStation(calls int) *station { return &station{ran: make([]atomic.Int32, calls)} }

func (s *station) handler() jsonrpc.Handler {
	m := &jsonrpc.Mux{}
	m.HandleFunc("Mix", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		n, okN := r.Arg(0).Int()
		v, okV := r.Arg(1).Int()
		if !okN || !okV || r.Arg(2).Exists() || n < 0 || n >= int64(len(s.ran)) || v != mark(n, 1) {
			s.wrong.Add(1)
			w.Fail(jsonrpc.ErrInvalidParams)
			return
		}
		if s.ran[n].Add(1) > 1 {
			s.twice.Add(1)
		}
		w.Resultf("[%d,%d]", n, mark(n, 2))
	})
	return m
}

// call makes one call and judges its result.
func (s *station) call(ctx context.Context, c *jsonrpc.Conn, n int64) {
	res, err := c.Call(ctx, nil, "Mix", "[%d,%d]", n, mark(n, 1))
	switch {
	case err != nil:
		s.failed.Add(1)
		s.errs.Store(err.Error(), true)
	case string(res) == fmt.Sprintf("[%d,%d]", n, mark(n, 2)):
		s.good.Add(1)
	default:
		s.badRes.Add(1)
		var m, v int64
		if k, _ := fmt.Sscanf(string(res), "[%d,%d]", &m, &v); k == 2 && v == mark(m, 2) {
			s.crossed.Add(1)
		}
	}
}

// noisy runs calls over a noisy line, a batch of width from each side at a
// time, and reports. A batch ends before the next one begins: the reply cache
// remembers 32 calls, so a retry must not be overtaken by more.
func noisy(t *testing.T, name string, o framing.Options, faults wire.Faults, calls, width int) (a, b *station) {
	synctest.Test(t, func(t *testing.T) {
		a, b = newStation(calls), newStation(calls)
		opts := func(h jsonrpc.Handler) *jsonrpc.ConnOptions {
			return &jsonrpc.ConnOptions{Handler: h, Retries: 3, FirstID: 1}
		}
		l := newLink(t, t.Context(), &wire.Options{Seed: 42, AtoB: faults, BtoA: faults}, &o, opts(b.handler()), opts(a.handler()))
		begin := time.Now()
		for n := 0; n < calls; n += 2 * width {
			var wg sync.WaitGroup
			for i := range width {
				if n+i < calls {
					wg.Go(func() { a.call(t.Context(), l.a, int64(n+i)) })
				}
				if n+width+i < calls {
					wg.Go(func() { b.call(t.Context(), l.b, int64(n+width+i)) })
				}
			}
			wg.Wait()
		}
		took := time.Since(begin)
		l.endA.SetFaults(wire.Faults{})
		l.endB.SetFaults(wire.Faults{})
		time.Sleep(15 * time.Second) // everything late has come, every half line is gone
		for i, c := range []*jsonrpc.Conn{l.a, l.b} {
			if res, err := c.Call(t.Context(), nil, "Mix", "[0,%d]", mark(0, 1)); err != nil || string(res) != fmt.Sprintf("[0,%d]", mark(0, 2)) {
				t.Errorf("%s: side %d does not work afterwards: %s, %v", name, i, res, err)
			}
		}
		// The two calls above ran the handlers for number 0 once more.
		sa, sb := l.endA.Stats(), l.endB.Stats()
		na, nb := l.a.Stats(), l.b.Stats()
		done := a.good.Load() + b.good.Load() + a.failed.Load() + b.failed.Load() + a.badRes.Load() + b.badRes.Load()
		t.Logf("%s: %d calls in %v: ok %d, failed %d (%d texts); bytes %d, lost %d, flipped %d, inserted %d; retried %d, joined %d, replayed %d, malformed %d, orphans %d",
			name, calls, took, a.good.Load()+b.good.Load(), a.failed.Load()+b.failed.Load(), len(keys(&a.errs, &b.errs)),
			sa.Written+sb.Written, sa.Dropped+sb.Dropped, sa.Flipped+sb.Flipped, sa.Inserted+sb.Inserted,
			na.Retried+nb.Retried, na.Joined+nb.Joined, na.Replayed+nb.Replayed, na.Malformed+nb.Malformed, na.Orphans+nb.Orphans)
		if done != int64(calls) {
			t.Errorf("%s: %d of %d calls ended", name, done, calls)
		}
		if sa.Faults()+sb.Faults() == 0 {
			t.Errorf("%s: no faults were injected", name)
		}
		l.close()
	})
	return a, b
}

func keys(maps ...*sync.Map) (list []string) {
	for _, m := range maps {
		m.Range(func(k, _ any) bool { list = append(list, k.(string)); return true })
	}
	return list
}

// each is loss, flip and insertion with the probability p each.
func each(p float64) wire.Faults { return wire.Faults{Drop: p, Flip: p, Insert: p} }

// TestU3NoiseWithCRC: with CRC on both sides no wrong value gets anywhere, no
// handler runs twice, and every call ends.
func TestU3NoiseWithCRC(t *testing.T) {
	for _, p := range []float64{1e-4, 1e-3, 1e-2} {
		calls := heavy(100_000)
		a, b := noisy(t, fmt.Sprintf("p=%g", p), framing.Options{CRC: framing.CRCSend, RequireCRC: true}, each(p), calls, 6)
		for _, s := range []*station{a, b} {
			if s.wrong.Load() != 0 || s.badRes.Load() != 0 {
				t.Errorf("p=%g: %d wrong requests reached a handler, %d wrong results a caller", p, s.wrong.Load(), s.badRes.Load())
			}
			if n := s.twice.Load(); n > 1 || n == 1 && s.ran[0].Load() != 2 { // number 0 is called again at the end
				t.Errorf("p=%g: %d handlers ran twice", p, n)
			}
			for _, text := range keys(&s.errs) {
				if text != jsonrpc.ErrTimeout.Error() {
					t.Errorf("p=%g: a call failed with %s", p, text)
				}
			}
		}
		if rate := float64(a.good.Load()+b.good.Load()) / float64(calls); p == 1e-4 && rate < 0.99 {
			t.Errorf("p=%g: success %.4f", p, rate)
		}
	}
}

// TestU4NoiseWithoutCRC reports how often noise gets through without CRC. Calls
// still end, and the line works afterwards.
func TestU4NoiseWithoutCRC(t *testing.T) {
	for _, p := range []float64{1e-4, 1e-3, 1e-2} {
		calls := heavy(100_000)
		name := fmt.Sprintf("p=%g", p)
		a, b := noisy(t, name, framing.Options{CRC: framing.CRCOff}, each(p), calls, 6)
		wrong, bad := a.wrong.Load()+b.wrong.Load(), a.badRes.Load()+b.badRes.Load()
		t.Logf("%s without CRC: %d wrong requests reached a handler (%.3f %% of the calls), %d wrong results a caller (%.3f %%), %d of them another call's; %d handler runs too many; %d errors",
			name, wrong, 100*float64(wrong)/float64(calls), bad, 100*float64(bad)/float64(calls),
			a.crossed.Load()+b.crossed.Load(), a.twice.Load()+b.twice.Load(), a.failed.Load()+b.failed.Load())
	}
}

// TestU4NeverMisled: an answer that arrived as it was sent goes to the call it
// answers, whatever else the noise has done.
func TestU4NeverMisled(t *testing.T) {
	for _, p := range []float64{1e-3, 1e-2} {
		synctest.Test(t, func(t *testing.T) {
			authentic := map[string]int64{} // reply text to call number, as B sent it
			var mu sync.Mutex
			var misled, corrupt int64
			var b *jsonrpc.Conn
			server := newStation(1 << 20)
			var last []byte // the last answer A took
			newConn := func(end *wire.End, h jsonrpc.Handler, obs func(jsonrpc.Event)) *jsonrpc.Conn {
				return jsonrpc.NewConn(framing.NewConn(end, nil), &jsonrpc.ConnOptions{Handler: h, FirstID: 1, Retries: 2, Observer: obs})
			}
			endA, endB := wire.Pair(&wire.Options{Seed: 5, AtoB: each(p), BtoA: each(p)})
			a := newConn(endA, nil, func(e jsonrpc.Event) {
				if e.Kind == jsonrpc.EventReceived {
					mu.Lock()
					last = append(last[:0], e.Frame...)
					mu.Unlock()
				}
			})
			b = newConn(endB, server.handler(), func(e jsonrpc.Event) {
				var id, n, v int64
				if k, _ := fmt.Sscanf(string(e.Frame), `{"id":%d,"result":[%d,%d]}`, &id, &n, &v); e.Kind == jsonrpc.EventSent && k == 3 {
					mu.Lock()
					authentic[string(e.Frame)] = n
					mu.Unlock()
				}
			})
			ended := make(chan error, 2)
			for _, c := range []*jsonrpc.Conn{a, b} {
				go func() { ended <- c.Run(t.Context()) }()
			}
			for i := range heavy(20_000) {
				res, err := a.Call(t.Context(), nil, "Mix", "[%d,%d]", i, mark(int64(i), 1))
				if err != nil || string(res) == fmt.Sprintf("[%d,%d]", i, mark(int64(i), 2)) {
					continue
				}
				mu.Lock()
				// What the server answered to the noisy request with this
				// call's id is this call's answer, however wrong.
				_, sent := authentic[string(last)]
				var id int64
				fmt.Sscanf(string(last), `{"id":%d`, &id)
				mu.Unlock()
				if sent && id != int64(i)+1 {
					misled++
					t.Errorf("call %d got %s, which was sent as %s", i, res, last)
				} else {
					corrupt++
				}
			}
			t.Logf("p=%g: %d results corrupted on the way, %d misled", p, corrupt, misled)
			a.Close()
			b.Close()
			for range 2 {
				<-ended // the second to close may see the first one's hang-up
			}
		})
	}
}
