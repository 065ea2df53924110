package mjson

// run collects pieces of a text that follow each other, so that they are copied
// at once: text[from:to] is still to be appended.
type run struct {
	text     []byte
	from, to int
}

// keep appends text[from:to], now or later.
func (r *run) keep(dst []byte, from, to int) []byte {
	if from != r.to {
		dst = r.flush(dst)
		r.from = from
	}
	r.to = to
	return dst
}

// flush appends what is still to be appended.
func (r *run) flush(dst []byte) []byte {
	from := r.from
	r.from = r.to
	return append(dst, r.text[from:r.to]...)
}

// name appends the name text[key:end] with the colon after it, and, unless it is
// the first one in its object, the comma before it. In the text, where it is
// not the first byte, the value starts at value.
func (r *run) name(dst []byte, key, end, value int, first bool) []byte {
	if !first {
		if r.text[key-1] == ',' {
			key--
		} else {
			dst = append(r.flush(dst), ',')
		}
	}
	if value == end+1 { // only a colon between
		return r.keep(dst, key, value)
	}
	dst = r.keep(dst, key, end)
	return append(r.flush(dst), ':')
}
