// Package wire is a UART in memory for tests: two ends, a bounded buffer each
// way, optional pacing by baud rate and seeded faults on every byte. Package
// ccm/ccmtest builds the public UART on it.
//
// Both ends have the methods of a serial port (Read, Write, Close,
// SetReadDeadline) and work inside a testing/synctest bubble: there is no real
// I/O, waiting is done on condition variables and timers, and nothing sleeps
// with a lock held.
//
//	a, b := wire.Pair(&wire.Options{Baud: 115200, Seed: 7, AtoB: wire.Faults{Flip: 1e-3}})
//	defer a.Close()
//	defer b.Close()
//
// Faults depend only on the seed, the direction and the bytes written, never on
// time or on the sizes of the pieces in which they are written: the same seed
// gives the same bytes at the other end.
package wire

import (
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// ErrUnplugged is what Read and Write give after Unplug, in the place of the
// EIO of a pulled USB adapter. It is neither io.EOF nor a closed-port error.
var ErrUnplugged = errors.New("wire: input/output error")

// errTimeout is the error of a read whose deadline has passed.
var errTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string   { return "wire: read timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// DefaultBuffer is the size of the buffer of each direction in bytes.
const DefaultBuffer = 64 << 10

// MergeSize is how many bytes end the waiting of Options.Merge: the payload of a
// full-speed USB packet of the usual adapters.
const MergeSize = 62

// piece and burst are how many bytes a paced and an unpaced writer hand over at
// a time.
const (
	piece = 16
	burst = 512
)

// Options describes a pair. The zero value and nil are a perfect, infinitely
// fast line.
type Options struct {
	// Baud paces both directions at Baud/10 bytes per second (8N1). Write
	// returns when its last byte has been on the line; bytes arrive in pieces
	// of up to 16. 0 = no pacing.
	Baud int

	// Buffer bounds the bytes waiting in each direction; a writer that finds
	// it full waits for the reader or for Close. 0 = DefaultBuffer.
	Buffer int

	// BufferB bounds the bytes waiting for end B instead, unless it is 0.
	BufferB int

	// Lossy makes a full buffer lose the bytes that do not fit and count them,
	// as a receiver without flow control does. The writer does not wait then.
	Lossy bool

	// ReadMax bounds what one Read returns, as a UART with a small FIFO does.
	// 0 = as much as there is.
	ReadMax int

	// Split makes each Read return a random part of what there is.
	Split bool

	// Merge keeps bytes back until they have waited for this long, or until
	// MergeSize of them have, as USB adapters do to save transfers.
	Merge time.Duration

	// Seed makes the faults reproducible.
	Seed uint64

	// AtoB and BtoA are the faults of the two directions.
	AtoB, BtoA Faults

	// Silent makes an end that is closed look like a real UART to the other:
	// nothing arrives any more and what is written is lost. Otherwise the other
	// end reads io.EOF after the last byte and its writes fail.
	Silent bool

	// Alter, if set, changes what is on the line before the faults do: it
	// returns what becomes of p, in memory of its own or p itself. It runs where
	// Tap does.
	Alter func(dir Dir, p []byte) []byte

	// Tap sees the bytes as they arrive, after the faults, also those that a
	// full or an unused buffer loses. It runs on the writing goroutine, one call
	// at a time in each direction, and must not keep p.
	Tap func(dir Dir, p []byte)
}

// Dir is a direction on the line.
type Dir uint8

// The two directions of a pair.
const (
	AtoB Dir = iota
	BtoA
)

// String returns "a>b" or "b>a".
func (d Dir) String() string {
	if d == AtoB {
		return "a>b"
	}
	return "b>a"
}

// End is one end of a pair. All its methods are safe for concurrent use.
// Concurrent writes do not mix their bytes.
type End struct {
	rx, tx *line
	opt    *Options
	dir    Dir                   // of what this end writes
	err    atomic.Pointer[error] // why the end is dead
	done   chan struct{}         // closed when it is

	// Guarded by rx.mu.
	deadline time.Time
	timer    *time.Timer
}

// Pair returns the two ends of a new line. o may be nil and is copied.
func Pair(o *Options) (a, b *End) {
	opt := Options{}
	if o != nil {
		opt = *o
	}
	if opt.Buffer <= 0 {
		opt.Buffer = DefaultBuffer
	}
	if opt.BufferB <= 0 {
		opt.BufferB = opt.Buffer
	}
	ab, ba := newLine(opt.BufferB, opt.AtoB, opt.Seed, 1), newLine(opt.Buffer, opt.BtoA, opt.Seed, 2)
	ab.speed = speed{baud: opt.Baud, bits: 10}
	ba.speed = ab.speed
	a = &End{rx: ba, tx: ab, opt: &opt, dir: AtoB, done: make(chan struct{})}
	b = &End{rx: ab, tx: ba, opt: &opt, dir: BtoA, done: make(chan struct{})}
	return a, b
}

// Read waits for bytes and returns what has arrived, at most Options.ReadMax.
// Its errors are io.ErrClosedPipe after Close, ErrUnplugged, io.EOF when the
// other end is closed (see Options.Silent), and an error with Timeout() true
// when the deadline has passed.
func (e *End) Read(p []byte) (int, error) {
	if e.opt.ReadMax > 0 && len(p) > e.opt.ReadMax {
		p = p[:e.opt.ReadMax]
	}
	l := e.rx
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case e.failed() != nil:
			return 0, e.failed()
		case !e.deadline.IsZero() && !time.Now().Before(e.deadline):
			return 0, errTimeout
		case len(p) == 0:
			return 0, nil
		case l.n > 0 && l.ripe(e.opt.Merge):
			n := l.get(p[:l.share(len(p), e.opt.Split)])
			l.cond.Broadcast()
			return n, nil
		case l.ended:
			return 0, io.EOF
		}
		l.cond.Wait()
	}
}

