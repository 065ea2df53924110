package jsonrpc

import (
	"math/bits"
	"unicode/utf8"
)

// MaxDepth is the deepest nesting of arrays and objects that [Parse] and
// [Valid] take, the outermost container included. Deeper text is refused.
const MaxDepth = 32

// Valid reports whether text is exactly one JSON value as RFC 8259 defines it,
// in valid UTF-8, with white space around it at most, nested no deeper than
// [MaxDepth]. Time is linear in the length of text.
func Valid(text []byte) bool {
	i, f := skipValue(text, skipSpace(text, 0), 0)
	return f == ok && skipSpace(text, i) == len(text)
}

// Character classes, for the first byte of a value and for white space.
const (
	classBad = iota
	classSpace
	classString
	classNumber
	classLiteral
	classObject
	classArray
)

var class = [256]uint8{
	' ': classSpace, '\t': classSpace, '\r': classSpace, '\n': classSpace,
	'"': classString, '{': classObject, '[': classArray,
	't': classLiteral, 'f': classLiteral, 'n': classLiteral, '-': classNumber,
	'0': classNumber, '1': classNumber, '2': classNumber, '3': classNumber, '4': classNumber,
	'5': classNumber, '6': classNumber, '7': classNumber, '8': classNumber, '9': classNumber,
}

// The scanners below take the text and the offset to begin at. They return the
// offset after what they passed, or the offset of the offending byte and what
// is wrong there.

// skipSpace returns the offset of the first byte that is not white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && class[b[i]] == classSpace {
		i++
	}
	return i
}

// skipValue passes one value of any kind. depth is the number of containers
// that are open around it.
func skipValue(b []byte, i, depth int) (int, fault) {
	if i >= len(b) {
		return i, truncated
	}
	switch class[b[i]] {
	case classString:
		return skipString(b, i+1)
	case classNumber:
		return skipNumber(b, i)
	case classLiteral:
		return skipLiteral(b, i)
	case classObject, classArray:
		return skipContainer(b, i, depth)
	}
	return i, badValue
}

// skipContainer passes an object or an array; b[i] is its opener. It keeps one
// bit for each open container, so it needs no recursion and no memory.
func skipContainer(b []byte, i, depth int) (int, fault) {
	var (
		objects uint64 // bit n is set while container n from the inside is an object
		open    = 0
		f       fault
	)
value:
	if i >= len(b) {
		return i, truncated
	}
dispatch:
	switch class[b[i]] {
	case classString:
		if i, f = skipString(b, i+1); f != ok {
			return i, f
		}
	case classNumber:
		if i, f = skipNumber(b, i); f != ok {
			return i, f
		}
	case classLiteral:
		if i, f = skipLiteral(b, i); f != ok {
			return i, f
		}
	case classObject:
		if open++; depth+open > MaxDepth {
			return i, tooDeep
		}
		objects = objects<<1 | 1
		if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
			i++
			goto closed
		}
		goto key
	case classArray:
		if open++; depth+open > MaxDepth {
			return i, tooDeep
		}
		objects <<= 1
		if i = skipSpace(b, i+1); i < len(b) && b[i] == ']' {
			i++
			goto closed
		}
		goto value
	case classSpace:
		i = skipSpace(b, i)
		goto value
	default:
		return i, badValue
	}

next:
	if i >= len(b) {
		return i, truncated
	}
	switch b[i] {
	case ',':
		if i++; objects&1 != 0 {
			goto key
		}
		if i < len(b) {
			goto dispatch
		}
		return i, truncated
	case '}', ']':
		if (b[i] == '}') != (objects&1 != 0) {
			return i, badBracket
		}
		i++
		goto closed
	case ' ', '\t', '\r', '\n':
		i = skipSpace(b, i)
		goto next
	}
	return i, badSeparator

closed:
	objects >>= 1
	if open--; open == 0 {
		return i, ok
	}
	goto next

key:
	if i < len(b) && b[i] != '"' {
		i = skipSpace(b, i)
	}
	if i >= len(b) {
		return i, truncated
	}
	if b[i] != '"' {
		return i, badKey
	}
	if i, f = skipString(b, i+1); f != ok {
		return i, f
	}
	if i, f = skipColon(b, i); f != ok {
		return i, f
	}
	goto value
}

// skipColon passes the colon after a key, with white space around it.
func skipColon(b []byte, i int) (int, fault) {
	if i+2 < len(b) && b[i] == ':' {
		if b[i+1] > ' ' {
			return i + 1, ok
		}
		if b[i+1] == ' ' && b[i+2] > ' ' {
			return i + 2, ok
		}
	}
	return skipColonSlow(b, i)
}

