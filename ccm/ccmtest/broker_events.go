package ccmtest

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/ccmkit/ccmkit/internal/topic"
	"github.com/mochi-mqtt/server/v2/packets"
)

// BrokerEventKind tells what a [BrokerEvent] is about.
type BrokerEventKind uint8

// The kinds of events at a broker.
const (
	BrokerConnect     BrokerEventKind = iota + 1 // a CONNECT came; Code is its return code
	BrokerConnected                              // the CONNACK and what waited in the session were written
	BrokerDisconnect                             // a connection has ended, Clean by a DISCONNECT
	BrokerSubscribe                              // a filter of a SUBSCRIBE; Code is what the SUBACK grants
	BrokerUnsubscribe                            // a filter of an UNSUBSCRIBE
	BrokerPublish                                // a message came from a client, or from this process
	BrokerDeliver                                // a message was written to a client
	BrokerPuback                                 // a PUBACK came from a client; the message is the one it is for
)

var brokerEventNames = [...]string{
	BrokerConnect: "connect", BrokerConnected: "connected", BrokerDisconnect: "disconnect", BrokerSubscribe: "subscribe",
	BrokerUnsubscribe: "unsubscribe", BrokerPublish: "publish", BrokerDeliver: "deliver", BrokerPuback: "puback",
}

// String returns "connect", "publish" and so on.
func (k BrokerEventKind) String() string {
	if int(k) < len(brokerEventNames) && k > 0 {
		return brokerEventNames[k]
	}
	return "?"
}

// BrokerEvent is something that happened at a [Broker].
type BrokerEvent struct {
	At        time.Time
	Kind      BrokerEventKind
	Client    string // "" for this process
	Topic     string // or a filter
	Payload   []byte // not to be changed
	QoS       byte
	Retain    bool
	Duplicate bool
	ID        uint16 // of the packet
	Code      byte
	Clean     bool          // of a CONNECT, or of the end
	KeepAlive time.Duration // of a CONNECT
	Username  string        // of a CONNECT
}

// message takes over the message of a packet.
func (e *BrokerEvent) message(pk packets.Packet) {
	e.Topic, e.Payload, e.ID = pk.TopicName, pk.Payload, pk.PacketID
	e.QoS, e.Retain, e.Duplicate = pk.FixedHeader.Qos, pk.FixedHeader.Retain, pk.FixedHeader.Dup
	if e.Client == "" {
		e.ID = 0
	}
}

// listened reports whether anybody wants to know of events.
func (b *Broker) listened() bool { return b.o.Log > 0 || b.o.Observer != nil }

// note remembers an event and tells the observer.
func (b *Broker) note(e BrokerEvent) {
	if b.o.Log > 0 {
		b.mu.Lock()
		b.events = keep(b.events, e, b.o.Log)
		b.mu.Unlock()
	}
	if b.o.Observer != nil {
		b.o.Observer(e)
	}
}

// Events returns what has happened, in order, of the kinds given or of all.
func (b *Broker) Events(kinds ...BrokerEventKind) []BrokerEvent {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []BrokerEvent
	for _, e := range newest(b.events, b.o.Log) {
		if len(kinds) == 0 || slices.Contains(kinds, e.Kind) {
			out = append(out, e)
		}
	}
	return out
}

// Messages returns the messages that came to the broker on topics that filter
// matches, in order, each time they came.
func (b *Broker) Messages(filter string) []Message {
	var out []Message
	for _, e := range b.Events(BrokerPublish) {
		if topic.Match(filter, e.Topic) {
			out = append(out, Message{At: e.At, Client: e.Client, Topic: e.Topic, Payload: e.Payload,
				QoS: e.QoS, Retain: e.Retain, Duplicate: e.Duplicate})
		}
	}
	return out
}

// BrokerStats counts what has happened at a broker.
type BrokerStats struct {
	Connects    uint64 // accepted
	Refused     uint64 // CONNECT refused
	Disconnects uint64 // ends of accepted connections
	Published   uint64 // messages from clients and from this process
	Delivered   uint64 // messages written to clients
	Pubacks     uint64 // from clients
	DroppedAcks uint64 // PUBACKs that SetAcks has lost
	Dropped     uint64 // messages that a session did not get because too many were waiting
}

type brokerStats struct {
	connects, refused, disconnects, published, delivered, pubacks, droppedAcks, dropped atomic.Uint64
}

// Stats returns the counters.
func (b *Broker) Stats() BrokerStats {
	s := &b.stats
	b.mu.Lock()
	info := b.srv.Info
	b.mu.Unlock()
	return BrokerStats{Connects: s.connects.Load(), Refused: s.refused.Load(), Disconnects: s.disconnects.Load(),
		Published: s.published.Load(), Delivered: s.delivered.Load(), Pubacks: s.pubacks.Load(),
		DroppedAcks: s.droppedAcks.Load(), Dropped: s.dropped.Load() + uint64(atomic.LoadInt64(&info.InflightDropped))}
}
