package ccm_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// caller calls a module from the cloud.
type caller struct {
	t testing.TB
	b *ccmtest.Broker

	mu      sync.Mutex
	answers []ccmtest.Message // on me/rpc
}

func newCaller(t testing.TB, b *ccmtest.Broker) *caller {
	t.Helper()
	c := &caller{t: t, b: b}
	if _, err := b.Subscribe("me/rpc", func(m ccmtest.Message) {
		c.mu.Lock()
		defer c.mu.Unlock()
		m.Payload = append([]byte(nil), m.Payload...)
		c.answers = append(c.answers, m)
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

// got waits until nothing happens any more, and returns the answers.
func (c *caller) got() (answers []string) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.answers {
		if m.QoS != 1 || m.Retain || m.Client != "dev" {
			c.t.Errorf("the answer came as %+v", m)
		}
		answers = append(answers, string(m.Payload))
	}
	c.answers = nil
	return answers
}

// asks publishes a frame to dev/rpc and demands the answer, in which src and dst
// may be left out; "" is none.
func (c *caller) asks(frame, answer string) {
	c.t.Helper()
	publish(c.t, c.b, "dev/rpc", frame)
	c.wants(frame, answer)
}

func (c *caller) wants(frame, answer string) {
	c.t.Helper()
	got := strings.Join(c.got(), "\n")
	if plain := strings.Replace(got, `,"src":"dev","dst":"me"`, "", 1); plain != answer || got != "" && plain == got {
		c.t.Errorf("%s\nanswered %s\nwant     %s", frame, got, answer)
	}
}

// call is a frame with src.
func call(id, method, params string) string {
	if params != "" {
		params = `,"params":` + params
	}
	return fmt.Sprintf(`{"id":%s,"src":"me","method":"%s"%s}`, id, method, params)
}

// calledModule is a module with the hosts "" and "pump", played by hand, whom
// anybody may call from the cloud.
func calledModule(t testing.TB, cfg ccm.Config) (r *rig, h, pump *hand, c *caller) {
	t.Helper()
	b := newBroker(t, ccmtest.BrokerOptions{})
	h, pump = newHand(t, ccmtest.Line{}), newHand(t, ccmtest.Line{})
	cfg.ID, cfg.Hosts, cfg.Cloud = "dev", []ccm.HostConfig{h.config(""), pump.config("pump")}, via(b)
	r = up(t, cfg)
	echo := func(name string) func(line string) (string, bool) {
		return func(line string) (string, bool) {
			var m jsonrpc.Message
			if jsonrpc.Parse([]byte(line), &m) != nil || m.Kind() != jsonrpc.KindCall {
				return "", false
			}
			switch string(m.Method()) {
			case "Sum":
				return fmt.Sprintf(`{"id":%s,"result":{"of":"%s","params":%s}}`, m.ID(), name, m.Params()), true
			case "Fail":
				return fmt.Sprintf(`{"id":%s,"error":{"code":-32042,"message":"of %s","data":[1]}}`, m.ID(), name), true
			case "Silent":
				return "", true
			case "Sys.Info", "RPC.List", "rpc.list":
				return "", false
			}
			return fmt.Sprintf(`{"id":%s,"error":{"code":-32601,"message":"method not found"}}`, m.ID()), true
		}
	}
	h.answer(echo("host"))
	pump.answer(echo("pump"))
	return r, h, pump, newCaller(t, b)
}

// TestCloudRPC calls methods of the module and, through it, those of its hosts, as
// the mos tool does.
func TestCloudRPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, pump, c := calledModule(t, ccm.Config{})
		const id = "1167685426459"
		c.asks(call(id, "RPC.Ping", ""), `{"id":`+id+`,"result":{"channel_info":""}}`)
		c.asks(call(`"text"`, "RPC.Ping", ""), `{"id":"text","result":{"channel_info":""}}`)
		for method, of := range map[string]string{"Sum": "host", "host/Sum": "host", "pump/Sum": "pump"} {
			c.asks(call(id, method, `[2, 3]`), `{"id":`+id+`,"result":{"of":"`+of+`","params":[2, 3]}}`)
		}
		c.asks(`{"id":1,"src":"me","method":"Sum","args":{"a":[1]}}`, `{"id":1,"result":{"of":"host","params":{"a":[1]}}}`)
		c.asks(`{"src":"me","dst":"dev","id":2,"method":"pump/Sum","params":"\u00e9\u003c"}`+"\n", `{"id":2,"result":{"of":"pump","params":"é<"}}`)

		// Codes of a host pass unchanged, those of the module are of this door.
		c.asks(call("1", "Fail", ""), `{"id":1,"error":{"code":-32042,"message":"of host","data":[1]}}`)
		c.asks(call("1", "pump/Fail", ""), `{"id":1,"error":{"code":-32042,"message":"of pump","data":[1]}}`)
		c.asks(call("1", "Nope", ""), `{"id":1,"error":{"code":-32601,"message":"method not found"}}`)
		c.asks(call("1", "MQTT.Pub", `{"topic":"a/+"}`), `{"id":1,"error":{"code":400,"message":"cloud: invalid topic: it has a wildcard"}}`)

		// The method of the topic.
		publish(t, c.b, "dev/rpc/pump/Sum", `{"id":3,"src":"me","params":[1]}`)
		c.wants("pump/Sum by the topic", `{"id":3,"result":{"of":"pump","params":[1]}}`)
		publish(t, c.b, "dev/rpc/RPC.Ping", ` { "id" : 4 , "src" : "me" } `)
		c.wants("RPC.Ping by the topic", `{"id":4,"result":{"channel_info":""}}`)

		// Notifications reach hosts, and are not answered.
		h.got()
		pump.got()
		c.asks(`{"method":"Note","params":{"a":1}}`, "")
		c.asks(`{"src":"me","method":"pump/Note"}`, "")
		publish(t, c.b, "dev/rpc/host/Bare", "")
		h.want("notifications", `{"method":"Note","params":{"a":1}}`, `{"method":"Bare"}`)
		pump.want("notifications", `{"method":"Note"}`)
	})
}

