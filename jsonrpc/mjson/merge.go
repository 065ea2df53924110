package mjson

// Merge appends the object a, changed by the object b, to dst:
//
//   - A member of a whose name is in b gets the value it has in b, except that
//     null in b drops the member, and that two objects are merged in turn.
//   - The members of b that a does not have follow, except those that are null.
//
// Order is kept, white space between members is dropped, and values are copied
// as they are. A null inside a value that is taken from b as a whole stays, and
// so does a null that a already has: this is not quite RFC 7396.
//
// Names are compared as raw text, escapes not decoded. Of equal names in b the
// first one counts for a member of a; equal names in a are all changed.
//
// There are no errors: where a or b stops being JSON its complete members
// before that point count, and anything but an object counts as an object
// without members. The one exception is an a shorter than two bytes, for which
// nothing at all is appended.
//
// dst must not overlap a or b. Merge takes time linear in len(a)+len(b), for
// names chosen to collide too, and allocates only to grow dst as long as b has
// no more than 96 members in all open objects together.
func Merge(dst, a, b []byte) []byte {
	if len(a) < 2 {
		return dst
	}
	i, j := skipSpace(a, 0), skipSpace(b, 0)
	if i == len(a) || a[i] != '{' {
		a, i = noMembers, 0
	}
	var room [fewMembers]member
	m := merger{a: run{text: a}, b: run{text: b}}
	dst, _ = m.object(dst, i, j, DefaultMaxDepth-1, room[:0])
	return m.a.flush(dst)
}

// noMembers stands for what is not an object.
var noMembers = []byte("{}")

// merger is one call of Merge. Its output is passed from function to function,
// so that the caller of Merge may have it on the stack; for the same reason no
// other function calls object, directly or not, than object itself.
type merger struct {
	a, b run
}

// object appends the object at a[i] changed by the one at b[j], inside each of
// which limit containers may be open. What does not fit in room is allocated.
// The result is the offset after the object in a; it is negative if that is not
// complete, and then the members before the fault have been appended.
//
// Each member of a is read once: a nested object is appended while it is read,
// and taken back if it turns out to be incomplete.
func (m *merger) object(dst []byte, i, j, limit int, room []member) ([]byte, int) {
	a, b := m.a.text, m.b.text
	l := level{doc: b}
	l.members = l.collect(j, limit, room)
	l.index()
	dst = m.a.keep(dst, i, i+1)
	empty := true // nothing after the bracket
	end := i + 1
	for first := true; ; first = false {
		key, keyEnd, value := memberAt(a, end, first)
		if value < 0 {
			end = objectEnd(a, end, first)
			break
		}
		e := l.lookup(a, key, keyEnd)
		if e != nil && value < len(a) && a[value] == '{' && b[e.value] == '{' {
			from, to, size := m.a.from, m.a.to, len(dst)
			dst = m.a.name(dst, key, keyEnd, value, empty)
			if dst, end = m.object(dst, value, e.value, limit-1, l.rest()); end < 0 {
				dst, m.a.from, m.a.to = dst[:size], from, to
				break
			}
			e.taken, empty = true, false
			continue
		}
		if end = skip(a, value, limit); end < 0 {
			break
		}
		if e == nil {
			dst = m.a.name(dst, key, keyEnd, value, empty)
			dst, empty = m.a.keep(dst, value, end), false
			continue
		}
		e.taken = true
		if b[e.value] != 'n' {
			dst = m.a.name(dst, key, keyEnd, value, empty)
			dst, empty = append(m.a.flush(dst), b[e.value:e.end]...), false
		}
	}
	dst = m.add(dst, &l, empty)
	if end < 0 {
		return append(dst, '}'), end
	}
	return m.a.keep(dst, end-1, end), end
}

// add appends the members of l that were not taken.
func (m *merger) add(dst []byte, l *level, empty bool) []byte {
	dst = m.a.flush(dst)
	for i := range l.members {
		e := &l.members[i]
		if m.b.text[e.value] != 'n' && !l.members[e.first].taken {
			dst = m.b.name(dst, e.key, e.keyEnd, e.value, empty)
			dst = m.b.keep(dst, e.value, e.end)
			empty = false
		}
	}
	return m.b.flush(dst)
}
