package shadow

import (
	"context"
	"slices"
	"time"
)

// offer takes a delta from the transport.
func (s *Syncer) offer(epoch uint64, d Delta) {
	s.stats.deltas.Add(1)
	s.mu.Lock()
	if epoch != s.epoch {
		s.mu.Unlock()
		return
	}
	switch {
	case d.State == nil:
		s.inbox, s.stale = inbox{}, true // versions may start anew
	case len(d.State) > MaxDocument:
		s.lost++
		s.stale = true
	default:
		if n := s.inbox.add(d); n > 0 {
			s.lost += n
			s.stale = true
		}
	}
	s.mu.Unlock()
	s.poke()
}

// noteLost notes the deltas that offer has dropped.
func (s *Syncer) noteLost() {
	s.mu.Lock()
	n := s.lost
	s.lost = 0
	s.mu.Unlock()
	for range n {
		s.note(Event{Kind: EventLost})
	}
}

// fetch fetches the document and delivers what differs.
func (s *Syncer) fetch(ctx context.Context) {
	l := &s.link
	s.mu.Lock()
	s.stale = false
	s.mu.Unlock()
	if !l.remindAt.IsZero() {
		l.remindAt = time.Time{}
		l.reminders.pass(time.Now(), s.reminderPeriod())
	}
	var doc Document
	err := s.request(ctx, func(ctx context.Context) (err error) {
		doc, err = s.cfg.Backend.Get(ctx)
		return err
	})
	var delta []byte
	if err == nil {
		delta, err = s.rebase(doc)
	}
	if err != nil {
		s.refetch()
		s.askFailed(err)
		return
	}
	l.asks.passed(time.Now().Add(max(backoffRest, s.limits.Interval)))
	s.note(Event{Kind: EventSynced, Text: doc.Desired, Version: doc.Version})
	s.deliver(ctx, delta, true)
}

// refetch has the document fetched again.
func (s *Syncer) refetch() {
	s.mu.Lock()
	s.stale = true
	s.mu.Unlock()
}

