package uart

import "time"

// What the tests need of the inside.
const (
	PieceSize = pieceSize
	CloseWait = closeWait
	ReadSlice = readSlice
	MaxEmpty  = maxEmpty
)

// Device is the seam to the library.
type Device = device

// KindOfCode returns the sentinel for an error code of the library.
var KindOfCode = kindOfCode

// Initial returns the levels that are passed to the library.
var Initial = (*Config).initial

// NewPort returns a port over dev. settled is what waiting for the kernel's
// output gives when closing.
func NewPort(dev Device, settled bool) *Port {
	return newPort("fake0", dev, fakeClaim(settled), Mode{}.withDefaults())
}

// fakeClaim is a claim on nothing.
type fakeClaim bool

func (c fakeClaim) settle(time.Time) bool { return bool(c) }
func (fakeClaim) alive() bool             { return true }
func (fakeClaim) Close() error            { return nil }
