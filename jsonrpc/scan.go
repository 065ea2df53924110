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
// [MaxDepth] and no longer than [MaxText]. Time is linear in the length of text.
func Valid(text []byte) bool {
	if len(text) > MaxText {
		return false
	}
	i := skipValue(text, skipSpace(text, 0), 0)
	return i >= 0 && skipSpace(text, i) == len(text)
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

// The scanners below take the text and the offset to begin at, which is inside
// the text unless something else is said. They return the offset after what they
// passed, or, as a negative number, a fault and where it is: one number, because
// this is where all the time goes.

// faultBits is how many bits of a negative result are the fault.
const faultBits = 5

// MaxText is the longest text, in bytes, that [Parse] and [Valid] take: 64 MiB,
// so that a fault and its offset fit in 32 bits.
const MaxText = 1<<(31-faultBits) - 1

// fail returns the negative result for a fault at offset i.
func fail(i int, f fault) int { return ^(i<<faultBits | int(f)) }

// failed splits a negative result.
func failed(r int) (int, fault) { return ^r >> faultBits, fault(^r & (1<<faultBits - 1)) }

// failAt is fail, or the text has ended at i.
func failAt(b []byte, i int, f fault) int {
	if i >= len(b) {
		f = truncated
	}
	return fail(i, f)
}

// skipSpace returns the offset of the first byte that is not white space; i may
// be the end of the text.
func skipSpace(b []byte, i int) int {
	for i < len(b) && class[b[i]] == classSpace {
		i++
	}
	return i
}

// skipValue passes one value of any kind; i may be the end of the text. depth is
// the number of containers that are open around the value.
func skipValue(b []byte, i, depth int) int {
	if i >= len(b) {
		return fail(i, truncated)
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
	return fail(i, badValue)
}

// skipContainer passes an object or an array; b[i] is its opener. It keeps one
// bit for each open container, so it needs no recursion and no memory.
func skipContainer(b []byte, i, depth int) int {
	objects := uint64(0) // bit n is set while container n from the inside is an object
	open := 0
value:
	if i >= len(b) {
		return fail(i, truncated)
	}
	switch class[b[i]] {
	case classString:
		i = skipString(b, i+1)
	case classNumber:
		i = skipNumber(b, i)
	case classLiteral:
		i = skipLiteral(b, i)
	case classObject:
		if open++; depth+open > MaxDepth {
			return fail(i, tooDeep)
		}
		objects = objects<<1 | 1
		if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
			i++
			goto closed
		}
		goto key
	case classArray:
		if open++; depth+open > MaxDepth {
			return fail(i, tooDeep)
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
		return fail(i, badValue)
	}
	if i < 0 {
		return i
	}

next:
	if i >= len(b) {
		return fail(i, truncated)
	}
	switch b[i] {
	case ',':
		if i++; objects&1 != 0 {
			goto key
		}
		goto value
	case '}', ']':
		if (b[i] == '}') != (objects&1 != 0) {
			return fail(i, badBracket)
		}
		i++
		goto closed
	case ' ', '\t', '\r', '\n':
		i = skipSpace(b, i)
		goto next
	}
	return fail(i, badSeparator)

closed:
	objects >>= 1
	if open--; open == 0 {
		return i
	}
	goto next

key:
	if i < len(b) && b[i] != '"' {
		i = skipSpace(b, i)
	}
	if i >= len(b) || b[i] != '"' {
		return failAt(b, i, badKey)
	}
	if i = skipString(b, i+1); i < 0 {
		return i
	}
	if i+1 < len(b) && b[i] == ':' && b[i+1] > ' ' {
		i++
	} else if i = skipColon(b, i); i < 0 {
		return i
	}
	goto value
}

// skipColon passes the colon after a key, with white space around it; i may be
// the end of the text.
func skipColon(b []byte, i int) int {
	if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
		return failAt(b, i, badColon)
	}
	return skipSpace(b, i+1)
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// load8 returns the eight bytes at offset i, the first in the lowest bits. Behind
// a check that 0 <= i && i < len(b)-7, as it stands everywhere, it is one load.
func load8(b []byte, i int) uint64 {
	return uint64(b[i]) | uint64(b[i+1])<<8 | uint64(b[i+2])<<16 | uint64(b[i+3])<<24 |
		uint64(b[i+4])<<32 | uint64(b[i+5])<<40 | uint64(b[i+6])<<48 | uint64(b[i+7])<<56
}

// lastWord is load8 for the bytes from offset i to the end of the text, of which
// there are less than eight; the others are 0.
func lastWord(b []byte, i int) uint64 {
	if last := len(b) - 8; last >= 0 {
		return load8(b[last:last+8], 0) >> (8 * uint(i-last))
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
func skipString(b []byte, i int) int {
	for i >= 0 {
		var m uint64
		if i >= 0 && i < len(b)-7 {
			m = special(load8(b, i))
		} else {
			m = special(lastWord(b, i))
		}
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		if uint(i) < uint(len(b)) && b[i] == '"' {
			return i + 1
		}
		i = skipSpecial(b, i)
	}
	return i
}

// skipPlain passes the rest of a string that holds nothing but ASCII characters
// without escapes; i is the offset after its opening quote. It returns 0 for any
// other string.
func skipPlain(b []byte, i int) int {
	for {
		var m uint64
		if i >= 0 && i < len(b)-7 {
			m = special(load8(b, i))
		} else {
			m = special(lastWord(b, i))
		}
		if m != 0 {
			i += bits.TrailingZeros64(m) >> 3
			if uint(i) < uint(len(b)) && b[i] == '"' {
				return i + 1
			}
			return 0
		}
		i += 8
	}
}

// skipSpecial passes one escape sequence or one multi-byte character inside a
// string; i may be the end of the text.
func skipSpecial(b []byte, i int) int {
	if i >= len(b) {
		return fail(len(b), truncated)
	}
	switch c := b[i]; {
	case c < ' ':
		return fail(i, badControl)
	case c >= utf8.RuneSelf:
		if _, n := utf8.DecodeRune(b[i:]); n > 1 {
			return i + n
		}
		return fail(i, badUTF8)
	}
	if i+1 >= len(b) {
		return fail(i, truncated)
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		for j := i + 2; j < i+6; j++ {
			if j >= len(b) || !isHex(b[j]) {
				return failAt(b, j, badEscape)
			}
		}
		return i + 6
	}
	return fail(i+1, badEscape)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// skipDigits returns the offset of the first byte that is not a digit; i may be
// the end of the text.
func skipDigits(b []byte, i int) int {
	for i >= 0 && i < len(b)-7 {
		if m := nonDigits(load8(b, i)); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	return i + bits.TrailingZeros64(nonDigits(lastWord(b, i)))>>3
}

// skipNumber passes a number; b[i] is its first byte, a minus or a digit.
func skipNumber(b []byte, i int) int {
	if i >= 0 && i < len(b)-7 {
		if n := shortNumber(load8(b, i)); n > 0 {
			return i + n
		}
		return skipLongNumber(b, i)
	}
	if n := shortNumber(lastWord(b, i)); n > 0 {
		return i + n
	}
	return skipLongNumber(b, i)
}

// shortNumber returns the length of an integer of one to seven digits, the most
// likely number, that x begins with, or 0.
func shortNumber(x uint64) int {
	n := bits.TrailingZeros64(nonDigits(x)) >> 3
	c := byte(x >> (8 * n))
	if uint(n-1) >= 7 || c == '.' || c|0x20 == 'e' || n > 1 && byte(x) == '0' {
		return 0
	}
	return n
}

// skipLongNumber passes any number.
func skipLongNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	start := i
	i = skipDigits(b, i)
	if i-start != 1 && (i == start || b[start] == '0') {
		return failAt(b, start, badNumber)
	}
	if i < len(b) && b[i] == '.' {
		start = i + 1
		if i = skipDigits(b, start); i == start {
			return failAt(b, i, badNumber)
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		start = i
		if i = skipDigits(b, start); i == start {
			return failAt(b, i, badNumber)
		}
	}
	return i
}

// skipLiteral passes true, false or null; b[i] is the first letter.
func skipLiteral(b []byte, i int) int {
	word := "true"
	switch b[i] {
	case 'f':
		word = "false"
	case 'n':
		word = "null"
	}
	if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
		return i + len(word)
	}
	j := 1
	for i+j < len(b) && b[i+j] == word[j] {
		j++
	}
	return failAt(b, i+j, badValue)
}