// Write sends p, with the line's faults, and returns when all of it is in the
// other end's buffer. It fails with io.ErrClosedPipe after Close of either end
// and with ErrUnplugged.
func (e *End) Write(p []byte) (int, error) {
	if err := e.acquire(); err != nil {
		return 0, err
	}
	defer e.release()
	for n := 0; n < len(p); {
		speed, err := e.ready()
		if err != nil {
			return n, err
		}
		unit := burst
		if speed.baud > 0 {
			unit = piece
		}
		q := p[n:min(n+unit, len(p))]
		if err := e.pace(speed.duration(len(q))); err != nil {
			return n, err
		}
		if e.opt.Alter != nil {
			q = e.opt.Alter(e.dir, q)
		}
		if err := e.deliver(e.tx.spoil(q)); err != nil {
			return n, err
		}
		n = min(n+unit, len(p))
	}
	return len(p), e.failed()
}

// Break holds the line low for d. The other end reads it as one NUL.
func (e *End) Break(d time.Duration) error {
	if err := e.acquire(); err != nil {
		return err
	}
	defer e.release()
	if _, err := e.ready(); err != nil {
		return err
	}
	if err := e.pace(d); err != nil {
		return err
	}
	return e.deliver(e.tx.broken())
}

// acquire waits until no other writer is at work on the line.
func (e *End) acquire() error {
	select {
	case e.tx.token <- struct{}{}:
		return nil
	case <-e.done:
		return e.failed()
	}
}

func (e *End) release() { <-e.tx.token }

// ready waits while the line is stalled, and returns its speed.
func (e *End) ready() (speed, error) {
	l := e.tx
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.stalled && e.failed() == nil {
		l.cond.Wait()
	}
	return l.speed, e.failed()
}

// pace waits until the line has been busy for d more.
func (e *End) pace(d time.Duration) error {
	if err := e.failed(); err != nil || d <= 0 {
		return err
	}
	l, now := e.tx, time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(d)
	if l.timer == nil {
		l.timer = time.NewTimer(l.free.Sub(now))
	} else {
		l.timer.Reset(l.free.Sub(now))
	}
	select {
	case <-l.timer.C:
		return nil
	case <-e.done:
		l.timer.Stop()
		return e.failed()
	}
}

