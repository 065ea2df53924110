package ccmtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Defaults of BrokerOptions.
const (
	DefaultWritesPending = 64
	DefaultClientBuffer  = 1 << 20
)

// maxSession is how many QoS 1 messages wait in the session of a client.
const maxSession = 60_000

// firstStamp is more than any Unix time: mochi stamps wills, and nothing else, with
// that.
const firstStamp = 1 << 40

// ErrTopic is returned for a topic or a filter that cannot be used.
var ErrTopic = errors.New("ccmtest: topic not usable")

// BrokerOptions configures a [Broker]. The zero value lets everybody in.
type BrokerOptions struct {
	// Connect, if set, judges each CONNECT: it returns the CONNACK return code
	// of MQTT 3.1.1, 0 to accept, 4 for bad credentials, 5 for not authorised.
	// It runs on the goroutine that serves the client.
	Connect func(e BrokerEvent, password []byte) (code byte)
	// Observer, if set, is told of every event, on the goroutine that serves
	// the client, several at a time. While it sleeps, that client waits. It must
	// not publish.
	Observer func(BrokerEvent)
	// TLS, if set, is what the broker's side of each connection speaks. Inside
	// a bubble the clock starts in the year 2000: certificates must be valid
	// then.
	TLS *tls.Config
	// WritesPending bounds the messages that wait to be written to a client;
	// then whoever publishes waits. 0 = DefaultWritesPending.
	WritesPending int
	// ClientBuffer is how many bytes a client may leave unread before it loses
	// its connection. 0 = DefaultClientBuffer.
	ClientBuffer int
	// Log bounds the events that are remembered; the oldest are forgotten
	// first. 0 = 4096, below 0 = none.
	Log int
}

// Broker is a real MQTT broker in this process, mochi, behind connections in
// memory, with an outage, a black hole and a number of other faults at hand.
//
// Sessions, subscriptions and retained messages live as long as the Broker. They
// do not expire, and there are no $SYS topics: mochi's housekeeping is not
// running, so that an idle broker costs no time in a bubble.
//
// All methods are safe for concurrent use.
type Broker struct {
	o       BrokerOptions
	acks    atomic.Pointer[func(client string, id uint16) Ack]
	denied  atomic.Pointer[denials]
	stamp   atomic.Int64 // of the last message
	stats   brokerStats
	serving sync.WaitGroup // the goroutines of the connections
	gate    *gate

	mu      sync.Mutex
	srv     *mqtt.Server
	conns   map[*brokerConn]struct{}
	byID    map[string]*brokerConn // the last connection of each client
	inline  []*inlineSub
	lastSub int
	dials   int
	refuse  byte
	down    bool
	closed  bool
	frozen  chan struct{} // closed when the network is back; nil while it is there
	events  []BrokerEvent
}

// denials are the filters that clients may not use.
type denials struct{ subscribe, publish []string }

// NewBroker returns a running broker. Close it at the end.
func NewBroker(o BrokerOptions) *Broker {
	if o.WritesPending <= 0 {
		o.WritesPending = DefaultWritesPending
	}
	if o.ClientBuffer <= 0 {
		o.ClientBuffer = DefaultClientBuffer
	}
	if o.Log == 0 {
		o.Log = defaultLog
	}
	b := &Broker{o: o, conns: map[*brokerConn]struct{}{}, byID: map[string]*brokerConn{}, gate: newGate()}
	b.stamp.Store(firstStamp)
	b.srv = b.newServer()
	return b
}

// newServer returns a server that serves connections and nothing else: Serve,
// which would start the housekeeping, is never called.
func (b *Broker) newServer() *mqtt.Server {
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumClientWritesPending = int32(min(2*b.o.WritesPending, math.MaxInt32)) // see admit
	caps.MaximumMessageExpiryInterval = 0
	caps.MaximumInflight = maxSession
	srv := mqtt.New(&mqtt.Options{
		Capabilities:             caps,
		ClientNetReadBufferSize:  1 << 10,
		ClientNetWriteBufferSize: 1 << 10,
		Logger:                   slog.New(slog.DiscardHandler),
		SysTopicResendInterval:   math.MaxInt32,
		InlineClient:             true,
	})
	if err := srv.AddHook(&brokerHook{b: b, srv: srv}, nil); err != nil {
		panic("ccmtest: " + err.Error()) // our Init returns nil
	}
	return srv
}

