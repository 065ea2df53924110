package mjson

// GetNumber returns the number that path selects in doc, or def if there is no
// number there. Values too large for a float64 are infinite; use [GetInt] for
// integers beyond 2^53.
func GetNumber(doc []byte, path string, def float64) float64 {
	if f, ok := Find(doc, path).Number(); ok {
		return f
	}
	return def
}

// GetInt returns the integer that path selects in doc, exactly, or def if there
// is no number there, or one that is not an integer or not in the range of
// int64.
func GetInt(doc []byte, path string, def int64) int64 {
	if n, ok := Find(doc, path).Int(); ok {
		return n
	}
	return def
}

// GetBool returns the boolean that path selects in doc, or def if there is
// neither true nor false there.
func GetBool(doc []byte, path string, def bool) bool {
	if b, ok := Find(doc, path).Bool(); ok {
		return b
	}
	return def
}

// GetString appends the decoded text of the string that path selects in doc to
// dst. It returns dst and false if there is no string there, or one with an
// escape that cannot be decoded.
func GetString(doc []byte, path string, dst []byte) ([]byte, bool) {
	return Find(doc, path).AppendString(dst)
}

// GetHex appends the bytes that the string of hexadecimal digits selected by
// path stands for; see [Value.AppendHex].
func GetHex(doc []byte, path string, dst []byte) ([]byte, bool) {
	return Find(doc, path).AppendHex(dst)
}

// GetBase64 appends the bytes that the base64 string selected by path stands
// for; see [Value.AppendBase64].
func GetBase64(doc []byte, path string, dst []byte) ([]byte, bool) {
	return Find(doc, path).AppendBase64(dst)
}
