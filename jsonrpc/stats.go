package jsonrpc

import "sync/atomic"

// Stats are the counters of a [Conn] since it was made.
type Stats struct {
	Received    uint64 // messages taken
	Sent        uint64 // frames written
	Malformed   uint64 // lines dropped because they are no message
	Merged      uint64 // lines that held several messages
	Orphans     uint64 // answers that fit no waiting call: late, double or foreign
	Complaints  uint64 // errors without an id: the peer did not understand a frame
	Echoes      uint64 // such errors that only quote our own error reply
	Busy        uint64 // requests refused or dropped because a queue was full
	Joined      uint64 // retried requests whose handler was still running
	Replayed    uint64 // retried requests answered from the reply cache
	Retried     uint64 // calls sent again
	TimedOut    uint64 // calls that ended without an answer
	Evicted     uint64 // calls failed because too many were waiting
	TooLong     uint64 // frames longer than the peer takes
	Stale       uint64 // answers dropped because the peer has started anew
	Unsent      uint64 // answers dropped because the peer does not read
	WriteErrors uint64
}

// stats holds the counters while they count.
type stats struct {
	received, sent, malformed, merged, orphans, complaints, echoes, busy,
	joined, replayed, retried, timedOut, evicted, tooLong, stale, unsent, writeErrors atomic.Uint64
}

func (s *stats) snapshot() Stats {
	return Stats{
		Received: s.received.Load(), Sent: s.sent.Load(), Malformed: s.malformed.Load(),
		Merged: s.merged.Load(), Orphans: s.orphans.Load(), Complaints: s.complaints.Load(),
		Echoes: s.echoes.Load(), Busy: s.busy.Load(), Joined: s.joined.Load(),
		Replayed: s.replayed.Load(), Retried: s.retried.Load(), TimedOut: s.timedOut.Load(),
		Evicted: s.evicted.Load(), TooLong: s.tooLong.Load(), Stale: s.stale.Load(), Unsent: s.unsent.Load(),
		WriteErrors: s.writeErrors.Load(),
	}
}

// EventKind tells what an [Event] is about.
type EventKind uint8

// The kinds of events.
const (
	EventReceived   EventKind = iota + 1 // Frame was taken
	EventSent                            // Frame goes out now; EventWriteError follows if it fails
	EventMalformed                       // Frame is no message (Err) and was dropped
	EventOrphan                          // Frame answers no waiting call
	EventComplaint                       // Frame is an error without id: the last frame was not understood
	EventBusy                            // Frame was refused: a queue is full
	EventReplayed                        // Frame is a retry, answered from the reply cache
	EventUnsent                          // Frame, an answer, was dropped: the peer does not read
	EventTooLong                         // Frame is longer than the peer takes and was not sent
	EventWriteError                      // Frame could not be written (Err)
)

var eventNames = [...]string{
	EventReceived: "received", EventSent: "sent", EventMalformed: "malformed", EventOrphan: "orphan",
	EventComplaint: "complaint", EventBusy: "busy", EventReplayed: "replayed", EventUnsent: "unsent",
	EventTooLong: "too long", EventWriteError: "write error",
}

// String returns "received", "sent" and so on.
func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return "unknown"
}

// Event tells an observer what happened to a frame. Frame is valid during the
// call.
type Event struct {
	Kind  EventKind
	Frame []byte
	Err   error
}

// observe tells the observer.
func (c *Conn) observe(k EventKind, frame []byte, err error) {
	if c.opts.Observer != nil {
		c.opts.Observer(Event{Kind: k, Frame: frame, Err: err})
	}
}
