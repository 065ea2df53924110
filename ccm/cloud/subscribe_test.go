package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
)

// filters returns what a Conn is subscribed to.
func filters(c *runner) (list []string) {
	for _, s := range c.Subscriptions() {
		list = append(list, s.Filter)
	}
	return list
}

// TestRefused: a subscription that the server refuses is reported and forgotten,
// the others stay.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		deny := func(filter string) bool { return !strings.HasPrefix(filter, "secret") }
		b.hook.set(func(h *hook) { h.subscribe = deny })
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial})
		defer c.stop(t)
		c.connected(t, true)
		err := c.Subscribe(t.Context(),
			cloud.Subscription{Filter: "a"}, cloud.Subscription{Filter: "secret/2"}, cloud.Subscription{Filter: "b"}, cloud.Subscription{Filter: "secret/1"})
		refused, is := errors.AsType[*cloud.SubscribeError](err)
		if !is {
			t.Fatalf("error %v", err)
		}
		if slices.Sort(refused.Filters); !slices.Equal(refused.Filters, []string{"secret/1", "secret/2"}) {
			t.Errorf("refused %q", refused.Filters)
		}
		if got := filters(c); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("subscribed to %q", got)
		}
		if s := c.Status(); len(s.Refused) != 0 || c.Stats().Refused != 2 {
			t.Errorf("%+v, stats %+v", s, c.Stats())
		}
	})
}

// TestRefusedLater: one that is refused when it is sent again stays, and the
// status names it.
func TestRefusedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial})
		defer c.stop(t)
		c.connected(t, true)
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "a"}, cloud.Subscription{Filter: "b"}); err != nil {
			t.Fatal(err)
		}
		again := func(refused ...string) {
			t.Helper()
			b.cut()
			c.connected(t, false)
			c.connected(t, true)
			if got := c.Status().Refused; !slices.Equal(got, refused) {
				t.Errorf("refused %q, want %q", got, refused)
			}
			if got := filters(c); !slices.Equal(got, []string{"a", "b"}) {
				t.Errorf("subscribed to %q", got)
			}
		}
		b.hook.set(func(h *hook) { h.subscribe = func(filter string) bool { return filter != "b" } })
		again("b")
		b.hook.set(func(h *hook) { h.subscribe = nil })
		again()
	})
}

// TestSubscribeLifetime follows a subscription through all states of the
// connection.
func TestSubscribeLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		b.stop()
		got := make(chan string, 10)
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial, OnMessage: func(m *cloud.Message) { got <- m.Topic }})
		defer c.stop(t)
		for range 2 {
			if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x"}); err != cloud.ErrOffline {
				t.Errorf("offline: %v", err)
			}
		}
		if len(c.Subscriptions()) != 1 {
			t.Errorf("subscriptions %v", c.Subscriptions())
		}
		b.start()
		c.connected(t, true)
		b.Publish("x", nil, false, 0)
		<-got
		if err := c.Subscribe(t.Context()); err != nil {
			t.Errorf("of nothing: %v", err)
		}
		// the same filter twice in one call, with another QoS
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x", QoS: 1}, cloud.Subscription{Filter: "x", QoS: 1}); err != nil {
			t.Error(err)
		}
		if got := c.Subscriptions(); !slices.Equal(got, []cloud.Subscription{{Filter: "x", QoS: 1}}) {
			t.Errorf("subscriptions %v", got)
		}
		if err := c.Unsubscribe(t.Context(), "x", "never/subscribed"); err != nil {
			t.Error(err)
		}
		b.Publish("x", nil, false, 0)
		synctest.Wait()
		if len(got) != 0 || len(c.Subscriptions()) != 0 {
			t.Error("still subscribed")
		}
		b.stop()
		c.connected(t, false)
		if err := c.Unsubscribe(t.Context(), "x"); err != nil {
			t.Errorf("offline: %v", err)
		}
	})
}

// TestUnsubscribeOffline: a session that the server keeps is told of it later.
func TestUnsubscribeOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		c := run(t, cloud.Config{ClientID: "a", PersistentSession: true, Dial: b.dial})
		defer c.stop(t)
		c.connected(t, true)
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x"}, cloud.Subscription{Filter: "y"}); err != nil {
			t.Fatal(err)
		}
		b.stop()
		c.connected(t, false)
		for range 2 {
			if err := c.Unsubscribe(t.Context(), "x", "y"); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "y"}); err != cloud.ErrOffline {
			t.Fatal(err)
		}
		b.start()
		c.connected(t, true)
		if len(b.Topics.Subscribers("x").Subscriptions) != 0 || len(b.Topics.Subscribers("y").Subscriptions) != 1 {
			t.Error("want a subscription to y, and none to x")
		}
	})
}

