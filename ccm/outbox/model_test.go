package outbox_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/outbox"
)

// TestModel plays queues with random bounds against connections that break at
// random, take no more, refuse a topic or close over one: the first sending of
// messages is in the order of their topic, each ends once and with nil only if it
// was acknowledged, and nothing is left in the end.
func TestModel(t *testing.T) {
	seeds := 300
	if os.Getenv("CCMKIT_FULL") == "1" {
		seeds *= 10
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, uint64(seed))
			for range 400 {
				m.step()
				synctest.Wait()
				m.check()
			}
			m.finish()
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// model is a queue, the connection behind it, and what is known of the messages.
type model struct {
	t *testing.T
	*rand.Rand
	mu        sync.Mutex // only orders what never happens at the same time
	q         *outbox.Queue
	up        bool            // the connection takes messages
	broken    bool            // it was sent a message of a denied topic, and takes part in nothing any more
	denied    map[string]bool // topics
	anyOrder  bool            // of acknowledgements
	window    int
	flying    []sent
	put       map[string]int // messages by topic
	last      map[string]int // highest number that was sent, by topic
	delivered map[sentKey]bool
	acked     map[sentKey]bool
	ended     map[sentKey]int
}

type sentKey struct {
	topic string
	n     int // 1, 2, 3 ... of its topic
}

type sent struct {
	sentKey
	done func(error)
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, Rand: rand.New(rand.NewPCG(seed, 1)), denied: map[string]bool{}, put: map[string]int{}, last: map[string]int{},
		delivered: map[sentKey]bool{}, acked: map[sentKey]bool{}, ended: map[sentKey]int{}}
	m.window, m.anyOrder = 1+m.IntN(6), m.IntN(2) == 0
	m.q = outbox.New(outbox.Config{Window: m.window, DropOldest: m.IntN(2) == 0, MaxMessages: 5 + m.IntN(30), MaxBytes: 100 + m.IntN(1000), Send: m.send})
	return m
}

// send takes a message as the connection does.
func (m *model) send(msg *outbox.Message, done func(error)) error {
	m.order()
	defer m.order()
	switch {
	case !m.up:
		return outbox.ErrOffline
	case m.IntN(20) == 0:
		return outbox.ErrBusy
	case msg.Topic == "bad":
		return errors.New("refused")
	case len(m.flying) >= m.window:
		m.t.Error("more messages than the window has room for")
	}
	key := sentKey{topic: msg.Topic}
	fmt.Sscan(string(msg.Payload), &key.n)
	m.flying = append(m.flying, sent{key, done})
	m.broken = m.broken || m.denied[msg.Topic]
	if !m.broken && !m.delivered[key] {
		m.delivered[key] = true
		if key.n < m.last[key.topic] {
			m.t.Errorf("%s: %d was sent after %d", key.topic, key.n, m.last[key.topic])
		}
		m.last[key.topic] = key.n
	}
	return nil
}

// order tells the race detector that what was done here comes before what a timer
// of the queue does.
func (m *model) order() {
	m.mu.Lock()
	defer m.mu.Unlock()
}

func (m *model) sleep(d time.Duration) {
	m.order()
	time.Sleep(d)
	synctest.Wait()
	m.order()
}

// step does something.
func (m *model) step() {
	switch n := m.IntN(12); {
	case n < 4:
		m.publish([]string{"a", "b", "c", "d", "e", "bad"}[m.IntN(6)])
	case n < 7 && len(m.flying) > 0:
		i := 0
		if m.anyOrder {
			i = m.IntN(len(m.flying))
		}
		if m.delivered[m.flying[i].sentKey] {
			m.ack(i)
		}
	case n == 7:
		m.sleep(time.Duration(m.IntN(3000)) * time.Millisecond)
	case n == 8 && m.up && (m.broken || m.IntN(5) == 0):
		m.lose()
	case n < 11 && !m.up:
		m.up = true
		m.q.SetOnline(true)
	case n == 11:
		m.rare(m.IntN(8))
	}
}

// rare does what happens now and then.
func (m *model) rare(n int) {
	switch n {
	case 0:
		m.denied[string(rune('a'+m.IntN(5)))] = true
	case 1:
		clear(m.denied)
	case 2:
		m.sleep(time.Duration(m.IntN(100)) * time.Second)
	}
}

// publish puts the next message of a topic.
func (m *model) publish(topic string) {
	m.put[topic]++
	key := sentKey{topic, m.put[topic]}
	err := m.q.Put(outbox.Message{Topic: topic, Payload: fmt.Appendf(nil, "%d %*s", key.n, m.IntN(30), "")}, func(err error) {
		if m.ended[key]++; err == nil && !m.acked[key] {
			m.t.Errorf("%v ended well, but was not acknowledged", key)
		}
	})
	if err != nil {
		m.ended[key]++
	}
}

// ack acknowledges a message.
func (m *model) ack(i int) {
	f := m.flying[i]
	m.flying = append(m.flying[:i:i], m.flying[i+1:]...)
	m.acked[f.sentKey] = true
	f.done(nil)
}

// lose breaks the connection; the queue may hear of that before or after the
// messages.
func (m *model) lose() {
	m.up, m.broken = false, false
	lost := m.flying
	m.flying = nil
	if m.IntN(2) == 0 {
		m.q.SetOnline(false)
	}
	for _, f := range lost {
		f.done(errors.New("lost"))
	}
	m.q.SetOnline(false)
}

// check compares the counters.
func (m *model) check() {
	s := m.q.Stats()
	if s.Accepted != s.Sent+s.Refused+s.Dropped+uint64(s.Len) || s.InFlight != len(m.flying) || s.Len == 0 && s.Bytes != 0 || s.Held > s.Len {
		m.t.Fatalf("%+v, %d on their way", s, len(m.flying))
	}
}

// finish lets everything pass, and looks at what became of it.
func (m *model) finish() {
	clear(m.denied)
	if m.broken {
		m.lose()
	}
	m.up = true
	m.q.SetOnline(true)
	for begun := time.Now(); m.q.Stats().Len > 0 && time.Since(begun) < 24*time.Hour; m.sleep(5 * time.Second) {
		for len(m.flying) > 0 {
			m.ack(0)
		}
	}
	m.check()
	if s := m.q.Stats(); s.Len != 0 {
		m.t.Errorf("left over: %+v", s)
	}
	for topic, n := range m.put {
		for i := 1; i <= n; i++ {
			if got := m.ended[sentKey{topic, i}]; got != 1 {
				m.t.Errorf("%s %d ended %d times", topic, i, got)
			}
		}
	}
	m.q.Close()
}
