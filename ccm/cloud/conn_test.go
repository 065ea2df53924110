package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ccmkit/ccmkit/ccm/cloud"
)

func TestPublishAndReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		got := make(chan *cloud.Message, 10)
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial, OnMessage: func(m *cloud.Message) { got <- m }})
		defer c.stop(t)
		c.connected(t, true)
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x/#", QoS: 1}); err != nil {
			t.Fatal(err)
		}
		for qos := range byte(2) {
			if err := c.Publish(t.Context(), cloud.Message{Topic: "x/y", Payload: []byte("hello"), QoS: qos}); err != nil {
				t.Fatal(err)
			}
			m := <-got
			if m.Topic != "x/y" || string(m.Payload) != "hello" || m.QoS != qos {
				t.Errorf("got %+v", m)
			}
			m.Ack()
		}
		synctest.Wait()
		s := c.Stats()
		if s.Published != 2 || s.Received != 2 || s.Acknowledged != 1 || s.Attempts != 1 || s.Connects != 1 || s.BytesIn == 0 || s.BytesOut == 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestIdle keeps a connection without traffic for six hours.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial})
		defer c.stop(t)
		time.Sleep(6 * time.Hour)
		if s := c.Stats(); s.Attempts != 1 || s.Lost != 0 || !c.Status().Connected {
			t.Errorf("%v, stats %+v", c.Status(), s)
		}
	})
}

// TestReconnect breaks a connection again and again: every time, the
// subscriptions are there again, whether the server remembers the session or not.
func TestReconnect(t *testing.T) {
	for _, persistent := range []bool{false, true} {
		t.Run(fmt.Sprint("persistent=", persistent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBroker(t)
				defer b.close()
				var got []string
				var mu sync.Mutex
				c := run(t, cloud.Config{ClientID: "a", PersistentSession: persistent, Dial: b.dial, OnMessage: func(m *cloud.Message) {
					m.Ack()
					mu.Lock()
					defer mu.Unlock()
					got = append(got, string(m.Payload))
				}})
				defer c.stop(t)
				c.connected(t, true)
				if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x", QoS: 1}); err != nil {
					t.Fatal(err)
				}
				var want []string
				for i := range 20 {
					want = append(want, fmt.Sprint(i))
					b.Publish("x", []byte(want[i]), false, 1)
					synctest.Wait()
					b.cut()
					c.connected(t, false)
					if s := c.Status(); s.Reason != cloud.ReasonClosed || s.Err == nil || s.Next.IsZero() {
						t.Fatalf("status %+v", s)
					}
					c.connected(t, true)
					if s := c.Status(); s.SessionPresent != persistent {
						t.Fatalf("status %+v", s)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				if !slices.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
				if s := c.Stats(); s.Lost != 20 || s.Connects != 21 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

// TestResubscribe looks at the packets: at most 8 filters in each, all of them at
// every connect, and no message is taken before they are answered.
func TestResubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(chan []string, 100)
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(1)
			for left := 20; left > 0; {
				filters := p.grant(p.want(0x80), grantAll)
				seen <- filters
				left -= len(filters)
			}
			time.Sleep(10 * time.Second)
		})
		defer wait()
		c, err := cloud.New(cloud.Config{Servers: []string{"a"}, ClientID: "a", PersistentSession: true, Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range 20 {
			f := fmt.Sprintf("f/%02d", i)
			want = append(want, f)
			if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: f, QoS: 1}); err != cloud.ErrOffline {
				t.Fatalf("subscribe before Run: %v", err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c.Run(ctx)
		for connect := range 2 {
			var got []string
			for _, n := range []int{8, 8, 4} {
				filters := <-seen
				if len(filters) != n {
					t.Errorf("connect %d: %d filters in a packet, want %d", connect, len(filters), n)
				}
				got = append(got, filters...)
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("connect %d: %q", connect, got)
			}
		}
	})
}

// TestStatus follows a connection by what OnStatus is told.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		b.stop()
		var got []string
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial, Rand: func() float64 { return 0.5 }, OnStatus: func(s cloud.Status) {
			got = append(got, fmt.Sprintf("%v %d: %v", s.Connected, s.Failures, s.Reason))
		}})
		time.Sleep(1500 * time.Millisecond) // attempts at 0 and 1 s
		b.start()
		c.connected(t, true)
		if s := c.Status(); s.Server != "broker.example:1883" || s.Secure || s.Err != nil || s.String() != "connected to broker.example:1883" {
			t.Errorf("status %+v", s)
		}
		since := c.Status().Since
		time.Sleep(time.Hour)
		if s := c.Status(); s.Since != since || time.Since(since) < time.Hour {
			t.Errorf("connected since %v", s.Since)
		}
		b.cut()
		c.connected(t, false)
		c.connected(t, true)
		c.stop(t)
		want := []string{
			"false 1: the server cannot be reached",
			"false 2: the server cannot be reached",
			"true 0: connected",
			"false 1: the server closed the connection",
			"true 0: connected",
			"false 0: stopped",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if s := c.Status(); s.Connected || s.Reason != cloud.ReasonStopped || s.Err != nil {
			t.Errorf("status %+v", s)
		}
	})
}

func TestRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial})
		c.connected(t, true)
		if err := c.Run(t.Context()); err != cloud.ErrRunning {
			t.Errorf("Run beside Run: %v", err)
		}
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x"}); err != nil {
			t.Error(err)
		}
		c.stop(t)
		synctest.Wait() // the broker has forgotten the first connection
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() {
			time.Sleep(time.Second)
			if !c.Status().Connected || len(b.Topics.Subscribers("x").Subscriptions) != 1 {
				t.Errorf("second Run: %v", c.Status())
			}
			cancel()
		}()
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestWill: the will is published when the connection breaks, and not when Run
// ends.
func TestWill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		wills := make(chan string, 10)
		b.Subscribe("will/#", 1, func(_ *mochi.Client, _ packets.Subscription, pk packets.Packet) {
			wills <- pk.TopicName + " " + string(pk.Payload)
		})
		cfg := cloud.Config{
			ClientID: "a", Dial: b.dial,
			Will: &cloud.Message{Topic: "will/a", Payload: []byte("gone"), QoS: 1, Retain: true},
		}
		c := run(t, cfg)
		c.connected(t, true)
		b.cut()
		c.connected(t, false)
		synctest.Wait()
		if got := <-wills; got != "will/a gone" {
			t.Errorf("will %q", got)
		}
		c.connected(t, true)
		c.stop(t)
		synctest.Wait()
		if len(wills) != 0 {
			t.Errorf("will %q after the end of Run", <-wills)
		}
	})
}

// TestServers: the next server is tried after a failure, the same one after a
// connection that was good.
func TestServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		var mu sync.Mutex
		var tried []string
		c := run(t, cloud.Config{ClientID: "a", Servers: []string{"a", "mqtt://b:99", "c"}, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			tried = append(tried, address)
			if network != "tcp" || address == "a:1883" || len(tried) == 5 {
				return nil, errRefused
			}
			return b.dial(ctx, network, address)
		}})
		defer c.stop(t)
		c.connected(t, true)
		time.Sleep(time.Minute)
		b.cut()
		c.connected(t, false)
		c.connected(t, true) // the same server
		b.cut()              // at once: that was no good one
		c.connected(t, false)
		c.connected(t, true)
		mu.Lock()
		defer mu.Unlock()
		want := []string{"a:1883", "b:99", "b:99", "c:1883"}
		if !slices.Equal(tried, want) {
			t.Errorf("tried %q, want %q", tried, want)
		}
	})
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		build := time.Now().Add(time.Hour)
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial, BuildTime: build, RequireTime: true})
		defer c.stop(t)
		time.Sleep(59 * time.Minute)
		if s := c.Status(); s.Reason != cloud.ReasonClock || b.dials.Load() != 0 {
			t.Errorf("status %v, %d dials", s, b.dials.Load())
		}
		time.Sleep(2 * time.Minute)
		if s := c.Status(); !s.Connected {
			t.Errorf("status %v", s)
		}
	})
}

