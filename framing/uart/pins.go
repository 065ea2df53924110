package uart

// A Pin is one of the two output lines of a port, for use as a reset or boot
// pin. The zero Pin belongs to no port; its Set fails with [ErrNotSupported].
type Pin struct {
	port *Port
	rts  bool
}

// DTR returns the data-terminal-ready line.
func (p *Port) DTR() Pin { return Pin{port: p} }

// RTS returns the request-to-send line.
func (p *Port) RTS() Pin { return Pin{port: p, rts: true} }

// Set asserts (true) or releases (false) the line. Asserted is the low level at
// the logic-level pin of an adapter. Errors: [ErrNotSupported] if the device has
// no such line, [ErrClosed], [ErrUnplugged].
func (pin Pin) Set(level bool) error {
	switch {
	case pin.port == nil:
		return ErrNotSupported
	case pin.rts:
		return pin.port.SetRTS(level)
	}
	return pin.port.SetDTR(level)
}

// String returns path and line, as in "/dev/ttyUSB0 DTR".
func (pin Pin) String() string {
	switch {
	case pin.port == nil:
		return "no pin"
	case pin.rts:
		return pin.port.path + " RTS"
	}
	return pin.port.path + " DTR"
}

// SetDTR asserts (true) or releases (false) the data-terminal-ready line, as
// the pin of [Port.DTR] does.
func (p *Port) SetDTR(level bool) error {
	return p.short("set DTR", func(dev device) error { return dev.SetDTR(level) })
}

// SetRTS asserts (true) or releases (false) the request-to-send line, as the
// pin of [Port.RTS] does.
func (p *Port) SetRTS(level bool) error {
	return p.short("set RTS", func(dev device) error { return dev.SetRTS(level) })
}
