package mjson

// A Value is a piece of JSON text found in a document.
//
// Raw is a sub-slice of the document, not a copy: it is valid as long as the
// document is, changes with it, and must not be modified. Its capacity is its
// length, so appending to it copies. The zero Value means that nothing was
// found. A Value is a plain record: its methods only read the text, so they
// may be called from several goroutines while nobody writes to the document.
type Value struct {
	Raw    []byte // a string with its quotes, a container with its brackets
	Offset int    // of Raw in the document
}

// Type returns the type of the value, which its first byte tells, or Invalid if
// nothing was found.
func (v Value) Type() Type {
	if len(v.Raw) == 0 {
		return Invalid
	}
	return valueTypes[v.Raw[0]]
}

// Find returns the value that path selects in doc, or the zero Value if there
// is none. It uses [DefaultMaxDepth]; see [Scanner.Find].
//
// A path is '$' for the whole document, followed by any number of .key and
// [index] segments:
//
//	$                  the top-level value, of any type
//	$.params.x         member x of the object that is member params
//	$[0]               the first element of an array
//	$.list[2].name     and so on
//	$.a\.b             the member "a.b": a backslash makes the next byte literal
//	$.                 the member whose name is empty
//
// A key ends at the next '.' or '[' without a backslash before it. Keys are
// compared byte for byte with the raw text between the quotes: escapes in the
// document are not decoded. An index is one or more decimal digits. Anything
// else, a lone backslash at the end too, selects nothing.
//
// Of members with equal names only the first is looked at. The search ends when
// the target is complete: bytes after it are not examined. Text that is not
// JSON, or that is nested too deep, before that point means that nothing is
// found.
//
// Find does not allocate and takes time linear in the part of doc it reads.
func Find(doc []byte, path string) Value { return Scanner{}.Find(doc, path) }

// Find is the function [Find] with the depth limit of s.
func (s Scanner) Find(doc []byte, path string) Value {
	if path == "" || path[0] != '$' {
		return Value{}
	}
	path = path[1:]
	limit := s.limit()
	pos := 0
	for path != "" {
		st, rest, ok := nextStep(path)
		if !ok {
			return Value{}
		}
		c, ok := openContainer(doc, pos, limit)
		if !ok || c.object == st.array || !c.seek(&st) {
			return Value{}
		}
		pos, limit, path = c.pos, c.limit, rest
	}
	return valueAt(doc, pos, limit)
}

// seek moves to the start of the child that st selects.
func (c *cursor) seek(st *step) bool {
	for n := 0; c.child(); n++ {
		if st.array && n == st.index || !st.array && st.matches(c.doc[c.key+1:c.keyEnd-1]) {
			return true
		}
		if !c.skip() {
			return false
		}
	}
	return false
}

// valueAt returns the value that starts at or after doc[i].
func valueAt(doc []byte, i, limit int) Value {
	i = skipSpace(doc, i)
	end := skip(doc, i, limit)
	if end < 0 {
		return Value{}
	}
	return Value{Raw: doc[i:end:end], Offset: i}
}
