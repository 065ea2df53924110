package ccm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// found waits until the module knows the host, and fails after a minute.
func found(t testing.TB, h *ccm.Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := h.Wait(ctx); err != nil {
		t.Fatalf("host %q: %v", h.Name(), err)
	}
}

// answers demands that Sum works.
func answers(t testing.TB, h *ccm.Host) {
	t.Helper()
	out, err := h.Call(t.Context(), nil, "Sum", "[%d,%d]", 2, 3)
	if string(out) != "5" || err != nil {
		t.Errorf("Sum: %q, %v", out, err)
	}
}

// TestLinkReopens pulls the adapter a hundred times (row 16 of the link
// problems): the module is back within two seconds, and does not spin meanwhile.
func TestLinkReopens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{})
		var opened atomic.Int64
		cfg := s.config("")
		cfg.Open = func(ctx context.Context) (framing.Port, error) {
			opened.Add(1)
			return s.uart.OpenModule(ctx)
		}
		r := start(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}}, s)
		defer r.stop()
		h := r.module.Host("")
		for range 100 {
			found(t, h)
			answers(t, h)
			s.uart.Module().Unplug()
			time.Sleep(10 * time.Second)
			if got := h.Status().State; got != ccm.HostDown {
				t.Fatalf("unplugged: %v", got)
			}
			s.uart.Module().Plug()
			begin := time.Now()
			found(t, h)
			if d := time.Since(begin); d > 2100*time.Millisecond {
				t.Errorf("found again after %v", d)
			}
		}
		if n := opened.Load(); n > 1000 {
			t.Errorf("the port was tried %d times", n)
		}
		if p := h.Stats().Port; p.Opened != 101 {
			t.Errorf("%d links", p.Opened)
		}
	})
}

// TestLinkNeverOpens: a port that is not there costs a try every two seconds.
func TestLinkNeverOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		r := start(t, ccm.Config{Hosts: []ccm.HostConfig{{Open: func(context.Context) (framing.Port, error) {
			tries.Add(1)
			return nil, fs.ErrNotExist
		}}}})
		defer r.stop()
		begin := time.Now()
		if _, err := r.module.Host("").Call(t.Context(), nil, "Sum", ""); err != ccm.ErrHostDown {
			t.Errorf("Call: %v", err)
		}
		if d := time.Since(begin); d != 10*time.Second {
			t.Errorf("after %v", d)
		}
		time.Sleep(time.Hour)
		if n := tries.Load(); n > 1810 || n < 1700 {
			t.Errorf("%d tries", n)
		}
	})
}

// TestExclusive lends the port out, as the flasher will want it.
func TestExclusive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{})
		r := start(t, ccm.Config{Hosts: []ccm.HostConfig{s.config("")}}, s)
		defer r.stop()
		h := r.module.Host("")
		found(t, h)
		failure := errors.New("not today")
		var call sync.WaitGroup
		err := h.Exclusive(t.Context(), func(ctx context.Context, port framing.Port) error {
			if got := h.Status().State; got != ccm.HostTaken {
				t.Errorf("state %v", got)
			}
			call.Go(func() { answers(t, h) }) // waits until the port is back
			port.Write([]byte(`{"id":"mine","method":"Sum","params":[40,2]}` + "\n"))
			port.SetReadDeadline(time.Now().Add(time.Second))
			text, buf := "", make([]byte, 64)
			for !strings.Contains(text, "\n") {
				n, err := port.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				text += string(buf[:n])
			}
			if text != `{"id":"mine","result":42}`+"\n" {
				t.Errorf("read %q", text)
			}
			time.Sleep(time.Second)
			return failure
		})
		if err != failure {
			t.Errorf("Exclusive: %v", err)
		}
		call.Wait()
		found(t, h)
		answers(t, h)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Exclusive(ctx, nil); err != context.Canceled {
			t.Errorf("canceled: %v", err)
		}
	})
}

// TestWatchdogOvertaken: a look that goes on when the host starts anew by itself,
// or somebody takes the port, tells nothing of the host.
func TestWatchdogOvertaken(t *testing.T) {
	for name, overtake := range map[string]func(h *hand, dev *ccm.Host) error{
		"Sys.Init": func(h *hand, _ *ccm.Host) error {
			h.answer(nil)
			h.send(`{"method":"Sys.Init"}` + "\n")
			return nil
		},
		"Exclusive": func(h *hand, dev *ccm.Host) error {
			return dev.Exclusive(h.t.Context(), func(context.Context, framing.Port) error { h.answer(nil); return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHand(t, ccmtest.Line{})
				cfg := h.config("")
				cfg.Reset = func(context.Context) error { t.Error("reset"); return nil }
				cfg.Watchdog = ccm.Watchdog{Interval: 10 * time.Second, Misses: 1}
				r := up(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}})
				time.Sleep(time.Second)
				h.answer(func(string) (string, bool) { return "", true })
				time.Sleep(10 * time.Second)
				if err := overtake(h, r.module.Host("")); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				if st := r.module.Host("").Status(); r.module.Stats().Hung != 0 || st.State != ccm.HostReady || st.Sessions != 2 {
					t.Errorf("found hung %d times, %+v", r.module.Stats().Hung, st)
				}
			})
		})
	}
}

