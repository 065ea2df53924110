package cloud

import (
	"sync/atomic"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Message is an MQTT message, to be published or received.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte // 0 or 1; of a received message 2 too, if an earlier program has subscribed so
	Retain  bool // the server is to keep it; of a received message: it was kept

	// Duplicate is set on received messages that the server has sent before
	// and not got an acknowledgement for.
	Duplicate bool

	receipt *receipt
}

// Ack acknowledges a received message to the server, which then forgets it. It
// has no effect on messages that need none, the second time, and when the
// connection that brought the message is gone; a server that keeps the session
// sends the message again. It does not wait. Safe for concurrent use.
//
// Servers expect acknowledgements in the order of the messages.
func (m *Message) Ack() {
	if m.receipt != nil {
		m.receipt.give()
	}
}

// receipt is the acknowledgement of one message.
type receipt struct {
	link   *link
	packet mqtt.Message
	given  atomic.Bool
}

// give has the receipt sent.
func (r *receipt) give() {
	if r.given.Swap(true) || r.link.ended() {
		return
	}
	l := r.link
	l.c.mu.Lock()
	l.acks = append(l.acks, r)
	l.c.mu.Unlock()
	l.poke()
}

// receive hands a message on to the program, also one that came just before the end
// of the link. It runs on one goroutine of the connection.
func (l *link) receive(_ mqtt.Client, packet mqtt.Message) {
	m := &Message{
		Topic: packet.Topic(), Payload: packet.Payload(), QoS: packet.Qos(),
		Retain: packet.Retained(), Duplicate: packet.Duplicate(),
	}
	if m.QoS > 0 {
		if packet.MessageID() == 0 || l.unacked.Add(1) > maxUnacked {
			l.fail(l.because(malformed("a message without a packet id of its own")))
			return
		}
		m.receipt = &receipt{link: l, packet: packet}
	}
	c := l.c
	if !validReceived(m.Topic) {
		c.stats.badTopics.Add(1)
		m.Ack() // else it would come again and again
		return
	}
	c.stats.received.Add(1)
	if c.cfg.OnMessage == nil {
		m.Ack()
		return
	}
	c.cfg.OnMessage(m)
}

// sendAcks sends the receipts that were given. Those that come meanwhile have
// poked serve.
func (l *link) sendAcks() {
	l.c.mu.Lock()
	batch := l.acks
	l.acks = nil
	l.c.mu.Unlock()
	for _, r := range batch {
		r.packet.Ack()
		l.unacked.Add(-1)
		l.c.stats.acknowledged.Add(1)
	}
}
