package ccm_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
)

// loggedHand is handAndBroker with a log.
func loggedHand(t testing.TB, cfg ccm.Config) (*rig, *hand, *ccmtest.Broker, *logbook) {
	t.Helper()
	log := new(logbook)
	cfg.Logger = log.logger()
	r, h, b := handAndBroker(t, cfg)
	return r, h, b, log
}

// TestBadBrokerRefuses: each reason to refuse the connection is told apart and
// logged; the module tries again, not too often, and gets in when it may.
func TestBadBrokerRefuses(t *testing.T) {
	reasons := []cloud.Reason{1: cloud.ReasonProtocolVersion, cloud.ReasonClientID, cloud.ReasonServerUnavailable, cloud.ReasonBadCredentials, cloud.ReasonNotAuthorized}
	for code := byte(1); code <= 5; code++ {
		synctest.Test(t, func(t *testing.T) {
			r, h, b, log := loggedHand(t, ccm.Config{})
			b.Refuse(code)
			b.Kick("dev")
			time.Sleep(time.Hour)
			st := r.module.Status().Cloud
			if st.Connected || st.Reason != reasons[code] {
				t.Errorf("code %d: %+v", code, st)
			}
			n := b.Stats().Refused
			if n < 40 || n > 400 {
				t.Errorf("code %d: %d attempts in an hour", code, n)
			}
			log.want(t, "level=WARN", "broker:1883")
			h.asks(pub("1", "t", "x", 0), `{"id":1,"error":{"code":503,"message":"not connected to the cloud"}}`)
			h.asks(pub("2", "t", "y", 1), `{"id":2,"result":{"queued":true}}`)
			b.Refuse(0)
			r.online()
			time.Sleep(time.Second)
			if got := payloads(b.Messages("t")); got != "y" {
				t.Errorf("code %d: the broker got %q", code, got)
			}
		})
	}
}

// TestBadBrokerDenies: a subscription that the broker refuses is told to the host;
// the others go on. Refusing the module's own is logged.
func TestBadBrokerDenies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		log := new(logbook)
		c.Deny("secret/#", "dev/rpc/#", "$aws/things/dev/shadow/update/delta")
		h := newHand(t, ccmtest.Line{})
		r := up(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(c), Logger: log.logger(), Shadow: ccm.ShadowConfig{Backend: ccm.AWS}})
		h.asks(sub(1, "open/#"), null(1))
		h.asks(sub(2, "secret/#"), `{"id":2,"error":{"code":403,"message":"the broker refuses the subscription"}}`)
		h.asks(`{"method":"MQTT.Sub","params":{"topic":"secret/#"}}`, "")
		publish(t, c.Broker, "secret/x", "no")
		publish(t, c.Broker, "open/x", "yes")
		h.want("messages", message("open/x", "yes"))
		log.want(t, "level=WARN", "the broker refuses a subscription", "filter=secret/#")
		log.want(t, "level=WARN", "the server refuses a subscription", "filter=dev/rpc/#")
		log.want(t, "level=WARN", "shadow failed", "$aws/things/dev/shadow/update/delta")
		h.asks(`{"id":3,"method":"Shadow.Report","params":{"a":1}}`, null(3))
		h.asks(`{"id":4,"method":"Shadow.Get"}`, `{"id":4,"error":{"code":503,"message":"the shadow is not known yet"}}`)
		time.Sleep(time.Hour)
		if n := log.count("level=WARN", "shadow failed"); n > 200 {
			t.Errorf("%d warnings in an hour", n)
		}
		var many []string
		for i := range 2 * ccm.MaxSubscriptions {
			many = append(many, fmt.Sprint("no/", i))
		}
		c.Deny(many...)
		for i := range many { // what is refused does not count
			h.asks(sub(i, many[i]), fmt.Sprintf(`{"id":%d,"error":{"code":403,"message":"the broker refuses the subscription"}}`, i))
		}
		h.asks(sub(5000, "open/too"), null(5000))
		c.Deny()
		time.Sleep(2 * time.Minute)
		if got := c.Shadow("dev").Reported; got != `{"a":1}` {
			t.Errorf("reported %s", got)
		}
		if st := r.module.Stats(); st.Refused != 2+2*ccm.MaxSubscriptions || st.Cloud.Lost != 0 {
			t.Errorf("%+v", st)
		}
		c.Kick("dev")
		r.offline()
		r.online()
		publish(t, c.Broker, "dev/rpc", `{"id":1,"src":"me","method":"Sys.Time"}`)
		time.Sleep(time.Second)
		if got := c.Messages("me/rpc"); len(got) != 1 {
			t.Errorf("calls are allowed now, but %d were answered", len(got))
		}
	})
}

