package uart

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"go.bug.st/serial"
)

const (
	// readSlice bounds a single wait of a Read that has a deadline, and with it
	// the time a changed deadline takes to be noticed.
	readSlice = 50 * time.Millisecond
	// idlePause keeps a driver that comes back early with nothing from turning
	// Read into a busy loop.
	idlePause = 5 * time.Millisecond
	// maxEmpty is how often in a row a device may claim to have bytes and give
	// none, before it counts as gone.
	maxEmpty = 100
)

// input is the reading half of a Port.
type input struct {
	reading sync.Mutex    // held by the Read in progress
	timeout time.Duration // last set on the device; belongs to the Read in progress
	empty   int           // empty reads in a row; belongs to the Read in progress

	mu       sync.Mutex // guards deadline, never held for long
	deadline time.Time

	expired error // the one timeout error, so that a timeout costs no allocation
}

// init sets up the input of a device that blocks without a timeout.
func (in *input) init(path string) {
	in.timeout = serial.NoTimeout
	in.expired = &fs.PathError{Op: "read", Path: path, Err: os.ErrDeadlineExceeded}
}

// SetReadDeadline sets the time after which Read fails with
// os.ErrDeadlineExceeded; the zero time means never. It holds from the next Read
// on; a Read in progress that has a deadline notices within 50 ms. The only
// error is [ErrClosed].
func (p *Port) SetReadDeadline(t time.Time) error {
	if p.isClosed() {
		return p.closed("set deadline")
	}
	p.in.mu.Lock()
	p.in.deadline = t
	p.in.mu.Unlock()
	return nil
}

// Read waits for at least one byte and returns what is there, up to len(b). It
// does not fill b. Errors: os.ErrDeadlineExceeded, [ErrClosed], [ErrUnplugged].
func (p *Port) Read(b []byte) (int, error) {
	p.in.reading.Lock()
	defer p.in.reading.Unlock()
	for {
		if p.isClosed() {
			return 0, p.closed("read")
		}
		if len(b) == 0 {
			return 0, nil
		}
		start := time.Now()
		wait, ok := p.in.wait(start)
		if !ok {
			return 0, p.in.expired
		}
		n, err := p.readFor(b, wait)
		if n > 0 && err == nil {
			return n, nil
		}
		if err != nil {
			return n, p.fail("read", err)
		}
		if early(wait, time.Since(start)) {
			time.Sleep(idlePause)
		}
	}
}

// wait returns how long the next read of the device may take, and false if the
// deadline has passed.
func (in *input) wait(now time.Time) (time.Duration, bool) {
	in.mu.Lock()
	deadline := in.deadline
	in.mu.Unlock()
	if deadline.IsZero() {
		return serial.NoTimeout, true
	}
	left := deadline.Sub(now)
	if left <= 0 {
		return 0, false
	}
	if left >= readSlice {
		return readSlice, true
	}
	// Windows counts in milliseconds, and takes 0 for "do not wait".
	return (left + time.Millisecond - 1).Truncate(time.Millisecond), true
}

// early reports whether a read that brought nothing gave up long before it
// should have. A read without a timeout should never.
func early(wait, took time.Duration) bool {
	return wait == serial.NoTimeout || took < wait/2
}

// readFor reads the device once. It sets the timeout, which no other goroutine
// may do while a read is in progress.
func (p *Port) readFor(b []byte, wait time.Duration) (int, error) {
	if wait != p.in.timeout {
		if err := p.dev.SetReadTimeout(wait); err != nil {
			return 0, err
		}
		p.in.timeout = wait
	}
	n, err := guardedRead(p.dev, b)
	if n == 0 && p.isEmptyRead(err) {
		return 0, nil
	}
	p.in.empty = 0
	if n < 0 || n > len(b) {
		return 0, fmt.Errorf("uart: device returned %d bytes for a read of %d", n, len(b))
	}
	return n, err
}

// isEmptyRead reports whether err only means that the bytes which woke the
// library were thrown away before it could read them. It takes this for the end
// of the device.
func (p *Port) isEmptyRead(err error) bool {
	end, ok := errors.AsType[*serial.PortError](err)
	if !ok || end.Code() != serial.PortClosed || p.in.empty >= maxEmpty {
		return false
	}
	p.mu.Lock() // the claim stays open
	defer p.mu.Unlock()
	if p.isClosed() || !p.claim.alive() {
		return false
	}
	p.in.empty++
	return true
}

// guardedRead reads the device and turns the library's panic for descriptors
// above 1023 into an error.
func guardedRead(dev device, b []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = 0, fmt.Errorf("%w: %v", ErrTooManyFiles, r)
		}
	}()
	return dev.Read(b)
}
