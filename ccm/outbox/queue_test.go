package outbox_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/outbox"
)

// link is a connection played by a test.
type link struct {
	mu    sync.Mutex
	sent  []string
	done  []func(error) // of those that are not settled
	fail  error         // what send returns
	limit int           // after how many it is busy; 0: never
}

func (l *link) send(m *outbox.Message, done func(error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.fail != nil:
		return l.fail
	case l.limit > 0 && len(l.done) >= l.limit:
		return fmt.Errorf("wrapped: %w", outbox.ErrBusy)
	}
	l.sent = append(l.sent, string(m.Payload))
	l.done = append(l.done, done)
	return nil
}

// settle settles the oldest n publications.
func (l *link) settle(n int, err error) {
	l.mu.Lock()
	ready := l.done[:n]
	l.done = l.done[n:]
	l.mu.Unlock()
	for _, done := range ready {
		done(err)
	}
}

func (l *link) want(t *testing.T, payloads ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.sent, payloads) {
		t.Errorf("sent %q, want %q", l.sent, payloads)
	}
	l.sent = nil
}

// results collects what done functions are told.
type results struct{ list []string }

func (r *results) of(name string) func(error) {
	return func(err error) { r.list = append(r.list, fmt.Sprint(name, " ", err)) }
}

func (r *results) want(t *testing.T, list ...string) {
	t.Helper()
	if !slices.Equal(r.list, list) {
		t.Errorf("told %q, want %q", r.list, list)
	}
	r.list = nil
}

func put(t *testing.T, q *outbox.Queue, r *results, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if err := q.Put(outbox.Message{Topic: "t", Payload: []byte(p)}, r.of(p)); err != nil {
			t.Fatalf("put %s: %v", p, err)
		}
	}
}

func TestQueueOrderAndWindow(t *testing.T) {
	l, r := new(link), new(results)
	q := outbox.New(outbox.Config{Send: l.send, Window: 2})
	put(t, q, r, "a", "b", "c", "d")
	l.want(t)
	q.SetOnline(true)
	l.want(t, "a", "b")
	l.settle(1, nil)
	r.want(t, "a <nil>")
	l.want(t, "c")
	if s := q.Stats(); s.Len != 3 || s.InFlight != 2 || s.Sent != 1 || s.Accepted != 4 || s.Bytes != 6 {
		t.Errorf("%+v", s)
	}
	l.settle(2, nil)
	l.settle(1, nil)
	r.want(t, "b <nil>", "c <nil>", "d <nil>")
	if s := q.Stats(); s.Len != 0 || s.Bytes != 0 || s.InFlight != 0 || s.Resent != 0 {
		t.Errorf("%+v", s)
	}
}

// TestQueueLoss: what was not acknowledged is sent again from the oldest on.
func TestQueueLoss(t *testing.T) {
	l, r := new(link), new(results)
	q := outbox.New(outbox.Config{Send: l.send, Window: 3})
	q.SetOnline(true)
	put(t, q, r, "a", "b", "c", "d")
	l.want(t, "a", "b", "c")
	l.mu.Lock()
	l.done[0], l.done[1] = l.done[1], l.done[0]
	l.mu.Unlock()
	l.settle(1, nil) // b
	l.want(t, "d")
	r.want(t, "b <nil>")
	q.SetOnline(false)
	l.settle(3, errors.New("lost"))
	l.want(t)
	r.want(t)
	q.SetOnline(true)
	l.want(t, "a", "c", "d")
	l.settle(3, nil)
	r.want(t, "a <nil>", "c <nil>", "d <nil>")
	if s := q.Stats(); s.Resent != 3 || s.Sent != 4 {
		t.Errorf("%+v", s)
	}
}

