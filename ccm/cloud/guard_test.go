package cloud_test

import (
	"bytes"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ccmkit/ccmkit/ccm/cloud"
)

func cat(parts ...any) (all []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case []byte:
			all = append(all, p...)
		case string:
			all = append(all, p...)
		case int:
			all = append(all, byte(p))
		}
	}
	return all
}

// malformed are things that no server may send (T5), after a CONNACK that is in
// order unless early is set.
var malformed = []struct {
	name  string
	early bool
	bytes []byte
	text  string
}{
	{"length of 5 bytes", false, cat(0x30, 0xff, 0xff, 0xff, 0xff, 0x7f), "a packet length of more than 4 bytes"},
	{"256 MiB", false, cat(0x30, 0xff, 0xff, 0xff, 0x7f), "a packet of 268435455 bytes, at most 131072 are taken"},
	{"just too long", false, header(0x30, 128<<10+1), "a packet of 131073 bytes, at most 131072 are taken"},
	{"long PUBACK", false, header(0x40, 100_000), "packet 0x40 of 100000 bytes"},
	{"type 0", false, cat(0, 0), "packet 0x00 of 0 bytes"},
	{"type 15", false, cat(0xf0, 0), "packet 0xf0 of 0 bytes"},
	{"CONNECT", false, cat(0x10, 0), "packet 0x10 of 0 bytes"},
	{"SUBSCRIBE", false, cat(0x82, 6, 0, 1, 0, 1, "a", 0), "packet 0x82 of 6 bytes"},
	{"UNSUBSCRIBE", false, cat(0xa2, 5, 0, 1, 0, 1, "a"), "packet 0xa2 of 5 bytes"},
	{"PINGREQ", false, cat(0xc0, 0), "packet 0xc0 of 0 bytes"},
	{"DISCONNECT", false, cat(0xe0, 0), "packet 0xe0 of 0 bytes"},
	{"a second CONNACK", false, connack, "packet 0x20 of 2 bytes"},
	{"PUBREC", false, cat(0x50, 2, 0, 1), "packet 0x50 of 2 bytes"},
	{"PUBCOMP", false, cat(0x70, 2, 0, 1), "packet 0x70 of 2 bytes"},
	{"flags of PUBACK", false, cat(0x41, 2, 0, 1), "packet 0x41 of 2 bytes"},
	{"flags of PUBREL", false, cat(0x60, 2, 0, 1), "packet 0x60 of 2 bytes"},
	{"flags of SUBACK", false, cat(0x92, 3, 0, 1, 0), "packet 0x92 of 3 bytes"},
	{"flags of PINGRESP", false, cat(0xd1, 0), "packet 0xd1 of 0 bytes"},
	{"short PUBACK", false, cat(0x40, 1, 0), "packet 0x40 of 1 bytes"},
	{"empty PUBACK", false, cat(0x40, 0), "packet 0x40 of 0 bytes"},
	{"long PINGRESP", false, cat(0xd0, 1, 0), "packet 0xd0 of 1 bytes"},
	{"SUBACK unasked", false, cat(0x90, 3, 0, 9, 0), "a SUBACK of 3 bytes for 0 filters"},
	{"PUBLISH with QoS 3", false, cat(0x36, 5, 0, 1, "a", 0, 1), "PUBLISH 0x36 of 5 bytes"},
	{"empty PUBLISH", false, cat(0x30, 0), "PUBLISH 0x30 of 0 bytes"},
	{"PUBLISH of a byte", false, cat(0x30, 1, 0), "PUBLISH 0x30 of 1 bytes"},
	{"PUBLISH without packet id", false, cat(0x32, 3, 0, 1, "a"), "PUBLISH 0x32 of 3 bytes"},
	{"PUBLISH with half a packet id", false, cat(0x32, 4, 0, 1, "a", 0), "PUBLISH of 4 bytes with a topic of 1"},
	{"PUBLISH with a long topic", false, cat(0x30, 5, 0, 4, "abc"), "PUBLISH of 5 bytes with a topic of 4"},
	{"PUBLISH with a topic of 64 KiB", false, cat(0x30, 5, 0xff, 0xff, "abc"), "PUBLISH of 5 bytes with a topic of 65535"},
	{"PUBLISH with packet id 0", false, cat(0x32, 5, 0, 1, "a", 0, 0), "a message without a packet id of its own"},
	{"PUBLISH first", true, publish("a", "b", 0), "packet 0x30 of 4 bytes in the place of CONNACK"},
	{"long CONNACK", true, cat(0x20, 3, 0, 0, 0), "packet 0x20 of 3 bytes in the place of CONNACK"},
	{"256 MiB of CONNACK", true, cat(0x20, 0xff, 0xff, 0xff, 0x7f), "a packet of 268435455 bytes, at most 131072 are taken"},
	{"flags of CONNACK", true, cat(0x20, 2, 2, 0), "CONNACK 02 00"},
	{"CONNACK 6", true, cat(0x20, 2, 0, 6), "CONNACK 00 06"},
	{"CONNACK 254", true, cat(0x20, 2, 0, 254), "CONNACK 00 fe"},
	{"HTTP", true, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "packet 0x48 of 84 bytes in the place of CONNACK"},
}

