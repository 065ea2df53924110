package cloud_test

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeBuffer is how many bytes wait in each direction of a pipe.
const pipeBuffer = 64 << 10

// pipe returns the two ends of a connection in memory, with a buffer each way:
// the broker in process holds a lock while it writes.
func pipe() (a, b *pipeEnd) {
	ab, ba := newHalf(), newHalf()
	return &pipeEnd{in: ba, out: ab}, &pipeEnd{in: ab, out: ba}
}

// pipeEnd is one end. It is a net.Conn, with CloseWrite.
type pipeEnd struct {
	in, out *half
	addr    net.Addr // nil = "pipe"
}

func (e *pipeEnd) Read(p []byte) (int, error)  { return e.in.read(p) }
func (e *pipeEnd) Write(p []byte) (int, error) { return e.out.write(p) }

func (e *pipeEnd) Close() error {
	e.in.end(net.ErrClosed, io.ErrClosedPipe)
	e.out.end(io.EOF, net.ErrClosed)
	return nil
}

func (e *pipeEnd) CloseWrite() error {
	e.out.end(io.EOF, net.ErrClosed)
	return nil
}

func (e *pipeEnd) SetReadDeadline(t time.Time) error  { e.in.reader.set(e.in, t); return nil }
func (e *pipeEnd) SetWriteDeadline(t time.Time) error { e.out.writer.set(e.out, t); return nil }
func (e *pipeEnd) SetDeadline(t time.Time) error {
	e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (e *pipeEnd) LocalAddr() net.Addr { return pipeAddr{} }
func (e *pipeEnd) RemoteAddr() net.Addr {
	if e.addr != nil {
		return e.addr
	}
	return pipeAddr{}
}

// half is one direction.
type half struct {
	writing chan struct{} // held by the one writer, so that writes do not mix

	mu             sync.Mutex
	cond           sync.Cond
	buf            []byte
	readErr        error // when buf is empty
	writeErr       error
	reader, writer deadline
}

type deadline struct {
	passed bool
	timer  *time.Timer
}

func newHalf() *half {
	h := &half{writing: make(chan struct{}, 1)}
	h.cond.L = &h.mu
	return h
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.readErr == net.ErrClosed:
			return 0, h.readErr
		case h.reader.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(h.buf) > 0:
			n := copy(p, h.buf)
			if h.buf = h.buf[n:]; len(h.buf) == 0 {
				h.buf = nil
			}
			h.cond.Broadcast()
			return n, nil
		case h.readErr != nil:
			return 0, h.readErr
		}
		h.cond.Wait()
	}
}

func (h *half) write(p []byte) (n int, err error) {
	h.writing <- struct{}{}
	defer func() { <-h.writing }()
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.writeErr != nil:
			return n, h.writeErr
		case h.writer.passed:
			return n, os.ErrDeadlineExceeded
		}
		k := min(pipeBuffer-len(h.buf), len(p)-n)
		h.buf = append(h.buf, p[n:n+k]...)
		n += k
		h.cond.Broadcast()
		if n == len(p) {
			return n, nil
		}
		h.cond.Wait()
	}
}

func (h *half) end(readErr, writeErr error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readErr == nil || readErr == net.ErrClosed {
		h.readErr = readErr
	}
	if h.writeErr == nil || writeErr == net.ErrClosed {
		h.writeErr = writeErr
	}
	for _, d := range []*deadline{&h.reader, &h.writer} {
		if d.timer != nil {
			d.timer.Stop()
		}
	}
	h.cond.Broadcast()
}

func (d *deadline) set(h *half, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	d.passed, d.timer = false, nil
	switch left := time.Until(t); {
	case t.IsZero():
	case left <= 0:
		d.passed = true
		h.cond.Broadcast()
	default:
		var own *time.Timer
		own = time.AfterFunc(left, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if d.timer == own {
				d.passed = true
				h.cond.Broadcast()
			}
		})
		d.timer = own
	}
}