// TestCloudRPCMos is the exchange of mos --port mqtt://BROKER/ccm_A1B2C3 call
// RPC.List, as it was recorded.
func TestCloudRPCMos(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{})
		up(t, ccm.Config{ID: "ccm_A1B2C3", Cloud: via(b)})
		publish(t, b, "ccm_A1B2C3/rpc", `{"src":"ccm_A1B2C3/rpc-resp/mos-911776995","dst":"ccm_A1B2C3","id":1167685426459,"method":"RPC.List"}`)
		synctest.Wait()
		const head = `{"id":1167685426459,"src":"ccm_A1B2C3","dst":"ccm_A1B2C3/rpc-resp/mos-911776995","result":["`
		got := b.Messages("ccm_A1B2C3/rpc-resp/mos-911776995/rpc")
		if len(got) != 1 || !strings.HasPrefix(string(got[0].Payload), head) || !strings.Contains(string(got[0].Payload), `"RPC.List"`) {
			t.Errorf("answered %+v", got)
		}
	})
}

// TestCloudRPCList: the cloud is told the methods of the hosts too.
func TestCloudRPCList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, _, c := calledModule(t, ccm.Config{})
		const own = `"MQTT.Unsub","MQTT.Sub","MQTT.Pub","Sys.Init","Sys.GetInfo","Sys.Time","Sys.Info","RPC.Describe","RPC.Ping","RPC.List"`
		c.asks(call("1", "RPC.List", ""), `{"id":1,"result":[`+own+`,"host/Sum","host/RPC.List","pump/Sum","pump/RPC.List"]}`)
		c.asks(call("1", "host/RPC.List", ""), `{"id":1,"result":["Sum","RPC.List"]}`)
		h.answer(nil)
		h.asks(`{"id":1,"method":"RPC.List"}`, `{"id":1,"result":[`+own+`]}`)
	})
}

