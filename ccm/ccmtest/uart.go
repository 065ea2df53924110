package ccmtest

import (
	"context"
	"io/fs"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/wire"
)

// Line describes a serial line. The zero value is perfect and infinitely fast.
type Line struct {
	// Baud is the speed at which both ends start, at 8N1. It paces each
	// direction: Write returns when its last byte has been on the line, and
	// bytes arrive in pieces of up to 16. 0 = no pacing; SetMode is then
	// recorded and has no other effect.
	Baud int
	// Seed makes the faults, and the sizes of the reads, reproducible.
	Seed uint64
	// Faults hit the bytes of both directions; see [End.SetFaults] for one.
	Faults Faults
	// Split makes each Read return a random part of what has arrived.
	Split bool
	// Merge keeps bytes from the reader until they have waited for this long,
	// or until 62 of them have, as USB adapters do. 16 ms is usual.
	Merge time.Duration
	// ModuleBuffer and HostBuffer are how many bytes wait for the reader of
	// each end. 0 = 64 KiB. On a paced line, which has no flow control, bytes
	// that find the buffer full are lost and counted; otherwise Write waits.
	ModuleBuffer, HostBuffer int
	// Trace bounds the events that are remembered of each side; the oldest are
	// forgotten first. 0 = 65536, below 0 = none.
	Trace int
	// OnControl, if set, is told of every change of a mode, of DTR and of RTS,
	// on the goroutine that makes it. It is the wire from a pin to a reset
	// input: see [MCU.Hold].
	OnControl func(Event)
}

// Faults are probabilities per byte, each 0..1; their sum must not exceed 1. At
// most one fault hits a byte.
type Faults struct {
	Drop      float64 // the byte is lost
	Flip      float64 // one random bit of it is inverted
	Duplicate float64 // it arrives twice
	Insert    float64 // a random byte arrives before it
	Break     float64 // it arrives as NUL, as after a break
}

// Uniform returns faults with the total probability p per byte, spread evenly
// over loss, bit errors, duplicates and insertions.
func Uniform(p float64) Faults {
	return Faults{Drop: p / 4, Flip: p / 4, Duplicate: p / 4, Insert: p / 4}
}

func (f Faults) wire() wire.Faults {
	return wire.Faults{Drop: f.Drop, Flip: f.Flip, Dup: f.Duplicate, Insert: f.Insert, Break: f.Break}
}

// Side is one of the two sides of a line.
type Side uint8

// The sides. A direction is named by the side that writes.
const (
	Module Side = iota
	Host
)

// String returns "module" or "host".
func (s Side) String() string {
	if s == Module {
		return "module"
	}
	return "host"
}

// UART is a serial line in memory between a module and a host. It needs no
// Close: a line that nobody reads or writes holds no goroutine. All methods are
// safe for concurrent use.
type UART struct {
	line  Line
	trace trace

	mu    sync.Mutex
	sides [2]side
}

// side is what belongs to one side whether or not its port is open; mu guards
// it.
type side struct {
	end     *End
	claimed bool // by OpenModule or OpenHost
	pulled  bool // the adapter is not there
	mode    uart.Mode
	dtr     bool
	rts     bool
}

// NewUART returns a line. Both sides are open.
func NewUART(l Line) *UART {
	u := &UART{line: l}
	u.trace.init(l.Trace)
	a, b := wire.Pair(&wire.Options{
		Baud: l.Baud, Buffer: l.ModuleBuffer, BufferB: l.HostBuffer, Lossy: l.Baud > 0,
		Seed: l.Seed, AtoB: l.Faults.wire(), BtoA: l.Faults.wire(), Split: l.Split, Merge: l.Merge,
		Silent: true, Alter: u.mismatch, Tap: u.tap,
	})
	for s, w := range []*wire.End{Module: a, Host: b} {
		u.sides[s] = side{end: newEnd(u, Side(s), w), mode: uart.Mode8N1(l.Baud)}
	}
	return u
}

// tap records what has come out of one side.
func (u *UART) tap(dir wire.Dir, p []byte) { u.trace.bytes(Side(dir), p) }

// mismatch gives what the other side reads when its mode is not the writer's.
func (u *UART) mismatch(dir wire.Dir, p []byte) []byte {
	if u.line.Baud <= 0 {
		return p
	}
	u.mu.Lock()
	from, to := u.sides[dir].mode, u.sides[1-dir].mode
	u.mu.Unlock()
	if from == to {
		return p
	}
	return resample(p, from, to)
}

// Module returns the port at the module's side: the one that is open, or a new
// one after that was closed. While the adapter is unplugged it is a dead one.
func (u *UART) Module() *End { return u.port(Module) }

// Host returns the port at the host's side, as [UART.Module] does for the
// module's.
func (u *UART) Host() *End { return u.port(Host) }

func (u *UART) port(s Side) *End {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.reopened(s)
}

// reopened returns the open port of a side; mu is held.
func (u *UART) reopened(s Side) *End {
	sd := &u.sides[s]
	if sd.end.closed.Load() && !sd.pulled {
		sd.end = newEnd(u, s, sd.end.wire.Reopen())
		sd.claimed = false
	}
	return sd.end
}

// OpenModule opens the module's side as a program opens a serial device; it fits
// ccm.HostConfig. The port is a *[End]. It fails with uart.ErrBusy while a port
// that it has returned is open, and with fs.ErrNotExist while the adapter is
// unplugged.
func (u *UART) OpenModule(context.Context) (framing.Port, error) { return u.open(Module) }

// OpenHost opens the host's side, as [UART.OpenModule] does the module's.
func (u *UART) OpenHost(context.Context) (framing.Port, error) { return u.open(Host) }

func (u *UART) open(s Side) (framing.Port, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sides[s].pulled {
		return nil, &fs.PathError{Op: "open", Path: path(s), Err: fs.ErrNotExist}
	}
	e := u.reopened(s)
	if u.sides[s].claimed {
		return nil, &fs.PathError{Op: "open", Path: path(s), Err: uart.ErrBusy}
	}
	u.sides[s].claimed = true
	return e, nil
}

// path is the name of a side in errors.
func path(s Side) string { return "ccmtest:" + s.String() }
