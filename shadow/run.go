package shadow

import (
	"context"
	"errors"
	"time"
)

// link is what is known about the connection and the host session.
type link struct {
	epoch      uint64 // of this connection
	subscribed bool
	flushed    bool // the reports from before the connection are sent
	flushes    int  // how many were
	synced     bool // the document was fetched

	asks    gate // for Subscribe and Get
	updates gate // for Report

	fetched int64 // version of the document that was fetched
	newest  int64 // version of the newest delta since

	delivered   []byte // the delta that was delivered last
	deliveredAt time.Time
	behind      bool // the host could not take a delta
	reminders   meter
	remindAt    time.Time // when to fetch the document for a delta that the meter has stopped
}

// maxFlushes is how many reports are sent before the document is fetched.
const maxFlushes = 2 * maxReports

var (
	errRunTwice = errors.New("shadow: Syncer.Run called twice")
	errLost     = errors.New("shadow: the connection was lost")
)

// Run keeps the shadow in step until ctx ends, and then returns nil; what was not
// sent stays queued for the next Run. It starts no goroutine. While it runs, a
// second call fails.
func (s *Syncer) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return errRunTwice
	}
	defer s.running.Store(false)
	for ctx.Err() == nil {
		do, wait := s.next(time.Now())
		if do != nil {
			do(s, ctx)
		} else {
			s.sleep(ctx, wait)
		}
		s.noteLost()
	}
	return nil
}

// sleep waits until somebody pokes, or until the given time if it is not zero.
func (s *Syncer) sleep(ctx context.Context, until time.Time) {
	var alarm <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		alarm = t.C
	}
	select {
	case <-ctx.Done():
	case <-s.wake:
	case <-alarm:
	}
}

// step is one thing that Run does.
type step func(s *Syncer, ctx context.Context)

// next returns what to do now, or else until when to wait; the zero time is for
// ever.
func (s *Syncer) next(now time.Time) (do step, wait time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.link
	if l.epoch != s.epoch {
		l.restart(s.epoch)
	}
	switch {
	case !s.online:
		if s.ready && s.known {
			return (*Syncer).redeliver, wait
		}
		return nil, wait
	case !l.subscribed:
		return due(now, l.asks.until, (*Syncer).subscribe)
	case !l.flushed && s.flushing():
		return due(now, l.updates.until, (*Syncer).send)
	}
	l.flushed = true
	if !l.synced || s.stale || s.ready || !l.remindAt.IsZero() && !now.Before(l.remindAt) {
		if l.asks.open(now) {
			return (*Syncer).fetch, wait
		}
		wait = l.asks.until
	} else {
		wait = l.remindAt
	}
	if l.synced && len(s.inbox.deltas) > 0 {
		return (*Syncer).receive, wait
	}
	if !s.queue.empty() {
		if l.updates.open(now) {
			return (*Syncer).send, wait
		}
		wait = earlier(wait, l.updates.until)
	}
	return nil, wait
}

// flushing reports whether queued reports are still to be sent before the
// document is fetched. It is called with s.mu held.
func (s *Syncer) flushing() bool {
	l := &s.link
	return !s.queue.empty() && l.updates.fails == 0 && l.flushes < maxFlushes
}

// due returns a step if its time has come, or else that time.
func due(now, at time.Time, do step) (step, time.Time) {
	if now.Before(at) {
		return nil, at
	}
	return do, time.Time{}
}

// earlier returns the earlier one of two times, of which the first may be zero
// for never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// restart begins with a new connection.
func (l *link) restart(epoch uint64) {
	l.epoch = epoch
	l.subscribed, l.flushed, l.synced, l.flushes = false, false, false, 0
	l.delivered, l.remindAt = nil, time.Time{}
	l.asks.reconnected()
	l.updates.reconnected()
}

// request runs a method of the backend with a ctx that ends when the connection
// is lost. The error is then errLost.
func (s *Syncer) request(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	if s.epoch != s.link.epoch {
		s.mu.Unlock()
		return errLost
	}
	s.cancel = cancel
	s.mu.Unlock()
	err := f(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel = nil
	if err != nil && ctx.Err() != nil {
		return errLost // or the end of Run
	}
	return err
}

// subscribe asks for deltas.
func (s *Syncer) subscribe(ctx context.Context) {
	epoch := s.link.epoch
	err := s.request(ctx, func(ctx context.Context) error {
		return s.cfg.Backend.Subscribe(ctx, func(d Delta) { s.offer(epoch, d) })
	})
	switch judge(err) {
	case accepted:
		s.link.subscribed = true
		s.link.asks.passed(time.Time{})
	default:
		s.askFailed(err)
	}
}

// askFailed lets Subscribe or Get rest after an error.
func (s *Syncer) askFailed(err error) {
	if errors.Is(err, errLost) {
		return
	}
	now, g := time.Now(), &s.link.asks
	switch judge(err) {
	case closed, refused:
		g.denied(now)
	case slower:
		g.failed(now, throttled, true)
	default:
		g.failed(now, backoffRest, false)
	}
	s.note(Event{Kind: EventFailed, Err: err})
}
