package ccm_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/ccm/outbox"
	"github.com/ccmkit/ccmkit/framing"
)

// queueRig is a module with one host of package ccm/host on a perfect line.
type queueRig struct {
	*rig
	broker  *ccmtest.Broker
	host    *host.Host
	history *history
}

func newQueueRig(t testing.TB, q ccm.QueueConfig, dial func(b *ccmtest.Broker) dialer) *queueRig {
	r := &queueRig{broker: newBroker(t, ccmtest.BrokerOptions{Log: -1}), history: newHistory(t)}
	if _, err := r.broker.Subscribe("q/#", r.history.arrived); err != nil {
		t.Fatal(err)
	}
	var d dialer = r.broker
	if dial != nil {
		d = dial(r.broker)
	}
	r.host = host.New(&host.Config{Retries: -1, CallTimeout: time.Minute, PlainFrames: true})
	line := ccmtest.NewUART(ccmtest.Line{Trace: -1})
	cfg := ccm.Config{Cloud: via(d), Queue: q, Hosts: []ccm.HostConfig{{Open: line.OpenModule, CRC: framing.CRCOff}}}
	cfg.Cloud.AckTimeout = 20 * time.Second
	cfg.Cloud.BackoffMin, cfg.Cloud.BackoffMax = 200*time.Millisecond, 2*time.Second
	r.rig = start(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { r.host.Run(ctx, line.Host()) })
	t.Cleanup(func() {
		r.rig.stop()
		cancel()
		work.Wait()
	})
	found(t, r.module.Host(""))
	return r
}

// counters checks that the counters of the queue add up.
func (r *queueRig) counters() outbox.Stats {
	r.t.Helper()
	s := r.module.Stats().Outbox
	if s.Accepted != s.Sent+s.Dropped+s.Refused+uint64(s.Len) || s.Len == 0 && s.Bytes != 0 {
		r.t.Errorf("the counters do not add up: %+v", s)
	}
	return s
}

// drained waits until the queue is empty.
func (r *queueRig) drained() {
	r.t.Helper()
	for begin := time.Now(); r.counters().Len > 0; time.Sleep(time.Second) {
		if time.Since(begin) > time.Hour {
			r.t.Fatalf("the queue does not empty: %+v, %v", r.module.Stats().Outbox, r.module.Status().Cloud)
		}
	}
	synctest.Wait() // the broker acknowledges a message first, then hands it on
}

// publishAll publishes n messages on each of some topics, one after the other on
// each, with pauses in which a connection may come back.
func (r *queueRig) publishAll(topics, n int, seed uint64) {
	var work sync.WaitGroup
	for k := range topics {
		random := rand.New(rand.NewPCG(seed, uint64(k)))
		work.Go(func() {
			for i := range n {
				told := r.history.publish(r.host, "q/"+strconv.Itoa(k), i+1)
				if told == queued || random.IntN(4) == 0 {
					time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
				}
				if i%16 == 0 {
					r.counters()
				}
			}
		})
	}
	work.Wait()
}

// TestQueueRoughConnections is Q2 of the reliability demands for the queue in
// memory: connections break at and inside packets, PUBACKs are lost, doubled,
// late, or are for messages that there are not.
func TestQueueRoughConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const topics = 8
		v, s := runRough(t, topics, heavy(10000)/topics, 60, 1)
		t.Logf("%+v, %+v", v, s)
	})
}

// TestQueueHistories is Q6: what hosts are told is true, whatever the network
// does, for many seeds.
func TestQueueHistories(t *testing.T) {
	var sum verdict
	seeds := heavy(1000)
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}()
			v, _ := runRough(t, 4, 20, 20, uint64(seed))
			sum.published += v.published
			sum.queued += v.queued
			sum.doubles += v.doubles
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d seeds: %+v", seeds, sum)
	if sum.published == 0 || sum.queued == 0 || sum.doubles == 0 {
		t.Error("nothing has gone wrong")
	}
}

// runRough publishes n messages on each of some topics over connections that
// break after pace packets at most, and judges what has come.
func runRough(t *testing.T, topics, n, pace int, seed uint64) (verdict, outbox.Stats) {
	t.Helper()
	var network *roughNet
	r := newQueueRig(t, ccm.QueueConfig{MaxMessages: topics*n + 1}, func(b *ccmtest.Broker) dialer {
		network = &roughNet{b: b, random: rand.New(rand.NewPCG(seed, 99)), pace: pace}
		return network
	})
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 98))
	r.broker.SetAckFunc(func(string, uint16) (a ccmtest.Ack) {
		mu.Lock()
		defer mu.Unlock()
		switch random.IntN(50) {
		case 0:
			a.Drop = true
		case 1, 2:
			a.Duplicate = true
		case 3, 4, 5:
			a.Delay = time.Duration(random.Int64N(int64(15 * time.Second)))
		}
		return a
	})
	r.publishAll(topics, n, seed)
	network.calm.Store(true)
	r.broker.SetAckFunc(nil)
	r.drained()
	v, s, lost := r.history.judge(), r.counters(), int(r.module.Stats().Cloud.Lost)
	switch {
	case v.published+v.queued != topics*n || v.refused > 0 || v.missing > 0:
		t.Errorf("%d messages: %+v", topics*n, v)
	case s.Accepted != uint64(topics*n) || s.Sent != s.Accepted || s.Len != 0:
		t.Errorf("%d messages: %+v", topics*n, s)
	case v.doubles > lost*outbox.DefaultWindow || v.doubles > int(s.Resent):
		t.Errorf("%d doubles by %d lost connections, %d sent again", v.doubles, lost, s.Resent)
	}
	return v, s
}

