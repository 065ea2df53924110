package shadow

import "sync/atomic"

// EventKind tells what an [Event] is about.
type EventKind uint8

// What can happen to a shadow.
const (
	EventSynced      EventKind = iota + 1 // the document was fetched; Text is its desired state
	EventDelivered                        // the host has taken Text, a delta
	EventUndelivered                      // the host could not take Text, a delta (Err)
	EventSuppressed                       // Text, a delta, tells the host nothing new
	EventStale                            // Text, a delta, is older than what is known
	EventLost                             // a delta is no object (Err), or had to be dropped and the document will be fetched
	EventReported                         // the cloud has taken Text, a patch
	EventRejected                         // Text, a patch, was dropped (Err): the cloud will never take it
	EventFailed                           // a request has failed (Err) and will be repeated; a patch is in Text
)

var eventNames = [...]string{
	EventSynced: "synced", EventDelivered: "delivered", EventUndelivered: "undelivered",
	EventSuppressed: "suppressed", EventStale: "stale", EventLost: "lost", EventReported: "reported",
	EventRejected: "rejected", EventFailed: "failed",
}

// String returns "synced", "delivered" and so on.
func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return "unknown"
}

// Event tells an observer what happened. Text is valid during the call and must
// not be changed.
type Event struct {
	Kind    EventKind
	Text    []byte
	Version int64 // of the document or delta; 0 = none
	Err     error
}

// Stats are the counters of a [Syncer] since it was made.
type Stats struct {
	Reports  uint64 // reports taken from hosts
	Joined   uint64 // of these, made one with another
	Full     uint64 // reports refused with ErrFull
	Reported uint64 // patches that the cloud has taken
	Rejected uint64 // patches that were dropped
	Gets     uint64 // documents fetched
	Failed   uint64 // requests that failed and are repeated

	Deltas      uint64 // deltas received
	Delivered   uint64 // deltas that the host has taken, those made from documents too
	Undelivered uint64 // deltas that the host could not take
	Suppressed  uint64 // deltas not delivered because they tell the host nothing new
	Stale       uint64 // deltas dropped because of their version
	Lost        uint64 // deltas dropped for want of room, or because they are no objects
}

// stats holds the counters while they count.
type stats struct {
	reports, joined, full, deltas atomic.Uint64
	kind                          [len(eventNames)]atomic.Uint64
}

// Stats returns the counters. Safe for concurrent use.
func (s *Syncer) Stats() Stats {
	k := &s.stats.kind
	return Stats{
		Reports: s.stats.reports.Load(), Joined: s.stats.joined.Load(), Full: s.stats.full.Load(),
		Reported: k[EventReported].Load(), Rejected: k[EventRejected].Load(),
		Gets: k[EventSynced].Load(), Failed: k[EventFailed].Load(),
		Deltas: s.stats.deltas.Load(), Delivered: k[EventDelivered].Load(),
		Undelivered: k[EventUndelivered].Load(), Suppressed: k[EventSuppressed].Load(),
		Stale: k[EventStale].Load(), Lost: k[EventLost].Load(),
	}
}

// note counts an event and tells the observer.
func (s *Syncer) note(e Event) {
	s.stats.kind[e.Kind].Add(1)
	if s.cfg.Observer != nil {
		s.cfg.Observer(e)
	}
}
