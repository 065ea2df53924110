package jsonrpc

import (
	"context"
	"strconv"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Call calls a method of the peer and appends the JSON text of its result to
// dst. The params are formatted by the verbs of [mjson.Appendf]; an empty format
// sends none, and "%s" sends text that is JSON already:
//
//	sum, err := c.Call(ctx, nil, "Sum", "[%d,%d]", 2, 3)
//
// Call returns when the answer has come, when ctx ends (its error), after
// CallTimeout if ctx has no deadline (ErrTimeout), or when the connection has
// ended (ErrClosed). An answer with an error is an [*Error]. ErrBusy may also
// mean that this call was the oldest of too many. ErrTooLong, ErrInvalidJSON and
// a [*mjson.FormatError] mean that the frame exceeds what the peer takes, that
// the formatted params are not JSON, and that the arguments do not fit the
// format; nothing was sent. On an error dst is returned as it was.
//
// A handler may call the peer that called it. While it waits in a call that was
// given its own ctx, or one derived from it, the next request may run.
func (c *Conn) Call(ctx context.Context, dst []byte, method, format string, args ...any) ([]byte, error) {
	return c.CallQueued(ctx, dst, nil, method, format, args...)
}

// CallQueued is Call, but calls queued, if that is not nil, when the frame is in
// the queue of what is to be written, which keeps its order. If queued was not
// called when CallQueued returns, it will not be.
func (c *Conn) CallQueued(ctx context.Context, dst []byte, queued func(), method, format string, args ...any) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	p, err := c.beginCall(ctx)
	if err != nil {
		return dst, err
	}
	defer c.calls.release(p)
	p.dst = dst
	p.frame = strconv.AppendUint(append(p.frame[:0], `{"id":`...), p.id, 10)
	p.frame = mjson.AppendQuote(append(p.frame, `,"method":`...), method)
	if p.frame, err = appendParamsf(p.frame, format, args...); err != nil {
		return dst, err
	}
	if c.tooLong(p.frame) {
		return dst, c.refuse(p.frame)
	}
	leaveLane(ctx)
	if err := c.await(ctx, p, queued); err != nil {
		return dst, err
	}
	return p.dst, nil
}

// beginCall takes a place among the calls in flight. It waits, CallTimeout at
// most, while this call would be too far ahead of the oldest one.
func (c *Conn) beginCall(ctx context.Context) (*call, error) {
	var timer *time.Timer
	for {
		p, evicted, wait, err := c.calls.begin()
		if evicted {
			c.stats.evicted.Add(1)
		}
		if wait == nil {
			return p, err
		}
		if timer == nil {
			leaveLane(ctx)
			timer = time.NewTimer(c.opts.CallTimeout)
			defer timer.Stop()
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.done:
			return nil, ErrClosed
		case <-timer.C:
			return nil, ErrTimeout
		}
	}
}

// Notify sends a notification: the peer will not answer. It returns when the
// frame is queued; see [Conn.Call] for the format and the errors.
func (c *Conn) Notify(ctx context.Context, method, format string, args ...any) error {
	o, err := c.notification(ctx, method, format, args...)
	if err != nil {
		return err
	}
	if err = c.sendWait(ctx, o); err != nil {
		c.out.put(o)
	}
	return err
}

// NotifyWritten is Notify, but returns when the framer has written the frame,
// or with its error. When ctx ends before, the frame is not sent any more, unless
// it is being written at that moment. When the connection ends, it may be on its
// way.
func (c *Conn) NotifyWritten(ctx context.Context, method, format string, args ...any) error {
	o, err := c.notification(ctx, method, format, args...)
	if err != nil {
		return err
	}
	r := &receipt{written: make(chan error, 1)}
	o.receipt = r
	if err = c.sendWait(ctx, o); err != nil {
		c.out.put(o)
		return err
	}
	select {
	case err = <-r.written:
		return err
	case <-ctx.Done():
		r.claim()
		return ctx.Err()
	case <-c.done:
		return ErrClosed
	}
}

