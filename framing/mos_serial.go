package framing

import (
	"time"
	"unicode/utf8"
)

// ReadFrame returns the next frame, without delimiters and CRC suffix. Ownership
// and errors are those of Conn.ReadFrame. Console text between frames goes to
// MosOptions.Junk; handshakes and empty frames are dealt with here.
func (m *MosConn) ReadFrame() ([]byte, error) {
	c := &m.c
	c.in.begin()
	for !c.closed.Load() {
		for len(c.in.pend) > 0 {
			seg, rest, ended := m.dec.feed(c.in.pend)
			c.in.pend = rest
			m.observe()
			if !ended {
				continue
			}
			if frame := m.segment(seg); frame != nil {
				c.publish()
				return frame, nil
			}
		}
		c.publish()
		silent, err := c.in.fill(m.idleLimit())
		switch {
		case c.closed.Load():
		case err != nil:
			m.drop()
			return nil, err
		case silent > 0:
			m.drop()
		}
	}
	return nil, ErrClosed
}

// emptyAnswers is the least time between two answers to empty frames, so that
// two devices on one line do not keep each other busy.
const emptyAnswers = 20 * time.Millisecond

// segment deals with what stood between two delimiters and returns the frame,
// if it is one.
func (m *MosConn) segment(seg []byte) []byte {
	body := trimRight(trimLeft(seg))
	switch {
	case len(body) == 0:
		m.empty()
		return nil
	case len(body) == 1 && body[0] == mosEOF && m.role != mosTCP:
		m.c.note(EventHandshake, seg, nil)
		m.owe(mosEOF)
		select {
		case m.shaken <- struct{}{}:
		default:
		}
		return nil
	}
	return m.c.accept(seg)
}

// empty answers an empty frame, on the device's side.
func (m *MosConn) empty() {
	if m.owed == nil {
		return
	}
	if now := time.Now(); now.Sub(m.answered) >= emptyAnswers {
		m.answered = now
		m.owe('\n')
	}
}

// idleLimit returns how much silence to wait for, 0 for ever.
func (m *MosConn) idleLimit() time.Duration {
	if len(m.dec.buf) == 0 && !m.dec.skip {
		return 0
	}
	return m.c.opt.IdleDrop
}

// drop discards the unfinished segment.
func (m *MosConn) drop() {
	if body := trimLeft(m.dec.buf); len(body) > 0 {
		m.c.note(EventDropped, m.dec.buf, nil)
		if m.c.opt.Junk != nil && body[0] != '{' {
			m.c.opt.Junk(m.dec.buf[:len(m.dec.buf):len(m.dec.buf)])
		}
	}
	m.dec.drop()
	m.c.publish()
}

// observe passes on what the decoder has noticed.
func (m *MosConn) observe() {
	m.c.overlong()
	for ; m.dec.dirty > 0; m.dec.dirty-- {
		m.c.note(EventNonASCII, nil, nil)
	}
	if m.dec.quoted {
		m.dec.quoted = false
		m.quotes.Store(true)
	}
}

// ResetPeer forgets what is known about the peer: that it sends CRC suffixes
// and quotation marks, and that the handshake is done.
func (m *MosConn) ResetPeer() {
	m.c.ResetPeer()
	m.quotes.Store(false)
	m.ready.Store(false)
}

// owe asks the answering goroutine to answer; a full queue means that there
// are answers enough on their way.
func (m *MosConn) owe(what byte) {
	if m.owed == nil {
		return
	}
	select {
	case m.owed <- what:
	default:
	}
}

// answer writes the device's answers. The reader must not write itself: it
// would wait for an XON that only it can see.
func (m *MosConn) answer() {
	for {
		var text []byte
		select {
		case what := <-m.owed:
			text = []byte{'\n'}
			if what == mosEOF {
				text = []byte(mosQuote + "\x04" + mosQuote)
			}
		case <-m.c.done:
			return
		}
		if m.c.out.acquire() != nil {
			return
		}
		m.c.out.put(text) // a failing port shows in ReadFrame and WriteFrame
		m.c.out.release()
	}
}

// handshake asks the device to listen, until it answers. The token is held.
func (m *MosConn) handshake() error {
	select {
	case <-m.shaken: // an old answer
	default:
	}
	t := time.NewTimer(0)
	defer t.Stop()
	for range m.opt.HandshakeTries {
		if _, err := m.c.out.put([]byte(mosQuote + "\x04" + mosQuote + "\n\n")); err != nil {
			return err
		}
		t.Reset(m.opt.HandshakeInterval)
		select {
		case <-m.shaken:
			_, err := m.c.out.put([]byte(mosQuote))
			return err
		case <-t.C:
		case <-m.c.done:
			return ErrClosed
		}
	}
	return ErrNoHandshake
}

// AppendASCII appends JSON text to dst with every character above U+007F as a
// \u escape, for devices that take seven-bit input only. Bytes that are not
// UTF-8 become \ufffd.
func AppendASCII(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			dst = append(dst, text[i])
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		i += n
		if r >= 0x10000 {
			r -= 0x10000
			dst = appendEscape(dst, 0xd800|r>>10)
			r = 0xdc00 | r&0x3ff
		}
		dst = appendEscape(dst, r)
	}
	return dst
}

// appendEscape appends a \u escape of one UTF-16 unit.
func appendEscape(dst []byte, u rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
}
