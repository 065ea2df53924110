package access

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

// Limits of nonces (spec/security.md 3.2).
const (
	maxNonces = 64
	nonceTime = time.Minute
	nonceBits = 53 // so that every JSON reader takes it
)

// nonces are the numbers that were handed out and not used up.
type nonces struct {
	mu  sync.Mutex
	all []nonce // in the order in which they were made
}

type nonce struct {
	n     int64
	host  string // that may use it, "" = any
	made  time.Time
	count uint64 // the highest nc that HTTP has used, 0 = none
}

// make returns a new one for a host, in [1, 2^53). Of too many, the oldest of the
// host that has the most is given up, so that nobody can use up those of others.
func (t *nonces) make(host string) int64 {
	var random [8]byte
	n := int64(0)
	for n == 0 {
		rand.Read(random[:])
		n = int64(binary.BigEndian.Uint64(random[:]) >> (64 - nonceBits))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire()
	if len(t.all) >= maxNonces {
		i := t.surplus()
		t.all = append(t.all[:i], t.all[i+1:]...)
	}
	t.all = append(t.all, nonce{n: n, host: host, made: time.Now()})
	return n
}

// surplus returns the place of the oldest nonce of the host that has the most. The
// lock is held.
func (t *nonces) surplus() (at int) {
	has := map[string]int{}
	for _, e := range t.all {
		has[e.host]++
	}
	for i, e := range t.all {
		if has[e.host] > has[t.all[at].host] {
			at = i
		}
	}
	return at
}

// expire gives up those that are too old. The lock is held.
func (t *nonces) expire() {
	old := 0
	for old < len(t.all) && time.Since(t.all[old].made) >= nonceTime {
		old++
	}
	t.all = append(t.all[:0], t.all[old:]...)
}

// use uses a nonce: once with count 0, for a frame, or again and again with a count
// that grows. It reports whether that host may.
func (t *nonces) use(host string, n int64, count uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire()
	for i := range t.all {
		e := &t.all[i]
		switch {
		case e.n != n || e.host != "" && e.host != host:
			continue
		case count == 0 && e.count == 0:
			t.all = append(t.all[:i], t.all[i+1:]...)
			return true
		case count > e.count:
			e.count = count
			return true
		}
		return false
	}
	return false
}