// rebase makes doc the document that is known, and returns the delta that the
// host has to get.
func (s *Syncer) rebase(doc Document) ([]byte, error) {
	if len(doc.Desired) > MaxDocument || len(doc.Reported) > MaxDocument {
		return nil, ErrTooLarge
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delta, err := Diff(doc.Desired, s.queue.applied(doc.Reported))
	if err != nil {
		return nil, err
	}
	if s.limits.Removals && !s.cfg.DropNulls && s.known {
		gone, err := removed(s.base.Desired, doc.Desired)
		if err != nil {
			return nil, err
		}
		delta, _, _ = Compose(gone, delta) // they have no member in common
	}
	l := &s.link
	if s.ready {
		l.delivered = nil
	}
	s.base, s.known, s.ready = doc, true, false
	l.synced, l.behind, l.fetched, l.newest = true, false, doc.Version, 0
	return delta, nil
}

// redeliver delivers what differs by what is known, for a host session that
// begins while the cloud is not there.
func (s *Syncer) redeliver(ctx context.Context) {
	s.mu.Lock()
	s.ready = false
	s.link.delivered, s.link.behind = nil, false
	delta, err := Diff(s.base.Desired, s.queue.applied(s.base.Reported))
	s.mu.Unlock()
	if err == nil {
		s.deliver(ctx, delta, true)
	}
}

// receive handles the first delta in the inbox.
func (s *Syncer) receive(ctx context.Context) {
	s.mu.Lock()
	if len(s.inbox.deltas) == 0 {
		s.mu.Unlock() // the connection was lost
		return
	}
	d := s.inbox.pop()
	s.mu.Unlock()
	l := &s.link
	if d.Version != 0 {
		last := max(l.fetched, l.newest)
		if d.Version <= last {
			s.note(Event{Kind: EventStale, Text: d.State, Version: d.Version})
			if s.unknown(d.State) {
				s.refetch() // unless it is an old one that comes late, versions have started anew
			}
			return
		}
		if d.Patch && d.Version > last+1 {
			s.refetch() // patches may be missing
		}
		l.newest = d.Version
	}
	delta, news, err := s.change(d)
	if err != nil {
		s.note(Event{Kind: EventLost, Text: d.State, Version: d.Version, Err: err})
		return
	}
	s.deliver(ctx, delta, news)
}

// unknown reports whether something of a delta is not desired, as far as is known.
func (s *Syncer) unknown(delta []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest, err := Diff(delta, s.base.Desired)
	return err == nil && !empty(rest)
}

// change changes the desired state by a delta, and returns what the host has to
// get and whether there is anything in it that was not desired before.
func (s *Syncer) change(d Delta) (delta []byte, news bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	added, err := Diff(d.State, s.base.Desired)
	if err != nil {
		return nil, false, err
	}
	next, err := mergeObject(s.base.Desired, d.State)
	if err != nil {
		s.stale = true // it would grow too large
		next = s.base.Desired
	}
	s.base.Desired = next
	s.base.Version = max(s.base.Version, d.Version)
	if !d.Patch {
		return d.State, !empty(added), nil
	}
	reported := s.queue.applied(s.base.Reported)
	if s.link.behind {
		delta, err = Diff(next, reported)
	} else if !s.cfg.DropNulls {
		delta, err = diff(d.State, reported, true)
	} else if delta, err = Merge(nil, d.State); err == nil { // without the nulls
		delta, err = Diff(delta, reported)
	}
	return delta, true, err
}

// deliver hands a delta to the host, unless that would tell it nothing. A delta
// without news, one that only reminds the host of what it was told before, is
// stopped when there are too many: a host that reports something else each time
// would otherwise never come to rest.
func (s *Syncer) deliver(ctx context.Context, delta []byte, news bool) {
	l := &s.link
	if delta = s.visible(delta); empty(delta) || s.cfg.Deliver == nil {
		return
	}
	if s.repeats(delta) {
		s.note(Event{Kind: EventSuppressed, Text: delta})
		return
	}
	if !news && s.cfg.RepeatAfter > 0 {
		if pass, next := l.reminders.pass(time.Now(), s.reminderPeriod()); !pass {
			l.remindAt = next
			s.note(Event{Kind: EventSuppressed, Text: delta})
			return
		}
	}
	// The answer may come before Deliver returns.
	s.setAsked(delta)
	l.delivered, l.deliveredAt = delta, time.Now()
	if err := s.cfg.Deliver(ctx, delta); err != nil {
		s.setAsked(nil)
		l.delivered, l.behind = nil, true
		s.note(Event{Kind: EventUndelivered, Text: delta, Err: err})
		return
	}
	l.behind = false
	s.note(Event{Kind: EventDelivered, Text: delta})
}

// reminderPeriod is how often a delta without news may be delivered in the long
// run.
func (s *Syncer) reminderPeriod() time.Duration { return s.cfg.RepeatAfter / meterBurst }

func (s *Syncer) setAsked(delta []byte) {
	s.mu.Lock()
	s.asked = delta
	s.mu.Unlock()
}

// repeats reports whether a delta only repeats the last one, which the host has
// not obeyed yet, too soon.
func (s *Syncer) repeats(delta []byte) bool {
	l := &s.link
	if l.delivered == nil || time.Since(l.deliveredAt) >= s.cfg.RepeatAfter {
		return false
	}
	s.mu.Lock()
	pending := s.asked != nil
	s.mu.Unlock()
	return pending && Equal(delta, l.delivered)
}

// visible returns what of a delta is for the host: not the members that are
// hidden or belong to the cloud.
func (s *Syncer) visible(delta []byte) []byte {
	var t tree
	if err := t.parseObject(delta); err != nil {
		return noMembers
	}
	out, hidden := make([]byte, 0, len(delta)+2), false
	for i := t.first(0); i >= 0; i = t.next(i) {
		if name := t.name(i); len(name) > 0 && name[0] == '$' || slices.Contains(s.cfg.Hidden, string(name)) {
			hidden = true
			continue
		}
		out = append(appendKey(out, 0, t.key(i)), t.raw(i)...)
	}
	switch {
	case !hidden:
		return delta
	case len(out) == 0:
		return noMembers
	}
	return append(out, '}')
}
