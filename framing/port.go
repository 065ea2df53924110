package framing

import (
	"errors"
	"io"
	"time"
)

// Port is a byte stream with a read deadline: a serial port, a pty, a TCP
// connection, one end of a net.Pipe.
//
// A Read that ends because of the deadline must return an error whose method
// Timeout() bool gives true, as in package net. A port whose SetReadDeadline
// always fails works too, only the idle rules of Conn are off then. Close must
// unblock Read and Write.
type Port interface {
	io.ReadWriteCloser
	SetReadDeadline(t time.Time) error
}

// Errors of this package, for errors.Is.
var (
	// ErrClosed: the connection was closed on this side.
	ErrClosed = errors.New("framing: connection closed")
	// ErrTooLong: a frame is longer than the limit of its direction.
	ErrTooLong = errors.New("framing: frame too long")
	// ErrNewline: a frame to be written holds a line feed.
	ErrNewline = errors.New("framing: line feed inside a frame")
	// ErrFlowStopped: the peer sent XOFF and no XON for Options.XoffTimeout.
	ErrFlowStopped = errors.New("framing: stopped by the peer's flow control")
	// ErrSyntax: a line is not a run of complete objects.
	ErrSyntax = errors.New("framing: line is not a sequence of complete objects")
	// ErrCRC: a CRC suffix does not match its object.
	ErrCRC = errors.New("framing: CRC mismatch")
	// ErrNoCRC: an object has no CRC suffix where one is needed.
	ErrNoCRC = errors.New("framing: CRC missing")
)

// PortError is an error of the port below a connection. Unwrap gives the
// port's own error, so errors.Is(err, io.EOF) and the like work.
type PortError struct {
	Op  string // "read" or "write"
	Err error  // what the port returned
}

// Error returns the operation and the port's error text.
func (e *PortError) Error() string { return "framing: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns the port's error.
func (e *PortError) Unwrap() error { return e.Err }

// isTimeout reports whether a read ended because nothing came in time.
func isTimeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}
