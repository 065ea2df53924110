package mjson

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

func indexByte(b []byte, c byte) int { return bytes.IndexByte(b, c) }

// AppendQuote appends s as a JSON string, as %Q prints it: the quote, the
// backslash and \b \f \n \r \t get their short escapes, other bytes below 0x20
// become \u00xx, everything else is copied, '/' and bytes that are not UTF-8
// too.
func AppendQuote(dst []byte, s string) []byte { return appendQuoted(dst, s, false) }

// AppendQuoteBytes is [AppendQuote] for a byte slice.
func AppendQuoteBytes(dst, s []byte) []byte { return appendQuoted(dst, s, false) }

// appendQuoted appends s in quotes, with '/' as \/ if slash is set.
func appendQuoted[T string | []byte](dst []byte, s T, slash bool) []byte {
	dst = append(dst, '"')
	from := 0 // everything before has been written
	for i := 0; i < len(s); i++ {
		for i+8 <= len(s) && noEscapes(s[i:i+8], slash) {
			i += 8
		}
		if i == len(s) {
			break
		}
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && (c != '/' || !slash) {
			continue
		}
		dst = append(dst, s[from:i]...)
		dst = appendEscape(dst, c)
		from = i + 1
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// noEscapes reports whether none of the first eight bytes of s needs an escape.
func noEscapes[T string | []byte](s T, slash bool) bool {
	w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	q, e := w^'"'*lanes01, w^'\\'*lanes01
	m := (w - ' '*lanes01) | (q - lanes01) | (e - lanes01)
	if slash {
		m |= (w ^ '/'*lanes01) - lanes01
	}
	return m&^w&lanes80 == 0 // as in stringStops
}

// appendEscape appends the escape sequence for c.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '\b':
		c = 'b'
	case '\f':
		c = 'f'
	case '\n':
		c = 'n'
	case '\r':
		c = 'r'
	case '\t':
		c = 't'
	case '"', '\\', '/':
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
	return append(dst, '\\', c)
}

// AppendUnquote appends the text that a JSON string, given with its quotes,
// stands for. All escapes of RFC 8259 are decoded: \u to UTF-8, surrogate pairs
// combined, a surrogate without its partner to U+FFFD. Other bytes are copied
// as they are, control characters and invalid UTF-8 too.
//
// If quoted is not one whole string, or has an escape that does not exist, the
// result is dst and false. dst may be quoted[:0]: decoding never lengthens.
func AppendUnquote(dst, quoted []byte) ([]byte, bool) {
	if len(quoted) < 2 || quoted[0] != '"' || stringEnd(quoted, 1) != len(quoted) {
		return dst, false
	}
	out, body := dst, quoted[1:len(quoted)-1]
	for {
		i := indexByte(body, '\\')
		if i < 0 {
			return append(out, body...), true
		}
		out = append(out, body[:i]...)
		var n int
		if out, n = appendUnescaped(out, body[i+1:]); n == 0 {
			return dst, false
		}
		body = body[i+1+n:]
	}
}

// appendUnescaped decodes the escape sequence, or pair of them, whose backslash
// is just before s, and returns how many bytes of s it took: 0 if it is none.
func appendUnescaped(dst, s []byte) ([]byte, int) {
	if len(s) == 0 {
		return dst, 0
	}
	c := s[0]
	switch c {
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case '"', '\\', '/':
	case 'u':
		r, n := unescapeRune(s[1:])
		if n == 0 {
			return dst, 0
		}
		return utf8.AppendRune(dst, r), 1 + n
	default:
		return dst, 0
	}
	return append(dst, c), 1
}

// unescapeRune decodes what follows \u: four hexadecimal digits, and the \uXXXX
// after them if it completes a surrogate pair. It returns the number of bytes
// used, 0 if there are no four digits.
func unescapeRune(s []byte) (rune, int) {
	r := hex4(s)
	if r < 0 {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 4
	}
	if len(s) >= 10 && s[4] == '\\' && s[5] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(s[6:])); pair != utf8.RuneError {
			return pair, 10
		}
	}
	return utf8.RuneError, 4
}

// hex4 returns the value of four hexadecimal digits, or -1.
func hex4(s []byte) rune {
	if len(s) < 4 {
		return -1
	}
	var r rune
	for _, c := range s[:4] {
		v := hexValue[c]
		if v == notCoded {
			return -1
		}
		r = r<<4 | rune(v)
	}
	return r
}
