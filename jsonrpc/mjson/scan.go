package mjson

import "errors"

// DefaultMaxDepth is the number of containers that may be open at once unless
// a [Scanner] says otherwise.
const DefaultMaxDepth = 20

var (
	// ErrInvalid reports text that is not JSON by the rules of mjson, or that
	// ends before its value is complete.
	ErrInvalid = errors.New("mjson: invalid or incomplete JSON")
	// ErrDepth reports containers nested deeper than allowed.
	ErrDepth = errors.New("mjson: JSON nested too deep")
)

// A Scanner reads JSON with a depth limit of its own. The zero value uses
// [DefaultMaxDepth] and is what the functions of this package use. A Scanner
// holds no state: it may be copied and used by several goroutines.
type Scanner struct {
	// MaxDepth is the number of containers that may be open at once;
	// 0 or less stands for DefaultMaxDepth.
	MaxDepth int
}

// limit returns the depth limit in effect.
func (s Scanner) limit() int {
	if s.MaxDepth <= 0 {
		return DefaultMaxDepth
	}
	return s.MaxDepth
}

// Scan reads one value from the start of doc with [DefaultMaxDepth]; see
// [Scanner.Scan].
func Scan(doc []byte, fn func(ev Type, off, n int) bool) (int, error) {
	return Scanner{}.Scan(doc, fn)
}

// Valid reports whether doc starts with one complete value. What follows the
// value is not looked at: to demand that nothing does, compare the result of
// [Scan] with the length of doc.
func Valid(doc []byte) bool {
	_, err := Scan(doc, nil)
	return err == nil
}

// Scan reads one value from the start of doc and returns the number of bytes up
// to its end. White space before the value counts; whatever follows the value
// is neither counted nor looked at.
//
// Each token is reported, in document order, by a call of fn with its type, its
// offset in doc and its length: brackets, commas and colons too, keys and
// strings with their quotes. When fn returns false the scan stops and Scan
// returns the offset just after that token. fn may be nil: then the text is
// only checked, which is faster.
//
// The error is [ErrInvalid] or [ErrDepth]; the count is then the offset at
// which the fault was noticed: that of the offending token, or the length of
// doc if it ends too early. Tokens before the fault have been reported.
//
// Scan does not keep doc, does not allocate (for MaxDepth up to 64), and takes
// time linear in the length of the value.
func (s Scanner) Scan(doc []byte, fn func(ev Type, off, n int) bool) (int, error) {
	if fn == nil {
		if end := skip(doc, 0, s.limit()); end >= 0 {
			return end, nil
		}
		// Only the slower scan knows the place of the fault.
		fn = func(Type, int, int) bool { return true }
	}
	return scan(doc, s.limit(), fn)
}

// nesting remembers for each open container whether it is an object: one bit
// each, the innermost lowest. Words that are full wait in outer.
type nesting struct {
	bits  uint64
	depth int
	outer []uint64
}

func (s *nesting) push(object uint64) {
	if s.depth > 0 && s.depth%64 == 0 {
		s.outer = append(s.outer, s.bits)
	}
	s.bits = s.bits<<1 | object
	s.depth++
}

func (s *nesting) pop() {
	s.bits >>= 1
	s.depth--
	if s.depth > 0 && s.depth%64 == 0 {
		last := len(s.outer) - 1
		s.bits, s.outer = s.outer[last], s.outer[:last]
	}
}

// inObject reports whether the innermost open container is an object.
func (s *nesting) inObject() bool { return s.depth > 0 && s.bits&1 == 1 }

// What the scan expects next.
const (
	wantValue = iota // or the end of an array
	wantKey          // or the end of an object
	wantColon
	wantComma // or the end of the container
)

// scan is [Scanner.Scan] with an fn.
func scan(doc []byte, limit int, fn func(ev Type, off, n int) bool) (int, error) {
	var open nesting
	want := wantValue
	for i := 0; ; {
		i = skipSpace(doc, i)
		if i == len(doc) {
			return i, ErrInvalid
		}
		ev, end := token(doc, i, want, &open)
		if end < 0 {
			return i, ErrInvalid
		}
		switch ev {
		case Object, Array:
			if open.depth >= limit {
				return i, ErrDepth
			}
			open.push(uint64(ev>>5) & 1) // the bit in which the brackets differ
			want = wantValue
			if ev == Object {
				want = wantKey
			}
		case ObjectEnd, ArrayEnd:
			open.pop()
			want = wantComma
		case Key:
			want = wantColon
		case Colon:
			want = wantValue
		case Comma:
			want = wantValue
			if open.inObject() {
				want = wantKey
			}
		default:
			want = wantComma
		}
		if !fn(ev, i, end-i) || want == wantComma && open.depth == 0 {
			return end, nil
		}
		i = end
	}
}

// token returns the type and the end of the token at i, or a negative end if
// there is none that fits. Closing brackets are checked against open.
func token(doc []byte, i, want int, open *nesting) (Type, int) {
	c := doc[i]
	switch want {
	case wantColon:
		if c == ':' {
			return Colon, i + 1
		}
		return Invalid, -1
	case wantKey:
		if c == '"' {
			return Key, stringEnd(doc, i+1)
		}
		if c == '}' {
			return ObjectEnd, i + 1
		}
		return Invalid, -1
	case wantComma:
		if c == ',' {
			return Comma, i + 1
		}
		if c == '}' && open.inObject() {
			return ObjectEnd, i + 1
		}
		if c != ']' {
			return Invalid, -1
		}
	}
	switch class[c] {
	case clsQuote:
		return String, stringEnd(doc, i+1)
	case clsNumber:
		return Number, numberEnd(doc, i)
	case clsLiteral:
		return valueTypes[c], literalEnd(doc, i)
	case clsArray, clsObject:
		return Type(c), i + 1
	case clsArrayEnd:
		if open.depth > 0 && !open.inObject() {
			return ArrayEnd, i + 1
		}
	}
	return Invalid, -1
}
