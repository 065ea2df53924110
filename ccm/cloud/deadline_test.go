package cloud_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
)

// stages are servers that get stuck somewhere, with what a configuration needs
// to get there.
var stages = []struct {
	name   string
	cfg    cloud.Config
	dial   func(ctx context.Context) (net.Conn, error) // instead of serve
	serve  func(p *peer)
	up     bool          // CONNACK comes
	limit  time.Duration // until the connection is given up; 0 = never
	reason cloud.Reason
	text   string
}{
	{
		name:  "credentials",
		cfg:   cloud.Config{Credentials: func(ctx context.Context) (string, string, error) { <-ctx.Done(); return "", "", ctx.Err() }},
		serve: func(p *peer) {},
		limit: 15 * time.Second, reason: cloud.ReasonConfig, text: "context deadline exceeded",
	},
	{
		name:  "dial",
		dial:  func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() },
		limit: 15 * time.Second, reason: cloud.ReasonTimeout, text: "context deadline exceeded",
	},
	{
		name:  "TLS handshake",
		cfg:   cloud.Config{Servers: []string{"mqtts://a"}},
		serve: func(p *peer) { io.Copy(io.Discard, p.r) },
		limit: 15 * time.Second, reason: cloud.ReasonTimeout, text: "during the TLS handshake",
	},
	{
		name:  "CONNECT not read",
		cfg:   cloud.Config{ClientID: strings.Repeat("x", 1000), Will: &cloud.Message{Topic: "a", Payload: make([]byte, 65_000)}},
		serve: func(p *peer) { time.Sleep(time.Hour) },
		limit: 10 * time.Second, reason: cloud.ReasonTimeout, text: "the network takes no more bytes",
	},
	{
		name:  "CONNACK",
		serve: func(p *peer) { p.linger() },
		limit: 15 * time.Second, reason: cloud.ReasonTimeout, text: "no answer in time",
	},
	{
		name:  "half a CONNACK",
		serve: func(p *peer) { p.Write(connack[:3]); p.linger() },
		limit: 15 * time.Second, reason: cloud.ReasonTimeout, text: "no answer in time",
	},
	{
		name:  "SUBACK",
		serve: func(p *peer) { p.accept(0); p.linger() },
		limit: 10 * time.Second, reason: cloud.ReasonTimeout, text: "no SUBACK or UNSUBACK in time",
	},
	{
		name:  "silence",
		serve: func(p *peer) { p.accept(0); p.grant(p.want(0x80), grantAll); p.linger() },
		up:    true, limit: 75 * time.Second, reason: cloud.ReasonTimeout, text: "nothing was received for longer than the keepalive allows",
	},
	{
		name: "a packet that never ends",
		serve: func(p *peer) {
			p.accept(0)
			p.grant(p.want(0x80), grantAll)
			for _, b := range publish("x", strings.Repeat("x", 1000), 0) {
				if _, err := p.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		},
		up: true, limit: 75 * time.Second, reason: cloud.ReasonTimeout, text: "nothing was received for longer than the keepalive allows",
	},
	{
		name:  "connected",
		serve: func(p *peer) { p.accept(0); p.serve() },
		up:    true,
	},
}

// startStage runs a stage.
func startStage(t *testing.T, i int) (c *runner, wait func()) {
	s := stages[i]
	cfg := s.cfg
	cfg.OnMessage = func(*cloud.Message) {}
	cfg.Rand = func() float64 { return 0.999 } // no second attempt at once
	if cfg.ClientID == "" {
		cfg.ClientID = "a"
	}
	dial, wait := scripted(func(conn net.Conn) { s.serve(newPeer(t, conn)) })
	cfg.Dial = dial
	if s.dial != nil {
		cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dial(ctx) }
	}
	return run(t, cfg, "x"), wait
}

// TestDeadlines: a server that gets stuck is given up, wherever that is.
func TestDeadlines(t *testing.T) {
	for i, s := range stages {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, wait := startStage(t, i)
				if s.limit == 0 {
					time.Sleep(time.Hour)
					if st := c.Stats(); !c.Status().Connected || st.Lost != 0 {
						t.Errorf("%v, stats %+v", c.Status(), st)
					}
				} else {
					time.Sleep(s.limit - time.Second)
					if st := c.Status(); st.Connected != s.up || st.Failures != 0 {
						t.Errorf("after %v: %+v", s.limit-time.Second, st)
					}
					time.Sleep(2 * time.Second)
					st := c.Status()
					if st.Reason != s.reason || st.Err == nil || !strings.HasSuffix(st.Err.Error(), s.text) {
						t.Errorf("status %+v", st)
					}
				}
				c.stop(t)
				wait()
			})
		})
	}
}

