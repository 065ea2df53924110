package uart

import (
	"sync"
	"time"
)

// closeWait is how long Close waits for bytes to leave.
const closeWait = time.Second

// A Port is an open serial port. Make one with [Open]. All methods are safe for
// concurrent use.
type Port struct {
	path  string
	dev   device
	claim holder // the lock on the device

	done     chan struct{} // closed when Close begins
	closing  sync.Once
	closeErr error // what every Close returns

	in  input
	out output

	mu    sync.Mutex // held for every short call on dev, so that none is inside when dev closes
	mode  Mode       // as last set
	stuck bool       // Close gave up on the output goroutine, and it has not ended
}

// holder is what a Port needs of its claim on the device.
type holder interface {
	// settle waits until the kernel has sent what it holds; at the limit it
	// drops the rest and returns false.
	settle(limit time.Time) bool
	// alive reports whether the device is known to be there still.
	alive() bool
	Close() error
}

// newPort returns the port over an open device and starts its output goroutine,
// which Close ends.
func newPort(path string, dev device, claim holder, mode Mode) *Port {
	p := &Port{path: path, dev: dev, claim: claim, mode: mode, done: make(chan struct{})}
	p.in.init(path)
	p.out.init()
	go p.serveOutput()
	return p
}

// Path returns the path the port was opened with.
func (p *Port) Path() string { return p.path }

// String returns path and mode, as in "/dev/ttyUSB0 115200 8N1".
func (p *Port) String() string { return p.path + " " + p.Mode().String() }

// Mode returns the mode last set, defaults filled in. It works on a closed port
// too.
func (p *Port) Mode() Mode {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode
}

// StuckWrites returns the number of goroutines of this port that are inside the
// device although Close has returned: 0 or 1. It goes back to 0 when the device
// takes the bytes or goes away.
func (p *Port) StuckWrites() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stuck {
		return 1
	}
	return 0
}

// Close closes the port. Everything in progress ends with [ErrClosed]; see the
// package comment for how. Further calls wait for the first and return the same
// result: nil, [ErrStuckWrite], or an error of the system.
func (p *Port) Close() error {
	p.closing.Do(func() { p.closeErr = p.close() })
	return p.closeErr
}

// close does the work of the first Close.
func (p *Port) close() error {
	p.mu.Lock() // no short call is inside, and none will enter
	close(p.done)
	p.mu.Unlock()

	limit := time.Now().Add(closeWait)
	sent := p.awaitOutput()
	err := p.dev.Close() // ends Read
	if !p.claim.settle(limit) {
		sent = false
	}
	if e := p.claim.Close(); err == nil {
		err = e
	}
	if !sent {
		err = ErrStuckWrite
	}
	if err != nil {
		return pathError("close", p.path, err)
	}
	return nil
}

// awaitOutput waits for the output goroutine and reports whether it has ended.
// If not, it is stuck in the device.
func (p *Port) awaitOutput() bool {
	timeout := time.NewTimer(closeWait)
	defer timeout.Stop()
	select {
	case <-p.out.ended:
		return true
	case <-timeout.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.out.ended: // just now
		return true
	default:
		p.stuck = true
		return false
	}
}

// isClosed reports whether Close has begun.
func (p *Port) isClosed() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// short runs a call on the device that does not wait for the line. The device
// stays open while it runs.
func (p *Port) short(op string, call func(device) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() {
		return p.closed(op)
	}
	return p.fail(op, call(p.dev))
}

// ResetInput throws away the bytes that have been received and not yet read.
func (p *Port) ResetInput() error { return p.short("reset input", device.ResetInputBuffer) }

// ResetOutput throws away the bytes that have been written and not yet sent. It
// does not free a Write that is stuck.
func (p *Port) ResetOutput() error { return p.short("reset output", device.ResetOutputBuffer) }