// TestUnsubscribeLost: an UNSUBSCRIBE that was not answered is sent again to a
// server that keeps the session, and to no other.
func TestUnsubscribeLost(t *testing.T) {
	for _, persistent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			seen := make(chan string, 10)
			dial, wait := scripted(func(conn net.Conn) {
				p := newPeer(t, conn)
				p.accept(0)
				for {
					kind, body := p.next()
					switch kind & 0xf0 {
					case 0xa0:
						seen <- string(body[4:])
						if len(seen) == 1 {
							return
						}
						p.Write([]byte{0xb0, 2, body[0], body[1]})
					case 0:
						return
					}
				}
			})
			defer wait()
			c := run(t, cloud.Config{ClientID: "a", PersistentSession: persistent, Dial: dial})
			defer c.stop(t)
			c.connected(t, true)
			if err := c.Unsubscribe(t.Context(), "x"); err != cloud.ErrLost {
				t.Errorf("Unsubscribe: %v", err)
			}
			c.connected(t, false)
			c.connected(t, true)
			if again := len(seen) == 2; again != persistent {
				t.Errorf("persistent %v: sent again: %v", persistent, again)
			}
		})
	}
}

func TestTooManySubscriptions(t *testing.T) {
	c, err := cloud.New(cloud.Config{Servers: []string{"a"}, ClientID: "a", PersistentSession: true, MaxSubscriptions: 3})
	if err != nil {
		t.Fatal(err)
	}
	sub := func(names ...string) error {
		var subs []cloud.Subscription
		for _, n := range names {
			subs = append(subs, cloud.Subscription{Filter: n})
		}
		return c.Subscribe(t.Context(), subs...)
	}
	if err := sub("a", "b", "c", "d"); err != cloud.ErrTooManySubscriptions || len(c.Subscriptions()) != 0 {
		t.Errorf("%v, %v", err, c.Subscriptions())
	}
	if err := sub("a", "b", "b", "c"); err != cloud.ErrOffline {
		t.Error(err)
	}
	if err := sub("d"); err != cloud.ErrTooManySubscriptions {
		t.Error(err)
	}
	if err := sub("a", "c"); err != cloud.ErrOffline { // they are there
		t.Error(err)
	}
	if err := c.Unsubscribe(t.Context(), "a", "b", "c"); err != nil {
		t.Error(err)
	}
	if err := c.Unsubscribe(t.Context(), "d"); err != cloud.ErrTooManySubscriptions {
		t.Error(err)
	}
}

// TestSubscribeWhileAnswering changes a subscription while the server is busy
// with it.
func TestSubscribeWhileAnswering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := make(chan string, 10)
		proceed := make(chan struct{})
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			for {
				kind, body := p.next()
				switch kind & 0xf0 {
				case 0x80:
					requests <- fmt.Sprintf("subscribe %q QoS %d", body[4:len(body)-1], body[len(body)-1])
					<-proceed
					p.grant(body, grantAll)
				case 0xa0:
					requests <- fmt.Sprintf("unsubscribe %q", body[4:])
					p.Write([]byte{0xb0, 2, body[0], body[1]})
				case 0:
					return
				}
			}
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial})
		defer c.stop(t)
		defer close(proceed)
		c.connected(t, true)
		var calls sync.WaitGroup
		subscribe := func(qos byte) {
			calls.Go(func() {
				if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x", QoS: qos}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		want := func(what string) {
			t.Helper()
			if got := <-requests; got != what {
				t.Errorf("got %s, want %s", got, what)
			}
		}
		subscribe(0)
		subscribe(1) // while the first one waits for its answer
		want(`subscribe "x" QoS 0`)
		proceed <- struct{}{}
		want(`subscribe "x" QoS 1`)
		calls.Go(func() {
			if err := c.Unsubscribe(t.Context(), "x"); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		subscribe(0)
		proceed <- struct{}{}
		want(`unsubscribe "x"`)
		want(`subscribe "x" QoS 0`)
		proceed <- struct{}{}
		calls.Wait()
		if got := filters(c); !slices.Equal(got, []string{"x"}) {
			t.Errorf("subscribed to %q", got)
		}
	})
}

// TestSubscribeEnds: calls that wait end with the connection and with their ctx.
func TestSubscribeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			p.want(0x80)
			p.linger() // no answer
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial})
		defer c.stop(t)
		c.connected(t, true)
		var calls sync.WaitGroup
		errs := make([]error, 4)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		calls.Go(func() { errs[0] = c.Subscribe(ctx, cloud.Subscription{Filter: "a"}) })
		synctest.Wait()
		calls.Go(func() { errs[1] = c.Subscribe(t.Context(), cloud.Subscription{Filter: "a", QoS: 1}) })
		calls.Go(func() { errs[2] = c.Subscribe(t.Context(), cloud.Subscription{Filter: "b"}) })
		calls.Go(func() { errs[3] = c.Unsubscribe(t.Context(), "c") })
		d := took(calls.Wait)
		if d < 10*time.Second || d > 11*time.Second {
			t.Errorf("given up after %v", d)
		}
		want := []error{context.DeadlineExceeded, cloud.ErrLost, cloud.ErrLost, cloud.ErrLost}
		if !slices.Equal(errs, want) {
			t.Errorf("got %v, want %v", errs, want)
		}
		synctest.Wait()
		if s := c.Status(); s.Reason != cloud.ReasonTimeout {
			t.Errorf("status %+v", s)
		}
		if got := c.Subscriptions(); !slices.Equal(got, []cloud.Subscription{{Filter: "a", QoS: 1}, {Filter: "b"}}) {
			t.Errorf("subscriptions %v", got)
		}
	})
}