// TestSearchOpaque: a host that answers nothing is found opaque, and known as
// soon as it says something.
func TestSearchOpaque(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{})
		s.mcu.Hold(true)
		r := start(t, ccm.Config{Hosts: []ccm.HostConfig{s.config("")}}, s)
		defer r.stop()
		h := r.module.Host("")
		begin := time.Now()
		found(t, h)
		if d, got := time.Since(begin), h.Status().State; got != ccm.HostOpaque || d < 3*time.Second || d > 4*time.Second {
			t.Errorf("%v after %v", got, d)
		}
		s.mcu.Hold(false) // boots, and sends its boot report
		time.Sleep(time.Second)
		if got := h.Status(); got.State != ccm.HostReady || !got.Info.SysInfo {
			t.Errorf("%+v", got)
		}
	})
}

// TestSearchTalksOnly: a host that answers nothing and reports now and then is
// there from its first report on, and is not searched for at each of them.
func TestSearchTalksOnly(t *testing.T) {
	for _, first := range []time.Duration{0, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			var asked atomic.Int64
			r := start(t, ccm.Config{Hosts: []ccm.HostConfig{{Open: once(near)}}, Trace: func(e ccm.TraceEvent) {
				if e.RPC == jsonrpc.EventSent {
					asked.Add(1)
				}
			}})
			defer r.stop()
			go io.Copy(io.Discard, far)
			time.Sleep(first)
			io.WriteString(far, `{"method":"Note"}`+"\n")
			time.Sleep(10 * time.Second)
			before := asked.Load()
			if got := r.module.Host("").Status().State; got != ccm.HostReady || before == 0 {
				t.Errorf("first report after %v: %v, asked %d times", first, got, before)
			}
			for range 10 {
				io.WriteString(far, `{"method":"Note"}`+"\n")
				time.Sleep(time.Minute)
			}
			if n := asked.Load() - before; n != 0 {
				t.Errorf("first report after %v: asked %d times more", first, n)
			}
		})
	}
}

// TestWatchdog resets a host that hangs, three times an hour and no more.
func TestWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{})
		cfg := s.config("")
		var resets atomic.Int64
		cfg.Reset = func(ctx context.Context) error {
			if resets.Add(1) == 1 {
				return s.mcu.Reset(ctx)
			}
			return nil // the line is broken
		}
		cfg.Watchdog = ccm.Watchdog{Interval: 10 * time.Second}
		r := start(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}}, s)
		defer r.stop()
		h := r.module.Host("")
		found(t, h)
		time.Sleep(time.Hour)
		if resets.Load() != 0 || h.Status().Sessions != 1 {
			t.Errorf("a good host was reset %d times, found %d times", resets.Load(), h.Status().Sessions)
		}
		s.mcu.Hang(true)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if n := resets.Load(); n != 1 {
			t.Errorf("%d resets", n)
		}
		time.Sleep(time.Second)
		answers(t, h)
		if got := h.Status(); got.State != ccm.HostReady || got.Sessions < 2 {
			t.Errorf("%+v", got)
		}
		s.mcu.Hang(true)
		time.Sleep(10 * time.Minute)
		if got := h.Status().State; resets.Load() != 3 || got != ccm.HostHung {
			t.Errorf("%d resets, %v", resets.Load(), got)
		}
		s.mcu.Hang(false)
		s.mcu.Notify(t.Context(), "Note", "")
		time.Sleep(5 * time.Second)
		if got := h.Status().State; got != ccm.HostReady {
			t.Errorf("it is back, but %v", got)
		}
	})
}

// deadPort is a port that can be opened and nothing else.
type deadPort struct{}

func (deadPort) Read([]byte) (int, error)        { return 0, io.ErrUnexpectedEOF }
func (deadPort) Write([]byte) (int, error)       { return 0, io.ErrUnexpectedEOF }
func (deadPort) Close() error                    { return nil }
func (deadPort) SetReadDeadline(time.Time) error { return nil }

// TestSearchDeadPort: a port that breaks while the host is looked for tells
// nothing of the host.
func TestSearchDeadPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logbook)
		r := start(t, ccm.Config{Logger: log.logger(), Hosts: []ccm.HostConfig{{
			Open: func(context.Context) (framing.Port, error) { return deadPort{}, nil },
		}}})
		defer r.stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		h := r.module.Host("")
		if err := h.Wait(ctx); err != context.DeadlineExceeded {
			t.Errorf("Wait: %v", err)
		}
		if n := h.Status().Sessions; n != 0 || log.count("host opaque") != 0 {
			t.Errorf("found %d times", n)
		}
	})
}

