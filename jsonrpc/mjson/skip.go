package mjson

// The negative results of skip.
const (
	skipInvalid = -1
	skipDepth   = -2
)

// maxBits is the number of containers skip can keep in one word.
const maxBits = 64

// skip returns the offset just after the value that starts at doc[i], white
// space before it allowed, or a negative result if the text is not a complete
// value or has more than limit containers open at once. It accepts exactly what
// scan accepts, without reporting tokens: this is the loop that Find and Merge
// spend their time in, so it looks first for what usually comes next.
func skip(doc []byte, i, limit int) int {
	if limit > maxBits {
		return skipDeep(doc, i, limit)
	}
	var nest uint64 // one bit per open container, innermost lowest: 1 is an object
	depth := 0
value:
	if i >= len(doc) {
		return skipInvalid
	}
	switch class[doc[i]] {
	case clsQuote:
		i = stringEnd(doc, i+1)
	case clsNumber:
		i = numberEnd(doc, i)
	case clsLiteral:
		i = literalEnd(doc, i)
	case clsArray, clsObject:
		if depth >= limit {
			return skipDepth
		}
		depth++
		nest <<= 1
		if doc[i] == '{' {
			nest |= 1
			i++
			goto key
		}
		i++
		goto value
	case clsSpace:
		i = skipSpace(doc, i+1)
		goto value
	case clsArrayEnd:
		if depth == 0 || nest&1 == 1 {
			return skipInvalid
		}
		goto pop
	default:
		return skipInvalid
	}
	if i < 0 {
		return skipInvalid
	}
	if depth == 0 {
		return i
	}
next:
	if i >= len(doc) {
		return skipInvalid
	}
	switch c := doc[i]; {
	case c == ',':
		i++
		if nest&1 == 0 {
			goto value
		}
		goto key
	case c == '}' && nest&1 == 1, c == ']' && nest&1 == 0:
		goto pop
	case class[c] == clsSpace:
		i = skipSpace(doc, i+1)
		goto next
	}
	return skipInvalid
pop:
	i++
	nest >>= 1
	if depth--; depth == 0 {
		return i
	}
	goto next
key:
	if i < len(doc) && doc[i] != '"' {
		if i = skipSpace(doc, i); i < len(doc) && doc[i] == '}' {
			goto pop
		}
	}
	if i >= len(doc) || doc[i] != '"' {
		return skipInvalid
	}
	if i = stringEnd(doc, i+1); i < 0 {
		return skipInvalid
	}
	if i < len(doc) && doc[i] != ':' {
		i = skipSpace(doc, i)
	}
	if i >= len(doc) || doc[i] != ':' {
		return skipInvalid
	}
	i++
	goto value
}

// skipDeep is skip for limits beyond maxBits.
func skipDeep(doc []byte, i, limit int) int {
	end, err := scan(doc[i:], limit, func(Type, int, int) bool { return true })
	switch err {
	case nil:
		return i + end
	case ErrDepth:
		return skipDepth
	}
	return skipInvalid
}
