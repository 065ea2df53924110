package ccmtest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// pahoOptions returns options of a client that dials b.
func pahoOptions(b *ccmtest.Broker, id string) *paho.ClientOptions {
	return paho.NewClientOptions().AddBroker("tcp://broker:1883").SetClientID(id).SetProtocolVersion(4).
		SetCleanSession(false).SetKeepAlive(time.Minute).SetPingTimeout(10 * time.Second).SetConnectTimeout(15 * time.Second).
		SetAutoReconnect(false).SetConnectRetry(false).
		SetCustomOpenConnectionFn(func(u *url.URL, o paho.ClientOptions) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(context.Background(), o.ConnectTimeout)
			defer cancel()
			return b.Dial(ctx, "tcp", u.Host)
		})
}

// wait waits for a token in virtual time.
func wait(t *testing.T, tok paho.Token) {
	t.Helper()
	if !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
		t.Fatalf("token: %v", tok.Error())
	}
}

// client is a bare MQTT client: the test writes and reads packets.
type client struct {
	net.Conn
	t testing.TB
}

func dial(t testing.TB, b *ccmtest.Broker) *client {
	c, err := b.Dial(t.Context(), "tcp", "broker")
	if err != nil {
		t.Fatal(err)
	}
	return &client{c, t}
}

// connect dials and returns the client after its CONNACK.
func connect(t testing.TB, b *ccmtest.Broker, id string, clean bool) *client {
	c := dial(t, b)
	c.send(connectPacket(id, clean))
	if ack := c.next().(*packets.ConnackPacket); ack.ReturnCode != 0 {
		t.Fatalf("CONNACK %d", ack.ReturnCode)
	}
	return c
}

func connectPacket(id string, clean bool) *packets.ConnectPacket {
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.ClientIdentifier, p.CleanSession = "MQTT", 4, id, clean
	return p
}

func (c *client) send(p packets.ControlPacket) {
	c.t.Helper()
	if err := p.Write(c); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) next() packets.ControlPacket {
	c.t.Helper()
	p, err := packets.ReadPacket(c)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

func (c *client) subscribe(filters ...string) []byte {
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.MessageID, p.Topics = 99, filters
	for range filters {
		p.Qoss = append(p.Qoss, 1)
	}
	c.send(p)
	return c.next().(*packets.SubackPacket).ReturnCodes
}

func (c *client) publish(topic, payload string, qos byte, id uint16) {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload, p.Qos, p.MessageID = topic, []byte(payload), qos, id
	c.send(p)
}

// receive reads a message and acknowledges it.
func (c *client) receive() *packets.PublishPacket {
	m := c.next().(*packets.PublishPacket)
	if m.Qos == 1 {
		ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		ack.MessageID = m.MessageID
		c.send(ack)
	}
	return m
}

// bubble runs a test with a broker in a bubble and closes it.
func bubble(t *testing.T, o ccmtest.BrokerOptions, f func(t *testing.T, b *ccmtest.Broker)) {
	synctest.Test(t, func(t *testing.T) {
		b := ccmtest.NewBroker(o)
		defer b.Close()
		f(t, b)
	})
}

// TestBrokerPaho: the real client through six hours of keepalives, an outage and
// redelivery to its session, and nothing of either is left.
func TestBrokerPaho(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{Log: 1 << 16}, func(t *testing.T, b *ccmtest.Broker) {
		var mu sync.Mutex
		var got []string
		lost := make(chan struct{}, 1)
		o := pahoOptions(b, "dev").SetOrderMatters(true).
			SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, string(m.Payload()))
			}).
			SetConnectionLostHandler(func(paho.Client, error) { lost <- struct{}{} })
		c := paho.NewClient(o)
		wait(t, c.Connect())
		wait(t, c.Subscribe("in/#", 1, nil))
		wait(t, c.Publish("out/1", 1, false, "hello"))
		if m := b.Messages("out/+"); len(m) != 1 || m[0].Client != "dev" || string(m[0].Payload) != "hello" || m[0].QoS != 1 {
			t.Errorf("messages %+v", m)
		}
		b.Publish("in/a", 1, false, []byte("1"))
		time.Sleep(6 * time.Hour)
		if s := b.Stats(); s.Disconnects != 0 || !c.IsConnectionOpen() {
			t.Errorf("after six hours: %+v", s)
		}

		b.Stop()
		<-lost
		for i := 2; i <= 60; i++ {
			b.Publish("in/a", 1, false, fmt.Append(nil, i))
		}
		c = paho.NewClient(o)
		if tok := c.Connect(); !tok.WaitTimeout(time.Minute) || !errors.Is(tok.Error(), syscall.ECONNREFUSED) {
			t.Errorf("connect during the outage: %v", tok.Error())
		}
		time.Sleep(time.Hour)
		b.Start()
		wait(t, c.Connect())
		time.Sleep(time.Second)
		mu.Lock()
		if len(got) != 60 || !slices.IsSortedFunc(got, func(a, b string) int { return len(a)*100 - len(b)*100 + strings.Compare(a, b) }) {
			t.Errorf("received %q", got)
		}
		mu.Unlock()
		c.Disconnect(250)
		time.Sleep(time.Minute) // paho's goroutines
		if s := b.Stats(); s.Dropped != 0 || s.Connects != 2 || s.Disconnects != 2 || len(b.Clients()) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestBrokerEvents: every kind of event, with its virtual time.
