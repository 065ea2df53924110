package shadow

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Report queues a merge patch (RFC 7396) of the reported state. It is copied and
// sent as soon as may be; patches that wait become one where possible. Report
// does not block.
//
// Nothing is queued when the error is [ErrInvalid], [ErrNotObject] (unless the
// cloud takes any value), [ErrTooDeep], [ErrTooLarge] for a single value larger
// than the cloud takes, or [ErrFull].
func (s *Syncer) Report(patch []byte) error {
	if err := s.check(patch); err != nil {
		return err
	}
	if empty(patch) {
		return nil
	}
	s.mu.Lock()
	joined, err := s.queue.add(patch)
	if err == nil {
		s.answered(patch)
	}
	s.mu.Unlock()
	if err != nil {
		s.stats.full.Add(1)
		return err
	}
	s.stats.reports.Add(1)
	if joined {
		s.stats.joined.Add(1)
	}
	s.poke()
	return nil
}

// check returns why a report cannot be sent.
func (s *Syncer) check(patch []byte) error {
	if !jsonrpc.Valid(patch) {
		return ErrInvalid
	}
	if !s.limits.AnyValue && bytes.TrimLeft(patch, " \t\r\n")[0] != '{' {
		return ErrNotObject
	}
	if s.limits.Depth > 0 {
		if _, err := (mjson.Scanner{MaxDepth: s.limits.Depth}).Scan(patch, nil); errors.Is(err, mjson.ErrDepth) {
			return ErrTooDeep
		}
	}
	if len(patch) > MaxUnsent {
		return ErrTooLarge
	}
	if limit := s.limits.Patch; limit > 0 && len(patch) > limit {
		if _, misfits := Split(patch, func(part []byte) bool { return len(part) <= limit }); len(misfits) > 0 {
			return ErrTooLarge
		}
	}
	return nil
}

// empty reports whether a valid text is an object without members.
func empty(text []byte) bool {
	inside, is := bytes.CutPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte{'{'})
	return is && bytes.TrimLeft(inside, " \t\r\n")[0] == '}'
}

// answered notes what a report says about the delta that was delivered last. It
// is called with s.mu held.
func (s *Syncer) answered(patch []byte) {
	if s.asked == nil {
		return
	}
	if rest, err := Diff(s.asked, patch); err == nil {
		if s.asked = rest; empty(rest) {
			s.asked = nil
		}
	}
}

// send sends the first queued patch.
func (s *Syncer) send(ctx context.Context) {
	l := &s.link
	s.mu.Lock()
	patch := s.queue.take(s.limits.Patch)
	s.mu.Unlock()
	start := time.Now()
	err := s.request(ctx, func(ctx context.Context) error { return s.cfg.Backend.Report(ctx, patch) })
	l.flushes++
	if err == nil {
		l.updates.passed(start.Add(s.limits.Interval))
		s.reported(patch)
		s.note(Event{Kind: EventReported, Text: patch})
		return
	}
	s.sendFailed(patch, err, max(backoffRest, s.limits.Interval))
}

// sendFailed drops a patch that the cloud refuses, or puts it back and lets
// Report rest.
func (s *Syncer) sendFailed(patch []byte, err error, rest time.Duration) {
	l, now, v := &s.link, time.Now(), judge(err)
	if v == refused {
		l.updates.passed(now.Add(rest))
		s.note(Event{Kind: EventRejected, Text: patch, Err: err})
		return
	}
	s.mu.Lock()
	s.queue.putBack(patch)
	s.stale = s.stale || v == conflict
	s.mu.Unlock()
	if errors.Is(err, errLost) {
		return
	}
	switch v {
	case closed:
		l.updates.denied(now)
	case slower:
		l.updates.failed(now, max(rest, throttled), true)
	case conflict:
		if l.updates.fails == 0 {
			l.updates.rest(now, rest, false) // the document will be fetched first
			break
		}
		fallthrough
	default:
		l.updates.failed(now, rest, false)
	}
	s.note(Event{Kind: EventFailed, Text: patch, Err: err})
}

// reported changes the document by a patch that the cloud has taken.
func (s *Syncer) reported(patch []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known {
		return
	}
	next, err := mergeObject(s.base.Reported, patch)
	if err != nil {
		s.stale = true
		return
	}
	s.base.Reported = next
}
