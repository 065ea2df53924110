package framing

// Bytes of the mos serial framing (Mongoose OS, rpc-uart).
const (
	mosQuote = `"""`
	mosEOF   = 0x04
)

// mosExtra is how much longer than the frame limit the buffered input may be
// (Mongoose OS, rpc-uart).
const mosExtra = 6

// mosDecoder cuts a stream into segments at line feeds and at runs of three
// quotation marks, which cannot occur in JSON text.
type mosDecoder struct {
	buf    []byte
	max    int    // limit of a segment
	ascii  bool   // a byte above 0x7f spoils its segment
	quotes int    // quotation marks in a row, just seen
	skip   bool   // the segment is spoilt
	quoted bool   // the peer has used """
	dirty  uint64 // segments spoilt by bytes above 0x7f, not yet told
	stats  DecoderStats
}

// feed takes the next bytes and returns the bytes not looked at, and a segment
// with ended true when they have completed one. A spoilt segment is not
// returned. The segment is valid until the next call.
func (d *mosDecoder) feed(p []byte) (seg, rest []byte, ended bool) {
	for i := 0; i < len(p) && !ended; {
		rest = p[i+1:]
		switch b := p[i]; {
		case b == '\n':
			d.quotes = 0
			seg, ended = d.end()
		case b == '"' && d.quotes == 2:
			d.quotes, d.quoted = 0, true
			d.unquote()
			seg, ended = d.end()
		case b == '"':
			d.quotes++
			d.keep(p[i : i+1])
		case b >= 0x80 && d.ascii:
			d.quotes = 0
			if !d.skip {
				d.dirty++
			}
			d.spoil(1)
		default:
			d.quotes = 0
			n := d.plain(p[i:])
			d.keep(p[i : i+n])
			rest = p[i+n:]
		}
		i = len(p) - len(rest)
	}
	d.stats.Bytes += uint64(len(p) - len(rest))
	return seg, rest, ended
}

// plain returns how many of the first bytes of p, the first included, are
// nothing special.
func (d *mosDecoder) plain(p []byte) int {
	top := byte(0xff)
	if d.ascii {
		top = 0x7f
	}
	for i, b := range p {
		if b == '"' || b == '\n' || b > top {
			return i
		}
	}
	return len(p)
}

// end closes the segment; ok is false when it was spoilt.
func (d *mosDecoder) end() (seg []byte, ok bool) {
	seg = d.buf[:len(d.buf):len(d.buf)]
	d.buf = d.buf[:0]
	switch {
	case d.skip:
		d.skip = false
		return nil, false
	case len(seg) > d.max:
		d.stats.Overlong++
		d.stats.Discarded += uint64(len(seg))
		return nil, false
	case len(trimLeft(seg)) == 0:
		d.stats.Blank++
	default:
		d.stats.Lines++
	}
	return seg, true
}

// unquote takes back the first two quotation marks of a delimiter.
func (d *mosDecoder) unquote() {
	if d.skip {
		d.stats.Discarded -= 2
	} else {
		d.buf = d.buf[:len(d.buf)-2]
	}
}

// keep adds bytes to the segment.
func (d *mosDecoder) keep(p []byte) {
	switch {
	case d.skip:
		d.stats.Discarded += uint64(len(p))
	case len(d.buf)+len(p) > d.max+2: // two quotation marks may have to go again
		d.stats.Overlong++
		d.spoil(len(p))
	default:
		d.buf = append(d.buf, p...)
	}
}

// spoil discards the segment up to the next delimiter; n more bytes are lost.
func (d *mosDecoder) spoil(n int) {
	d.stats.Discarded += uint64(len(d.buf) + n)
	d.buf, d.skip = d.buf[:0], true
}

// drop discards the unfinished segment; the next byte starts a new one.
func (d *mosDecoder) drop() {
	if len(d.buf) > 0 {
		d.stats.Dropped++
		d.stats.Discarded += uint64(len(d.buf))
	}
	d.buf, d.skip, d.quotes = d.buf[:0], false, 0
}
