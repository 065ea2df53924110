package ccm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
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