// deliver puts p in the other end's buffer, waiting for room unless the line is
// lossy.
func (e *End) deliver(p []byte) error {
	if e.opt.Tap != nil && len(p) > 0 {
		e.opt.Tap(e.dir, p)
	}
	l := e.tx
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if err := e.failed(); err != nil {
			return err
		}
		if l.ended || l.deaf {
			if e.opt.Silent || l.deaf {
				return nil
			}
			return io.ErrClosedPipe
		}
		l.ripen(e.opt.Merge)
		p = p[l.put(p):]
		l.cond.Broadcast()
		if len(p) > 0 && e.opt.Lossy {
			l.stats.Overrun += uint64(len(p))
			p = nil
		}
		if len(p) == 0 {
			return nil
		}
		l.cond.Wait()
	}
}

// SetReadDeadline makes reads, the one in progress too, fail with an error
// whose Timeout method returns true once t has passed. The zero time means no
// deadline.
func (e *End) SetReadDeadline(t time.Time) error {
	l := e.rx
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := e.failed(); err != nil {
		return err
	}
	e.deadline = t
	switch {
	case t.IsZero():
		if e.timer != nil {
			e.timer.Stop()
		}
	case e.timer == nil:
		e.timer = time.AfterFunc(time.Until(t), l.wake)
	default:
		e.timer.Reset(time.Until(t))
	}
	l.cond.Broadcast()
	return nil
}

// Close ends this end. Blocked calls on it return io.ErrClosedPipe. Further
// calls return nil.
func (e *End) Close() error {
	if !e.fail(io.ErrClosedPipe) {
		return nil
	}
	e.rx.end(e.opt.Silent)
	if !e.opt.Silent {
		e.tx.end(false)
	}
	return nil
}

// Unplug breaks this end: calls in progress and later ones fail with
// ErrUnplugged until Close. The other end only notices silence, as it would
// when an adapter is pulled.
func (e *End) Unplug() {
	if e.fail(ErrUnplugged) {
		e.rx.end(true)
	}
}

// Reopen returns a new end in the place of e, which must be closed or
// unplugged, as when a program opens the port again. What was buffered towards
// e is gone; the other end goes on as before. The pair must be Silent if e was
// closed.
func (e *End) Reopen() *End {
	e.rx.reopen()
	return &End{rx: e.rx, tx: e.tx, opt: e.opt, dir: e.dir, done: make(chan struct{})}
}

// SetFaults changes the faults on what this end writes from now on.
func (e *End) SetFaults(f Faults) {
	e.tx.mu.Lock()
	defer e.tx.mu.Unlock()
	e.tx.faults = f
}

// SetSpeed changes how fast this end writes, from its next piece on: baud bits
// per second, of which a byte takes bits (10 at 8N1, 11 at 8E1). Baud 0 ends the
// pacing.
func (e *End) SetSpeed(baud, bits int) {
	e.tx.mu.Lock()
	defer e.tx.mu.Unlock()
	e.tx.speed = speed{baud: baud, bits: bits}
}

// Stall stops what this end writes, as a peer does that holds off a transmitter:
// Write waits until the stall ends, or this end is closed or unplugged.
func (e *End) Stall(on bool) {
	e.tx.mu.Lock()
	defer e.tx.mu.Unlock()
	e.tx.stalled = on
	e.tx.cond.Broadcast()
}

// ResetInput throws away what has arrived and has not been read.
func (e *End) ResetInput() {
	e.rx.mu.Lock()
	defer e.rx.mu.Unlock()
	e.rx.n = 0
	e.rx.cond.Broadcast()
}

// Stats returns what has happened to the bytes this end wrote.
func (e *End) Stats() Stats {
	e.tx.mu.Lock()
	defer e.tx.mu.Unlock()
	return e.tx.stats
}

// failed returns why the end is dead, nil while it is alive.
func (e *End) failed() error {
	if p := e.err.Load(); p != nil {
		return *p
	}
	return nil
}

// fail kills the end; it reports false when it was dead already.
func (e *End) fail(err error) bool {
	if !e.err.CompareAndSwap(nil, &err) {
		if err == io.ErrClosedPipe && e.failed() == ErrUnplugged {
			e.err.Store(&err) // Close after Unplug
		}
		return false
	}
	close(e.done)
	e.rx.mu.Lock()
	if e.timer != nil {
		e.timer.Stop()
	}
	e.rx.mu.Unlock()
	e.rx.wake()
	e.tx.wake()
	return true
}