func TestQueueFull(t *testing.T) {
	l, r := new(link), new(results)
	q := outbox.New(outbox.Config{Send: l.send, MaxMessages: 2, MaxBytes: 10})
	put(t, q, r, "a", "b")
	if err := q.Put(outbox.Message{Topic: "t", Payload: []byte("c")}, r.of("c")); err != outbox.ErrFull {
		t.Errorf("third: %v", err)
	}
	r.want(t)
	q = outbox.New(outbox.Config{Send: l.send, MaxBytes: 10, DropOldest: true, Window: 1})
	put(t, q, r, "12345678")
	q.SetOnline(true)
	if err := q.Put(outbox.Message{Topic: "t", Payload: []byte("x")}, nil); err != outbox.ErrFull {
		t.Errorf("the only one is on its way: %v", err)
	}
	l.settle(1, nil)
	q.SetOnline(false)
	put(t, q, r, "123", "456")
	put(t, q, r, "7890")
	r.want(t, "12345678 <nil>", "123 outbox: message dropped")
	if err := q.Put(outbox.Message{Topic: "t", Payload: make([]byte, 10)}, nil); err != outbox.ErrFull {
		t.Errorf("larger than the queue: %v", err)
	}
	if s := q.Stats(); s.Len != 2 || s.Dropped != 1 || s.Full != 2 || s.Bytes != 9 {
		t.Errorf("%+v", s)
	}
	q.Close()
	r.want(t, "456 outbox: message dropped", "7890 outbox: message dropped")
	if err := q.Put(outbox.Message{}, nil); err != outbox.ErrDropped {
		t.Errorf("closed: %v", err)
	}
	q.Close()
}

// TestQueueRefused: a message that can never be sent does not hold up the rest.
func TestQueueRefused(t *testing.T) {
	l, r := new(link), new(results)
	bad := errors.New("bad topic")
	q := outbox.New(outbox.Config{Send: func(m *outbox.Message, done func(error)) error {
		if string(m.Payload) == "b" {
			return bad
		}
		return l.send(m, done)
	}})
	q.SetOnline(true)
	put(t, q, r, "a", "b", "c")
	l.want(t, "a", "c")
	r.want(t, "b bad topic")
	l.settle(2, nil)
	if s := q.Stats(); s.Refused != 1 || s.Sent != 2 || s.Len != 0 {
		t.Errorf("%+v", s)
	}
}

// TestQueueBusy: a connection that is busy with messages of others is tried
// again after a while.
func TestQueueBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := &link{fail: outbox.ErrBusy}, new(results)
		q := outbox.New(outbox.Config{Send: l.send})
		q.SetOnline(true)
		put(t, q, r, "a", "b")
		l.mu.Lock()
		l.fail, l.limit = nil, 1
		l.mu.Unlock()
		time.Sleep(time.Second)
		l.want(t, "a")
		time.Sleep(time.Second)
		l.want(t) // one of ours is out: its end will tell
		l.settle(1, nil)
		l.want(t, "b")
		l.settle(1, nil)
		l.mu.Lock()
		l.fail = outbox.ErrOffline
		l.mu.Unlock()
		put(t, q, r, "c")
		time.Sleep(time.Hour)
		l.mu.Lock()
		l.fail = nil
		l.mu.Unlock()
		l.want(t)
		q.SetOnline(true)
		l.want(t, "c")
		q.Close()
	})
}