// TestMalformed (T5): nothing of this crashes, takes memory, or is believed; the
// connection ends and says why.
func TestMalformed(t *testing.T) {
	for _, test := range malformed {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, wait := scripted(func(conn net.Conn) {
					p := newPeer(t, conn)
					if test.early {
						p.want(0x10)
					} else {
						p.accept(0)
					}
					p.Write(test.bytes)
					p.linger()
				})
				defer wait()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				ended := make(chan cloud.Status, 10)
				c := run(t, cloud.Config{
					ClientID: "a", Dial: dial,
					OnMessage: func(m *cloud.Message) { t.Errorf("message %+v", m) },
					OnStatus: func(s cloud.Status) {
						if !s.Connected {
							ended <- s
						}
					},
				})
				s := <-ended
				runtime.ReadMemStats(&after)
				if s.Reason != cloud.ReasonPacket || !strings.HasSuffix(s.Err.Error(), "protocol: "+test.text) {
					t.Errorf("status %v", s)
				}
				if n := c.Stats().BadPackets; n != 1 {
					t.Errorf("%d counted", n)
				}
				if n := after.TotalAlloc - before.TotalAlloc; n > 2*cloud.DefaultMaxPacket {
					t.Errorf("%d bytes allocated", n)
				}
				c.stop(t)
			})
		})
	}
}

// TestSubackOfOtherLength: paho would panic at the longer one.
func TestSubackOfOtherLength(t *testing.T) {
	for _, codes := range []int{0, 1, 3, 100} {
		synctest.Test(t, func(t *testing.T) {
			dial, wait := scripted(func(conn net.Conn) {
				p := newPeer(t, conn)
				p.accept(0)
				body := p.want(0x80)
				p.Write(cat(0x90, 2+codes, body[:2], make([]byte, codes)))
				p.linger()
			})
			defer wait()
			c := run(t, cloud.Config{ClientID: "a", Dial: dial})
			defer c.stop(t)
			c.connected(t, true)
			if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "a"}, cloud.Subscription{Filter: "b"}); err != cloud.ErrLost {
				t.Errorf("%d codes: %v", codes, err)
			}
			c.connected(t, false)
			if s := c.Status(); s.Reason != cloud.ReasonPacket {
				t.Errorf("%d codes: %v", codes, s)
			}
		})
	}
}

// TestWrongAnswers: answers to something else are not believed.
func TestWrongAnswers(t *testing.T) {
	answers := map[string]func(id []byte) []byte{
		"SUBACK of another": func(id []byte) []byte { return cat(0x90, 3, 0x77, 0x77, 1) },
		"PUBACK":            func(id []byte) []byte { return cat(0x40, 2, id) },
		"UNSUBACK":          func(id []byte) []byte { return cat(0xb0, 2, id) },
		"two PUBACKs":       func(id []byte) []byte { return cat(0x40, 2, 0x77, 0x77, 0x40, 2, 0, 0) },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, wait := scripted(func(conn net.Conn) {
					p := newPeer(t, conn)
					p.accept(0)
					p.Write(answer(p.want(0x80)[:2]))
					p.linger()
				})
				defer wait()
				c := run(t, cloud.Config{ClientID: "a", Dial: dial})
				defer c.stop(t)
				c.connected(t, true)
				if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "a"}); err != cloud.ErrLost {
					t.Error(err)
				}
				c.connected(t, false)
				if s := c.Status(); s.Reason != cloud.ReasonPacket && s.Reason != cloud.ReasonTimeout {
					t.Errorf("status %v", s)
				}
			})
		})
	}
}

