package jsonrpc

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is one end of a connection on which both ends may call. See the package
// documentation for the order in which handlers run and for what is answered.
//
// [Conn.Run] does the work; it must be running for the other methods to get
// anywhere. All methods are safe for concurrent use.
type Conn struct {
	framer  Framer
	limiter FrameLimiter // nil if the framer is none
	opts    ConnOptions
	sched   Scheduler // nil if the handler has no lanes

	calls  callTable
	out    outQueue
	lane   laneQueue
	cache  replyCache
	stats  stats
	echoes echoFilter

	msg      Message       // what the reader is looking at
	resp     Response      // for immediate handlers
	session  atomic.Uint32 // of the peer
	owed     tally         // what is still to be served or written
	done     chan struct{} // closed at the end
	over     atomic.Bool   // done is closed
	stop     sync.Once
	cause    error // why it ended; set before done is closed
	started  atomic.Bool
	workers  sync.WaitGroup
	detached atomic.Int64
}

// NewConn returns a connection over f. It starts nothing. The connection owns f
// and closes it when it ends.
func NewConn(f Framer, o *ConnOptions) *Conn {
	c := &Conn{framer: f, opts: o.resolved(), done: make(chan struct{})}
	c.limiter, _ = f.(FrameLimiter)
	c.sched, _ = c.opts.Handler.(Scheduler)
	c.calls.init(c.opts.MaxInFlight, c.opts.FirstID)
	if c.opts.Retries > 0 {
		c.calls.window = cacheSize
	}
	c.out.init(c.opts.WriteQueue)
	c.lane.init(c.opts.QueueLen)
	c.cache.init(!c.opts.NoReplyCache)
	return c
}

var errRunTwice = errors.New("jsonrpc: Conn.Run called twice")

// Run serves the connection until ctx ends, Close is called or the framer
// fails, and returns when every goroutine and handler of the connection has
// returned. Handlers get a context derived from ctx. The error is nil after
// Close and after the end of ctx, else that of the framer. After io.EOF, which
// means that the peer will send no more, the requests that have come are still
// served and answered, for one second at most, before the ctx of the handlers
// ends; if an answer cannot be written, the error joins both. A Conn runs once.
func (c *Conn) Run(ctx context.Context) error {
	if !c.started.CompareAndSwap(false, true) {
		return errRunTwice
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { c.end(nil) })
	c.workers.Go(c.writeLoop)
	c.startLane(ctx)
	err := c.readLoop(ctx)
	if errors.Is(err, io.EOF) {
		c.drain()
	}
	c.end(err)
	cancel()
	stop()
	c.workers.Wait()
	if c.cause != nil && errors.Is(err, io.EOF) && c.cause != err {
		return errors.Join(c.cause, err) // an answer could not be written
	}
	return c.cause
}

// Close ends the connection: it closes the framer, and calls that wait return
// ErrClosed. It does not wait for handlers; Run does.
func (c *Conn) Close() error {
	c.end(nil)
	return nil
}

// Done is closed when the connection has ended. Handlers may still be running;
// Run returns after them.
func (c *Conn) Done() <-chan struct{} { return c.done }

// NewSession tells the connection that the peer has started anew, so that its
// ids mean new requests: it forgets the replies it has kept, and drops those to
// requests that are still being served. A Sys.Init notification of the peer has
// the same effect.
func (c *Conn) NewSession() {
	c.session.Add(1)
	c.cache.reset()
}

// Stats returns the counters of the connection.
func (c *Conn) Stats() Stats { return c.stats.snapshot() }

// end ends the connection; the first cause counts.
func (c *Conn) end(cause error) {
	c.stop.Do(func() {
		c.cause = cause
		c.over.Store(true)
		close(c.done)
		c.calls.close()
		c.out.close()
		c.lane.close()
		c.framer.Close()
	})
}

// drainTime is how long a connection whose peer sends no more goes on to serve.
const drainTime = time.Second

// drain waits until what the peer has asked for is answered. Calls to the peer
// end: no answer can come any more.
func (c *Conn) drain() {
	c.calls.close()
	t := time.NewTimer(drainTime)
	defer t.Stop()
	select {
	case <-c.owed.settled():
	case <-c.done:
	case <-t.C:
	}
}

// Quiet waits until nothing is owed to the peer: all that it has asked for has been
// answered, except what was detached, and every frame has been given to the framer.
// It returns the error of ctx if that ends before, and ErrClosed if the connection
// does. A handler must not call it, as its own answer is owed.
func (c *Conn) Quiet(ctx context.Context) error {
	select {
	case <-c.owed.settled():
		return nil
	case <-c.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ended reports whether the connection has ended.
func (c *Conn) ended() bool { return c.over.Load() }

// readLoop takes frames until the framer fails.
func (c *Conn) readLoop(ctx context.Context) error {
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return err
		}
		c.receive(ctx, frame)
		if c.ended() {
			return nil
		}
	}
}

// receive handles a frame, or a line of several.
func (c *Conn) receive(ctx context.Context, frame []byte) {
	switch at, f := c.msg.parse(frame); f {
	case ok:
		c.handle(ctx, &c.msg)
	case trailing:
		c.receiveLine(ctx, frame, at)
	default:
		c.malformed(ctx, frame, at, f)
	}
}

// receiveLine handles a line of several messages: all of them, or none.
func (c *Conn) receiveLine(ctx context.Context, line []byte, at int) {
	s, can := c.framer.(Splitter)
	if !can {
		c.drop(line, newParseError(trailing, at))
		return
	}
	for rest := line; len(rest) > 0; {
		frame, r, err := s.Split(rest)
		if err != nil {
			c.drop(line, err)
			return
		}
		if at, f := c.msg.parse(frame); f != ok {
			c.drop(line, newParseError(f, at))
			return
		}
		rest = r
	}
	c.stats.merged.Add(1)
	for rest := line; len(rest) > 0; {
		var frame []byte
		if frame, rest, _ = s.Split(rest); len(frame) > 0 {
			c.receive(ctx, frame)
		}
	}
}

// handle passes a sound message on.
func (c *Conn) handle(ctx context.Context, m *Message) {
	c.stats.received.Add(1)
	c.observe(EventReceived, m.frame, nil)
	switch m.kind {
	case KindCall, KindNotification:
		c.serve(ctx, m)
	default:
		c.answered(m)
	}
}

// malformed drops a frame that is not a message. If it certainly was a call,
// the caller is told.
func (c *Conn) malformed(ctx context.Context, frame []byte, at int, f fault) {
	err := newParseError(f, at)
	c.drop(frame, err)
	if !c.msg.answerable() {
		return
	}
	if o := c.out.get(); o != nil {
		o.frame = AppendError(o.frame, c.msg.ID(), c.code(err.Code), err.Reason, nil)
		c.sendRefusal(o)
	}
}

// drop counts a line that was not handled.
func (c *Conn) drop(line []byte, err error) {
	c.stats.malformed.Add(1)
	c.observe(EventMalformed, line, err)
}

// code translates a code for the peer.
func (c *Conn) code(code int) int {
	if c.opts.Codes != nil {
		return c.opts.Codes(code)
	}
	return code
}