// TestSearchBusy: calls that fail because there are too many are no answers of the
// host.
func TestSearchBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHand(t, ccmtest.Line{})
		mute := func(string) (string, bool) { return "", true }
		h.answer(mute)
		cfg := h.config("")
		var resets atomic.Int64
		cfg.Reset = func(context.Context) error { resets.Add(1); return nil }
		cfg.Watchdog = ccm.Watchdog{Interval: 10 * time.Second}
		r := start(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}})
		defer r.stop()
		for range 40 {
			r.work.Go(func() {
				for r.ctx.Err() == nil {
					r.module.Host("").Call(r.ctx, nil, "Any", "")
					time.Sleep(time.Second)
				}
			})
		}
		time.Sleep(10 * time.Second)
		if got := r.module.Host("").Status().State; got != ccm.HostOpaque {
			t.Errorf("a host that says nothing is %v", got)
		}
		time.Sleep(time.Minute)
		if resets.Load() == 0 {
			t.Error("the watchdog takes it for alive")
		}
	})
}

// TestSearchLimit: the longest frame is that of the firmware that runs now.
func TestSearchLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHand(t, ccmtest.Line{})
		h.answer(func(line string) (string, bool) {
			id, is := strings.CutSuffix(line, `,"method":"Sys.Info"}`)
			return id + `,"result":{"rx_max":1024}}`, is
		})
		cfg := h.config("")
		cfg.Reset = func(context.Context) error { return nil }
		r := up(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}})
		dev := r.module.Host("")
		if n := dev.Status().FrameLimit; n != 1024 {
			t.Errorf("limit %d", n)
		}
		h.answer(nil) // a stock host from now on
		if err := dev.Reset(t.Context()); err != nil {
			t.Error(err)
		}
		found(t, dev)
		if n := dev.Status().FrameLimit; n != ccm.DefaultHostFrame {
			t.Errorf("limit %d", n)
		}
	})
}

// TestExclusiveEnds: whatever becomes of the function that has the port, the module
// has it again.
func TestExclusiveEnds(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("a bug") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{})
				r := start(t, ccm.Config{Hosts: []ccm.HostConfig{s.config("")}}, s)
				defer r.stop()
				h := r.module.Host("")
				found(t, h)
				r.work.Go(func() {
					defer func() { recover() }()
					h.Exclusive(t.Context(), func(context.Context, framing.Port) error { end(); return nil })
				})
				time.Sleep(10 * time.Second)
				if got := h.Status().State; got != ccm.HostReady {
					t.Errorf("the host is %v", got)
				}
				answers(t, h)
			})
		})
	}
}

// TestExclusiveOver: a module that does not run any more has no ports.
func TestExclusiveOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{})
		r := start(t, ccm.Config{Hosts: []ccm.HostConfig{s.config("")}}, s)
		h := r.module.Host("")
		found(t, h)
		r.stop()
		for range 20 {
			if err := h.Exclusive(t.Context(), nil); err != ccm.ErrHostDown {
				t.Errorf("Exclusive: %v", err)
			}
		}
	})
}

// TestExclusiveAtStart: somebody has the port before the module has opened it. The
// host is told of the start of the module all the same.
func TestExclusiveAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHand(t, ccmtest.Line{})
		var inits atomic.Int64
		h.answer(func(line string) (string, bool) {
			if line == `{"method":"Sys.Init"}` {
				inits.Add(1)
			}
			return "", false
		})
		cfg := h.config("")
		open, may := cfg.Open, make(chan struct{})
		cfg.Open = func(ctx context.Context) (framing.Port, error) {
			<-may
			return open(ctx)
		}
		r := start(t, ccm.Config{Hosts: []ccm.HostConfig{cfg}})
		defer r.stop()
		synctest.Wait()
		r.work.Go(func() {
			err := r.module.Host("").Exclusive(t.Context(), func(context.Context, framing.Port) error {
				time.Sleep(time.Second)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		close(may)
		time.Sleep(time.Minute)
		if n, st := inits.Load(), r.module.Host("").Status(); n != 1 || st.Sessions != 1 || st.State != ccm.HostReady {
			t.Errorf("Sys.Init came %d times, %+v", n, st)
		}
	})
}

// TestSearchSlowLine: a list that takes longer than the pause between two tries
// is known all the same.
func TestSearchSlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(ccmtest.Line{Baud: 4800}, ccmtest.MCUOptions{})
		for i := range 6 {
			s.mcu.HandleFunc(fmt.Sprint("Thermostat.Method", i), func(context.Context, *jsonrpc.Response, *jsonrpc.Request) {})
		}
		r := start(t, ccm.Config{Hosts: []ccm.HostConfig{s.config("")}}, s)
		defer r.stop()
		h := r.module.Host("")
		found(t, h)
		if i := h.Info(); len(i.Methods) != 10 || i.ListMethod != "RPC.List" || i.App == "" {
			t.Errorf("%+v", i)
		}
	})
}
