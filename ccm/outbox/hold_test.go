package outbox_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/outbox"
)

// fussy is a broker that closes the connection when it is sent a message with a
// topic that begins with "denied", and is connected to again after a minute.
type fussy struct {
	q *outbox.Queue

	mu     sync.Mutex
	up     bool
	came   []string
	flying []func(error)
	losses int
}

func (b *fussy) send(m *outbox.Message, done func(error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.up {
		return outbox.ErrOffline
	}
	if strings.HasPrefix(m.Topic, "denied") {
		b.up = false
		b.losses++
		b.flying = append(b.flying, done)
		time.AfterFunc(time.Second, b.lost)
		return nil
	}
	b.flying = append(b.flying, func(err error) {
		if err == nil {
			b.mu.Lock()
			b.came = append(b.came, string(m.Payload))
			b.mu.Unlock()
		}
		done(err)
	})
	time.AfterFunc(100*time.Millisecond, b.ack)
	return nil
}

// ack acknowledges the oldest message, unless the connection is gone.
func (b *fussy) ack() {
	b.mu.Lock()
	if !b.up || len(b.flying) == 0 {
		b.mu.Unlock()
		return
	}
	done := b.flying[0]
	b.flying = b.flying[1:]
	b.mu.Unlock()
	done(nil)
}

func (b *fussy) lost() {
	b.mu.Lock()
	list := b.flying
	b.flying = nil
	b.mu.Unlock()
	b.q.SetOnline(false)
	for _, done := range list {
		done(errors.New("lost"))
	}
	time.AfterFunc(time.Minute, b.connect)
}

func (b *fussy) connect() {
	b.mu.Lock()
	b.up = true
	b.mu.Unlock()
	b.q.SetOnline(true)
}

// TestHold: messages that the broker closes the connection for do not keep others
// from it for ever, are tried again ever less often, and are not lost.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(fussy)
		var held []time.Duration
		b.q = outbox.New(outbox.Config{Send: b.send, OnHold: func(topic string, pause time.Duration) {
			if topic != "denied" {
				t.Errorf("held %s", topic)
			}
			held = append(held, pause)
		}})
		put := func(topic string, n int) {
			t.Helper()
			if err := b.q.Put(outbox.Message{Topic: topic, Payload: fmt.Append(nil, n)}, nil); err != nil {
				t.Error(err)
			}
		}
		b.connect()
		put("open", 0)
		put("denied", 100)
		put("open", 1)
		put("denied", 101)
		put("open", 2)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := strings.Join(b.came, " "); got != "0 1 2" {
			t.Errorf("came: %s", got)
		}
		put("open", 3)
		put("denied", 102)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got := strings.Join(b.came, " "); got != "0 1 2 3" {
			t.Errorf("came: %s", got)
		}
		if b.losses < 25 || b.losses > 40 {
			t.Errorf("the connection was lost %d times in a day", b.losses)
		}
		if s := b.q.Stats(); s.Len != 3 || s.Held != 3 || s.Sent != 4 || s.Accepted != 7 || s.Bytes != 3*(6+3) {
			t.Errorf("%+v", s)
		}
		if len(held) < 8 || held[0] != time.Minute || held[1] != 2*time.Minute || held[7] != time.Hour {
			t.Errorf("held for %v", held)
		}
		b.q.Close()
		if s := b.q.Stats(); s.Len != 0 || s.Held != 0 || s.Bytes != 0 || s.Dropped != 3 {
			t.Errorf("closed: %+v", s)
		}
	})
}

// TestHoldAllowed: when the broker permits the topic after all, its messages come
// in order, those from before the hold first.
func TestHoldAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(link)
		q := outbox.New(outbox.Config{Send: l.send})
		r := new(results)
		put(t, q, r, "a", "b")
		for range 5 {
			q.SetOnline(true)
			q.SetOnline(false)
			l.settle(len(l.done), errors.New("lost"))
		}
		if s := q.Stats(); s.Held != 2 {
			t.Errorf("%+v", s)
		}
		put(t, q, r, "c") // has the topic too
		l.sent = nil
		q.SetOnline(true)
		l.want(t)
		time.Sleep(time.Minute)
		synctest.Wait()
		l.want(t, "a") // alone
		l.settle(1, nil)
		l.want(t, "b", "c")
		l.settle(2, nil)
		r.want(t, "a <nil>", "b <nil>", "c <nil>")
		if s := q.Stats(); s.Held != 0 || s.Len != 0 || s.Sent != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// TestHoldFull: what is held counts for the bounds, and gives place first.
