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
	WriteErrors uint64 // frames that could not be written
	Panics      uint64 // handlers that panicked or ended their goroutine
}

// stats holds the counters while they count.
type stats struct {
	received, sent, malformed, merged, orphans, complaints, echoes, busy,
	joined, replayed, retried, timedOut, evicted, tooLong, stale, unsent, writeErrors, panics atomic.Uint64
}

func (s *stats) snapshot() Stats {
	return Stats{
		Received: s.received.Load(), Sent: s.sent.Load(), Malformed: s.malformed.Load(),
		Merged: s.merged.Load(), Orphans: s.orphans.Load(), Complaints: s.complaints.Load(),
		Echoes: s.echoes.Load(), Busy: s.busy.Load(), Joined: s.joined.Load(),
		Replayed: s.replayed.Load(), Retried: s.retried.Load(), TimedOut: s.timedOut.Load(),
		Evicted: s.evicted.Load(), TooLong: s.tooLong.Load(), Stale: s.stale.Load(), Unsent: s.unsent.Load(),
		WriteErrors: s.writeErrors.Load(), Panics: s.panics.Load(),
	}
}
