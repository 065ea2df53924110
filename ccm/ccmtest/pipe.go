package ccmtest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Buffers of a connection in memory.
const (
	toBrokerBuffer = 256 << 10 // the writer waits when it is full
	keptBuffer     = 1 << 10   // larger buffers are given back when they are empty
)

// stream is one direction of a connection: bytes, and how it ended.
type stream struct {
	mu     sync.Mutex // never held while waiting
	cond   sync.Cond
	buf    []byte
	off    int // of the next byte to read
	limit  int
	snap   bool  // a writer that finds it full breaks the connection, and never waits
	frozen bool  // nothing arrives
	end    error // what the reader gets after the last byte
	noRead error // what the reader gets at once
	noSend error // what the writer gets at once

	read, write deadline
}

// deadline is when a reader or a writer gives up.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func newStream(limit int, snap bool) *stream {
	s := &stream{limit: limit, snap: snap}
	s.cond.L = &s.mu
	return s
}

// set changes a deadline; mu is held.
func (s *stream) set(d *deadline, t time.Time) {
	d.at = t
	switch {
	case t.IsZero():
		if d.timer != nil {
			d.timer.Stop()
		}
	case d.timer == nil:
		d.timer = time.AfterFunc(time.Until(t), s.wake)
	default:
		d.timer.Reset(time.Until(t))
	}
	s.cond.Broadcast()
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// wake makes those who wait look again.
func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cond.Broadcast()
}

// take waits for bytes.
func (s *stream) take(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.noRead != nil:
			return 0, s.noRead
		case s.read.passed():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case s.frozen:
		case s.off < len(s.buf):
			n := copy(p, s.buf[s.off:])
			if s.off += n; s.off == len(s.buf) {
				s.empty()
			}
			s.cond.Broadcast()
			return n, nil
		case s.end != nil:
			return 0, s.end
		}
		s.cond.Wait()
	}
}

// empty starts the buffer anew; mu is held.
func (s *stream) empty() {
	s.off = 0
	if s.buf = s.buf[:0]; cap(s.buf) > keptBuffer {
		s.buf = nil
	}
}

// put adds bytes. A stream that snaps reports full=true and breaks when they do
// not fit; others wait for room.
func (s *stream) put(p []byte) (n int, full bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch room := s.limit - (len(s.buf) - s.off); {
		case s.noSend != nil:
			return n, false, s.noSend
		case s.write.passed():
			return n, false, os.ErrDeadlineExceeded
		case s.snap && len(p) > room:
			return n, true, syscall.ECONNRESET
		case room > 0:
			k := min(room, len(p))
			if s.off > 0 && cap(s.buf)-len(s.buf) < k {
				s.buf, s.off = s.buf[:copy(s.buf, s.buf[s.off:])], 0
			}
			s.buf = append(s.buf, p[:k]...)
			n, p = n+k, p[k:]
			s.cond.Broadcast()
		}
		if len(p) == 0 {
			return n, false, nil
		}
		s.cond.Wait()
	}
}

// finish is the writer's Close: the reader still gets what is there.
func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noSend == nil {
		s.end, s.noSend = io.EOF, net.ErrClosed
	}
	s.over(&s.write)
}

// leave is the reader's Close: what is there is lost.
func (s *stream) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noRead == nil {
		s.noRead = net.ErrClosed
	}
	if s.noSend == nil {
		s.noSend = syscall.EPIPE
	}
	s.buf, s.off = nil, 0
	s.over(&s.read)
}

// snapped breaks the stream for both.
func (s *stream) snapped() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noRead == nil {
		s.noRead = syscall.ECONNRESET
	}
	if s.noSend == nil {
		s.noSend = syscall.ECONNRESET
	}
	s.buf, s.off = nil, 0
	s.over(&s.read)
	s.over(&s.write)
}

// over ends a deadline and wakes everybody; mu is held.
func (s *stream) over(d *deadline) {
	if d.timer != nil {
		d.timer.Stop()
	}
	s.cond.Broadcast()
}

func (s *stream) freeze(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frozen = on
	s.cond.Broadcast()
}

// conn is one end of a connection in memory.
type conn struct {
	in, out       *stream
	local, remote addr
}

// addr is the name of an end.
type addr string

// Network returns "ccmtest".
func (addr) Network() string { return "ccmtest" }

// String returns the name.
func (a addr) String() string { return string(a) }

// newConn returns the two ends of a connection. What the broker writes never
// waits, because mochi holds a lock while it writes: a client that leaves limit
// bytes unread loses its connection.
func newConn(limit int, client, broker addr) (c, b *conn) {
	up, down := newStream(toBrokerBuffer, false), newStream(limit, true)
	return &conn{in: down, out: up, local: client, remote: broker}, &conn{in: up, out: down, local: broker, remote: client}
}

// fail returns err as an error of an operation on c.
func (c *conn) fail(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: c.local.Network(), Source: c.local, Addr: c.remote, Err: err}
}

// Read reads what has arrived.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.take(p)
	return n, c.fail("read", err)
}

// Write sends p.
func (c *conn) Write(p []byte) (int, error) {
	n, full, err := c.out.put(p)
	if full {
		c.reset()
	}
	return n, c.fail("write", err)
}

// Close ends the connection. The other end gets io.EOF after the last byte.
func (c *conn) Close() error {
	c.in.leave()
	c.out.finish()
	return nil
}

// reset breaks both directions at once.
func (c *conn) reset() {
	c.in.snapped()
	c.out.snapped()
}

// freeze stops both directions, as a network does that swallows everything.
func (c *conn) freeze(on bool) {
	c.in.freeze(on)
	c.out.freeze(on)
}

// LocalAddr returns the name of this end.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the name of the other end.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline bounds reads, the one in progress too.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if c.in.noRead == nil {
		c.in.set(&c.in.read, t)
	}
	return c.fail("set", c.in.noRead)
}

// SetWriteDeadline bounds writes, the one in progress too.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.out.snap { // it never waits
		return nil
	}
	if c.out.noSend == nil {
		c.out.set(&c.out.write, t)
	}
	return c.fail("set", c.out.noSend)
}
