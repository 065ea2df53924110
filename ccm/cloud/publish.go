package cloud

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"golang.org/x/sync/semaphore"
)

// publication is a message on its way to the server.
type publication struct {
	Message
	done  func(error)
	slots *semaphore.Weighted // it holds one of these

	number uint64 // in the order of sending, on its link
	sent   time.Time
}

// validate says why a message cannot be published.
func (c *Config) validate(m *Message) error {
	if m.QoS > 1 {
		return ErrQoS
	}
	if err := ValidTopic(m.Topic, c.StrictTopics); err != nil {
		return err
	}
	if len(m.Topic)+len(m.Payload)+4 > c.MaxPacket { // lengths and packet id
		return ErrTooLarge
	}
	if c.CheckTopic != nil {
		return c.CheckTopic(m.Topic)
	}
	return nil
}

// Publish publishes a message and waits: with QoS 1 for PUBACK, with QoS 0 until
// the message is handed to the network. It waits for room when
// Config.MaxInFlight messages are on their way. The payload is copied.
//
// The errors are those of [Conn.PublishFunc] but ErrBusy, and that of ctx; the
// message may arrive all the same then.
func (c *Conn) Publish(ctx context.Context, m Message) error {
	if err := c.cfg.validate(&m); err != nil {
		return err
	}
	if !c.connected() {
		return ErrOffline
	}
	if err := c.slots[m.QoS].Acquire(ctx, 1); err != nil {
		return err
	}
	m.Payload = slices.Clone(m.Payload)
	result := make(chan error, 1)
	if err := c.enqueue(m, func(err error) { result <- err }); err != nil {
		return err
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PublishFunc publishes a message without waiting. If it returns nil, done is
// called once: with nil when the server has acknowledged the message (QoS 1) or
// it was handed to the network (QoS 0), with [ErrLost] when the connection broke
// before. Messages are sent in the order of the calls. Until done is called, the
// payload must not be changed.
//
// done is called on a goroutine of the connection. It must not block, and may
// call PublishFunc. It may be nil.
//
// The errors are one that wraps [ErrTopic] or comes from Config.CheckTopic,
// [ErrQoS], [ErrTooLarge], [ErrOffline], and [ErrBusy] when Config.MaxInFlight
// messages of that QoS are on their way. done is not called then.
//
// A server that speaks MQTT 3.1.1 has no way to refuse a message: it
// acknowledges, and drops, what the client may not publish, or closes the
// connection.
func (c *Conn) PublishFunc(m Message, done func(error)) error {
	if err := c.cfg.validate(&m); err != nil {
		return err
	}
	if !c.connected() {
		return ErrOffline
	}
	if !c.slots[m.QoS].TryAcquire(1) {
		return ErrBusy
	}
	return c.enqueue(m, done)
}

// connected reports whether messages are taken.
func (c *Conn) connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link != nil && c.link.ready
}

// enqueue queues a message for which there is a slot.
func (c *Conn) enqueue(m Message, done func(error)) error {
	p := &publication{Message: m, done: done, slots: c.slots[m.QoS]}
	c.mu.Lock()
	l := c.link
	taken := l != nil && l.ready
	if taken {
		l.queue = append(l.queue, p)
	}
	c.mu.Unlock()
	if !taken {
		p.slots.Release(1)
		return ErrOffline
	}
	l.poke()
	return nil
}

// finish ends a message.
func (c *Conn) finish(p *publication, err error) {
	if err == nil {
		c.stats.published.Add(1)
	} else {
		c.stats.unpublished.Add(1)
	}
	p.slots.Release(1)
	if p.done != nil {
		p.done(err)
	}
}

// sendQueue gives the messages that are queued to paho. Those that come meanwhile
// have poked serve, and wait for what else is to be sent.
func (l *link) sendQueue() {
	l.c.mu.Lock()
	batch := l.queue
	l.queue = nil
	l.c.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	now := time.Now()
	for i, p := range batch {
		if l.ended() { // settle does the rest
			l.c.mu.Lock()
			l.queue = append(batch[i:], l.queue...)
			l.c.mu.Unlock()
			return
		}
		l.sent++
		p.number, p.sent = l.sent, now
		l.send(p)
	}
	l.checkBy(now.Add(l.c.cfg.AckTimeout))
}

// send gives a message to paho. With QoS 0, it waits until it is written; with
// QoS 1, the ledger is told of its packet id and of PUBACK.
func (l *link) send(p *publication) {
	l.sending = p
	token := l.client.Publish(p.Topic, p.QoS, p.Retain, p.Payload)
	if p.QoS > 0 && l.sending == nil {
		return
	}
	l.sending = nil
	<-token.Done()
	if token.Error() != nil || l.ended() {
		l.c.finish(p, ErrLost)
		return
	}
	l.c.finish(p, nil)
}

// ledger is the store that paho wants for QoS 1. It keeps no packets: what was
// not acknowledged on one connection is not sent on the next. It tells the link
// of the packet ids.
type ledger struct{ l *link }

const outbound = "o." // prefix of the keys for what we send, before the packet id

// Put is told of a message, by Client.Publish, before it is written.
func (s ledger) Put(key string, packet packets.ControlPacket) {
	if strings.HasPrefix(key, outbound) && s.l.sending != nil {
		s.l.c.mu.Lock()
		s.l.open[packet.Details().MessageID] = s.l.sending
		s.l.c.mu.Unlock()
		s.l.sending = nil
	}
}

// Del is told of PUBACK, on paho's goroutine for what was received.
func (s ledger) Del(key string) {
	number, is := strings.CutPrefix(key, outbound)
	if !is {
		return
	}
	id, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return
	}
	s.l.c.mu.Lock()
	p := s.l.open[uint16(id)]
	delete(s.l.open, uint16(id))
	s.l.c.mu.Unlock()
	if p != nil {
		s.l.c.finish(p, nil)
	}
}

// Open and the others keep nothing.
func (ledger) Open()                            {}
func (ledger) Get(string) packets.ControlPacket { return nil }
func (ledger) All() []string                    { return nil }
func (ledger) Close()                           {}
func (ledger) Reset()                           {}

var _ mqtt.Store = ledger{}