func TestConfigErrors(t *testing.T) {
	ok := func() cloud.Config { return cloud.Config{Servers: []string{"a"}, ClientID: "x"} }
	if _, err := cloud.New(ok()); err != nil {
		t.Fatal(err)
	}
	will := func(m cloud.Message) func(*cloud.Config) { return func(c *cloud.Config) { c.Will = &m } }
	tests := []struct {
		name   string
		change func(*cloud.Config)
		want   string
	}{
		{"no server", func(c *cloud.Config) { c.Servers = nil }, "cloud: Config.Servers is empty"},
		{"bad server", func(c *cloud.Config) { c.Servers = []string{"a", "http://b"} }, "cloud: Config.Servers[1]: the scheme must be mqtt or mqtts"},
		{"password in server", func(c *cloud.Config) { c.Servers = []string{"mqtt://u:secret@b"} }, "cloud: Config.Servers[0]: it must be HOST[:PORT], mqtt://HOST[:PORT] or mqtts://HOST[:PORT], without user and path"},
		{"plain credentials", func(c *cloud.Config) { c.Username = "u" }, "cloud: Config.Servers[0]: credentials are not sent without TLS"},
		{"password alone", func(c *cloud.Config) { c.Password = "secret" }, "cloud: Config.Username, Password: a password needs a user name"},
		{"long password", func(c *cloud.Config) { c.Username, c.Password = "u", cloud.Secret(make([]byte, 65536)) }, "cloud: Config.Username, Password: more than 65535 bytes"},
		{"user name", func(c *cloud.Config) { c.Username = "\xff" }, "cloud: Config.Username, Password: it must be UTF-8 without control characters"},
		{"client id", func(c *cloud.Config) { c.ClientID = "a\x00" }, "cloud: Config.ClientID: it must be UTF-8 without control characters"},
		{"session without client id", func(c *cloud.Config) { c.ClientID, c.PersistentSession = "", true }, "cloud: Config.PersistentSession needs a ClientID"},
		{"backoff", func(c *cloud.Config) { c.BackoffMin, c.BackoffMax = time.Minute, time.Second }, "cloud: Config.BackoffMin 1m0s is more than BackoffMax 1s"},
		{"in flight", func(c *cloud.Config) { c.MaxInFlight = 5000 }, "cloud: Config.MaxInFlight is more than 4096"},
		{"will topic", will(cloud.Message{Topic: "a/#"}), "cloud: Config.Will: cloud: invalid topic: it has a wildcard"},
		{"will QoS", will(cloud.Message{Topic: "a", QoS: 2}), "cloud: Config.Will: cloud: QoS must be 0 or 1"},
		{"will size", will(cloud.Message{Topic: "a", Payload: make([]byte, 65536)}), "cloud: Config.Will: more than 65535 bytes"},
		{"any CA", func(c *cloud.Config) { c.TLS.CAFile = "*" }, "cloud: Config.TLS.CAFile: * (trust everybody) is not possible"},
		{"cert without key", func(c *cloud.Config) { c.TLS.CertFile = "x" }, "cloud: Config.TLS: a certificate needs a key, and a key a certificate"},
		{"TLS and mqtt", func(c *cloud.Config) { c.TLS.Enable, c.Servers = true, []string{"mqtt://a"} }, "cloud: Config.Servers[0]: mqtt:// means no TLS, but a CA or a certificate is set"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := ok()
			test.change(&cfg)
			if _, err := cloud.New(cfg); err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %v", err, test.want)
			}
		})
	}
}

func TestServerAddresses(t *testing.T) {
	tests := []struct {
		entry   string
		secure  bool
		address string // "" = error
		tls     bool
	}{
		{"a", false, "a:1883", false},
		{"a", true, "a:8883", true},
		{"a:99", true, "a:99", true},
		{"mqtt://a", false, "a:1883", false},
		{"mqtt://a", true, "", false},
		{"mqtts://a", false, "a:8883", true},
		{"mqtts://a/", false, "a:8883", true},
		{"mqtts://a:443", true, "a:443", true},
		{"::1", false, "[::1]:1883", false},
		{"[::1]", false, "[::1]:1883", false},
		{"[::1]:5", false, "[::1]:5", false},
		{"127.0.0.1", false, "127.0.0.1:1883", false},
		{"", false, "", false},
		{"mqtt://", false, "", false},
		{":1883", false, "", false},
		{"a:", false, "", false},
		{"a:0", false, "", false},
		{"a:65536", false, "", false},
		{"a:b:c", false, "", false},
		{"[a", false, "", false},
		{"u:p@a", false, "", false},
		{"mqtt://a/path", false, "", false},
		{"mqtt://a?x", false, "", false},
		{"ws://a", false, "", false},
		{"a b", false, "", false},
	}
	for _, test := range tests {
		address, tls, err := cloud.ParseServer(test.entry, test.secure)
		if (err == nil) != (test.address != "") || err == nil && (address != test.address || tls != test.tls) {
			t.Errorf("%q, %v: %q, %v, %v", test.entry, test.secure, address, tls, err)
		}
	}
}

var errTest = errors.New("test")

// TestStopWhileAsking: a connection that ends because Run ends is not held against
// a filter that was not answered yet.
func TestStopWhileAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			if runs++; runs <= 3 {
				p.want(0x80)
				p.want(0xe0)
				return
			}
			p.serve()
		})
		defer wait()
		c, err := cloud.New(cloud.Config{Servers: []string{"a"}, ClientID: "a", Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		c.SubscribeFunc(cloud.Subscription{Filter: "x"}, func(error) {})
		for i := range 4 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			time.AfterFunc(500*time.Millisecond, func() {
				if s := c.Status(); len(s.Refused) != 0 || s.Connected != (i == 3) {
					t.Errorf("run %d: %v, refused %q", i, s, s.Refused)
				}
			})
			c.Run(ctx)
			cancel()
		}
	})
}
