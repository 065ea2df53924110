package cloud

import (
	"context"
	"slices"
	"strings"
	"time"
)

const (
	// maxStrikes is how often a connection may end while the server looks at a
	// filter, the last time at this filter alone, before it is left out, for
	// leaveOutMin and then twice as long each time.
	maxStrikes  = 3
	leaveOutMin = time.Minute
	leaveOutMax = 24 * time.Hour
)

// Subscription is a topic filter to subscribe to.
type Subscription struct {
	Filter string
	QoS    byte // 0 or 1, the most with which messages come
}

// SubscribeError says that the server refuses subscriptions.
type SubscribeError struct {
	Filters []string
}

// Error names the filters.
func (e *SubscribeError) Error() string {
	return "cloud: the server refuses to subscribe to " + strings.Join(e.Filters, ", ")
}

// subscription is a topic filter in the list. Conn.mu guards it.
type subscription struct {
	filter  string
	qos     byte
	sentOn  uint64 // number of the last link on which it was sent
	refused bool
	strikes int       // connections in a row that ended while it was being answered
	leftOut time.Time // until when it is not sent
	waiters []*waiter // calls that wait until it is sent and answered
}

// unsubscription is a topic filter to unsubscribe from.
type unsubscription struct {
	filter string
	waiter *waiter // nil if nobody waits
}

// waiter is a call that waits for the answers to one or several filters.
// Conn.mu guards it.
type waiter struct {
	left    int
	refused []string
	err     error
	done    func(error)
}

// settle notes the answer to one filter. When all are there, it returns the
// function that tells the caller, to be called without the lock.
func (w *waiter) settle(refused string, err error) func() {
	if refused != "" {
		w.refused = append(w.refused, refused)
	}
	if err != nil {
		w.err = err
	}
	if w.left--; w.left > 0 {
		return func() {}
	}
	err = w.err
	if len(w.refused) > 0 {
		err = &SubscribeError{Filters: w.refused}
	}
	return func() { w.done(err) }
}

// Subscribe subscribes to topic filters and waits for the server's answer. The
// subscriptions stay until [Conn.Unsubscribe] and are sent again at every
// connect; a filter that is there already gets the new QoS, and is sent again,
// upon which servers repeat retained messages.
//
// A server that refuses filters makes it return a [*SubscribeError]; these are
// forgotten. [ErrOffline] says that there is no connection now, and [ErrLost]
// that it ended before the answer; the subscriptions stay, and are sent at the
// next connect. So they do when ctx ends. Nothing is kept with an error that
// wraps [ErrTopic], of Config.CheckTopic, [ErrQoS], and
// [ErrTooManySubscriptions].
func (c *Conn) Subscribe(ctx context.Context, subs ...Subscription) error {
	result := make(chan error, 1)
	c.subscribe(subs, func(err error) { result <- err })
	return await(ctx, result)
}

// SubscribeFunc is [Conn.Subscribe] without waiting. done is called once with
// the error, before or after the return, on any goroutine. It must not block.
func (c *Conn) SubscribeFunc(sub Subscription, done func(error)) {
	c.subscribe([]Subscription{sub}, done)
}

// Unsubscribe ends subscriptions and waits for the server's answer. [ErrLost]
// says that the connection ended before. Without a connection it returns nil; a
// session that the server keeps is told at the next connect, unless more than
// Config.MaxSubscriptions filters wait for that, [ErrTooManySubscriptions].
func (c *Conn) Unsubscribe(ctx context.Context, filters ...string) error {
	result := make(chan error, 1)
	c.unsubscribe(filters, func(err error) { result <- err })
	return await(ctx, result)
}

// UnsubscribeFunc is [Conn.Unsubscribe] without waiting. done is called once
// with the error, before or after the return, on any goroutine. It must not
// block.
func (c *Conn) UnsubscribeFunc(filter string, done func(error)) {
	c.unsubscribe([]string{filter}, done)
}

// Subscriptions returns what is subscribed to, in the order in which it is sent.
func (c *Conn) Subscriptions() []Subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	subs := make([]Subscription, len(c.subs))
	for i, s := range c.subs {
		subs[i] = Subscription{Filter: s.filter, QoS: s.qos}
	}
	return subs
}

