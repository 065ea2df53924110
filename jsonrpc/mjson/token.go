package mjson

import "math/bits"

// This file is the grammar of tokens. Everything that reads JSON text in this
// package finds the ends of strings, numbers and literals with it.

// The classes of bytes that can start a token.
const (
	clsBad = iota
	clsSpace
	clsQuote
	clsNumber  // '-' and the digits
	clsLiteral // t f n
	clsArray
	clsObject
	clsArrayEnd
	clsObjectEnd
)

// class gives the class of each byte.
var class = [256]uint8{
	' ': clsSpace, '\t': clsSpace, '\n': clsSpace, '\r': clsSpace,
	'"': clsQuote,
	'-': clsNumber, '0': clsNumber, '1': clsNumber, '2': clsNumber, '3': clsNumber, '4': clsNumber,
	'5': clsNumber, '6': clsNumber, '7': clsNumber, '8': clsNumber, '9': clsNumber,
	't': clsLiteral, 'f': clsLiteral, 'n': clsLiteral,
	'[': clsArray, '{': clsObject, ']': clsArrayEnd, '}': clsObjectEnd,
}

// Eight bytes at a time: the same byte in every lane.
const (
	lanes01 = 0x0101010101010101
	lanes80 = 0x8080808080808080
)

// load64 returns the 8 bytes at doc[i], the first in the lowest lane. Behind a
// check that i >= 0 && i < len(doc)-7, as it stands everywhere, it is one load.
func load64(doc []byte, i int) uint64 {
	return uint64(doc[i]) | uint64(doc[i+1])<<8 | uint64(doc[i+2])<<16 | uint64(doc[i+3])<<24 |
		uint64(doc[i+4])<<32 | uint64(doc[i+5])<<40 | uint64(doc[i+6])<<48 | uint64(doc[i+7])<<56
}

// tail64 returns up to 8 bytes from doc[i] on like load64, with zeros for those
// that doc does not have; i is at most len(doc).
func tail64(doc []byte, i int) uint64 {
	if i >= 0 && i < len(doc)-7 {
		return load64(doc, i)
	}
	if last := len(doc) - 8; last >= 0 {
		return load64(doc, last) >> (8 * uint(i-last))
	}
	var w uint64
	for k, c := range doc[i:] {
		w |= uint64(c) << (8 * k)
	}
	return w
}

// stringStops marks, with the top bit of a lane, the bytes of w that interrupt
// a string: the quote, the backslash and NUL. Only the lowest mark is exact.
func stringStops(w uint64) uint64 {
	// A subtraction of one sets the top bit of a lane that is zero, and must not
	// count where it was set before: for all three alike that is where it is in w.
	q := w ^ '"'*lanes01
	e := w ^ '\\'*lanes01
	return ((q - lanes01) | (e - lanes01) | (w - lanes01)) &^ w & lanes80
}

// nonDigits marks, with the top bit of a lane, the bytes of w that are not
// decimal digits. All marks are exact.
func nonDigits(w uint64) uint64 {
	w ^= '0' * lanes01
	return (w&^lanes80 + (0x80-10)*lanes01 | w) & lanes80
}

// lane returns the number of the lowest lane marked in m, which is not zero.
func lane(m uint64) int { return bits.TrailingZeros64(m) >> 3 }

// skipSpace returns the offset of the first byte at or after i that is not
// white space, or len(doc).
func skipSpace(doc []byte, i int) int {
	for i < len(doc) && class[doc[i]] == clsSpace {
		i++
	}
	return i
}

// stringEnd returns the offset just after the string whose opening quote is at
// i-1, or -1 if it has no end or contains a NUL. A backslash takes the next
// byte with it, whatever it is: escapes are judged when they are decoded.
func stringEnd(doc []byte, i int) int {
	for i >= 0 && i < len(doc)-7 {
		m := stringStops(load64(doc, i))
		if m == 0 {
			i += 8
			continue
		}
		i += lane(m) + 1
		switch doc[i-1] {
		case '"':
			return i
		case 0:
			return -1
		}
		if i < len(doc) && doc[i] != 0 {
			i++
		}
	}
	return lastStringEnd(doc, i)
}

// lastStringEnd is stringEnd near the end of doc.
func lastStringEnd(doc []byte, i int) int {
	for i < len(doc) {
		m := stringStops(tail64(doc, i))
		if m == 0 {
			i += 8
			continue
		}
		i += lane(m) + 1
		if i > len(doc) || doc[i-1] == 0 {
			return -1
		}
		if doc[i-1] == '"' {
			return i
		}
		if i < len(doc) && doc[i] != 0 {
			i++
		}
	}
	return -1
}

// digitsEnd returns the offset of the first byte at or after i that is not a
// digit, or len(doc).
func digitsEnd(doc []byte, i int) int {
	for i >= 0 && i < len(doc)-7 {
		if m := nonDigits(load64(doc, i)); m != 0 {
			return i + lane(m)
		}
		i += 8
	}
	return i + lane(nonDigits(tail64(doc, i)))
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// numberEnd returns the offset just after the number that starts at i with a
// minus sign or a digit, or -1 if the text is not a number. The grammar is
//
//	["-"] *digit ["." *digit] [("e"|"E") ["-"] ["+"] *digit]
//
// where the integer digits may be missing only before a '.', and a '.' without
// digits after it needs an exponent.
func numberEnd(doc []byte, i int) int {
	first := i // of the digits
	if doc[i] == '-' {
		first = i + 1
	}
	var m uint64
	if first >= 0 && first < len(doc)-7 {
		m = nonDigits(load64(doc, first))
	}
	var end int
	if m != 0 {
		end = first + lane(m)
		if c := doc[end]; end > first && c != '.' && c|0x20 != 'e' {
			return end // nearly always
		}
	} else if end = digitsEnd(doc, first); end == len(doc) {
		if end == first {
			return -1
		}
		return end
	}
	switch c := doc[end]; {
	case c == '.':
		return fractionEnd(doc, end+1)
	case end == first:
		return -1
	case c|0x20 == 'e':
		return exponentEnd(doc, end+1)
	}
	return end
}

// fractionEnd returns the end of a number whose '.' is at i-1, or -1.
func fractionEnd(doc []byte, i int) int {
	end := digitsEnd(doc, i)
	if end < len(doc) && doc[end]|0x20 == 'e' {
		return exponentEnd(doc, end+1)
	}
	if end == i {
		return -1
	}
	return end
}

// exponentEnd returns the end of an exponent whose 'e' is at i-1.
func exponentEnd(doc []byte, i int) int {
	if i < len(doc) && doc[i] == '-' {
		i++
	}
	if i < len(doc) && doc[i] == '+' {
		i++
	}
	return digitsEnd(doc, i)
}

// literalEnd returns the offset just after the literal that starts at i, or -1.
func literalEnd(doc []byte, i int) int {
	l := &literals[doc[i]>>3&3]
	if tail64(doc, i)&l.mask != l.word {
		return -1
	}
	return i + l.n
}

// literals holds the literals as load64 returns them, by bits 3 and 4 of their
// first letter.
var literals = [4]struct {
	word, mask uint64
	n          int
}{
	'f' >> 3 & 3: {'f' | 'a'<<8 | 'l'<<16 | 's'<<24 | 'e'<<32, 1<<40 - 1, 5},
	'n' >> 3 & 3: {'n' | 'u'<<8 | 'l'<<16 | 'l'<<24, 1<<32 - 1, 4},
	't' >> 3 & 3: {'t' | 'r'<<8 | 'u'<<16 | 'e'<<24, 1<<32 - 1, 4},
}
