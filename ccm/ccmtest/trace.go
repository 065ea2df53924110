package ccmtest

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/framing/uart"
)

// EventKind tells what an [Event] is about.
type EventKind uint8

// The kinds of events on a line.
const (
	EventBytes EventKind = iota + 1 // Data came out at the other side, faults included
	EventBreak                      // a break; its NUL is an EventBytes before it
	EventMode                       // Mode was set
	EventDTR                        // DTR has Level
	EventRTS                        // RTS has Level
	EventStall                      // writing is held off (Level) or goes on
	EventPlug                       // the adapter is back (Level) or was pulled
	EventClose                      // the port was closed
)

var eventNames = [...]string{
	EventBytes: "bytes", EventBreak: "break", EventMode: "mode", EventDTR: "DTR", EventRTS: "RTS",
	EventStall: "stall", EventPlug: "plug", EventClose: "close",
}

// String returns "bytes", "mode" and so on.
func (k EventKind) String() string {
	if int(k) < len(eventNames) && k > 0 {
		return eventNames[k]
	}
	return "?"
}

// Event is something that one side of a line did.
type Event struct {
	At    time.Duration // since NewUART
	Side  Side          // who did it; for bytes, who wrote
	Kind  EventKind
	Data  []byte
	Mode  uart.Mode
	Level bool
}

// String returns the event in one line, such as
//
//	0.002083s host bytes "hello\n"
func (e Event) String() string {
	head := fmt.Sprintf("%.6fs %s %s", e.At.Seconds(), e.Side, e.Kind)
	switch e.Kind {
	case EventBytes:
		return fmt.Sprintf("%s %q", head, e.Data)
	case EventMode:
		return head + " " + e.Mode.String()
	case EventDTR, EventRTS, EventStall, EventPlug:
		return fmt.Sprintf("%s %t", head, e.Level)
	}
	return head
}

// FormatTrace returns the events one a line.
func FormatTrace(events []Event) string {
	var b strings.Builder
	for _, e := range events {
		b.WriteString(e.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// defaultTrace is how many events of a side are remembered.
const defaultTrace = 1 << 16

// trace remembers what both sides did. The sides are kept apart because nothing
// orders what they do in the same instant.
type trace struct {
	start time.Time
	limit int

	mu     sync.Mutex
	events [2][]Event
	sums   [2]hash.Hash // of the bytes and their times
}

func (t *trace) init(limit int) {
	t.start, t.limit = time.Now(), limit
	if limit == 0 {
		t.limit = defaultTrace
	}
	if t.limit > 0 {
		t.sums = [2]hash.Hash{sha256.New(), sha256.New()}
	}
}

// bytes records what came out of one side; p is copied.
func (t *trace) bytes(s Side, p []byte) {
	if t.limit <= 0 {
		return
	}
	e := Event{At: time.Since(t.start), Side: s, Kind: EventBytes, Data: slices.Clone(p)}
	var head [12]byte
	binary.BigEndian.PutUint64(head[:], uint64(e.At))
	binary.BigEndian.PutUint32(head[8:], uint32(len(p)))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sums[s].Write(head[:])
	t.sums[s].Write(p)
	t.add(e)
}

// control records an event and returns it with its time.
func (t *trace) control(e Event) Event {
	e.At = time.Since(t.start)
	if t.limit > 0 {
		t.mu.Lock()
		t.add(e)
		t.mu.Unlock()
	}
	return e
}

// add keeps an event and forgets the oldest of its side at times; mu is held.
func (t *trace) add(e Event) {
	list := append(t.events[e.Side], e)
	if len(list) >= 2*t.limit {
		list = slices.Delete(list, 0, len(list)-t.limit)
	}
	t.events[e.Side] = list
}

// Trace returns what both sides did, ordered by time, and for the same time the
// module's events first. The newest [Line].Trace events of each side are there,
// and up to as many before them. Inside a bubble, a program that behaves the
// same has the same trace for the same seed.
func (u *UART) Trace() []Event {
	u.trace.mu.Lock()
	defer u.trace.mu.Unlock()
	all := slices.Concat(u.trace.events[Module], u.trace.events[Host])
	slices.SortStableFunc(all, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Side, b.Side))
	})
	return all
}

// Digest returns a sum over the bytes of both directions and the times at which
// they came out, of all that has happened, also of what Trace has forgotten. It
// is empty without a trace.
func (u *UART) Digest() string {
	u.trace.mu.Lock()
	defer u.trace.mu.Unlock()
	if u.trace.limit <= 0 {
		return ""
	}
	return hex.EncodeToString(u.trace.sums[Host].Sum(u.trace.sums[Module].Sum(nil)))
}

// Bytes returns what came out of one side, faults included, as far as Trace goes
// back.
func (u *UART) Bytes(s Side) []byte {
	u.trace.mu.Lock()
	defer u.trace.mu.Unlock()
	var all []byte
	for _, e := range u.trace.events[s] {
		all = append(all, e.Data...)
	}
	return all
}
