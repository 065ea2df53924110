package framing

import (
	"errors"
	"io"
	"time"
)

// A port may return without bytes and without having waited. Such reads are
// spaced; after maxEmpty of them in a row without even an error it is broken.
const (
	maxEmpty   = 100
	emptyFast  = time.Millisecond // a read shorter than this did not wait
	emptyPause = time.Millisecond // rest between such reads
)

// reader is the reading half of a connection: the buffer, the deadline and the
// port's oddities. It belongs to the reading goroutine.
type reader struct {
	port  Port
	done  <-chan struct{}
	flow  *flow // nil without flow control
	dec   *Decoder
	buf   []byte
	pend  []byte // read but not decoded
	err   error  // what ended the stream
	armed bool   // the port has a deadline
	empty int    // reads in a row that gave nothing, no error and at once

	last     time.Time // start of the silence, while a line is unterminated
	fresh    bool      // ReadFrame was entered or bytes came: silence counts from the next read
	nothings time.Time // when the last read without bytes was over; zero: bytes came since
	looked   bool      // the unterminated line was looked at in this silence
	overlong uint64    // of the decoder, as last told to the observer
	frame    []byte    // what ReadFrame returned last
	split    bool      // Split has counted it

	stats  *DecoderStats // of the decoder in use
	bytes  uint64        // read from the port
	spurts uint64        // empty reads
}

func (r *reader) init(p Port, size int, done <-chan struct{}) {
	r.port, r.done, r.buf = p, done, make([]byte, size)
}

// begin is called when ReadFrame is entered. Nobody was listening before: what
// came then is still to be read, so silence counts from here on.
func (r *reader) begin() { r.fresh, r.split, r.nothings = true, false, time.Time{} }

// fill waits for bytes and puts them into pend. With limit > 0 it waits until
// that long after the last byte, and returns how long the silence has lasted
// by then; 0 means that there are bytes, or a reason to call again. The clock is
// read only when a line is unterminated or nothing came.
func (r *reader) fill(limit time.Duration) (silent time.Duration, err error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.fresh && limit > 0 {
		r.fresh, r.last = false, time.Now()
	}
	r.arm(limit)
	n, err := r.port.Read(r.buf)
	if n < 0 || n > len(r.buf) {
		n, err = 0, errors.New("impossible count from Read")
	}
	if n > 0 {
		r.bytes += uint64(n)
		r.empty, r.looked, r.fresh, r.nothings = 0, false, true, time.Time{}
		r.pend = r.flow.filter(r.buf[:n])
	}
	switch {
	case err == nil && n > 0:
		return 0, nil
	case err == nil || isTimeout(err):
		if n > 0 {
			return 0, nil
		}
		return r.nothing(limit, err != nil)
	}
	r.err = &PortError{Op: "read", Err: err}
	if n > 0 {
		return 0, nil // first the bytes, then the error
	}
	return 0, r.err
}

// nothing deals with a read that gave no bytes: silence when it lasted, else a
// port that does not wait, be it that it says so with an error (EAGAIN) or not.
// How long the first such read in a row has waited is not known; it is let pass.
func (r *reader) nothing(limit time.Duration, told bool) (time.Duration, error) {
	now := time.Now()
	waited := r.nothings.IsZero() || now.Sub(r.nothings) >= emptyFast
	r.nothings = now
	if limit > 0 {
		if silent := now.Sub(r.last); silent >= limit {
			r.empty = 0
			return silent, nil
		}
	}
	if waited {
		r.empty = 0
		return 0, nil
	}
	r.spurts++
	if !told {
		r.empty++
	}
	if r.empty >= maxEmpty {
		r.err = &PortError{Op: "read", Err: io.ErrNoProgress}
		return 0, r.err
	}
	t := time.NewTimer(emptyPause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.done:
	}
	r.nothings = time.Now()
	return 0, nil
}

// arm sets the port's read deadline to limit after the last byte; 0 = none. A
// port that refuses deadlines works without.
func (r *reader) arm(limit time.Duration) {
	if limit > 0 {
		r.armed = true
		r.port.SetReadDeadline(r.last.Add(limit))
	} else if r.armed {
		r.armed = false
		r.port.SetReadDeadline(time.Time{})
	}
}
