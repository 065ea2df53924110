package mjson

import "hash/maphash"

// level is the changing object at one level of a merge, with its members to be
// found by name.
type level struct {
	doc     []byte // the text the object is in
	members []member
	guess   int       // the place after the one found last
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

// collect returns the complete members of the object that starts at l.doc[at],
// if there is one, in room or in new memory.
func (l *level) collect(at, limit int, room []member) []member {
	members, doc := room, l.doc
	if at == len(doc) || doc[at] != '{' {
		return members
	}
	for end := at + 1; ; {
		key, keyEnd, value := memberAt(doc, end, len(members) == 0)
		if value < 0 {
			break
		}
		if end = skip(doc, value, limit); end < 0 {
			break
		}
		n := len(members)
		if n < cap(members) {
			members = members[:n+1]
		} else {
			members = append(members, member{})
		}
		print := fingerprint(doc, key, keyEnd-8)
		e := &members[n] // may hold an old member
		e.key, e.keyEnd, e.value, e.end = key, keyEnd, value, end
		e.print, e.first, e.taken = print, int32(n), false
		if word, bit := filterBit(print); l.filter[word]&bit == 0 {
			l.filter[word] |= bit
		} else if n < fewMembers { // or index will do it
			e.first = int32(search(doc, members, 0, print, doc, key, keyEnd))
		}
	}
	return members
}

// fingerprint returns up to 8 bytes at the end of the name doc[key:last+8].
func fingerprint(doc []byte, key, last int) uint64 {
	if last >= 0 && last < len(doc)-7 {
		return load64(doc, last) >> (8 * max(0, key-last) & 63)
	}
	return tail64(doc[:last+8], key)
}

// rest returns the room for members that l does not use.
func (l *level) rest() []member { return l.members[len(l.members):] }

// index puts the members into a hash table if there are many.
func (l *level) index() {
	if len(l.members) <= fewMembers {
		return
	}
	l.table.init(len(l.members))
	for i := range l.members {
		e := &l.members[i]
		name := e.name(l.doc)
		if at := l.table.find(name, l); at >= 0 {
			e.first = int32(at)
		} else {
			l.table.add(name, i)
		}
	}
}

// filterBit returns the place in a filter that stands for a fingerprint.
func filterBit(print uint64) (word, bit uint64) {
	h := print * 0x9e3779b97f4a7c15
	return h >> 61, 1 << (h >> 55 & 63)
}

// lookup returns the first member of the level with the raw name text[key:end],
// or nil.
func (l *level) lookup(text []byte, key, end int) *member {
	print := fingerprint(text, key, end-8)
	if word, bit := filterBit(print); l.filter[word]&bit == 0 {
		return nil // usual for a name that is not there
	}
	i := l.guess // the order is often the same
	if i == len(l.members) || l.members[i].print != print || !sameName(l.doc, &l.members[i], text, key, end) {
		if l.table.slots != nil {
			i = l.table.find(text[key:end], l)
		} else if i = search(l.doc, l.members, l.guess, print, text, key, end); i < 0 {
			i = search(l.doc, l.members[:l.guess], 0, print, text, key, end)
		}
		if i < 0 {
			return nil
		}
	}
	l.guess = i + 1
	return &l.members[l.members[i].first]
}

// search returns the place of the first one of members of doc, from place i on,
// that has the raw name text[key:end] with the fingerprint print, or -1.
func search(doc []byte, members []member, i int, print uint64, text []byte, key, end int) int {
	for ; i < len(members); i++ {
		if e := &members[i]; e.print == print && sameName(doc, e, text, key, end) {
			return i
		}
	}
	return -1
}

// sameName reports whether the name of e, a member of doc, is text[key:end],
// which has the same fingerprint.
func sameName(doc []byte, e *member, text []byte, key, end int) bool {
	n, at := end-key, e.key
	if e.keyEnd-at != n {
		return false
	}
	if n <= 16 && at >= 0 && at < len(doc)-7 && key >= 0 && key < len(text)-7 {
		// The fingerprint is the last half of the name, this is the first one.
		return n <= 8 || load64(doc, at) == load64(text, key)
	}
	return string(e.name(doc)) == string(text[key:end])
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
