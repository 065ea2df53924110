package ccm_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
)

// sub is a call of MQTT.Sub.
func sub(id int, filter string) string {
	return fmt.Sprintf(`{"id":%d,"method":"MQTT.Sub","params":{"topic":"%s"}}`, id, filter)
}

// null is the answer null.
func null(id int) string { return fmt.Sprintf(`{"id":%d,"result":null}`, id) }

// publish publishes a message from the cloud.
func publish(t testing.TB, b *ccmtest.Broker, topic, text string) {
	t.Helper()
	if err := b.Publish(topic, 1, false, []byte(text)); err != nil {
		t.Error(err)
	}
}

// subscribes returns what dev has sent SUBSCRIBE for, but not the module's own.
func subscribes(b *ccmtest.Broker) (filters []string) {
	for _, e := range b.Events(ccmtest.BrokerSubscribe) {
		if e.Client == "dev" && !strings.HasPrefix(e.Topic, "dev/rpc") {
			filters = append(filters, fmt.Sprint(e.Topic, ":", e.QoS))
		}
	}
	return filters
}

// TestScenario4 subscribes; messages that match arrive as MQTT.Message, in order,
// once each, until the host unsubscribes.
func TestScenario4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, b := handAndBroker(t, ccm.Config{})
		h.asks(sub(1, "t/#"), null(1))
		h.asks(sub(2, "+/b"), null(2))
		h.asks(`{"id":3,"method":"MQTT.Sub","params":{"topic":"exact","qos":0}}`, null(3))
		h.asks(sub(4, "t/#"), null(4)) // once more, which changes nothing
		if got := fmt.Sprint(subscribes(b)); got != "[t/#:1 +/b:1 exact:0 t/#:1]" {
			t.Errorf("subscribed to %s", got)
		}
		for i, topic := range []string{"t", "t/a", "t/b", "t/a/b", "u/b", "exact", "u", "exact/b/c", "$SYS/b", "u/b/c"} {
			publish(t, b, topic, fmt.Sprint("text ", i))
		}
		h.want("messages", message("t", "text 0"), message("t/a", "text 1"), message("t/b", "text 2"), message("t/a/b", "text 3"),
			message("u/b", "text 4"), message("exact", "text 5"))
		publish(t, b, "t/x", "\"quotes\" \\ \n\t\x01 Grüße / <b>")
		h.want("escapes", `{"method":"MQTT.Message","params":{"topic":"t/x","message":"\"quotes\" \\ \n\t\u0001 Grüße / <b>"}}`)

		h.asks(`{"id":5,"method":"MQTT.Unsub","params":{"topic":"t/#"}}`, null(5))
		h.asks(`{"id":6,"method":"MQTT.Unsub","params":{"topic":"never"}}`, null(6))
		publish(t, b, "t/a", "x")
		publish(t, b, "t/b", "y")
		h.want("the other filter matches", message("t/b", "y"))
		if e := b.Events(ccmtest.BrokerUnsubscribe); len(e) != 1 || e[0].Topic != "t/#" {
			t.Errorf("unsubscribed from %+v", e)
		}
		if s := r.module.Stats(); s.Delivered != 8 || s.Arrived != 8 {
			t.Errorf("%+v", s)
		}
	})
}

