package framing

import "time"

// Pace limits how fast a connection writes, for peers that lose bytes when too
// many come at once: after every Chunk bytes it rests for Delay, frames that
// follow each other included. The zero value writes each frame in one piece.
type Pace struct {
	Chunk int           // bytes per write
	Delay time.Duration // rest after each
}

// Paces known to work.
var (
	// Arduino64 suits the 64-byte receive buffer of Arduino's serial classes,
	// which must not fill up completely.
	Arduino64 = Pace{Chunk: 63, Delay: 8 * time.Millisecond}
	// Notecard is what Blues' Notecard asks of its hosts.
	Notecard = Pace{Chunk: 250, Delay: 250 * time.Millisecond}
	// Mos115200 is how the mos tool writes at 115200 baud without flow control.
	Mos115200 = Pace{Chunk: 16, Delay: 5 * time.Millisecond}
)

// on reports whether there is anything to do.
func (p Pace) on() bool { return p.Chunk > 0 && p.Delay > 0 }