// TestLargestPacket: what is just not too long arrives.
func TestLargestPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		got := make(chan *cloud.Message, 1)
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial, OnMessage: func(m *cloud.Message) { got <- m }})
		defer c.stop(t)
		c.connected(t, true)
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x", QoS: 1}); err != nil {
			t.Fatal(err)
		}
		payload := bytes.Repeat([]byte("0123456789abcdef"), 8<<10)[:cloud.DefaultMaxPacket-5]
		if err := c.Publish(t.Context(), cloud.Message{Topic: "x", Payload: payload, QoS: 1}); err != nil {
			t.Fatal(err)
		}
		if m := <-got; !bytes.Equal(m.Payload, payload) {
			t.Errorf("got %d bytes", len(m.Payload))
		}
	})
}

// FuzzGuard: whatever a server sends, paho sees only packets that it can decode,
// and that are not longer than permitted.
func FuzzGuard(f *testing.F) {
	for _, m := range malformed {
		f.Add(m.bytes, 2)
	}
	f.Add(cat(publish("a", "b", 0), publish("a/b", strings.Repeat("x", 300), 7), 0xd0, 0, 0x40, 2, 0, 1, 0xb0, 2, 0, 1, 0x62, 2, 0, 1), 0)
	f.Add(cat(0x90, 4, 0, 1, 0, 0x80), 2)
	f.Fuzz(func(t *testing.T, data []byte, filters int) {
		const maxPacket = 1 << 10
		r, cause := cloud.Guarded(data, maxPacket, filters&7)
		for {
			p, err := packets.ReadPacket(r)
			if err != nil {
				if !errors.Is(err, net.ErrClosed) || cause() == nil {
					t.Fatalf("paho fails with %v, the guard with %v", err, cause())
				}
				return
			}
			switch p := p.(type) {
			case *packets.PublishPacket:
				if len(p.TopicName)+len(p.Payload) > maxPacket || p.Qos > 2 {
					t.Fatalf("PUBLISH with QoS %d of %d bytes", p.Qos, len(p.TopicName)+len(p.Payload))
				}
			case *packets.SubackPacket:
				if len(p.ReturnCodes) != filters&7 {
					t.Fatalf("SUBACK with %d codes for %d filters", len(p.ReturnCodes), filters&7)
				}
			case *packets.PubackPacket, *packets.UnsubackPacket, *packets.PubrelPacket, *packets.PingrespPacket:
			default:
				t.Fatalf("paho sees %v", p)
			}
		}
	})
}

// FuzzServer feeds a whole connection with what a server sends, behind CONNECT
// or behind a CONNACK that is in order.
func FuzzServer(f *testing.F) {
	for _, m := range malformed {
		f.Add(m.bytes, m.early)
	}
	f.Add(cat(connack, 0x90, 3, 0, 1, 1, publish("x", "y", 1), 0x40, 2, 0, 2), true)
	f.Add(cat(0x90, 3, 0, 1, 0x80, publish("x", "y", 0), publish("\xff", "y", 2), 0x62, 2, 0, 2), false)
	f.Fuzz(func(t *testing.T, data []byte, early bool) {
		synctest.Test(t, func(t *testing.T) {
			dial, wait := scripted(func(conn net.Conn) {
				p := newPeer(t, conn)
				if early {
					p.want(0x10)
				} else {
					p.accept(1)
				}
				p.Write(data)
				time.Sleep(20 * time.Second)
			})
			defer wait()
			c := run(t, cloud.Config{
				ClientID: "a", PersistentSession: true, Dial: dial, MaxPacket: 4 << 10,
				OnMessage: func(m *cloud.Message) { m.Ack() },
			}, "x")
			synctest.Wait()
			ended := make(chan error, 1)
			if err := c.PublishFunc(cloud.Message{Topic: "x", QoS: 1}, func(err error) { ended <- err }); err != nil {
				ended <- err
			}
			synctest.Wait()
			if d := took(func() { c.stop(t) }); d > 100*time.Millisecond {
				t.Errorf("stopping took %v", d)
			}
			<-ended
		})
	})
}

// TestSubackTwice: a second answer to the same SUBSCRIBE is one to none.
func TestSubackTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			body := p.want(0x80)
			p.grant(body, grantAll)
			time.Sleep(time.Second)
			p.grant(body, grantAll)
			p.linger()
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial}, "x")
		defer c.stop(t)
		c.connected(t, true)
		c.connected(t, false)
		if s := c.Status(); s.Reason != cloud.ReasonPacket {
			t.Errorf("status %v", s)
		}
	})
}