// TestBadBrokerDeniesPublish: the broker closes the connection, as AWS does, when
// a host publishes what it may not. That host's message must not keep those of
// everybody else from the broker for ever.
func TestBadBrokerDeniesPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, b, log := loggedHand(t, ccm.Config{})
		b.DenyPublish("denied/#")
		h.asks(pub("", "denied/0", "no", 0), "")
		r.offline()
		r.online()
		h.send(pub("", "denied/1", "no", 1) + "\n")
		for i := range 10 {
			h.send(pub("", "open", fmt.Sprint(i), 1) + "\n")
		}
		time.Sleep(30 * time.Minute)
		if got := payloads(b.Messages("open")); got != "0 1 2 3 4 5 6 7 8 9" {
			t.Errorf("the broker got %q", got)
		}
		log.want(t, "level=WARN", "the connection breaks when this is published", "topic=denied/1")
		time.Sleep(10 * time.Hour)
		h.asks(pub("1", "open", "now", 1), null(1))
		if st := r.module.Stats(); st.Outbox.Held != 1 || st.Outbox.Len != 1 || st.Cloud.Lost > 30 {
			t.Errorf("%+v", st)
		}
		b.DenyPublish()
		time.Sleep(time.Hour)
		if got := payloads(b.Messages("denied/1")); got != "no" {
			t.Errorf("allowed at last, the broker got %q", got)
		}
	})
}

// TestBadBrokerMute: PUBACKs get lost. After a minute the connection is made anew
// and the message sent again; it arrives at least once, those behind it too.
func TestBadBrokerMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, b, log := loggedHand(t, ccm.Config{})
		b.SetAcks(ccmtest.Ack{Drop: true})
		for i := range 100 {
			h.asks(pub("", "t", fmt.Sprint(i), 1), "")
		}
		time.Sleep(30 * time.Second)
		b.SetAcks(ccmtest.Ack{})
		time.Sleep(2 * time.Minute)
		seen := map[string]int{}
		next := 0
		for _, m := range b.Messages("t") {
			if seen[string(m.Payload)]++; seen[string(m.Payload)] == 1 {
				if string(m.Payload) != fmt.Sprint(next) {
					t.Errorf("%s came when %d was due", m.Payload, next)
				}
				next++
			}
		}
		if st := r.module.Stats().Outbox; next != 100 || st.Len != 0 || st.Sent != 100 || st.Resent == 0 {
			t.Errorf("%d messages came, %+v", next, st)
		}
		log.want(t, "level=WARN", "broker:1883")
	})
}

// TestBadBrokerMessages: messages that nobody can use are dropped, counted and
// acknowledged; one that is too long for the module ends the connection, which
// comes back.
func TestBadBrokerMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, b, log := loggedHand(t, ccm.Config{})
		h.asks(sub(1, "t/#"), null(1))
		for _, p := range []string{"\xff\xfe", "ok \xc3", "\xed\xa0\x80"} {
			publish(t, b, "t/bad", p)
		}
		publish(t, b, "t/empty", "")
		publish(t, b, "t/nul", "a\x00b")
		h.want("messages", message("t/empty", ""), `{"method":"MQTT.Message","params":{"topic":"t/nul","message":"a\u0000b"}}`)
		if st := r.module.Stats(); st.NotText != 3 || st.Delivered != 2 {
			t.Errorf("%+v", st)
		}
		log.want(t, "level=WARN", "not UTF-8", "topic=t/bad")
		if n := len(b.Events(ccmtest.BrokerPuback)); n != 5 {
			t.Errorf("%d acknowledged", n)
		}
		publish(t, b, "t/large", strings.Repeat("x", cloud.DefaultMaxPacket+1))
		r.offline()
		if st := r.module.Status().Cloud; st.Reason != cloud.ReasonPacket {
			t.Errorf("%+v", st)
		}
		r.online()
		time.Sleep(time.Second)
		publish(t, b, "t/x", "after")
		h.want("after it", message("t/x", "after"))
		log.want(t, "level=WARN", "broker:1883")
	})
}

