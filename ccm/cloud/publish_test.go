package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
)

// TestPublishOrder publishes from one goroutine with both QoS: nothing is lost,
// changed or out of order.
func TestPublishOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		var got []string // by one client of the broker
		b.hook.set(func(h *hook) { h.publish = func(topic, payload string) { got = append(got, topic+" "+payload) } })
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial})
		defer c.stop(t)
		c.connected(t, true)
		var want []string
		for i := range 2000 {
			m := cloud.Message{Topic: fmt.Sprint("t/", i%7), Payload: fmt.Append(nil, i), QoS: byte(i & 1)}
			want = append(want, m.Topic+" "+string(m.Payload))
			for c.PublishFunc(m, nil) == cloud.ErrBusy {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("%d messages arrived, %d were sent, or their order changed", len(got), len(want))
		}
		if s := c.Stats(); s.Published != 2000 || s.Unpublished != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestManyPublishers publishes from many goroutines that wait for room, while
// the connection breaks now and then. Whoever sends again what failed loses
// nothing.
func TestManyPublishers(t *testing.T) {
	const publishers, messages = 20, 100
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		var mu sync.Mutex
		arrived := map[string]int{}
		b.hook.set(func(h *hook) {
			h.publish = func(_, payload string) {
				mu.Lock()
				defer mu.Unlock()
				arrived[payload]++
				if len(arrived)%301 == 0 {
					go b.cut()
				}
			}
		})
		c := run(t, cloud.Config{ClientID: "a", Dial: b.dial, MaxInFlight: 4})
		defer c.stop(t)
		var lost, offline atomic.Int64
		var all sync.WaitGroup
		for p := range publishers {
			all.Go(func() {
				for i := 0; i < messages; {
					m := cloud.Message{Topic: "t", QoS: 1, Payload: fmt.Appendf(nil, "%d.%d", p, i)}
					switch err := c.Publish(t.Context(), m); err {
					case nil:
						i++
					case cloud.ErrLost:
						lost.Add(1)
					case cloud.ErrOffline:
						offline.Add(1)
						time.Sleep(time.Second)
					default:
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		synctest.Wait() // the broker acknowledges first
		mu.Lock()
		defer mu.Unlock()
		if len(arrived) != publishers*messages {
			t.Errorf("%d messages arrived, want %d", len(arrived), publishers*messages)
		}
		if c.Stats().Lost < 5 || lost.Load() == 0 || offline.Load() == 0 {
			t.Errorf("%d connections, %d messages lost, %d refused: the test does not test", c.Stats().Lost, lost.Load(), offline.Load())
		}
	})
}

// TestPublishErrors: what a server might close the connection for does not reach
// it.
func TestPublishErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			if kind, body := p.next(); kind&0xf0 != 0xe0 {
				t.Errorf("packet %#02x %q reached the server", kind, body)
			}
		})
		defer wait()
		noDots := errors.New("no dots")
		c := run(t, cloud.Config{ClientID: "a", Dial: dial, StrictTopics: true, MaxPacket: 1000, CheckTopic: func(topic string) error {
			if strings.Contains(topic, ".") {
				return noDots
			}
			return nil
		}})
		defer c.stop(t)
		c.connected(t, true)
		tests := []struct {
			m    cloud.Message
			want error
		}{
			{cloud.Message{Topic: ""}, cloud.ErrTopic},
			{cloud.Message{Topic: "a/#"}, cloud.ErrTopic},
			{cloud.Message{Topic: "a/+/b"}, cloud.ErrTopic},
			{cloud.Message{Topic: "a+"}, cloud.ErrTopic},
			{cloud.Message{Topic: "a\x00"}, cloud.ErrTopic},
			{cloud.Message{Topic: "a\x01"}, cloud.ErrTopic},
			{cloud.Message{Topic: "a\u0085"}, cloud.ErrTopic},
			{cloud.Message{Topic: "a\ufffe"}, cloud.ErrTopic},
			{cloud.Message{Topic: "a\xed\xa0\x80"}, cloud.ErrTopic},
			{cloud.Message{Topic: "a\xff"}, cloud.ErrTopic},
			{cloud.Message{Topic: "a b"}, cloud.ErrTopic},
			{cloud.Message{Topic: strings.Repeat("x", 1025)}, cloud.ErrTopic},
			{cloud.Message{Topic: strings.Repeat("/", 128)}, cloud.ErrTopic},
			{cloud.Message{Topic: "a.b"}, noDots},
			{cloud.Message{Topic: "a", QoS: 2}, cloud.ErrQoS},
			{cloud.Message{Topic: "a", QoS: 255}, cloud.ErrQoS},
			{cloud.Message{Topic: "a", Payload: make([]byte, 1000)}, cloud.ErrTooLarge},
		}
		for _, test := range tests {
			if err := c.PublishFunc(test.m, func(error) { t.Error("done was called") }); !errors.Is(err, test.want) {
				t.Errorf("PublishFunc to %.20q: %v, want %v", test.m.Topic, err, test.want)
			}
			if err := c.Publish(t.Context(), test.m); !errors.Is(err, test.want) {
				t.Errorf("Publish to %.20q: %v, want %v", test.m.Topic, err, test.want)
			}
		}
		for _, filter := range []string{"", "a/#/b", "a+", "#a", "a\x00", "a\xff", "a b", "a.b", "$share", "$share/", "$share/x", "$share/x/", "$share//x", "$share/+/x", "$share/x/a#"} {
			for _, err := range []error{
				c.Subscribe(t.Context(), cloud.Subscription{Filter: "good"}, cloud.Subscription{Filter: filter}),
				c.Unsubscribe(t.Context(), filter),
			} {
				if !errors.Is(err, cloud.ErrTopic) && !errors.Is(err, noDots) {
					t.Errorf("filter %q: %v", filter, err)
				}
			}
		}
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "a", QoS: 2}); err != cloud.ErrQoS {
			t.Errorf("subscribe with QoS 2: %v", err)
		}
		if len(c.Subscriptions()) != 0 {
			t.Errorf("subscriptions %v", c.Subscriptions())
		}
	})
}

