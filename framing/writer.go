package framing

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"
)

// keepBuffer is the largest write buffer kept between frames.
const keepBuffer = 64 << 10

// writer is the writing half of a connection. Its fields, atomics apart, belong
// to the holder of the token.
type writer struct {
	port  Port
	done  <-chan struct{}
	pace  Pace
	flow  *flow         // nil without flow control
	users atomic.Int32  // who has the token and who waits for it
	turn  chan struct{} // hands the token on: a channel, because waiting must end with Close
	buf   []byte
	dirty bool      // a frame was cut short: its rest must not join the next
	ready time.Time // when the next piece may go

	frames, bytes, failed atomic.Uint64
}

func (w *writer) init(p Port, pace Pace, done <-chan struct{}) {
	w.port, w.pace, w.done = p, pace, done
	w.turn = make(chan struct{}, 1)
}

// acquire waits for the token.
func (w *writer) acquire() error {
	if w.users.Add(1) > 1 {
		select {
		case <-w.turn:
		case <-w.done:
			w.users.Add(-1)
			return ErrClosed
		}
	}
	select {
	case <-w.done:
		w.handOn()
		return ErrClosed
	default:
		return nil
	}
}

// handOn gives the token to one of those who wait for it, if there are any.
// After Close they may have gone: then the turn is left lying.
func (w *writer) handOn() {
	if w.users.Add(-1) > 0 {
		select {
		case w.turn <- struct{}{}:
		default:
		}
	}
}

// release gives the token back.
func (w *writer) release() {
	if cap(w.buf) > keepBuffer {
		w.buf = nil
	}
	w.handOn()
}

// send writes the buffer, which holds one frame. The token is held.
func (w *writer) send() error {
	n, err := w.put(w.buf)
	if err == nil {
		w.dirty = false
		w.frames.Add(1)
		return nil
	}
	w.failed.Add(1)
	w.dirty = w.dirty || n > 0
	return err
}

// put writes p and returns how much of it left. The token is held.
func (w *writer) put(p []byte) (n int, err error) {
	n, err = w.pieces(p)
	w.bytes.Add(uint64(n))
	if err == nil {
		return n, nil
	}
	select {
	case <-w.done:
		return n, ErrClosed
	default:
		return n, err
	}
}

// pieces writes p, whole or as the pace says.
func (w *writer) pieces(p []byte) (n int, err error) {
	for n < len(p) {
		q := p[n:]
		if w.pace.on() {
			if len(q) > w.pace.Chunk {
				q = q[:w.pace.Chunk]
			}
			if err := w.rest(); err != nil {
				return n, err
			}
		}
		if err := w.flow.wait(w.done); err != nil {
			return n, err
		}
		k, err := w.port.Write(q)
		n += max(0, min(k, len(q)))
		if w.pace.on() {
			w.ready = time.Now().Add(w.pace.Delay)
		}
		if err == nil && k != len(q) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n, &PortError{Op: "write", Err: err}
		}
	}
	return n, nil
}

// rest waits until the next piece may go.
func (w *writer) rest() error {
	d := time.Until(w.ready)
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-w.done:
		return ErrClosed
	}
}

func (w *writer) addStats(s *Stats) {
	s.Written, s.BytesWritten, s.WriteErrors = w.frames.Load(), w.bytes.Load(), w.failed.Load()
	if w.flow != nil {
		s.Xoff, s.XoffTimeouts = w.flow.stopped.Load(), w.flow.expired.Load()
	}
}

// WriteFrame writes frame, a CRC suffix if the mode asks for one, and a line
// feed, in a single Write unless Options.Pace is set. It is safe for concurrent
// use; frames do not mix. frame is not kept and not changed. There is no time
// limit beyond the port's own and Options.XoffTimeout; Close ends the wait.
//
// An empty frame writes a lone line feed, which ends whatever the peer has
// received of an earlier line. After a frame that could not be written whole,
// the next one starts with a line feed for the same reason.
//
// Nothing is written when the error is ErrTooLong (see Options.MaxWrite),
// ErrNewline or ErrClosed at the time of the call. Other errors: ErrFlowStopped,
// and a *PortError, which wraps io.ErrShortWrite when the port took only a part.
func (c *Conn) WriteFrame(frame []byte) error {
	if bytes.IndexByte(frame, '\n') >= 0 {
		return ErrNewline
	}
	if err := c.out.acquire(); err != nil {
		return err
	}
	defer c.out.release()
	crc := len(frame) > 0 && c.sendsCRC()
	n := len(frame)
	if crc {
		n += crcDigits
	}
	if limit := int(c.maxWrite.Load()); limit > 0 && n > limit {
		return ErrTooLong
	}
	b := c.out.buf[:0]
	if c.out.dirty {
		b = append(b, '\n')
	}
	b = append(b, frame...)
	if crc {
		b = AppendCRC(b, frame)
	}
	c.out.buf = append(b, '\n')
	return c.out.send()
}

// sendsCRC reports whether the next frame gets a CRC suffix.
func (c *Conn) sendsCRC() bool {
	return c.opt.CRC == CRCSend || c.opt.CRC == CRCAuto && c.peer.Load()
}

// FrameLimit returns the longest frame, in bytes, that WriteFrame takes now: what
// Options.MaxWrite or SetMaxWrite leave beside a CRC suffix. 0 = no limit.
func (c *Conn) FrameLimit() int {
	limit := int(c.maxWrite.Load())
	if limit > 0 && c.sendsCRC() {
		limit = max(limit-crcDigits, 1)
	}
	return limit
}

// SetMaxWrite changes Options.MaxWrite, for a peer that tells what it takes. It
// applies from the next WriteFrame.
func (c *Conn) SetMaxWrite(n int) { c.maxWrite.Store(int64(max(n, 0))) }
