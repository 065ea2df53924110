package mjson

// Exists reports whether the value was found.
func (v Value) Exists() bool { return len(v.Raw) > 0 }

// String returns the JSON text of the value as it stands in the document, a
// string with its quotes and escapes; "" if the value was not found. It copies
// Raw; [Value.Text] decodes.
func (v Value) String() string { return string(v.Raw) }

// Number returns the value of a number, correctly rounded; see [ParseNumber].
// It reports false for any other type.
func (v Value) Number() (float64, bool) {
	if v.Type() != Number {
		return 0, false
	}
	return ParseNumber(v.Raw)
}

// Int returns the value of a number that is an integer in the range of int64,
// exactly; see [ParseInt]. It reports false for anything else.
func (v Value) Int() (int64, bool) {
	if v.Type() != Number {
		return 0, false
	}
	return ParseInt(v.Raw)
}

// Bool returns the value of the literals true and false. It reports false in
// its second result for any other type: numbers and strings are not booleans.
func (v Value) Bool() (value, ok bool) {
	t := v.Type()
	return t == True, t == True || t == False
}

// AppendString appends the decoded text of a string to dst. If the value is not
// a string, or has an escape that cannot be decoded, it returns dst and false;
// see [AppendUnquote].
func (v Value) AppendString(dst []byte) ([]byte, bool) {
	if v.Type() != String {
		return dst, false
	}
	return AppendUnquote(dst, v.Raw)
}

// Text returns the decoded text of a string. It allocates; AppendString does
// not need to.
func (v Value) Text() (string, bool) {
	if v.Type() != String {
		return "", false
	}
	if body := v.Raw[1 : len(v.Raw)-1]; indexByte(body, '\\') < 0 {
		return string(body), true
	}
	text, ok := AppendUnquote(nil, v.Raw)
	return string(text), ok
}

// AppendHex appends the bytes that a string of hexadecimal digits, of either
// case, stands for. JSON escapes in the string are decoded first. If the value
// is not a string, has an odd number of digits or anything else in it, the
// result is dst and false.
func (v Value) AppendHex(dst []byte) ([]byte, bool) { return v.appendCoded(dst, false) }

// AppendBase64 appends the bytes that a string in standard base64 with padding
// stands for. JSON escapes in the string are decoded first. If the value is
// not a string or not base64 to the last byte, the result is dst and false.
func (v Value) AppendBase64(dst []byte) ([]byte, bool) { return v.appendCoded(dst, true) }

// appendCoded decodes a string and the base64 or hexadecimal digits in it.
func (v Value) appendCoded(dst []byte, base64 bool) ([]byte, bool) {
	if v.Type() != String {
		return dst, false
	}
	out, digits := dst, v.Raw[1:len(v.Raw)-1]
	if indexByte(digits, '\\') >= 0 {
		text, ok := AppendUnquote(dst, v.Raw)
		if !ok {
			return dst, false
		}
		out, digits = text[:len(dst)], text[len(dst):] // decoded in place
	}
	var ok bool
	if base64 {
		out, ok = appendBase64Decoded(out, digits)
	} else {
		out, ok = appendHexDecoded(out, digits)
	}
	if !ok {
		return dst, false
	}
	return out, true
}
