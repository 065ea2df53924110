package ccm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// ledger notes which calls a handler has run, and how often.
type ledger struct {
	mu   sync.Mutex
	runs map[string]int
}

// serve answers with the params, in a list with their length.
func (l *ledger) serve(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs == nil {
		l.runs = map[string]int{}
	}
	l.runs[string(r.Params())]++
	w.Resultf("[%d,%s]", len(r.Params()), r.Params())
}

// check demands that n different calls have run, once each, and none besides.
func (l *ledger) check(t testing.TB, what string, n int, params func(i int) string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range n {
		if runs := l.runs[params(i)]; runs != 1 {
			t.Errorf("%s: call %s ran %d times", what, params(i), runs)
		}
	}
	if len(l.runs) != n {
		t.Errorf("%s: %d different calls ran, want %d", what, len(l.runs), n)
	}
}

// TestScenario9 makes calls in both directions over a line that loses, bends,
// doubles and inserts bytes. With CRC suffixes, as rulings A2 has it demanded, and
// retries every call is done exactly once and gets its own result.
func TestScenario9(t *testing.T) {
	for _, p := range []float64{1e-4, 1e-3} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { noisyCalls(t, heavy(10_000), p) })
		})
	}
}

func noisyCalls(t *testing.T, n int, p float64) {
	s := newStation(ccmtest.Line{Baud: 921600, Seed: 9, Faults: ccmtest.Uniform(p), Trace: -1}, ccmtest.MCUOptions{
		Generation: ccmtest.GenModern, Report: ccmtest.ReportNone, Log: -1,
		Host: host.Config{RequireCRC: true, Retries: 9, CallTimeout: time.Minute},
	})
	var atHost, atModule ledger
	s.mcu.HandleFunc("Test.Host", atHost.serve)
	cfg := s.config("")
	cfg.CRC, cfg.RequireCRC, cfg.Retries = framing.CRCSend, true, 9
	m := ccm.Config{Hosts: []ccm.HostConfig{cfg}}
	r := start(t, m, s)
	t.Cleanup(r.stop)
	r.module.HandleFunc("Test.Module", atModule.serve)
	h := r.module.Host("")
	found(t, h)

	params := func(i int) string { return fmt.Sprintf(`{"call":%d,"text":"%064d"}`, i, i) }
	failures := 0
	call := func(i int, f func(ctx context.Context) ([]byte, error)) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got, err := f(ctx)
		if want := fmt.Sprintf("[%d,%s]", len(params(i)), params(i)); err != nil || string(got) != want {
			if failures++; failures < 10 {
				t.Errorf("call %d: %s, %v", i, got, err)
			}
		}
	}
	var work sync.WaitGroup
	work.Go(func() {
		for i := range n / 2 {
			call(i, func(ctx context.Context) ([]byte, error) { return h.Call(ctx, nil, "Test.Host", "%s", params(i)) })
		}
	})
	for i := range n / 2 {
		call(i, func(ctx context.Context) ([]byte, error) { return s.mcu.Call(ctx, "Test.Module", "%s", params(i)) })
	}
	work.Wait()
	atHost.check(t, "host", n/2, params)
	atModule.check(t, "module", n/2, params)
	faults := s.uart.Module().Stats().Faults() + s.uart.Host().Stats().Faults()
	port := h.Stats().Port
	if faults == 0 || faults > 20 && port.Line.CRCErrors+port.Line.Junk+port.Line.CRCNone+port.Line.Dropped == 0 || port.RPC.Retried == 0 {
		t.Errorf("%d faults on the line, but %+v", faults, port)
	}
	t.Logf("%d calls, %d faults; module: %d sent again, %d retries replayed or joined, line %+v",
		n, faults, port.RPC.Retried, port.RPC.Replayed+port.RPC.Joined, port.Line)
}

// TestScenario9NoCRC: a stock host on the same line without CRC. Some calls come
// out changed, which is counted here, some get lost; nothing crashes, and the
// line works when the noise is over.
func TestScenario9NoCRC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const p = 1e-3
		s := newStation(ccmtest.Line{Baud: 921600, Seed: 9, Trace: -1}, ccmtest.MCUOptions{Report: ccmtest.ReportNone, Log: -1})
		var atHost ledger
		s.mcu.HandleFunc("Test.Host", atHost.serve)
		r := up(t, ccm.Config{Hosts: []ccm.HostConfig{s.config("")}}, s)
		h := r.module.Host("")
		s.uart.Module().SetFaults(ccmtest.Uniform(p))
		s.uart.Host().SetFaults(ccmtest.Uniform(p))
		n := heavy(10_000)
		params := func(i int) string { return fmt.Sprintf(`{"call":%d,"text":"%064d"}`, i, i) }
		lost, wrong, refused := 0, 0, 0
		for i := range n {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			got, err := h.Call(ctx, nil, "Test.Host", "%s", params(i))
			cancel()
			_, answered := errors.AsType[*jsonrpc.Error](err)
			switch {
			case answered:
				refused++
			case err != nil:
				lost++
			case string(got) != fmt.Sprintf("[%d,%s]", len(params(i)), params(i)):
				wrong++
			}
		}
		changed := 0
		atHost.mu.Lock()
		for p := range atHost.runs {
			if i := 0; !strings.HasPrefix(p, `{"call":`) {
				changed++
			} else if _, err := fmt.Sscanf(p, `{"call":%d,`, &i); err != nil || p != params(i) {
				changed++
			}
		}
		atHost.mu.Unlock()
		t.Logf("%d calls: %d came to the host changed; %d wrong results, %d refused, %d lost; %+v", n, changed, wrong, refused, lost, h.Stats().Port)
		if changed+wrong == 0 || lost == 0 {
			t.Errorf("%d changed, %d wrong, %d lost of %d calls: is there noise?", changed, wrong, lost, n)
		}
		s.uart.Module().SetFaults(ccmtest.Faults{})
		s.uart.Host().SetFaults(ccmtest.Faults{})
		time.Sleep(2 * time.Second) // what is left of half a line goes
		h.Notify(t.Context(), "Nothing", "")
		answers(t, h)
	})
}