// Dial connects to the broker, whatever the network and the address; it fits
// cloud.Config and net.Dialer. While the broker is down it fails with
// ECONNREFUSED, while the network is frozen it waits for ctx.
func (b *Broker) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	for {
		b.mu.Lock()
		frozen := b.frozen
		if frozen == nil {
			c := b.accept()
			b.mu.Unlock()
			if c == nil {
				return nil, &net.OpError{Op: "dial", Net: network, Addr: addr(address), Err: syscall.ECONNREFUSED}
			}
			return c, nil
		}
		b.mu.Unlock()
		select {
		case <-frozen:
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: network, Addr: addr(address), Err: ctx.Err()}
		}
	}
}

// accept starts serving a connection and returns the client's end, nil if the
// broker is down; mu is held.
func (b *Broker) accept() *conn {
	if b.down || b.closed {
		return nil
	}
	b.dials++
	client, raw := newConn(b.o.ClientBuffer, addr(fmt.Sprintf("client-%d", b.dials)), "broker")
	c := newBrokerConn(b, raw)
	if b.o.TLS != nil {
		c.Conn = tls.Server(raw, b.o.TLS)
	}
	b.conns[c] = struct{}{}
	srv := b.srv
	b.serving.Go(func() { b.serve(srv, c) })
	return client
}

// serve serves a connection to its end.
func (b *Broker) serve(srv *mqtt.Server, c *brokerConn) {
	_ = srv.EstablishConnection("ccmtest", c) // tells how it ended, which OnDisconnect has reported
	c.leave()
	c.give()
	c.Close()
	b.mu.Lock()
	delete(b.conns, c)
	if b.byID[c.id()] == c {
		delete(b.byID, c.id())
	}
	b.mu.Unlock()
	close(c.done)
}

// Stop begins an outage: all connections break and new ones are refused. What is
// published meanwhile from this process, and the wills of the clients, reach
// persistent sessions after Start.
func (b *Broker) Stop() {
	b.mu.Lock()
	b.down = true
	b.breakAll()
	b.mu.Unlock()
}

// Start ends an outage.
func (b *Broker) Start() {
	b.mu.Lock()
	b.down = false
	b.mu.Unlock()
}

// breakAll breaks every connection; mu is held.
func (b *Broker) breakAll() {
	for c := range b.conns {
		c.cut()
	}
}

// Forget makes the broker lose all sessions, subscriptions of clients and
// retained messages, as one does that was restarted without a disk. Connections
// break.
func (b *Broker) Forget() {
	srv := b.newServer()
	b.mu.Lock()
	b.breakAll()
	b.srv = srv
	b.byID = map[string]*brokerConn{}
	subs := slices.Clone(b.inline)
	b.mu.Unlock()
	for _, s := range subs {
		_ = s.add(srv) // the filter was good before
	}
}

// Freeze makes the network swallow everything, or ends that: connections stay
// open, no byte passes in either direction, and Dial waits.
func (b *Broker) Freeze(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case on && b.frozen == nil:
		b.frozen = make(chan struct{})
	case !on && b.frozen != nil:
		close(b.frozen)
		b.frozen = nil
	}
	for c := range b.conns {
		c.raw.freeze(on)
	}
}

// Kick breaks the connection of a client and reports whether it had one.
func (b *Broker) Kick(client string) bool {
	b.mu.Lock()
	c := b.byID[client]
	b.mu.Unlock()
	if c != nil {
		c.cut()
	}
	return c != nil
}

// Refuse makes the broker answer every CONNECT with a CONNACK return code: 1 to
// 5 of MQTT 3.1.1, or 0 to accept again.
func (b *Broker) Refuse(code byte) {
	b.mu.Lock()
	b.refuse = code
	b.mu.Unlock()
}