// TestStop: Run returns at once, wherever the connection is.
func TestStop(t *testing.T) {
	for i, s := range stages {
		t.Run(s.name, func(t *testing.T) {
			for _, after := range []time.Duration{0, 5 * time.Second, s.limit + 100*time.Millisecond} {
				synctest.Test(t, func(t *testing.T) {
					c, wait := startStage(t, i)
					time.Sleep(after)
					if d := took(func() { c.stop(t) }); d > 100*time.Millisecond {
						t.Errorf("after %v, Run took %v to return", after, d)
					}
					wait()
				})
			}
		})
	}
}

// TestStopStuck: Run returns in time when the network takes no more bytes, and
// when the server does not close the connection after DISCONNECT.
func TestStopStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			time.Sleep(5 * time.Second)
			p.linger()
			time.Sleep(time.Second)
		})
		defer wait()
		for _, bytes := range []int{0, 200_000} {
			c := run(t, cloud.Config{ClientID: "a", Dial: dial, MaxPacket: 1 << 20})
			c.connected(t, true)
			ended := make(chan error, 2)
			if bytes > 0 {
				for qos := range byte(2) {
					m := cloud.Message{Topic: "a", Payload: make([]byte, bytes), QoS: qos}
					if err := c.PublishFunc(m, func(err error) { ended <- err }); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(time.Second)
			if d := took(func() { c.stop(t) }); d > 100*time.Millisecond {
				t.Errorf("Run took %v to return", d)
			}
			for range cap(ended) * min(bytes, 1) {
				if err := <-ended; err != cloud.ErrLost {
					t.Errorf("a message ended with %v", err)
				}
			}
		}
	})
}

// TestStuckWrite: a network that takes no more bytes is given up after a while.
func TestStuckWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) {
			newPeer(t, conn).accept(0)
			time.Sleep(time.Minute)
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial, MaxPacket: 1 << 20})
		defer c.stop(t)
		c.connected(t, true)
		d := took(func() {
			if err := c.Publish(t.Context(), cloud.Message{Topic: "a", Payload: make([]byte, 200_000)}); err != cloud.ErrLost {
				t.Errorf("Publish: %v", err)
			}
		})
		if d < 5*time.Second || d > 10*time.Second {
			t.Errorf("given up after %v", d)
		}
		c.connected(t, false)
		if s := c.Status(); s.Reason != cloud.ReasonTimeout || !strings.HasSuffix(s.Err.Error(), "the network takes no more bytes") {
			t.Errorf("status %+v", s)
		}
	})
}

// TestDisconnect: the last packet is DISCONNECT, and the server reads it however
// busy the connection is.
func TestDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		farewell := make(chan byte, 1)
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			var last byte
			go func() {
				for {
					if _, err := p.Write(publish("x", "noise", 0)); err != nil {
						return
					}
					time.Sleep(time.Millisecond)
				}
			}()
			for {
				kind, _ := p.next()
				if kind == 0 {
					break
				}
				last = kind
				time.Sleep(10 * time.Millisecond) // a slow reader
			}
			farewell <- last
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial})
		c.connected(t, true)
		for range 20 {
			if err := c.PublishFunc(cloud.Message{Topic: "a"}, nil); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		c.stop(t)
		if last := <-farewell; last != 0xe0 {
			t.Errorf("the last packet was %#02x", last)
		}
	})
}

// TestKeepAlive counts pings: one each interval, and none while there is
// traffic in both directions.
func TestKeepAlive(t *testing.T) {
	for given, keepalive := range map[time.Duration]time.Duration{
		0: time.Minute, time.Second: time.Second, 1500 * time.Millisecond: 2 * time.Second,
		10 * time.Second: 10 * time.Second, 11 * time.Second: 11 * time.Second, 20 * time.Minute: 20 * time.Minute,
	} {
		t.Run(given.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, wait := scripted(func(conn net.Conn) {
					p := newPeer(t, conn)
					connect := p.accept(0)
					if got := time.Duration(connect[8])<<8 + time.Duration(connect[9]); got*time.Second != keepalive {
						t.Errorf("CONNECT has a keepalive of %v s", got)
					}
					last := time.Now()
					for {
						kind, _ := p.next()
						switch {
						case kind == 0xc0:
							p.Write([]byte{0xd0, 0})
						case kind == 0xe0 || kind == 0:
							return
						}
						if d := time.Since(last); d > keepalive*3/2 {
							t.Errorf("silent for %v", d)
						}
						last = time.Now()
					}
				})
				defer wait()
				c := run(t, cloud.Config{ClientID: "a", Dial: dial, KeepAlive: given})
				defer c.stop(t)
				time.Sleep(20 * keepalive)
				s := c.Stats()
				if n := s.BytesIn - 4; s.Lost != 0 || n < 20 || n > 40 { // two bytes a ping
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}
