package shadow

import (
	"errors"
	"math/rand/v2"
	"time"
)

// How long requests rest after a failure: a random time up to backoffMin, twice
// that after the next one and so on up to backoffMax, but not less than a floor.
const (
	backoffMin  = time.Second
	backoffMax  = time.Minute
	backoffRest = 100 * time.Millisecond // the floor
	throttled   = 10 * time.Second       // the floor after 429
	denied      = time.Minute            // the whole time after 401 and 403
)

// gate says when the next request of a kind may go out.
type gate struct {
	until   time.Time
	fails   int  // in a row
	refused bool // the last failure was an answer of the cloud
}

func (g *gate) open(now time.Time) bool { return !now.Before(g.until) }

// passed notes that a request was answered well; the next one may go out at
// the given time.
func (g *gate) passed(next time.Time) { *g = gate{until: next} }

// failed notes that a request has failed.
func (g *gate) failed(now time.Time, floor time.Duration, refused bool) {
	most := min(backoffMax, backoffMin<<min(g.fails, 6))
	g.rest(now, max(floor, rand.N(most)), refused)
}

// denied notes that the cloud does not allow a request.
func (g *gate) denied(now time.Time) { g.rest(now, denied+rand.N(denied/10), true) }

func (g *gate) rest(now time.Time, d time.Duration, refused bool) {
	g.until, g.refused = now.Add(d), refused
	g.fails++
}

// reconnected forgets failures that may have been those of the connection.
func (g *gate) reconnected() {
	if !g.refused {
		*g = gate{}
	}
}

// verdict says what is to be done after a request.
type verdict uint8

const (
	accepted verdict = iota
	retry            // later
	slower           // later, and not soon
	conflict         // fetch the document first
	refused          // not at all
	closed           // not for a while
)

// judge returns what the error of a request means.
func judge(err error) verdict {
	if err == nil {
		return accepted
	}
	e, is := errors.AsType[*Error](err)
	if !is {
		return retry
	}
	switch {
	case e.Code == 401 || e.Code == 403:
		return closed
	case e.Code == 408:
		return retry
	case e.Code == 409:
		return conflict
	case e.Code == 429:
		return slower
	case e.Code >= 400 && e.Code < 500:
		return refused
	}
	return retry
}

// meter lets burst deltas pass at once and then one in each period.
type meter struct {
	full time.Time // when the next burst may pass
}

const meterBurst = 20

// pass reports whether a delta may pass now, or else when one may.
func (m *meter) pass(now time.Time, period time.Duration) (ok bool, next time.Time) {
	if m.full.Before(now) {
		m.full = now
	}
	if next = m.full.Add(-(meterBurst - 1) * period); now.Before(next) {
		return false, next
	}
	m.full = m.full.Add(period)
	return true, now
}
