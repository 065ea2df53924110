package shadow

import (
	"bytes"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Equal reports whether two texts are the same JSON value: objects with equal
// members in any order, of members with the same name the last one, numbers with
// the same exact decimal value (1, 1.0 and 10e-1), strings with the same decoded
// text. Nil, an absent section, equals only nil. Text that is not JSON, or nested
// deeper than jsonrpc.MaxDepth, equals nothing.
func Equal(a, b []byte) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, y, err := parsePair(a, b)
	return err == nil && equal(&x, 0, &y, 0)
}

// equal compares value i of a with value j of b.
func equal(a *tree, i int32, b *tree, j int32) bool {
	kind := a.kind(i)
	if kind != b.kind(j) {
		return false
	}
	if bytes.Equal(a.raw(i), b.raw(j)) {
		return true
	}
	switch kind {
	case mjson.Object:
		return equalObjects(a, i, b, j)
	case mjson.Array:
		return equalArrays(a, i, b, j)
	case mjson.Number:
		return equalNumbers(a.raw(i), b.raw(j))
	case mjson.String:
		return equalStrings(a.raw(i), b.raw(j))
	}
	return false
}

func equalObjects(a *tree, i int32, b *tree, j int32) bool {
	if a.nodes[i].members != b.nodes[j].members {
		return false
	}
	for m := a.first(i); m >= 0; m = a.next(m) {
		if n := b.find(j, a.name(m)); n < 0 || !equal(a, m, b, n) {
			return false
		}
	}
	return true
}

func equalArrays(a *tree, i int32, b *tree, j int32) bool {
	if a.nodes[i].members != b.nodes[j].members {
		return false
	}
	end := a.nodes[i].after
	for i, j = i+1, j+1; i < end; i, j = a.nodes[i].after, b.nodes[j].after {
		if !equal(a, i, b, j) {
			return false
		}
	}
	return true
}

// equalStrings compares two strings that are spelled differently.
func equalStrings(a, b []byte) bool {
	if bytes.IndexByte(a, '\\') < 0 && bytes.IndexByte(b, '\\') < 0 {
		return false
	}
	x, _ := mjson.AppendUnquote(make([]byte, 0, len(a)), a)
	y, _ := mjson.AppendUnquote(make([]byte, 0, len(b)), b)
	return bytes.Equal(x, y)
}
