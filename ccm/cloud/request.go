package cloud

import (
	"fmt"
	"slices"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// request is a SUBSCRIBE or UNSUBSCRIBE that waits for its answer. There is one
// at a time on a link.
type request struct {
	token  mqtt.Token
	sent   time.Time
	subs   []demand
	unsubs []*unsubscription
}

// demand is what a SUBSCRIBE asks for one filter. The subscription may change
// before the answer comes.
type demand struct {
	sub     *subscription
	qos     byte
	waiters []*waiter
}

// ask sends the next SUBSCRIBE or UNSUBSCRIBE, unless one waits for its answer.
// When nothing is left to ask, the link is ready.
func (l *link) ask() {
	if l.asked != nil {
		return
	}
	r, ready := l.nextRequest()
	if ready {
		l.c.connectedOn(l)
	}
	if r == nil {
		return
	}
	r.sent = time.Now()
	l.asked = r
	if len(r.unsubs) > 0 {
		filters := make([]string, len(r.unsubs))
		for i, u := range r.unsubs {
			filters[i] = u.filter
		}
		r.token = l.client.Unsubscribe(filters...)
	} else {
		filters := make(map[string]byte, len(r.subs))
		for _, d := range r.subs {
			filters[d.sub.filter] = d.qos
		}
		l.answers.Store(int32(len(filters)))
		r.token = l.client.SubscribeMultiple(filters, nil)
	}
	l.checkBy(r.sent.Add(controlTimeout))
}

// nextRequest chooses what to ask next, nil if there is nothing. ready says that
// the link has become ready by this.
func (l *link) nextRequest() (r *request, ready bool) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !l.unasked {
		return nil, false
	}
	if n := min(len(c.unsubs), filtersPerPacket); n > 0 {
		r = &request{unsubs: slices.Clone(c.unsubs[:n])}
		c.unsubs = slices.Delete(c.unsubs, 0, n)
		return r, false
	}
	subs := c.unsent(l.number)
	if len(subs) == 0 {
		if t := c.leftOutUntil(); !t.IsZero() {
			l.checkBy(t)
		}
		ready = !l.ready
		l.unasked, l.ready = false, true
		return nil, ready
	}
	r = new(request)
	for _, s := range subs {
		r.subs = append(r.subs, demand{sub: s, qos: s.qos, waiters: s.waiters})
		s.sentOn, s.waiters = l.number, nil
	}
	return r, false
}

// unsent returns what the next SUBSCRIBE of a link asks for. Filters during
// which a connection has ended come last and one by one: some servers answer to
// a filter they do not permit by closing the connection. mu is held.
func (c *Conn) unsent(link uint64) (batch []*subscription) {
	var suspect *subscription
	now := time.Now()
	for _, s := range c.subs {
		switch {
		case s.sentOn == link, now.Before(s.leftOut):
		case s.strikes == 0:
			batch = append(batch, s)
			if len(batch) == filtersPerPacket {
				return batch
			}
		case suspect == nil:
			suspect = s
		}
	}
	if len(batch) == 0 && suspect != nil {
		batch = append(batch, suspect)
	}
	return batch
}

// leftOutUntil returns when the next filter that is left out is to be sent again,
// zero if there is none. mu is held.
func (c *Conn) leftOutUntil() (next time.Time) {
	now := time.Now()
	for _, s := range c.subs {
		if now.Before(s.leftOut) && (next.IsZero() || s.leftOut.Before(next)) {
			next = s.leftOut
		}
	}
	return next
}

// connectedOn tells that the link is ready.
func (c *Conn) connectedOn(l *link) {
	c.log.Info("connected to the cloud", "server", l.server.address, "tls", l.server.tls, "session present", l.sessionPresent)
	c.report(Status{
		Connected: true, Server: l.server.address, Secure: l.server.tls, SessionPresent: l.sessionPresent,
	})
}

// answer takes the answer to what was asked.
func (l *link) answer() {
	r := l.asked
	if err := r.token.Error(); err != nil {
		l.fail(l.because(err))
		return // settleRequests does the rest
	}
	var codes map[string]byte
	if token, is := r.token.(*mqtt.SubscribeToken); is {
		codes = token.Result()
		if len(codes) != len(r.subs) {
			l.fail(l.because(malformed(fmt.Sprintf("an answer to SUBSCRIBE with %d codes for %d filters", len(codes), len(r.subs)))))
			return
		}
	}
	l.asked = nil
	c := l.c
	var tell []func()
	c.mu.Lock()
	for _, d := range r.subs {
		tell = append(tell, c.granted(l, d, codes[d.sub.filter])...)
	}
	for _, u := range r.unsubs {
		if u.waiter != nil {
			tell = append(tell, u.waiter.settle("", nil))
		}
	}
	l.unasked = true
	c.mu.Unlock()
	call(tell)
}

// granted notes the answer to one filter: the granted QoS, or 0x80 if it was
// refused (section 3.9.3). mu is held.
func (c *Conn) granted(l *link, d demand, code byte) (tell []func()) {
	s, refused := d.sub, ""
	s.strikes = 0
	s.refused = code > 2
	switch {
	case s.refused:
		refused = s.filter
		c.stats.refused.Add(1)
		tell = append(tell, func() { c.log.Warn("the server refuses a subscription", "filter", s.filter) })
		if len(d.waiters) > 0 && s.sentOn == l.number {
			c.subs = slices.DeleteFunc(c.subs, func(o *subscription) bool { return o == s })
		}
	case code < d.qos:
		tell = append(tell, func() { c.log.Warn("the server grants a lower QoS", "filter", s.filter, "qos", code) })
	}
	for _, w := range d.waiters {
		tell = append(tell, w.settle(refused, nil))
	}
	return tell
}

// settleRequests ends what waits for an answer that will not come.
func (c *Conn) settleRequests(l *link, why *Error) {
	r := l.asked
	l.asked = nil
	if r == nil {
		r = new(request)
	}
	var tell []func()
	c.mu.Lock()
	for _, d := range r.subs {
		tell = append(tell, c.strike(d.sub, len(r.subs) == 1, why))
		for _, w := range d.waiters {
			tell = append(tell, w.settle("", ErrLost))
		}
	}
	for _, s := range c.subs {
		for _, w := range s.waiters {
			tell = append(tell, w.settle("", ErrLost))
		}
		s.waiters = nil
	}
	c.unsubs = append(r.unsubs, c.unsubs...)
	for _, u := range c.unsubs {
		if u.waiter != nil {
			tell = append(tell, u.waiter.settle("", ErrLost))
			u.waiter = nil
		}
	}
	if !c.cfg.PersistentSession {
		c.unsubs = nil
	}
	c.mu.Unlock()
	call(tell)
}

// strike notes that the server ended a connection in the place of an answer to a
// filter, and leaves the filter out if that happens too often. mu is held.
func (c *Conn) strike(s *subscription, alone bool, why *Error) func() {
	if why.Reason != ReasonClosed && why.Reason != ReasonNetwork {
		return func() {}
	}
	s.strikes++
	if !alone || s.strikes < maxStrikes {
		return func() {}
	}
	pause := min(leaveOutMin<<min(s.strikes-maxStrikes, 11), leaveOutMax)
	s.refused, s.leftOut = true, time.Now().Add(pause)
	return func() {
		c.log.Warn("a subscription makes the server close the connection, it is left out", "filter", s.filter, "for", pause)
	}
}
