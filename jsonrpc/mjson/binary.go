package mjson

const hexDigits = "0123456789abcdef"

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// notCoded marks the bytes that are no digits in the decoding tables.
const notCoded = 0xff

// hexValue and base64Value give the value of each digit.
var hexValue, base64Value = decodeTable(hexDigits + "ABCDEF"), decodeTable(base64Digits)

func decodeTable(digits string) (t [256]byte) {
	for i := range t {
		t[i] = notCoded
	}
	for i := range len(digits) {
		v := i
		if len(digits) == 22 && i >= 16 { // upper-case hex
			v -= 6
		}
		t[digits[i]] = byte(v)
	}
	return t
}

// appendHexDecoded appends the bytes that the hexadecimal digits in src stand
// for. src may start where dst ends.
func appendHexDecoded(dst, src []byte) ([]byte, bool) {
	if len(src)%2 != 0 {
		return dst, false
	}
	out := dst
	for ; len(src) >= 2; src = src[2:] {
		hi, lo := hexValue[src[0]], hexValue[src[1]]
		if hi|lo == notCoded {
			return dst, false
		}
		out = append(out, hi<<4|lo)
	}
	return out, true
}

// appendBase64Decoded appends the bytes that the base64 text in src stands for:
// groups of four digits, the last one padded with '='. src may start where dst
// ends.
func appendBase64Decoded(dst, src []byte) ([]byte, bool) {
	if len(src)%4 != 0 {
		return dst, false
	}
	out := dst
	for ; len(src) >= 4; src = src[4:] {
		pad := 0
		if len(src) == 4 && src[3] == '=' {
			pad = 1
			if src[2] == '=' {
				pad = 2
			}
		}
		var group uint32
		for i := range 4 - pad {
			v := base64Value[src[i]]
			if v == notCoded {
				return dst, false
			}
			group |= uint32(v) << (18 - 6*i)
		}
		out = append(out, byte(group>>16), byte(group>>8), byte(group))
		out = out[:len(out)-pad]
	}
	return out, true
}

// appendHex appends the lower-case hexadecimal digits of src.
func appendHex[T string | []byte](dst []byte, src T) []byte {
	for i := range len(src) {
		dst = append(dst, hexDigits[src[i]>>4], hexDigits[src[i]&15])
	}
	return dst
}

// appendBase64 appends src in standard base64 with padding.
func appendBase64[T string | []byte](dst []byte, src T) []byte {
	i := 0
	for ; i+3 <= len(src); i += 3 {
		g := uint32(src[i])<<16 | uint32(src[i+1])<<8 | uint32(src[i+2])
		dst = append(dst, base64Digits[g>>18], base64Digits[g>>12&63], base64Digits[g>>6&63], base64Digits[g&63])
	}
	switch len(src) - i {
	case 1:
		g := uint32(src[i]) << 16
		dst = append(dst, base64Digits[g>>18], base64Digits[g>>12&63], '=', '=')
	case 2:
		g := uint32(src[i])<<16 | uint32(src[i+1])<<8
		dst = append(dst, base64Digits[g>>18], base64Digits[g>>12&63], base64Digits[g>>6&63], '=')
	}
	return dst
}