// TestScenario4Reconnect: subscriptions are sent again when the broker is back,
// and do not end with the host. Of what came meanwhile a server that keeps the
// session sends all, and one that does not nothing.
func TestScenario4Reconnect(t *testing.T) {
	for _, persistent := range []bool{false, true} {
		t.Run(fmt.Sprint("persistent ", persistent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBroker(t, ccmtest.BrokerOptions{})
				h := newHand(t, ccmtest.Line{})
				cfg := ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(b)}
				cfg.Cloud.PersistentSession = persistent
				r := up(t, cfg)
				h.asks(sub(1, "t/#"), null(1))
				b.Stop()
				r.offline()
				publish(t, b, "t/a", "missed")
				h.asks(sub(2, "late"), null(2)) // offline: it is sent later
				b.Start()
				r.online()
				time.Sleep(time.Second)
				if got := slices.Sorted(slices.Values(subscribes(b))); fmt.Sprint(got) != "[late:1 t/#:1 t/#:1]" {
					t.Errorf("subscribed to %s", got)
				}
				if persistent {
					h.want("kept", message("t/a", "missed"))
				} else {
					h.want("not kept")
				}
				publish(t, b, "t/a", "one")
				publish(t, b, "late", "two")
				h.want("after the reconnect", message("t/a", "one"), message("late", "two"))

				b.Forget() // the server was restarted and knows of nothing
				r.offline()
				r.online()
				time.Sleep(time.Second)
				publish(t, b, "t/a", "three")
				h.want("after the restart of the server", message("t/a", "three"))

				h.uart.Module().Unplug()
				time.Sleep(time.Second)
				h.uart.Module().Plug()
				found(t, r.module.Host(""))
				publish(t, b, "t/a", "four")
				h.want("after the port was opened again", message("t/a", "four"))
				h.send(`{"method":"Sys.Init"}` + "\n")
				found(t, r.module.Host(""))
				time.Sleep(time.Second)
				publish(t, b, "t/a", "five")
				h.want("after a restart of the host", message("t/a", "five"))
			})
		})
	}
}

// TestScenario4Duplicates: the connection breaks while a message is on its way
// over the UART. It could not be acknowledged, and with a persistent session the
// broker sends it again: the host gets it twice, as QoS 1 permits.
func TestScenario4Duplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{})
		h := newHand(t, ccmtest.Line{Baud: 1200})
		cfg := ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(b)}
		cfg.Cloud.PersistentSession = true
		r := up(t, cfg)
		time.Sleep(10 * time.Second) // answers to who the host is are still on the slow line
		h.send(sub(1, "t") + "\n")
		time.Sleep(2 * time.Second)
		h.want("subscribed", null(1))
		text := strings.Repeat("x", 100) // more than a second on the line
		publish(t, b, "t", text)
		time.Sleep(500 * time.Millisecond)
		b.Kick("dev")
		r.offline()
		r.online()
		time.Sleep(5 * time.Second)
		h.want("twice", message("t", text), message("t", text))
		d := b.Events(ccmtest.BrokerDeliver)
		if len(d) != 2 || d[0].Duplicate || !d[1].Duplicate {
			t.Errorf("the broker sent %+v", d)
		}
		if acks := b.Events(ccmtest.BrokerPuback); len(acks) != 1 {
			t.Errorf("%d PUBACKs", len(acks))
		}
	})
}

// TestScenario4Acknowledge: a QoS 1 message is acknowledged to the broker when its
// last byte has left on the UART, and not before.
func TestScenario4Acknowledge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{})
		h := newHand(t, ccmtest.Line{Baud: 9600})
		begin := time.Now() // the UART counts from here
		up(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(b)})
		h.send(sub(1, "t") + "\n")
		time.Sleep(time.Second)
		h.got()
		for i := range 10 {
			publish(t, b, "t", fmt.Sprint("message ", i))
		}
		time.Sleep(5 * time.Second)
		acks := b.Events(ccmtest.BrokerPuback)
		if len(acks) != 10 {
			t.Fatalf("%d PUBACKs", len(acks))
		}
		var line []byte
		n := 0
		for _, e := range h.uart.Trace() {
			if e.Side != ccmtest.Module || e.Kind != ccmtest.EventBytes {
				continue
			}
			if line = append(line, e.Data...); line[len(line)-1] != '\n' {
				continue
			}
			if want := message("t", fmt.Sprint("message ", n)) + "\n"; n < 10 && strings.HasSuffix(string(line), want) {
				written := begin.Add(e.At)
				if at := acks[n].At; at.Before(written) || at.After(written.Add(time.Millisecond)) {
					t.Errorf("message %d written at %v, acknowledged at %v", n, e.At, at.Sub(begin))
				}
				n++
			}
			line = nil
		}
		if n != 10 {
			t.Errorf("%d messages on the line", n)
		}
	})
}

