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
	ctx  context.Context // what handlers get: base, with this runner in it
	resp Response
	held atomic.Bool // the lane is held, by a handler that runs
}

// laneKey finds the runner in the ctx of a handler.
type laneKey struct{}

// laneContext is the ctx of a runner's handlers.
type laneContext struct {
	context.Context
	runner *runner
}

// Value returns the runner for laneKey.
func (l *laneContext) Value(key any) any {
	if _, is := key.(laneKey); is {
		return l.runner
	}
	return l.Context.Value(key)
}

// startLane starts a runner that takes the lane, unless the connection has
// ended.
func (c *Conn) startLane(base context.Context) {
	r := &runner{conn: c, base: base}
	r.ctx = &laneContext{Context: base, runner: r}
	c.lane.start.Lock()
	defer c.lane.start.Unlock()
	if !c.lane.closed {
		c.workers.Go(r.loop)
	}
}

// loop runs one request after the other until the lane is gone.
func (r *runner) loop() {
	c := r.conn
	for {
		select {
		case <-c.done:
			return
		case j := <-c.lane.queue:
			c.lane.busy.Add(1)
			r.held.Store(true)
			c.run(r.ctx, &r.resp, j)
			c.lane.busy.Add(-1)
			if !r.held.CompareAndSwap(true, false) {
				return // another runner has the lane
			}
		}
	}
}

// leaveLane gives the lane away, if it is held and not too many handlers wait
// already.
func (r *runner) leaveLane() {
	c := r.conn
	if c.lane.busy.Load() >= int64(c.opts.MaxHandlers) {
		return
	}
	if r.held.CompareAndSwap(true, false) {
		c.startLane(r.base)
	}
}
