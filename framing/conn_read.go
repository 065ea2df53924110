package framing

import (
	"errors"
	"io"
	"time"
)

// ReadFrame returns the next frame: a line that starts with an object, without
// line end and without its CRC suffix. It waits without a time limit.
//
// The frame is valid until the next ReadFrame; it may be modified, and
// appending to it copies. It is never empty. Its JSON is not checked: when a
// strict parser finds more text behind the first object, line feeds were lost
// and Split tells the objects apart.
//
// Lines that are no frames are skipped, counted in Stats, and told to
// Options.Observer. The error is ErrClosed after Close, else a *PortError, which
// ends the connection: every later call returns it again.
func (c *Conn) ReadFrame() ([]byte, error) {
	c.in.begin()
	for !c.closed.Load() {
		for len(c.in.pend) > 0 {
			var line []byte
			line, c.in.pend = c.in.dec.Feed(c.in.pend)
			c.overlong()
			if line == nil {
				continue
			}
			if frame := c.accept(line); frame != nil {
				c.publish()
				return frame, nil
			}
		}
		c.publish()
		silent, err := c.in.fill(c.idleLimit())
		switch {
		case c.closed.Load():
		case err != nil:
			if frame := c.finish(err); frame != nil {
				return frame, nil
			}
			return nil, err
		case silent > 0:
			if frame := c.idle(silent); frame != nil {
				return frame, nil
			}
		}
	}
	return nil, ErrClosed
}

// Split takes the next object off a line that ReadFrame returned, or off the
// rest that an earlier call returned, under this connection's CRC rule: with
// RequireCRC or once the peer has shown a CRC suffix every object needs one,
// and objects with and without do not mix on a line. At the end of the line
// frame is empty and err nil.
//
// A line is all or nothing: run over it once and handle nothing if there is an
// error, then run over it again. Errors are those of Cut, and ErrTooLong. Split
// allocates nothing and, apart from counting the line once, changes nothing.
func (c *Conn) Split(line []byte) (frame, rest []byte, err error) {
	frame, rest, crc, err := cut(line)
	switch {
	case err != nil:
	case len(frame) == 0:
		return nil, nil, nil
	case len(frame) > c.opt.MaxFrame:
		err = ErrTooLong
	case !crc && c.needCRC():
		err = ErrNoCRC
	case len(rest) > 0:
		// Neighbours must agree, so all objects of the line do.
		if _, _, next, nerr := cut(rest); nerr != nil {
			err = nerr
		} else if next != crc {
			err = ErrNoCRC
		}
	}
	if err == nil && len(rest) > 0 {
		return frame, rest, nil
	}
	if !c.in.split { // the first run over the line has ended
		c.in.split = true
		if err != nil {
			c.note(EventRefused, c.in.frame, err)
		} else if len(frame) < len(c.in.frame) {
			c.note(EventMerged, c.in.frame, nil)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return frame, rest, nil
}

// accept judges a line and returns the frame to hand out, nil when it is none.
func (c *Conn) accept(line []byte) []byte {
	body := trimLeft(line)
	if len(body) == 0 || body[0] != '{' {
		c.note(EventJunk, line, nil)
		if c.opt.Junk != nil {
			c.opt.Junk(line)
		}
		return nil
	}
	frame, state := CutCRC(body)
	switch {
	case len(frame) > c.opt.MaxFrame:
		c.in.stats.Discarded += uint64(len(line))
		c.note(EventOverlong, line, ErrTooLong)
		return nil
	case state == CRCValid:
		c.shown()
	case state == CRCBad:
		// Objects that were merged carry a suffix each, and the last one does
		// not match the whole line.
		if _, err := Count(body, true); err != nil {
			c.note(EventCRC, line, ErrCRC)
			return nil
		}
		c.shown()
		frame = trimRight(body)
	case c.opt.RequireCRC:
		c.note(EventNoCRC, line, ErrNoCRC)
		return nil
	}
	c.stat.frames.Add(1)
	c.in.frame = frame
	return frame
}

// shown notes that the peer sends CRC suffixes.
func (c *Conn) shown() {
	c.stat.crcGood.Add(1)
	if !c.peer.Load() {
		c.peer.Store(true)
	}
}

// idleLimit returns how much silence to wait for, 0 for ever.
func (c *Conn) idleLimit() time.Duration {
	switch {
	case len(c.in.dec.Partial()) == 0 && !c.in.dec.Skipping():
		c.in.looked = false
		return 0
	case c.opt.IdleFlush > 0 && !c.in.looked:
		return c.opt.IdleFlush
	}
	return c.opt.IdleDrop
}

// idle handles silence with an unterminated line pending. It returns the frame
// when that line is complete objects after all.
func (c *Conn) idle(silent time.Duration) []byte {
	if !c.in.looked && c.opt.IdleFlush > 0 {
		c.in.looked = true
		if frame := c.flush(); frame != nil {
			return frame
		}
	}
	if c.opt.IdleDrop > 0 && silent >= c.opt.IdleDrop {
		c.drop()
	}
	return nil
}

// flush takes the unterminated line as a frame if it is complete.
func (c *Conn) flush() []byte {
	if n, err := Count(c.in.dec.Partial(), c.needCRC()); err != nil || n == 0 {
		return nil
	}
	frame := c.accept(c.in.dec.take())
	if frame != nil {
		c.note(EventFlushed, frame, nil)
	}
	c.publish()
	return frame
}

// drop discards the unterminated line.
func (c *Conn) drop() {
	p := c.in.dec.Partial()
	if body := trimLeft(p); len(body) > 0 {
		c.note(EventDropped, p, nil)
		if c.opt.Junk != nil && body[0] != '{' {
			c.opt.Junk(p)
		}
	}
	c.in.dec.Drop()
	c.publish()
}

// finish handles what is pending when the port has failed: a clean end of the
// stream ends a line as silence does.
func (c *Conn) finish(err error) []byte {
	if c.opt.IdleFlush > 0 && errors.Is(err, io.EOF) {
		if frame := c.flush(); frame != nil {
			return frame
		}
	}
	c.drop()
	return nil
}

// overlong tells the observer about lines the decoder gave up.
func (c *Conn) overlong() {
	for c.in.overlong < c.in.stats.Overlong {
		c.in.overlong++
		c.note(EventOverlong, nil, ErrTooLong)
	}
}
