package mjson

import "strconv"

// This file prints one argument by one verb. Arguments are looked at by
// concrete type only: no method of an argument is called, which is what keeps
// them from escaping to the heap.

// integerArg returns the value of an argument of integer type as the 64 bits of
// a two's complement number, and whether it is negative.
func integerArg(a any) (v uint64, neg, ok bool) {
	var n int64
	switch a := a.(type) {
	case int:
		n = int64(a)
	case int8:
		n = int64(a)
	case int16:
		n = int64(a)
	case int32:
		n = int64(a)
	case int64:
		n = a
	case uint:
		return uint64(a), false, true
	case uint8:
		return uint64(a), false, true
	case uint16:
		return uint64(a), false, true
	case uint32:
		return uint64(a), false, true
	case uint64:
		return a, false, true
	case uintptr:
		return uint64(a), false, true
	default:
		return 0, false, false
	}
	return uint64(n), n < 0, true
}

// taken reports whether there is a verb for arguments of the type of a.
func taken(a any) bool {
	switch a.(type) {
	case nil, bool, float32, float64, string, []byte, PrintFunc, func([]byte, []any) ([]byte, int):
		return true
	}
	_, _, ok := integerArg(a)
	return ok
}

// lengthArg takes the length or precision of a verb. Values outside the range
// of int are brought to its ends. If it is not an integer, the argument that
// follows is taken as well, null is printed for both, and ok is false.
func (f *formatter) lengthArg(dst []byte, args []any, verb string) (out []byte, n int, ok bool) {
	a, given := f.take(args)
	v, neg, ok := integerArg(a)
	const maxInt = int(^uint(0) >> 1)
	switch {
	case !given:
		dst = f.fail(dst, verb, missing)
	case !ok:
		dst = f.unfit(dst, verb, wantInteger, a)
	case neg:
		return dst, -1, true // all negative lengths are alike
	case v > uint64(maxInt):
		return dst, maxInt, true
	default:
		return dst, int(v), true
	}
	f.take(args)
	return dst, 0, false
}

// integer prints %d, %u, %ld and %lu. The unsigned verbs print a negative
// number as the C conversion to unsigned would: modulo 2^32, or 2^64 if the verb
// is long or the number does not fit in 32 bits.
func (f *formatter) integer(dst []byte, args []any, verb string, signed, long bool) []byte {
	a, given := f.take(args)
	v, neg, ok := integerArg(a)
	switch {
	case !given:
		return f.fail(dst, verb, missing)
	case !ok:
		return f.unfit(dst, verb, wantInteger, a)
	case neg && signed:
		return strconv.AppendInt(dst, int64(v), 10)
	case neg && !long && int64(v) >= -1<<31:
		v = uint64(uint32(v))
	}
	return strconv.AppendUint(dst, v, 10)
}

// boolean prints %B.
func (f *formatter) boolean(dst []byte, args []any) []byte {
	a, given := f.take(args)
	if b, ok := a.(bool); ok {
		return strconv.AppendBool(dst, b)
	}
	v, _, ok := integerArg(a)
	switch {
	case !given:
		return f.fail(dst, "%B", missing)
	case !ok:
		return f.unfit(dst, "%B", wantBool, a)
	}
	return strconv.AppendBool(dst, v != 0)
}

// float prints %g and the value of %.*g.
func (f *formatter) float(dst []byte, args []any, verb string, precision int) []byte {
	a, given := f.take(args)
	if !given {
		return f.fail(dst, verb, missing)
	}
	x, ok := floatArg(a)
	if !ok {
		return f.unfit(dst, verb, wantNumber, a)
	}
	return appendFloat(dst, x, precision)
}

// floatArg returns the value of an argument of any number type.
func floatArg(a any) (float64, bool) {
	switch a := a.(type) {
	case float64:
		return a, true
	case float32:
		return float64(a), true
	}
	v, neg, ok := integerArg(a)
	if neg {
		return float64(int64(v)), ok
	}
	return float64(v), ok
}

