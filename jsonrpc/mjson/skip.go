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
// scan accepts, without reporting tokens.
//
// This is the loop that Find and Merge spend their time in. It looks first for
// what usually comes next, and takes short tokens from the word w of the next 8
// bytes. Where the text ends w goes on with zeros, which no token contains. All
// other tokens share one call: around each call site all variables are saved.
//
// It is one function with jumps, not one for each state, so that its variables
// stay in registers and no token costs a call; the labels are the states.
func skip(doc []byte, i, limit int) int {
	if limit > maxBits {
		return skipDeep(doc, i, limit)
	}
	var w, nest uint64 // nest has one bit per open container, innermost lowest: 1 is an object
	depth := 0
	name := false // the token is the name of a member
value:
	if i >= 0 && i < len(doc)-7 {
		w = load64(doc, i)
	} else {
		w = lastBytes(doc, i)
	}
	switch class[byte(w)] {
	case clsQuote:
		at := i + 1 + lane(stringStops(w>>8))
		if at >= len(doc) || doc[at] != '"' {
			name = false
			goto token
		}
		i = at + 1
	case clsNumber:
		n := lane(nonDigits(w))
		if c := byte(w >> (8 * uint(n) & 63)); uint(n-1) >= 7 || c == '.' || c|0x20 == 'e' {
			name = false
			goto token
		}
		i += n
	case clsLiteral:
		l := &literals[w>>3&3]
		if w&l.mask != l.word {
			return skipInvalid
		}
		i += l.n
	case clsArray, clsObject:
		if depth >= limit {
			return skipDepth
		}
		depth++
		nest <<= 1
		i++
		if byte(w) == '{' {
			nest |= 1
			goto key
		}
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
end:
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
	if i >= 0 && i < len(doc)-7 {
		w = load64(doc, i)
	} else {
		w = lastBytes(doc, i)
	}
	if byte(w) != '"' {
		if class[byte(w)] == clsSpace {
			i = skipSpace(doc, i+1)
			goto key
		}
		if byte(w) == '}' {
			goto pop
		}
		return skipInvalid
	}
	if at := i + 1 + lane(stringStops(w>>8)); at >= 0 && at < len(doc)-1 && doc[at] == '"' && doc[at+1] == ':' {
		i = at + 2
		goto value
	}
	name = true
token:
	if i = tokenEnd(doc, i); i < 0 {
		return skipInvalid
	}
	if !name {
		goto end
	}
	if i = separator(doc, i, ':'); i < 0 {
		return skipInvalid
	}
	goto value
}

// lastBytes returns the bytes from doc[i] on like load64; they are less than 8.
func lastBytes(doc []byte, i int) uint64 {
	var w uint64
	for k := len(doc) - 1; k >= i; k-- {
		w = w<<8 | uint64(doc[k])
	}
	return w
}

// tokenEnd returns the offset just after the string or number that starts at
// doc[i], or -1.
func tokenEnd(doc []byte, i int) int {
	if doc[i] == '"' {
		return stringEnd(doc, i+1)
	}
	return numberEnd(doc, i)
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