func TestBrokerEvents(t *testing.T) {
	var observed int
	bubble(t, ccmtest.BrokerOptions{Observer: func(ccmtest.BrokerEvent) { observed++ }}, func(t *testing.T, b *ccmtest.Broker) {
		start := time.Now()
		step := func() { synctest.Wait(); time.Sleep(time.Second) }
		c := dial(t, b)
		step()
		p := connectPacket("dev", true)
		p.Keepalive, p.Username, p.UsernameFlag = 30, "u", true
		c.send(p)
		c.next()
		step()
		c.subscribe("a/+", "b")
		step()
		b.Publish("a/1", 1, false, []byte("x"))
		step()
		m := c.next().(*packets.PublishPacket)
		ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		ack.MessageID = m.MessageID
		step()
		c.send(ack)
		step()
		c.publish("up", "y", 1, 7)
		c.next()
		step()
		u := packets.NewControlPacket(packets.Unsubscribe).(*packets.UnsubscribePacket)
		u.Topics, u.MessageID = []string{"b"}, 8
		c.send(u)
		c.next()
		step()
		c.send(packets.NewControlPacket(packets.Disconnect))
		step()
		var got []string
		for _, e := range b.Events() {
			got = append(got, fmt.Sprintf("%d %s %s %s %s %d %d", int(e.At.Sub(start).Seconds()), e.Kind, e.Client, e.Topic, e.Payload, e.QoS, e.Code))
		}
		want := []string{
			"1 connect dev   0 0", "1 connected dev   0 0",
			"2 subscribe dev a/+  1 1", "2 subscribe dev b  1 1",
			"3 publish  a/1 x 1 0", "3 deliver dev a/1 x 1 0", "5 puback dev a/1 x 1 0",
			"6 publish dev up y 1 0", "7 unsubscribe dev b  0 0", "8 disconnect dev   0 0",
		}
		if !slices.Equal(got, want) || observed != len(want) {
			t.Errorf("got %q, observed %d", got, observed)
		}
		if e := b.Events(ccmtest.BrokerConnect)[0]; e.Username != "u" || e.KeepAlive != 30*time.Second || !e.Clean {
			t.Errorf("%+v", e)
		}
		if s := b.Stats(); s != (ccmtest.BrokerStats{Connects: 1, Disconnects: 1, Published: 2, Delivered: 1, Pubacks: 1}) {
			t.Errorf("%+v", s)
		}
	})
}

