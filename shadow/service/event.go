package service

import "sync/atomic"

// EventKind tells what an [Event] is about.
type EventKind uint8

// The kinds of events.
const (
	EventAccepted    EventKind = iota + 1 // a request was done
	EventRejected                         // a request was refused (Err is a *shadow.Error)
	EventDropped                          // a request was not answered: too many wait
	EventIgnored                          // a message on a topic that is none of the requests
	EventUnpublished                      // Err: a message, and those after it, could not be published
	EventOnline                           // the request topics are subscribed
	EventOffline                          // Err: they could not be; it is tried again
	EventDisk                             // Err: a file could not be written or removed
	EventBroken                           // Err: a file holds no shadow; it was renamed to *.broken
)

var eventNames = [...]string{
	EventAccepted: "accepted", EventRejected: "rejected", EventDropped: "dropped", EventIgnored: "ignored",
	EventUnpublished: "unpublished", EventOnline: "online", EventOffline: "offline",
	EventDisk: "disk", EventBroken: "broken",
}

// String returns "accepted", "rejected" and so on.
func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return "unknown"
}

// Event tells an observer what the service did.
type Event struct {
	Kind    EventKind
	Thing   string // of the request
	Shadow  string // "" for the classic one
	Topic   string // the topic of the request or of the message; "" for a call
	Version int64  // of the shadow after an accepted request
	File    string // of EventDisk and EventBroken, without its directory
	Err     error
}

// Stats are the counters of a service since it was made.
type Stats struct {
	Things      int    // that have shadows now
	Shadows     int    // that exist now
	Accepted    uint64 // requests done, calls included
	Rejected    uint64 // requests refused, calls included
	Dropped     uint64 // requests not answered, because too many waited
	Ignored     uint64 // messages on other topics
	Unpublished uint64 // times that publishing failed
	DiskErrors  uint64 // times that a file could not be written or removed
}

// counters count events by kind.
type counters [len(eventNames)]atomic.Uint64

// note counts an event and tells the observer.
func (s *Service) note(e Event) {
	s.counts[e.Kind].Add(1)
	if s.cfg.Observer != nil {
		s.cfg.Observer(e)
	}
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c := &s.counts
	stats := Stats{
		Accepted:    c[EventAccepted].Load(),
		Rejected:    c[EventRejected].Load(),
		Dropped:     c[EventDropped].Load(),
		Ignored:     c[EventIgnored].Load(),
		Unpublished: c[EventUnpublished].Load(),
		DiskErrors:  c[EventDisk].Load(),
	}
	stats.Things, stats.Shadows = s.table.count()
	return stats
}
