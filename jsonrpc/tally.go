package jsonrpc

import (
	"sync"
	"sync/atomic"
)

// tally counts what is still to be done, and tells when it is nothing.
type tally struct {
	n       atomic.Int64
	waiting atomic.Bool

	mu   sync.Mutex
	zero chan struct{} // closed when n falls to 0; nil if nobody waits
}

func (t *tally) add() { t.n.Add(1) }

func (t *tally) done() {
	if t.n.Add(-1) == 0 && t.waiting.Load() {
		t.tell()
	}
}

// tell tells those who wait, if it is still nothing.
func (t *tally) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n.Load() == 0 && t.zero != nil {
		close(t.zero)
		t.zero = nil
		t.waiting.Store(false)
	}
}

// settled returns a channel that is closed when there is nothing to be done, which
// may be now.
func (t *tally) settled() <-chan struct{} {
	t.mu.Lock()
	if t.zero == nil {
		t.zero = make(chan struct{})
	}
	zero := t.zero
	t.waiting.Store(true)
	t.mu.Unlock()
	t.tell()
	return zero
}
