package ccm_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// outcome is what a host is told about a publication.
type outcome uint8

const (
	published outcome = iota // null: the broker has it
	queued                   // {"queued":true}
	refused                  // 429: it never will
)

// publication is an entry in a history.
type publication struct {
	topic   string
	number  int // within the topic, in the order of the calls
	outcome outcome
	ended   time.Time // when the host was told
	came    []time.Time
}

// history is what a host has published and what came to the broker, in the
// manner of jepsen: test Q6 of the reliability demands.
type history struct {
	t testing.TB

	mu   sync.Mutex
	all  map[string]*publication // by payload
	last map[string]int          // number of the last first arrival, by topic
}

func newHistory(t testing.TB) *history {
	return &history{t: t, all: map[string]*publication{}, last: map[string]int{}}
}

// arrived notes a message at the broker, which must be one that was published,
// and not before an earlier one of its topic.
func (h *history) arrived(m ccmtest.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.all[string(m.Payload)]
	if p == nil || p.topic != m.Topic {
		h.t.Errorf("a message that nobody has published: %s %q", m.Topic, m.Payload)
		return
	}
	if len(p.came) == 0 {
		if p.number < h.last[p.topic] {
			h.t.Errorf("%s: message %d came after %d", p.topic, p.number, h.last[p.topic])
		}
		h.last[p.topic] = p.number
	}
	p.came = append(p.came, m.At)
}

// publish publishes a message by a host, and notes what the host is told.
func (h *history) publish(dev *host.Host, topic string, number int) outcome {
	payload := topic + " " + strconv.Itoa(number)
	p := &publication{topic: topic, number: number}
	h.mu.Lock()
	h.all[payload] = p
	h.mu.Unlock()
	out, err := dev.Call(context.Background(), nil, "MQTT.Pub", "{%Q:%Q,%Q:%Q,%Q:1}", "topic", topic, "message", payload, "qos")
	e, _ := err.(*jsonrpc.Error)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch p.ended = time.Now(); {
	case err == nil && string(out) == "null":
		p.outcome = published
	case err == nil && string(out) == `{"queued":true}`:
		p.outcome = queued
	case e != nil && e.Code == jsonrpc.CodeBusy:
		p.outcome = refused
	default:
		h.t.Errorf("%s: %s, %v", payload, out, err)
	}
	return p.outcome
}

// verdict is what a history shows.
type verdict struct{ published, queued, refused, doubles, missing int }

// judge checks that what the host was told is true. missing are the queued
// messages that have not come.
func (h *history) judge() (v verdict) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for payload, p := range h.all {
		v.doubles += max(0, len(p.came)-1)
		switch p.outcome {
		case published:
			v.published++
			if len(p.came) == 0 || p.came[0].After(p.ended) {
				h.t.Errorf("%q: the host was told of its success at %v, it came at %v", payload, p.ended, p.came)
			}
		case queued:
			v.queued++
			if len(p.came) == 0 {
				v.missing++
			}
		case refused:
			v.refused++
			if len(p.came) > 0 {
				h.t.Errorf("%q was refused, and came all the same", payload)
			}
		}
	}
	return v
}
