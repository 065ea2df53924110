package access

import (
	"sync"
	"time"
)

// Limits of callers through the provisioning window (spec/security.md 4.4), each
// for one address.
const (
	windowRequests = 10
	windowTime     = time.Second
	windowSaves    = 3
	saveTime       = time.Minute
)

// maxRemotes bounds how many addresses a table has. Beyond it, the one that was
// heard of the longest ago is forgotten.
const maxRemotes = 1024

// pace counts what addresses do: at most max times per duration.
type pace struct {
	max int
	per time.Duration

	mu    sync.Mutex
	table map[string][]time.Time // the last times, at most max of each
}

// take counts one more, or reports that it is too many.
func (p *pace) take(remote string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	recent := p.recent(remote, now)
	if len(recent) >= p.max {
		return false
	}
	p.put(remote, append(recent, now))
	return true
}

// full reports whether an address has done it max times lately.
func (p *pace) full(remote string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.recent(remote, time.Now())) >= p.max
}

// recent returns the times that still count. The lock is held.
func (p *pace) recent(remote string, now time.Time) []time.Time {
	times := p.table[remote]
	for len(times) > 0 && now.Sub(times[0]) >= p.per {
		times = times[1:]
	}
	return times
}

// put stores the times of an address. The lock is held.
func (p *pace) put(remote string, times []time.Time) {
	if p.table == nil {
		p.table = map[string][]time.Time{}
	}
	if _, known := p.table[remote]; !known && len(p.table) >= maxRemotes {
		p.makeRoom()
	}
	p.table[remote] = append(make([]time.Time, 0, p.max), times...)
}

// makeRoom forgets the address that was heard of the longest ago. The lock is held.
func (p *pace) makeRoom() {
	oldest, when := "", time.Time{}
	for remote, times := range p.table {
		if last := times[len(times)-1]; when.IsZero() || last.Before(when) {
			oldest, when = remote, last
		}
	}
	delete(p.table, oldest)
}