// TestBrokerAcks: lost, doubled and late PUBACKs.
func TestBrokerAcks(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{}, func(t *testing.T, b *ccmtest.Broker) {
		c := connect(t, b, "dev", true)
		ids := func(d time.Duration) (ids []uint16) {
			c.SetReadDeadline(time.Now().Add(d))
			for {
				p, err := packets.ReadPacket(c)
				if err != nil {
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Fatal(err)
					}
					return ids
				}
				ids = append(ids, p.Details().MessageID)
			}
		}
		send := func(from uint16) {
			for i := range uint16(4) {
				c.publish("t", "x", 1, from+i)
			}
		}
		b.SetAcks(ccmtest.Ack{Drop: true})
		send(1)
		if got := ids(time.Hour); len(got) != 0 || b.Stats().DroppedAcks != 4 || len(b.Messages("t")) != 4 {
			t.Errorf("dropped: %v, %+v", got, b.Stats())
		}
		b.SetAcks(ccmtest.Ack{Duplicate: true})
		send(11)
		if got := ids(time.Second); !slices.Equal(got, []uint16{11, 11, 12, 12, 13, 13, 14, 14}) {
			t.Errorf("duplicate: %v", got)
		}
		b.SetAckFunc(func(client string, id uint16) ccmtest.Ack {
			if client != "dev" {
				t.Errorf("client %q", client)
			}
			return ccmtest.Ack{Delay: time.Duration(25-id) * time.Minute, Duplicate: id == 24}
		})
		send(21)
		c.send(packets.NewControlPacket(packets.Pingreq)) // overtakes
		if got := ids(time.Minute - 1); len(got) != 1 || got[0] != 0 {
			t.Errorf("before the first: %v", got)
		}
		if got := ids(2); !slices.Equal(got, []uint16{24, 24}) {
			t.Errorf("after a minute: %v", got)
		}
		if got := ids(time.Hour); !slices.Equal(got, []uint16{23, 22, 21}) {
			t.Errorf("delayed: %v", got)
		}
		b.SetAcks(ccmtest.Ack{})
		send(31)
		if got := ids(time.Second); !slices.Equal(got, []uint16{31, 32, 33, 34}) {
			t.Errorf("ordinary: %v", got)
		}
		b.SetAcks(ccmtest.Ack{Delay: time.Hour})
		send(41)
	})
}

// TestBrokerRefusals: CONNECT, SUBSCRIBE and PUBLISH that are not wanted.
func TestBrokerRefusals(t *testing.T) {
	var seen []string
	bubble(t, ccmtest.BrokerOptions{Connect: func(e ccmtest.BrokerEvent, password []byte) byte {
		seen = append(seen, e.Client+" "+e.Username+" "+string(password))
		if e.Client == "bad" {
			return 4
		}
		return 0
	}}, func(t *testing.T, b *ccmtest.Broker) {
		tok := paho.NewClient(pahoOptions(b, "bad").SetUsername("u").SetPassword("p")).Connect()
		if !tok.WaitTimeout(time.Minute) || !errors.Is(tok.Error(), packets.ErrorRefusedBadUsernameOrPassword) {
			t.Errorf("bad password: %v", tok.Error())
		}
		b.Refuse(5)
		tok = paho.NewClient(pahoOptions(b, "good")).Connect()
		if !tok.WaitTimeout(time.Minute) || !errors.Is(tok.Error(), packets.ErrorRefusedNotAuthorised) {
			t.Errorf("refused: %v", tok.Error())
		}
		b.Refuse(0)
		c := connect(t, b, "good", true)
		if !slices.Equal(seen, []string{"bad u p", "good  "}) || b.Stats().Refused != 2 {
			t.Errorf("%q, %+v", seen, b.Stats())
		}
		b.Deny("secret/#", "x")
		if got := c.subscribe("a", "secret/#", "x", "secret/1"); !slices.Equal(got, []byte{1, 0x80, 0x80, 1}) {
			t.Errorf("SUBACK % x", got)
		}
		b.Publish("x", 1, false, nil) // to nobody
		b.Deny("a", "secret/1")       // which are subscribed
		b.Publish("a", 1, false, []byte("still"))
		if m := c.receive(); string(m.Payload) != "still" {
			t.Errorf("%v", m)
		}
		b.Deny()
		if got := c.subscribe("x"); !slices.Equal(got, []byte{1}) {
			t.Errorf("SUBACK % x", got)
		}
		b.DenyPublish("ro/+")
		c.publish("rw/1", "x", 1, 1)
		if _, is := c.next().(*packets.PubackPacket); !is {
			t.Error("no PUBACK")
		}
		for qos := range byte(2) {
			c.publish("ro/1", "x", qos, 2)
			if _, err := packets.ReadPacket(c); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("forbidden topic at QoS %d: %v", qos, err)
			}
			c = connect(t, b, "good", true)
		}
		if n := len(b.Messages("#")); n != 3 {
			t.Errorf("%d messages", n)
		}
	})
}