func TestHoldFull(t *testing.T) {
	for _, drop := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l, r := new(link), new(results)
			q := outbox.New(outbox.Config{Send: l.send, MaxMessages: 3, DropOldest: drop})
			put(t, q, r, "a", "b")
			for range 5 {
				q.SetOnline(true)
				q.SetOnline(false)
				l.settle(len(l.done), errors.New("lost"))
			}
			other := func(text string) error {
				return q.Put(outbox.Message{Topic: "other", Payload: []byte(text)}, r.of(text))
			}
			if err := other("c"); err != nil {
				t.Error(err)
			}
			if err := other("d"); drop && err != nil || !drop && err != outbox.ErrFull {
				t.Errorf("full: %v", err)
			}
			if drop {
				r.want(t, "a outbox: message dropped")
			}
			if s := q.Stats(); s.Len != 3 {
				t.Errorf("%+v", s)
			}
			q.Close()
		})
	}
}

// TestHoldSlow: connections that end later than five seconds after the message was
// sent are no reason to hold it: the broker was silent, or the network.
func TestHoldSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := new(link), new(results)
		q := outbox.New(outbox.Config{Send: l.send, OnHold: func(string, time.Duration) { t.Error("held") }})
		put(t, q, r, "a", "b")
		for range 20 {
			q.SetOnline(true)
			time.Sleep(6 * time.Second)
			q.SetOnline(false)
			l.settle(len(l.done), errors.New("lost"))
		}
		q.SetOnline(true)
		l.settle(2, nil)
		r.want(t, "a <nil>", "b <nil>")
	})
}

// TestQueueDropsOnce: of messages some of which are acknowledged before older
// ones, each is dropped at most once.
func TestQueueDropsOnce(t *testing.T) {
	l, r := new(link), new(results)
	q := outbox.New(outbox.Config{Send: l.send, MaxBytes: 6, DropOldest: true})
	q.SetOnline(true)
	put(t, q, r, "a", "b", "c")
	q.SetOnline(false)
	l.mu.Lock()
	l.done[0], l.done[1] = l.done[1], l.done[0]
	l.mu.Unlock()
	l.settle(1, nil)                // b
	l.settle(1, errors.New("lost")) // a
	l.settle(1, errors.New("lost")) // c
	put(t, q, r, "large")
	r.want(t, "b <nil>", "a outbox: message dropped", "c outbox: message dropped")
	if s := q.Stats(); s.Accepted != s.Sent+s.Dropped+uint64(s.Len) {
		t.Errorf("%+v", s)
	}
}

// TestHoldNext: of two topics that break connections, the second is held after the
// first, whatever has left the queue between them.
func TestHoldNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(link)
		var held []string
		q := outbox.New(outbox.Config{
			OnHold: func(topic string, _ time.Duration) { held = append(held, topic) },
			Send: func(m *outbox.Message, done func(error)) error {
				if m.Topic == "bad" {
					return errors.New("bad topic")
				}
				return l.send(m, done)
			},
		})
		q.SetOnline(true)
		for _, topic := range []string{"denied/1", "bad", "denied/2", "open"} {
			if err := q.Put(outbox.Message{Topic: topic}, nil); err != nil {
				t.Error(err)
			}
		}
		for range 10 {
			q.SetOnline(false)
			l.settle(len(l.done), errors.New("lost"))
			q.SetOnline(true)
		}
		if got := strings.Join(held, " "); got != "denied/1 denied/2" {
			t.Errorf("held %q", got)
		}
		q.Close()
	})
}

// TestHoldOrder: of two topics that are tried again at the same time, the one that
// is denied still is sent alone, so that its order stays.
func TestHoldOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(link)
		q := outbox.New(outbox.Config{Send: l.send})
		for _, m := range []string{"a1", "a2", "b1", "b2"} {
			if err := q.Put(outbox.Message{Topic: m[:1], Payload: []byte(m)}, nil); err != nil {
				t.Error(err)
			}
		}
		lose := func() {
			q.SetOnline(false)
			l.settle(len(l.done), errors.New("lost"))
		}
		for range 10 {
			q.SetOnline(true)
			lose()
		}
		if s := q.Stats(); s.Held != 4 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		l.sent = nil
		q.SetOnline(true)
		first := l.sent[0][:1] // this topic is permitted now
		l.settle(1, nil)
		l.settle(1, nil)
		lose()
		l.sent = nil
		q.SetOnline(true)
		for _, m := range l.sent {
			if m[:1] != first && m[1:] != "1" {
				t.Errorf("%s was sent first", m)
			}
		}
		q.Close()
	})
}

