package jsonrpc

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"
)

// readerPatience is how long the reading goroutine waits for room in the queue
// of outgoing frames before it drops an answer: it must go on reading, because
// a peer that waits for us to read may be why the queue is full.
const readerPatience = 50 * time.Millisecond

// maxKept is the largest buffer that is kept for reuse.
const maxKept = 64 << 10

// outFrame is a frame on its way out. A call's frame is only copied here; the
// call keeps its own for retries.
type outFrame struct {
	frame   []byte
	call    uint64   // id of the call it belongs to, or 0
	fault   bool     // it answers with an error
	refusal bool     // it holds one of the places for refusals
	receipt *receipt // nil: nobody asks for it
}

// receipt tells a caller that a frame was written.
type receipt struct {
	written chan error  // receives nil, or why the frame could not be written
	claimed atomic.Bool // by the writer, or by the caller, who does not want the frame sent any more
}

// claim reports whether nobody has claimed the frame before.
func (r *receipt) claim() bool { return r.claimed.CompareAndSwap(false, true) }

// outQueue is the bounded queue of frames that wait for the writer, with the
// buffers that are not in use.
type outQueue struct {
	queue    chan *outFrame
	free     freeList[outFrame]
	refusals chan struct{} // a place for each refusal in the queue
}

func (q *outQueue) init(n int) {
	q.queue = make(chan *outFrame, n)
	q.free.max = n + 8
	q.refusals = make(chan struct{}, max(n/4, 1))
}

// get returns an empty frame.
func (q *outQueue) get() *outFrame {
	if o := q.free.get(); o != nil {
		return o
	}
	return &outFrame{frame: make([]byte, 0, 256)}
}

// settle gives the place of a refusal back.
func (q *outQueue) settle(o *outFrame) {
	if o.refusal {
		o.refusal = false
		<-q.refusals
	}
}

// put takes a frame back.
func (q *outQueue) put(o *outFrame) {
	if cap(o.frame) > maxKept {
		return
	}
	o.frame, o.call, o.fault, o.refusal, o.receipt = o.frame[:0], 0, false, false, nil
	q.free.put(o)
}

// writeLoop is the one writer of the connection.
func (c *Conn) writeLoop() {
	for o := range c.out.queue {
		if o == nil || c.ended() {
			return
		}
		c.write(o)
	}
}

// close wakes a writer that waits for a frame; one that is busy will notice.
func (q *outQueue) close() {
	select {
	case q.queue <- nil:
	default:
	}
}

// write writes one frame, unless its sender has given up. A frame that turned out
// too long is refused; any other failure ends the connection.
func (c *Conn) write(o *outFrame) {
	if o.receipt != nil && !o.receipt.claim() {
		c.out.put(o)
		c.owed.done()
		return
	}
	oneLine(o.frame)
	if o.fault {
		c.echoes.sent(o.frame)
	}
	c.observe(EventSent, o.frame, nil)
	err := c.framer.WriteFrame(o.frame)
	if err == nil {
		c.stats.sent.Add(1)
	} else if !c.ended() {
		c.stats.writeErrors.Add(1)
		c.observe(EventWriteError, o.frame, err)
		long := c.tooLong(o.frame) // the limit has shrunk since the frame was queued
		if long {
			err = c.refuse(o.frame)
		}
		if o.call != 0 {
			c.calls.fail(o.call, err)
		}
		if !long {
			c.end(err)
		}
	}
	if o.receipt != nil {
		o.receipt.written <- err
	}
	c.out.settle(o)
	c.out.put(o)
	c.owed.done()
}

// oneLine makes line ends in a frame, which in JSON text are white space, into
// blanks: a handler may answer with text that somebody has indented.
func oneLine(frame []byte) {
	for {
		i := bytes.IndexByte(frame, '\n')
		if i < 0 {
			return
		}
		frame[i] = ' '
		frame = frame[i+1:]
	}
}

// tooLong reports whether the peer does not take a frame of that length.
func (c *Conn) tooLong(frame []byte) bool {
	if c.limiter == nil {
		return false
	}
	n := c.limiter.FrameLimit()
	return n > 0 && len(frame) > n
}

// sendWait queues a frame. It waits for room, at most until ctx ends or
// CallTimeout has passed.
func (c *Conn) sendWait(ctx context.Context, o *outFrame) (err error) {
	c.owed.add()
	defer func() {
		if err != nil {
			c.owed.done()
		}
	}()
	select {
	case c.out.queue <- o:
		return nil
	default:
	}
	t := time.NewTimer(c.opts.CallTimeout)
	defer t.Stop()
	select {
	case c.out.queue <- o:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return ErrClosed
	case <-t.C:
		return ErrTimeout
	}
}

// sendSoon queues a frame from the reading goroutine, or drops it.
func (c *Conn) sendSoon(o *outFrame) {
	c.owed.add()
	select {
	case c.out.queue <- o:
		return
	default:
	}
	t := time.NewTimer(readerPatience)
	defer t.Stop()
	select {
	case c.out.queue <- o:
		return
	case <-c.done:
	case <-t.C:
		c.unsent(o, ErrBusy)
	}
	c.owed.done()
}

// refusalPatience is how long the reading goroutine waits to send a refusal. On
// a line that is idle the writer is quicker; on one that is flooded, refusals
// must not hold up the reader or keep other answers waiting.
const refusalPatience = time.Millisecond

// sendRefusal queues an error that the reading goroutine or a full lane answers
// with. Refusals fill a part of the queue at most; those beyond it are dropped.
func (c *Conn) sendRefusal(o *outFrame) {
	o.fault = true
	select {
	case c.out.refusals <- struct{}{}:
	default:
		t := time.NewTimer(refusalPatience)
		defer t.Stop()
		select {
		case c.out.refusals <- struct{}{}:
		case <-c.done:
			return
		case <-t.C:
			c.unsent(o, ErrBusy)
			return
		}
	}
	o.refusal = true
	c.sendSoon(o)
}

// unsent counts an answer that could not be sent.
func (c *Conn) unsent(o *outFrame, err error) {
	c.out.settle(o)
	c.stats.unsent.Add(1)
	c.observe(EventUnsent, o.frame, err)
	c.out.put(o)
}
