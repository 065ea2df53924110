package stm32sim

import (
	"io"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/internal/wire"
)

// longest is how long bytes may be held back so that they arrive together.
const longest = 50 * time.Millisecond

// End is one end of a [Line], a port with deadlines. All its methods are safe for
// concurrent use; concurrent writes do not mix their bytes. Errors of a passed
// deadline have Timeout() true; after Close of this end there is
// io.ErrClosedPipe, and after Close of the other io.EOF.
type End struct {
	line  *Line
	dir   wire.Dir
	wire  *wire.End
	token chan struct{} // held by the writer
	timer *time.Timer   // the writer's
	wake  chan struct{} // a token means: look at the deadline
	done  chan struct{} // closed by Close
	once  sync.Once

	mu       sync.Mutex
	deadline time.Time // of writes
}

func newEnd(l *Line, dir wire.Dir, w *wire.End) *End {
	e := &End{
		line: l, dir: dir, wire: w, timer: time.NewTimer(time.Hour),
		token: make(chan struct{}, 1), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	e.timer.Stop()
	return e
}

// Read waits for bytes and returns what has arrived.
func (e *End) Read(p []byte) (int, error) { return e.wire.Read(p) }

// SetReadDeadline limits reads in time, the one in progress too. The zero time
// means no limit.
func (e *End) SetReadDeadline(t time.Time) error { return e.wire.SetReadDeadline(t) }

// ResetInput throws away what has arrived and has not been read.
func (e *End) ResetInput() error {
	e.wire.ResetInput()
	return nil
}

// SetWriteDeadline limits writes in time, the one in progress too: bytes that
// would leave later are not sent. The zero time means no limit.
func (e *End) SetWriteDeadline(t time.Time) error {
	e.mu.Lock()
	e.deadline = t
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
	return nil
}

// Close ends this end. It may be called more than once.
func (e *End) Close() error {
	e.once.Do(func() { close(e.done) })
	return e.wire.Close()
}

// Write sends p and returns when its last byte has left. At the deadline and at
// Close it returns how many had left by then.
func (e *End) Write(p []byte) (int, error) {
	select {
	case e.token <- struct{}{}:
	case <-e.done:
		return 0, io.ErrClosedPipe
	}
	defer func() { <-e.token }()
	if len(p) == 0 {
		return 0, nil
	}
	wait := e.line.turn(e.dir)
	for n := 0; n < len(p); wait = 0 {
		k, err := e.pass(wait, len(p)-n)
		if _, werr := e.wire.Write(p[n : n+k]); err == nil {
			err = werr
		}
		if n += k; err != nil {
			return n, err
		}
	}
	return len(p), nil
}

// pass lets the time of the next piece of n bytes pass, after wait, and returns
// how many have left, fewer than fit only with an error.
func (e *End) pass(wait time.Duration, n int) (int, error) {
	v := e.line.speed()
	n = min(n, max(1, v.bytes(longest)))
	start := time.Now().Add(wait)
	for end := start.Add(v.time(n)); ; {
		now, deadline := time.Now(), e.limit()
		late := !deadline.IsZero() && deadline.Before(end)
		switch {
		case late && !now.Before(deadline):
			return min(n, v.bytes(now.Sub(start))), errTimeout
		case !now.Before(end):
			return n, nil
		case late:
			e.timer.Reset(deadline.Sub(now))
		default:
			e.timer.Reset(end.Sub(now))
		}
		select {
		case <-e.timer.C:
		case <-e.wake:
		case <-e.done:
			e.timer.Stop()
			return min(n, v.bytes(time.Since(start))), io.ErrClosedPipe
		}
		e.timer.Stop()
	}
}

func (e *End) limit() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.deadline
}