// notification makes the frame of a notification.
func (c *Conn) notification(ctx context.Context, method, format string, args ...any) (*outFrame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.ended() {
		return nil, ErrClosed
	}
	o := c.out.get()
	o.frame = mjson.AppendQuote(append(o.frame, `{"method":`...), method)
	var err error
	if o.frame, err = appendParamsf(o.frame, format, args...); err == nil && c.tooLong(o.frame) {
		err = c.refuse(o.frame)
	}
	if err != nil {
		c.out.put(o)
		return nil, err
	}
	return o, nil
}

// appendParamsf ends a request with formatted params, which must be JSON.
func appendParamsf(dst []byte, format string, args ...any) ([]byte, error) {
	if format == "" && len(args) == 0 {
		return append(dst, '}'), nil
	}
	dst = append(dst, `,"params":`...)
	start := len(dst)
	dst, err := mjson.Appendf(dst, format, args...)
	if err != nil {
		return dst, err
	}
	if len(dst) == start {
		return append(dst[:start-len(`,"params":`)], '}'), nil
	}
	if !Valid(dst[start:]) {
		return dst, ErrInvalidJSON
	}
	return append(dst, '}'), nil
}

// refuse counts a frame that the peer would not take.
func (c *Conn) refuse(frame []byte) error {
	c.stats.tooLong.Add(1)
	c.observe(EventTooLong, frame, ErrTooLong)
	return ErrTooLong
}

// await sends a call, again after RetryAfter if need be, and waits for its end.
func (c *Conn) await(ctx context.Context, p *call, queued func()) error {
	_, bounded := ctx.Deadline()
	var end time.Time
	if !bounded {
		end = time.Now().Add(c.opts.CallTimeout)
	}
	for try := 0; ; try++ {
		if err := c.sendCall(ctx, p); err != nil {
			return err
		}
		if try == 0 && queued != nil {
			queued()
		}
		due, last := end, try >= c.opts.Retries
		if !last {
			due = time.Now().Add(c.opts.RetryAfter)
			if !bounded && end.Before(due) {
				due = end
			}
		}
		c.calls.wake(p, due, !last)
		if s, err := p.next(ctx); err != nil {
			return c.giveUp(p, err)
		} else if s == callEnded {
			return p.err
		}
		// Time is up, or the peer got a damaged frame.
		if last || !bounded && !time.Now().Before(end) {
			return c.giveUp(p, ErrTimeout)
		}
		c.stats.retried.Add(1)
	}
}

// sendCall queues a copy of the call's frame.
func (c *Conn) sendCall(ctx context.Context, p *call) error {
	o := c.out.get()
	o.frame, o.call = append(o.frame, p.frame...), p.id
	err := c.sendWait(ctx, o)
	if err != nil {
		c.out.put(o)
		return c.giveUp(p, err)
	}
	return nil
}

// giveUp ends the wait for an answer with err, unless the call has ended just
// now.
func (c *Conn) giveUp(p *call, err error) error {
	if !c.calls.forget(p) {
		for <-p.signals != callEnded {
		}
		return p.err
	}
	if err == ErrTimeout {
		c.stats.timedOut.Add(1)
	}
	return err
}

// answered hands an answer to the call that waits for it.
func (c *Conn) answered(m *Message) {
	if !m.has(idMember) && m.kind == KindError {
		c.complaint(m)
		return
	}
	if id, is := parseID(m.ID()); is && c.calls.finish(id, m) {
		return
	}
	c.stats.orphans.Add(1)
	c.observe(EventOrphan, m.frame, nil)
}

// parseID reads an id as this side writes them: decimal digits without sign or
// leading zero.
func parseID(raw []byte) (id uint64, ok bool) {
	if len(raw) == 0 || len(raw) > 16 || raw[0] == '0' {
		return 0, false
	}
	for _, b := range raw {
		if b -= '0'; b > 9 {
			return 0, false
		} else {
			id = id*10 + uint64(b)
		}
	}
	return id, true
}
