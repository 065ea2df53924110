// Package outbox keeps QoS 1 messages until a broker has acknowledged them.
//
// A [Queue] takes messages at any time, up to a bound, and hands them to the
// connection in the order in which they came, several at a time, whenever there
// is one. A message leaves the queue when it is acknowledged. When the connection
// is lost, those that were not acknowledged are sent again, from the oldest on:
// none is lost, each arrives at least once, and the first arrivals are in order,
// for each topic at least.
//
//	q := outbox.New(outbox.Config{Send: send})
//	err := q.Put(outbox.Message{Topic: "t1", Payload: []byte("hello")}, func(err error) {
//		// nil: the broker has it
//	})
//	q.SetOnline(true)
//
// # Full
//
// The queue is bounded in messages and in bytes. A message that does not fit is
// refused with [ErrFull]; with Config.DropOldest the oldest ones that are not on
// their way give place, and their done functions get [ErrDropped]. Both are
// counted: Accepted = Sent + Refused by the connection + Dropped + Len, always.
//
// # Messages that break connections
//
// A broker may close the connection when it is sent what it does not permit, as
// AWS IoT does, and so would never get past such a message. When the connection
// was lost within 5 s after the oldest message was sent, two times in a row, that
// one is sent alone; after five times the messages of its topic wait, for a minute
// and then twice as long each time, up to an hour, while others pass. Of several
// such topics, one is tried again at a time, after what is in the queue then. Held
// messages count for the bounds of the queue; with Config.DropOldest they are the
// first to give place. Config.OnHold is told.
//
// # Memory
//
// The queue is in memory: it outlives the connection, not the process.
//
// # Concurrency
//
// All methods are safe for concurrent use. A Queue has no goroutine: messages
// are handed on by whoever calls Put or SetOnline, or acknowledges.
package outbox