// TestBrokerKick: one connection breaks, and a second one of the same client
// takes over from the first.
func TestBrokerKick(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{}, func(t *testing.T, b *ccmtest.Broker) {
		one, two := connect(t, b, "one", false), connect(t, b, "two", true)
		one.subscribe("t")
		if !b.Kick("one") || b.Kick("nobody") {
			t.Error("Kick")
		}
		if _, err := one.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v", err)
		}
		if _, err := one.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write: %v", err)
		}
		for i := range 200 { // at once, and again and again: mochi must not mix them up
			next := connect(t, b, "one", i%5 == 4)
			if i%5 == 4 {
				next.subscribe("t")
			}
			if i%2 == 0 {
				b.Kick("one")
			}
			one.Close()
			one = next
		}
		synctest.Wait()
		if got := b.Clients(); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("clients %q", got)
		}
		two.publish("t", "x", 1, 1)
		if _, is := two.next().(*packets.PubackPacket); !is {
			t.Error("no PUBACK")
		}
		if m := one.receive(); string(m.Payload) != "x" {
			t.Errorf("%v", m)
		}
	})
}

// TestBrokerTakeover: a client that comes back before mochi is done with its last
// connection waits for that, and then is there.
func TestBrokerTakeover(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{Observer: func(e ccmtest.BrokerEvent) {
		if e.Kind == ccmtest.BrokerDisconnect {
			time.Sleep(time.Second)
		}
	}}, func(t *testing.T, b *ccmtest.Broker) {
		first := connect(t, b, "dev", true)
		start := time.Now()
		second := connect(t, b, "dev", true)
		second.subscribe("t")
		time.Sleep(time.Minute)
		b.Publish("t", 1, false, []byte("x"))
		if m := second.receive(); string(m.Payload) != "x" {
			t.Errorf("%v", m)
		}
		if _, err := first.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) || time.Since(start) != 61*time.Second {
			t.Errorf("the first: %v after %v", err, time.Since(start))
		}
	})
}

// TestBrokerBusyTakeover: while messages are published all the time, a session that
// comes back again and again gets its CONNACK first, and then every message, for the
// first time in order.
func TestBrokerBusyTakeover(t *testing.T) {
	const total = 500
	b := ccmtest.NewBroker(ccmtest.BrokerOptions{Log: -1})
	defer b.Close()
	c := connect(t, b, "dev", false)
	c.subscribe("t")
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for i := range total {
			b.Publish("t", 1, false, fmt.Append(nil, i))
		}
	})
	defer publishing.Wait()
	for next := 0; next < total; {
		for range 25 {
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			var n int
			if fmt.Sscan(string(c.receive().Payload), &n); n > next {
				t.Fatalf("message %d comes after %d", n, next-1)
			}
			if next = max(next, n+1); next == total {
				return
			}
		}
		c.Close()
		c = connect(t, b, "dev", false)
	}
}

