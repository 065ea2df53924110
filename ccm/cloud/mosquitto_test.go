package cloud_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/internal/testbed"
)

// These tests talk to a real broker, in real time.

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// quick is a configuration for a real broker, with short waits.
func quick(m *testbed.MosquittoServer, id string) cloud.Config {
	return cloud.Config{
		Servers: []string{m.Addr}, ClientID: id,
		BackoffMin: 10 * time.Millisecond, BackoffMax: 100 * time.Millisecond,
	}
}

// eventually waits until f is true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for begun := time.Now(); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// up waits for the connection.
func up(t testing.TB, c *runner) {
	t.Helper()
	eventually(t, "the connection", func() bool { return c.Status().Connected })
}

// receive waits for a message.
func receive(t testing.TB, got <-chan *cloud.Message) *cloud.Message {
	t.Helper()
	select {
	case m := <-got:
		return m
	case <-time.After(patience):
		t.Fatal("no message in time")
		return nil
	}
}

// into returns an OnMessage that puts messages into a channel.
func into(got chan *cloud.Message) func(*cloud.Message) {
	return func(m *cloud.Message) { got <- m }
}

func TestMosquitto(t *testing.T) {
	m := testbed.Mosquitto(t, testbed.MosquittoOptions{})
	got := make(chan *cloud.Message, 10)
	cfg := quick(m, "a")
	cfg.OnMessage = into(got)
	c := run(t, cfg)
	defer c.stop(t)
	up(t, c)
	if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "a/#", QoS: 1}); err != nil {
		t.Fatal(err)
	}
	for qos := range byte(2) {
		if err := c.Publish(t.Context(), cloud.Message{Topic: "a/b", Payload: []byte("hello"), QoS: qos, Retain: true}); err != nil {
			t.Fatal(err)
		}
		if msg := receive(t, got); msg.Topic != "a/b" || string(msg.Payload) != "hello" || msg.QoS != qos || msg.Retain {
			t.Errorf("got %+v", msg)
		} else {
			msg.Ack()
		}
	}
	// subscribing again repeats what is retained
	if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "a/#", QoS: 0}); err != nil {
		t.Fatal(err)
	}
	if msg := receive(t, got); !msg.Retain || msg.QoS != 0 || string(msg.Payload) != "hello" {
		t.Errorf("got %+v", msg)
	}
	if err := c.Unsubscribe(t.Context(), "a/#"); err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(t.Context(), cloud.Message{Topic: "a/b", Retain: true, QoS: 1}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 0 {
		t.Errorf("got %+v after Unsubscribe", receive(t, got))
	}
	c.stop(t)
	eventually(t, "DISCONNECT in the log", func() bool { return strings.Contains(m.Log(), "Client a disconnected.") })
	if strings.Contains(m.Log(), "Client a closed its connection") {
		t.Error("the broker saw no DISCONNECT")
	}
}

