package jsonrpc

import (
	"bytes"
	"context"
	"errors"
)

// sysInit is the notification by which a host says that it has started.
const sysInit = "Sys.Init"

// serve passes a request to its handler, or refuses it.
func (c *Conn) serve(ctx context.Context, m *Message) {
	if m.kind == KindNotification && string(m.Method()) == sysInit {
		c.NewSession()
	}
	lane := Ordered
	if c.sched != nil {
		lane = c.sched.LaneOf(m.Method())
	}
	if lane == Immediate {
		c.serveNow(ctx, &m.Request)
		return
	}
	var slot cacheRef
	if m.kind == KindCall {
		var done bool
		if slot, done = c.retry(m); done {
			return
		}
	}
	if lane == Beside {
		c.serveBeside(ctx, &m.Request, slot)
		return
	}
	j := c.newJob(&m.Request, slot)
	c.owed.add()
	select {
	case c.lane.queue <- j:
	default:
		c.refuseBusy(&m.Request, slot)
		c.lane.put(j)
		c.owed.done()
	}
}

// serveNow runs an immediate handler.
func (c *Conn) serveNow(ctx context.Context, r *Request) {
	o := c.out.get()
	w := &c.resp
	c.prepare(w, o, r, cacheRef{}, c.session.Load())
	serve(ctx, c.opts.Handler, w, r)
	c.finish(w, o, c.sendSoon)
}

// serveBeside runs a handler on a goroutine of its own, unless too many do.
func (c *Conn) serveBeside(ctx context.Context, r *Request, slot cacheRef) {
	if c.lane.beside.Add(1) > int64(c.opts.MaxBeside) {
		c.lane.beside.Add(-1)
		c.refuseBusy(r, slot)
		return
	}
	j := c.newJob(r, slot)
	c.owed.add()
	c.workers.Go(func() {
		defer c.lane.beside.Add(-1)
		c.run(ctx, new(Response), j)
	})
}

// refuseBusy answers a call with CodeBusy and drops a notification.
func (c *Conn) refuseBusy(r *Request, slot cacheRef) {
	c.stats.busy.Add(1)
	c.observe(EventBusy, r.frame, ErrBusy)
	c.cache.drop(slot)
	if !r.IsNotification() {
		o := c.out.get()
		o.frame = AppendError(o.frame, r.ID(), c.code(CodeBusy), ErrBusy.Message, nil)
		c.sendRefusal(o)
	}
}

// retry looks a call up among those that were served lately. It reports true
// if nothing is left to do: the first one still runs, or its reply was sent
// again.
func (c *Conn) retry(m *Message) (cacheRef, bool) {
	slot, state, reply := c.cache.begin(m)
	switch state {
	case retryJoins:
		c.stats.joined.Add(1)
		return slot, true
	case retryReplays:
		c.stats.replayed.Add(1)
		c.observe(EventReplayed, m.frame, nil)
		o := c.out.get()
		o.frame = append(o.frame, reply...)
		o.fault = bytes.HasPrefix(reply[len(`{"id":`)+len(m.ID()):], []byte(`,"error":`))
		c.sendSoon(o)
		return slot, true
	}
	return slot, false
}

// newJob returns a copy of a request for a handler.
func (c *Conn) newJob(r *Request, slot cacheRef) *job {
	j := c.lane.get(r)
	j.slot, j.session = slot, c.session.Load()
	return j
}

// prepare makes w ready for a request; its answer goes into o.
func (c *Conn) prepare(w *Response, o *outFrame, r *Request, slot cacheRef, session uint32) {
	w.conn, w.codes = c, c.opts.Codes
	w.reset(o.frame, r.ID())
	w.slot, w.session = slot, session
}

// run serves a job and sends the answer.
func (c *Conn) run(ctx context.Context, w *Response, j *job) {
	o := c.out.get()
	c.prepare(w, o, &j.req, j.slot, j.session)
	defer c.ran(w, o, j) // also when the handler ends its goroutine
	serve(ctx, c.opts.Handler, w, &j.req)
}

// ran sends the answer of a job.
func (c *Conn) ran(w *Response, o *outFrame, j *job) {
	c.finish(w, o, c.send)
	c.lane.put(j)
	c.owed.done()
}

// finish sends what a handler has answered.
func (c *Conn) finish(w *Response, o *outFrame, send func(*outFrame)) {
	if !w.away && !w.answered {
		w.Result(nil)
	}
	o.frame, w.buf = w.buf, nil
	if w.away || len(w.id) == 0 {
		c.out.put(o)
		return
	}
	c.reply(w, o, send)
}

// reply sends an answer, or an error instead of one that the peer would not
// take, and keeps it for a retry. An answer to a request of an earlier session is
// dropped: its id may mean another request now.
func (c *Conn) reply(w *Response, o *outFrame, send func(*outFrame)) {
	if w.session != c.session.Load() {
		c.stats.stale.Add(1)
		c.out.put(o)
		return
	}
	if c.tooLong(o.frame) {
		c.refuse(o.frame)
		o.frame = AppendError(o.frame[:0], w.id, c.code(CodeTooLarge), "the reply is too long", nil)
		w.failed = true
	}
	c.cache.keep(w.slot, o.frame)
	o.fault = w.failed
	send(o)
}

// send queues an answer from a handler's goroutine.
func (c *Conn) send(o *outFrame) {
	if err := c.sendWait(context.Background(), o); err != nil {
		c.unsent(o, err)
	}
}

// detach takes a place for an answer that comes later.
func (c *Conn) detach() bool {
	if c.detached.Add(1) > int64(c.opts.MaxHandlers) {
		c.detached.Add(-1)
		return false
	}
	c.owed.add()
	return true
}

// undetach sends an answer that came later.
func (c *Conn) undetach(w *Response) {
	o := c.out.get()
	o.frame = append(o.frame, w.buf...)
	c.reply(w, o, c.sendAside)
	c.detached.Add(-1)
	c.owed.done()
}

// sendAside queues a detached answer. It does not wait: whoever answers may serve
// other connections too. An answer that finds no room keeps its place among the
// detached ones until it is queued or dropped.
func (c *Conn) sendAside(o *outFrame) {
	c.owed.add()
	select {
	case c.out.queue <- o:
		return
	default:
	}
	c.lane.start.Lock()
	defer c.lane.start.Unlock()
	if c.lane.closed {
		c.unsent(o, ErrClosed)
		c.owed.done()
		return
	}
	c.detached.Add(1)
	c.workers.Go(func() {
		c.send(o)
		c.detached.Add(-1)
		c.owed.done()
	})
}

// panicked counts a handler that did not return, and tells the observer why.
func (c *Conn) panicked(r *Request, value any) {
	c.stats.panics.Add(1)
	var err error
	switch v := value.(type) {
	case error:
		err = v
	case string:
		err = errors.New(v)
	}
	c.observe(EventPanic, r.frame, err)
}
