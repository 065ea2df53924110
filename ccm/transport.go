package ccm

import (
	"context"
	"sync/atomic"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/shadow"
)

// Transport returns a way to the broker for a shadow dialect, or for the service
// of package shadow/service, that is to use the module's connection. A module
// without hosts may serve just that. It works while Run does; without
// Config.Cloud its methods return ErrNoCloud. Subscribe must not be called by two
// goroutines at the same time.
func (m *Module) Transport() shadow.Transport {
	return &transport{m: m, slots: map[string]*slot{}}
}

// transport is how a shadow reaches the broker. Subscribe is called by one
// goroutine at a time.
type transport struct {
	m     *Module
	slots map[string]*slot // by filter
}

// slot holds the function that handles the messages of a filter.
type slot struct {
	handle atomic.Pointer[func(topic string, payload []byte)]
}

// Publish publishes a message.
func (t *transport) Publish(ctx context.Context, topic string, qos byte, payload []byte) error {
	return t.m.Publish(ctx, topic, qos, payload)
}

// Subscribe subscribes to filters. A filter that is subscribed again gets the
// new function.
func (t *transport) Subscribe(ctx context.Context, filters []string, qos byte, handle func(topic string, payload []byte)) error {
	if t.m.cloud == nil {
		return ErrNoCloud
	}
	subs := make([]cloud.Subscription, len(filters))
	for i, f := range filters {
		s := t.slots[f]
		if s == nil {
			s = new(slot)
			t.slots[f] = s
			s.handle.Store(&handle)
			t.m.router.addHandler(f, qos, func(msg *cloud.Message) { (*s.handle.Load())(msg.Topic, msg.Payload) })
		}
		s.handle.Store(&handle)
		subs[i] = cloud.Subscription{Filter: f, QoS: qos}
	}
	return t.m.cloud.Subscribe(ctx, subs...)
}
