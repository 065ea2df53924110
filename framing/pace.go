package framing

import "time"

// Pace limits how fast a connection writes, for peers that lose bytes when too
// many come at once: after every Chunk bytes it rests for Delay, frames that
// follow each other included. The zero value writes each frame in one piece.
type Pace struct {
	Chunk int           // bytes per write
	Delay time.Duration // rest after each
}

// Arduino64 returns the pace that suits the 64-byte receive buffer of Arduino's
// serial classes, which must not fill up completely: 63 bytes every 8 ms.
func Arduino64() Pace { return Pace{Chunk: 63, Delay: 8 * time.Millisecond} }

// Notecard returns the pace that Blues' Notecard asks of its hosts: 250 bytes
// every 250 ms.
func Notecard() Pace { return Pace{Chunk: 250, Delay: 250 * time.Millisecond} }

// Mos115200 returns the pace of the mos tool at 115200 baud without flow
// control: 16 bytes every 5 ms.
func Mos115200() Pace { return Pace{Chunk: 16, Delay: 5 * time.Millisecond} }

// on reports whether there is anything to do.
func (p Pace) on() bool { return p.Chunk > 0 && p.Delay > 0 }