func await(ctx context.Context, result <-chan error) error {
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Conn) subscribe(subs []Subscription, done func(error)) {
	for _, s := range subs {
		if err := c.validFilter(s.Filter, s.QoS); err != nil {
			done(err)
			return
		}
	}
	c.mu.Lock()
	err := c.record(subs, done)
	l := c.link
	c.mu.Unlock()
	switch {
	case err != nil:
		done(err)
	case len(subs) == 0:
		done(nil)
	case l == nil:
		done(ErrOffline)
	default:
		l.poke()
	}
}

func (c *Conn) validFilter(filter string, qos byte) error {
	if qos > 1 {
		return ErrQoS
	}
	if err := validFilter(filter, c.cfg.StrictTopics); err != nil {
		return err
	}
	if c.cfg.CheckTopic != nil {
		return c.cfg.CheckTopic(filter)
	}
	return nil
}

// record puts subscriptions on the list, to be sent. On a link, done waits for
// the answers. mu is held.
func (c *Conn) record(subs []Subscription, done func(error)) error {
	added := 0
	for i, s := range subs {
		same := func(o Subscription) bool { return o.Filter == s.Filter }
		if c.find(s.Filter) == nil && slices.IndexFunc(subs, same) == i {
			added++
		}
	}
	if len(c.subs)+added > c.cfg.MaxSubscriptions {
		return ErrTooManySubscriptions
	}
	w := &waiter{done: done}
	for _, s := range subs {
		sub := c.find(s.Filter)
		if sub == nil {
			sub = &subscription{filter: s.Filter}
			c.subs = append(c.subs, sub)
		}
		sub.qos, sub.sentOn, sub.strikes, sub.leftOut = s.QoS, 0, 0, time.Time{}
		if c.link != nil && !slices.Contains(sub.waiters, w) {
			w.left++
			sub.waiters = append(sub.waiters, w)
		}
	}
	if c.link != nil {
		c.link.unasked = true
	}
	return nil
}

// find returns the subscription for a filter, or nil. mu is held.
func (c *Conn) find(filter string) *subscription {
	i := slices.IndexFunc(c.subs, func(s *subscription) bool { return s.filter == filter })
	if i < 0 {
		return nil
	}
	return c.subs[i]
}

func (c *Conn) unsubscribe(filters []string, done func(error)) {
	for _, f := range filters {
		if err := c.validFilter(f, 0); err != nil {
			done(err)
			return
		}
	}
	c.mu.Lock()
	l, tell := c.link, []func(){}
	w := &waiter{left: len(filters) + 1, done: done}
	for _, f := range filters {
		if s := c.find(f); s != nil {
			c.subs = slices.DeleteFunc(c.subs, func(o *subscription) bool { return o == s })
			for _, waiting := range s.waiters {
				tell = append(tell, waiting.settle("", nil))
			}
		}
		tell = append(tell, c.recordUnsubscription(f, w))
	}
	tell = append(tell, w.settle("", nil))
	c.mu.Unlock()
	call(tell)
	if l != nil {
		l.poke()
	}
}

// recordUnsubscription has a filter unsubscribed from, now or at the next
// connect, if the server can know it. mu is held.
func (c *Conn) recordUnsubscription(filter string, w *waiter) func() {
	switch pending := slices.ContainsFunc(c.unsubs, func(u *unsubscription) bool { return u.filter == filter }); {
	case c.link == nil && (pending || !c.cfg.PersistentSession):
		return w.settle("", nil)
	case len(c.unsubs) >= c.cfg.MaxSubscriptions:
		return w.settle("", ErrTooManySubscriptions)
	case c.link == nil:
		c.unsubs = append(c.unsubs, &unsubscription{filter: filter})
		return w.settle("", nil)
	}
	c.unsubs = append(c.unsubs, &unsubscription{filter: filter, waiter: w})
	c.link.unasked = true
	return func() {}
}

func call(functions []func()) {
	for _, f := range functions {
		f()
	}
}
