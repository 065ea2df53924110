package framing

import "bytes"

// DefaultMaxFrame is the default limit of a received frame in bytes, without
// CRC suffix and line end (Mongoose OS: rpc.max_frame_size).
const DefaultMaxFrame = 4096

// suffixRoom is how much longer than the frame limit a line may be: room for
// a CRC suffix with metadata and for white space.
const suffixRoom = 32

// firstBuffer is the size of the buffer for lines that come in pieces, in the
// beginning: enough for the frames of most hosts.
const firstBuffer = 256

// DecoderStats counts what a Decoder has seen since it was made.
type DecoderStats struct {
	Bytes     uint64 // bytes looked at
	Lines     uint64 // lines returned
	Blank     uint64 // lines of nothing but white space
	Overlong  uint64 // lines discarded because they were too long
	Dropped   uint64 // partial lines discarded by Drop
	Discarded uint64 // bytes of overlong and dropped lines, without the line feed
}

// Decoder cuts a byte stream into lines. It finds line feeds and nothing else:
// a carriage return before the line feed is taken off, blank lines are skipped,
// and a line that is too long is discarded up to its line feed. Whatever came
// before a line feed, the line after it is found.
//
// It has one buffer, for lines that come in pieces, which grows as far as it
// must and no further than the longest line; then nothing is allocated any more.
// It is not safe for concurrent use.
type Decoder struct {
	buf   []byte // the unterminated line
	max   int    // largest capacity of buf
	skip  bool   // inside an overlong line
	stats DecoderStats
}

// NewDecoder returns a decoder for frames of up to maxFrame bytes; 0 or less
// means DefaultMaxFrame. The decoder lets lines of up to maxFrame+32 bytes
// through, so that a CRC suffix fits behind a frame of the full length; callers
// that enforce the limit check len(frame) after CutCRC.
func NewDecoder(maxFrame int) *Decoder {
	if maxFrame <= 0 {
		maxFrame = DefaultMaxFrame
	}
	return &Decoder{max: maxFrame + suffixRoom + 1} // one for the CR
}

// Feed takes the next bytes of the stream and returns the first line they
// complete, or nil, and the bytes it has not looked at yet. Call it until
// nothing is left:
//
//	for len(p) > 0 {
//		var line []byte
//		if line, p = d.Feed(p); line != nil {
//			handle(line)
//		}
//	}
//
// The line has no line end and is never empty. It is valid until the next call
// of a method of d: it lies in p when p holds all of it, else in the decoder's
// buffer. It has no spare capacity, so appending to it copies.
func (d *Decoder) Feed(p []byte) (line, rest []byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			d.stats.Bytes += uint64(len(p))
			d.keep(p)
			return nil, nil
		}
		d.stats.Bytes += uint64(i + 1)
		line, p = p[:i:i], p[i+1:]
		if len(d.buf) > 0 || d.skip {
			if d.keep(line); d.skip {
				d.skip = false
				continue
			}
			line = d.buf[:len(d.buf):len(d.buf)]
			d.buf = d.buf[:0]
		}
		n := len(line)
		if n > 0 && line[n-1] == '\r' {
			line = line[: n-1 : n-1]
		}
		switch {
		case len(line) >= d.max:
			d.overlong(n)
		case len(line) == 0 || line[0] <= ' ' && len(trimLeft(line)) == 0:
			d.stats.Blank++
		default:
			d.stats.Lines++
			return line, p
		}
	}
	return nil, nil
}

// keep adds p to the unterminated line, or gives the line up.
func (d *Decoder) keep(p []byte) {
	switch {
	case d.skip:
		d.stats.Discarded += uint64(len(p))
	case len(p) > d.max-len(d.buf):
		d.overlong(len(d.buf) + len(p))
		d.buf, d.skip = d.buf[:0], true
	default:
		if need := len(d.buf) + len(p); need > cap(d.buf) {
			bigger := make([]byte, len(d.buf), min(max(need, 2*cap(d.buf), firstBuffer), d.max))
			copy(bigger, d.buf)
			d.buf = bigger
		}
		d.buf = append(d.buf, p...)
	}
}

func (d *Decoder) overlong(n int) {
	d.stats.Overlong++
	d.stats.Discarded += uint64(n)
}

// Partial returns the bytes after the last line feed, empty when there are
// none or when they belong to an overlong line. It is valid until the next call
// of Feed or Drop and must not be appended to.
func (d *Decoder) Partial() []byte { return d.buf[:len(d.buf):len(d.buf)] }

// Skipping reports whether the decoder is inside an overlong line.
func (d *Decoder) Skipping() bool { return d.skip }

// Drop discards the unterminated line and counts it; the next byte starts a new
// one. Inside an overlong line it ends the skipping.
func (d *Decoder) Drop() {
	if n := len(d.buf); n > 0 {
		d.stats.Dropped++
		d.stats.Discarded += uint64(n)
	}
	d.buf, d.skip = d.buf[:0], false
}

// take hands out the unterminated line as if its line feed had come.
func (d *Decoder) take() []byte {
	line := d.Partial()
	d.buf = d.buf[:0]
	d.stats.Lines++
	return line
}

// Stats returns the counters.
func (d *Decoder) Stats() DecoderStats { return d.stats }

// isSpace reports whether b is JSON white space.
func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// trimLeft returns p without leading white space.
func trimLeft(p []byte) []byte {
	for len(p) > 0 && isSpace(p[0]) {
		p = p[1:]
	}
	return p
}

// trimRight returns p without trailing white space and without spare capacity.
func trimRight(p []byte) []byte {
	n := len(p)
	for n > 0 && isSpace(p[n-1]) {
		n--
	}
	return p[:n:n]
}
