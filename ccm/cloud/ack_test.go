package cloud_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
)

// TestAck: nothing is acknowledged but by Ack, from any goroutine, and once.
func TestAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		var mu sync.Mutex
		var acks []uint16
		b.hook.set(func(h *hook) {
			h.puback = func(id uint16) {
				mu.Lock()
				defer mu.Unlock()
				acks = append(acks, id)
			}
		})
		count := func() int {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return len(acks)
		}
		got := make(chan *cloud.Message, 100)
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial, OnMessage: func(m *cloud.Message) { got <- m }})
		defer c.stop(t)
		c.connected(t, true)
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x", QoS: 1}); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			b.Publish("x", fmt.Append(nil, i), false, 1)
		}
		b.Publish("x", []byte("QoS 0"), false, 0)
		time.Sleep(time.Hour)
		if n := count(); n != 0 {
			t.Errorf("%d acknowledgements before the first Ack", n)
		}
		var all sync.WaitGroup
		for range 10 {
			m := <-got
			for range 3 {
				all.Go(m.Ack)
			}
		}
		all.Wait()
		if n := count(); n != 10 {
			t.Errorf("%d acknowledgements, want 10", n)
		}
		slices.Sort(acks)
		if len(slices.Compact(acks)) != 10 {
			t.Errorf("acknowledged %v", acks)
		}
		(<-got).Ack() // of the message with QoS 0
		(&cloud.Message{}).Ack()
		if n := count(); n != 10 || c.Stats().Acknowledged != 10 {
			t.Errorf("%d acknowledgements in the end, want 10; stats %+v", n, c.Stats())
		}
	})
}

// TestAckOfAnotherConnection: an Ack does nothing when the connection of its
// message is gone, and the message comes again.
func TestAckOfAnotherConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		acks := make(chan uint16, 10)
		b.hook.set(func(h *hook) { h.puback = func(id uint16) { acks <- id } })
		got := make(chan *cloud.Message, 10)
		c := run(t, cloud.Config{ClientID: "a", PersistentSession: true, Dial: b.dial, OnMessage: func(m *cloud.Message) { got <- m }})
		defer c.stop(t)
		c.connected(t, true)
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x", QoS: 1}); err != nil {
			t.Fatal(err)
		}
		b.Publish("x", []byte("hello"), false, 1)
		old := <-got
		if old.Duplicate {
			t.Error("the first one is marked as a duplicate")
		}
		b.cut()
		synctest.Wait()
		old.Ack()
		c.connected(t, false)
		old.Ack()
		c.connected(t, true)
		old.Ack()
		m := <-got
		if string(m.Payload) != "hello" || !m.Duplicate {
			t.Errorf("got %+v", m)
		}
		synctest.Wait()
		if len(acks) != 0 {
			t.Error("acknowledged by the message of another connection")
		}
		m.Ack()
		<-acks
		c.stop(t)
		m.Ack()
	})
}

// TestAcksBeforeEnd: what was acknowledged before the end of Run is acknowledged
// to the server.
func TestAcksBeforeEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		acks := make(chan uint16, 100)
		b.hook.set(func(h *hook) { h.puback = func(id uint16) { acks <- id } })
		for range 20 {
			got := make(chan *cloud.Message, 50)
			c := run(t, cloud.Config{ClientID: "a", Dial: b.dial, OnMessage: func(m *cloud.Message) { got <- m }})
			c.connected(t, true)
			if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x", QoS: 1}); err != nil {
				t.Fatal(err)
			}
			for i := range cap(got) {
				b.Publish("x", fmt.Append(nil, i), false, 1)
			}
			synctest.Wait()
			err := c.PublishFunc(cloud.Message{Topic: "y"}, func(error) { // on the goroutine that sends
				for range cap(got) {
					(<-got).Ack()
				}
				c.end()
			})
			if err != nil {
				t.Fatal(err)
			}
			<-c.ended
			synctest.Wait()
			if len(acks) != cap(got) {
				t.Fatalf("%d acknowledgements, want %d", len(acks), cap(got))
			}
			for range cap(got) {
				<-acks
			}
		}
	})
}