// Deny makes the broker refuse subscriptions to these filters, spelled as the
// clients spell them, with 0x80. Each call replaces the list.
func (b *Broker) Deny(filters ...string) {
	b.deny(func(d *denials) { d.subscribe = filters })
}

// DenyPublish makes the broker break the connection of a client that publishes to
// a topic which one of these filters matches, as AWS IoT Core does. Each call
// replaces the list.
func (b *Broker) DenyPublish(filters ...string) {
	b.deny(func(d *denials) { d.publish = filters })
}

func (b *Broker) deny(change func(*denials)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var d denials
	if old := b.denied.Load(); old != nil {
		d = *old
	}
	change(&d)
	b.denied.Store(&d)
}

// Publish publishes a message as somebody else in the cloud does. It returns
// when the message is in the queues of all subscribers, and has been handed to
// those of this process. Payload is copied.
func (b *Broker) Publish(topic string, qos byte, retain bool, payload []byte) error {
	if topic == "" || len(topic) > math.MaxUint16 || strings.ContainsAny(topic, "+#\x00") || qos > 2 {
		return fmt.Errorf("%w: %q", ErrTopic, topic)
	}
	b.mu.Lock()
	srv := b.srv
	b.mu.Unlock()
	b.gate.enter()
	defer b.gate.leave()
	return srv.Publish(topic, slices.Clone(payload), retain, qos)
}

// Message is what a subscriber of this process gets.
type Message struct {
	At        time.Time
	Client    string // who published it; "" for this process
	Topic     string
	Payload   []byte
	QoS       byte
	Retain    bool // kept by the broker, or published to be
	Duplicate bool
}

// Subscribe calls fn for each message that filter matches, retained ones first,
// until the function it returns is called. fn runs on the goroutine that
// publishes, several at a time, may publish itself, and must not keep the
// payload. It does not depend on outages.
func (b *Broker) Subscribe(filter string, fn func(Message)) (cancel func(), err error) {
	b.mu.Lock()
	b.lastSub++
	s := &inlineSub{id: b.lastSub, filter: filter, fn: fn}
	b.inline = append(b.inline, s)
	srv := b.srv
	b.mu.Unlock()
	if err := s.add(srv); err != nil {
		b.unsubscribe(s)
		return nil, fmt.Errorf("%w: filter %q", ErrTopic, filter)
	}
	return func() { b.unsubscribe(s) }, nil
}

func (b *Broker) unsubscribe(s *inlineSub) {
	b.mu.Lock()
	b.inline = slices.DeleteFunc(b.inline, func(o *inlineSub) bool { return o == s })
	srv := b.srv
	b.mu.Unlock()
	_ = srv.Unsubscribe(s.filter, s.id) // fails for a filter that is not valid
}

// inlineSub is a subscription of this process.
type inlineSub struct {
	id     int
	filter string
	fn     func(Message)
}

func (s *inlineSub) add(srv *mqtt.Server) error {
	return srv.Subscribe(s.filter, s.id, func(_ *mqtt.Client, _ packets.Subscription, pk packets.Packet) {
		client := pk.Origin
		if client == mqtt.InlineClientId {
			client = ""
		}
		s.fn(Message{At: time.Now(), Client: client, Topic: pk.TopicName, Payload: pk.Payload,
			QoS: pk.FixedHeader.Qos, Retain: pk.FixedHeader.Retain, Duplicate: pk.FixedHeader.Dup})
	})
}

// Clients returns the ids of the clients that are connected, sorted.
func (b *Broker) Clients() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := make([]string, 0, len(b.byID))
	for id := range b.byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Close breaks all connections and returns when nothing serves them any more.
// The broker cannot be used after that. It must not be called from the callbacks
// of the broker.
func (b *Broker) Close() error {
	b.Freeze(false)
	b.mu.Lock()
	b.closed = true
	b.breakAll()
	b.mu.Unlock()
	b.serving.Wait()
	return nil
}
