package stm32sim_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// echo is an application that says which firmware it is and repeats lines.
func echo(ctx context.Context, t *stm32sim.Target, port stm32sim.Port) {
	_, _ = fmt.Fprintf(port, "firmware %d\n", t.Flash()[0])
	for r := bufio.NewReader(port); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		_, _ = io.WriteString(port, line)
	}
}

func (h *host) says(want string) {
	h.t.Helper()
	if got := h.within(len(want), silence); string(got) != want {
		h.t.Fatalf("%q came, want %q", got, want)
	}
}

// TestReflash is what a module does: reset into the ROM, write, reset into the
// application, which says that it is new.
func TestReflash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chip, _ := stm32boot.Lookup(0x410)
		target, _, h := plug(t, stm32sim.Options{Boot0Low: true, Image: []byte{1, 0}, Application: echo, Times: stm32sim.RealTimes(&chip)}, stm32sim.LineOptions{Baud: 115200})
		h.says("firmware 1\n")
		h.write([]byte("hello\n")...)
		h.says("hello\n")

		_ = target.Boot0().Set(true)
		h.write([]byte("still here\n")...) // the pin counts only at a reset
		h.says("still here\n")
		_ = target.Reset().Set(false)
		h.expect([]byte("anybody?\n"))
		_ = target.Reset().Set(true)
		h.expect([]byte{stm32boot.Init}) // too early
		time.Sleep(10 * time.Millisecond)
		h.expect([]byte{stm32boot.Init}, ack)
		h.erasePages(stm32boot.CmdErase, 0)
		h.writeMemory(start, []byte{2, 0, 0, 0})

		_ = target.Boot0().Set(false)
		pulse(target)
		h.says("firmware 2\n")
		if s := target.Stats(); s.Edges != 6 || s.Resets != 2 {
			t.Errorf("%d edges, %d resets", s.Edges, s.Resets)
		}
	})
}

// TestApplicationByGo: Go starts the application as well.
func TestApplicationByGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, h := connect(t, stm32sim.Options{Image: []byte{7}, Application: echo})
		h.expect(command(stm32boot.CmdGo), ack)
		h.expect(address(start), ack)
		h.says("firmware 7\n")
		pulse(target) // BOOT0 is high
		h.expect([]byte{stm32boot.Init}, ack)
	})
}

// TestApplicationPort: the port of an application ends with its life, and its
// deadlines are its own.
func TestApplicationPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		note := func(what string, err error) { log = append(log, fmt.Sprintf("%s: %v", what, err)) }
		lives := 0
		app := func(ctx context.Context, target *stm32sim.Target, port stm32sim.Port) {
			lives++
			switch lives {
			case 1:
				_ = port.SetReadDeadline(time.Now().Add(time.Second))
				begin := time.Now()
				_, err := port.Read(make([]byte, 1))
				var timeout interface{ Timeout() bool }
				note("deadline", err)
				if !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(begin) != time.Second {
					t.Errorf("after %v: %v", time.Since(begin), err)
				}
				_ = port.SetReadDeadline(time.Time{})
				_, err = port.Read(make([]byte, 1))
				note("reset", err)
				_, err = port.Write([]byte{1})
				note("write", err)
				if ctx.Err() == nil {
					t.Error("the life has not ended")
				}
			case 2:
				var read sync.WaitGroup
				read.Go(func() {
					_, err := port.Read(make([]byte, 1))
					note("closed", err)
				})
				time.Sleep(time.Second)
				err := port.Close()
				read.Wait()
				note("close", err)
			}
		}
		target, _, h := plug(t, stm32sim.Options{Boot0Low: true, Application: app}, stm32sim.LineOptions{})
		time.Sleep(2 * time.Second)
		pulse(target)
		time.Sleep(2 * time.Second)
		h.expect([]byte("lost"))
		pulse(target)
		synctest.Wait()
		reset := stm32sim.ErrReset.Error()
		want := []string{"deadline: wire: read timeout", "reset: " + reset, "write: " + reset, "closed: " + reset, "close: <nil>"}
		if !slices.Equal(log, want) || lives != 3 {
			t.Errorf("%d lives, %q", lives, log)
		}
	})
}

// TestNoApplication: without one the chip is silent.
func TestNoApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, _, h := plug(t, stm32sim.Options{Boot0Low: true}, stm32sim.LineOptions{})
		h.expect([]byte{stm32boot.Init})
		_ = target.Boot0().Set(true)
		pulse(target)
		h.expect([]byte{stm32boot.Init}, ack)
	})
}

// TestEvents has what an observer is told.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		observe := func(e stm32sim.Event) {
			got = append(got, fmt.Sprintf("%s %02X %08X %d %s", e.Kind, e.Command, e.Addr, e.N, e.Fault))
		}
		target, h := connect(t, stm32sim.Options{Observer: observe, WriteProtect: []int{1}, Faults: []stm32sim.Fault{{Kind: stm32sim.NackData}}})
		h.expect(command(cmdWrite), ack)
		h.expect(address(start), ack)
		h.expect(counted(image(8)), nack)
		h.erasePages(stm32boot.CmdErase, 3)
		h.writeMemory(start+0xC00, image(8))
		h.writeMemory(start+0x1000, image(8))
		target.PowerOff()
		synctest.Wait()
		target.PowerOn()
		synctest.Wait()
		want := []string{
			"synced 00 00000000 0 none",
			"command 31 00000000 0 none", "fault 31 00000000 0 nack data", "nack 31 00000000 0 none",
			"command 43 00000000 0 none", "erase 00 08000C00 3 none",
			"command 31 00000000 0 none", "program 00 08000C00 8 none",
			"command 31 00000000 0 none", "ignored 00 08001000 8 none",
			"power off 00 00000000 0 none", "reset 00 00000000 0 none", "rom 00 00000000 0 none",
		}
		if !slices.Equal(got, want) {
			t.Errorf("events:\n%q\nwant\n%q", got, want)
		}
	})
}
