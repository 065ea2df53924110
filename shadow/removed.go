package shadow

import "github.com/ccmkit/ccmkit/jsonrpc/mjson"

// removed returns a patch that removes the members of an object, and of the
// objects in it, that another object does not have.
func removed(from, to []byte) ([]byte, error) {
	a, b, err := parsePair(from, to)
	if err != nil {
		return nil, err
	}
	if err := sections(&a, &b); err != nil {
		return nil, err
	}
	dst := appendRemoved(nil, &a, 0, &b, 0)
	if len(dst) == 0 {
		dst = noMembers
	}
	return dst, nil
}

// appendRemoved does the work of removed for two objects; it appends nothing if
// there is nothing to remove.
func appendRemoved(dst []byte, a *tree, i int32, b *tree, j int32) []byte {
	start := len(dst)
	for m := a.first(i); m >= 0; m = a.next(m) {
		before := len(dst)
		dst = appendKey(dst, start, a.key(m))
		value := len(dst)
		switch n := b.find(j, a.name(m)); {
		case n < 0:
			dst = append(dst, "null"...)
		case a.kind(m) == mjson.Object && b.kind(n) == mjson.Object:
			dst = appendRemoved(dst, a, m, b, n)
		}
		if len(dst) == value {
			dst = dst[:before]
		}
	}
	if len(dst) > start {
		dst = append(dst, '}')
	}
	return dst
}
