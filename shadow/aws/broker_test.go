package aws_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/ccmkit/ccmkit/shadow"
	"github.com/ccmkit/ccmkit/shadow/aws"
)

// message is one that was published.
type message struct {
	topic, payload string
	qos            byte
}

// token returns the clientToken of a request.
func (m message) token() string {
	var p struct{ ClientToken string }
	json.Unmarshal([]byte(m.payload), &p)
	return p.ClientToken
}

// broker is a transport that does what a test says.
type broker struct {
	published chan message
	reply     func(b *broker, m message) // called in Publish, if set

	mu         sync.Mutex
	err        error // of Publish and Subscribe
	filters    []string
	subscribed int
	qos        byte
	handle     func(topic string, payload []byte)
}

func newBroker() *broker { return &broker{published: make(chan message, 100)} }

func (b *broker) Publish(_ context.Context, topic string, qos byte, payload []byte) error {
	b.mu.Lock()
	err := b.err
	b.mu.Unlock()
	if err != nil {
		return err
	}
	m := message{topic, string(payload), qos}
	b.published <- m
	if b.reply != nil {
		b.reply(b, m)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *broker) Subscribe(_ context.Context, filters []string, qos byte, handle func(string, []byte)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	b.filters, b.qos, b.handle = filters, qos, handle
	b.subscribed++
	return nil
}

func (b *broker) fail(err error) {
	b.mu.Lock()
	b.err = err
	b.mu.Unlock()
}

// send sends a message to the device, in memory that is used again afterwards.
func (b *broker) send(topic, payload string) {
	b.mu.Lock()
	handle := b.handle
	b.mu.Unlock()
	text := []byte(payload)
	handle(topic, text)
	for i := range text {
		text[i] = '#'
	}
}

const prefix = "$aws/things/thing-1/shadow"

// connect returns a backend that is subscribed, and a function that returns the
// deltas since its last call.
func connect(t *testing.T, b *broker, name string) (*aws.Backend, func() []shadow.Delta) {
	t.Helper()
	backend, err := aws.New(b, "thing-1", name)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var deltas []shadow.Delta
	err = backend.Subscribe(t.Context(), func(d shadow.Delta) {
		mu.Lock()
		deltas = append(deltas, d)
		mu.Unlock()
	})
	if err != nil {
		t.Fatal(err)
	}
	return backend, func() []shadow.Delta {
		mu.Lock()
		defer mu.Unlock()
		d := deltas
		deltas = nil
		return d
	}
}

// answer returns a reply function: "accepted" or "rejected", with payload, in
// which TOKEN stands for the token.
func answer(result, payload string) func(*broker, message) {
	return func(b *broker, m message) {
		b.send(m.topic+"/"+result, strings.ReplaceAll(payload, "TOKEN", m.token()))
	}
}
