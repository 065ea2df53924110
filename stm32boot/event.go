package stm32boot

// EventKind says what an Event reports.
type EventKind uint8

// What can happen in a session besides ordinary exchanges.
const (
	EventReset   EventKind = iota + 1 // the target is being restarted into its ROM
	EventSync                         // it answered; Baud is the rate
	EventNack                         // it refused a stage
	EventTimeout                      // an answer did not come
	EventStray                        // bytes came that were not expected, or an answer was wrong
	EventResync                       // the exchange is being brought back in step
	EventRate                         // the rate is changed to Baud
	EventLeave                        // the target is being restarted into its application
	EventPage                         // a page is erased and written again
	EventVerify                       // a block read back differs from what was written
)

var eventNames = [...]string{"?", "reset", "sync", "nack", "timeout", "stray", "resync", "rate", "leave", "page", "verify"}

// String returns a short lower-case name.
func (k EventKind) String() string {
	if int(k) >= len(eventNames) {
		k = 0
	}
	return eventNames[k]
}

// Event is something that happened in a session. Which fields are set depends
// on the kind.
type Event struct {
	Kind EventKind
	At   Place // where; the zero Place outside commands
	Baud int   // the rate
	Err  error // why
}

// Stats counts what a client did since Connect, connecting included.
type Stats struct {
	Sent     uint64 // bytes given to the port
	Received uint64 // bytes read from it
	Turns    uint64 // bursts: runs of bytes in one direction
	Commands uint64 // commands begun
	Nacks    uint64 // stages refused
	Timeouts uint64 // answers that did not come
	Busy     uint64 // BUSY bytes
	Stray    uint64 // bytes thrown away
	Resyncs  uint64
	Resets   uint64
}
