package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/gpio"
	"github.com/ccmkit/ccmkit/stm32boot"
)

// pinTimeout bounds what driving a pin may take.
const pinTimeout = 5 * time.Second

// wiring says how a pin of the chip can be driven. The zero value is: it cannot.
type wiring struct {
	kind   string // "dtr", "rts", "gpio" or "ctl"
	path   string // of ctl, CHIP/LINE of gpio
	invert bool   // there is an inverter on the way
}

// wiringForms are the ways to write a wiring, for error messages.
const wiringForms = "dtr, rts, gpio:CHIP/LINE or ctl:PATH, with ! in front if an inverter is on the way"

// parseWiring reads a wiring as the user has written it.
func parseWiring(text string) (wiring, error) {
	name, inverted := strings.CutPrefix(text, "!")
	kind, path, _ := strings.Cut(name, ":")
	w := wiring{kind, path, inverted}
	switch {
	case text == "":
		return wiring{}, nil
	case name == "dtr", name == "rts":
		return w, nil
	case kind == "ctl" && path != "":
		return w, nil
	case kind == "gpio":
		_, err := gpio.Parse(path)
		return w, err
	case kind == "ctl":
		return w, errors.New("the path is missing: ctl:PATH")
	}
	return w, fmt.Errorf("want %s, not %q", wiringForms, text)
}

// wired reports whether the pin can be driven.
func (w wiring) wired() bool { return w.kind != "" }

// ofPort reports whether it is a line of the serial port.
func (w wiring) ofPort() bool { return w.kind == "dtr" || w.kind == "rts" }

// asserted returns whether a line of a serial port is to be asserted so that the
// pin gets a level. An asserted line is low at the adapter.
func (w wiring) asserted(high bool) bool { return high == w.invert }

// preset has a line of the port give the pin a level when the port is opened.
func (w wiring) preset(c *uart.Config, high bool) {
	level := w.asserted(high)
	switch w.kind {
	case "dtr":
		c.InitialDTR = &level
	case "rts":
		c.InitialRTS = &level
	}
}

// The pins of a chip, by the names that they have at a ctl socket.
const (
	pinReset = "rst"
	pinBoot0 = "boot0"
)

// open returns the pin with a name, nil if it is not wired. The chip is let run: a
// pin that is driven at once from then on has that level. close must be called.
func (w wiring) open(ctx context.Context, port framing.Port, name string) (pin stm32boot.Pin, close func(), err error) {
	close = func() {}
	switch w.kind {
	case "dtr":
		pin, err = w.openLine(port.(*uart.Port).DTR(), name)
	case "rts":
		pin, err = w.openLine(port.(*uart.Port).RTS(), name)
	case "gpio":
		var p *gpio.Pin
		if p, err = gpio.Open(w.gpio(name)); err != nil {
			return nil, close, gpioError(err)
		}
		return gpioPin{p, w.invert}, func() { p.Close() }, nil
	case "ctl":
		d := net.Dialer{Timeout: pinTimeout}
		c, err := d.DialContext(ctx, "unix", w.path)
		if err != nil {
			return nil, close, fmt.Errorf("%w (does ccm sim stm32 --ctl %s run?)", err, w.path)
		}
		return &ctlPin{c, bufio.NewReaderSize(c, maxPinLine), name, w.invert}, func() { c.Close() }, nil
	}
	return pin, close, err
}

// idle is the level of a pin that lets the application run.
func idle(name string) bool { return name == pinReset }

// openLine returns a line of a serial port as a pin. It is tried at once, as not
// all ports have such lines.
func (w wiring) openLine(line uart.Pin, name string) (stm32boot.Pin, error) {
	p := linePin{line, w}
	err := p.Set(idle(name))
	if errors.Is(err, uart.ErrNotSupported) {
		err = fmt.Errorf("%w (this port has no such line: a pseudo terminal has none, and some adapters do not)", err)
	}
	return p, err
}

// gpio returns how a GPIO line is driven. NRST is open-drain, as the chip itself, a
// button and a debugger pull it low too; the input of an inverter needs both levels.
func (w wiring) gpio(name string) gpio.Config {
	line, _ := gpio.Parse(w.path) // parseWiring has looked at it
	return gpio.Config{
		Line: line, High: idle(name) != w.invert, OpenDrain: name == pinReset && !w.invert, Consumer: "ccm " + name,
	}
}

// gpioError adds to an error of gpio.Open what the user can do about it.
func gpioError(err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = "your user may have to be in the group of the device, such as gpio"
	case errors.Is(err, gpio.ErrNoChip):
		hint = "gpiodetect lists the chips"
	case errors.Is(err, gpio.ErrNoLine):
		hint = "gpioinfo lists the lines"
	case errors.Is(err, gpio.ErrBusy):
		hint = "end the program that has it, or take the line out of the device tree"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, hint)
}

// gpioPin is a line of a GPIO chip.
type gpioPin struct {
	line   stm32boot.Pin
	invert bool
}

// Set drives the pin of the chip.
func (p gpioPin) Set(high bool) error { return p.line.Set(high != p.invert) }

// linePin is a line of a serial port.
type linePin struct {
	line uart.Pin
	w    wiring
}

// Set drives the pin of the chip.
func (p linePin) Set(high bool) error { return p.line.Set(p.w.asserted(high)) }

// ctlPin is a pin that another program drives, such as ccm sim stm32: it is told
// by a line such as "rst 0", and answers "ok".
type ctlPin struct {
	conn    net.Conn
	answers *bufio.Reader
	name    string
	invert  bool
}

// Set drives the pin of the chip.
func (p *ctlPin) Set(high bool) error {
	level := 0
	if high != p.invert {
		level = 1
	}
	if err := p.conn.SetDeadline(time.Now().Add(pinTimeout)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(p.conn, "%s %d\n", p.name, level); err != nil {
		return err
	}
	answer, err := p.answers.ReadSlice('\n')
	if err != nil {
		return err
	}
	if text := strings.TrimSpace(string(answer)); text != "ok" {
		return fmt.Errorf("%s %d: %s", p.name, level, readable([]byte(text)))
	}
	return nil
}