// TestQueueFull is Q3: while the broker is away a full queue refuses, or drops
// the oldest, and counts exactly.
func TestQueueFull(t *testing.T) {
	const room, n = 50, 80
	for _, tt := range []struct {
		name  string
		queue ccm.QueueConfig
		first int // number of the first message that comes
	}{
		{"refuse by number", ccm.QueueConfig{MaxMessages: room}, 1},
		{"refuse by size", ccm.QueueConfig{MaxBytes: room * len("q/fullq/full 10")}, 1},
		{"drop by number", ccm.QueueConfig{MaxMessages: room, DropOldest: true}, n - room + 1},
		{"drop by size", ccm.QueueConfig{MaxBytes: room * len("q/fullq/full 10"), DropOldest: true}, n - room + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newQueueRig(t, tt.queue, nil)
				r.online()
				r.broker.Stop()
				r.offline()
				var got [3]int
				for i := range n {
					got[r.history.publish(r.host, "q/full", 10+i)]++
					r.counters()
				}
				want := [3]int{queued: room, refused: n - room}
				if tt.queue.DropOldest {
					want = [3]int{queued: n}
				}
				if got != want {
					t.Errorf("the host was told %v, want %v", got, want)
				}
				if s := r.counters(); s.Len != room || s.Full+s.Dropped != n-room || s.Accepted+s.Full != n {
					t.Errorf("%+v", s)
				}
				r.broker.Start()
				r.drained()
				v := r.history.judge()
				if v.missing != int(r.counters().Dropped) || v.doubles != 0 || v.published != 0 {
					t.Errorf("%+v", v)
				}
				for i := range n {
					come := len(r.history.all[fmt.Sprint("q/full ", 10+i)].came) > 0
					if want := i+1 >= tt.first && i+1 < tt.first+room; come != want {
						t.Errorf("message %d came: %v, want %v", i+1, come, want)
					}
				}
			})
		})
	}
}

// TestQueueOverload: a host that is faster than the broker is refused what does
// not fit, and all that was taken arrives.
func TestQueueOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newQueueRig(t, ccm.QueueConfig{MaxMessages: 20}, nil)
		r.online()
		r.broker.SetAcks(ccmtest.Ack{Delay: 3 * time.Second})
		var work sync.WaitGroup
		var told [3]atomic.Int64
		const hands, n = 24, 20
		for k := range hands {
			work.Go(func() {
				for i := range n {
					told[r.history.publish(r.host, "q/"+strconv.Itoa(k), i+1)].Add(1)
					time.Sleep(500 * time.Millisecond)
				}
			})
		}
		work.Wait()
		r.drained()
		v, s := r.history.judge(), r.counters()
		t.Logf("%+v, %+v", v, s)
		if v.refused == 0 || uint64(v.refused) != s.Full || uint64(v.published) != s.Accepted || v.queued+v.missing+v.doubles > 0 {
			t.Errorf("%+v, %+v", v, s)
		}
		if st := r.module.Stats(); st.Published != s.Accepted || st.Refused != s.Full {
			t.Errorf("%+v", st)
		}
	})
}

// TestQueueLateAnswer: a host is told after ten seconds that its message waits, if
// PUBACK has not come by then, and a host of package ccm/host waits as long.
func TestQueueLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, ccmtest.BrokerOptions{})
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Generation: ccmtest.GenModern})
		r := up(t, ccm.Config{Cloud: via(b), Hosts: []ccm.HostConfig{s.config("")}}, s)
		b.SetAcks(ccmtest.Ack{Delay: 15 * time.Second})
		begin := time.Now()
		if err := s.mcu.Host().Publish(t.Context(), "q/x", []byte("late"), 1); err != nil {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		if d := time.Since(begin).Round(100 * time.Millisecond); d != 10*time.Second {
			t.Errorf("the host was told after %v", d)
		}
		time.Sleep(10 * time.Second)
		if st := r.module.Stats().Outbox; st.Accepted != 1 || st.Sent != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// TestQueueAtTheEnd: what waits when the module ends is counted as dropped.
func TestQueueAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newQueueRig(t, ccm.QueueConfig{}, nil)
		r.online()
		r.broker.Freeze(true)
		for i := range 5 {
			if got := r.history.publish(r.host, "q/x", i+1); got != queued {
				t.Errorf("the host was told %v", got)
			}
		}
		r.rig.stop()
		if s := r.counters(); s.Dropped != 5 || s.Len != 0 || s.InFlight != 0 || s.Bytes != 0 {
			t.Errorf("%+v", s)
		}
		if got := strings.Count(fmt.Sprint(r.broker.Clients()), ccm.DefaultID); got > 1 {
			t.Errorf("%d connections", got)
		}
	})
}