func TestOffline(t *testing.T) {
	c, err := cloud.New(cloud.Config{Servers: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	m := cloud.Message{Topic: "a"}
	if err := c.PublishFunc(m, func(error) { t.Error("done was called") }); err != cloud.ErrOffline {
		t.Error(err)
	}
	if err := c.Publish(t.Context(), m); err != cloud.ErrOffline {
		t.Error(err)
	}
	if s := c.Status(); s.Reason != cloud.ReasonNotStarted || s.String() != "not started" {
		t.Errorf("status %+v", s)
	}
}

// TestInFlight: a server that does not acknowledge.
func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			p.linger()
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial, MaxInFlight: 3, KeepAlive: time.Hour})
		defer c.stop(t)
		c.connected(t, true)
		begun := time.Now()
		var ended []error
		m := cloud.Message{Topic: "a", QoS: 1}
		for range 3 {
			if err := c.PublishFunc(m, func(err error) { ended = append(ended, err) }); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.PublishFunc(m, nil); err != cloud.ErrBusy {
			t.Errorf("a fourth message: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Publish(ctx, m); err != context.DeadlineExceeded {
			t.Errorf("waiting for room: %v", err)
		}
		m.QoS = 0 // these are counted for themselves
		if err := c.Publish(t.Context(), m); err != nil {
			t.Error(err)
		}
		if len(ended) != 0 {
			t.Errorf("ended %v", ended)
		}
		c.connected(t, false)
		if d := time.Since(begun); d < cloud.DefaultAckTimeout || d > cloud.DefaultAckTimeout+time.Second {
			t.Errorf("given up after %v", d)
		}
		synctest.Wait()
		if !slices.Equal(ended, []error{cloud.ErrLost, cloud.ErrLost, cloud.ErrLost}) {
			t.Errorf("ended %v", ended)
		}
		if s := c.Status(); s.Reason != cloud.ReasonTimeout || !strings.HasSuffix(s.Err.Error(), "no PUBACK in time") {
			t.Errorf("status %+v", s)
		}
		c.connected(t, true)
		for range 3 { // there is room again
			if err := c.PublishFunc(cloud.Message{Topic: "a", QoS: 1}, nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestLateAck: the time for PUBACK runs for each message.
func TestLateAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			for {
				kind, body := p.next()
				switch kind & 0xf0 {
				case 0:
					return
				case 0xc0:
					p.Write([]byte{0xd0, 0})
				case 0x30:
					go func() {
						time.Sleep(50 * time.Second)
						p.Write([]byte{0x40, 2, body[3], body[4]})
					}()
				}
			}
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial})
		defer c.stop(t)
		c.connected(t, true)
		var done atomic.Int64
		for range 100 {
			if err := c.PublishFunc(cloud.Message{Topic: "a", QoS: 1}, func(err error) {
				if err == nil {
					done.Add(1)
				}
			}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(7 * time.Second)
		}
		time.Sleep(time.Minute)
		if done.Load() != 100 || c.Stats().Lost != 0 {
			t.Errorf("%d messages acknowledged, stats %+v", done.Load(), c.Stats())
		}
	})
}

