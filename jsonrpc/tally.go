package jsonrpc

import "sync/atomic"

// tally counts what is still to be done, and tells when it is nothing.
type tally struct {
	n       atomic.Int64
	waiting atomic.Bool
	zero    chan struct{} // receives a value when n falls to 0 while waiting
}

func (t *tally) add() { t.n.Add(1) }

func (t *tally) done() {
	if t.n.Add(-1) == 0 && t.waiting.Load() {
		select {
		case t.zero <- struct{}{}:
		default:
		}
	}
}

// settled reports whether there is nothing to wait for; if not, zero will tell.
func (t *tally) settled() bool {
	t.waiting.Store(true)
	return t.n.Load() == 0
}
