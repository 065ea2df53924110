package shadow

import (
	"bytes"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// tree is a parsed JSON text: its values in the order of the text, a
// container followed by what is in it. The text is read once, however deep its
// values are nested.
type tree struct {
	text  []byte
	nodes []node
	names []byte // the names that are spelled with escapes, decoded
	table table  // finds the members of large objects
}

// node is one value of a tree. Offsets are those in tree.text; a place
// is one in tree.nodes, and place 0 is the whole text.
type node struct {
	off, end    int32 // offsets of the value
	key, keyEnd int32 // offsets of the name with its quotes, of a member
	name        int32 // offset of the decoded name, in tree.names if escaped is set
	nameLen     int32
	parent      int32 // place of the container
	after       int32 // place behind this value and all that is in it
	members     int32 // how many values are directly in it
	kind        mjson.Type
	escaped     bool
	dead        bool // a later member of the object has the same name
	large       bool // its members are in the table
}

// fewMembers is the number of members up to which an object is searched one by
// one.
const fewMembers = 16

// firstNodes bounds the first allocation, because a text may look as if it had
// more values than it has.
const firstNodes = 1024

// parsePair parses two texts. A nil text stands for an empty object.
func parsePair(first, second []byte) (a, b tree, err error) {
	n, m := guessNodes(first), guessNodes(second)
	room := make([]node, n+m)
	if err = a.parse(first, room[:0:n]); err == nil {
		err = b.parse(second, room[n:n])
	}
	return a, b, err
}

// guessNodes returns how many values a text seems to have.
func guessNodes(text []byte) int {
	return min(firstNodes, 1+bytes.Count(text, comma)+bytes.Count(text, brace)+bytes.Count(text, bracket))
}

var comma, brace, bracket = []byte{','}, []byte{'{'}, []byte{'['}

var noMembers = []byte("{}")

// parse reads a text, with room for the first nodes. A nil text stands for an
// empty object.
func (t *tree) parse(text []byte, room []node) error {
	if text == nil {
		text = noMembers
	}
	if !jsonrpc.Valid(text) {
		return ErrInvalid
	}
	t.text, t.nodes = text, room
	t.addNodes()
	t.findDuplicates()
	return nil
}

// parseObject reads a text that must be an object; nil and null stand for an
// empty one.
func (t *tree) parseObject(text []byte) error {
	if err := t.parse(text, make([]node, 0, guessNodes(text))); err != nil {
		return err
	}
	return t.section()
}

// section makes null an empty object and refuses what is no object.
func (t *tree) section() error {
	switch t.nodes[0].kind {
	case mjson.Object:
		return nil
	case mjson.Null:
		t.nodes[0] = node{end: 2, after: 1, kind: mjson.Object}
		t.text = noMembers
		return nil
	}
	return ErrNotObject
}

// addNodes adds the nodes of the text, which is valid.
func (t *tree) addNodes() {
	var open [jsonrpc.MaxDepth]int32
	depth := 0
	var next node // holds the name of the value to come
	mjson.Scanner{MaxDepth: jsonrpc.MaxDepth}.Scan(t.text, func(ev mjson.Type, off, n int) bool {
		switch ev {
		case mjson.Comma, mjson.Colon:
			return true
		case mjson.Key:
			next = t.member(off, off+n)
			return true
		case mjson.ArrayEnd, mjson.ObjectEnd:
			depth--
			c := &t.nodes[open[depth]]
			c.end, c.after = int32(off+n), int32(len(t.nodes))
			return true
		}
		place := int32(len(t.nodes))
		next.off, next.end, next.after, next.kind = int32(off), int32(off+n), place+1, ev
		if depth > 0 {
			next.parent = open[depth-1]
			t.nodes[next.parent].members++
		}
		t.nodes = append(t.nodes, next)
		next = node{}
		if ev == mjson.Object || ev == mjson.Array {
			open[depth] = place
			depth++
		}
		return true
	})
}

// member returns a node with the name that is between the offsets.
func (t *tree) member(key, end int) node {
	n := node{key: int32(key), keyEnd: int32(end), name: int32(key + 1), nameLen: int32(end - key - 2)}
	if raw := t.text[key:end]; bytes.IndexByte(raw, '\\') >= 0 {
		n.escaped, n.name = true, int32(len(t.names))
		t.names, _ = mjson.AppendUnquote(t.names, raw)
		n.nameLen = int32(len(t.names)) - n.name
	}
	return n
}

// findDuplicates marks the members that a later one replaces, and puts those of
// large objects into the table.
func (t *tree) findDuplicates() {
	total := 0
	for i := range t.nodes {
		if n := &t.nodes[i]; n.kind == mjson.Object && n.members > fewMembers {
			n.large = true
			total += int(n.members)
		}
	}
	if total > 0 {
		t.table.init(total)
	}
	for i := range t.nodes {
		switch n := &t.nodes[i]; {
		case n.large:
			t.fillTable(int32(i))
		case n.kind == mjson.Object && n.members > 1:
			t.markDuplicates(int32(i))
		}
	}
}

// markDuplicates does the work of findDuplicates for a small object.
func (t *tree) markDuplicates(object int32) {
	end := t.nodes[object].after
	for i := object + 1; i < end; i = t.nodes[i].after {
		for j := t.nodes[i].after; j < end; j = t.nodes[j].after {
			if t.nodes[i].nameLen == t.nodes[j].nameLen && string(t.name(i)) == string(t.name(j)) {
				t.kill(i)
				break
			}
		}
	}
}

// kill marks a member that a later one replaces.
func (t *tree) kill(member int32) {
	t.nodes[member].dead = true
	t.nodes[t.nodes[member].parent].members--
}

// find returns the place of the member of an object that has the decoded name,
// or -1.
func (t *tree) find(object int32, name []byte) int32 {
	o := &t.nodes[object]
	if o.large {
		return t.findInTable(object, name)
	}
	for i := object + 1; i < o.after; i = t.nodes[i].after {
		if n := &t.nodes[i]; int(n.nameLen) == len(name) && !n.dead && string(t.name(i)) == string(name) {
			return i
		}
	}
	return -1
}

// first returns the place of the first member of an object that counts, and next
// that of the one after member i; -1 if there is none.
func (t *tree) first(object int32) int32 { return t.live(object+1, t.nodes[object].after) }

func (t *tree) next(i int32) int32 {
	return t.live(t.nodes[i].after, t.nodes[t.nodes[i].parent].after)
}

// live returns the first member from place i on that is not dead, before end.
func (t *tree) live(i, end int32) int32 {
	for i < end && t.nodes[i].dead {
		i = t.nodes[i].after
	}
	if i >= end {
		return -1
	}
	return i
}

// name returns the decoded name of a member.
func (t *tree) name(i int32) []byte {
	n := &t.nodes[i]
	if n.escaped {
		return t.names[n.name : n.name+n.nameLen]
	}
	return t.text[n.name : n.name+n.nameLen]
}

// key returns the name of a member as it is spelled, with its quotes.
func (t *tree) key(i int32) []byte { return t.text[t.nodes[i].key:t.nodes[i].keyEnd] }

// raw returns the text of a value.
func (t *tree) raw(i int32) []byte { return t.text[t.nodes[i].off:t.nodes[i].end] }

// kind returns the type of a value; that of place -1 is mjson.Invalid.
func (t *tree) kind(i int32) mjson.Type {
	if i < 0 {
		return mjson.Invalid
	}
	return t.nodes[i].kind
}
