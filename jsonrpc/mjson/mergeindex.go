package mjson

import "hash/maphash"

// level is the changing object at one level of a merge, with its members to be
// found by name.
type level struct {
	doc     []byte
	members []member
	known   int     // members that lookup considers when there are few
	hint    int     // the member after the one found last
	slots   []int32 // hash table: a place in members plus 1, or 0; nil for few
	seed    maphash.Seed
	free    []int32 // workspace left for the tables of inner levels
}

// member is one member of the object; the numbers are offsets in its text.
type member struct {
	key, keyEnd int
	value, end  int
	hash        uint32
	first       int32 // place of the first member with the same name
	taken       bool  // the name was looked up and found; kept in the first only
}

// workspace is room for the members and tables of a level and those inside it.
// Both slices are empty; what does not fit in their capacity is allocated.
type workspace struct {
	members []member
	slots   []int32
}

// fewMembers is the number of members up to which names are compared one by
// one.
const fewMembers = 8

// collect reads the complete members of the object doc.
func collect(doc []byte, limit int, free workspace) level {
	l := level{doc: doc, members: free.members, free: free.slots}
	c, ok := openContainer(doc, 0, limit)
	if !ok || !c.object {
		return l
	}
	members := free.members
	for end := c.pos; ; {
		key, keyEnd, value := memberAt(doc, end, len(members) == 0)
		if value < 0 {
			break
		}
		if end = skip(doc, value, c.limit); end < 0 {
			break
		}
		members = append(members, member{key: key, keyEnd: keyEnd, value: value, end: end})
	}
	l.members = members
	if len(members) > fewMembers {
		l.seed = maphash.MakeSeed()
		l.slots, l.free = newTable(len(members), free.slots)
	}
	for i := range members {
		l.insert(i)
	}
	return l
}

// rest returns the workspace that l does not use.
func (l *level) rest() workspace {
	return workspace{l.members[len(l.members):], l.free}
}

// newTable takes an empty hash table for n members, at most half full, from
// free, and returns what is left.
func newTable(n int, free []int32) (slots, rest []int32) {
	size := 2 * fewMembers
	for size < 2*n {
		size *= 2
	}
	if size > cap(free) {
		return make([]int32, size), free
	}
	slots = free[:size:size]
	clear(slots)
	return slots, free[size:size]
}

// insert makes the member at place i known to lookup, unless there is one with
// the same name.
func (l *level) insert(i int) {
	e := &l.members[i]
	key := l.doc[e.key:e.keyEnd]
	at := -1
	if l.slots == nil {
		at = l.compare(key)
	} else {
		var slot uint32
		e.hash = uint32(maphash.Bytes(l.seed, key))
		if slot, at = l.probe(key, e.hash); at < 0 {
			l.slots[slot] = int32(i + 1)
		}
	}
	if at < 0 {
		at = i
		l.known = i + 1
	}
	e.first = int32(at)
}

// lookup returns the place of the first member with the raw name key, or -1.
func (l *level) lookup(key []byte) int {
	if l.hint < len(l.members) { // the order is often the same
		if e := &l.members[l.hint]; string(l.doc[e.key:e.keyEnd]) == string(key) {
			l.hint++
			return int(e.first)
		}
	}
	at := l.search(key)
	if at >= 0 {
		l.hint = at + 1
	}
	return at
}

// search is lookup without a guess.
func (l *level) search(key []byte) int {
	if l.slots == nil {
		return l.compare(key)
	}
	_, at := l.probe(key, uint32(maphash.Bytes(l.seed, key)))
	return at
}

// compare is lookup without a table.
func (l *level) compare(key []byte) int {
	for i := range l.members[:l.known] {
		if e := &l.members[i]; string(l.doc[e.key:e.keyEnd]) == string(key) {
			return i
		}
	}
	return -1
}

// probe is lookup in the table. It also returns the slot where it ended.
func (l *level) probe(key []byte, hash uint32) (slot uint32, at int) {
	mask := uint32(len(l.slots) - 1)
	for slot = hash & mask; l.slots[slot] != 0; slot = (slot + 1) & mask {
		at = int(l.slots[slot] - 1)
		if e := &l.members[at]; e.hash == hash && string(l.doc[e.key:e.keyEnd]) == string(key) {
			return slot, at
		}
	}
	return slot, -1
}
