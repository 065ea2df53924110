package shadow

import "github.com/ccmkit/ccmkit/jsonrpc/mjson"

// Diff returns what of the desired state differs from the reported one, the
// delta: an object with the members of desired, and of the objects in it, that
// are not in reported or have another value there. It is {} when nothing
// differs.
//
//   - Objects are compared member by member. Arrays differ as a whole.
//   - Values of different types differ. Numbers compare by their exact decimal
//     value, strings and names decoded.
//   - An empty object differs from everything but objects.
//   - A member that is null counts as absent, in either document. Null is a
//     value inside arrays.
//   - Top-level members whose name begins with '$' are left out: they belong to
//     the cloud.
//
// Values are copied as they are spelled in desired; white space between members
// is dropped. Both texts must be JSON objects, else the error is [ErrInvalid] or
// [ErrNotObject]; nil and null stand for an absent section.
//
// The result is new memory. The rules are those of the AWS IoT device shadow.
func Diff(desired, reported []byte) ([]byte, error) {
	return diff(desired, reported, false)
}

// diff is Diff. With nulls, members of desired that are null come out as null:
// then desired is a patch of the desired state.
func diff(desired, reported []byte, nulls bool) ([]byte, error) {
	a, b, err := parsePair(desired, reported)
	if err != nil {
		return nil, err
	}
	if err := sections(&a, &b); err != nil {
		return nil, err
	}
	f := differ{want: &a, have: &b, nulls: nulls}
	dst := f.object(make([]byte, 0, len(desired)+2), 0, 0)
	if len(dst) == 0 {
		dst = append(dst, noMembers...)
	}
	return dst, nil
}

// sections makes sure that both documents are objects.
func sections(a, b *tree) error {
	if err := a.section(); err != nil {
		return err
	}
	return b.section()
}

// differ is one call of Diff.
type differ struct {
	want, have *tree
	nulls      bool
}

// object appends the difference of two objects, nothing if there is none.
func (f *differ) object(dst []byte, want, have int32) []byte {
	w, start := f.want, len(dst)
	for i := w.first(want); i >= 0; i = w.next(i) {
		name := w.name(i)
		if want == 0 && len(name) > 0 && name[0] == '$' {
			continue
		}
		j := f.have.find(have, name)
		before := len(dst)
		dst = appendKey(dst, start, w.key(i))
		value := len(dst)
		if dst = f.member(dst, i, j); len(dst) == value {
			dst = dst[:before]
		}
	}
	if len(dst) > start {
		dst = append(dst, '}')
	}
	return dst
}

// member appends the difference of two values, of which the second may be
// missing.
func (f *differ) member(dst []byte, i, j int32) []byte {
	w, h := f.want, f.have
	switch {
	case w.kind(i) == mjson.Null:
		if f.nulls {
			dst = append(dst, "null"...)
		}
		return dst
	case w.kind(i) == mjson.Object && h.kind(j) == mjson.Object:
		return f.object(dst, i, j)
	case j >= 0 && equal(w, i, h, j):
		return dst
	}
	return append(dst, w.raw(i)...)
}
