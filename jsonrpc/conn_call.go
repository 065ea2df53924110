package jsonrpc

import (
	"bytes"
	"context"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
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
// mean that this call was the oldest of too many. ErrTooLong means that the
// frame exceeds what the peer takes; nothing was sent. On an error dst is
// returned as it was.
//
// A handler may call the peer that called it. While it waits in a call that was
// given its own ctx, or one derived from it, the next request may run.
func (c *Conn) Call(ctx context.Context, dst []byte, method, format string, args ...any) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	p, evicted, err := c.calls.begin()
	if err != nil {
		return dst, err
	}
	if evicted {
		c.stats.evicted.Add(1)
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
	if l, in := ctx.Value(laneKey{}).(*laneContext); in {
		l.leaveLane()
	}
	if err := c.await(ctx, p); err != nil {
		return dst, err
	}
	return p.dst, nil
}

// Notify sends a notification: the peer will not answer. It returns when the
// frame is queued; see [Conn.Call] for the format and the errors.
func (c *Conn) Notify(ctx context.Context, method, format string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.ended() {
		return ErrClosed
	}
	o := c.out.get()
	o.frame = mjson.AppendQuote(append(o.frame, `{"method":`...), method)
	var err error
	if o.frame, err = appendParamsf(o.frame, format, args...); err == nil && c.tooLong(o.frame) {
		err = c.refuse(o.frame)
	}
	if err == nil {
		err = c.sendWait(ctx, o)
	}
	if err != nil {
		c.out.put(o)
	}
	return err
}

// appendParamsf ends a request with formatted params.
func appendParamsf(dst []byte, format string, args ...any) ([]byte, error) {
	if format == "" && len(args) == 0 {
		return append(dst, '}'), nil
	}
	dst = append(dst, `,"params":`...)
	start := len(dst)
	dst, err := mjson.Appendf(dst, format, args...)
	if len(dst) == start {
		dst = dst[:start-len(`,"params":`)]
	}
	return append(dst, '}'), err
}

// refuse counts a frame that the peer would not take.
func (c *Conn) refuse(frame []byte) error {
	c.stats.tooLong.Add(1)
	c.observe(EventTooLong, frame, ErrTooLong)
	return ErrTooLong
}

// await sends a call, again after RetryAfter if need be, and waits for its end.
func (c *Conn) await(ctx context.Context, p *call) error {
	left := c.opts.CallTimeout
	if _, bounded := ctx.Deadline(); bounded {
		left = forever
	}
	for try := 0; ; try++ {
		if err := c.sendCall(ctx, p); err != nil {
			return err
		}
		wait := left
		if try < c.opts.Retries {
			wait = min(left, c.opts.RetryAfter)
		}
		if wait < forever {
			c.calls.wake(p, wait)
		}
		select {
		case s := <-p.signals:
			if s == callEnded {
				return p.err
			}
		case <-ctx.Done():
			return c.giveUp(p, ctx.Err())
		}
		if left -= wait; left <= 0 || try >= c.opts.Retries {
			return c.giveUp(p, ErrTimeout)
		}
		c.stats.retried.Add(1)
	}
}

// forever is longer than any timer.
const forever = time.Duration(1<<63 - 1)

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

// call is one call that waits for its answer. Its fields belong to the caller
// while it is not in the table, and to the table's lock while it is.
type call struct {
	id      uint64
	frame   []byte // kept for retries
	dst     []byte // the result is appended here
	err     error
	signals chan signal // one callEnded; timeUp before it
	timer   *time.Timer
	due     time.Time // when the timer is to signal, if at all
}

// signal is what wakes a caller.
type signal uint8

const (
	callEnded signal = iota // dst or err is set, the call is out of the table
	timeUp                  // the timer has run down
)

// callTable finds the waiting call of an id.
type callTable struct {
	mu      sync.Mutex
	slots   []*call // the call with id n waits in slot n modulo the length
	free    []*call
	next    uint64 // id to try next; ids only grow, so none is used twice
	waiting int
	max     int
	closed  bool
}

func (t *callTable) init(max int, first uint64) {
	t.max = max
	t.slots = make([]*call, 1<<bits.Len(uint(2*max-1)))
	if t.next = first; first == 0 {
		t.next = 1 + rand.Uint64N(1<<16)
	}
}

// begin takes a call and an id for it. If too many are waiting, the oldest one
// fails with ErrBusy.
func (t *callTable) begin() (p *call, evicted bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, false, ErrClosed
	}
	if t.waiting >= t.max {
		t.take(t.oldest()).end(ErrBusy)
		evicted = true
	}
	if n := len(t.free); n > 0 {
		p, t.free = t.free[n-1], t.free[:n-1]
	} else {
		p = t.newCall()
	}
	for t.slots[t.slot(t.next)] != nil {
		t.next++
	}
	p.id, p.err = t.next, nil
	t.slots[t.slot(p.id)] = p
	t.next++
	t.waiting++
	return p, evicted, nil
}

