package ccm

import "github.com/ccmkit/ccmkit/jsonrpc"

// The readers of params take a missing member, and null, for the default.

// textParam reads a string.
func textParam(r *jsonrpc.Request, key, def string) (string, error) {
	v := r.Param(key)
	if !v.Exists() || string(v.Raw) == "null" {
		return def, nil
	}
	if text, ok := v.Text(); ok {
		return text, nil
	}
	return "", badParams(key + " must be a string")
}

// intParam reads a whole number.
func intParam(r *jsonrpc.Request, key string, def int64) (int64, error) {
	v := r.Param(key)
	if !v.Exists() || string(v.Raw) == "null" {
		return def, nil
	}
	if n, ok := v.Int(); ok {
		return n, nil
	}
	return 0, badParams(key + " must be a whole number")
}

// boolParam reads true or false.
func boolParam(r *jsonrpc.Request, key string, def bool) (bool, error) {
	v := r.Param(key)
	if !v.Exists() || string(v.Raw) == "null" {
		return def, nil
	}
	if b, ok := v.Bool(); ok {
		return b, nil
	}
	return false, badParams(key + " must be true or false")
}
