package cloud_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
)

// TestConnackCodes: every refusal has its reason, and is asked again after 10 s
// at the soonest, but for one that is about the protocol.
func TestConnackCodes(t *testing.T) {
	tests := []struct {
		code   byte
		reason cloud.Reason
		floor  time.Duration
	}{
		{1, cloud.ReasonProtocolVersion, 0},
		{2, cloud.ReasonClientID, 10 * time.Second},
		{3, cloud.ReasonServerUnavailable, 10 * time.Second},
		{4, cloud.ReasonBadCredentials, 10 * time.Second},
		{5, cloud.ReasonNotAuthorized, 10 * time.Second},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, wait := scripted(func(conn net.Conn) {
					p := newPeer(t, conn)
					p.want(0x10)
					p.Write([]byte{0x20, 2, 0, test.code})
					p.linger()
				})
				defer wait()
				c := run(t, cloud.Config{ClientID: "a", Dial: dial})
				defer c.stop(t)
				synctest.Wait()
				s := c.Status()
				if s.Reason != test.reason || !strings.HasSuffix(s.Err.Error(), fmt.Sprintf("%v: CONNACK %d", test.reason, test.code)) {
					t.Errorf("status %+v", s)
				}
				if d := time.Until(s.Next); d < test.floor || d > 20*time.Second {
					t.Errorf("next attempt in %v", d)
				}
				if st := c.Stats(); st.Connects != 0 || st.Attempts != 1 {
					t.Errorf("stats %+v", st)
				}
			})
		})
	}
}

// TestCredentials: they are asked for at every attempt.
func TestCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		b.hook.set(func(h *hook) {
			h.connect = func(user, password string) bool { return user == "u" && password == "token 3" }
		})
		asked := 0
		c := run(t, cloud.Config{
			ClientID: "a", Dial: b.dial, AllowPlainCredentials: true, Username: "wrong",
			Credentials: func(ctx context.Context) (string, string, error) {
				asked++
				if asked == 1 {
					return "", "", errTest
				}
				return "u", fmt.Sprint("token ", asked), nil
			},
		})
		defer c.stop(t)
		synctest.Wait()
		if s := c.Status(); s.Reason != cloud.ReasonConfig || b.dials.Load() != 0 {
			t.Errorf("status %+v, %d dials", s, b.dials.Load())
		}
		c.connected(t, true)
		if asked != 3 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// TestBadCredentials: what MQTT cannot carry is not sent.
func TestBadCredentials(t *testing.T) {
	for _, creds := range [][2]string{{"", "secret"}, {"a\x00", ""}, {"a", strings.Repeat("x", 65536)}} {
		synctest.Test(t, func(t *testing.T) {
			c := run(t, cloud.Config{
				Servers: []string{"mqtts://a"}, ClientID: "a",
				Credentials: func(context.Context) (string, string, error) { return creds[0], creds[1], nil },
				Dial: func(context.Context, string, string) (net.Conn, error) {
					t.Error("dialled")
					return nil, errRefused
				},
			})
			defer c.stop(t)
			synctest.Wait()
			if s := c.Status(); s.Reason != cloud.ReasonConfig {
				t.Errorf("status %+v", s)
			}
		})
	}
}

