package ccmtest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/wire"
)

// End is a port at one side of a [UART]. It has the methods of a uart.Port and
// gives the same errors: *fs.PathError around os.ErrDeadlineExceeded,
// uart.ErrClosed and uart.ErrUnplugged. A port that the other side has closed is
// silent, as a real one is.
//
// All methods are safe for concurrent use. Writes do not mix their bytes.
type End struct {
	u       *UART
	side    Side
	wire    *wire.End
	closed  atomic.Bool
	timeout error
}

func newEnd(u *UART, s Side, w *wire.End) *End {
	return &End{u: u, side: s, wire: w,
		timeout: &fs.PathError{Op: "read", Path: path(s), Err: os.ErrDeadlineExceeded}}
}

// Read waits for bytes and returns what has arrived; see [Line] for Split and
// Merge. It returns at least one byte or an error.
func (e *End) Read(p []byte) (int, error) {
	n, err := e.wire.Read(p)
	return n, e.fail("read", err)
}

// Write sends p and returns when its last byte has been on the line. On a line
// without pacing it returns when the other side's buffer has taken the bytes.
func (e *End) Write(p []byte) (int, error) {
	n, err := e.wire.Write(p)
	return n, e.fail("write", err)
}

// Close ends this port, and every call that is in progress on it. Opening the
// side again gives a new port.
func (e *End) Close() error {
	e.u.mu.Lock() // nobody opens the side again meanwhile
	first := !e.closed.Swap(true)
	err := e.wire.Close()
	e.u.mu.Unlock()
	if first {
		e.u.trace.control(Event{Side: e.side, Kind: EventClose})
	}
	return err
}

// SetReadDeadline makes reads fail with os.ErrDeadlineExceeded once t has
// passed, the one in progress too. The zero time means no deadline.
func (e *End) SetReadDeadline(t time.Time) error {
	return e.fail("set deadline", e.wire.SetReadDeadline(t))
}

// fail returns err as an error of this port.
func (e *End) fail(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrClosedPipe):
		err = uart.ErrClosed
	case errors.Is(err, wire.ErrUnplugged):
		err = uart.ErrUnplugged
	default: // the deadline is all that is left
		return e.timeout
	}
	return &fs.PathError{Op: op, Path: path(e.side), Err: err}
}

// state returns the error of operation op on a port that is closed or unplugged,
// else nil.
func (e *End) state(op string) error {
	if e.closed.Load() {
		return &fs.PathError{Op: op, Path: path(e.side), Err: uart.ErrClosed}
	}
	e.u.mu.Lock()
	defer e.u.mu.Unlock()
	if e.u.sides[e.side].pulled {
		return &fs.PathError{Op: op, Path: path(e.side), Err: uart.ErrUnplugged}
	}
	return nil
}

// SetMode changes the format in which this side writes and reads, and throws
// away what has arrived. On a paced line the number of bits of a character
// counts: 8E1 takes 11 bit times a byte, 8N1 takes 10. While the two sides
// differ, each reads what a receiver with its own format makes of the other's
// bits. Fields that are zero take the defaults of uart.Mode.
func (e *End) SetMode(m uart.Mode) error {
	if err := e.state("set mode"); err != nil {
		return err
	}
	m = withDefaults(m)
	if !validMode(m) {
		return &fs.PathError{Op: "set mode", Path: path(e.side), Err: uart.ErrMode}
	}
	if e.u.line.Baud > 0 {
		e.wire.SetSpeed(m.Baud, charBits(m))
	}
	e.u.mu.Lock()
	e.u.sides[e.side].mode = m
	e.u.mu.Unlock()
	e.wire.ResetInput()
	e.control(Event{Kind: EventMode, Mode: m})
	return nil
}

// Mode returns the format of this side, which outlives the port.
func (e *End) Mode() uart.Mode {
	e.u.mu.Lock()
	defer e.u.mu.Unlock()
	return e.u.sides[e.side].mode
}

// SetDTR asserts (true) or releases (false) the data-terminal-ready line.
func (e *End) SetDTR(level bool) error {
	return e.setLine("set DTR", EventDTR, level, func(s *side) *bool { return &s.dtr })
}