// preciseFloat prints %.*g.
func (f *formatter) preciseFloat(dst []byte, args []any) []byte {
	dst, precision, ok := f.lengthArg(dst, args, "%.*g")
	if !ok {
		return dst
	}
	if precision < 0 {
		precision = 6
	}
	return f.float(dst, args, "%.*g", precision)
}

// maxPrecision is more significant digits than any float64 has.
const maxPrecision = 800

// appendFloat appends x as %.*g of C does, except that zero has no sign and
// that infinities and NaN, which JSON does not have, are null.
func appendFloat(dst []byte, x float64, precision int) []byte {
	switch {
	case x == 0:
		return append(dst, '0')
	case x-x != 0:
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, x, 'g', min(precision, maxPrecision), 64)
}

// text prints %s and %Q.
func (f *formatter) text(dst []byte, args []any, verb string, quote bool) []byte {
	a, given := f.take(args)
	switch a := a.(type) {
	case string:
		return appendText(dst, a, quote, f.slash)
	case []byte:
		return appendText(dst, a, quote, f.slash)
	}
	switch {
	case !given:
		return f.fail(dst, verb, missing)
	case a == nil && quote:
		return append(dst, `""`...)
	}
	return f.unfit(dst, verb, wantText, a)
}

func appendText[T string | []byte](dst []byte, s T, quote, slash bool) []byte {
	if quote {
		return appendQuoted(dst, s, slash)
	}
	return append(dst, s...)
}

// sized prints %.*s and %.*Q.
func (f *formatter) sized(dst []byte, args []any, verb string, quote bool) []byte {
	dst, n, ok := f.lengthArg(dst, args, verb)
	if !ok {
		return dst
	}
	a, given := f.take(args)
	switch a := a.(type) {
	case string:
		return appendText(dst, a[:f.clip(verb, n, len(a))], quote, f.slash)
	case []byte:
		return appendText(dst, a[:f.clip(verb, n, len(a))], quote, f.slash)
	}
	return f.noData(dst, verb, a, given, n, quote)
}

// noData prints, for a verb with length n, an argument that is neither a string
// nor a byte slice. It may be nil if the length is not positive.
func (f *formatter) noData(dst []byte, verb string, a any, given bool, n int, quote bool) []byte {
	switch {
	case !given:
		return f.fail(dst, verb, missing)
	case a != nil:
		return f.unfit(dst, verb, wantText, a)
	case n > 0:
		return f.fail(dst, verb, beyondData)
	case quote:
		return append(dst, `""`...)
	}
	return dst
}

// clip brings a length into the range of the data, and notes when it was
// larger.
func (f *formatter) clip(verb string, n, have int) int {
	if n > have {
		f.note(verb, beyondData)
	}
	return max(0, min(n, have))
}

// coded prints %V and %H: a length and data, or data alone.
func (f *formatter) coded(dst []byte, args []any, verb string) []byte {
	a, given := f.take(args)
	switch a := a.(type) {
	case string:
		return appendCoded(dst, a, verb)
	case []byte:
		return appendCoded(dst, a, verb)
	}
	if a == nil {
		return f.noData(dst, verb, nil, given, 0, true)
	}
	if _, _, ok := integerArg(a); !ok {
		return f.unfit(dst, verb, wantText, a)
	}
	f.next--
	dst, n, _ := f.lengthArg(dst, args, verb)
	a, given = f.take(args)
	switch a := a.(type) {
	case string:
		return appendCoded(dst, a[:f.clip(verb, n, len(a))], verb)
	case []byte:
		return appendCoded(dst, a[:f.clip(verb, n, len(a))], verb)
	}
	return f.noData(dst, verb, a, given, n, true)
}

// appendCoded appends s in quotes, as base64 for %V and hexadecimal for %H.
func appendCoded[T string | []byte](dst []byte, s T, verb string) []byte {
	dst = append(dst, '"')
	if verb == "%V" {
		dst = appendBase64(dst, s)
	} else {
		dst = appendHex(dst, s)
	}
	return append(dst, '"')
}
