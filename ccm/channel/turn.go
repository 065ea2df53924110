package channel

import (
	"context"

	"github.com/ccmkit/ccmkit/jsonrpc"
)

// InTurn is a handler that may want the calls of one channel to run one after the
// other, in the order in which they came, as changes of the same thing must. Handlers
// that are not InTurn run at the same time. All that comes over MQTT is one channel.
type InTurn interface {
	jsonrpc.Handler
	InTurn() bool
}

// turn is the place of a call among those of its channel that run in turn.
type turn struct {
	before *turn         // the call before it; nil: it is over
	over   chan struct{} // closed when the call has returned, or given up waiting
	gaveUp bool          // then those before it may still be at work
}

// wait waits until the calls before have returned, or returns the error of ctx.
func (t *turn) wait(ctx context.Context) error {
	for b := t.before; b != nil; b = b.before {
		select {
		case <-b.over:
		case <-ctx.Done():
			t.gaveUp = true
			return ctx.Err()
		}
		if !b.gaveUp {
			break
		}
	}
	t.before = nil // who waits for this one need not go further
	return nil
}

// turn returns the next turn of a channel that has taken a place.
func (p *places) turn(key any) *turn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last = map[any]*turn{}
	}
	t := &turn{before: p.last[key], over: make(chan struct{})}
	p.last[key] = t
	return t
}
