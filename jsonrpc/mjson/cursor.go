package mjson

// openContainer enters the container at doc[i], white space before it allowed,
// and returns a cursor before its first child. It reports false if there is no
// container or limit forbids it.
func openContainer(doc []byte, i, limit int) (cursor, bool) {
	i = skipSpace(doc, i)
	if i == len(doc) || limit <= 0 || doc[i] != '{' && doc[i] != '[' {
		return cursor{}, false
	}
	return cursor{doc: doc, pos: i + 1, limit: limit - 1, object: doc[i] == '{'}, true
}

// cursor steps through the children of one container: each child call moves to
// the next value; skip must pass over it before the next call.
type cursor struct {
	doc    []byte
	pos    int // next byte to read
	limit  int // containers that may still be opened inside
	index  int // of the child that child returns next
	object bool
	key    int // where the current name starts and ends, quotes included
	keyEnd int
}

// child moves to where the next value should start, and records its name. It
// reports false at the end of the container and where the text is not JSON; at
// the end of an array it may be skip that does.
func (c *cursor) child() bool {
	if c.object {
		c.key, c.keyEnd, c.pos = memberAt(c.doc, c.pos, c.index == 0)
	} else {
		c.pos = elementAt(c.doc, c.pos, c.index == 0)
	}
	c.index++
	return c.pos >= 0
}

// skip passes over the current value, which starts at pos. It reports false
// if the value is not complete.
func (c *cursor) skip() bool {
	c.pos = skip(c.doc, c.pos, c.limit)
	return c.pos >= 0
}

// elementAt returns the offset where the array element should start whose
// separator, unless it is the first, is at doc[i], white space before it
// allowed. The offset is negative if there is no separator.
func elementAt(doc []byte, i int, first bool) int {
	if !first {
		if i = separator(doc, i, ','); i < 0 {
			return -1
		}
	}
	return skipSpace(doc, i)
}

// memberAt is elementAt for an object: it returns where the name of the member
// starts and ends, quotes included, and where its value should start.
func memberAt(doc []byte, i int, first bool) (key, keyEnd, value int) {
	if !first {
		if i >= 0 && i < len(doc)-1 && doc[i] == ',' {
			i++
		} else if i = separator(doc, i, ','); i < 0 {
			return 0, 0, -1
		}
	}
	if i >= len(doc) || doc[i] != '"' {
		if i = skipSpace(doc, i); i == len(doc) || doc[i] != '"' {
			return 0, 0, -1
		}
	}
	for at := i + 1; at >= 0 && at < len(doc)-7; at += 8 {
		// The usual case: no escapes and no white space.
		if m := stringStops(load64(doc, at)); m != 0 {
			at += lane(m)
			if at >= 0 && at < len(doc)-2 && doc[at] == '"' && doc[at+1] == ':' && doc[at+2] > ' ' {
				return i, at + 1, at + 2
			}
			break
		}
	}
	end := stringEnd(doc, i+1)
	if value = separator(doc, end, ':'); value < 0 {
		return 0, 0, -1
	}
	return i, end, skipSpace(doc, value)
}

// objectEnd returns the offset after the bracket that ends an object, whose
// last member, if it has one, ends at doc[i]. A comma may precede the bracket.
// The result is negative if something else does.
func objectEnd(doc []byte, i int, empty bool) int {
	if !empty {
		if comma := separator(doc, i, ','); comma >= 0 {
			i = comma
		}
	}
	return separator(doc, i, '}')
}

// separator returns the offset after the byte sep, which must be the first at
// or after doc[i] that is not white space. It is negative if there is no such
// byte, or if i is.
func separator(doc []byte, i int, sep byte) int {
	if i < 0 {
		return -1
	}
	if i < len(doc) && doc[i] != sep {
		i = skipSpace(doc, i)
	}
	if i >= len(doc) || doc[i] != sep {
		return -1
	}
	return i + 1
}
