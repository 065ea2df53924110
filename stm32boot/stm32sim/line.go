package stm32sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/internal/wire"
)

// LineOptions describe a serial line between a program and a target. The zero
// value is perfect and infinitely fast.
type LineOptions struct {
	// Baud is the speed of both directions. 0 = no limit; [Line.SetBaud] then
	// has no effect on the time that bytes take.
	Baud int
	// Bits is how many bit times a byte takes. 0 = 11, as at 8E1.
	Bits int
	// Turnaround passes before the first byte after each change of the
	// direction, as in a USB adapter.
	Turnaround time.Duration
	// ToTarget and ToClient are what happens to the bytes of each direction.
	ToTarget, ToClient Faults
	// FaultsAt, if set, gives the faults for a speed in the place of the two
	// above. It is called by NewLine and SetBaud.
	FaultsAt func(baud int) (toTarget, toClient Faults)
	// Seed makes the faults reproducible.
	Seed uint64
	// Split makes each Read return a random part of what has arrived.
	Split bool
}

// Faults are probabilities per byte, each 0..1; their sum must not exceed 1. At
// most one fault hits a byte.
type Faults struct {
	Drop      float64 // the byte is lost
	Flip      float64 // one random bit of it is inverted; parity does not help
	Duplicate float64 // it arrives twice
	Insert    float64 // a random byte arrives before it
}

// Uniform returns faults with the total probability p per byte, spread evenly
// over the four kinds.
func Uniform(p float64) Faults {
	return Faults{Drop: p / 4, Flip: p / 4, Duplicate: p / 4, Insert: p / 4}
}

func (f Faults) wire() wire.Faults {
	return wire.Faults{Drop: f.Drop, Flip: f.Flip, Dup: f.Duplicate, Insert: f.Insert}
}

// LineStats counts the bytes of a line.
type LineStats struct {
	ToTarget, ToClient Traffic
	// Turns is how many bursts there were: how often the direction changed,
	// the first byte included.
	Turns uint64
}

// Traffic counts the bytes of one direction.
type Traffic struct {
	Written    uint64 // given to Write
	Delivered  uint64 // that arrived, faults included
	Dropped    uint64
	Flipped    uint64
	Duplicated uint64
	Inserted   uint64
	Garbled    uint64 // sent at another speed than the target has measured
	Overrun    uint64 // that found 64 KiB waiting, and were lost
}

// Faults returns the number of faults, garbled bytes not included.
func (t Traffic) Faults() uint64 { return t.Dropped + t.Flipped + t.Duplicated + t.Inserted }

// Line is a serial line in memory: it takes the time of its speed, and bytes
// suffer. A write takes as long as its bytes; they arrive together, in pieces of
// up to 50 ms. Of what nobody reads, 64 KiB wait each way; more is lost, or with
// Baud 0 has to wait.
//
// A target that runs on the line measures its speed with the first 0x7F. If the
// program then changes the speed without a reset, both read random bytes.
//
// Lines work inside a testing/synctest bubble, in which they must then be made,
// and outside.
type Line struct {
	o      LineOptions
	client *End
	target *End

	mu      sync.Mutex
	baud    int
	locked  int // the speed that the target has measured; 0 = it has not
	spoken  bool
	last    wire.Dir
	turns   uint64
	garbled [2]uint64
	rng     *rand.Rand
}

// NewLine returns a line.
func NewLine(o LineOptions) *Line {
	if o.Bits <= 0 {
		o.Bits = bits8E1
	}
	l := &Line{o: o, baud: o.Baud, rng: rand.New(rand.NewPCG(o.Seed, 0x33))}
	a, b := wire.Pair(&wire.Options{Seed: o.Seed, Lossy: o.Baud > 0, Split: o.Split, Alter: l.alter})
	l.client, l.target = newEnd(l, wire.AtoB, a), newEnd(l, wire.BtoA, b)
	l.SetFaults(o.ToTarget, o.ToClient)
	l.setFaultsAt(o.Baud)
	return l
}

// Client returns the end of the program.
func (l *Line) Client() *End { return l.client }

// Target returns the end of the target: the port for [Target.Run].
func (l *Line) Target() *End { return l.target }

// SetBaud changes the speed at the program's end, and with it how long bytes take
// both ways. It fits stm32boot.Config.Rate.
func (l *Line) SetBaud(baud int) error {
	if baud <= 0 {
		return errors.New("stm32sim: the speed of a line must be above 0")
	}
	l.mu.Lock()
	if l.o.Baud > 0 {
		l.baud = baud
	}
	l.mu.Unlock()
	l.setFaultsAt(baud)
	return nil
}

// SetFaults changes what happens to the bytes that are written from now on.
func (l *Line) SetFaults(toTarget, toClient Faults) {
	l.client.wire.SetFaults(toTarget.wire())
	l.target.wire.SetFaults(toClient.wire())
}

func (l *Line) setFaultsAt(baud int) {
	if l.o.FaultsAt != nil {
		l.SetFaults(l.o.FaultsAt(baud))
	}
}

// Close closes both ends.
func (l *Line) Close() error {
	_ = l.client.Close()
	return l.target.Close()
}

// Stats returns the counters.
func (l *Line) Stats() LineStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LineStats{
		ToTarget: traffic(l.client.wire.Stats(), l.garbled[wire.AtoB]),
		ToClient: traffic(l.target.wire.Stats(), l.garbled[wire.BtoA]),
		Turns:    l.turns,
	}
}

func traffic(s wire.Stats, garbled uint64) Traffic {
	return Traffic{
		Written: s.Written, Delivered: s.Delivered, Dropped: s.Dropped, Flipped: s.Flipped,
		Duplicated: s.Duplicated, Inserted: s.Inserted, Garbled: garbled, Overrun: s.Overrun,
	}
}

// lock is called by a target on the line that measures the speed, or is about to.
func (l *Line) lock(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locked = 0; on {
		l.locked = l.baud
	}
}

// alter makes bytes random that are sent at another speed than the target's.
func (l *Line) alter(dir wire.Dir, p []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locked == 0 || l.locked == l.baud {
		return p
	}
	l.garbled[dir] += uint64(len(p))
	q := make([]byte, len(p))
	for i := range q {
		q[i] = byte(l.rng.Uint32())
	}
	return q
}

func (l *Line) speed() speed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return speed{l.baud, l.o.Bits}
}

// turn notes who sends and returns how long it takes until the first byte.
func (l *Line) turn(dir wire.Dir) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spoken && l.last == dir {
		return 0
	}
	l.spoken, l.last = true, dir
	l.turns++
	return l.o.Turnaround
}

// Connect runs the target on a new line and returns the line. Stop closes the
// line and returns when the target no longer runs; it is to be called once.
func (t *Target) Connect(o LineOptions) (l *Line, stop func()) {
	l = NewLine(o)
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { _ = t.Run(ctx, l.target) })
	return l, func() {
		cancel()
		_ = l.Close()
		run.Wait()
	}
}
