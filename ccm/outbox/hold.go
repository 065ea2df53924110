package outbox

import (
	"slices"
	"time"
)

// When a message is taken for the reason why connections break.
const (
	aloneAfter = 2               // connections that broke; then it is sent alone
	maxStrikes = 5               // connections that broke; then its topic is held
	strikeTime = 5 * time.Second // so soon after it was sent
	holdMin    = time.Minute     // each time twice as long
	holdMax    = time.Hour
)

// hold keeps back the messages of a topic.
type hold struct {
	topic   string
	until   time.Time
	entries []*entry // all waiting, oldest first; never empty
}

// alone reports whether a message that would be the next to be sent must wait until
// no other is on its way: it, or the oldest one, may be what breaks connections.
// The lock is held.
func (q *Queue) alone(e *entry) bool {
	return e.strikes >= aloneAfter || q.entries[0].strikes >= aloneAfter
}

// strike notes that the connection was lost with a message on its way, which
// waits again. If that was once too often, it holds the topic, and returns for
// how long. The lock is held.
func (q *Queue) strike(e *entry) (pause time.Duration) {
	now := time.Now()
	switch {
	case e != q.entries[0]:
		return 0
	case now.Sub(e.sent) > strikeTime:
		if e.strikes < maxStrikes {
			e.strikes = 0
		}
		return 0
	}
	if e.strikes++; e.strikes < maxStrikes {
		return 0
	}
	pause = min(holdMin<<min(e.strikes-maxStrikes, 10), holdMax)
	h := &hold{topic: e.Topic, until: now.Add(pause)}
	q.entries = slices.DeleteFunc(q.entries, func(o *entry) bool {
		if o.Topic != h.topic || o.state != waiting {
			return false
		}
		h.entries = append(h.entries, o)
		return true
	})
	q.next = 0
	q.judged(e)
	q.holds = append(q.holds, h)
	q.held += len(h.entries)
	q.wakeAt(h.until)
	return pause
}

// holdOf returns the hold of a topic, or nil. The lock is held.
func (q *Queue) holdOf(topic string) *hold {
	for _, h := range q.holds {
		if h.topic == topic {
			return h
		}
	}
	return nil
}

// release puts the messages of a topic whose time has come last in the queue, one
// topic at a time: each may break a connection, and others are to pass in between.
// The lock is held.
func (q *Queue) release(now time.Time) {
	var next time.Time
	q.holds = slices.DeleteFunc(q.holds, func(h *hold) bool {
		switch {
		case now.Before(h.until):
			if next.IsZero() || h.until.Before(next) {
				next = h.until
			}
			return false
		case q.trial != nil:
			return false
		}
		q.trial = h.entries[0]
		q.entries = append(q.entries, h.entries...)
		q.held -= len(h.entries)
		return true
	})
	if !next.IsZero() {
		q.wakeAt(next)
	}
}

// judged ends the trial of a topic if a message is the one it waits for: the message
// has left the queue, or is held again. The lock is held.
func (q *Queue) judged(e *entry) {
	if q.trial == e {
		q.trial = nil
	}
}

// wakeAt has the queue looked at again. The lock is held.
func (q *Queue) wakeAt(t time.Time) {
	if q.wake == nil {
		q.wake = time.AfterFunc(time.Until(t), q.pump)
	} else {
		q.wake.Reset(time.Until(t))
	}
}

// dropOldest takes the oldest message that is not on its way out of the queue,
// those that are held first. It returns nil if there is none. The lock is held.
func (q *Queue) dropOldest() *entry {
	if len(q.holds) > 0 {
		h := q.holds[0]
		e := h.entries[0]
		h.entries = h.entries[1:]
		q.held--
		if len(h.entries) == 0 {
			q.holds = q.holds[1:]
		}
		return e
	}
	for i := q.next; i < len(q.entries); i++ {
		if e := q.entries[i]; e.state == waiting {
			q.entries = append(q.entries[:i], q.entries[i+1:]...)
			q.judged(e)
			return e
		}
	}
	return nil
}

// inherit passes the strikes of a message that was dropped on to the next one of its
// topic, which is as likely to break connections. The lock is held.
func (q *Queue) inherit(d *entry) {
	if d.strikes == 0 {
		return
	}
	list := q.entries
	if h := q.holdOf(d.Topic); h != nil {
		list = h.entries
	}
	for _, e := range list {
		if e.Topic == d.Topic && e.state == waiting {
			e.strikes = max(e.strikes, d.strikes)
			return
		}
	}
}