// TestBrokerFreeze: a black hole is noticed by the ping only.
func TestBrokerFreeze(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{}, func(t *testing.T, b *ccmtest.Broker) {
		lost := make(chan time.Time, 1)
		c := paho.NewClient(pahoOptions(b, "dev").SetConnectionLostHandler(func(paho.Client, error) { lost <- time.Now() }))
		wait(t, c.Connect())
		start := time.Now()
		b.Freeze(true)
		if d := (<-lost).Sub(start); d < time.Minute || d > 90*time.Second {
			t.Errorf("noticed after %v", d)
		}
		start = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := b.Dial(ctx, "tcp", "x"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("Dial: %v after %v", err, time.Since(start))
		}
		time.AfterFunc(time.Minute, func() { b.Freeze(false) })
		raw := connect(t, b, "raw", true)
		raw.subscribe("t")
		b.Freeze(true)
		b.Publish("t", 1, false, []byte("x"))
		raw.publish("u", "y", 1, 1)
		raw.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := raw.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || len(b.Messages("u")) != 0 {
			t.Errorf("read %d, %v", n, err)
		}
		b.Freeze(false)
		raw.SetReadDeadline(time.Time{})
		synctest.Wait()
		if m := raw.receive(); string(m.Payload) != "x" || len(b.Messages("u")) != 1 {
			t.Errorf("%v", m)
		}
		time.Sleep(time.Minute)
	})
}

// TestBrokerOrder: messages for a session that is away come in the order in
// which they were published, also over several absences and many messages.
func TestBrokerOrder(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{Log: -1}, func(t *testing.T, b *ccmtest.Broker) {
		connect(t, b, "dev", false).subscribe("t")
		for range 70_000 { // past 16 bits
			b.Publish("other", 1, false, nil)
		}
		next, published := 0, 0
		for range 5 {
			b.Stop()
			for range 2000 {
				b.Publish("t", 1, false, fmt.Append(nil, published))
				published++
			}
			b.Start()
			c := connect(t, b, "dev", false)
			for i := range 1900 { // the rest comes next time
				m := c.next().(*packets.PublishPacket)
				if string(m.Payload) != fmt.Sprint(next+i) {
					t.Fatalf("got %s, want %d", m.Payload, next+i)
				}
				ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
				ack.MessageID = m.MessageID
				c.send(ack)
			}
			next += 1900
			synctest.Wait()
		}
		if s := b.Stats(); s.Dropped != 0 || s.Pubacks != 5*1900 {
			t.Errorf("%+v", s)
		}
		if len(b.Events()) != 0 {
			t.Error("a log, though it is off")
		}
	})
}

