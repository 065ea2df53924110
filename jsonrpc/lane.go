package jsonrpc

import (
	"context"
	"sync/atomic"
)

// runner is a goroutine that runs the handlers of the lane while it holds the
// lane. When a handler waits in a call, the lane goes to a new runner and the
// old one ends with its handler.
type runner struct {
	conn *Conn
	base context.Context // the connection's
	ctx  *laneContext    // what handlers get
	resp Response
}

// laneKey finds the laneContext in the ctx of a handler.
type laneKey struct{}

// laneContext is the ctx of a runner's handlers: the connection's, with the
// right to the lane.
type laneContext struct {
	context.Context
	runner *runner
	held   atomic.Bool // the lane is held, by a handler that runs with this ctx
}

// Value returns the laneContext itself for laneKey.
func (l *laneContext) Value(key any) any {
	if _, is := key.(laneKey); is {
		return l
	}
	return l.Context.Value(key)
}

// startLane starts a runner that takes the lane, unless the connection has
// ended.
func (c *Conn) startLane(base context.Context) {
	r := &runner{conn: c, base: base}
	r.newContext()
	c.lane.start.Lock()
	defer c.lane.start.Unlock()
	if !c.lane.closed {
		c.workers.Go(r.loop)
	}
}

func (r *runner) newContext() { r.ctx = &laneContext{Context: r.base, runner: r} }

// loop runs one request after the other until the lane is gone.
func (r *runner) loop() {
	c := r.conn
	for j := range c.lane.queue {
		if j == nil || c.ended() {
			return
		}
		c.lane.busy.Add(1)
		r.ctx.held.Store(true)
		c.run(r.ctx, &r.resp, j)
		c.lane.busy.Add(-1)
		if !r.ctx.held.CompareAndSwap(true, false) {
			return // another runner has the lane
		}
		if r.resp.away {
			// Whoever answers may still call with that ctx, and must not give
			// away the lane of a later handler.
			r.newContext()
		}
	}
}

// leaveLane gives the lane away, if it is held and not too many handlers wait
// already.
func (l *laneContext) leaveLane() {
	c := l.runner.conn
	if c.lane.busy.Load() >= int64(c.opts.MaxHandlers) {
		return
	}
	if l.held.CompareAndSwap(true, false) {
		c.startLane(l.runner.base)
	}
}