// TestBadBrokerShadow: what is published to the topics of the shadow is nonsense.
// The next good delta arrives.
func TestBadBrokerShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		log := new(logbook)
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Mirror: true, Report: ccmtest.ReportNone})
		r := up(t, ccm.Config{
			ID: "lamp", Hosts: []ccm.HostConfig{s.config("")}, Cloud: via(c), Logger: log.logger(), Shadow: ccm.ShadowConfig{Backend: ccm.AWS},
		}, s)
		time.Sleep(time.Second)
		for _, p := range []string{
			``, `x`, `{`, `5`, `[]`, `{}`, `{"state":5}`, `{"state":null}`, `{"state":[1]}`, `{"state":{"a":1}}`, `{"version":"x","state":{"b":1}}`,
			`{"version":-5,"state":{"c":1}}`, `{"version":99999999999999999999,"state":{"d":1}}`, "\xff", `{"state":{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}`,
			`{"version":1,"state":{"big":"` + strings.Repeat("x", 100_000) + `"}}`, `{"clientToken":{},"state":{}}`, `{"code":409,"message":"conflict"}`, `{"code":"x"}`,
		} {
			for _, topic := range []string{"update/delta", "update/accepted", "update/rejected", "get/accepted", "get/rejected", "delete/accepted"} {
				publish(t, c.Broker, "$aws/things/lamp/shadow/"+topic, p)
				time.Sleep(10 * time.Millisecond)
			}
		}
		time.Sleep(2 * time.Minute)
		set(t, c, "lamp", `{"on":true}`)
		time.Sleep(2 * time.Minute)
		if got := deltas(s.mcu); len(got) == 0 || got[len(got)-1] != `{"on":true}` {
			t.Errorf("deltas %q", got)
		}
		if st := c.Shadow("lamp"); st.Delta != "" {
			t.Errorf("%+v", st)
		}
		answers(t, r.module.Host(""))
		if longest(s.uart) > 255 {
			t.Errorf("a line of %d bytes", longest(s.uart))
		}
	})
}

// TestBadReports: reports that the shadow cannot take are errors to the host, or
// dropped and logged when the cloud refuses them; those behind them go on.
func TestBadReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		log := new(logbook)
		h := newHand(t, ccmtest.Line{})
		r := up(t, ccm.Config{ID: "lamp", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(c), Logger: log.logger(), Shadow: ccm.ShadowConfig{Backend: ccm.AWS}})
		time.Sleep(time.Second)
		for _, p := range []string{`5`, `"x"`, `[1]`, `null`, `true`, `{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":1}}}}}}}}`} {
			got := h.ask(`{"id":1,"method":"Shadow.Report","params":` + p + `}`)
			if !strings.HasPrefix(got, `{"id":1,"error":{"code":-32602,`) {
				t.Errorf("%s: %s", p, got)
			}
			h.asks(`{"method":"Shadow.Report","params":`+p+`}`, "")
			time.Sleep(11 * time.Second)
		}
		if got := h.ask(`{"id":2,"method":"Shadow.Report"}`); !strings.HasPrefix(got, `{"id":2,"error":{"code":-32602,`) {
			t.Errorf("no params: %s", got)
		}
		if st := r.module.Stats(); st.Refused != 13 || c.Shadow("lamp").Version != 0 {
			t.Errorf("%+v, shadow %+v", st, c.Shadow("lamp"))
		}
		for i := range 4 { // more than the document may hold
			h.asks(fmt.Sprintf(`{"id":%d,"method":"Shadow.Report","params":{"k%d":"%s"}}`, 10+i, i, strings.Repeat("x", 3000)), null(10+i))
			time.Sleep(time.Second)
		}
		h.asks(`{"id":20,"method":"Shadow.Report","params":{"small":1}}`, null(20))
		time.Sleep(time.Second)
		if got := c.Shadow("lamp").Reported; !strings.Contains(got, `"k1"`) || strings.Contains(got, `"k3"`) || !strings.Contains(got, `"small":1`) {
			t.Errorf("reported %.200s", got)
		}
		log.want(t, "level=WARN", "shadow rejected", "(413)")
		if st := r.module.Stats().Hosts[""].Shadow; st.Rejected != 2 {
			t.Errorf("%+v", st)
		}
	})
}