// TestBrokerInProcess: publishing and subscribing without a connection, and what
// Forget forgets.
func TestBrokerInProcess(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{}, func(t *testing.T, b *ccmtest.Broker) {
		var got []string
		log := func(name string) func(ccmtest.Message) {
			return func(m ccmtest.Message) {
				got = append(got, fmt.Sprintf("%s %s %s %s %d %v", name, m.Client, m.Topic, m.Payload, m.QoS, m.Retain))
			}
		}
		b.Publish("r/1", 1, true, []byte("kept"))
		stop, err := b.Subscribe("r/+", log("a"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Subscribe("#", log("b")); err != nil {
			t.Fatal(err)
		}
		c := connect(t, b, "dev", true)
		c.publish("r/2", "hi", 1, 1)
		c.next()
		synctest.Wait()
		stop()
		b.Publish("r/3", 0, false, nil)
		want := []string{"a  r/1 kept 1 true", "b  r/1 kept 1 true", "a dev r/2 hi 1 false", "b dev r/2 hi 1 false", "b  r/3  0 false"}
		slices.Sort(got[2:4])
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		for _, topic := range []string{"", "a/+", "#", "x\x00", strings.Repeat("x", 65536)} {
			if err := b.Publish(topic, 0, false, nil); !errors.Is(err, ccmtest.ErrTopic) {
				t.Errorf("topic %.10q: %v", topic, err)
			}
		}
		if _, err := b.Subscribe("a/#/b", log("c")); !errors.Is(err, ccmtest.ErrTopic) {
			t.Errorf("filter: %v", err)
		}

		got = nil
		connect(t, b, "kept", false).subscribe("t")
		b.Forget()
		b.Publish("t", 1, false, []byte("x"))
		c = dial(t, b)
		c.send(connectPacket("kept", false))
		if ack := c.next().(*packets.ConnackPacket); ack.SessionPresent {
			t.Error("a session after Forget")
		}
		b.Publish("t", 1, false, []byte("y")) // the subscription is gone too
		c.send(packets.NewControlPacket(packets.Pingreq))
		if _, is := c.next().(*packets.PingrespPacket); !is {
			t.Error("a message after Forget")
		}
		if len(c.subscribe("r/#")) != 1 || !slices.Equal(got, []string{"b  t x 1 false", "b  t y 1 false"}) {
			t.Errorf("got %q", got)
		}
	})
}

// TestBrokerBurst: a burst that is larger than the queue of a client gets
// through, because publishing lets the writers run; and a client that does not
// read loses its connection rather than anything else.
func TestBrokerBurst(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{ClientBuffer: 64 << 10, WritesPending: 16}, func(t *testing.T, b *ccmtest.Broker) {
		c := connect(t, b, "dev", true)
		c.subscribe("t")
		done := make(chan int)
		go func() {
			n := 0
			for range 5000 {
				if _, err := packets.ReadPacket(c); err != nil {
					break
				}
				n++
			}
			done <- n
		}()
		for range 5000 {
			b.Publish("t", 0, false, []byte("x"))
		}
		if n := <-done; n != 5000 || b.Stats().Dropped != 0 {
			t.Errorf("%d messages, %+v", n, b.Stats())
		}
		for range 2000 {
			b.Publish("t", 0, false, make([]byte, 100))
		}
		synctest.Wait()
		if _, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) || b.Stats().Disconnects != 1 {
			t.Errorf("a client that does not read: %v, %+v", err, b.Stats())
		}
	})
}

// TestBrokerSlowObserver: an observer that keeps the writer of a client for long
// makes the publisher wait, and nothing is dropped.
func TestBrokerSlowObserver(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{WritesPending: 4, Observer: func(e ccmtest.BrokerEvent) {
		if e.Kind == ccmtest.BrokerDeliver {
			time.Sleep(10 * time.Second)
		}
	}}, func(t *testing.T, b *ccmtest.Broker) {
		c := connect(t, b, "dev", true)
		c.subscribe("t")
		for range 50 {
			b.Publish("t", 1, false, []byte("x"))
		}
		time.Sleep(time.Hour)
		if s := b.Stats(); s.Dropped != 0 || s.Delivered != 50 {
			t.Errorf("%+v", s)
		}
	})
}

// TestBrokerClosed: what works after Close.
func TestBrokerClosed(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{}, func(t *testing.T, b *ccmtest.Broker) {
		c := connect(t, b, "dev", true)
		half := dial(t, b) // has sent nothing
		b.Freeze(true)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		for _, conn := range []net.Conn{c, half} {
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read: %v", err)
			}
		}
		if _, err := b.Dial(t.Context(), "tcp", "x"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial: %v", err)
		}
		b.Start()
		if _, err := b.Dial(t.Context(), "tcp", "x"); err == nil {
			t.Error("Start has opened a closed broker")
		}
	})
}

// TestBrokerSelf: a client that floods itself and does not read, and whose
// connection breaks meanwhile, leaves nothing behind.
func TestBrokerSelf(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{WritesPending: 2, ClientBuffer: 32 << 10, Log: -1}, func(t *testing.T, b *ccmtest.Broker) {
		for i := range 20 {
			c := connect(t, b, "dev", true)
			c.subscribe("t")
			for range 1000 * (i % 2) {
				p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
				p.TopicName, p.Payload, p.Qos, p.MessageID = "t", make([]byte, 100), 1, 1
				if p.Write(c) != nil {
					break
				}
			}
			b.Kick("dev")
			b.Publish("t", 1, false, []byte("x"))
			synctest.Wait()
			c.Close()
		}
		if got := b.Clients(); len(got) != 0 {
			t.Errorf("clients %q", got)
		}
	})
}

