package stm32sim_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// latePort is a port whose Read returns with bytes, never because of a deadline:
// as a Read does that had bytes before it could notice the deadline.
type latePort struct {
	in, out chan []byte
	fails   atomic.Bool
}

var errLate = errors.New("the port fails")

func (p *latePort) Read(b []byte) (int, error) {
	in, ok := <-p.in
	if !ok {
		return 0, io.EOF
	}
	return copy(b, in), nil
}

func (p *latePort) Write(b []byte) (int, error) {
	if p.fails.Load() {
		return 0, errLate
	}
	p.out <- append([]byte(nil), b...)
	return len(b), nil
}

func (p *latePort) SetReadDeadline(time.Time) error {
	if p.fails.Load() {
		return errLate
	}
	return nil
}

// TestBytesAfterReset: bytes that come after a reset count, even if a Read from
// before it returns them; those that come while the chip is held do not.
func TestBytesAfterReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, err := stm32sim.New(stm32sim.Options{Application: echo, Image: []byte{'x'}})
		if err != nil {
			t.Fatal(err)
		}
		port := &latePort{in: make(chan []byte), out: make(chan []byte, 99)}
		go func() { _ = target.Run(t.Context(), port) }()
		sync := func(when string) {
			t.Helper()
			port.in <- []byte{stm32boot.Init}
			synctest.Wait()
			select {
			case got := <-port.out:
				if len(got) != 1 || got[0] != ack {
					t.Errorf("%s: answered % X", when, got)
				}
			default:
				t.Errorf("%s: no answer", when)
			}
		}
		sync("at first")
		pulse(target)
		sync("from the ROM to the ROM")
		_ = target.Reset().Set(false)
		synctest.Wait()
		port.in <- []byte{stm32boot.Init}
		synctest.Wait()
		_ = target.Reset().Set(true)
		sync("from reset to the ROM")

		_ = target.Boot0().Set(false)
		pulse(target)
		port.in <- []byte("hello\n")
		synctest.Wait()
		for _, want := range []string{"firmware 120\n", "hello\n"} {
			if got := string(<-port.out); got != want {
				t.Errorf("the application says %q, want %q", got, want)
			}
		}
		_ = target.Boot0().Set(true)
		pulse(target)
		sync("from the application to the ROM")
		close(port.in)
	})
}

// TestApplicationPortFails: what fails for the application ends Run.
func TestApplicationPortFails(t *testing.T) {
	for name, use := range map[string]func(port stm32sim.Port) error{
		"write":    func(port stm32sim.Port) error { _, err := port.Write([]byte{1}); return err },
		"deadline": func(port stm32sim.Port) error { return port.SetReadDeadline(time.Now()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				port := &latePort{}
				app := func(_ context.Context, _ *stm32sim.Target, p stm32sim.Port) {
					port.fails.Store(true)
					if err := use(p); err != errLate {
						t.Errorf("the application gets %v", err)
					}
				}
				target, err := stm32sim.New(stm32sim.Options{Boot0Low: true, Application: app})
				if err != nil {
					t.Fatal(err)
				}
				if err := target.Run(t.Context(), port); err != errLate {
					t.Errorf("Run: %v", err)
				}
			})
		})
	}
}

// TestWriteFails: a port that cannot send ends Run.
func TestWriteFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, err := stm32sim.New(stm32sim.Options{})
		if err != nil {
			t.Fatal(err)
		}
		port := &latePort{in: make(chan []byte)}
		ended := make(chan error)
		go func() { ended <- target.Run(t.Context(), port) }()
		synctest.Wait()
		port.fails.Store(true)
		port.in <- []byte{stm32boot.Init}
		if err := <-ended; err != errLate {
			t.Error(err)
		}
	})
}
