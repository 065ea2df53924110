package service

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// table holds all shadows in memory, those that are deleted too, for their
// versions. It is safe for concurrent use.
type table struct {
	maxThings, maxShadows int

	mu     sync.Mutex
	things map[string][]entry // guarded by mu
}

// entry is one shadow of a thing. Most things have one.
type entry struct {
	name   string
	record *record // nil while the first one is being stored
}

// dead reports whether all the entry is for is a version.
func (e entry) dead() bool { return e.record != nil && e.record.deleted }

func newTable(maxThings, maxShadows int) *table {
	return &table{maxThings: maxThings, maxShadows: maxShadows, things: map[string][]entry{}}
}

// find returns the entry of a shadow, or nil. t.mu is held.
func (t *table) find(i id) *entry {
	entries := t.things[i.thing]
	at := slices.IndexFunc(entries, func(e entry) bool { return e.name == i.name })
	if at < 0 {
		return nil
	}
	return &entries[at]
}

// get returns a shadow, or nil.
func (t *table) get(i id) *record {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.find(i); e != nil {
		return e.record
	}
	return nil
}

// put stores a shadow, beyond the limits too if there is no place for it.
func (t *table) put(i id, r *record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.find(i); e != nil {
		e.record = r
		return
	}
	t.add(i, r)
}

// add makes a new entry. t.mu is held.
func (t *table) add(i id, r *record) {
	thing := i.thing
	entries, known := t.things[thing]
	if !known {
		thing = strings.Clone(thing) // it may be part of a topic
	}
	t.things[thing] = append(slices.Clip(entries), entry{strings.Clone(i.name), r})
}

// reserve makes a place for a shadow. It reports whether there is one.
func (t *table) reserve(i id) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.find(i) != nil {
		return true
	}
	entries, known := t.things[i.thing]
	if !known && len(t.things) >= t.maxThings || len(entries) >= t.maxShadows {
		return false
	}
	t.add(i, nil)
	return true
}

// release gives up a place that was reserved and not used.
func (t *table) release(i id) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.find(i); e != nil && e.record == nil {
		t.remove(i)
	}
}

// remove takes an entry out. t.mu is held.
func (t *table) remove(i id) {
	left := slices.DeleteFunc(slices.Clone(t.things[i.thing]), func(e entry) bool { return e.name == i.name })
	if len(left) == 0 {
		delete(t.things, i.thing)
		return
	}
	t.things[i.thing] = left
}

// expendable returns what can be forgotten to make room for a shadow: of a thing
// that has too many, the one that was deleted first; else all shadows of the
// thing that was deleted first.
func (t *table) expendable(i id) []id {
	t.mu.Lock()
	defer t.mu.Unlock()
	if entries, known := t.things[i.thing]; known {
		return oldest(i.thing, slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return !e.dead() }))
	}
	var found []id
	var since int64
	for thing, entries := range t.things {
		if at, dead := deletedAt(entries); dead && (found == nil || at < since) {
			since, found = at, idsOf(thing, entries)
		}
	}
	return found
}

// oldest returns the entry of the thing that was deleted first, if there is any.
func oldest(thing string, dead []entry) []id {
	if len(dead) == 0 {
		return nil
	}
	first := slices.MinFunc(dead, func(a, b entry) int { return cmp.Compare(a.record.updated, b.record.updated) })
	return []id{{thing, first.name}}
}

// deletedAt returns when the last of the entries was deleted, and whether all
// are.
func deletedAt(entries []entry) (at int64, all bool) {
	for _, e := range entries {
		if !e.dead() {
			return 0, false
		}
		at = max(at, e.record.updated)
	}
	return at, true
}

func idsOf(thing string, entries []entry) []id {
	ids := make([]id, len(entries))
	for i, e := range entries {
		ids[i] = id{thing, e.name}
	}
	return ids
}

// forget takes shadows out that are still deleted, and returns them.
func (t *table) forget(ids []id) []id {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(ids, func(i id) bool {
		if e := t.find(i); e == nil || !e.dead() {
			return true
		}
		t.remove(i)
		return false
	})
}

// count returns how many things and shadows exist.
func (t *table) count() (things, shadows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, entries := range t.things {
		here := 0
		for _, e := range entries {
			if e.record.exists() {
				here++
			}
		}
		shadows += here
		things += min(here, 1)
	}
	return things, shadows
}