// TestBrokerTLS: the broker's side speaks TLS; PUBACK faults work behind it.
func TestBrokerTLS(t *testing.T) {
	cert, pool := certificate(t)
	bubble(t, ccmtest.BrokerOptions{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}, func(t *testing.T, b *ccmtest.Broker) {
		raw, err := b.Dial(t.Context(), "tcp", "broker:8883")
		if err != nil {
			t.Fatal(err)
		}
		c := &client{tls.Client(raw, &tls.Config{RootCAs: pool, ServerName: "broker"}), t}
		c.send(connectPacket("dev", true))
		c.next()
		c.subscribe("t")
		b.SetAcks(ccmtest.Ack{Delay: time.Second, Duplicate: true})
		start := time.Now()
		c.publish("u", "x", 1, 1)
		for range 2 {
			if _, is := c.next().(*packets.PubackPacket); !is || time.Since(start) != time.Second {
				t.Errorf("PUBACK after %v", time.Since(start))
			}
		}
		b.Publish("t", 1, false, make([]byte, 100_000))
		if m := c.receive(); len(m.Payload) != 100_000 {
			t.Errorf("%d bytes", len(m.Payload))
		}
		plain := dial(t, b)
		plain.send(connectPacket("plain", true))
		if p, err := packets.ReadPacket(plain); err == nil {
			t.Errorf("without TLS: %v", p)
		}
		c.Close()
	})
}

// certificate returns a certificate for "broker" that is valid in a bubble, and
// the pool that knows it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"broker"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestBrokerWill: the will of a client that vanishes, and not of one that says
// goodbye.
func TestBrokerWill(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{}, func(t *testing.T, b *ccmtest.Broker) {
		for _, id := range []string{"polite", "gone"} {
			c := dial(t, b)
			p := connectPacket(id, true)
			p.WillFlag, p.WillTopic, p.WillMessage = true, "will", []byte(id)
			c.send(p)
			c.next()
			if id == "polite" {
				c.send(packets.NewControlPacket(packets.Disconnect))
			} else {
				b.Kick(id)
			}
			synctest.Wait()
		}
		if m := b.Messages("will"); len(m) != 1 || string(m[0].Payload) != "gone" || m[0].Client != "gone" {
			t.Errorf("%+v", m)
		}
	})
}

// TestBrokerWillOrder: a will takes its place among the messages that wait in a
// session, over several absences.
func TestBrokerWillOrder(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{}, func(t *testing.T, b *ccmtest.Broker) {
		sub := connect(t, b, "sub", false)
		sub.subscribe("#")
		want := []string{}
		for i := range 3 {
			sub.Close()
			synctest.Wait()
			c := dial(t, b)
			p := connectPacket("gone", true)
			p.WillFlag, p.WillTopic, p.WillMessage, p.WillQos = true, "will", []byte("will"), 1
			c.send(p)
			c.next()
			b.Publish("t", 1, false, fmt.Append(nil, "before ", i))
			b.Kick("gone")
			synctest.Wait()
			b.Publish("t", 1, false, fmt.Append(nil, "after ", i))
			want = append(want, fmt.Sprint("before ", i), "will", fmt.Sprint("after ", i))
			sub = dial(t, b)
			sub.send(connectPacket("sub", false))
			sub.next()
			var got []string
			for range want { // none is acknowledged
				got = append(got, string(sub.next().(*packets.PublishPacket).Payload))
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}

// TestBrokerLateAcks: PUBACKs that are due at the same time come in order.
func TestBrokerLateAcks(t *testing.T) {
	bubble(t, ccmtest.BrokerOptions{}, func(t *testing.T, b *ccmtest.Broker) {
		b.SetAcks(ccmtest.Ack{Delay: time.Minute})
		c := connect(t, b, "dev", true)
		for id := range uint16(10) {
			c.publish("t", "x", 1, id+1)
		}
		for id := range uint16(10) {
			if got := c.next().Details().MessageID; got != id+1 {
				t.Errorf("PUBACK %d, want %d", got, id+1)
			}
		}
	})
}
