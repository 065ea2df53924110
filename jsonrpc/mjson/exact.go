package mjson

import (
	"math"
	"math/bits"
)

// This file settles the rare tokens whose first 19 digits lie so close to the
// middle between two float64 values that the digits after them decide.

// maxExact is the number of significant digits that are compared. The middle
// between two float64 values has at most 767, so a longer token differs from it
// before, or is larger because of any digit behind.
const maxExact = 800

// nearest returns the one of two adjacent float64 values, low < high, that is
// nearer to the number raw, which lies between them: the even one in the exact
// middle. high may be infinite.
func nearest(low, high float64, raw []byte) float64 {
	// The middle is mant × 2^exp2, with one bit more than low.
	mant, exp2 := math.Float64bits(low)&(1<<52-1), int(math.Float64bits(low)>>52)
	if exp2 > 0 {
		mant |= 1 << 52
		exp2--
	}
	even := mant&1 == 0
	var middle, number wide
	middle.mulAdd(0, 2*mant+1)
	exp2 -= 1075

	exp10, rest := number.setDecimal(raw)
	if exp10 >= 0 {
		number.mulPow5(exp10)
	} else {
		middle.mulPow5(-exp10)
	}
	if exp2 -= exp10; exp2 >= 0 {
		middle.shl(exp2)
	} else {
		number.shl(-exp2)
	}
	switch c := number.cmp(&middle); {
	case c > 0, c == 0 && rest, c == 0 && !even:
		return high
	}
	return low
}

// wide is an unsigned integer of up to 3072 bits, least significant word first.
// The largest needed is 10^800 or 2^54 × 10^1124 / 2^1074: 2721 bits.
type wide struct {
	words [48]uint64
	n     int // words in use
}

// setDecimal sets w to the first maxExact significant digits of a number token
// and returns the power of ten to multiply it by and whether any later digit is
// not zero. The number must be in the range of float64.
func (w *wide) setDecimal(raw []byte) (exp10 int, rest bool) {
	digits := 0
	exp := int64(0)
	scale := int64(0)
	for i, c := range raw {
		switch {
		case c == '-':
		case c == '.':
			scale = 1
		case c-'0' > 9:
			return int(exp + parseExponent(raw[i+1:])), rest
		case digits == 0 && c == '0':
			exp -= scale
		case digits < maxExact:
			w.mulAdd(10, uint64(c-'0'))
			digits++
			exp -= scale
		default:
			rest = rest || c != '0'
			exp += 1 - scale
		}
	}
	return int(exp), rest
}

// mulAdd sets w to w × m + a.
func (w *wide) mulAdd(m, a uint64) {
	for i := range w.words[:w.n] {
		hi, lo := bits.Mul64(w.words[i], m)
		sum, carry := bits.Add64(lo, a, 0)
		w.words[i], a = sum, hi+carry
	}
	if a != 0 && w.n < len(w.words) {
		w.words[w.n] = a
		w.n++
	}
}

// mulPow5 multiplies w by 5^n.
func (w *wide) mulPow5(n int) {
	const pow5to27 = 7450580596923828125 // the largest that fits
	for ; n >= 27; n -= 27 {
		w.mulAdd(pow5to27, 0)
	}
	for ; n > 0; n-- {
		w.mulAdd(5, 0)
	}
}

// shl multiplies w by 2^n.
func (w *wide) shl(n int) {
	for ; n >= 63; n -= 63 {
		w.mulAdd(1<<63, 0)
	}
	w.mulAdd(1<<n, 0)
}

// cmp compares w with v.
func (w *wide) cmp(v *wide) int {
	for i := len(w.words) - 1; i >= 0; i-- {
		if w.words[i] != v.words[i] {
			if w.words[i] > v.words[i] {
				return 1
			}
			return -1
		}
	}
	return 0
}
