package ccm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/internal/testbed"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// These tests run a module with a real broker, in real time.

// mosquitto describes the connection to a real broker, with short waits.
func mosquitto(m *testbed.MosquittoServer) *cloud.Config {
	return &cloud.Config{Servers: []string{m.Addr}, BackoffMin: 10 * time.Millisecond, BackoffMax: 100 * time.Millisecond}
}

// device is a module with one host of package ccm/host.
type device struct {
	*rig
	host *host.Host
	uart *ccmtest.UART
}

// newDevice runs a module, and waits until it knows its host. The line is as fast
// as memory, so that messages come faster than any UART can bring them; both ends
// have room for all of them.
func newDevice(t *testing.T, id string, c *cloud.Config) *device {
	d := &device{uart: ccmtest.NewUART(ccmtest.Line{}), host: host.New(&host.Config{QueueLen: 10000})}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { d.host.Run(ctx, d.uart.Host()) })
	d.rig = start(t, ccm.Config{ID: id, Cloud: c, Hosts: []ccm.HostConfig{{Open: d.uart.OpenModule, Queue: 10000}}})
	t.Cleanup(func() {
		d.rig.stop()
		cancel()
		work.Wait()
	})
	found(t, d.module.Host(""))
	return d
}

// pub has the host publish with QoS 1, and returns what it is told.
func (d *device) pub(topic, message string) (string, error) {
	out, err := d.host.Call(context.Background(), nil, "MQTT.Pub", "{%Q:%Q,%Q:%Q,%Q:1}", "topic", topic, "message", message, "qos")
	return string(out), err
}

// must demands that the broker has taken a message.
func (d *device) must(topic, message string) {
	d.t.Helper()
	if out, err := d.pub(topic, message); out != "null" || err != nil {
		d.t.Fatalf("MQTT.Pub to %s: %s, %v", topic, out, err)
	}
}

// sub has the host subscribe. The channel gets "TOPIC MESSAGE".
func (d *device) sub(filter string) <-chan string {
	d.t.Helper()
	got := make(chan string, 10000)
	err := d.host.Subscribe(context.Background(), filter, 1, func(_ context.Context, topic string, payload []byte) {
		got <- topic + " " + string(payload)
	})
	if err != nil {
		d.t.Fatalf("MQTT.Sub %s: %v", filter, err)
	}
	return got
}