// TestPlainCredentials: a user name or password does not leave the machine
// without TLS.
func TestPlainCredentials(t *testing.T) {
	tests := []struct {
		name   string
		server string
		remote string // where the connection turns out to go to
		allow  bool
		user   string
		sent   bool
	}{
		{"remote", "broker.example", "", false, "u", false},
		{"remote, allowed", "broker.example", "", true, "u", true},
		{"remote, nothing to send", "broker.example", "192.0.2.1", false, "", true},
		{"loopback", "127.0.0.9", "127.0.0.9", false, "u", true},
		{"loopback, IPv6", "[::1]:5", "::1", false, "u", true},
		{"localhost", "LocalHost:99", "127.0.0.1", false, "u", true},
		{"localhost that is not", "localhost", "192.0.2.1", false, "u", false},
		{"localhost that is not, allowed", "localhost", "192.0.2.1", true, "u", true},
		{"name like it", "localhost.example", "", false, "u", false},
		{"all addresses", "0.0.0.0", "", false, "u", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBroker(t)
				defer b.close()
				var sent atomic.Bool
				b.hook.set(func(h *hook) {
					h.connect = func(user, _ string) bool { sent.Store(user == test.user); return true }
				})
				c := run(t, cloud.Config{
					Servers: []string{test.server}, ClientID: "a", AllowPlainCredentials: test.allow,
					Credentials: func(context.Context) (string, string, error) { return test.user, "", nil },
					Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
						conn, err := b.dial(ctx, network, address)
						if test.remote != "" {
							conn.(*pipeEnd).addr = &net.TCPAddr{IP: net.ParseIP(test.remote)}
						}
						return conn, err
					},
				})
				defer c.stop(t)
				time.Sleep(time.Minute)
				if s := c.Status(); sent.Load() != test.sent || s.Connected != test.sent || !test.sent && s.Reason != cloud.ReasonPlainCredentials {
					t.Errorf("sent %v, %+v", sent.Load(), s)
				}
			})
		})
	}
}

// TestInsecureWarning: an unencrypted connection is logged, once.
func TestInsecureWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		log := new(logBook)
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial, Logger: log.logger()})
		defer c.stop(t)
		for range 3 {
			c.connected(t, true)
			b.cut()
			c.connected(t, false)
		}
		if n := strings.Count(log.String(), "not encrypted"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, log)
		}
	})
}

// TestNoSecrets searches everything that can be printed for the password.
func TestNoSecrets(t *testing.T) {
	const canary = "canary-7f3a"
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		log := new(logBook)
		text := new(logBook)
		b.hook.set(func(h *hook) { h.connect = func(_, password string) bool { return password != canary+"x" } })
		for _, suffix := range []string{"", "x"} {
			cfg := cloud.Config{
				Servers: []string{"localhost"}, ClientID: "a", Username: "u", Password: cloud.Secret(canary + suffix),
				Dial: b.dial, Logger: log.logger(),
				OnStatus: func(s cloud.Status) {
					fmt.Fprintf(text, "%v %+v %#v %v", s, s, s, s.Err)
				},
			}
			c := run(t, cfg)
			time.Sleep(time.Minute)
			b.cut()
			time.Sleep(time.Minute)
			c.connected(t, suffix == "")
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
				fmt.Fprintf(text, verb, cfg)
				fmt.Fprintf(text, verb, &cfg)
				fmt.Fprintf(text, verb, cfg.Password)
				fmt.Fprintf(text, verb, c.Status())
			}
			log.logger().Info("config", "password", cfg.Password, slog.Any("any", cfg.Password))
			j, err := json.Marshal(map[string]any{"p": cfg.Password, "s": struct{ P cloud.Secret }{cfg.Password}})
			if err != nil {
				t.Error(err)
			}
			text.Write(j)
			c.stop(t)
			for _, verb := range []string{"%v", "%+v", "%#v"} {
				fmt.Fprintf(text, verb, c.Conn)
			}
		}
		all := text.String() + log.String()
		for _, secret := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprint([]byte(canary))[1:30]} {
			if i := strings.Index(all, secret); i >= 0 {
				t.Errorf("found in %q", all[max(0, i-100):i+50])
			}
		}
		if !strings.Contains(all, "********") {
			t.Error("no stars: the test does not test")
		}
	})
}

func TestSecret(t *testing.T) {
	for secret, want := range map[cloud.Secret]string{"": `//""/""/""`, "x": `********/********/"********"/"********"/"********"`} {
		j, err := json.Marshal(secret)
		got := fmt.Sprintf("%v/%s/%q/%#v/%s", secret, secret, secret, secret, j)
		if err != nil || got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if secret.LogValue().String() != secret.String() {
			t.Errorf("logged as %v", secret.LogValue())
		}
	}
}