// TestScenario4Retained: a retained message comes with each subscription.
func TestScenario4Retained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, b := handAndBroker(t, ccm.Config{})
		if err := b.Publish("t/state", 1, true, []byte("kept")); err != nil {
			t.Error(err)
		}
		for i := range 2 { // the second one asks for it again
			h.send(sub(i, "t/#") + "\n")
			got := h.got()
			if len(got) != 2 || !strings.Contains(strings.Join(got, "\n"), message("t/state", "kept")) {
				t.Errorf("received %q", got)
			}
		}
		b.Kick("dev")
		r.offline()
		r.online()
		time.Sleep(time.Second)
		h.want("with the reconnect", message("t/state", "kept"))
	})
}

// TestScenario4Hosts: several hosts have the same subscription. Each gets each
// message once; it is acknowledged when all have it; it ends with the last one.
func TestScenario4Hosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{})
		var hands []*hand
		cfg := ccm.Config{ID: "dev", Cloud: via(b)}
		for i := range 3 {
			h := newHand(t, ccmtest.Line{})
			hands = append(hands, h)
			cfg.Hosts = append(cfg.Hosts, h.config(fmt.Sprint("h", i)))
		}
		r := up(t, cfg)
		hands[0].asks(sub(1, "t"), null(1))
		hands[1].asks(`{"id":1,"method":"MQTT.Sub","params":{"topic":"t","qos":0}}`, null(1))
		hands[1].asks(sub(2, "+"), null(2))
		if got := fmt.Sprint(subscribes(b)); got != "[t:1 t:1 +:1]" { // not 0: another host wants 1
			t.Errorf("subscribed to %s", got)
		}
		publish(t, b, "t", "both")
		hands[0].want("messages", message("t", "both"))
		hands[1].want("messages, by two filters", message("t", "both"))
		hands[2].want("no subscription")
		acks := func() int { return len(b.Events(ccmtest.BrokerPuback)) }
		if acks() != 1 {
			t.Errorf("%d acknowledged", acks())
		}
		hands[1].uart.Module().Stall(true)
		publish(t, b, "t", "slow")
		hands[0].want("messages", message("t", "slow"))
		if acks() != 1 {
			t.Error("acknowledged before the second host has it")
		}
		time.Sleep(5 * time.Second)
		hands[1].uart.Module().Stall(false)
		hands[1].want("messages", message("t", "slow"))
		if acks() != 2 {
			t.Errorf("%d acknowledged", acks())
		}
		hands[0].asks(`{"id":3,"method":"MQTT.Unsub","params":{"topic":"t"}}`, null(3))
		if n := len(b.Events(ccmtest.BrokerUnsubscribe)); n != 0 {
			t.Error("the other host has lost its subscription")
		}
		publish(t, b, "t", "one")
		hands[0].want("no subscription")
		hands[1].want("messages", message("t", "one"))
		hands[1].asks(`{"id":4,"method":"MQTT.Unsub","params":{"topic":"t"}}`, null(4))
		if n := len(b.Events(ccmtest.BrokerUnsubscribe)); n != 1 {
			t.Errorf("%d times unsubscribed", n)
		}
		if s := r.module.Stats(); s.Delivered != 5 || s.Arrived != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// unsub is a call of MQTT.Unsub.
func unsub(id int, filter string) string {
	return fmt.Sprintf(`{"id":%d,"method":"MQTT.Unsub","params":{"topic":"%s"}}`, id, filter)
}

// twoHands runs a module with two hosts that are played by hand.
func twoHands(t testing.TB, change func(cfg *ccm.Config)) (r *rig, a, b *hand, broker *ccmtest.Broker) {
	t.Helper()
	broker = newBroker(t, ccmtest.BrokerOptions{})
	a, b = newHand(t, ccmtest.Line{}), newHand(t, ccmtest.Line{})
	cfg := ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{a.config("a"), b.config("b")}, Cloud: via(broker)}
	if change != nil {
		change(&cfg)
	}
	return up(t, cfg), a, b, broker
}