// TestScenario10 loses replies: the host sends its call again and gets the first
// result; what it asked for was done once.
func TestScenario10(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, b := handAndBroker(t, ccm.Config{})
		var done ledger
		r.module.HandleFunc("Test.Do", done.serve)
		for i := range 20 {
			frame := fmt.Sprintf(`{"id":%d,"method":"Test.Do","params":[%d]}`, i, i)
			first := h.ask(frame)
			for range 3 {
				h.asks(frame, first)
			}
		}
		done.check(t, "module", 20, func(i int) string { return fmt.Sprintf("[%d]", i) })
		h.asks(pub("100", "t", "once", 1), null(100))
		h.asks(pub("100", "t", "once", 1), null(100))
		b.SetAcks(ccmtest.Ack{Delay: time.Second})
		h.send(pub("101", "t", "twice", 1) + "\n" + pub("101", "t", "twice", 1) + "\n") // the second joins the first
		time.Sleep(2 * time.Second)
		if got := h.got(); len(got) == 0 || got[0] != null(101) {
			t.Errorf("joined: %q", got)
		}
		if got := payloads(b.Messages("t")); got != "once twice" {
			t.Errorf("the broker got %s", got)
		}
		if s := r.module.Host("").Stats().Port.RPC; s.Replayed != 61 || s.Joined != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestScenario10Session: a host that has started anew uses its ids anew. They mean
// new calls, whichever way the module learns of the start (rulings A7).
func TestScenario10Session(t *testing.T) {
	for name, restart := range map[string]func(t *testing.T, r *rig, h *hand){
		"Sys.Init": func(t *testing.T, r *rig, h *hand) { h.send(`{"method":"Sys.Init"}` + "\n") },
		"reset": func(t *testing.T, r *rig, h *hand) {
			if err := r.module.Host("").Reset(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"port": func(t *testing.T, r *rig, h *hand) {
			h.uart.Module().Unplug()
			time.Sleep(200 * time.Millisecond)
			h.uart.Module().Plug()
			time.Sleep(time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHand(t, ccmtest.Line{})
				cfg := h.config("")
				cfg.Reset = func(context.Context) error { return nil }
				cfg.Watchdog.Interval = time.Hour
				r := up(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}})
				n := 0
				r.module.HandleFunc("Test.Do", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
					n++
					w.Resultf("%d", n)
				})
				const frame = `{"id":1,"method":"Test.Do"}`
				h.asks(frame, `{"id":1,"result":1}`)
				h.asks(frame, `{"id":1,"result":1}`)
				restart(t, r, h)
				found(t, r.module.Host(""))
				h.asks(frame, `{"id":1,"result":2}`)
				if n := strings.Count(string(h.uart.Bytes(ccmtest.Module)), `"Sys.Init"`); n != 1 {
					t.Errorf("the module has started %d times, it says", n)
				}
			})
		})
	}
}

// TestResetForgetsCRC: after a reset another firmware may run, which knows of no
// CRC suffixes.
func TestResetForgetsCRC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHand(t, ccmtest.Line{})
		cfg := h.config("")
		cfg.Reset = func(context.Context) error { return nil }
		r := up(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}})
		host := r.module.Host("")
		frame := []byte(`{"method":"Hello"}`)
		h.send(string(framing.AppendCRC(frame, frame)) + "\n")
		synctest.Wait()
		if st := host.Status(); !st.CRC || st.FrameLimit != 255-8 {
			t.Errorf("%+v", st)
		}
		if err := host.Reset(t.Context()); err != nil {
			t.Error(err)
		}
		found(t, host)
		if st := host.Status(); st.CRC || st.FrameLimit != 255 {
			t.Errorf("after the reset: %+v", st)
		}
	})
}

// TestRow10 is the same with hosts that retry by themselves, on a line that loses
// the whole reply to every call once. Side effects are counted at the broker.
func TestRow10(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{})
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Generation: ccmtest.GenModern, Report: ccmtest.ReportNone})
		r := up(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{s.config("")}, Cloud: via(b)}, s)
		const calls = 50
		for i := range calls {
			s.uart.Module().SetFaults(ccmtest.Faults{Drop: 1})
			mend := time.AfterFunc(900*time.Millisecond, func() { s.uart.Module().SetFaults(ccmtest.Faults{}) })
			if err := s.mcu.Host().Publish(t.Context(), "t", fmt.Append(nil, i), 1); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
			mend.Stop()
		}
		if got := b.Messages("t"); len(got) != calls {
			t.Errorf("%d messages for %d calls", len(got), calls)
		}
		if st := r.module.Host("").Stats().Port.RPC; st.Replayed != calls {
			t.Errorf("%+v", st)
		}
	})
}