func skipColonSlow(b []byte, i int) (int, fault) {
	i = skipSpace(b, i)
	if i >= len(b) {
		return i, truncated
	}
	if b[i] != ':' {
		return i, badColon
	}
	return skipSpace(b, i+1), ok
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// load8 returns eight bytes, the first in the lowest bits.
func load8(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// word returns the eight bytes at offset i; those behind the end of the text
// are 0.
func word(b []byte, i int) uint64 {
	if i+8 <= len(b) {
		return load8(b[i:])
	}
	return lastWord(b, i)
}

func lastWord(b []byte, i int) uint64 {
	if len(b) >= 8 {
		return load8(b[len(b)-8:]) >> (8 * uint(8-len(b)+i))
	}
	var x uint64
	for n, c := range b[i:] {
		x |= uint64(c) << (8 * n)
	}
	return x
}

// special marks, in the high bit of each byte, the bytes of x at which a
// string cannot simply be passed: a quote, a backslash, a control character or
// a byte of 0x80 and more. The differences also mark bytes of 0x80 and more,
// which are to be marked anyway, and bytes above a marked one because of the
// borrow: only the lowest mark is exact, which is the only one used.
func special(x uint64) uint64 {
	quote := x ^ ones*'"'
	slash := x ^ ones*'\\'
	return ((quote - ones) | (slash - ones) | (x - ones*' ') | x) & highs
}

// nonDigits marks, in the high bit of each byte, the bytes of x that are not
// decimal digits.
func nonDigits(x uint64) uint64 {
	x ^= ones * '0'
	return ((x&^highs + ones*0x76) | x) & highs
}

// skipString passes the rest of a string; i is the offset after its opening
// quote.
func skipString(b []byte, i int) (int, fault) {
	for {
		m := special(word(b, i))
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		if i >= len(b) {
			return len(b), truncated
		}
		if b[i] == '"' {
			return i + 1, ok
		}
		var f fault
		if i, f = skipSpecial(b, i); f != ok {
			return i, f
		}
	}
}

// skipPlain passes the rest of a string that holds nothing but ASCII characters
// without escapes; i is the offset after its opening quote. It returns 0 for any
// other string.
func skipPlain(b []byte, i int) int {
	for {
		m := special(word(b, i))
		if m != 0 {
			i += bits.TrailingZeros64(m) >> 3
			if i < len(b) && b[i] == '"' {
				return i + 1
			}
			return 0
		}
		i += 8
	}
}

// skipSpecial passes one escape sequence or one multi-byte character inside a
// string.
func skipSpecial(b []byte, i int) (int, fault) {
	switch c := b[i]; {
	case c < ' ':
		return i, badControl
	case c >= utf8.RuneSelf:
		_, n := utf8.DecodeRune(b[i:])
		if n == 1 {
			return i, badUTF8
		}
		return i + n, ok
	}
	if i+1 >= len(b) {
		return i, truncated
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, ok
	case 'u':
		for j := i + 2; j < i+6; j++ {
			if j >= len(b) {
				return j, truncated
			}
			if !isHex(b[j]) {
				return j, badEscape
			}
		}
		return i + 6, ok
	}
	return i + 1, badEscape
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// skipDigits returns the offset of the first byte that is not a digit.
func skipDigits(b []byte, i int) int {
	for {
		if m := nonDigits(word(b, i)); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
}

// skipNumber passes a number; b[i] is its first byte, a minus or a digit.
func skipNumber(b []byte, i int) (int, fault) {
	x := word(b, i)
	if n := bits.TrailingZeros64(nonDigits(x)) >> 3; uint(n-1) < 7 {
		// A number of one to seven digits, most likely.
		c := byte(x >> (8 * n))
		if c != '.' && c|0x20 != 'e' && (n == 1 || byte(x) != '0') {
			return i + n, ok
		}
	}
	return skipLongNumber(b, i)
}

func skipLongNumber(b []byte, i int) (int, fault) {
	if b[i] == '-' {
		i++
	}
	start := i
	i = skipDigits(b, i)
	if i-start != 1 && (i == start || b[start] == '0') {
		return start, faultAt(b, start, badNumber)
	}
	if i < len(b) && (b[i] == '.' || b[i]|0x20 == 'e') {
		return skipFraction(b, i)
	}
	return i, ok
}

// skipFraction passes the fraction and the exponent of a number; b[i] is the
// dot or the letter.
func skipFraction(b []byte, i int) (int, fault) {
	if b[i] == '.' {
		start := i + 1
		if i = skipDigits(b, start); i == start {
			return i, faultAt(b, i, badNumber)
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		start := i
		if i = skipDigits(b, start); i == start {
			return i, faultAt(b, i, badNumber)
		}
	}
	return i, ok
}

// skipLiteral passes true, false or null; b[i] is the first letter.
func skipLiteral(b []byte, i int) (int, fault) {
	word := "true"
	switch b[i] {
	case 'f':
		word = "false"
	case 'n':
		word = "null"
	}
	if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
		return i + len(word), ok
	}
	for j := range word {
		if i+j >= len(b) {
			return i + j, truncated
		}
		if b[i+j] != word[j] {
			return i + j, badValue
		}
	}
	return i, badValue // not reached: the word was compared above
}

// faultAt returns f, or truncated when the text has ended at i.
func faultAt(b []byte, i int, f fault) fault {
	if i >= len(b) {
		return truncated
	}
	return f
}
