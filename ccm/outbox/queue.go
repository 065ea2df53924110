package outbox

import (
	"errors"
	"sync"
	"time"
)

// Defaults of Config.
const (
	DefaultMaxMessages = 1000
	DefaultMaxBytes    = 4 << 20
	DefaultWindow      = 32
)

// retryBusy is when to try again if the connection is busy with messages of
// others, so that none of ours will tell when it no longer is.
const retryBusy = 50 * time.Millisecond

var (
	// ErrFull is returned for a message that finds no room.
	ErrFull = errors.New("outbox: queue full")
	// ErrDropped is what a message gets that gave place to a newer one, or
	// was still in the queue when it was closed.
	ErrDropped = errors.New("outbox: message dropped")
	// ErrBusy, or an error that wraps it, is what Send returns when the
	// connection takes no more for now.
	ErrBusy = errors.New("outbox: connection busy")
	// ErrOffline is what Send returns when there is no connection.
	ErrOffline = errors.New("outbox: no connection")
)

// Message is a message to be published with QoS 1.
type Message struct {
	Topic   string
	Payload []byte // owned by the queue from Put on
	Retain  bool
}

// size is what a message counts for Config.MaxBytes.
func (m *Message) size() int { return len(m.Topic) + len(m.Payload) }

// Config says what a Queue does.
type Config struct {
	// Send hands a message to the connection without waiting for the network.
	// If it returns nil, done must be called once: with nil when the broker has
	// acknowledged the message, with an error when the connection was lost
	// before. ErrBusy and ErrOffline keep the message in the queue; any other
	// error means that the message can never be sent: it leaves the queue and
	// its own done function gets the error. Send is called by one goroutine at
	// a time and must not call the queue; it may keep m.
	Send func(m *Message, done func(err error)) error
	// MaxMessages and MaxBytes (topics and payloads) bound what is queued.
	// 0 = DefaultMaxMessages, DefaultMaxBytes.
	MaxMessages, MaxBytes int
	// DropOldest drops the oldest messages to make room, instead of refusing
	// the new one.
	DropOldest bool
	// Window bounds the messages that are sent but not acknowledged. 0 =
	// DefaultWindow.
	Window int
	// OnHold, if set, is told of a topic that has to wait because connections
	// broke. It runs on the goroutine that has told of the loss, and must not
	// block.
	OnHold func(topic string, pause time.Duration)
}

// Stats are the counters of a Queue.
type Stats struct {
	Accepted uint64 // messages taken by Put
	Full     uint64 // messages refused with ErrFull
	Sent     uint64 // messages acknowledged by the broker
	Resent   uint64 // times a message was sent again
	Dropped  uint64 // messages that gave place to newer ones, or were left at Close
	Refused  uint64 // messages that the connection can never send
	Len      int    // messages in the queue now, those on their way included
	Held     int    // of these, those whose topic has to wait
	Bytes    int    // topics and payloads of all
	InFlight int    // messages sent but not acknowledged
}

// entry is a message in the queue.
type entry struct {
	Message
	done   func(error) // nil: nobody asks
	state  state
	before bool // it was sent before

	sent    time.Time // when it was last
	strikes int       // connections in a row that broke soon after that
}

type state uint8

const (
	waiting state = iota
	flying        // with the connection
	over          // acknowledged or given up, and no longer in the queue
)

// Queue is a bounded queue of messages.
type Queue struct {
	cfg Config

	mu       sync.Mutex
	entries  []*entry // oldest first
	next     int      // entries before it are flying
	online   bool
	closed   bool
	pumping  bool // somebody hands messages on
	again    bool // and is to look again
	inFlight int
	holds    []*hold
	held     int         // messages in holds
	trial    *entry      // the first message of the topic that was released last, while it waits
	retry    *time.Timer // after ErrBusy; nil if there never was one
	wake     *time.Timer // when a hold ends; nil if there never was one
	stats    Stats
}

// New returns an empty queue, which is offline.
func New(cfg Config) *Queue {
	or := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	or(&cfg.MaxMessages, DefaultMaxMessages)
	or(&cfg.MaxBytes, DefaultMaxBytes)
	or(&cfg.Window, DefaultWindow)
	return &Queue{cfg: cfg}
}

// Put queues a message and sends it if it can. done, if not nil, is called once:
// with nil when the broker has acknowledged the message, else with the reason
// why it never will. It runs on any goroutine, also before Put returns, and must
// not block. The error is ErrFull, or ErrDropped after Close.
func (q *Queue) Put(m Message, done func(err error)) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return ErrDropped
	}
	dropped, fits := q.makeRoom(m.size())
	if fits {
		e := &entry{Message: m, done: done}
		if h := q.holdOf(m.Topic); h != nil {
			h.entries = append(h.entries, e)
			q.held++
		} else {
			q.entries = append(q.entries, e)
		}
		for _, d := range dropped {
			q.inherit(d)
		}
		q.stats.Accepted++
		q.stats.Bytes += m.size()
	} else {
		q.stats.Full++
	}
	q.mu.Unlock()
	tell(dropped, ErrDropped)
	if !fits {
		return ErrFull
	}
	q.pump()
	return nil
}

// tell calls the done functions of entries.
func tell(entries []*entry, err error) {
	for _, e := range entries {
		if e.done != nil {
			e.done(err)
		}
	}
}

// makeRoom reports whether a message of size bytes fits, after dropping old
// ones if that is the policy and helps. The lock is held.
func (q *Queue) makeRoom(size int) (dropped []*entry, fits bool) {
	full := func() bool {
		return len(q.entries)+q.held >= q.cfg.MaxMessages || q.stats.Bytes+size > q.cfg.MaxBytes
	}
	if !full() {
		return nil, true
	}
	if !q.cfg.DropOldest || q.inFlight >= q.cfg.MaxMessages || q.flyingBytes()+size > q.cfg.MaxBytes {
		return nil, false
	}
	for full() {
		e := q.dropOldest()
		q.stats.Bytes -= e.size()
		q.stats.Dropped++
		dropped = append(dropped, e)
	}
	return dropped, true
}

// flyingBytes returns the size of the messages that are on their way. The lock is
// held.
func (q *Queue) flyingBytes() (n int) {
	for i, left := 0, q.inFlight; left > 0; i++ {
		if e := q.entries[i]; e.state == flying {
			n += e.size()
			left--
		}
	}
	return n
}

// SetOnline tells whether there is a connection. When one comes, everything that
// is not acknowledged is sent, from the oldest on.
func (q *Queue) SetOnline(online bool) {
	q.mu.Lock()
	q.online = online
	q.mu.Unlock()
	if online {
		q.pump()
	}
}

// Online reports what SetOnline was told last.
func (q *Queue) Online() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.online
}

// Close drops what is left, and everything that is put from now on.
func (q *Queue) Close() {
	q.mu.Lock()
	left := q.entries
	left = left[:len(left):len(left)]
	for _, h := range q.holds {
		left = append(left, h.entries...)
	}
	q.entries, q.next, q.closed, q.online = nil, 0, true, false
	q.holds, q.held = nil, 0
	for _, e := range left {
		e.state = over
	}
	q.stats.Dropped += uint64(len(left))
	q.stats.Bytes, q.inFlight = 0, 0
	for _, t := range []*time.Timer{q.retry, q.wake} {
		if t != nil {
			t.Stop()
		}
	}
	q.mu.Unlock()
	tell(left, ErrDropped)
}

// Stats returns the counters.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.InFlight, s.Held, s.Len = q.inFlight, q.held, len(q.entries)+q.held
	return s
}