func TestMosquittoTLS(t *testing.T) {
	ca := testbed.NewCA(t, "CA")
	server := ca.Issue(t, "server", nil, nil)
	certFile, keyFile := ca.Issue(t, "client", nil, nil).WriteFiles(t)
	strangerCert, strangerKey := testbed.NewCA(t, "other").Issue(t, "client", nil, nil).WriteFiles(t)
	caFile := writeFile(t, ca.PEM(), 0o644)
	tests := []struct {
		name   string
		mutual bool
		tls    cloud.TLSConfig
		reason cloud.Reason
	}{
		{"TLS", false, cloud.TLSConfig{CAFile: caFile}, cloud.ReasonNone},
		{"unknown CA", false, cloud.TLSConfig{Enable: true}, cloud.ReasonTLSUnknownCA},
		{"other name", false, cloud.TLSConfig{CAFile: caFile, ServerName: "other"}, cloud.ReasonTLSName},
		{"mutual TLS", true, cloud.TLSConfig{CAFile: caFile, CertFile: certFile, KeyFile: keyFile}, cloud.ReasonNone},
		{"mutual TLS without certificate", true, cloud.TLSConfig{CAFile: caFile}, cloud.ReasonTLSClient},
		{"mutual TLS with another CA's certificate", true, cloud.TLSConfig{CAFile: caFile, CertFile: strangerCert, KeyFile: strangerKey}, cloud.ReasonTLSClient},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := testbed.MosquittoOptions{Server: server}
			if test.mutual {
				o.ClientCA = ca
			}
			m := testbed.Mosquitto(t, o)
			cfg := quick(m, "a")
			cfg.TLS = test.tls
			c := run(t, cfg)
			defer c.stop(t)
			eventually(t, test.reason.String(), func() bool { return c.Status().Reason == test.reason })
			if s := c.Status(); s.Connected != (test.reason == cloud.ReasonNone) || !s.Secure {
				t.Errorf("status %v", s)
			}
			if test.reason == cloud.ReasonNone {
				if err := c.Publish(t.Context(), cloud.Message{Topic: "a", QoS: 1, Payload: make([]byte, 100_000)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestMosquittoNotTLS: the port of the other kind.
func TestMosquittoNotTLS(t *testing.T) {
	m := testbed.Mosquitto(t, testbed.MosquittoOptions{})
	cfg := quick(m, "a")
	cfg.TLS.Enable = true
	c := run(t, cfg)
	defer c.stop(t)
	eventually(t, "a failed attempt", func() bool { return c.Status().Failures > 0 })
	if s := c.Status(); s.Connected || s.Reason != cloud.ReasonClosed && s.Reason != cloud.ReasonTLS {
		t.Errorf("status %v", s)
	}
	ca := testbed.NewCA(t, "CA")
	m = testbed.Mosquitto(t, testbed.MosquittoOptions{Server: ca.Issue(t, "server", nil, nil)})
	plain := run(t, quick(m, "a"))
	defer plain.stop(t)
	eventually(t, "a failed attempt", func() bool { return plain.Status().Failures > 0 })
	if s := plain.Status(); s.Connected {
		t.Errorf("status %v", s)
	}
}

func TestMosquittoPassword(t *testing.T) {
	m := testbed.Mosquitto(t, testbed.MosquittoOptions{Users: map[string]string{"alice": "secret"}})
	for _, test := range []struct {
		user, password string
		reason         cloud.Reason
	}{
		{"alice", "secret", cloud.ReasonNone},
		{"alice", "wrong", cloud.ReasonNotAuthorized},
		{"alice", "", cloud.ReasonNotAuthorized},
		{"bob", "secret", cloud.ReasonNotAuthorized},
		{"", "", cloud.ReasonNotAuthorized},
	} {
		t.Run(test.user+" "+test.password, func(t *testing.T) {
			cfg := quick(m, "a")
			cfg.Username, cfg.Password = test.user, cloud.Secret(test.password)
			c := run(t, cfg)
			defer c.stop(t)
			eventually(t, test.reason.String(), func() bool { return c.Status().Reason == test.reason })
		})
	}
}

// TestMosquittoACL: what may not be published is acknowledged all the same, as
// MQTT 3.1.1 knows no other way, and dropped.
func TestMosquittoACL(t *testing.T) {
	m := testbed.Mosquitto(t, testbed.MosquittoOptions{
		Users: map[string]string{"alice": "secret"},
		ACL:   "user alice\ntopic readwrite alice/#\ntopic read all\n",
	})
	got := make(chan *cloud.Message, 10)
	cfg := quick(m, "a")
	cfg.Username, cfg.Password, cfg.OnMessage = "alice", "secret", into(got)
	c := run(t, cfg)
	defer c.stop(t)
	up(t, c)
	if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "#", QoS: 1}); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"bob/x", "all", "alice/x"} {
		if err := c.Publish(t.Context(), cloud.Message{Topic: topic, QoS: 1}); err != nil {
			t.Errorf("publish to %s: %v", topic, err)
		}
	}
	if msg := receive(t, got); msg.Topic != "alice/x" {
		t.Errorf("got a message for %s", msg.Topic)
	}
	if s := c.Stats(); s.Published != 3 || s.Lost != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestMosquittoDenied: a subscription that is denied is answered with 0x80.
func TestMosquittoDenied(t *testing.T) {
	m := testbed.Mosquitto(t, testbed.MosquittoOptions{Deny: []string{"bob/#", "all"}})
	c := run(t, quick(m, "a"))
	defer c.stop(t)
	up(t, c)
	err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "alice/#", QoS: 1}, cloud.Subscription{Filter: "bob/x", QoS: 1}, cloud.Subscription{Filter: "all"})
	refused, is := errors.AsType[*cloud.SubscribeError](err)
	if !is {
		t.Fatalf("error %v", err)
	}
	if slices.Sort(refused.Filters); !slices.Equal(refused.Filters, []string{"all", "bob/x"}) {
		t.Errorf("refused %q", refused.Filters)
	}
	if got := filters(c); !slices.Equal(got, []string{"alice/#"}) {
		t.Errorf("subscribed to %q", got)
	}
}

// TestMosquittoRestart stops and kills the broker during traffic. A publisher
// that sends again what ended with an error loses nothing; but when it is killed,
// the broker itself may lose the few messages that it has acknowledged and not
// delivered or saved.
func TestMosquittoRestart(t *testing.T) {
	for _, how := range []string{"stop", "kill"} {
		t.Run(how, func(t *testing.T) {
			m := testbed.Mosquitto(t, testbed.MosquittoOptions{Persistent: true})
			const messages = 3000
			var mu sync.Mutex
			seen := map[string]int{}
			cfg := quick(m, "subscriber")
			cfg.PersistentSession = true
			cfg.OnMessage = func(msg *cloud.Message) {
				mu.Lock()
				seen[string(msg.Payload)]++
				mu.Unlock()
				msg.Ack()
			}
			sub := run(t, cfg)
			defer sub.stop(t)
			up(t, sub)
			if err := sub.Subscribe(t.Context(), cloud.Subscription{Filter: "x", QoS: 1}); err != nil {
				t.Fatal(err)
			}
			pub := run(t, quick(m, "publisher"))
			defer pub.stop(t)
			up(t, pub)
			var confirmed, failed atomic.Int64
			var all sync.WaitGroup
			defer all.Wait()
			count := func() int {
				mu.Lock()
				defer mu.Unlock()
				return len(seen)
			}
			send := func(i int) {
				for {
					if how == "kill" { // the broker forgets its queue, and a subscriber that is not there
						eventually(t, "the subscriber", func() bool {
							return sub.Status().Connected && int(confirmed.Load())-count() < 150
						})
					}
					err := pub.Publish(t.Context(), cloud.Message{Topic: "x", QoS: 1, Payload: fmt.Append(nil, i)})
					if err == nil {
						confirmed.Add(1)
						return
					}
					if t.Context().Err() != nil {
						return
					}
					failed.Add(1)
					time.Sleep(5 * time.Millisecond)
				}
			}
			for w := range 8 {
				all.Go(func() {
					for i := w; i < messages; i += 8 {
						send(i)
					}
				})
			}
			for _, at := range []int64{messages / 4, messages / 2} {
				eventually(t, "messages sent", func() bool { return confirmed.Load() >= at })
				if how == "stop" {
					m.Stop()
				} else {
					m.Kill()
				}
				eventually(t, "loss of the connections", func() bool { return !pub.Status().Connected && !sub.Status().Connected })
				m.Start()
			}
			all.Wait()
			if how == "stop" {
				eventually(t, "all messages", func() bool { return count() == messages })
			} else {
				eventually(t, "most messages", func() bool { return count() >= messages-200 })
			}
			if failed.Load() == 0 || pub.Stats().Lost < 2 {
				t.Errorf("%d publications failed, stats %+v", failed.Load(), pub.Stats())
			}
			t.Logf("%d of %d messages arrived, %d publications were repeated, publisher %+v", count(), messages, failed.Load(), pub.Stats())
		})
	}
}

// TestMosquittoRedelivery: retained messages and, with a session that is kept,
// those that were not acknowledged come again on the next connection.
func TestMosquittoRedelivery(t *testing.T) {
	m := testbed.Mosquitto(t, testbed.MosquittoOptions{Persistent: true})
	pub := run(t, quick(m, "publisher"))
	defer pub.stop(t)
	up(t, pub)
	publish := func(topic, payload string, retain bool) {
		t.Helper()
		if err := pub.Publish(t.Context(), cloud.Message{Topic: topic, Payload: []byte(payload), QoS: 1, Retain: retain}); err != nil {
			t.Fatal(err)
		}
	}
	publish("x/retained", "r", true)
	got := make(chan *cloud.Message, 10)
	cfg := quick(m, "subscriber")
	cfg.PersistentSession, cfg.OnMessage = true, into(got)
	sub := run(t, cfg)
	defer sub.stop(t)
	up(t, sub)
	if err := sub.Subscribe(t.Context(), cloud.Subscription{Filter: "x/#", QoS: 1}); err != nil {
		t.Fatal(err)
	}
	if msg := receive(t, got); msg.Topic != "x/retained" || !msg.Retain {
		t.Errorf("got %+v", msg)
	} else {
		msg.Ack()
	}
	publish("x/1", "acknowledged", false)
	receive(t, got).Ack()
	publish("x/2", "not acknowledged", false)
	old := receive(t, got)
	m.Stop()
	eventually(t, "loss of the connection", func() bool { return !sub.Status().Connected })
	old.Ack() // too late
	m.Start()
	want := map[string]bool{"x/2 not acknowledged dup=true": true, "x/retained r dup=false": true}
	for range 2 {
		msg := receive(t, got)
		text := fmt.Sprintf("%s %s dup=%v", msg.Topic, msg.Payload, msg.Duplicate)
		if !want[text] {
			t.Errorf("got %s", text)
		}
		delete(want, text)
		msg.Ack()
	}
	eventually(t, "session present", func() bool { return sub.Status().Connected })
	if !sub.Status().SessionPresent {
		t.Error("the broker has forgotten the session")
	}
	sub.stop(t)
	up(t, pub)
	publish("x/3", "meanwhile", false)
	again := run(t, cfg) // the broker remembers the subscription
	defer again.stop(t)
	if msg := receive(t, got); string(msg.Payload) != "meanwhile" {
		t.Errorf("got %+v", msg)
	} else {
		msg.Ack()
	}
}

// TestMosquittoTopics: the broker ends the connection of a client for topics and
// filters that are refused here, and none of those that are let through makes it
// do so.
func TestMosquittoTopics(t *testing.T) {
	m := testbed.Mosquitto(t, testbed.MosquittoOptions{})
	closes := func(packet []byte) bool {
		conn, err := net.Dial("tcp", m.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write(cat(0x10, 13, "\x00\x04MQTT\x04\x02\x00\x3c\x00\x01z"))
		conn.Write(packet)
		conn.Write([]byte{0xc0, 0})
		for {
			kind, _, err := readPacket(conn)
			if err != nil {
				return true
			}
			if kind == 0xd0 {
				return false
			}
		}
	}
	subscribe := func(filter string) []byte {
		body := append(binary.BigEndian.AppendUint16([]byte{0, 1}, uint16(len(filter))), filter...)
		body = append(body, 0)
		return append(header(0x82, len(body)), body...)
	}
	bad := []string{"", "a\x00", "a\x01", "a\x7f", "a\u0085", "\xff", "\xed\xa0\x80", "\uffff", strings.Repeat("/", 300)}
	for _, topic := range append([]string{"a/#", "+"}, bad...) {
		if cloud.ValidTopic(topic, false) == nil {
			t.Errorf("topic %.20q is let through", topic)
		}
		if !closes(publish(topic, "x", 0)) {
			t.Logf("mosquitto does not mind the topic %.20q", topic)
		}
	}
	for _, filter := range append([]string{"a#", "a/#/b", "+a", "$share", "$share/x", "$share/x/"}, bad...) {
		if cloud.ValidFilter(filter) == nil {
			t.Errorf("filter %.20q is let through", filter)
		}
		if !closes(subscribe(filter)) {
			t.Logf("mosquitto does not mind the filter %.20q", filter)
		}
	}
	c := run(t, quick(m, "a"))
	defer c.stop(t)
	up(t, c)
	good := []string{
		" ", "a b", "/", "//", "a/", "/a", strings.Repeat("/", cloud.MaxLevels-1), strings.Repeat("x", cloud.MaxTopic),
		"größe/温度/😀", "\ufeff", "\u00a0", "\ufdcf", "$SYS/x", "$SYS", "$aws/things/a/shadow/update", "$", "$share/a/b", "a.b*c>d", "\"\\'",
	}
	for _, topic := range good {
		for qos := range byte(2) {
			if err := c.Publish(t.Context(), cloud.Message{Topic: topic, QoS: qos}); err != nil {
				t.Errorf("publish to %.20q: %v", topic, err)
			}
		}
	}
	for _, filter := range append([]string{"#", "+/+/#", "$share/g/#", "$share/g/+/a", "$share/g//", "$SYS/#", strings.Repeat("+/", cloud.MaxLevels-1) + "#"}, good...) {
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: filter}); err != nil {
			t.Errorf("subscribe to %.20q: %v", filter, err)
		}
		if err := c.Unsubscribe(t.Context(), filter); err != nil {
			t.Errorf("unsubscribe from %.20q: %v", filter, err)
		}
	}
	if s := c.Stats(); s.Lost != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestMosquittoTooLarge: a message that is too large ends the connection with a
// reason.
func TestMosquittoTooLarge(t *testing.T) {
	m := testbed.Mosquitto(t, testbed.MosquittoOptions{})
	cfg := quick(m, "publisher")
	cfg.MaxPacket = 1 << 20
	pub := run(t, cfg)
	defer pub.stop(t)
	sub := run(t, quick(m, "subscriber"))
	defer sub.stop(t)
	up(t, pub)
	up(t, sub)
	if err := sub.Subscribe(t.Context(), cloud.Subscription{Filter: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := pub.Publish(t.Context(), cloud.Message{Topic: "x", Payload: make([]byte, 200_000), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "loss of the connection", func() bool { return sub.Stats().BadPackets == 1 })
	eventually(t, "another connection", func() bool { return sub.Stats().Connects == 2 })
}

// TestMosquittoTakeover: of two connections with the same id, each throws out
// the other, but not without end.
func TestMosquittoTakeover(t *testing.T) {
	m := testbed.Mosquitto(t, testbed.MosquittoOptions{})
	cfg := quick(m, "a")
	a, b := run(t, cfg), run(t, cfg)
	defer a.stop(t)
	defer b.stop(t)
	eventually(t, "a fight", func() bool { return a.Stats().Lost+b.Stats().Lost >= 5 })
}

// TestMosquittoWill: the will is published when the broker must close the
// connection, and not when Run ends, even if messages are arriving.
func TestMosquittoWill(t *testing.T) {
	m := testbed.Mosquitto(t, testbed.MosquittoOptions{})
	got := make(chan *cloud.Message, 100)
	cfg := quick(m, "observer")
	cfg.OnMessage = into(got)
	observer := run(t, cfg)
	defer observer.stop(t)
	up(t, observer)
	if err := observer.Subscribe(t.Context(), cloud.Subscription{Filter: "will", QoS: 1}); err != nil {
		t.Fatal(err)
	}
	noise := run(t, quick(m, "noise"))
	defer noise.stop(t)
	up(t, noise)
	var all sync.WaitGroup
	defer all.Wait()
	quiet := make(chan struct{})
	defer close(quiet)
	all.Go(func() {
		for {
			select {
			case <-quiet:
				return
			default:
				noise.Publish(t.Context(), cloud.Message{Topic: "noise", Payload: make([]byte, 1000)})
			}
		}
	})
	cfg = quick(m, "a")
	cfg.Will = &cloud.Message{Topic: "will", Payload: []byte("gone"), QoS: 1}
	for range 10 {
		c := run(t, cfg)
		up(t, c)
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "noise"}); err != nil {
			t.Fatal(err)
		}
		c.stop(t)
	}
	c := run(t, cfg)
	defer c.stop(t)
	up(t, c)
	conn, err := net.Dial("tcp", m.Addr) // takes the id over
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(cat(0x10, 13, "\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"))
	io.ReadFull(conn, make([]byte, 4))
	if msg := receive(t, got); string(msg.Payload) != "gone" {
		t.Errorf("got %+v", msg)
	}
	if n := strings.Count(m.Log(), "Client a disconnected."); n < 8 { // a busy machine may take longer than there is time for one
		t.Errorf("the broker saw %d DISCONNECTs of 10", n)
	}
}
