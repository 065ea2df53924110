package stm32boot

import (
	"context"
	"errors"
	"io"
	"time"
)

// pollInterval is how long one Read of the port lasts at most, and with that how
// late the end of a context is noticed.
const pollInterval = 50 * time.Millisecond

// bitsPerByte is what 8E1 puts on the line for a byte.
const bitsPerByte = 11

// errSilence: nothing came before the limit.
var errSilence = errors.New("stm32boot: silence")

// errSpinning: a port returned neither bytes nor an error, again and again.
var errSpinning = errors.New("port returns no bytes and no error")

// link moves bytes. It knows nothing of commands.
type link struct {
	port  Port
	clock func() time.Time // nil: time.Now
	idle  func()           // after each pollInterval in which nothing came; may be nil
	stats Stats
	dir   direction
	rx    [2 * MaxBlock]byte
	buf   []byte // what of rx is not yet taken
}

// now returns the time by which deadlines are set.
func (l *link) now() time.Time {
	if l.clock != nil {
		return l.clock()
	}
	return time.Now()
}

// direction is that of the last burst.
type direction uint8

const (
	outward direction = iota + 1
	inward
)

// turn counts a burst when the direction changes.
func (l *link) turn(d direction) {
	if l.dir != d {
		l.dir = d
		l.stats.Turns++
	}
}

// send writes p. Bytes that came before it and were not asked for are dropped.
func (l *link) send(ctx context.Context, p []byte, limit time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.drop()
	if w, ok := l.port.(interface{ SetWriteDeadline(time.Time) error }); ok {
		if err := w.SetWriteDeadline(l.now().Add(limit)); err != nil {
			return err
		}
	}
	l.turn(outward)
	n, err := l.port.Write(p)
	l.stats.Sent += uint64(max(n, 0))
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return err
}

// drop throws away what was received and not taken.
func (l *link) drop() {
	l.stats.Stray += uint64(len(l.buf))
	l.buf = nil
}

// receive fills p and returns how much of it came. It fails with errSilence when
// limit has passed, with the context's error, or with that of the port.
func (l *link) receive(ctx context.Context, p []byte, limit time.Duration) (int, error) {
	n := 0
	for end := l.now().Add(limit); ; {
		k := copy(p[n:], l.buf)
		l.buf = l.buf[k:]
		if n += k; n == len(p) {
			return n, nil
		}
		if err := l.fill(ctx, end); err != nil {
			return n, err
		}
	}
}

// fill reads from the port until at least one byte has come.
func (l *link) fill(ctx context.Context, end time.Time) error {
	for empty := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		now := l.now()
		if !now.Before(end) {
			return errSilence
		}
		if slice := now.Add(pollInterval); slice.Before(end) {
			if err := l.port.SetReadDeadline(slice); err != nil {
				return err
			}
		} else if err := l.port.SetReadDeadline(end); err != nil {
			return err
		}
		n, err := l.port.Read(l.rx[:])
		switch {
		case n > 0:
			l.turn(inward)
			l.stats.Received += uint64(n)
			l.buf = l.rx[:n]
			return nil
		case err != nil && !isTimeout(err):
			return err
		case err != nil:
			if l.idle != nil {
				l.idle()
			}
		default:
			if empty++; empty > 100 {
				return errSpinning
			}
		}
	}
}

// discard throws away what comes until nothing has come for quiet, or until
// limit has passed. It fails with the context's error or that of the port.
func (l *link) discard(ctx context.Context, quiet, limit time.Duration) error {
	l.drop()
	for end := l.now().Add(limit); ; {
		now := l.now()
		wait := min(quiet, end.Sub(now))
		if wait <= 0 {
			return nil
		}
		err := l.fill(ctx, now.Add(wait))
		l.drop()
		if errors.Is(err, errSilence) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
