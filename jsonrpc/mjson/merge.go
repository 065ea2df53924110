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
	var room [fewMembers]member
	return mergeObjects(dst, a, 0, b, 0, DefaultMaxDepth, room[:0])
}

// mergeObjects is Merge for the objects that start at a[i] and b[j], within a
// depth limit. What does not fit in room is allocated.
func mergeObjects(dst, a []byte, i int, b []byte, j, limit int, room []member) []byte {
	l := level{doc: b, members: collect(b, j, limit, room)}
	l.link()
	dst = append(dst, '{')
	start := len(dst)
	c, ok := openContainer(a, i, limit)
	for end := c.pos; ok && c.object; {
		key, keyEnd, value := memberAt(a, end, end == c.pos)
		if value < 0 {
			break
		}
		if end = skip(a, value, c.limit); end < 0 {
			break
		}
		e := l.lookup(a[:keyEnd], key)
		if e == nil {
			dst = appendMember(dst, start, a, member{key: key, keyEnd: keyEnd, value: value, end: end})
			continue
		}
		e.taken = true
		switch c0 := b[e.value]; {
		case c0 == '{' && a[value] == '{':
			dst = appendName(dst, start, a[key:keyEnd])
			dst = mergeObjects(dst, a, value, b, e.value, c.limit, l.rest())
		case c0 != 'n':
			dst = append(appendName(dst, start, a[key:keyEnd]), b[e.value:e.end]...)
		}
	}
	for i := range l.members {
		if e := &l.members[i]; b[e.value] != 'n' && !l.members[e.first].taken {
			dst = appendMember(dst, start, b, *e)
		}
	}
	return append(dst, '}')
}

// appendName appends a name and a colon, and before them a comma unless the
// object that began at start is still empty.
func appendName(dst []byte, start int, name []byte) []byte {
	if len(dst) > start {
		dst = append(dst, ',')
	}
	dst = append(dst, name...)
	return append(dst, ':')
}

// appendMember appends a member of doc like appendName.
func appendMember(dst []byte, start int, doc []byte, e member) []byte {
	if e.value == e.keyEnd+1 { // only a colon between
		if len(dst) > start {
			dst = append(dst, ',')
		}
		return append(dst, doc[e.key:e.end]...)
	}
	return append(appendName(dst, start, doc[e.key:e.keyEnd]), doc[e.value:e.end]...)
}
