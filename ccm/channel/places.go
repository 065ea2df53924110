package channel

import (
	"context"
	"sync"

	"github.com/ccmkit/ccmkit/ccm/access"
)

// places bounds the calls at work, and knows how many replies are on their way.
type places struct {
	total, each, mqtt int

	mu      sync.Mutex
	used    int
	byKey   map[any]int   // by channel; no entry is 0
	last    map[any]*turn // of a channel with places, if some run in turn
	replies int           // calls whose reply is not written yet
	idle    chan struct{} // closed when replies comes to 0; nil if nobody waits
}

// mqttKey is the key of the channel MQTT, on which there are many clients.
const mqttKey = access.MQTT

// take takes a place for a call of a channel, among those of all channels and
// among those of this one.
func (p *places) take(key any) bool {
	each := p.each
	if key == mqttKey {
		each = p.mqtt
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used >= p.total || p.byKey[key] >= each {
		return false
	}
	if p.byKey == nil {
		p.byKey = map[any]int{}
	}
	p.used++
	p.byKey[key]++
	return true
}

// giveTotal gives the place among those of all channels back.
func (p *places) giveTotal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used--
}

// giveEach gives the place among those of a channel back.
func (p *places) giveEach(key any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byKey[key]--; p.byKey[key] == 0 {
		delete(p.byKey, key)
		delete(p.last, key)
	}
}

// of returns how many places a channel has taken.
func (p *places) of(key any) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byKey[key]
}

// inUse returns how many places are taken.
func (p *places) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// replyDue counts a call that will be answered.
func (p *places) replyDue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replies++
}

// replyDone ends what replyDue has begun.
func (p *places) replyDone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.replies--; p.replies == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// quiet returns a channel that is closed when no reply is due, or nil if none
// is.
func (p *places) quiet() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.replies == 0 {
		return nil
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	return p.idle
}

// Quiet waits until no reply is on its way: until each call that was accepted
// has been answered and the answer has been written. It is for what ends the
// connections, such as a reboot. A handler must not call it, as its own reply is
// on its way. It returns the error of ctx if that ends before.
func (s *Service) Quiet(ctx context.Context) error {
	c := s.places.quiet()
	if c == nil {
		return nil
	}
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
