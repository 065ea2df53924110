package shadow

import "github.com/ccmkit/ccmkit/jsonrpc/mjson"

// Merge returns the target changed by the patch, as RFC 7396 has it: members of
// the patch replace those of the target, null removes one, objects are merged in
// turn, everything else is a value. A nil target or patch stands for {}.
//
// Both may be any JSON value, as in the RFC: a patch that is no object is the
// result. Values are copied as they are spelled, the members of the target come
// first, and of members with the same name the last one counts. The error is
// [ErrInvalid]. The result is new memory.
func Merge(target, patch []byte) ([]byte, error) {
	a, b, err := parsePair(target, patch)
	if err != nil {
		return nil, err
	}
	m := merger{target: &a, patch: &b}
	return m.value(make([]byte, 0, len(a.text)+len(b.text)), 0, 0), nil
}

// merger is one call of Merge.
type merger struct {
	target, patch *tree
}

// value appends the value i of the target, which may be missing, changed by the
// value j of the patch.
func (m *merger) value(dst []byte, i, j int32) []byte {
	if m.patch.kind(j) != mjson.Object {
		return append(dst, m.patch.raw(j)...)
	}
	start := len(dst)
	if m.target.kind(i) == mjson.Object {
		dst = m.changed(dst, i, j)
	} else {
		i = -1
	}
	dst = m.added(dst, start, i, j)
	if len(dst) == start {
		dst = append(dst, '{')
	}
	return append(dst, '}')
}

// changed appends the members of the target's object that are left.
func (m *merger) changed(dst []byte, object, patch int32) []byte {
	t, start := m.target, len(dst)
	for i := t.first(object); i >= 0; i = t.next(i) {
		j := m.patch.find(patch, t.name(i))
		if m.patch.kind(j) == mjson.Null {
			continue
		}
		dst = appendKey(dst, start, t.key(i))
		if j < 0 {
			dst = append(dst, t.raw(i)...)
		} else {
			dst = m.value(dst, i, j)
		}
	}
	return dst
}

// added appends the members of the patch that the target's object, which may be
// missing, does not have.
func (m *merger) added(dst []byte, start int, object, patch int32) []byte {
	p := m.patch
	for j := p.first(patch); j >= 0; j = p.next(j) {
		if p.kind(j) == mjson.Null || object >= 0 && m.target.find(object, p.name(j)) >= 0 {
			continue
		}
		dst = appendKey(dst, start, p.key(j))
		dst = m.value(dst, -1, j)
	}
	return dst
}

// appendKey appends what comes before the value of a member; the object starts
// at dst[start].
func appendKey(dst []byte, start int, key []byte) []byte {
	sep := byte(',')
	if len(dst) == start {
		sep = '{'
	}
	return append(append(append(dst, sep), key...), ':')
}
