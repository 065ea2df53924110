package cloud

import "time"

const (
	// stable is how long a connection must last to count as good.
	stable = 5 * time.Second
	// quickLimit is how many connections in a row may end sooner.
	quickLimit = 3

	floorRefused = 10 * time.Second // the server knows us and refuses
	floorQuick   = 30 * time.Second // the server lets us in and throws us out
)

// backoff says how long to wait before the next attempt.
type backoff struct {
	min, max time.Duration
	rand     func() float64

	failures int // in a row
	quick    int // connections in a row that ended at once
}

// next returns the wait after an attempt that failed for a reason, or after a
// connection that was up for a while (up > 0).
//
// The wait is uniformly random between 0 and a limit that doubles from min to
// max: full jitter, which spreads a fleet evenly. After it has reached max and
// been waited out once, the fleet is spread, and the wait is a little less than
// max, so that a server is asked about once in that time. A floor raises the
// lower end.
func (b *backoff) next(reason Reason, up time.Duration) time.Duration {
	switch {
	case up >= stable:
		b.failures, b.quick = 0, 0
	case up > 0:
		b.quick++
	}
	limit := b.min
	for range min(b.failures, 32) {
		limit = min(2*limit, b.max)
	}
	low := time.Duration(0)
	if limit == b.max && b.spread() {
		low = limit - limit/25
	}
	floor := time.Duration(0)
	if reason.refusal() {
		floor = floorRefused
	}
	if b.quick >= quickLimit {
		floor = floorQuick
	}
	if floor = min(floor, b.max); low < floor {
		low, limit = floor, min(max(limit, 2*floor), b.max)
	}
	b.failures++
	return low + time.Duration(b.rand()*float64(limit-low))
}

// spread reports whether a wait of up to max lies behind.
func (b *backoff) spread() bool {
	limit := b.min
	for range min(b.failures-1, 32) {
		limit = min(2*limit, b.max)
	}
	return b.failures > 0 && limit == b.max
}
