package ccm_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// handAndBroker runs a module between a host played by hand and a broker.
func handAndBroker(t testing.TB, cfg ccm.Config) (*rig, *hand, *ccmtest.Broker) {
	t.Helper()
	b := newBroker(t, ccmtest.BrokerOptions{})
	h := newHand(t, ccmtest.Line{})
	cfg.ID, cfg.Hosts, cfg.Cloud = "dev", []ccm.HostConfig{h.config("")}, via(b)
	r := up(t, cfg)
	h.got()
	return r, h, b
}

// pub is an MQTT.Pub; id "" makes it a notification.
func pub(id, topic, text string, qos int) string {
	if id != "" {
		id = `"id":` + id + `,`
	}
	frame, _ := mjson.Appendf(nil, `{%s"method":"MQTT.Pub","params":{"topic":%Q,"message":%Q,"qos":%d}}`, id, topic, text, qos)
	return string(frame)
}

// TestScenario3 publishes with every QoS, with id and without, retained and not:
// the broker has it as it was sent, and a call is answered null.
func TestScenario3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, b := handAndBroker(t, ccm.Config{})
		n := 0
		for _, text := range []string{"hello", "", "\"quoted\" \\ / {} \t\n", "Grüße, 世界 🌍", `{"json":[1,2]}`, "nul\x00nul", strings.Repeat("x", 3000)} {
			for _, qos := range []int{0, 1} {
				for _, retain := range []bool{false, true} {
					for _, id := range []string{"", "7", `"seven"`} {
						n++
						topic := fmt.Sprint("a/b c/", n)
						frame := strings.Replace(pub(id, topic, text, qos), "}}", fmt.Sprintf(`,"retain":%v}}`, retain), 1)
						if strings.HasSuffix(text, "}") {
							frame = strings.TrimSuffix(pub(id, topic, text, qos), "}}") + fmt.Sprintf(`,"retain":%v}}`, retain)
						}
						if id == "" {
							h.asks(frame, "")
						} else {
							h.asks(frame, `{"id":`+id+`,"result":null}`)
						}
						m := b.Messages(topic)
						if len(m) != 1 || string(m[0].Payload) != text || int(m[0].QoS) != qos || m[0].Retain != retain || m[0].Client != "dev" || m[0].Duplicate {
							t.Errorf("%s: broker has %+v", frame, m)
						}
					}
				}
			}
		}
		if m := b.Messages("#"); len(m) != n {
			t.Errorf("%d messages for %d calls", len(m), n)
		}
		h.asks(`{"id":1,"method":"MQTT.Pub","params":{"message":"order","topic":"t"}}`, `{"id":1,"result":null}`)
		if m := b.Messages("t"); len(m) != 1 || m[0].QoS != 0 || m[0].Retain {
			t.Errorf("defaults: %+v", m)
		}
	})
}

// TestScenario3PUBACK: the answer to a QoS 1 call comes after PUBACK, or after
// ten seconds without it, and holds up nothing else meanwhile.
func TestScenario3PUBACK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, b := handAndBroker(t, ccm.Config{})
		b.SetAcks(ccmtest.Ack{Delay: 3 * time.Second})
		for i := range 20 {
			h.send(pub(fmt.Sprint(100+i), "slow", fmt.Sprint(i), 1) + "\n")
		}
		h.want("at once")
		h.asks(`{"id":1,"method":"RPC.Ping"}`, `{"id":1,"result":{"channel_info":"UART0"}}`)
		h.asks(pub("2", "fast", "x", 0), `{"id":2,"result":null}`)
		time.Sleep(2999 * time.Millisecond)
		h.want("before PUBACK")
		time.Sleep(time.Millisecond)
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprintf(`{"id":%d,"result":null}`, 100+i))
		}
		h.want("after PUBACK", want...)

		b.SetAcks(ccmtest.Ack{Delay: 15 * time.Second})
		h.send(pub("3", "late", "x", 1) + "\n")
		time.Sleep(9999 * time.Millisecond)
		h.want("before ten seconds")
		time.Sleep(time.Millisecond)
		h.want("after ten seconds", `{"id":3,"result":{"queued":true}}`)
		time.Sleep(time.Minute)
		h.want("after the late PUBACK")
		if m := b.Messages("late"); len(m) != 1 {
			t.Errorf("%d messages", len(m))
		}
		if s := r.module.Stats(); s.Outbox.Len != 0 || s.Outbox.Sent != 21 || s.Published != 22 {
			t.Errorf("%+v", s)
		}
	})
}

// TestScenario3Offline: without a broker QoS 0 is an error, and QoS 1 waits, in a
// queue whose end the host is told of.
func TestScenario3Offline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, b := handAndBroker(t, ccm.Config{Queue: ccm.QueueConfig{MaxMessages: 3}})
		b.Stop()
		r.offline()
		h.asks(pub("1", "q0", "x", 0), `{"id":1,"error":{"code":503,"message":"not connected to the cloud"}}`)
		h.asks(pub("", "q0", "x", 0), "")
		for i := range 3 {
			h.asks(pub(fmt.Sprint(10+i), "q1", fmt.Sprint(i), 1), fmt.Sprintf(`{"id":%d,"result":{"queued":true}}`, 10+i))
		}
		h.asks(pub("13", "q1", "3", 1), `{"id":13,"error":{"code":429,"message":"busy"}}`)
		h.asks(pub("", "q1", "4", 1), "")
		if s := r.module.Stats(); s.Refused != 4 || s.Published != 3 || s.Outbox.Full != 2 {
			t.Errorf("%+v", s)
		}
		b.Start()
		r.online()
		time.Sleep(time.Second)
		if got := payloads(b.Messages("#")); got != "0 1 2" {
			t.Errorf("the broker got %s", got)
		}
		h.want("online again")
		h.asks(pub("14", "q0", "x", 0), `{"id":14,"result":null}`)
	})
}

// payloads joins the payloads of messages.
func payloads(list []ccmtest.Message) string {
	var texts []string
	for _, m := range list {
		texts = append(texts, string(m.Payload))
	}
	return strings.Join(texts, " ")
}

// TestScenario3Lost: the connection breaks before PUBACK. The host is told at once
// that its messages wait, and they are sent again, first of all.
func TestScenario3Lost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, b := handAndBroker(t, ccm.Config{})
		b.SetAcks(ccmtest.Ack{Drop: true})
		for i := range 5 {
			h.send(pub(fmt.Sprint(i), "t", fmt.Sprint(i), 1) + "\n")
		}
		h.want("PUBACK lost")
		b.SetAcks(ccmtest.Ack{})
		b.Kick("dev")
		r.offline()
		var want []string
		for i := range 5 {
			want = append(want, fmt.Sprintf(`{"id":%d,"result":{"queued":true}}`, i))
		}
		h.want("the connection is lost", want...)
		r.online()
		time.Sleep(time.Minute)
		h.want("sent again")
		if got := payloads(b.Messages("t")); got != "0 1 2 3 4 0 1 2 3 4" {
			t.Errorf("the broker got %s", got)
		}
	})
}