// TestPacketIDs publishes more messages on one connection than there are packet
// ids.
func TestPacketIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			p.serve()
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial, MaxInFlight: 100})
		defer c.stop(t)
		c.connected(t, true)
		for i := range 70_000 {
			if err := c.Publish(t.Context(), cloud.Message{Topic: "a", QoS: 1}); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		if s := c.Stats(); s.Published != 70_000 || s.Connects != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestDoneOnce: every message that was taken ends once, however the connection
// ends.
func TestDoneOnce(t *testing.T) {
	for _, how := range []string{"cut", "stop", "malformed"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				end := make(chan struct{})
				dial, wait := scripted(func(conn net.Conn) {
					p := newPeer(t, conn)
					p.accept(0)
					for range 3 {
						p.want(0x30)
					}
					<-end
					if how == "malformed" {
						p.Write([]byte{0xf0, 0})
					}
				})
				defer wait()
				c := run(t, cloud.Config{ClientID: "a", Dial: dial, MaxInFlight: 16})
				c.connected(t, true)
				var mu sync.Mutex
				ended := map[int]int{}
				var acks []int // the messages with QoS 1, as they ended
				for i := range 32 {
					m := cloud.Message{Topic: "a", QoS: byte(i & 1), Payload: make([]byte, 50_000)} // more than the pipe holds
					if err := c.PublishFunc(m, func(err error) {
						mu.Lock()
						defer mu.Unlock()
						ended[i]++
						if m.QoS == 1 {
							acks = append(acks, i)
						}
					}); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if how == "stop" {
					if d := took(func() { c.stop(t) }); d > 100*time.Millisecond {
						t.Errorf("stopping took %v", d)
					}
					close(end)
				} else {
					close(end)
					c.connected(t, false)
					synctest.Wait()
					c.stop(t)
				}
				for i := range 32 {
					if ended[i] != 1 {
						t.Errorf("message %d ended %d times", i, ended[i])
					}
				}
				if !slices.IsSorted(acks) {
					t.Errorf("ended in the order %v", acks)
				}
				if s := c.Stats(); s.Published+s.Unpublished != 32 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

// TestPublishCopies: the payload may be changed when Publish has returned, also
// if the message is still to be sent.
func TestPublishCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan string, 2)
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			time.Sleep(3 * time.Second)
			for range 2 {
				body := p.want(0x30)
				got <- string(body[3:])
			}
			p.linger()
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial})
		defer c.stop(t)
		c.connected(t, true)
		payload := make([]byte, 100_000) // more than the pipe holds
		for i := range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			payload[0] = byte('0' + i)
			if err := c.Publish(ctx, cloud.Message{Topic: "a", Payload: payload}); err != context.DeadlineExceeded {
				t.Errorf("Publish: %v", err)
			}
			payload[0] = 'x'
		}
		if one, two := <-got, <-got; one[0] != '0' || two[0] != '1' {
			t.Errorf("got %.5q and %.5q", one, two)
		}
	})
}