// TestCloudRPCDropped: what is no call, or cannot be answered, is dropped, counted
// and logged.
func TestCloudRPCDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logbook)
		r, h, _, c := calledModule(t, ccm.Config{Logger: log.logger()})
		ran := 0
		r.module.HandleFunc("Test.Count", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) { ran++ })
		bad := []string{
			`{"id":1,"method":"Test.Count"}`, `{"id":1,"src":"","method":"Test.Count"}`, `{"id":1,"src":5,"method":"Test.Count"}`,
			`{"id":1,"src":"#","method":"Test.Count"}`, `{"id":1,"src":"a/+/b","method":"Test.Count"}`, `{"id":1,"src":"a\u0000b","method":"Test.Count"}`,
			`{"id":1,"src":"` + strings.Repeat("x", 2000) + `","method":"Test.Count"}`,
			`{"id":1,"src":"me","dst":"another","method":"Test.Count"}`,
			`{"id":1,"src":"me","result":5}`, `{"error":{"code":404,"message":"Method [Shadow.Delta] not found"}}`,
			``, `x`, `[]`, `5`, "\xff", `{"id":1,"src":"me","method":"Test.Count"`, `{"id":{},"src":"me","method":"Test.Count"}`,
			`{"id":1,"src":"me","method":"Test.Count","method":"Test.Count"}`, call("1", "Test.Count", strings.Repeat("[", 64)+strings.Repeat("]", 64)),
		}
		for _, frame := range bad {
			c.asks(frame, "")
		}
		publish(t, c.b, "dev/rpc/Test.Count", `{"id":1,"src":"me","method":"Test.Other"}`)
		publish(t, c.b, "dev/rpc/Test.Count", `[1]`)
		c.wants("two methods", "")
		if got := h.got(); len(got) != 0 {
			t.Errorf("the host got %q", got)
		}
		if st := r.module.Stats(); ran != 0 || st.CloudInvalid != uint64(len(bad)+2) || st.CloudCalls != 0 {
			t.Errorf("%d ran, %d of %d counted", ran, st.CloudInvalid, len(bad)+2)
		}
		log.want(t, "level=WARN", "call from the cloud dropped", "topic=dev/rpc", "without src")
		if n := len(c.b.Events(ccmtest.BrokerPuback)); n != len(bad)+2 {
			t.Errorf("%d acknowledged to the broker", n)
		}
		c.asks(call("1", "Test.Count", ""), `{"id":1,"result":null}`)
		synctest.Wait()
		if ran != 1 {
			t.Errorf("ran %d times", ran)
		}
	})
}

// TestCloudRPCBusy: 24 calls run at a time; one more is answered 429 at once. There is
// room for callers elsewhere.
func TestCloudRPCBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, _, c := calledModule(t, ccm.Config{})
		release := make(chan struct{})
		r.module.HandleFunc("Test.Slow", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) { <-release })
		for i := range ccm.MaxCloudCalls {
			c.asks(call(fmt.Sprint(100+i), "Test.Slow", ""), "")
		}
		c.asks(call("1", "Test.Slow", ""), `{"id":1,"error":{"code":429,"message":"busy"}}`)
		c.asks(call("2", "RPC.Ping", ""), `{"id":2,"error":{"code":429,"message":"busy"}}`)
		c.asks(`{"method":"Test.Slow"}`, "")
		if st := r.module.Stats(); st.CloudBusy != 3 || st.CloudCalls != ccm.MaxCloudCalls+3 {
			t.Errorf("%+v", st)
		}
		o := &access.Origin{Role: access.Host, Channel: access.UART, Remote: "UART0"}
		k := r.module.Service().Accept(o, []byte(`{"id":1,"method":"RPC.Ping"}`))
		if k.Code() != 0 {
			t.Errorf("a caller on the serial line gets %d", k.Code())
		}
		k.Serve(t.Context(), func([]byte) error { return nil })
		close(release)
		if got := c.got(); len(got) != ccm.MaxCloudCalls {
			t.Errorf("%d answers", len(got))
		}
		c.asks(call("3", "RPC.Ping", ""), `{"id":3,"result":{"channel_info":""}}`)
	})
}

