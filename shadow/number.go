package shadow

import (
	"bytes"
	"strconv"
)

// decimal is a number token taken apart: ±0.DIGITS × 10^exp, where the first and
// the last digit are not 0.
type decimal struct {
	negative bool
	digits   []byte // without the zeros around them, but perhaps with a point inside; none for zero
	exp      int64
	far      []byte // the exponent's digits, if they are too many for exp
	farMinus bool   // and their sign
}

// maxExponent is the number of digits up to which an exponent is computed with.
const maxExponent = 17

// equalNumbers reports whether two number tokens have the same decimal value.
// Exponents of more than maxExponent digits must be spelled alike for that.
func equalNumbers(a, b []byte) bool {
	x, y := parseDecimal(a), parseDecimal(b)
	if len(x.digits) == 0 || len(y.digits) == 0 {
		return len(x.digits) == len(y.digits)
	}
	return x.negative == y.negative && x.exp == y.exp && x.farMinus == y.farMinus &&
		bytes.Equal(x.far, y.far) && sameDigits(x.digits, y.digits)
}

// parseDecimal takes a valid number token apart.
func parseDecimal(token []byte) decimal {
	var d decimal
	if token[0] == '-' {
		d.negative, token = true, token[1:]
	}
	if e := bytes.IndexAny(token, "eE"); e >= 0 {
		d.setExponent(token[e+1:])
		token = token[:e]
	}
	point := bytes.IndexByte(token, '.')
	if point < 0 {
		point = len(token)
	}
	first := 0
	for first < len(token) && (token[first] == '0' || token[first] == '.') {
		first++
	}
	last := len(token)
	for last > first && (token[last-1] == '0' || token[last-1] == '.') {
		last--
	}
	d.digits = token[first:last]
	if d.exp += int64(point - first); first > point {
		d.exp++ // the point is no digit
	}
	return d
}

// setExponent sets the exponent from the text behind the e.
func (d *decimal) setExponent(text []byte) {
	minus := text[0] == '-'
	text = bytes.TrimLeft(text, "+-0")
	if len(text) > maxExponent {
		d.far, d.farMinus = text, minus
		return
	}
	d.exp, _ = strconv.ParseInt(string(text), 10, 64)
	if minus {
		d.exp = -d.exp
	}
}

// sameDigits compares digits, of which one may be a point.
func sameDigits(a, b []byte) bool {
	for i, j := 0, 0; ; i, j = i+1, j+1 {
		if i < len(a) && a[i] == '.' {
			i++
		}
		if j < len(b) && b[j] == '.' {
			j++
		}
		if i == len(a) || j == len(b) {
			return i == len(a) && j == len(b)
		}
		if a[i] != b[j] {
			return false
		}
	}
}