// SetRTS asserts (true) or releases (false) the request-to-send line.
func (e *End) SetRTS(level bool) error {
	return e.setLine("set RTS", EventRTS, level, func(s *side) *bool { return &s.rts })
}

func (e *End) setLine(op string, kind EventKind, level bool, which func(*side) *bool) error {
	if err := e.state(op); err != nil {
		return err
	}
	e.u.mu.Lock()
	*which(&e.u.sides[e.side]) = level
	e.u.mu.Unlock()
	e.control(Event{Kind: kind, Level: level})
	return nil
}

// Lines returns the levels of the lines that this side drives.
func (e *End) Lines() (dtr, rts bool) {
	e.u.mu.Lock()
	defer e.u.mu.Unlock()
	s := &e.u.sides[e.side]
	return s.dtr, s.rts
}

// control records a change and tells OnControl.
func (e *End) control(ev Event) {
	ev.Side = e.side
	ev = e.u.trace.control(ev)
	if e.u.line.OnControl != nil {
		e.u.line.OnControl(ev)
	}
}

// Break holds the line low for d, which the other side reads as one NUL.
func (e *End) Break(d time.Duration) error {
	if err := e.wire.Break(d); err != nil {
		return e.fail("break", err)
	}
	e.u.trace.control(Event{Side: e.side, Kind: EventBreak})
	return nil
}

// Drain waits until everything written has left, which it has when Write
// returns.
func (e *End) Drain() error { return e.state("drain") }

// ResetInput throws away what has arrived and has not been read.
func (e *End) ResetInput() error {
	if err := e.state("reset input"); err != nil {
		return err
	}
	e.wire.ResetInput()
	return nil
}

// SetFaults changes the faults of what this side writes, from its next piece on.
func (e *End) SetFaults(f Faults) { e.wire.SetFaults(f.wire()) }

// Stall holds off what this side writes, or ends that: Write waits, as it does
// on a USB adapter that takes no more. Close ends the wait.
func (e *End) Stall(on bool) {
	e.wire.Stall(on)
	e.u.trace.control(Event{Side: e.side, Kind: EventStall, Level: on})
}

// Unplug pulls this side's adapter: its calls fail with uart.ErrUnplugged, what
// is under way to it is lost, and the other side notices only silence. The side
// can be opened again after Plug.
func (e *End) Unplug() {
	e.u.mu.Lock()
	cur, first := e.u.sides[e.side].end, !e.u.sides[e.side].pulled
	e.u.sides[e.side].pulled = true
	e.u.mu.Unlock()
	cur.wire.Unplug()
	if first {
		e.u.trace.control(Event{Side: e.side, Kind: EventPlug, Level: false})
	}
}

// Plug puts the adapter back: the side can be opened again. The port that was
// open stays dead until it is closed.
func (e *End) Plug() {
	e.u.mu.Lock()
	first := e.u.sides[e.side].pulled
	e.u.sides[e.side].pulled = false
	e.u.mu.Unlock()
	if first {
		e.u.trace.control(Event{Side: e.side, Kind: EventPlug, Level: true})
	}
}

// LineStats counts the bytes of one direction.
type LineStats struct {
	Written    uint64 // bytes given to Write
	Delivered  uint64 // bytes that came out at the other side
	Dropped    uint64 // the faults
	Flipped    uint64
	Duplicated uint64
	Inserted   uint64
	Broken     uint64 // breaks, those of End.Break included
	Overrun    uint64 // came out, and were lost because the buffer was full
}

// Faults returns the number of faults injected.
func (s LineStats) Faults() uint64 {
	return s.Dropped + s.Flipped + s.Duplicated + s.Inserted + s.Broken
}

// Stats returns what has happened to the bytes this side has written.
func (e *End) Stats() LineStats {
	s := e.wire.Stats()
	return LineStats{Written: s.Written, Delivered: s.Delivered, Dropped: s.Dropped, Flipped: s.Flipped,
		Duplicated: s.Duplicated, Inserted: s.Inserted, Broken: s.Broken, Overrun: s.Overrun}
}