// TestFilterThatKills: a server that closes the connection in the place of a
// refusal does not keep the others from working.
func TestFilterThatKills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []int // filters in the packets with the evil one
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			for {
				kind, body := p.next()
				switch kind & 0xf0 {
				case 0x80:
					if strings.Contains(string(body), "evil") {
						asked = append(asked, strings.Count(string(body), "good")+1)
						return
					}
					p.grant(body, grantAll)
				case 0xc0:
					p.Write([]byte{0xd0, 0})
				case 0:
					return
				}
			}
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial})
		defer c.stop(t)
		c.connected(t, true)
		subs := []cloud.Subscription{{Filter: "evil"}}
		for i := range 20 {
			subs = append(subs, cloud.Subscription{Filter: fmt.Sprint("good/", i)})
		}
		if err := c.Subscribe(t.Context(), subs...); err != cloud.ErrLost {
			t.Errorf("Subscribe: %v", err)
		}
		c.connected(t, false)
		d := took(func() { c.connected(t, true) })
		if d > 3*time.Minute || !slices.Equal(asked, []int{8, 1, 1}) {
			t.Errorf("connected after %v and attempts with the filter among %v", d, asked)
		}
		if got := c.Status().Refused; !slices.Equal(got, []string{"evil"}) {
			t.Errorf("refused %q", got)
		}
		time.Sleep(time.Minute)
		if err := c.Subscribe(t.Context(), subs[0]); err != cloud.ErrLost { // by all means
			t.Errorf("Subscribe: %v", err)
		}
		time.Sleep(10 * time.Minute)
		lost := c.Stats().Lost
		time.Sleep(24 * time.Hour)
		if n := c.Stats().Lost - lost; n > 8 || !c.Status().Connected { // ever less often
			t.Errorf("%v, %d connections lost in a day", c.Status(), n)
		}
	})
}

// TestLowerQoS: a grant of less than what was asked for is none the less one.
func TestLowerQoS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			p.grant(p.want(0x80), func(string) byte { return 0 })
			p.linger()
		})
		defer wait()
		log := new(logBook)
		c := run(t, cloud.Config{ClientID: "a", Dial: dial, Logger: log.logger()})
		defer c.stop(t)
		c.connected(t, true)
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x", QoS: 1}); err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), "grants a lower QoS") {
			t.Errorf("log %s", log)
		}
	})
}

