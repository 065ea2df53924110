package ccmtest

import (
	"context"
	"sync"

	"github.com/ccmkit/ccmkit/shadow"
)

// transportQueue is how many messages wait for a handler; then whoever publishes
// waits.
const transportQueue = 1024

// Transport is a shadow.Transport to a [Broker] from within this process: it is
// never offline, whatever the outages of the broker. All methods are safe for
// concurrent use.
type Transport struct {
	b     *Broker
	queue chan delivery
	done  chan struct{}
	ended sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	cancels []func()
}

var _ shadow.Transport = (*Transport)(nil)

// delivery is a message for a handler.
type delivery struct {
	handle func(topic string, payload []byte)
	m      Message
}

// NewTransport returns a transport. Close it at the end, before the broker.
func (b *Broker) NewTransport() *Transport {
	t := &Transport{b: b, queue: make(chan delivery, transportQueue), done: make(chan struct{})}
	t.ended.Go(t.run)
	return t
}

// run calls the handlers.
func (t *Transport) run() {
	for {
		select {
		case d := <-t.queue:
			d.handle(d.m.Topic, d.m.Payload)
		case <-t.done:
			return
		}
	}
}

// Publish publishes a message; payload is copied. The errors are that of ctx,
// if it has ended, and [ErrTopic].
func (t *Transport) Publish(ctx context.Context, topic string, qos byte, payload []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return t.b.Publish(topic, qos, false, payload)
}

// Subscribe has handle called for the messages that one of the filters matches,
// once for each that does, one call at a time. Handlers may publish, but not on
// topics that this transport has subscribed: they would wait for themselves when
// the queue is full. They must not keep or change payload. The errors are that of
// ctx, if it has ended, and [ErrTopic], after which none of the filters is
// subscribed.
func (t *Transport) Subscribe(ctx context.Context, filters []string, _ byte, handle func(topic string, payload []byte)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var cancels []func()
	for _, f := range filters {
		cancel, err := t.b.Subscribe(f, func(m Message) {
			select {
			case t.queue <- delivery{handle, m}:
			case <-t.done:
			}
		})
		if err != nil {
			for _, c := range cancels {
				c()
			}
			return err
		}
		cancels = append(cancels, cancel)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cancels = append(t.cancels, cancels...)
	return nil
}

// Close ends the subscriptions and returns when no handler is running. Messages
// that wait are lost. It must not be called from a handler.
func (t *Transport) Close() error {
	t.mu.Lock()
	cancels := t.cancels
	t.cancels = nil
	if !t.closed {
		t.closed = true
		close(t.done)
	}
	t.mu.Unlock()
	for _, c := range cancels {
		c()
	}
	t.ended.Wait()
	return nil
}
