package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/stm32boot"
)

// networkLatency is added to time limits at TCP and UNIX endpoints.
const networkLatency = 100 * time.Millisecond

// ways are the port and the pins to a chip.
type ways struct {
	port         framing.Port
	reset, boot0 stm32boot.Pin // nil if not wired
	closers      []func()
}

// open opens port and pins, with the chip running.
func (f *flasher) open(ctx context.Context) (w *ways, err error) {
	w = new(ways)
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	c := uart.Config{Mode: uart.Mode8E1(f.rates()[0])}
	f.reset.preset(&c, true)
	f.sel.preset(&c, false)
	w.port, err = f.at.openAs(ctx, c)
	if err != nil {
		return w, f.at.openError(err)
	}
	w.closers = append(w.closers, func() { w.port.Close() })
	for _, pin := range []struct {
		wiring
		flag string
		to   *stm32boot.Pin
	}{{f.reset, pinReset, &w.reset}, {f.sel, pinBoot0, &w.boot0}} {
		opened, closer, err := pin.open(ctx, w.port, pin.flag)
		if err != nil {
			return w, fmt.Errorf("--%s: %w", pin.flag, err)
		}
		*pin.to = opened
		w.closers = append(w.closers, closer)
	}
	return w, nil
}

// close closes all of it.
func (w *ways) close() {
	for _, closer := range slices.Backward(w.closers) {
		closer()
	}
}

// setRate sets the speed of the port.
func (w *ways) setRate(baud int) error {
	return w.port.(*uart.Port).SetMode(uart.Mode8E1(baud))
}

// rates returns the speeds to try. The chip measures the speed once after a reset:
// without a reset line one speed is all there is to try.
func (f *flasher) rates() []int {
	first := cmp.Or(f.at.baud, uart.DefaultBaud)
	switch {
	case len(f.bauds) > 0:
		return f.bauds
	case !f.reset.wired():
		return []int{first}
	}
	lower := slices.DeleteFunc([]int{115200, 57600, 19200}, func(baud int) bool { return baud >= first })
	return append([]int{first}, lower...)
}

// config returns how the chip is reached.
func (f *flasher) config(w *ways) stm32boot.Config {
	c := stm32boot.Config{
		Port: w.port, Reset: w.reset, Boot0: w.boot0, Bauds: f.rates(), Rate: w.setRate,
		Chip: f.chip.geometry, Observer: f.event, Latency: f.latency,
	}
	if f.at.network != "serial" {
		c.Rate = nil
		if !f.set("latency") {
			c.Latency = networkLatency
		}
	}
	return c
}

// event tells of disturbances: of those that matter always.
func (f *flasher) event(e stm32boot.Event) {
	switch e.Kind {
	case stm32boot.EventRate:
		f.bar.note("trying %d baud", e.Baud)
	case stm32boot.EventVerify, stm32boot.EventPage:
		f.bar.note("%s: %v", e.Kind, e.At)
	default:
		if f.verbose {
			text := e.Kind.String()
			if e.Err != nil {
				text += ": " + e.Err.Error()
			}
			f.bar.note("%s", text)
		}
	}
}
