package uart

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"go.bug.st/serial"
)

// ErrClosed is returned by every method once Close has been called. It also
// satisfies errors.Is with net.ErrClosed and os.ErrClosed, so code that handles
// connections or files needs no case of its own.
var ErrClosed error = closedError{}

// Errors of this package, for errors.Is.
var (
	// ErrUnplugged: the device went away: the adapter was pulled, the other
	// side of the pty closed. Nothing but Close makes sense now.
	ErrUnplugged = errors.New("uart: device is gone")
	// ErrStuckWrite: Close gave up waiting for bytes that the device did not
	// take in time. The port is closed and the bytes are lost; see
	// [Port.StuckWrites].
	ErrStuckWrite = errors.New("uart: closed with output stuck in the device")
	// ErrBusy: the port is open elsewhere, in this program or in another.
	ErrBusy = errors.New("uart: port is in use")
	// ErrMode: a field of the mode is out of range, or the device refuses it.
	ErrMode = errors.New("uart: mode not possible")
	// ErrNotSerial: what was opened is not a serial port.
	ErrNotSerial = errors.New("uart: not a serial port")
	// ErrNotSupported: the device has no such line or function.
	ErrNotSupported = errors.New("uart: not supported by this device")
	// ErrTooManyFiles: the port got a descriptor above 1023, which reading
	// cannot handle. Open ports before other files.
	ErrTooManyFiles = errors.New("uart: descriptor number above 1023")
)

// opOpen is the operation of errors of Open, which have rules of their own.
const opOpen = "open"

// closedError is the type of ErrClosed.
type closedError struct{}

func (closedError) Error() string { return "uart: port is closed" }

// Is makes ErrClosed one with its relatives.
func (closedError) Is(target error) bool {
	return target == net.ErrClosed || target == os.ErrClosed
}

// fail returns err as an error of operation op on p. What fails on a port that
// has been closed failed because of that.
func (p *Port) fail(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case p.isClosed():
		return p.closed(op)
	}
	return pathError(op, p.path, err)
}

// closed returns the error of operation op on a closed port.
func (p *Port) closed(op string) error {
	return &fs.PathError{Op: op, Path: p.path, Err: ErrClosed}
}

// pathError wraps err with operation and port, and adds the sentinel it stands
// for.
func pathError(op, path string, err error) error {
	if kind := kindOf(op, err); kind != nil && !errors.Is(err, kind) {
		err = fmt.Errorf("%w: %w", kind, err)
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// kindOf returns the sentinel for an error of the library or of the system, nil
// if there is none.
func kindOf(op string, err error) error {
	var port *serial.PortError
	if errors.As(err, &port) {
		return kindOfCode(op, port.Code())
	}
	switch {
	case errors.Is(err, syscall.EBUSY):
		return ErrBusy
	case errors.Is(err, syscall.ENOTTY) && op == opOpen:
		return ErrNotSerial
	case errors.Is(err, syscall.ENOTTY):
		return ErrNotSupported
	case isGone(err):
		return ErrUnplugged
	}
	return nil
}

// kindOfCode returns the sentinel for an error code of the library.
func kindOfCode(op string, code serial.PortErrorCode) error {
	switch code {
	case serial.PortBusy:
		return ErrBusy
	case serial.PortNotFound:
		return fs.ErrNotExist
	case serial.PermissionDenied:
		return fs.ErrPermission
	case serial.InvalidSerialPort:
		if op == opOpen {
			return ErrNotSerial
		}
		return ErrUnplugged // Windows: the settings can no longer be read
	case serial.InvalidSpeed, serial.InvalidDataBits, serial.InvalidParity, serial.InvalidStopBits:
		return ErrMode
	case serial.PortClosed:
		return ErrUnplugged // our own Close has been ruled out
	case serial.FunctionNotImplemented:
		return ErrNotSupported
	}
	return nil
}