// want demands the next message of a subscription.
func want(t *testing.T, got <-chan string, text string) {
	t.Helper()
	select {
	case s := <-got:
		if s != text {
			t.Errorf("got %q, want %q", s, text)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("in vain for %q", text)
	}
}

// TestMosquittoWays goes over all ways to a broker: there and back.
func TestMosquittoWays(t *testing.T) {
	ca := testbed.NewCA(t, "CA")
	server := ca.Issue(t, "server", nil, nil)
	certFile, keyFile := ca.Issue(t, "client", nil, nil).WriteFiles(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, ca.PEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	users := map[string]string{"alice": "secret"}
	for _, tt := range []struct {
		name   string
		broker testbed.MosquittoOptions
		change func(c *cloud.Config)
		reason cloud.Reason // why there is no connection
	}{
		{"plain", testbed.MosquittoOptions{}, func(c *cloud.Config) {}, 0},
		{"TLS", testbed.MosquittoOptions{Server: server}, func(c *cloud.Config) { c.TLS.CAFile = caFile }, 0},
		{"TLS, unknown CA", testbed.MosquittoOptions{Server: server}, func(c *cloud.Config) { c.TLS.Enable = true }, cloud.ReasonTLSUnknownCA},
		{"mutual TLS", testbed.MosquittoOptions{Server: server, ClientCA: ca}, func(c *cloud.Config) {
			c.TLS = cloud.TLSConfig{CAFile: caFile, CertFile: certFile, KeyFile: keyFile}
		}, 0},
		{"mutual TLS, no certificate", testbed.MosquittoOptions{Server: server, ClientCA: ca},
			func(c *cloud.Config) { c.TLS.CAFile = caFile }, cloud.ReasonTLSClient},
		{"password", testbed.MosquittoOptions{Users: users}, func(c *cloud.Config) { c.Username, c.Password = "alice", "secret" }, 0},
		{"password over TLS", testbed.MosquittoOptions{Users: users, Server: server}, func(c *cloud.Config) {
			c.Username, c.Password, c.TLS.CAFile = "alice", "secret", caFile
		}, 0},
		{"wrong password", testbed.MosquittoOptions{Users: users},
			func(c *cloud.Config) { c.Username, c.Password = "alice", "wrong" }, cloud.ReasonNotAuthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := mosquitto(testbed.Mosquitto(t, tt.broker))
			tt.change(c)
			d := newDevice(t, "way-1", c)
			status := func() cloud.Status { return d.module.Status().Cloud }
			if tt.reason != 0 {
				eventually(t, tt.reason.String(), func() bool { return status().Reason == tt.reason })
				if out, err := d.pub("way-1/up", "later"); out != `{"queued":true}` || err != nil {
					t.Errorf("MQTT.Pub without a connection: %s, %v", out, err)
				}
				return
			}
			d.online()
			if status().Secure != (tt.broker.Server != nil) {
				t.Errorf("%+v", status())
			}
			got := d.sub("way-1/#")
			for i := range 20 {
				text := fmt.Sprintf("message %d, größer", i)
				d.must("way-1/up", text)
				want(t, got, "way-1/up "+text)
			}
		})
	}
}

// TestMosquittoRights: a filter that the broker denies is an error 403 for the
// host, and harms no other subscription; what may not be published is
// acknowledged and dropped, as MQTT 3.1.1 has no way to tell.
func TestMosquittoRights(t *testing.T) {
	t.Run("subscribe", func(t *testing.T) {
		d := newDevice(t, "right-1", mosquitto(testbed.Mosquitto(t, testbed.MosquittoOptions{Deny: []string{"secret/#"}})))
		d.online()
		got := d.sub("open/#")
		for range 3 {
			err := d.host.Subscribe(t.Context(), "secret/x", 1, nil)
			if e, is := errors.AsType[*jsonrpc.Error](err); !is || e.Code != jsonrpc.CodeDenied {
				t.Errorf("MQTT.Sub: %v", err)
			}
		}
		d.must("open/x", "hello")
		want(t, got, "open/x hello")
		if s := d.module.Stats().Cloud; s.Lost != 0 || s.Refused != 3 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("publish", func(t *testing.T) {
		c := mosquitto(testbed.Mosquitto(t, testbed.MosquittoOptions{
			Users: map[string]string{"alice": "secret"}, ACL: "user alice\ntopic readwrite alice/#\ntopic read bob/#\n",
		}))
		c.Username, c.Password = "alice", "secret"
		d := newDevice(t, "right-2", c)
		d.online()
		got := d.sub("#")
		d.must("bob/x", "dropped")
		d.must("alice/x", "hello")
		want(t, got, "alice/x hello")
	})
}

// TestMosquittoBadTopics: topics and filters for which the broker would end the
// connection do not reach it.
func TestMosquittoBadTopics(t *testing.T) {
	d := newDevice(t, "topic-1", mosquitto(testbed.Mosquitto(t, testbed.MosquittoOptions{})))
	d.online()
	got := d.sub("topic-1/#")
	invalid := func(method, params string) {
		t.Helper()
		out, err := d.host.Call(t.Context(), nil, method, "%s", params)
		if e, is := errors.AsType[*jsonrpc.Error](err); !is || e.Code != jsonrpc.CodeInvalidParams {
			t.Errorf("%s %s: %s, %v", method, params, out, err)
		}
	}
	for _, topic := range []string{`a/+`, `#`, `a+`, `a\u0000b`, `\u0000`, ``, `a\u0001`, `\ufffe`, strings.Repeat("/", 300), strings.Repeat("x", 1025)} {
		for qos := range 2 {
			invalid("MQTT.Pub", fmt.Sprintf(`{"topic":"%s","message":"x","qos":%d}`, topic, qos))
		}
	}
	for _, filter := range []string{`a\u0000b`, `a#`, `#/a`, `a+/b`, ``, `$share/x`} {
		invalid("MQTT.Sub", fmt.Sprintf(`{"topic":"%s"}`, filter))
		invalid("MQTT.Unsub", fmt.Sprintf(`{"topic":"%s"}`, filter))
	}
	for _, params := range []string{`{"topic":5,"message":"x"}`, `{"message":"x"}`, `{"topic":"a","message":5}`, `{"topic":"a"}`, `{"topic":"a","message":"x","qos":2}`, `[]`, `5`} {
		invalid("MQTT.Pub", params)
	}
	d.must("topic-1/x", "hello")
	want(t, got, "topic-1/x hello")
	if s := d.module.Stats(); s.Cloud.Lost != 0 || s.Cloud.Connects != 1 || s.Hosts[""].Port.Opened != 1 {
		t.Errorf("%+v", s)
	}
}

// TestMosquittoRestart: the broker is restarted, or killed, while a host
// publishes. What the host was told of as null or as queued arrives, in order.
//
// The rule for a kill: what mosquitto has acknowledged and not yet handed on
// lives in its memory until it is saved, here once in a second. So a message that
// was answered in the last two seconds before a kill may be missing. After a
// restart nothing may be missing.
func TestMosquittoRestart(t *testing.T) {
	for _, how := range []string{"restart", "kill"} {
		t.Run(how, func(t *testing.T) {
			m := testbed.Mosquitto(t, testbed.MosquittoOptions{Persistent: true, Config: "max_queued_messages 0\n"})
			c := mosquitto(m)
			c.PersistentSession = true
			reader := newDevice(t, "reader", c)
			reader.online()
			got := reader.sub("work")
			w := newWriter(t)
			d := up(t, ccm.Config{ID: "worker", Cloud: mosquitto(m), Hosts: []ccm.HostConfig{w.config("")}})
			time.Sleep(1500 * time.Millisecond) // the broker has saved the reader's session

			publish := func(d time.Duration) {
				for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Millisecond) {
					w.publish()
				}
			}
			var kills []time.Time
			for range 2 {
				publish(1500 * time.Millisecond)
				if how == "kill" {
					m.Kill()
					kills = append(kills, time.Now())
				} else {
					m.Stop()
				}
				publish(200 * time.Millisecond)
				m.Start()
			}
			publish(500 * time.Millisecond)
			eventually(t, "all answers", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.answers) == w.sent })
			eventually(t, "an empty queue", func() bool { return d.module.Stats().Outbox.Len == 0 })
			reader.online()
			w.send(`{"method":"MQTT.Pub","params":{"topic":"work","message":"end","qos":1}}` + "\n")
			seen, doubles := arrivals(t, got, w.sent)
			queued, missing := 0, 0
			for i := range seen {
				a, _ := w.told(i)
				switch a.text {
				case `"result":null`:
				case `"result":{"queued":true}`:
					queued++
				default:
					t.Fatalf("message %d answered %s", i, a.text)
				}
				if seen[i] {
					continue
				}
				missing++
				if !slices.ContainsFunc(kills, func(k time.Time) bool { return k.After(a.at) && k.Sub(a.at) < 2*time.Second }) {
					t.Errorf("message %d, answered %s at %v, is missing; killed at %v", i, a.text, a.at, kills)
				}
			}
			s := d.module.Stats()
			t.Logf("%d messages, %d answered queued, %d sent again, %d doubled, %d missing", w.sent, queued, s.Outbox.Resent, doubles, missing)
			if r := reader.module.Stats(); r.Overflow+r.Undelivered > 0 {
				t.Errorf("the reader: %+v", r)
			}
			if queued == 0 || s.Cloud.Lost != 2 || s.Outbox.Accepted != uint64(w.sent+1) || s.Outbox.Dropped+s.Outbox.Refused > 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestMosquittoRedelivery: after a reconnect the host gets what is retained again,
// and, if the session is kept, what was not acknowledged and what came meanwhile.
func TestMosquittoRedelivery(t *testing.T) {
	m := testbed.Mosquitto(t, testbed.MosquittoOptions{Persistent: true})
	other := newDevice(t, "other", mosquitto(m))
	other.online()
	out, err := other.host.Call(t.Context(), nil, "MQTT.Pub", `{"topic":%Q,"message":%Q,"qos":1,"retain":true}`, "x/kept", "retained")
	if string(out) != "null" || err != nil {
		t.Fatalf("MQTT.Pub: %s, %v", out, err)
	}
	c := mosquitto(m)
	c.PersistentSession = true
	d := newDevice(t, "keeper", c)
	d.online()
	got := d.sub("x/#")
	want(t, got, "x/kept retained")
	other.must("x/1", "at once")
	want(t, got, "x/1 at once")

	// The host takes nothing while this arrives, so that it is not acknowledged.
	d.uart.Module().Stall(true)
	other.must("x/2", "stuck")
	eventually(t, "the message", func() bool { return d.module.Stats().Arrived == 3 })
	m.Stop()
	d.offline()
	other.offline()
	if out, err := other.pub("x/3", "meanwhile"); out != `{"queued":true}` || err != nil {
		t.Errorf("MQTT.Pub without a connection: %s, %v", out, err)
	}
	m.Start()
	d.online()
	eventually(t, "the messages", func() bool { return d.module.Stats().Arrived == 6 })
	d.uart.Module().Stall(false)
	count := map[string]int{}
	for range 4 {
		select {
		case s := <-got:
			count[s]++
		case <-time.After(10 * time.Second):
			t.Fatalf("got only %v", count)
		}
	}
	if count["x/2 stuck"] != 2 || count["x/3 meanwhile"] != 1 || count["x/kept retained"] != 1 {
		t.Errorf("got %v", count)
	}
	eventually(t, "acknowledgements", func() bool {
		s := d.module.Stats()
		return s.Delivered == 6 && s.Cloud.Acknowledged == 5 // the first one of x/2 had nobody to tell
	})
}
