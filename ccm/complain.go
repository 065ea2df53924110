package ccm

import (
	"sync"
	"time"
)

// How often the same complaint is logged: less and less while it goes on.
const (
	complainPause    = 10 * time.Second
	complainPauseMax = 10 * time.Minute
)

// complaints keeps what happens with every message from filling the log.
type complaints struct {
	mu   sync.Mutex
	seen map[string]*complaint // by text and host: bounded, both are ours
}

type complaint struct {
	last  time.Time
	pause time.Duration // after that
	since int           // not logged since then
}

// complain logs a warning about a host, unless it did so lately; "more" counts
// those that were left out.
func (m *Module) complain(text, host string, args ...any) {
	c := &m.complaints
	now := time.Now()
	c.mu.Lock()
	if c.seen == nil {
		c.seen = map[string]*complaint{}
	}
	key := text + "\x00" + host
	e := c.seen[key]
	if e == nil {
		e = new(complaint)
		c.seen[key] = e
	}
	switch quiet := now.Sub(e.last); {
	case quiet < e.pause:
		e.since++
		c.mu.Unlock()
		return
	case quiet < 2*e.pause:
		e.pause = min(2*e.pause, complainPauseMax)
	default:
		e.pause = complainPause
	}
	left := e.since
	e.last, e.since = now, 0
	c.mu.Unlock()
	args = append([]any{"host", host}, args...)
	if left > 0 {
		args = append(args, "more", left)
	}
	m.log.Warn(text, args...)
}
