package mjson

import (
	"math"
	"strconv"
)

// A decimal is the number on a token: mant × 10^exp, or a little more.
type decimal struct {
	mant   uint64 // the first 19 significant digits
	digits int    // how many mant has
	exp    int64  // saturated far outside the range of float64
	neg    bool
	sticky bool // digits that did not fit in mant were not all zero
}

const (
	maxDigits = 19 // decimal digits that always fit in a uint64

	// maxExponent saturates exponents. No token is long enough to bring a
	// larger one back into range.
	maxExponent = 1 << 60
)

// parseDecimal reads a whole number token.
func parseDecimal(raw []byte) (d decimal, ok bool) {
	if len(raw) == 0 || class[raw[0]] != clsNumber || numberEnd(raw, 0) != len(raw) {
		return d, false
	}
	i := 0
	if raw[0] == '-' {
		d.neg = true
		i = 1
	}
	var scale int64 // 1 after the point
	for ; i < len(raw); i++ {
		c := raw[i]
		if c-'0' > 9 {
			if c != '.' {
				d.exp += parseExponent(raw[i+1:])
				break
			}
			scale = 1
			continue
		}
		switch {
		case d.digits == 0 && c == '0':
			d.exp -= scale
		case d.digits < maxDigits:
			d.mant = d.mant*10 + uint64(c-'0')
			d.digits++
			d.exp -= scale
		default:
			d.sticky = d.sticky || c != '0'
			d.exp += 1 - scale
		}
	}
	return d, true
}

// parseExponent reads what follows the 'e' of a number token; missing digits
// count as 0.
func parseExponent(s []byte) int64 {
	neg := false
	var e int64
	for _, c := range s {
		switch {
		case c == '-':
			neg = true
		case c != '+' && e < maxExponent/16:
			e = e*10 + int64(c-'0')
		}
	}
	if neg {
		return -e
	}
	return e
}

// pow10 holds the powers of ten that a float64 represents exactly.
var pow10 = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// ParseNumber returns the value of a number token, correctly rounded to the
// nearest float64, ties to even. Values too large are infinite, values too
// small zero, and a minus sign is kept in both. Parts the grammar lets a token
// leave out count as 0: "1e" is 1. It reports false if raw is not exactly one
// number by the grammar of this package (see the package comment).
//
// ParseNumber does not allocate, and takes time linear in the length of raw
// whatever the exponent is.
func ParseNumber(raw []byte) (float64, bool) {
	d, ok := parseDecimal(raw)
	if !ok {
		return 0, false
	}
	f := d.float(raw)
	if d.neg {
		f = -f
	}
	return f, true
}

// float returns the absolute value of d, which was read from raw.
func (d *decimal) float(raw []byte) float64 {
	if !d.sticky && d.mant < 1<<53 {
		switch {
		case d.exp == 0 || d.mant == 0:
			return float64(d.mant)
		case d.exp > 0 && d.exp < int64(len(pow10)):
			return float64(d.mant) * pow10[d.exp]
		case d.exp < 0 && d.exp > -int64(len(pow10)):
			return float64(d.mant) / pow10[-d.exp]
		}
	}
	low := scaled(d.mant, d.exp)
	if !d.sticky {
		return low
	}
	if high := scaled(d.mant+1, d.exp); high != low {
		return nearest(low, high, raw)
	}
	return low
}

// scaled returns mant × 10^exp, correctly rounded, for mant up to 10^19.
func scaled(mant uint64, exp int64) float64 {
	if mant == 0 {
		return 0
	}
	for mant < 1e18 {
		mant *= 10
		exp--
	}
	// From here on mant has 19 digits, or is 10^19.
	switch {
	case exp < -350:
		return 0
	case exp > 290 || exp == 290 && mant > 1797693134862315807: // half a unit above the largest
		return math.Inf(1)
	}
	var buf [32]byte
	text := strconv.AppendUint(buf[:0], mant, 10)
	text = append(text, 'e')
	text = strconv.AppendInt(text, exp, 10)
	f, _ := strconv.ParseFloat(string(text), 64) // short: does not allocate
	return f
}

// ParseInt returns the value of a number token if it is an integer in the range
// of int64, exactly: there is no float64 on the way. Fractions and exponents
// are fine as long as the number is integral: "1.50e2" is 150. It reports false
// for other numbers and for raw that is not exactly one number.
//
// ParseInt does not allocate, and takes time linear in the length of raw
// whatever the exponent is.
func ParseInt(raw []byte) (int64, bool) {
	if n := len(raw); 0 < n && n < maxDigits { // plain digits, most likely
		var v int64
		for i := 0; raw[i]-'0' <= 9; {
			v = v*10 + int64(raw[i]-'0')
			if i++; i == n {
				return v, true
			}
		}
	}
	return parseInt(raw)
}

// parseInt is ParseInt for any number.
func parseInt(raw []byte) (int64, bool) {
	d, ok := parseDecimal(raw)
	if !ok || d.sticky {
		return 0, false
	}
	if d.mant == 0 {
		return 0, true
	}
	for ; d.exp < 0 && d.mant%10 == 0; d.exp++ {
		d.mant /= 10
	}
	if d.exp < 0 || d.exp > maxDigits {
		return 0, false
	}
	for ; d.exp > 0; d.exp-- {
		if d.mant > math.MaxUint64/10 {
			return 0, false
		}
		d.mant *= 10
	}
	switch {
	case d.neg && d.mant <= 1<<63:
		return int64(-d.mant), true
	case !d.neg && d.mant <= math.MaxInt64:
		return int64(d.mant), true
	}
	return 0, false
}
