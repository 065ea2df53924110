package stm32sim

import (
	"math"
	"time"
)

// bits8E1 is how many bit times a byte takes on the loader's line: start, eight
// data bits, parity, stop.
const bits8E1 = 11

// speed is how fast bytes are: baud bits per second, 0 for no limit, of which a
// byte takes bits.
type speed struct{ baud, bits int }

// time returns how long n bytes take.
func (s speed) time(n int) time.Duration {
	if s.baud <= 0 {
		return 0
	}
	return time.Duration(n) * time.Duration(s.bits) * time.Second / time.Duration(s.baud)
}

// bytes returns how many bytes are complete after d, which is rounded down to a
// nanosecond as time does.
func (s speed) bytes(d time.Duration) int {
	switch {
	case d < 0:
		return 0
	case s.baud <= 0:
		return math.MaxInt
	}
	d = min(d, 10*time.Second) + 1
	return int(int64(d) * int64(s.baud) / (int64(s.bits) * int64(time.Second)))
}
