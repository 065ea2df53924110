//go:build !(linux || darwin || freebsd || openbsd)

package uart

import "time"

// mustProbe: descriptor numbers do not matter on this platform.
const mustProbe = false

// A claim does nothing here: the system refuses a second open by itself.
type claim struct {
	lines bool // the device may have DTR and RTS
}

// takeClaim always succeeds.
func takeClaim(string, bool) (*claim, error) { return &claim{lines: true}, nil }

// prepare does nothing: the library needs no help here.
func (*claim) prepare() error { return nil }

// alive takes the library's word for the end of a device.
func (*claim) alive() bool { return false }

// settle does nothing: closing does not wait for output.
func (*claim) settle(time.Time) bool { return true }

// Close does nothing.
func (*claim) Close() error { return nil }