// TestQueueChaos: with many senders, losses and restarts every message is
// delivered, first arrivals are in order for each sender, and the sums are
// right.
func TestQueueChaos(t *testing.T) {
	const senders, each = 4, 500
	var mu sync.Mutex
	seen := map[string]bool{}
	last := map[byte]int{}
	var flying []func(error)
	up := false
	q := outbox.New(outbox.Config{Window: 8, MaxMessages: senders * each, Send: func(m *outbox.Message, done func(error)) error {
		mu.Lock()
		defer mu.Unlock()
		if !up {
			return outbox.ErrOffline
		}
		name := m.Topic + string(m.Payload)
		if !seen[name] {
			seen[name] = true
			var n int
			fmt.Sscan(string(m.Payload), &n)
			if n != last[m.Topic[0]] {
				t.Errorf("%s before %d", name, last[m.Topic[0]])
			}
			last[m.Topic[0]]++
		}
		flying = append(flying, done)
		return nil
	}})
	var work sync.WaitGroup
	var told sync.WaitGroup
	told.Add(senders * each)
	for s := range senders {
		work.Go(func() {
			for n := range each {
				m := outbox.Message{Topic: string(rune('a' + s)), Payload: fmt.Append(nil, n)}
				if err := q.Put(m, func(err error) {
					if err != nil {
						t.Errorf("%s%d: %v", m.Topic, n, err)
					}
					told.Done()
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	stop := make(chan struct{})
	var broker sync.WaitGroup
	broker.Go(func() {
		rnd := rand.New(rand.NewPCG(1, 2))
		for {
			select {
			case <-stop:
				return
			default:
			}
			mu.Lock()
			list, was := flying, up
			flying = nil
			if rnd.IntN(10) == 0 {
				up = !up
			}
			now := up
			mu.Unlock()
			for _, done := range list {
				if now && was {
					done(nil)
				} else {
					done(errors.New("lost"))
				}
			}
			if now != was {
				q.SetOnline(now)
			}
		}
	})
	work.Wait()
	told.Wait()
	close(stop)
	broker.Wait()
	if s := q.Stats(); s.Sent != senders*each || s.Len != 0 || s.Bytes != 0 || s.Accepted != s.Sent || len(seen) != senders*each {
		t.Errorf("%+v, %d seen", s, len(seen))
	}
}

// settleNth settles the publication with index n of those that are not settled.
func (l *link) settleNth(n int, err error) {
	l.mu.Lock()
	done := l.done[n]
	l.done = slices.Delete(l.done, n, n+1)
	l.mu.Unlock()
	done(err)
}

// TestQueueRoom: messages that have left the queue take no room in it, though an
// older one is still there.
func TestQueueRoom(t *testing.T) {
	l, r := new(link), new(results)
	q := outbox.New(outbox.Config{MaxMessages: 3, Send: func(m *outbox.Message, done func(error)) error {
		if m.Topic == "bad" {
			return errors.New("bad topic")
		}
		return l.send(m, done)
	}})
	q.SetOnline(true)
	put(t, q, r, "slow")
	for i := range 10 {
		if err := q.Put(outbox.Message{Topic: "bad"}, nil); err != nil {
			t.Fatalf("round %d: %v, %+v", i, err, q.Stats())
		}
		put(t, q, r, "quick")
		l.settleNth(1, nil)
	}
	if s := q.Stats(); s.Len != 1 || s.Sent != 10 || s.Refused != 10 || s.Full != 0 {
		t.Errorf("%+v", s)
	}
}

// TestQueueDropsInVain: nothing is dropped for a message that finds no room all
// the same, because of those on their way.
func TestQueueDropsInVain(t *testing.T) {
	l, r := new(link), new(results)
	q := outbox.New(outbox.Config{Send: l.send, MaxBytes: 12, DropOldest: true, Window: 1})
	q.SetOnline(true)
	put(t, q, r, "12345678", "x")
	err := q.Put(outbox.Message{Topic: "t", Payload: []byte("12345")}, nil)
	if s := q.Stats(); err != outbox.ErrFull || s.Dropped != 0 || s.Len != 2 {
		t.Errorf("%v, %+v", err, s)
	}
	r.want(t)
}

// TestQueueResent: what the connection does not take was not sent again.
func TestQueueResent(t *testing.T) {
	l, r := new(link), new(results)
	q := outbox.New(outbox.Config{Send: l.send})
	q.SetOnline(true)
	put(t, q, r, "a", "b", "c")
	l.fail = outbox.ErrOffline // the connection knows first that it is gone
	l.settle(3, errors.New("lost"))
	q.SetOnline(false)
	l.fail = nil
	q.SetOnline(true)
	l.settle(3, nil)
	if s := q.Stats(); s.Resent != 3 || s.Sent != 3 {
		t.Errorf("%+v", s)
	}
}

// TestQueueAckWhileBusy: an acknowledgement that comes while the connection says
// that it is busy has the queue look again.
func TestQueueAckWhileBusy(t *testing.T) {
	var first func(error)
	var sent []string
	busy := true
	q := outbox.New(outbox.Config{Send: func(m *outbox.Message, done func(error)) error {
		name := string(m.Payload)
		switch {
		case name == "a":
			first = done
		case name == "c" && busy:
			busy = false
			first(nil)
			return outbox.ErrBusy
		}
		sent = append(sent, name)
		return nil
	}})
	q.SetOnline(true)
	put(t, q, new(results), "a", "b", "c")
	if !slices.Equal(sent, []string{"a", "b", "c"}) {
		t.Errorf("sent %q", sent)
	}
	q.Close()
}
