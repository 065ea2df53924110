package ccm_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// TestServices calls every method of the module with good and bad params, from a
// host and from the cloud. The numbers of errors are those of the door (rulings
// A6): -32602 for hosts is 400 for the cloud. Sys.GetInfo is too long for a host
// that takes 255 bytes.
func TestServices(t *testing.T) {
	const text = "topic must be a string"
	rows := []struct {
		method, params string
		host, cloud    string // the answer behind the id
	}{
		{"MQTT.Pub", `{"topic":"a/b","message":"x"}`, `"result":null`, `"result":null`},
		{"MQTT.Pub", `{"topic":"a/b","message":"x","qos":1,"retain":true,"unknown":[{}]}`, `"result":null`, `"result":null`},
		{"MQTT.Pub", ``, bad(text), bad(text)},
		{"MQTT.Pub", `null`, bad(text), bad(text)},
		{"MQTT.Pub", `"x"`, bad(text), bad(text)},
		{"MQTT.Pub", `["a/b","x"]`, bad(text), bad(text)},
		{"MQTT.Pub", `{"message":"x"}`, bad(text), bad(text)},
		{"MQTT.Pub", `{"topic":5,"message":"x"}`, bad(text), bad(text)},
		{"MQTT.Pub", `{"topic":"","message":"x"}`, bad("cloud: invalid topic: it is empty"), bad("cloud: invalid topic: it is empty")},
		{"MQTT.Pub", `{"topic":"a/#","message":"x"}`, bad("cloud: invalid topic: it has a wildcard"), bad("cloud: invalid topic: it has a wildcard")},
		{"MQTT.Pub", `{"topic":"a"}`, bad("message must be a string"), bad("message must be a string")},
		{"MQTT.Pub", `{"topic":"a","message":{"x":1}}`, bad("message must be a string"), bad("message must be a string")},
		{"MQTT.Pub", `{"topic":"a","message":"x","qos":2}`, bad("qos must be 0 or 1"), bad("qos must be 0 or 1")},
		{"MQTT.Pub", `{"topic":"a","message":"x","qos":-1}`, bad("qos must be 0 or 1"), bad("qos must be 0 or 1")},
		{"MQTT.Pub", `{"topic":"a","message":"x","qos":0.5}`, bad("qos must be 0 or 1"), bad("qos must be 0 or 1")},
		{"MQTT.Pub", `{"topic":"a","message":"x","qos":"1"}`, bad("qos must be 0 or 1"), bad("qos must be 0 or 1")},
		{"MQTT.Pub", `{"topic":"a","message":"x","retain":1}`, bad("retain must be true or false"), bad("retain must be true or false")},
		{"MQTT.Sub", `{"topic":"s/#"}`, `"result":null`, bad("only a host can subscribe")},
		{"MQTT.Sub", `{"topic":"s/+/x","qos":0}`, `"result":null`, bad("only a host can subscribe")},
		{"MQTT.Sub", ``, bad(text), bad("only a host can subscribe")},
		{"MQTT.Sub", `{"topic":["a"]}`, bad(text), bad("only a host can subscribe")},
		{"MQTT.Sub", `{"topic":"a/#/b"}`, bad("cloud: invalid topic: "), bad("only a host can subscribe")},
		{"MQTT.Sub", `{"topic":"a","qos":2}`, bad("qos must be 0 or 1"), bad("only a host can subscribe")},
		{"MQTT.Unsub", `{"topic":"s/#"}`, `"result":null`, bad("only a host can subscribe")},
		{"MQTT.Unsub", `{"topic":"s/#"}`, `"result":null`, bad("only a host can subscribe")}, // it has ended already
		{"MQTT.Unsub", `{}`, bad(text), bad("only a host can subscribe")},
		{"MQTT.Unsub", `{"topic":"a+"}`, bad("cloud: invalid topic: "), bad("only a host can subscribe")},
		{"Shadow.Get", ``, `"result":{"desired":{"d":1},"reported":{},"version":1}`, `"result":{"desired":{"d":1},"reported":{},"version":1}`},
		{"Shadow.Report", `{"r":1}`, `"result":null`, `"result":null`},
		{"Shadow.Report", `{}`, `"result":null`, `"result":null`},
		{"Shadow.Report", `"text"`, bad("shadow: not a JSON object"), bad("shadow: not a JSON object")},
		{"Shadow.Report", ``, bad("shadow: not JSON"), bad("shadow: not JSON")},
		{"RPC.Ping", ``, `"result":{"channel_info":"UART0"}`, `"result":{"channel_info":""}`},
		{"RPC.Ping", `{"x":1}`, `"result":{"channel_info":"UART0"}`, `"result":{"channel_info":""}`},
		{"RPC.List", `5`, `"result":["Shadow.Get","Shadow.Report","MQTT.Unsub",`, `"result":["Shadow.Get","Shadow.Report","MQTT.Unsub",`},
		{"Sys.Info", ``, `"result":{"fw_version":"1.2","arch":"` + runtime.GOOS + "/" + runtime.GOARCH + `","fw_id":"unknown","app":"ccm"}`,
			`"result":{"fw_version":"1.2","arch":"` + runtime.GOOS + "/" + runtime.GOARCH + `","fw_id":"unknown","app":"ccm"}`},
		{"Sys.GetInfo", ``, `"error":{"code":413,`, `"result":{"id":"dev","app":"ccm","fw_version":"1.2",`},
		{"Sys.Time", ``, `"result":9466848`, `"result":9466848`}, // the year 2000
		{"Sys.Init", ``, `"result":null`, `"result":null`},
	}
	synctest.Test(t, func(t *testing.T) {
		cl := newCloud(t)
		set(t, cl, "dev", `{"d":1}`)
		h := newHand(t, ccmtest.Line{})
		up(t, ccm.Config{
			ID: "dev", Info: ccm.Info{FWVersion: "1.2"}, Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(cl), Shadow: ccm.ShadowConfig{Backend: ccm.AWS},
		})
		c := newCaller(t, cl.Broker)
		time.Sleep(3 * time.Second)
		h.answer(func(line string) (string, bool) { return "", strings.Contains(line, "Shadow.Delta") })
		h.got()
		for i, row := range rows {
			params := ""
			if row.params != "" {
				params = `,"params":` + row.params
			}
			got := h.ask(fmt.Sprintf(`{"id":%d,"method":"%s"%s}`, i, row.method, params))
			if want := fmt.Sprintf(`{"id":%d,`, i) + strings.Replace(row.host, "CODE", "-32602", 1); !strings.HasPrefix(got, want) {
				t.Errorf("host: %s %s\nanswered %s\nwant     %s", row.method, row.params, got, want)
			}
			h.send(fmt.Sprintf(`{"method":"%s"%s}`+"\n", row.method, params))
			h.want("notification " + row.method)
			publish(t, cl.Broker, "dev/rpc", call(fmt.Sprint(i), row.method, row.params))
			answers := c.got()
			want := fmt.Sprintf(`{"id":%d,"src":"dev","dst":"me",`, i) + strings.Replace(row.cloud, "CODE", "400", 1)
			if len(answers) != 1 || !strings.HasPrefix(answers[0], want) {
				t.Errorf("cloud: %s %s\nanswered %s\nwant     %s", row.method, row.params, answers, want)
			}
			publish(t, cl.Broker, "dev/rpc", fmt.Sprintf(`{"method":"%s"%s}`, row.method, params))
			if got := c.got(); len(got) != 0 {
				t.Errorf("cloud: notification %s answered %q", row.method, got)
			}
		}
	})
}

