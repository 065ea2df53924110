package uart

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"go.bug.st/serial"
)

// Config says how to open a port. The zero value and nil are usable: 115200
// 8N1, locked, lines left to the system.
type Config struct {
	// Mode is the character format, 115200 8N1 if zero.
	Mode Mode
	// NoLock opens the port without the advisory lock, so that others may have
	// it open as well. It has no effect on Windows, where they cannot.
	NoLock bool
	// InitialDTR and InitialRTS, if not nil, set the two lines while opening:
	// true asserts the line. nil leaves a line to the system, which asserts it.
	// On Unix both are asserted for some milliseconds first. A device without
	// these lines opens all the same.
	InitialDTR, InitialRTS *bool
}

// device is what a Port needs of the library's port.
type device interface {
	io.ReadWriteCloser
	SetReadTimeout(time.Duration) error
	SetMode(*serial.Mode) error
	Drain() error
	ResetInputBuffer() error
	ResetOutputBuffer() error
	SetDTR(bool) error
	SetRTS(bool) error
	Break(time.Duration) error
}

// Open opens the serial port at path. A nil cfg means the defaults.
//
// Errors: [ErrMode] for a mode that cannot be, fs.ErrNotExist and
// fs.ErrPermission as for files, [ErrBusy] if the port is in use, [ErrNotSerial]
// if it is no serial port, [ErrUnplugged] if there is a device file but no
// device, [ErrTooManyFiles] if too many files are open.
func Open(path string, cfg *Config) (*Port, error) {
	if cfg == nil {
		cfg = &Config{}
	}
	mode := cfg.Mode.withDefaults()
	if err := mode.check(); err != nil {
		return nil, pathError(opOpen, path, err)
	}
	claim, err := takeClaim(path, !cfg.NoLock)
	if err != nil {
		return nil, pathError(opOpen, path, err)
	}
	dev, err := openDevice(path, mode, cfg.initial(claim.lines), claim)
	if err != nil {
		_ = claim.Close()
		return nil, pathError(opOpen, path, err)
	}
	return newPort(path, dev, claim, mode), nil
}

// initial returns the levels to open with, nil if none are asked for or the
// device has no such lines. The library sets both lines or none.
func (c *Config) initial(lines bool) *serial.ModemOutputBits {
	if !lines || c.InitialDTR == nil && c.InitialRTS == nil {
		return nil
	}
	bits := &serial.ModemOutputBits{DTR: true, RTS: true}
	if c.InitialDTR != nil {
		bits.DTR = *c.InitialDTR
	}
	if c.InitialRTS != nil {
		bits.RTS = *c.InitialRTS
	}
	return bits
}

// openDevice opens the library's port and makes sure that it can be read. The
// mode comes last: a rate outside the table does not survive other settings on
// macOS.
func openDevice(path string, mode Mode, bits *serial.ModemOutputBits, c *claim) (device, error) {
	first := Mode8N1(9600).library()
	first.InitialStatusBits = bits
	dev, err := serial.Open(path, first)
	if err != nil {
		return nil, err
	}
	err = probe(dev)
	if err == nil {
		err = c.prepare()
	}
	if err == nil {
		err = setMode(dev, mode)
	}
	if err != nil {
		_ = dev.Close()
		return nil, err
	}
	return dev, nil
}

// setMode sets the mode of a device. A device that refuses it does so with
// EINVAL.
func setMode(dev device, mode Mode) error {
	err := dev.SetMode(mode.library())
	if errors.Is(err, syscall.EINVAL) {
		err = fmt.Errorf("%w: %w", ErrMode, err)
	}
	return err
}

// probe finds out whether the library can wait for the port's descriptor, by a
// read that takes no byte. Only a panic counts: the read itself has nothing to
// give.
func probe(dev device) error {
	if !mustProbe {
		return nil
	}
	if err := dev.SetReadTimeout(0); err != nil {
		return err
	}
	if _, err := guardedRead(dev, nil); errors.Is(err, ErrTooManyFiles) {
		return err
	}
	return dev.SetReadTimeout(serial.NoTimeout)
}
