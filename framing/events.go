package framing

import "sync/atomic"

// EventKind says what an Event reports.
type EventKind uint8

// What can happen on a connection besides frames.
const (
	EventJunk      EventKind = iota + 1 // a line that is no frame
	EventOverlong                       // a line longer than MaxFrame, Line is nil unless it was read whole
	EventCRC                            // a frame whose CRC suffix does not match
	EventNoCRC                          // a frame without the CRC suffix it needs
	EventDropped                        // an unterminated line discarded after silence or at the end
	EventFlushed                        // an unterminated line taken as a frame after silence or at the end
	EventMerged                         // a line that Split found to hold several objects
	EventRefused                        // a line that Split refused, Err says why
	EventHandshake                      // mos framing: the peer's handshake frame
	EventNonASCII                       // mos framing: input dropped because of a byte above 0x7f
)

var eventNames = [...]string{"?", "junk", "overlong", "crc", "nocrc", "dropped", "flushed", "merged", "refused",
	"handshake", "nonascii"}

// String returns a short lower-case name.
func (k EventKind) String() string {
	if int(k) >= len(eventNames) {
		k = 0
	}
	return eventNames[k]
}

// Event is something other than an ordinary frame on a connection. Line is
// borrowed: it is valid during the call only.
type Event struct {
	Kind EventKind
	Line []byte
	Err  error
}

// Stats are the counters of a connection since it was made. A snapshot taken by
// the reading goroutine between two calls of ReadFrame is exact.
type Stats struct {
	Frames    uint64 // frames returned by ReadFrame
	BytesRead uint64 // bytes read from the port
	Lines     uint64 // lines that were not blank
	Junk      uint64 // lines that are no frames
	Overlong  uint64 // lines discarded because they were too long
	CRCGood   uint64 // lines with valid CRC suffixes
	CRCErrors uint64 // frames dropped because the suffix does not match
	CRCNone   uint64 // frames dropped because they have none
	Dropped   uint64 // unterminated lines discarded
	Flushed   uint64 // unterminated lines taken as frames
	Merged    uint64 // lines that held several objects
	Refused   uint64 // lines that Split refused
	Discarded uint64 // bytes of overlong and unterminated lines thrown away
	Handshake uint64 // mos framing: handshake frames received
	NonASCII  uint64 // mos framing: times the input was dropped because of a byte above 0x7f
	Empty     uint64 // reads that gave nothing without waiting

	Written      uint64 // frames written
	BytesWritten uint64 // bytes given to the port
	WriteErrors  uint64 // frames that failed, in part or whole
	Xoff         uint64 // times the peer stopped us
	XoffTimeouts uint64 // frames given up because the peer did not let us go on
}

// counters are the parts of Stats that a connection counts itself.
type counters struct {
	frames, bytesRead, lines, crcGood, discarded, empty atomic.Uint64
	kind                                                [len(eventNames)]atomic.Uint64
}

// note counts an event and tells the observer.
func (c *Conn) note(kind EventKind, line []byte, err error) {
	c.stat.kind[kind].Add(1)
	if c.opt.Observer != nil {
		c.opt.Observer(Event{Kind: kind, Line: line, Err: err})
	}
}

// publish makes the reader's own counters visible to Stats.
func (c *Conn) publish() {
	s := c.in.stats
	c.stat.bytesRead.Store(c.in.bytes)
	c.stat.lines.Store(s.Lines)
	c.stat.discarded.Store(s.Discarded)
	c.stat.empty.Store(c.in.spurts)
}

// Stats returns the counters. Safe for concurrent use.
func (c *Conn) Stats() Stats {
	k := &c.stat.kind
	s := Stats{
		Frames:    c.stat.frames.Load(),
		BytesRead: c.stat.bytesRead.Load(),
		Lines:     c.stat.lines.Load(),
		Junk:      k[EventJunk].Load(),
		Overlong:  k[EventOverlong].Load(),
		CRCGood:   c.stat.crcGood.Load(),
		CRCErrors: k[EventCRC].Load(),
		CRCNone:   k[EventNoCRC].Load(),
		Dropped:   k[EventDropped].Load(),
		Flushed:   k[EventFlushed].Load(),
		Merged:    k[EventMerged].Load(),
		Refused:   k[EventRefused].Load(),
		Discarded: c.stat.discarded.Load(),
		Handshake: k[EventHandshake].Load(),
		NonASCII:  k[EventNonASCII].Load(),
		Empty:     c.stat.empty.Load(),
	}
	c.out.addStats(&s)
	return s
}
