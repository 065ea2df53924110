package shadow

import "github.com/ccmkit/ccmkit/jsonrpc/mjson"

// Compose returns the patch that does what two patches do one after the other,
// so that it may be sent in their place: later values win, objects are merged,
// and null stays, because it still has to remove something.
//
// Some pairs cannot be one patch, and ok is false: when the first one replaces or
// removes a member and the second one sets members of an object there, such as
// {"o":null} and {"o":{"a":1}}. They must be sent one after the other.
//
// Both must be JSON objects, else the error is [ErrInvalid] or [ErrNotObject];
// nil stands for {}. The result is new memory.
func Compose(first, second []byte) (both []byte, ok bool, err error) {
	a, b, err := parsePair(first, second)
	if err != nil {
		return nil, false, err
	}
	if a.kind(0) != mjson.Object || b.kind(0) != mjson.Object {
		return nil, false, ErrNotObject
	}
	c := composer{first: &a, second: &b, ok: true}
	both = c.object(make([]byte, 0, len(a.text)+len(b.text)), 0, 0)
	if !c.ok {
		return nil, false, nil
	}
	return both, true, nil
}

// composer is one call of Compose.
type composer struct {
	first, second *tree
	ok            bool // the patches so far can be one
}

// object appends two objects as one.
func (c *composer) object(dst []byte, i, j int32) []byte {
	a, b, start := c.first, c.second, len(dst)
	for m := a.first(i); m >= 0 && c.ok; m = a.next(m) {
		n := b.find(j, a.name(m))
		dst = appendKey(dst, start, c.key(m, n))
		dst = c.member(dst, m, n)
	}
	for m := b.first(j); m >= 0 && c.ok; m = b.next(m) {
		if a.find(i, b.name(m)) < 0 {
			dst = appendKey(dst, start, b.key(m))
			dst = append(dst, b.raw(m)...)
		}
	}
	if len(dst) == start {
		dst = append(dst, '{')
	}
	return append(dst, '}')
}

// key returns the name of member m of the first patch, which member n of the
// second one may have too, in the shorter spelling: so every value that fits
// somewhere in its own patch fits in the result of Compose as well.
func (c *composer) key(m, n int32) []byte {
	key := c.first.key(m)
	if n >= 0 && len(c.second.key(n)) < len(key) {
		key = c.second.key(n)
	}
	return key
}

// member appends the value m of the first patch changed by value n of the second
// one, which may be missing.
func (c *composer) member(dst []byte, m, n int32) []byte {
	switch {
	case n < 0:
		return append(dst, c.first.raw(m)...)
	case c.second.kind(n) != mjson.Object:
		return append(dst, c.second.raw(n)...)
	case c.first.kind(m) == mjson.Object:
		return c.object(dst, m, n)
	}
	c.ok = false
	return dst
}
