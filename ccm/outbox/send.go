package outbox

import (
	"errors"
	"slices"
	"time"
)

// pump hands messages to the connection as long as it takes them. One goroutine
// does so at a time; others that come meanwhile make it look again.
func (q *Queue) pump() {
	q.mu.Lock()
	if q.pumping {
		q.again = true
		q.mu.Unlock()
		return
	}
	q.pumping = true
	for {
		q.again = false
		e := q.take()
		if e == nil {
			q.pumping = false
			q.mu.Unlock()
			return
		}
		again := e.before
		q.mu.Unlock()
		err := q.cfg.Send(&e.Message, func(err error) { q.settled(e, err) })
		q.mu.Lock()
		if err == nil && again {
			q.stats.Resent++
		}
		if err != nil && !q.untaken(e, err) && !q.again {
			q.pumping = false
			q.mu.Unlock()
			return
		}
	}
}

// take returns the next message to send, which is flying from then on, or nil.
// The lock is held.
func (q *Queue) take() *entry {
	if q.online && len(q.holds) > 0 {
		q.release(time.Now())
	}
	for q.next < len(q.entries) && q.entries[q.next].state != waiting {
		q.next++
	}
	if !q.online || q.inFlight >= q.cfg.Window || q.next == len(q.entries) {
		return nil
	}
	e := q.entries[q.next]
	if q.inFlight > 0 && q.alone(e) {
		return nil
	}
	q.next++
	e.state, e.sent = flying, time.Now()
	q.inFlight++
	return e
}

// untaken puts a message back that the connection has not taken, or drops one
// that it never will. It reports whether it makes sense to go on with the next.
// The lock is held; it is released while the message is told.
func (q *Queue) untaken(e *entry, err error) bool {
	if e.state != flying {
		return true // closed meanwhile
	}
	q.inFlight--
	switch {
	case errors.Is(err, ErrOffline):
		q.putBack(e)
		return false
	case errors.Is(err, ErrBusy):
		q.putBack(e)
		if q.inFlight == 0 {
			q.tryLater()
		}
		return false
	}
	q.stats.Refused++
	q.remove(e)
	q.mu.Unlock()
	tell([]*entry{e}, err)
	q.mu.Lock()
	return true
}

// tryLater looks again when the connection may be less busy. The lock is held.
func (q *Queue) tryLater() {
	if q.retry == nil {
		q.retry = time.AfterFunc(retryBusy, q.pump)
	} else {
		q.retry.Reset(retryBusy)
	}
}

// putBack makes a message wait again. The lock is held.
func (q *Queue) putBack(e *entry) {
	e.state = waiting
	for i, o := range q.entries[:q.next] {
		if o == e {
			q.next = i
			return
		}
	}
}

// settled is called by the connection: a message is acknowledged, or the
// connection was lost before.
func (q *Queue) settled(e *entry, err error) {
	q.mu.Lock()
	if e.state != flying {
		q.mu.Unlock()
		return
	}
	q.inFlight--
	if err != nil {
		e.before = true
		q.putBack(e)
		pause := q.strike(e)
		q.mu.Unlock()
		if pause > 0 && q.cfg.OnHold != nil {
			q.cfg.OnHold(e.Topic, pause)
		}
		q.pump()
		return
	}
	q.stats.Sent++
	q.remove(e)
	q.mu.Unlock()
	tell([]*entry{e}, nil)
	q.pump()
}

// remove takes a message that is acknowledged or given up out of the queue. Only
// those before it are moved, which are few. The lock is held.
func (q *Queue) remove(e *entry) {
	e.state = over
	q.judged(e)
	q.stats.Bytes -= e.size()
	e.Message = Message{}
	i := slices.Index(q.entries, e)
	copy(q.entries[1:i+1], q.entries[:i])
	q.entries[0] = nil
	q.entries = q.entries[1:]
	if i < q.next {
		q.next--
	}
	if len(q.entries) == 0 {
		q.entries = nil // gives the array back
	}
}