// newCall makes a call. Its timer is reused; one that was stopped too late may
// run into the next use, which is why it looks at the time.
func (t *callTable) newCall() *call {
	p := &call{signals: make(chan signal, 2)}
	p.timer = time.AfterFunc(forever, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.slots[t.slot(p.id)] == p && !p.due.IsZero() && !time.Now().Before(p.due) && len(p.signals) == 0 {
			p.signals <- timeUp
		}
	})
	return p
}

// wake sets the timer of a call.
func (t *callTable) wake(p *call, after time.Duration) {
	t.mu.Lock()
	p.due = time.Now().Add(after)
	t.mu.Unlock()
	p.timer.Reset(after)
}

// close ends every call with ErrClosed and lets no more begin.
func (t *callTable) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, p := range t.slots {
		if p != nil {
			t.take(p.id).end(ErrClosed)
		}
	}
}

func (t *callTable) slot(id uint64) uint64 { return id & uint64(len(t.slots)-1) }

// oldest returns the lowest id that waits.
func (t *callTable) oldest() uint64 {
	low := uint64(1<<64 - 1)
	for _, p := range t.slots {
		if p != nil {
			low = min(low, p.id)
		}
	}
	return low
}

// take removes the call of an id from the table. The lock is held.
func (t *callTable) take(id uint64) *call {
	p := t.slots[t.slot(id)]
	if p == nil || p.id != id {
		return nil
	}
	t.slots[t.slot(id)] = nil
	t.waiting--
	return p
}

// end wakes the caller.
func (p *call) end(err error) {
	p.err = err
	p.signals <- callEnded
}

// finish gives the answer to the call that waits for it, and reports whether
// one does. The result is copied while the lock keeps the caller from leaving.
func (t *callTable) finish(id uint64, m *Message) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.take(id)
	if p == nil {
		return false
	}
	err := m.Err()
	if err == nil {
		p.dst = append(p.dst, resultOf(m)...)
	}
	p.end(err)
	return true
}

// resultOf returns the result of an answer; one without a result, which some
// devices send for an empty one, counts as null.
func resultOf(m *Message) []byte {
	if r := m.Result(); r != nil {
		return r
	}
	return []byte(`null`)
}

// fail ends the call with an error, if it still waits.
func (t *callTable) fail(id uint64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.take(id); p != nil {
		p.end(err)
	}
}

// forget takes a call out of the table. It reports false if the call has been
// ended already.
func (t *callTable) forget(p *call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.take(p.id) == p
}

// release takes back a call that is over.
func (t *callTable) release(p *call) {
	p.timer.Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.take(p.id)
	for len(p.signals) > 0 { // ended before it was awaited, or time up since
		<-p.signals
	}
	p.dst, p.err, p.due = nil, nil, time.Time{}
	if cap(p.frame) <= maxKept && len(t.free) < t.max {
		t.free = append(t.free, p)
	}
}

// echoFilter remembers the last error replies, because hosts of 2018 answer each
// with a parse error that quotes it.
type echoFilter struct {
	mu   sync.Mutex
	last [8][]byte // several may be on the line at once
	next int       // to be overwritten next
}

// maxEcho is how much of an error reply is remembered.
const maxEcho = 512

func (e *echoFilter) sent(frame []byte) {
	e.mu.Lock()
	e.last[e.next] = append(e.last[e.next][:0], frame[:min(len(frame), maxEcho)]...)
	e.next = (e.next + 1) % len(e.last)
	e.mu.Unlock()
}

// quotes reports whether an error object quotes one of the last error replies.
func (e *echoFilter) quotes(errorValue []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.last[0]) == 0 {
		return false // none was sent
	}
	text, is := mjson.Find(errorValue, "$.message").AppendString(nil)
	return is && slices.ContainsFunc(e.last[:], func(sent []byte) bool {
		return len(sent) > 0 && bytes.HasPrefix(text, sent)
	})
}

// complaint handles an error without an id. It is never answered and fits no
// call: either it quotes our own error reply, which is noise, or the peer did
// not understand the last frame.
func (c *Conn) complaint(m *Message) {
	if c.echoes.quotes(m.ErrorValue()) {
		c.stats.echoes.Add(1)
		return
	}
	c.stats.complaints.Add(1)
	c.observe(EventComplaint, m.frame, nil)
}
