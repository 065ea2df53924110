package jsonrpc

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
	EventPanic                           // the handler of Frame panicked (Err) or ended its goroutine
)

var eventNames = [...]string{
	EventReceived: "received", EventSent: "sent", EventMalformed: "malformed", EventOrphan: "orphan",
	EventComplaint: "complaint", EventBusy: "busy", EventReplayed: "replayed", EventUnsent: "unsent",
	EventTooLong: "too long", EventWriteError: "write error",
	EventPanic: "panic",
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
