package cloud

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
)

// serve sends what is to be sent until the link or ctx ends. It is the only
// goroutine that calls into paho, which takes one thing at a time and waits
// while the network is slow.
func (l *link) serve(ctx context.Context) {
	l.timer = time.NewTimer(never)
	defer l.timer.Stop()
	for {
		l.sendAcks()
		l.sendQueue()
		l.ask()
		var answered <-chan struct{}
		if l.asked != nil {
			answered = l.asked.token.Done()
		}
		select {
		case <-ctx.Done():
			l.sendAcks()
			return
		case <-l.down:
			return
		case <-l.wake:
		case <-answered:
		case now := <-l.timer.C:
			l.due = time.Time{}
			l.check(now)
		}
		l.takeAnswer()
	}
}

// takeAnswer takes the answer to what was asked, if it is there.
func (l *link) takeAnswer() {
	if l.asked == nil {
		return
	}
	select {
	case <-l.asked.token.Done():
		l.answer()
	default:
	}
}

// checkBy has check called at a time, or sooner.
func (l *link) checkBy(t time.Time) {
	if l.due.IsZero() || t.Before(l.due) {
		l.due = t
		l.timer.Reset(time.Until(t))
	}
}

// check ends the link if an answer has been missing for too long, and has ask look
// for filters that are no longer left out.
func (l *link) check(now time.Time) {
	l.takeAnswer()
	if l.asked != nil {
		due := l.asked.sent.Add(controlTimeout)
		if !now.Before(due) {
			l.late(errNoSuback)
			return
		}
		l.checkBy(due)
	}
	l.c.mu.Lock()
	l.unasked = true
	var oldest time.Time
	for _, p := range l.open {
		if oldest.IsZero() || p.sent.Before(oldest) {
			oldest = p.sent
		}
	}
	l.c.mu.Unlock()
	if oldest.IsZero() {
		return
	}
	due := oldest.Add(l.c.cfg.AckTimeout)
	if !now.Before(due) {
		l.late(errNoPuback)
		return
	}
	l.checkBy(due)
}

// late ends the link because the server does not answer.
func (l *link) late(what error) {
	l.fail(&Error{Reason: ReasonTimeout, Server: l.server.address, Err: what})
}

// settle ends everything that waits for the link, messages in the order in which
// they were published. Nothing of the link runs any more.
func (c *Conn) settle(l *link, why *Error) {
	c.mu.Lock()
	unacked := slices.SortedFunc(maps.Values(l.open), func(a, b *publication) int { return cmp.Compare(a.number, b.number) })
	unsent := l.queue
	l.queue, l.open, l.acks = nil, nil, nil
	c.mu.Unlock()
	for _, p := range append(unacked, unsent...) {
		c.finish(p, ErrLost)
	}
	c.settleRequests(l, why)
}
