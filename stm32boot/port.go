package stm32boot

import (
	"errors"
	"io"
	"time"
)

// Port is the way to the boot loader: a serial port, a pty, a TCP connection to
// a serial server, one end of a line in memory. The line is 8 data bits, even
// parity, 1 stop bit.
//
// A Read that ends because of the deadline must return an error whose method
// Timeout() bool gives true, as in package net. Deadlines are set before a Read,
// never while one runs. If the port also has SetWriteDeadline(time.Time) error,
// writes are limited in time too.
type Port interface {
	io.Reader
	io.Writer
	SetReadDeadline(t time.Time) error
}

// Pin is a line to the chip. Set drives it high (true) or low (false), before
// the inversion of [Config.InvertReset] and [Config.InvertBoot0]. A uart.Pin
// asserts its active-low line on true: set the invert flag for it.
type Pin interface {
	Set(high bool) error
}

// isTimeout reports whether a read ended because nothing came in time.
func isTimeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}