// TestHoldMany: topics that are held do not keep others from the broker, however
// many they are.
func TestHoldMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		b := new(fussy)
		b.q = outbox.New(outbox.Config{Send: b.send})
		b.connect()
		for i := range n {
			if err := b.q.Put(outbox.Message{Topic: fmt.Sprint("denied/", i)}, nil); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(48 * time.Hour)
		var longest time.Duration
		for range 100 {
			begun := time.Now()
			if err := b.q.Put(outbox.Message{Topic: "open"}, func(error) { longest = max(longest, time.Since(begun)) }); err != nil {
				t.Error(err)
			}
			time.Sleep(10 * time.Minute)
		}
		if s := b.q.Stats(); s.Sent != 100 || s.Len != n || longest > 5*time.Minute {
			t.Errorf("%+v, the longest wait was %v", s, longest)
		}
		b.q.Close()
	})
}

// TestHoldDropped: a topic whose oldest messages give place to newer ones is held
// all the same, and tried ever less often.
func TestHoldDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(fussy)
		b.q = outbox.New(outbox.Config{Send: b.send, MaxMessages: 10, DropOldest: true})
		b.connect()
		for range 24 * 60 * 12 {
			if err := b.q.Put(outbox.Message{Topic: "denied"}, nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
		}
		if b.losses < 25 || b.losses > 40 {
			t.Errorf("the connection was lost %d times in a day", b.losses)
		}
		b.q.Close()
	})
}

// TestHoldInARow: connections that were lost early count if they were so in a row.
func TestHoldInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := new(link), new(results)
		q := outbox.New(outbox.Config{Send: l.send, OnHold: func(string, time.Duration) { t.Error("held") }})
		put(t, q, r, "a", "b")
		for i := range 20 {
			q.SetOnline(true)
			if i%4 == 3 {
				time.Sleep(6 * time.Second)
			}
			q.SetOnline(false)
			l.settle(len(l.done), errors.New("lost"))
		}
		q.Close()
	})
}

// TestHoldAlone: after two connections that were lost early, not before, the oldest
// message is sent alone.
func TestHoldAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := new(link), new(results)
		q := outbox.New(outbox.Config{Send: l.send})
		put(t, q, r, "a", "b")
		for range 2 {
			q.SetOnline(true)
			l.want(t, "a", "b")
			q.SetOnline(false)
			l.settle(2, errors.New("lost"))
		}
		q.SetOnline(true)
		l.want(t, "a")
		q.Close()
		if s := q.Stats(); s.InFlight != 0 || s.Len != 0 || s.Dropped != 2 {
			t.Errorf("closed: %+v", s)
		}
	})
}

// TestHoldWake: each topic is tried again when its own time has come, without
// anything else to do.
func TestHoldWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(link)
		q := outbox.New(outbox.Config{Send: l.send})
		lose := func() {
			for range 5 {
				q.SetOnline(true)
				q.SetOnline(false)
				l.settle(len(l.done), errors.New("lost"))
			}
		}
		for _, topic := range []string{"a", "b"} {
			if err := q.Put(outbox.Message{Topic: topic, Payload: []byte(topic)}, nil); err != nil {
				t.Error(err)
			}
			lose()
			time.Sleep(20 * time.Second)
		}
		l.sent = nil
		q.SetOnline(true)
		for _, topic := range []string{"a", "b"} {
			time.Sleep(20 * time.Second)
			synctest.Wait()
			l.want(t, topic)
			l.settle(1, nil)
		}
		q.Close()
	})
}

// TestHoldGone: when all messages of a held topic have given place, the next ones
// are dropped from the queue.
func TestHoldGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := new(link), new(results)
		q := outbox.New(outbox.Config{Send: l.send, MaxMessages: 1, DropOldest: true})
		put(t, q, r, "a")
		for range 5 {
			q.SetOnline(true)
			q.SetOnline(false)
			l.settle(len(l.done), errors.New("lost"))
		}
		for _, name := range []string{"b", "c", "d"} {
			if err := q.Put(outbox.Message{Topic: "other"}, r.of(name)); err != nil {
				t.Error(err)
			}
		}
		r.want(t, "a outbox: message dropped", "b outbox: message dropped", "c outbox: message dropped")
		if s := q.Stats(); s.Held != 0 || s.Len != 1 {
			t.Errorf("%+v", s)
		}
		q.Close()
	})
}
