package ccmtest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// TestPacketIDs: a client uses the id of a message that it has not acknowledged
// for packets of its own. They are answered as usual, and the message comes again
// after a reconnect.
func TestPacketIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := ccmtest.NewBroker(ccmtest.BrokerOptions{})
		defer b.Close()
		connect := func() (send func(packets.ControlPacket), next func() packets.ControlPacket) {
			c, err := b.Dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			c.SetReadDeadline(time.Now().Add(time.Minute))
			send = func(p packets.ControlPacket) {
				if err := p.Write(c); err != nil {
					t.Fatal(err)
				}
			}
			next = func() packets.ControlPacket {
				p, err := packets.ReadPacket(c)
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			hello := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
			hello.ProtocolName, hello.ProtocolVersion, hello.ClientIdentifier = "MQTT", 4, "c"
			send(hello)
			next()
			return send, next
		}
		send, next := connect()
		subscribe := func(id uint16, filter string) {
			p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
			p.MessageID, p.Topics, p.Qoss = id, []string{filter}, []byte{1}
			send(p)
			if a, is := next().(*packets.SubackPacket); !is || a.MessageID != id || a.ReturnCodes[0] != 1 {
				t.Errorf("SUBSCRIBE %d: %v", id, a)
			}
		}
		subscribe(9, "t")
		if err := b.Publish("t", 1, false, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		m := next().(*packets.PublishPacket)
		subscribe(m.MessageID, "u")
		p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		p.Qos, p.MessageID, p.TopicName = 1, m.MessageID, "v"
		send(p)
		if a, is := next().(*packets.PubackPacket); !is || a.MessageID != m.MessageID {
			t.Errorf("PUBLISH %d: %v", m.MessageID, a)
		}
		u := packets.NewControlPacket(packets.Unsubscribe).(*packets.UnsubscribePacket)
		u.MessageID, u.Topics = m.MessageID, []string{"u"}
		send(u)
		if a, is := next().(*packets.UnsubackPacket); !is || a.MessageID != m.MessageID {
			t.Errorf("UNSUBSCRIBE %d: %v", m.MessageID, a)
		}
		for _, e := range b.Events(ccmtest.BrokerPublish, ccmtest.BrokerSubscribe, ccmtest.BrokerUnsubscribe) {
			if e.Client == "c" && e.ID != m.MessageID && e.Topic != "t" {
				t.Errorf("event %+v", e)
			}
		}
		b.Kick("c")
		_, next = connect()
		if again, is := next().(*packets.PublishPacket); !is || string(again.Payload) != "hello" || !again.Dup {
			t.Errorf("after the reconnect: %v", again)
		}
	})
}
