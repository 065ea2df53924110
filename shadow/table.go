package shadow

import (
	"hash/maphash"
	"math/bits"
)

// table is a hash table of members by their object and name. The hash is seeded
// anew each time, so that names which collide cannot be prepared.
type table struct {
	slots  []int32 // a place plus 1, or 0; at most half of them are taken
	shift  int     // of a hash, to get a slot
	seed   maphash.Seed
	spread uint64 // an odd number
}

// init makes room for n members.
func (t *table) init(n int) {
	size := bits.Len(uint(2*n - 1))
	t.slots = make([]int32, 1<<size)
	t.shift = 64 - size
	t.seed = maphash.MakeSeed()
	t.spread = maphash.String(t.seed, "spread") | 1
}

// slot returns where the search for a name in an object begins.
func (t *table) slot(object int32, name []byte) int {
	return int((maphash.Bytes(t.seed, name) + uint64(object)*t.spread) >> t.shift)
}

// fillTable puts the members of an object into the table. Of members with the
// same name the last one stays, the others are marked.
func (t *tree) fillTable(object int32) {
	for i := object + 1; i < t.nodes[object].after; i = t.nodes[i].after {
		s := t.lookup(object, t.name(i))
		if old := t.table.slots[s]; old != 0 {
			t.kill(old - 1)
		}
		t.table.slots[s] = i + 1
	}
}

// findInTable is find for an object whose members are in the table.
func (t *tree) findInTable(object int32, name []byte) int32 {
	return t.table.slots[t.lookup(object, name)] - 1
}

// lookup returns the slot of a member, or the free one where it would be.
func (t *tree) lookup(object int32, name []byte) int {
	for s := t.table.slot(object, name); ; s = (s + 1) & (len(t.table.slots) - 1) {
		i := t.table.slots[s] - 1
		if i < 0 || t.nodes[i].parent == object && string(t.name(i)) == string(name) {
			return s
		}
	}
}
