package jsonrpc

import (
	"context"
	"errors"
	"math/bits"
	"math/rand/v2"
	"sync"
	"time"
)

// call is one call that waits for its answer. Its fields belong to the caller
// while it is not in the table, and to the table's lock while it is.
type call struct {
	id      uint64
	frame   []byte // kept for retries
	dst     []byte // the result is appended here
	err     error
	signals chan signal // one callEnded; timeUp before it
	due     time.Time   // when to signal that time is up; zero: never, if at all
	again   bool        // it will be sent once more if need be
}

// signal is what wakes a caller.
type signal uint8

const (
	callEnded signal = iota // dst or err is set, the call is out of the table
	timeUp                  // the time to wait has passed, or the call is to be sent again now
)

// callTable finds the waiting call of an id.
type callTable struct {
	mu      sync.Mutex
	slots   []*call // the call with id n waits in slot n modulo the length
	free    []*call
	next    uint64 // id to try next; ids only grow, so none is used twice
	waiting int
	max     int
	window  uint64        // how far ids may get ahead of the oldest call; 0: any
	moved   chan struct{} // closed when a call ends, if somebody waits for that
	closed  bool
	timer   *time.Timer // one for all calls: most end long before their time is up
	armed   time.Time   // when it will run down; zero: it is not set
}

func (t *callTable) init(max int, first uint64) {
	t.max = max
	t.slots = make([]*call, 1<<bits.Len(uint(2*max-1)))
	t.timer = time.AfterFunc(time.Hour, t.ring)
	t.timer.Stop()
	if t.next = first % (1 << 52); t.next == 0 {
		t.next = 1 + rand.Uint64N(1<<16)
	}
}

// begin takes a call and an id for it. If too many are waiting, the oldest one
// fails with ErrBusy. If the ids are too far ahead of the oldest one, begin must
// be called again when wait is closed.
func (t *callTable) begin() (p *call, evicted bool, wait <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, false, nil, ErrClosed
	}
	if t.waiting >= t.max {
		t.take(t.oldest()).end(ErrBusy)
		evicted = true
	}
	if t.window > 0 && t.waiting > 0 && t.next-t.oldest() >= t.window {
		if t.moved == nil {
			t.moved = make(chan struct{})
		}
		return nil, evicted, t.moved, nil
	}
	if n := len(t.free); n > 0 {
		p, t.free = t.free[n-1], t.free[:n-1]
	} else {
		p = &call{signals: make(chan signal, 2)}
	}
	for t.slots[t.slot(t.next)] != nil {
		t.next++
	}
	p.id, p.err = t.next, nil
	t.slots[t.slot(p.id)] = p
	t.next++
	t.waiting++
	return p, evicted, nil, nil
}

// wake has a call signalled at a time; the zero Time means never. again tells
// that it will be sent once more.
func (t *callTable) wake(p *call, due time.Time, again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.again, p.due = again, due
	if due.IsZero() || t.closed { // only ctx or the end wakes it
		return
	}
	if t.armed.IsZero() || due.Before(t.armed) {
		t.armed = due
		t.timer.Reset(time.Until(due))
	}
}

// ring signals the calls whose time is up, and sets the timer for the others.
func (t *callTable) ring() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.armed = time.Time{}
	for _, p := range t.slots {
		switch {
		case p == nil || p.due.IsZero():
		case p.due.After(now):
			if t.armed.IsZero() || p.due.Before(t.armed) {
				t.armed = p.due
			}
		default:
			p.due = time.Time{}
			if len(p.signals) == 0 {
				p.signals <- timeUp
			}
		}
	}
	if !t.armed.IsZero() {
		t.timer.Reset(t.armed.Sub(now))
	}
}

// close ends every call with ErrClosed and lets no more begin.
func (t *callTable) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.timer.Stop()
	for _, p := range t.slots {
		if p != nil {
			t.take(p.id).end(ErrClosed)
		}
	}
}

func (t *callTable) slot(id uint64) uint64 { return id & uint64(len(t.slots)-1) }

// oldest returns the lowest id that waits.
func (t *callTable) oldest() uint64 {
	low := uint64(1<<64 - 1)
	for _, p := range t.slots {
		if p != nil {
			low = min(low, p.id)
		}
	}
	return low
}

// take removes the call of an id from the table. The lock is held.
func (t *callTable) take(id uint64) *call {
	p := t.slots[t.slot(id)]
	if p == nil || p.id != id {
		return nil
	}
	t.slots[t.slot(id)] = nil
	t.waiting--
	if t.moved != nil {
		close(t.moved)
		t.moved = nil
	}
	return p
}

// end wakes the caller.
func (p *call) end(err error) {
	p.err = err
	p.signals <- callEnded
}

// finish gives the answer to the call that waits for it, and reports whether
// one does. The result is copied while the lock keeps the caller from leaving.
func (t *callTable) finish(id uint64, m *Message) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.slots[t.slot(id)]; p != nil && p.id == id && p.again && errors.Is(m.Err(), errParse) {
		// The call was damaged on its way: it is sent again at once.
		if p.again = false; len(p.signals) == 0 {
			p.signals <- timeUp
		}
		return true
	}
	p := t.take(id)
	if p == nil {
		return false
	}
	err := m.Err()
	if err == nil {
		p.dst = append(p.dst, resultOf(m)...)
	}
	p.end(err)
	return true
}

// errParse is what a peer answers that got a damaged call.
var errParse = &Error{Code: CodeParseError}

// resultOf returns the result of an answer; one without a result, which some
// devices send for an empty one, counts as null.
func resultOf(m *Message) []byte {
	if r := m.Result(); r != nil {
		return r
	}
	return []byte(`null`)
}

// next waits for a signal, at most until ctx ends. A ctx that never ends saves
// the select.
func (p *call) next(ctx context.Context) (signal, error) {
	done := ctx.Done()
	if done == nil {
		return <-p.signals, nil
	}
	select {
	case s := <-p.signals:
		return s, nil
	case <-done:
		return 0, ctx.Err()
	}
}

// fail ends the call with an error, if it still waits.
func (t *callTable) fail(id uint64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.take(id); p != nil {
		p.end(err)
	}
}

// forget takes a call out of the table. It reports false if the call has been
// ended already.
func (t *callTable) forget(p *call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.take(p.id) == p
}

// release takes back a call that is over.
func (t *callTable) release(p *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.take(p.id)
	for len(p.signals) > 0 { // ended before it was awaited, or time up since
		<-p.signals
	}
	p.dst, p.err, p.due = nil, nil, time.Time{}
	if cap(p.frame) <= maxKept && len(t.free) < t.max {
		t.free = append(t.free, p)
	}
}
