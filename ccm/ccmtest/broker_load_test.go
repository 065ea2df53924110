package ccmtest_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/internal/race"
)

// resident returns the bytes of heap and stacks in use.
func resident() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestBrokerManyClients: what an idle client costs, on both sides of its
// connection, and that a message reaches each of very many.
func TestBrokerManyClients(t *testing.T) {
	n := 1000
	if os.Getenv("CCMKIT_FULL") != "" && !race.Enabled {
		n = 10_000
	}
	b := ccmtest.NewBroker(ccmtest.BrokerOptions{Log: -1, WritesPending: 16})
	defer b.Close()
	before, began := resident(), time.Now()
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = connect(t, b, fmt.Sprint("dev-", i), true)
		clients[i].subscribe("all", fmt.Sprint("dev/", i))
	}
	each := (resident() - before) / int64(n)
	t.Logf("%d clients connected in %v, %d bytes each", n, time.Since(began), each)
	if limit := int64(36 << 10); each > limit && !race.Enabled {
		t.Errorf("a client costs %d bytes, want at most %d", each, limit)
	}
	began = time.Now()
	b.Publish("all", 1, false, []byte("x"))
	for i, c := range clients {
		if m := c.receive(); string(m.Payload) != "x" {
			t.Fatalf("client %d: %v", i, m)
		}
	}
	t.Logf("a message to all took %v", time.Since(began))
}

// BenchmarkBrokerPublish is one QoS 1 message of a client, with its PUBACK and
// its way to a subscriber.
func BenchmarkBrokerPublish(b *testing.B) {
	broker := ccmtest.NewBroker(ccmtest.BrokerOptions{Log: -1})
	defer broker.Close()
	c := connect(b, broker, "dev", true)
	c.subscribe("t")
	payload := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		c.publish("t", string(payload), 1, 7)
		for range 2 { // PUBACK and message
			if m, is := c.next().(*packets.PublishPacket); is {
				ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
				ack.MessageID = m.MessageID
				c.send(ack)
			}
		}
	}
}