// TestCloudRPCSlow: a host that does not answer in ten seconds, or is not there,
// is a 504; what is too long for it is a 413.
func TestCloudRPCSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, pump, c := calledModule(t, ccm.Config{})
		c.asks(call("1", "Silent", ""), "")
		time.Sleep(9999 * time.Millisecond)
		c.wants("before ten seconds", "")
		time.Sleep(time.Millisecond)
		c.wants("after ten seconds", `{"id":1,"error":{"code":504,"message":"the host does not answer"}}`)
		pump.uart.Module().Unplug()
		time.Sleep(time.Second)
		c.asks(call("2", "pump/Sum", "[1]"), "")
		time.Sleep(10 * time.Second)
		c.wants("no port", `{"id":2,"error":{"code":504,"message":"the host does not answer"}}`)
		c.asks(call("3", "pump/Sum", "[1]"), "")
		time.Sleep(5 * time.Second)
		pump.uart.Module().Plug()
		time.Sleep(3 * time.Second)
		c.wants("the port is back", `{"id":3,"result":{"of":"pump","params":[1]}}`)
		c.asks(call("4", "Sum", `"`+strings.Repeat("x", 300)+`"`), `{"id":4,"error":{"code":413,"message":"longer than the host takes"}}`)
	})
}

// TestCloudRPCPublishLate: who publishes through the module from the cloud is told
// too, after ten seconds, that the message waits.
func TestCloudRPCPublishLate(t *testing.T) {
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			r, _, _, c := calledModule(t, ccm.Config{})
			c.b.SetAcks(ccmtest.Ack{Delay: 15 * time.Second})
			frame := call("1", "MQTT.Pub", `{"topic":"t","message":"x","qos":1}`)
			c.asks(frame, "")
			time.Sleep(10 * time.Second)
			c.wants(frame, `{"id":1,"result":{"queued":true}}`)
			time.Sleep(time.Minute)
			if st := r.module.Stats().Outbox; st.Sent != 1 || st.Len != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// TestCloudRPCNoHost: a module without a host named "" has nobody to ask.
func TestCloudRPCNoHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{})
		log := new(logbook)
		r := up(t, ccm.Config{ID: "dev", Cloud: via(b), Logger: log.logger()})
		c := newCaller(t, b)
		c.asks(call("1", "Nope", ""), `{"id":1,"error":{"code":404,"message":"No handler for Nope"}}`)
		c.asks(call("1", "host/Sum", ""), `{"id":1,"error":{"code":404,"message":"No handler for host/Sum"}}`)
		c.asks(`{"method":"Nope"}`, "")
		r.module.HandleFunc("Test.Panic", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) { panic("oh") })
		c.asks(call("1", "Test.Panic", ""), `{"id":1,"error":{"code":500,"message":"the handler of the method did not return"}}`)
		log.want(t, "level=ERROR", "handler panicked", "method=Test.Panic", "err=oh")
		r.module.HandleFunc("Test.Denied", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Error(jsonrpc.CodeDenied, "no") })
		c.asks(call("1", "Test.Denied", ""), `{"id":1,"error":{"code":403,"message":"no"}}`)
	})
}

// TestCloudRPCOff: a module may be told not to serve the cloud.
func TestCloudRPCOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, _, c := calledModule(t, ccm.Config{NoCloudRPC: true})
		c.asks(call("1", "RPC.Ping", ""), "")
		if n := len(c.b.Events(ccmtest.BrokerSubscribe)); n != 0 || r.module.Stats().Arrived != 0 {
			t.Errorf("%d subscriptions", n)
		}
	})
}

// TestCloudRPCBehindQueue: the queue of the hosts keeps the connection as busy as
// it may be. Calls are answered all the same.
func TestCloudRPCBehindQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, _, c := calledModule(t, ccm.Config{})
		c.b.SetAcks(ccmtest.Ack{Delay: time.Second})
		for i := range 300 {
			h.send(pub("", "t", fmt.Sprint(i), 1) + "\n")
		}
		for i := range 5 {
			publish(t, c.b, "dev/rpc", call(fmt.Sprint(i), "RPC.Ping", ""))
		}
		time.Sleep(9 * time.Second)
		if got := c.got(); len(got) != 5 {
			t.Errorf("%d of 5 calls were answered", len(got))
		}
		time.Sleep(time.Minute)
		if st := r.module.Stats(); st.CloudUnsent != 0 || st.Outbox.Len != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestCloudRPCOrder: what the cloud has for a host is sent in the order in which it
