package channel

import "sync/atomic"

// Stats counts what a Service has done since it was made.
type Stats struct {
	Calls         uint64 // that were let through and served
	Notifications uint64 // the same, without id
	Bad           uint64 // frames that are no frames, or have a bad member
	TooLong       uint64 // frames beyond Config.MaxFrame, as far as their door can tell
	Foreign       uint64 // frames for another device
	Responses     uint64 // responses and errors, which nobody waits for
	Refused       uint64 // by the Gate, or for want of a good login
	NotFound      uint64 // methods without a handler
	Busy          uint64 // for want of a place
	Unsent        uint64 // replies that could not be written
	Panics        uint64 // of handlers
	Evicted       uint64 // connections that had to make room, or found none
	Rejected      uint64 // HTTP requests refused for their Host, Origin, path or form

	Handlers int // at work now
	Channels int // connections now
}

type counters struct {
	calls, notifications, bad, tooLong, foreign, responses, refused, notFound,
	busy, unsent, panics, evicted, rejected atomic.Uint64
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c := &s.stats
	return Stats{
		Calls: c.calls.Load(), Notifications: c.notifications.Load(), Bad: c.bad.Load(), TooLong: c.tooLong.Load(),
		Foreign: c.foreign.Load(), Responses: c.responses.Load(), Refused: c.refused.Load(), NotFound: c.notFound.Load(),
		Busy: c.busy.Load(), Unsent: c.unsent.Load(), Panics: c.panics.Load(), Evicted: c.evicted.Load(),
		Rejected: c.rejected.Load(), Handlers: s.places.inUse(), Channels: s.pool.len(),
	}
}
