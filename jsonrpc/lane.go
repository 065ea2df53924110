package jsonrpc

import (
	"context"
	"sync"
	"sync/atomic"
)

// job is a request on its way to a handler. It owns copies of everything, so
// that the reader can go on.
type job struct {
	req     Request
	slot    cacheRef
	session uint32
}

// laneQueue is the bounded queue of requests that wait for the lane.
type laneQueue struct {
	queue  chan *job
	free   freeList[job]
	beside atomic.Int64 // handlers that run beside the lane
	busy   atomic.Int64 // handlers that run or wait, the lane's included

	start  sync.Mutex // held while a runner is started
	closed bool       // no more runners
}

func (q *laneQueue) init(n int) {
	q.queue = make(chan *job, n)
	q.free.max = n + 8
}

// close keeps new runners from starting, and wakes the one that waits for a
// request; one that is busy will notice.
func (q *laneQueue) close() {
	q.start.Lock()
	q.closed = true
	q.start.Unlock()
	select {
	case q.queue <- nil:
	default:
	}
}

func (q *laneQueue) get(r *Request) *job {
	j := q.free.get()
	if j == nil {
		j = new(job)
	}
	r.copyTo(&j.req)
	return j
}

func (q *laneQueue) put(j *job) {
	if cap(j.req.frame) > maxKept {
		return
	}
	j.slot = cacheRef{}
	q.free.put(j)
}

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
	lost := true
	defer func() {
		if lost { // the handler ended this goroutine
			c.lane.busy.Add(-1)
			r.ctx.leaveLane()
		}
	}()
	for j := range c.lane.queue {
		if j == nil || c.ended() {
			break
		}
		if c.lane.busy.Add(1) > int64(c.opts.MaxHandlers) {
			c.lane.busy.Add(-1)
			c.refuseJob(j)
			continue
		}
		r.ctx.held.Store(true)
		c.run(r.ctx, &r.resp, j)
		c.lane.busy.Add(-1)
		if !r.ctx.held.CompareAndSwap(true, false) {
			break // another runner has the lane
		}
		if r.resp.away {
			// Whoever answers may still call with that ctx, and must not give
			// away the lane of a later handler.
			r.newContext()
		}
	}
	lost = false
}

// refuseJob refuses a request for which there is no room among the handlers.
func (c *Conn) refuseJob(j *job) {
	c.refuseBusy(&j.req, j.slot)
	c.lane.put(j)
	c.owed.done()
}

// leaveLane gives the lane away that a handler with this ctx holds, if it does.
func leaveLane(ctx context.Context) {
	if l, in := ctx.Value(laneKey{}).(*laneContext); in {
		l.leaveLane()
	}
}

// leaveLane gives the lane away, if it is held.
func (l *laneContext) leaveLane() {
	if l.held.CompareAndSwap(true, false) {
		l.runner.conn.startLane(l.runner.base)
	}
}