// TestScenario4Share: messages of a shared subscription come, with a wildcard and
// without.
func TestScenario4Share(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, b := handAndBroker(t, ccm.Config{})
		h.asks(sub(1, "$share/group/t"), null(1))
		h.asks(sub(2, "$share/group/u/+"), null(2))
		publish(t, b, "t", "one")
		publish(t, b, "u/x", "two")
		h.want("messages", message("t", "one"), message("u/x", "two"))
		h.asks(unsub(3, "$share/group/t"), null(3))
		publish(t, b, "t", "three")
		h.want("no subscription")
	})
}

// TestScenario4Denied: what the broker refuses to one host, no host is subscribed
// to any more, though it was granted to another one before.
func TestScenario4Denied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logbook)
		r, one, two, b := twoHands(t, func(cfg *ccm.Config) { cfg.Logger = log.logger() })
		one.asks(sub(1, "t"), null(1))
		b.Deny("t")
		two.asks(sub(1, "t"), `{"id":1,"error":{"code":403,"message":"the broker refuses the subscription"}}`)
		for _, name := range []string{"a", "b"} {
			log.want(t, "level=WARN", "the broker refuses a subscription", "host="+name, "filter=t")
		}
		b.Deny()
		b.Kick("dev")
		r.offline()
		r.online()
		publish(t, b, "t", "x")
		two.asks(sub(2, "t"), null(2))
		publish(t, b, "t", "y")
		one.want("no subscription")
		two.want("messages", message("t", "y"))
		one.asks(sub(2, "t"), null(2))
		publish(t, b, "t", "z")
		one.want("messages", message("t", "z"))
	})
}

// TestScenario4Meanwhile: one host subscribes while the other one unsubscribes.
func TestScenario4Meanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var meanwhile func()
		_, one, two, b := twoHands(t, func(cfg *ccm.Config) {
			cfg.Cloud.CheckTopic = func(filter string) error {
				if f := meanwhile; f != nil && filter == "t" {
					meanwhile = nil
					f()
				}
				return nil
			}
		})
		one.asks(sub(1, "t"), null(1))
		meanwhile = func() {
			two.send(sub(1, "t") + "\n")
			for range 10000 { // the module may go as far as it can
				runtime.Gosched()
			}
		}
		one.asks(unsub(2, "t"), null(2))
		two.want("answer", null(1))
		publish(t, b, "t", "x")
		two.want("messages", message("t", "x"))
		one.want("no subscription")
	})
}

// TestScenario4Busy: MQTT.Unsub of a host with too many open requests is refused,
// and has no effect.
func TestScenario4Busy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, b := handAndBroker(t, ccm.Config{})
		h.asks(sub(1, "t"), null(1))
		b.SetAcks(ccmtest.Ack{Drop: true})
		for i := range 256 {
			h.asks(pub(fmt.Sprint(100+i), "x", "x", 1), "")
		}
		h.asks(unsub(2, "t"), `{"id":2,"error":{"code":429,"message":"busy"}}`)
		time.Sleep(10 * time.Second)
		h.got()
		publish(t, b, "t", "x")
		h.want("still subscribed", message("t", "x"))
		h.asks(unsub(3, "t"), null(3))
		if n := len(b.Events(ccmtest.BrokerUnsubscribe)); n != 1 {
			t.Errorf("%d times unsubscribed", n)
		}
	})
}

// TestSubscribe: what the broker refuses to the program that embeds the module
// leaves nothing behind, so that trying again does not count twice.
func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, b := handAndBroker(t, ccm.Config{})
		n := 0
		try := func() error {
			return r.module.Subscribe(t.Context(), "t", 1, func(string, []byte) { n++ })
		}
		b.Deny("t")
		for range 3 {
			if _, denied := errors.AsType[*cloud.SubscribeError](try()); !denied {
				t.Error("not denied")
			}
		}
		b.Deny()
		if err := try(); err != nil {
			t.Error(err)
		}
		publish(t, b, "t", "x")
		synctest.Wait()
		if n != 1 {
			t.Errorf("called %d times", n)
		}
	})
}
