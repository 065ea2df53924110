package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/stm32boot"
)

// pinTimeout bounds what driving a pin may take.
const pinTimeout = 5 * time.Second

// wiring says how a pin of the chip can be driven. The zero value is: it cannot.
type wiring struct {
	kind   string // "dtr", "rts" or "ctl"
	path   string // of ctl
	invert bool   // there is an inverter on the way
}

// parseWiring reads dtr, rts or ctl:PATH, with ! in front if there is an inverter
// on the way.
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
	case kind == "ctl":
		return w, errors.New("the path is missing: ctl:PATH")
	}
	return w, fmt.Errorf("want dtr, rts, !dtr, !rts or ctl:PATH, not %q", text)
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

// open returns the pin, nil if there is none. Name is that of the pin for ctl.
// close must be called.
func (w wiring) open(ctx context.Context, port framing.Port, name string) (pin stm32boot.Pin, close func(), err error) {
	close = func() {}
	switch w.kind {
	case "dtr":
		pin = linePin{port.(*uart.Port).DTR(), w}
	case "rts":
		pin = linePin{port.(*uart.Port).RTS(), w}
	case "ctl":
		d := net.Dialer{Timeout: pinTimeout}
		c, err := d.DialContext(ctx, "unix", w.path)
		if err != nil {
			return nil, close, err
		}
		return &ctlPin{c, bufio.NewReaderSize(c, maxPinLine), name, w.invert}, func() { c.Close() }, nil
	}
	return pin, close, nil
}

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
