package config

import (
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// walker goes through a tree of values, in the order of the text, and tells what
// it finds. A function that returns an error ends the walk, and so does one that
// is nil.
type walker struct {
	// value is told about the value of a key; it may have any type but object
	// and array.
	value func(n *node, raw mjson.Value) error
	// fault is told about what is in the wrong place or given twice.
	fault func(e *KeyError) error
	// unknown is told about a member that the schema does not have.
	unknown func(path string) error
}

// scanner goes as deep as jsonrpc.Valid allows.
var scanner = mjson.Scanner{MaxDepth: jsonrpc.MaxDepth}

// walk goes through text, which is to be the value of n. Nothing but the text as a
// whole is looked at before it was found to be one JSON value of bounded length and
// depth.
func (w *walker) walk(n *node, text []byte) error {
	if len(text) > MaxFile || !jsonrpc.Valid(text) {
		return &KeyError{Key: n.path, Kind: Invalid, Err: ErrSyntax}
	}
	return w.visit(n, scanner.Find(text, "$"))
}

func (w *walker) visit(n *node, v mjson.Value) error {
	composite := v.Type() == mjson.Object || v.Type() == mjson.Array
	switch {
	case n.leaf && !composite:
		return w.value(n, v)
	case n.leaf:
		return w.fault(&KeyError{Key: n.path, Kind: BadType, Want: n.typ})
	case v.Type() != mjson.Object:
		return w.fault(&KeyError{Key: n.path, Kind: BadType})
	}
	return w.members(n.path, v, func(name, path string, v mjson.Value) error {
		if kid := n.kid[name]; kid != nil {
			return w.visit(kid, v)
		}
		if err := w.unknown(path); err != nil {
			return err
		}
		return w.skip(path, v)
	})
}

// members calls f for each member of an object.
func (w *walker) members(path string, v mjson.Value, f func(name, path string, v mjson.Value) error) error {
	seen := map[string]struct{}{}
	for n, member := range scanner.Children(v.Raw) {
		name, ok := n.Text()
		if !ok {
			continue // cannot be: the text is valid
		}
		below := name
		if path != "" {
			below = path + "." + name
		}
		if _, twice := seen[name]; twice {
			if err := w.fault(&KeyError{Key: below, Kind: Invalid, Err: errDuplicate}); err != nil {
				return err
			}
			continue
		}
		seen[name] = struct{}{}
		if err := f(name, below, member); err != nil {
			return err
		}
	}
	return nil
}

// skip looks for duplicates in a value that means nothing to the schema.
func (w *walker) skip(path string, v mjson.Value) error {
	switch v.Type() {
	case mjson.Object:
		return w.members(path, v, func(_, path string, v mjson.Value) error { return w.skip(path, v) })
	case mjson.Array:
		for _, element := range scanner.Children(v.Raw) {
			if err := w.skip(path, element); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendTree appends the values below n without white space.
func (s *Schema) appendTree(dst []byte, n *node, text func(key uint16) string) []byte {
	if n.leaf {
		return s.keys[n.key].Type.append(dst, text(n.key))
	}
	dst = append(dst, '{')
	for i, kid := range n.kids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(mjson.AppendQuote(dst, kid.name), ':')
		dst = s.appendTree(dst, kid, text)
	}
	return append(dst, '}')
}

// appendPretty appends the values below n that there are, as Mongoose OS writes its
// files: two spaces for a level, and one after a colon. It reports whether there
// are any.
func (s *Schema) appendPretty(dst []byte, n *node, indent string, text func(key uint16) (string, bool)) ([]byte, bool) {
	if n.leaf {
		value, is := text(n.key)
		if !is {
			return dst, false
		}
		return s.keys[n.key].Type.append(dst, value), true
	}
	any, inner := false, indent+"  "
	for _, kid := range n.kids {
		before := len(dst)
		open := "{\n"
		if any {
			open = ",\n"
		}
		dst = append(append(dst, open...), inner...)
		dst = append(mjson.AppendQuote(dst, kid.name), ": "...)
		var is bool
		if dst, is = s.appendPretty(dst, kid, inner, text); !is {
			dst = dst[:before]
			continue
		}
		any = true
	}
	if !any {
		return dst, false
	}
	return append(append(append(dst, '\n'), indent...), '}'), true
}