// TestPublishFromCallbacks publishes from done and from OnMessage.
func TestPublishFromCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.close()
		done := make(chan struct{})
		var c *runner
		c = run(t, cloud.Config{ClientID: "a", Dial: b.dial, MaxInFlight: 1, OnMessage: func(m *cloud.Message) {
			m.Ack()
			if len(m.Payload) == 100 {
				close(done)
				return
			}
			if err := c.PublishFunc(cloud.Message{Topic: "y", QoS: 0}, nil); err != nil {
				t.Error(err)
			}
			m.Payload = append(m.Payload, 'x')
			var again func(error)
			again = func(error) { // the first one may still be in flight
				if err := c.PublishFunc(cloud.Message{Topic: "x", Payload: m.Payload, QoS: 1}, nil); err != nil {
					time.AfterFunc(time.Millisecond, func() { again(nil) })
				}
			}
			again(nil)
		}})
		defer c.stop(t)
		c.connected(t, true)
		if err := c.Subscribe(t.Context(), cloud.Subscription{Filter: "x", QoS: 1}); err != nil {
			t.Fatal(err)
		}
		if err := c.PublishFunc(cloud.Message{Topic: "z", QoS: 1}, func(err error) {
			if err := c.PublishFunc(cloud.Message{Topic: "x", QoS: 1}, nil); err != nil {
				t.Errorf("from done: %v", err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		<-done
	})
}

// TestBusyLink: publishing as fast as the network takes it does not keep
// acknowledgements and subscriptions from the server, nor its answer from us.
func TestBusyLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var acked, asked atomic.Bool
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			p.Write(publish("x", "y", 7))
			for {
				kind, body := p.next()
				switch kind & 0xf0 {
				case 0, 0xe0:
					return
				case 0x30:
					time.Sleep(100 * time.Millisecond)
				case 0x40:
					acked.Store(true)
				case 0x80:
					asked.Store(true)
					p.grant(body, grantAll)
				case 0xc0:
					p.Write([]byte{0xd0, 0})
				}
			}
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial, OnMessage: func(m *cloud.Message) {
			time.AfterFunc(time.Second, m.Ack)
		}})
		defer c.stop(t)
		c.connected(t, true)
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		defer work.Wait()
		defer cancel()
		for range 2 * cloud.DefaultMaxInFlight {
			work.Go(func() {
				for c.Publish(ctx, cloud.Message{Topic: "a", Payload: make([]byte, 10_000)}) == nil {
				}
			})
		}
		time.Sleep(time.Second)
		limited, end := context.WithTimeout(ctx, 20*time.Second)
		defer end()
		if err := c.Subscribe(limited, cloud.Subscription{Filter: "s"}); err != nil {
			t.Error(err)
		}
		if !acked.Load() || !asked.Load() || c.Stats().Lost != 0 {
			t.Errorf("acknowledged %v, subscribed %v, %v", acked.Load(), asked.Load(), c.Status())
		}
	})
}

// TestOldestAck: the time for PUBACK runs from the oldest message, whatever was
// published after it.
func TestOldestAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) {
			p := newPeer(t, conn)
			p.accept(0)
			p.linger()
		})
		defer wait()
		c := run(t, cloud.Config{ClientID: "a", Dial: dial, KeepAlive: time.Hour})
		defer c.stop(t)
		c.connected(t, true)
		begun := time.Now()
		for range 2 {
			if err := c.PublishFunc(cloud.Message{Topic: "a", QoS: 1}, nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(cloud.DefaultAckTimeout / 3)
		}
		c.connected(t, false)
		if d := time.Since(begun); d > cloud.DefaultAckTimeout+time.Second {
			t.Errorf("given up after %v", d)
		}
	})
}