// bad is a refusal of params.
func bad(text string) string { return `"error":{"code":CODE,"message":"` + text }

// TestServicesStrict: with StrictTopics, and where the configuration refuses
// topics, hosts are told; without, spaces are legal (rulings A9).
func TestServicesStrict(t *testing.T) {
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBroker(t, ccmtest.BrokerOptions{})
			h := newHand(t, ccmtest.Line{})
			cfg := ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(b)}
			cfg.Cloud.StrictTopics = strict
			up(t, cfg)
			h.got()
			for _, frame := range []string{pub("1", "a b", "x", 0), pub("1", "a b", "x", 1), sub(1, "a b")} {
				got := h.ask(frame)
				if strict && !strings.HasPrefix(got, `{"id":1,"error":{"code":-32602,`) || !strict && got != null(1) && got != message("a b", "x") {
					t.Errorf("strict %v: %s answered %s", strict, frame, got)
				}
			}
			if got := subscribes(b); strict && len(got) != 0 || len(b.Messages("#")) != map[bool]int{false: 2, true: 0}[strict] {
				t.Errorf("strict %v: subscribed to %q, published %+v", strict, got, b.Messages("#"))
			}
		})
	}
}

// TestServicesNoShadow: a module without a shadow has no such methods, and one
// without a cloud is offline for ever.
func TestServicesNoShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHand(t, ccmtest.Line{})
		r := up(t, ccm.Config{Hosts: []ccm.HostConfig{h.config("")}})
		h.got()
		h.asks(`{"id":1,"method":"Shadow.Report","params":{"a":1}}`, `{"id":1,"error":{"code":-32601,"message":"method not found"}}`)
		h.asks(`{"id":2,"method":"Shadow.Get"}`, `{"id":2,"error":{"code":-32601,"message":"method not found"}}`)
		h.asks(pub("3", "t", "x", 0), `{"id":3,"error":{"code":503,"message":"not connected to the cloud"}}`)
		h.asks(pub("4", "t", "x", 1), `{"id":4,"result":{"queued":true}}`)
		h.asks(sub(5, "t"), null(5))
		h.asks(`{"id":6,"method":"MQTT.Unsub","params":{"topic":"t"}}`, null(6))
		if err := r.module.Host("").Report([]byte(`{}`)); err != ccm.ErrNoShadow {
			t.Errorf("Report: %v", err)
		}
		if _, known := r.module.Host("").Shadow(); known {
			t.Error("a shadow")
		}
	})
}

// TestShadowGetTooLong: a shadow that fits in no frame is a 413 (rulings B3).
func TestShadowGetTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		set(t, c, "dev", `{"text":"`+strings.Repeat("x", 250)+`"}`)
		h := newHand(t, ccmtest.Line{})
		r := up(t, ccm.Config{ID: "dev", Hosts: []ccm.HostConfig{h.config("")}, Cloud: via(c), Shadow: ccm.ShadowConfig{Backend: ccm.AWS}})
		time.Sleep(time.Second)
		got := h.ask(`{"id":1,"method":"Shadow.Get"}`)
		if !strings.HasPrefix(got, `{"id":1,"error":{"code":413,`) {
			t.Errorf("answered %s", got)
		}
		if r.module.Host("").Stats().Port.RPC.TooLong != 1 {
			t.Error("not counted")
		}
	})
}
