package mjson

import "iter"

// A Name tells which child of a container a value is.
type Name struct {
	Raw    []byte // the key with its quotes, a clipped sub-slice of the document; nil in an array
	Offset int    // of Raw in the document; 0 in an array
	Index  int    // position among the children, from 0, in objects too
}

// AppendString appends the decoded key to dst; see [AppendUnquote]. It returns
// dst and false for an element of an array.
func (n Name) AppendString(dst []byte) ([]byte, bool) { return AppendUnquote(dst, n.Raw) }

// Text returns the decoded key, and false for an element of an array. It
// allocates; AppendString does not need to.
func (n Name) Text() (string, bool) {
	return Value{Raw: n.Raw}.Text()
}

// Children returns an iterator over the children of the object or array at the
// start of doc, in document order. It yields nothing for other values. It ends
// without notice where the text is not JSON or is nested deeper than
// [DefaultMaxDepth]; use [Valid] first if that matters. Only complete values
// are yielded.
//
// The whole iteration takes time linear in the length of doc and does not
// allocate. The slices it yields belong to doc, as in [Value].
func Children(doc []byte) iter.Seq2[Name, Value] { return Scanner{}.Children(doc) }

// Children is the function [Children] with the depth limit of s.
func (s Scanner) Children(doc []byte) iter.Seq2[Name, Value] {
	return func(yield func(Name, Value) bool) {
		c, ok := openContainer(doc, 0, s.limit())
		if !ok {
			return
		}
		for c.child() {
			v := c.value()
			if !v.Exists() || !yield(c.name(), v) {
				return
			}
		}
	}
}

// Next returns the first child of the object or array at the start of doc whose
// value starts after offset off, and the offset just after that value. Start
// with 0 and pass on what the last call returned; 0 means that there are no
// more children, or no complete one before the text stops being JSON.
//
// Each call reads doc from its start, as the C function does. To visit all
// children, [Children] is the better way.
func Next(doc []byte, off int) (next int, name Name, value Value) {
	c, ok := openContainer(doc, 0, DefaultMaxDepth)
	if !ok {
		return 0, Name{}, Value{}
	}
	for c.child() {
		start := c.pos
		if !c.skip() {
			break
		}
		if start > off {
			c.pos, next = start, c.pos
			return next, c.name(), Value{Raw: doc[start:next:next], Offset: start}
		}
	}
	return 0, Name{}, Value{}
}

// name returns the name of the current child.
func (c *cursor) name() Name {
	if !c.object {
		return Name{Index: c.index - 1}
	}
	return Name{Raw: c.doc[c.key:c.keyEnd:c.keyEnd], Offset: c.key, Index: c.index - 1}
}

// value passes over the current value and returns it: the zero Value if it is
// not complete.
func (c *cursor) value() Value {
	start := c.pos
	if !c.skip() {
		return Value{}
	}
	return Value{Raw: c.doc[start:c.pos:c.pos], Offset: start}
}