// TestNoOnMessage: without OnMessage, messages are acknowledged and dropped.
func TestNoOnMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		acks := make(chan uint16, 100)
		b.hook.set(func(h *hook) { h.puback = func(id uint16) { acks <- id } })
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial})
		defer c.stop(t)
		c.connected(t, true)
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x", QoS: 1}); err != nil {
			t.Fatal(err)
		}
		b.Publish("x", nil, false, 1)
		<-acks
	})
}

// TestReceivedTopics: messages whose topic is none are dropped, but acknowledged,
// because they would come again and again.
func TestReceivedTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := []string{"", "a/#", "+", "a\x00b", "\xff", "a\xed\xa0\x80"}
		acked := make(chan uint16, 100)
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			for i, topic := range bad {
				p.Write(publish(topic, "x", 0))
				p.Write(publish(topic, "x", uint16(i+1)))
			}
			p.Write(publish("good", "x", 99))
			for {
				kind, body := p.next()
				if kind == 0x40 {
					acked <- binary.BigEndian.Uint16(body)
				} else if kind == 0 {
					return
				}
			}
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial, OnMessage: func(m *cloud.Message) {
			if m.Topic != "good" {
				t.Errorf("got %q", m.Topic)
			}
			m.Ack()
		}})
		defer c.stop(t)
		time.Sleep(time.Second)
		for _, want := range []uint16{1, 2, 3, 4, 5, 6, 99} {
			if id := <-acked; id != want {
				t.Errorf("acknowledged %d, want %d", id, want)
			}
		}
		if s := c.Stats(); s.BadTopics != 12 || s.Received != 1 || s.Lost != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestQoS2 receives as an earlier program with the same session has subscribed.
func TestQoS2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(1)
			packet := publish("x", "hello", 7)
			packet[0] = 0x34
			p.Write(packet)
			if body := p.want(0x50); body[1] != 7 {
				t.Errorf("PUBREC %v", body)
			}
			p.Write([]byte{0x62, 2, 0, 7})
			if body := p.want(0x70); body[1] != 7 {
				t.Errorf("PUBCOMP %v", body)
			}
			p.linger()
		})
		defer wait()
		got := make(chan *cloud.Message, 1)
		c := run(t, cloud.Config{ClientID: "a", PersistentSession: true, Dial: dial, OnMessage: func(m *cloud.Message) { got <- m }})
		defer c.stop(t)
		m := <-got
		if m.QoS != 2 || string(m.Payload) != "hello" {
			t.Errorf("got %+v", m)
		}
		m.Ack()
		synctest.Wait()
		if s := c.Stats(); s.Lost != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestUnacknowledged: a server may not have more messages waiting than there are
// packet ids.
func TestUnacknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			for i := range 65536 {
				if _, err := p.Write(publish("x", "", uint16(max(i, 1)))); err != nil {
					return
				}
			}
			p.linger()
		})
		defer wait()
		ended := make(chan cloud.Status, 10)
		c := run(t, cloud.Config{ClientID: "a", Dial: dial, OnMessage: func(m *cloud.Message) {}, OnStatus: func(s cloud.Status) {
			if !s.Connected {
				ended <- s
			}
		}})
		defer c.stop(t)
		if s := <-ended; s.Reason != cloud.ReasonPacket || c.Stats().Received != 65535 {
			t.Errorf("%+v, stats %+v", s, c.Stats())
		}
	})
}

// TestLastMessages: what a server sends before it closes the connection arrives.
func TestLastMessages(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			dial, wait := scripted(func(conn net.Conn) {
				p := newPeer(t, conn)
				p.accept(0)
				for range 5 {
					p.Write(publish("x", "y", 0))
				}
			})
			defer wait()
			got := 0
			c := run(t, cloud.Config{ClientID: "a", Dial: dial, OnMessage: func(*cloud.Message) { got++ }})
			synctest.Wait()
			c.stop(t)
			if got != 5 {
				t.Errorf("%d of 5 messages arrived", got)
			}
		})
	}
}

// TestManyAcks: what is acknowledged no longer counts for the messages that may
// wait for their Ack.
func TestManyAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 70_000
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			go func() {
				for i := range n {
					p.Write(publish("x", "y", uint16(i%100+1)))
				}
			}()
			p.linger()
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial, OnMessage: func(m *cloud.Message) { m.Ack() }})
		defer c.stop(t)
		synctest.Wait()
		if s := c.Stats(); s.Received != n || s.Acknowledged != n || s.Lost != 0 {
			t.Errorf("%+v", s)
		}
	})
}