// came, though the answers do not come.
func TestCloudRPCOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, _, c := calledModule(t, ccm.Config{})
		var mu sync.Mutex
		var got []string
		h.answer(func(line string) (string, bool) {
			mu.Lock()
			defer mu.Unlock()
			_, params, _ := strings.Cut(line, `"params":`)
			got = append(got, params)
			return "", true
		})
		var want []string
		for i := range 20 {
			frame := fmt.Sprintf(`{"method":"Set","params":[%d]}`, i)
			if i%3 == 0 {
				frame = call(fmt.Sprint(i+1), "Set", fmt.Sprintf("[%d]", i))
			}
			publish(t, c.b, "dev/rpc", frame)
			want = append(want, fmt.Sprintf("[%d]}", i))
		}
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(got, want) {
			t.Errorf("the host received %q", got)
		}
	})
}

// TestCloudRPCSession: a call that has waited in the session at the broker is
// answered, though it comes before the subscriptions are.
func TestCloudRPCSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{Observer: func(e ccmtest.BrokerEvent) {
			if e.Kind == ccmtest.BrokerSubscribe {
				time.Sleep(time.Second)
			}
		}})
		cfg := ccm.Config{ID: "dev", Cloud: via(b)}
		cfg.Cloud.PersistentSession = true
		r := up(t, cfg)
		c := newCaller(t, b)
		b.Stop()
		r.offline()
		c.asks(call("1", "RPC.Ping", ""), "")
		b.Start()
		r.online()
		time.Sleep(time.Second)
		c.wants("the call", `{"id":1,"result":{"channel_info":""}}`)
	})
}

// TestCloudRPCRetained: a call that the broker has kept is not served again at
// every connect.
func TestCloudRPCRetained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, _, c := calledModule(t, ccm.Config{})
		var n atomic.Int64
		r.module.HandleFunc("Test.Once", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) { n.Add(1) })
		if err := c.b.Publish("dev/rpc/Test.Once", 1, true, []byte(`{"id":1,"src":"me"}`)); err != nil {
			t.Error(err)
		}
		c.wants("the call", `{"id":1,"result":null}`)
		for range 3 {
			c.b.Kick("dev")
			r.offline()
			r.online()
			time.Sleep(time.Second)
		}
		c.wants("later", "")
		if st := r.module.Stats(); n.Load() != 1 || st.CloudInvalid != 3 {
			t.Errorf("served %d times, %d dropped", n.Load(), st.CloudInvalid)
		}
	})
}

// TestCloudRPCTooLong: the caller is told of an answer that is longer than the
// connection takes.
func TestCloudRPCTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, _, c := calledModule(t, ccm.Config{})
		r.module.HandleFunc("Test.Long", func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
			w.Result([]byte(`"` + strings.Repeat("x", cloud.DefaultMaxPacket) + `"`))
		})
		c.asks(call("1", "Test.Long", ""), `{"id":1,"error":{"code":413,"message":"the reply is too long"}}`)
	})
}

// TestCloudRPCDenied: a host that is refused the subscription of the module does not
// end that for good.
func TestCloudRPCDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, _, c := calledModule(t, ccm.Config{})
		c.b.Deny("dev/rpc/#")
		h.asks(sub(1, "dev/rpc/#"), `{"id":1,"error":{"code":403,"message":"the broker refuses the subscription"}}`)
		for range 2 {
			c.b.Kick("dev")
			r.offline()
			r.online()
		}
		c.b.Deny()
		c.b.Kick("dev")
		r.offline()
		r.online()
		c.asks(call("2", "RPC.Ping", ""), `{"id":2,"result":{"channel_info":""}}`)
	})
}

// TestCloudRPCUnsent: an answer that cannot be sent any more is counted and
// logged.
func TestCloudRPCUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logbook)
		r, _, _, c := calledModule(t, ccm.Config{Logger: log.logger()})
		release := make(chan struct{})
		r.module.HandleFunc("Test.Slow", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) { <-release })
		c.asks(call("1", "Test.Slow", ""), "")
		c.b.Stop()
		r.offline()
		close(release)
		time.Sleep(11 * time.Second)
		if st := r.module.Stats(); st.CloudUnsent != 1 {
			t.Errorf("%+v", st)
		}
		log.want(t, "level=WARN", "answer to the cloud not sent", "dst=me")
		c.b.Start()
		r.online()
		c.asks(call("2", "RPC.Ping", ""), `{"id":2,"result":{"channel_info":""}}`)
	})
}