// TestSubscribeFunc: the function is called once, whatever happens.
func TestSubscribeFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		b.hook.set(func(h *hook) { h.subscribe = func(filter string) bool { return filter != "secret" } })
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial})
		want := func(what string, do func(done func(error)), is func(error) bool) {
			t.Helper()
			var got []error
			do(func(err error) { got = append(got, err) })
			synctest.Wait()
			if len(got) != 1 || !is(got[0]) {
				t.Errorf("%s: %v", what, got)
			}
		}
		none := func(err error) bool { return err == nil }
		sub := func(filter string, qos byte) func(func(error)) {
			return func(done func(error)) { c.SubscribeFunc(cloud.Subscription{Filter: filter, QoS: qos}, done) }
		}
		unsub := func(filter string) func(func(error)) {
			return func(done func(error)) { c.UnsubscribeFunc(filter, done) }
		}
		invalid := func(err error) bool { return errors.Is(err, cloud.ErrTopic) }
		c.connected(t, true)
		want("granted", sub("a", 1), none)
		want("again", sub("a", 0), none)
		want("refused", sub("secret", 1), func(err error) bool {
			e, is := errors.AsType[*cloud.SubscribeError](err)
			return is && e.Error() == "cloud: the server refuses to subscribe to secret"
		})
		want("invalid", sub("#a", 1), invalid)
		want("QoS", sub("a", 3), func(err error) bool { return err == cloud.ErrQoS })
		want("ended", unsub("a"), none)
		want("ended again", unsub("a"), none)
		want("invalid to end", unsub("#a"), invalid)
		c.stop(t)
		want("offline", sub("a", 1), func(err error) bool { return err == cloud.ErrOffline })
		want("ended offline", unsub("a"), none)
	})
}

// TestLeftOut: a filter that is left out because the server has closed connections
// for other reasons comes back on the connection that lasts.
func TestLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		connects := 0
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			if connects++; connects <= 3 { // the server restarts
				p.want(0x80)
				return
			}
			p.serve()
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial}, "x")
		defer c.stop(t)
		c.connected(t, true)
		if got := c.Status().Refused; !slices.Equal(got, []string{"x"}) {
			t.Errorf("refused %q", got)
		}
		time.Sleep(2 * time.Minute)
		if s := c.Status(); !s.Connected || len(s.Refused) != 0 || connects != 4 {
			t.Errorf("%v, refused %q, %d connections", s, s.Refused, connects)
		}
	})
}

// TestStrikesInARow: a filter is not left out for connections that ended with
// answers in between, nor for a server that was silent.
func TestStrikesInARow(t *testing.T) {
	for name, serve := range map[string]func(p *peer, connect int){
		"answered in between": func(p *peer, connect int) {
			body := p.want(0x80)
			if connect&1 == 0 {
				p.grant(body, grantAll)
			}
		},
		"silent": func(p *peer, _ int) { p.linger() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				connects := 0
				dial, wait := scripted(func(conn net.Conn) {
					p := newPeer(t, conn)
					p.accept(0)
					if connects++; connects <= 7 {
						serve(p, connects)
						return
					}
					p.serve()
				})
				defer wait()
				c := run(t, cloud.Config{ClientID: "a", Dial: dial, OnStatus: func(s cloud.Status) {
					if len(s.Refused) != 0 {
						t.Errorf("%v, refused %q", s, s.Refused)
					}
				}}, "x")
				defer c.stop(t)
				time.Sleep(30 * time.Minute)
				if s := c.Status(); !s.Connected || connects != 8 {
					t.Errorf("%v, %d connections", s, connects)
				}
			})
		})
	}
}

// TestChangedWhileAsked: what is asked for while the server is busy is not touched
// by its answer, and what is no longer wanted is not waited for.
func TestChangedWhileAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan struct{})
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			body := p.want(0x80)
			<-proceed
			p.grant(body, func(string) byte { return 0x80 })
			p.serve()
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial})
		defer c.stop(t)
		c.connected(t, true)
		ended := map[string]error{}
		ask := func(name, filter string, qos byte) {
			c.SubscribeFunc(cloud.Subscription{Filter: filter, QoS: qos}, func(err error) { ended[name] = err })
			synctest.Wait()
		}
		ask("refused", "x", 0)
		ask("granted", "x", 1)
		ask("given up", "y", 1)
		c.UnsubscribeFunc("y", func(error) {})
		if err, is := ended["given up"]; !is || err != nil {
			t.Errorf("given up: %v, %v", is, err)
		}
		close(proceed)
		synctest.Wait()
		if _, is := errors.AsType[*cloud.SubscribeError](ended["refused"]); !is || len(ended) != 3 || ended["granted"] != nil {
			t.Errorf("ended %v", ended)
		}
		if got := c.Subscriptions(); !slices.Equal(got, []cloud.Subscription{{Filter: "x", QoS: 1}}) {
			t.Errorf("subscriptions %v", got)
		}
	})
}
