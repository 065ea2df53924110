package stm32sim_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// TestReopen: a Run ends with its port, and the next goes on where it was, in the
// middle of a command too.
func TestReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, err := stm32sim.New(stm32sim.Options{Image: image(256)})
		if err != nil {
			t.Fatal(err)
		}
		stages := [][]byte{{stm32boot.Init}, command(cmdRead), address(start), {0}, {0xFF}}
		for i, p := range stages {
			line := stm32sim.NewLine(stm32sim.LineOptions{})
			ended := make(chan error)
			go func() { ended <- target.Run(t.Context(), line.Target()) }()
			h := &host{t, line.Client()}
			switch i {
			case 3:
				h.expect(p)
			case 4:
				h.expect(p, ack, 0x5A)
			default:
				h.expect(p, ack)
			}
			if err := target.Run(t.Context(), line.Target()); err != stm32sim.ErrRunning {
				t.Errorf("a second Run: %v", err)
			}
			_ = line.Client().Close()
			if err := <-ended; err != io.EOF {
				t.Errorf("Run: %v", err)
			}
		}
	})
}

// TestCancel: Run ends with its ctx whatever the chip does.
func TestCancel(t *testing.T) {
	chip, _ := stm32boot.Lookup(0x431)
	times := stm32sim.RealTimes(&chip)
	for name, do := range map[string]func(target *stm32sim.Target, h *host){
		"waiting":   func(*stm32sim.Target, *host) {},
		"in reset":  func(target *stm32sim.Target, _ *host) { _ = target.Reset().Set(false) },
		"powerless": func(target *stm32sim.Target, _ *host) { target.PowerOff() },
		"booting":   func(target *stm32sim.Target, _ *host) { pulse(target) },
		"restoring": func(target *stm32sim.Target, h *host) {
			target.CutPower(stm32sim.PowerCut{Received: 1, Restore: time.Hour})
			h.write(1)
		},
		"erasing": func(_ *stm32sim.Target, h *host) {
			h.expect([]byte{stm32boot.Init}, ack)
			h.expect(command(stm32boot.CmdExtendedErase), ack)
			h.write(pages(0, 1)...)
		},
		"sending": func(_ *stm32sim.Target, h *host) {
			h.expect([]byte{stm32boot.Init}, ack)
			h.expect(command(cmdRead), ack)
			h.expect(address(start), ack)
			h.write(0xFF, 0)
		},
		"application": func(target *stm32sim.Target, _ *host) {
			_ = target.Boot0().Set(false)
			pulse(target)
			time.Sleep(time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target, err := stm32sim.New(stm32sim.Options{ID: 0x431, Times: times, Application: echo})
				if err != nil {
					t.Fatal(err)
				}
				line := stm32sim.NewLine(stm32sim.LineOptions{Baud: 1200})
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- target.Run(ctx, line.Target()) }()
				do(target, &host{t, line.Client()})
				synctest.Wait()
				begin := time.Now()
				cancel()
				if err := <-ended; err != nil || time.Since(begin) > 0 {
					t.Errorf("after %v: %v", time.Since(begin), err)
				}
			})
		})
	}
}

// TestPortFails: Run ends with the error of the port, whatever the chip does.
func TestPortFails(t *testing.T) {
	for name, o := range map[string]stm32sim.Options{
		"rom":            {},
		"application":    {Boot0Low: true, Application: echo},
		"no application": {Boot0Low: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target, err := stm32sim.New(o)
				if err != nil {
					t.Fatal(err)
				}
				a, b := wire.Pair(nil)
				defer a.Close()
				ended := make(chan error)
				go func() { ended <- target.Run(t.Context(), b) }()
				synctest.Wait()
				b.Unplug()
				if err := <-ended; !errors.Is(err, wire.ErrUnplugged) {
					t.Error(err)
				}
			})
		})
	}
}

// TestSpuriousTimeouts: a port whose reads end early with a timeout harms nobody.
func TestSpuriousTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, err := stm32sim.New(stm32sim.Options{Image: image(256), Times: stm32sim.Times{Boot: time.Second}})
		if err != nil {
			t.Fatal(err)
		}
		line := stm32sim.NewLine(stm32sim.LineOptions{})
		go func() { _ = target.Run(t.Context(), line.Target()) }()
		h := &host{t, line.Client()}
		disturb := func() {
			for range 5 {
				synctest.Wait()
				_ = line.Target().SetReadDeadline(time.Unix(1, 0))
			}
		}
		disturb()
		h.expect([]byte{stm32boot.Init}, ack)
		disturb()
		h.expect(command(stm32boot.CmdGet), getF103...)
		pulse(target)
		disturb()
		time.Sleep(time.Second)
		h.expect([]byte{stm32boot.Init}, ack)
		_ = target.Reset().Set(false)
		disturb()
		_ = target.Reset().Set(true)
		_ = line.Close()
		synctest.Wait()
	})
}

// TestTCP has a target on TCP that several peers use one after the other, while
// its pins are driven.
func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started, observe := starts()
	target, err := stm32sim.New(stm32sim.Options{Image: image(256), Observer: observe})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var serve sync.WaitGroup
	serve.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = target.Run(ctx, conn)
			_ = conn.Close()
		}
	})
	defer serve.Wait()
	defer l.Close()
	defer cancel()
	for i := range 5 {
		func() {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			h := &host{t, conn}
			for j := range 20 {
				if i+j > 0 && j%4 == 0 {
					pulse(target)
					<-started
				}
				if j%4 == 0 {
					h.expect([]byte{stm32boot.Init}, ack)
				}
				if got := h.readMemory(start, 2); got[0] != 0x5A {
					t.Errorf("% X", got)
				}
			}
		}()
	}
}

// starts returns a channel that tells of each start of the ROM, and the observer
// that does it.
func starts() (<-chan struct{}, func(stm32sim.Event)) {
	c := make(chan struct{}, 16)
	return c, func(e stm32sim.Event) {
		if e.Kind == stm32sim.EventROM {
			c <- struct{}{}
		}
	}
}
