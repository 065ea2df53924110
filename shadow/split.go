package shadow

import (
	"slices"
	"strings"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Misfit is a value that [Split] could put into no part, not even alone.
type Misfit struct {
	Path string // JSON Pointer (RFC 6901), "" for the document; cut to 256 bytes
	Size int    // of the value, in bytes
}

// maxPath bounds Misfit.Path.
const maxPath = 256

// Split divides an object, such as a delta or a patch, into parts that fit: each
// an object, and merging them in order gives the document. Members stay together
// while they fit; an object that does not fit in one part is divided in turn.
// Everything else, arrays and strings too, is kept whole; what then fits nowhere
// is left out and listed in misfits.
//
// A document that fits is its only part, as it is; other parts are new memory
// without white space between members. fits is called about once for each
// member, and must take every part of a part that it takes. It must not keep
// part. Text that is not JSON is a misfit as a whole.
func Split(doc []byte, fits func(part []byte) bool) (parts [][]byte, misfits []Misfit) {
	if len(doc) == 0 {
		return nil, nil
	}
	if jsonrpc.Valid(doc) && fits(doc) {
		return [][]byte{slices.Clip(doc)}, nil
	}
	s := splitter{fits: fits}
	if s.doc.parse(doc, make([]node, 0, guessNodes(doc))) != nil || s.doc.nodes[0].members == 0 ||
		s.doc.kind(0) != mjson.Object || !fits(noMembers) {
		return nil, []Misfit{{Size: len(doc)}}
	}
	s.part, s.depth = append(s.part, '{'), 1
	s.object(0)
	s.flush(1)
	return s.parts, s.misfits
}

// splitter is one call of Split.
type splitter struct {
	doc     tree
	fits    func(part []byte) bool
	part    []byte // the part that is being filled, without the brackets at its end
	depth   int    // how many objects are open at the end of part
	parts   [][]byte
	misfits []Misfit
}

// object adds the members of an object whose bracket is the end of part.
func (s *splitter) object(object int32) {
	start := len(s.part)
	for i := s.doc.first(object); i >= 0; i = s.doc.next(i) {
		if s.add(start, i) {
			continue
		}
		s.flush(start)
		if !s.add(start, i) {
			s.divide(start, i)
		}
	}
}

// add adds a member to the part, whose innermost object has its first member at
// start, if it fits.
func (s *splitter) add(start int, member int32) bool {
	before := len(s.part)
	s.open(start, member)
	s.part = append(s.part, s.doc.raw(member)...)
	if s.fit() {
		return true
	}
	s.part = s.part[:before]
	return false
}

// open adds the name of a member.
func (s *splitter) open(start int, member int32) {
	if len(s.part) > start {
		s.part = append(s.part, ',')
	}
	s.part = append(append(s.part, s.doc.key(member)...), ':')
}

// divide adds a member that does not fit alone, the part being empty from start
// on.
func (s *splitter) divide(start int, member int32) {
	if n := &s.doc.nodes[member]; n.kind == mjson.Object && n.members > 0 {
		s.open(start, member)
		s.part = append(s.part, '{')
		s.depth++
		inside := len(s.part)
		if s.fit() {
			s.object(member)
			if s.depth--; len(s.part) > inside {
				s.part = append(s.part, '}')
			} else {
				s.part = s.part[:start]
			}
			return
		}
		s.depth--
		s.part = s.part[:start]
	}
	s.misfits = append(s.misfits, Misfit{Path: s.path(member), Size: len(s.doc.raw(member))})
}

const closers = "}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}" // jsonrpc.MaxDepth of them

// fit reports whether the part fits as it is.
func (s *splitter) fit() bool {
	n := len(s.part)
	s.part = append(s.part, closers[:s.depth]...)
	ok := s.fits(s.part)
	s.part = s.part[:n]
	return ok
}

// flush ends the part, if there are members from start on, and begins another
// one with what is before start.
func (s *splitter) flush(start int) {
	if len(s.part) > start {
		s.parts = append(s.parts, slices.Concat(s.part, []byte(closers[:s.depth])))
		s.part = s.part[:start]
	}
}

// path returns the JSON Pointer to a value.
func (s *splitter) path(place int32) string {
	var places []int32 // from the inside out
	for ; place > 0; place = s.doc.nodes[place].parent {
		places = append(places, place)
	}
	var path []byte
	for _, p := range slices.Backward(places) {
		path = appendPointer(path, s.doc.name(p))
	}
	return strings.ToValidUTF8(string(path), "")
}

// appendPointer appends a name to a JSON Pointer, up to maxPath bytes in all.
func appendPointer(path, name []byte) []byte {
	path = append(path, '/')
	for _, c := range name {
		switch {
		case len(path) >= maxPath:
			return path[:maxPath]
		case c == '~':
			path = append(path, "~0"...)
		case c == '/':
			path = append(path, "~1"...)
		default:
			path = append(path, c)
		}
	}
	return path
}
