package mjson

import "hash/maphash"

// level is the changing object at one level of a merge, with its members to be
// found by name.
type level struct {
	doc     []byte // the text the object is in
	members []member
	guess   int       // the member after the one found last
	filter  [8]uint64 // one bit of it is set for each fingerprint
	table   table     // not used if there are few members
}

// member is one member of an object; the numbers are offsets in the text.
type member struct {
	key, keyEnd int
	value, end  int
	print       uint64 // fingerprint of the name
	first       int32  // place of the first member with the same name
	taken       bool   // the name was looked up and found; kept in the first only
}

// name returns the raw name.
func (e *member) name(doc []byte) []byte { return doc[e.key:e.keyEnd] }

// fewMembers is the number of members up to which names are compared one by
// one, by their fingerprints. More of them are put into a hash table.
const fewMembers = 96

// collect appends the complete members of the object that starts at doc[at].
func collect(doc []byte, at, limit int, members []member) []member {
	c, ok := openContainer(doc, at, limit)
	if !ok || !c.object {
		return members
	}
	for end := c.pos; ; {
		key, keyEnd, value := memberAt(doc, end, len(members) == 0)
		if value < 0 {
			return members
		}
		if end = skip(doc, value, c.limit); end < 0 {
			return members
		}
		members = append(members, member{
			key: key, keyEnd: keyEnd, value: value, end: end,
			print: fingerprint(doc[:keyEnd], key), first: int32(len(members)),
		})
	}
}

// fingerprint returns up to 8 bytes at the end of the name that is the end of
// text, from offset key on.
func fingerprint(text []byte, key int) uint64 {
	n := len(text) - key // at least the two quotes
	if len(text) < 8 {
		return tail64(text, key)
	}
	return load64(text[len(text)-8:]) >> (8 * max(0, 8-n))
}

// rest returns the room for members that l does not use.
func (l *level) rest() []member { return l.members[len(l.members):] }

// link finds for each member the first one with its name.
func (l *level) link() {
	if len(l.members) > fewMembers {
		l.table.init(len(l.members))
	}
	for i := range l.members {
		e := &l.members[i]
		if at := l.find(e.name(l.doc), e.print, l.members[:i]); at >= 0 {
			e.first = int32(at)
		} else if l.table.slots != nil {
			l.table.add(e.name(l.doc), i)
		} else {
			word, bit := filterBit(e.print)
			l.filter[word] |= bit
		}
	}
}

// filterBit returns the place in a filter that stands for a fingerprint.
func filterBit(print uint64) (word, bit uint64) {
	h := print * 0x9e3779b97f4a7c15
	return h >> 61, 1 << (h >> 55 & 63)
}

// lookup returns the first member of the level with the raw name text[key:].
func (l *level) lookup(text []byte, key int) *member {
	print := fingerprint(text, key)
	if l.guess < len(l.members) { // the order is often the same
		e := &l.members[l.guess]
		if e.print == print && string(e.name(l.doc)) == string(text[key:]) {
			l.guess++
			return &l.members[e.first]
		}
	}
	i := l.find(text[key:], print, l.members)
	if i < 0 {
		return nil
	}
	l.guess = i + 1
	return &l.members[i]
}

// find returns the place of the first of members with the given raw name, or
// -1. All of members must have been linked.
func (l *level) find(name []byte, print uint64, members []member) int {
	if l.table.slots != nil {
		return l.table.find(name, l)
	}
	if word, bit := filterBit(print); l.filter[word]&bit == 0 {
		return -1 // usual for a name that is not there
	}
	for i := range members {
		if e := &members[i]; e.print == print && string(e.name(l.doc)) == string(name) {
			return i
		}
	}
	return -1
}

// table is a hash table of members: slots hold a place plus 1, or 0. The hash
// is seeded anew each time, so that names which collide cannot be prepared.
type table struct {
	slots []int32
	seed  maphash.Seed
}

// init makes room for n members: at most half of the slots will be taken.
func (t *table) init(n int) {
	size := 4 * fewMembers
	for size < 2*n {
		size *= 2
	}
	t.slots = make([]int32, size)
	t.seed = maphash.MakeSeed()
}

// add adds place i under name, which is not in the table.
func (t *table) add(name []byte, i int) {
	mask := len(t.slots) - 1
	slot := int(maphash.Bytes(t.seed, name)) & mask
	for t.slots[slot] != 0 {
		slot = (slot + 1) & mask
	}
	t.slots[slot] = int32(i + 1)
}

// find returns the place of the member of l with the raw name, or -1.
func (t *table) find(name []byte, l *level) int {
	mask := len(t.slots) - 1
	slot := int(maphash.Bytes(t.seed, name)) & mask
	for ; t.slots[slot] != 0; slot = (slot + 1) & mask {
		i := int(t.slots[slot] - 1)
		if string(l.members[i].name(l.doc)) == string(name) {
			return i
		}
	}
	return -1
}
