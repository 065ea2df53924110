package mjson

// Pretty appends the JSON value at the start of doc to dst, laid out anew. With
// an empty pad all white space is dropped. Otherwise a line ends after every
// comma and around the contents of containers, lines are indented by one pad a
// level, and a space follows every colon. Empty containers stay closed, and, as
// in the C library, a container that is the first element of an array stays on
// the line of the bracket before it. Tokens are copied as they are, trailing
// commas too; text after the value is dropped.
//
// If doc does not start with a complete value, the result is dst and
// [ErrInvalid] or [ErrDepth]. dst must not overlap doc. Pretty allocates only
// to grow dst, and takes time linear in the length of the output.
func Pretty(dst, doc []byte, pad string) ([]byte, error) {
	out := dst
	level := 0
	prev := Invalid
	_, err := Scan(doc, func(ev Type, off, n int) bool {
		breakBefore := false
		switch ev {
		case ObjectEnd, ArrayEnd:
			level--
			breakBefore = prev != Array && prev != Object
		case Key:
			breakBefore = prev == Object
		case String, Number, True, False, Null:
			breakBefore = prev == Array
		}
		if breakBefore {
			out = appendBreak(out, pad, level)
		}
		out = append(out, doc[off:off+n]...)
		switch ev {
		case Object, Array:
			level++
		case Comma:
			out = appendBreak(out, pad, level)
		case Colon:
			if pad != "" {
				out = append(out, ' ')
			}
		}
		prev = ev
		return true
	})
	if err != nil {
		return dst, err
	}
	return out, nil
}

// appendBreak appends a line break and the indentation of level.
func appendBreak(dst []byte, pad string, level int) []byte {
	if pad == "" {
		return dst
	}
	dst = append(dst, '\n')
	for range level {
		dst = append(dst, pad...)
	}
	return dst
}
