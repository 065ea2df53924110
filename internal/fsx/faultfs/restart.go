package faultfs

import (
	"bytes"
	"maps"
	"path/filepath"
)

// sector is what a disk writes at once.
const sector = 512

// Loss is what a power cut does to what was not synced.
type Loss struct {
	Name string
	// Names keeps all changes of names, synced or not. Otherwise those that
	// were not synced are undone.
	Names bool
	// Data makes, of what was written to a file and what was synced of it,
	// what is found.
	Data func(written, synced []byte) []byte
}

// Losses returns the ways in which this package loses data: nothing is lost, as
// when only the program ends; all is lost that can be; and names survive without
// the data, which is gone, zero, torn into sectors or cut.
func Losses() []Loss {
	return []Loss{
		{"nothing lost", true, func(written, _ []byte) []byte { return written }},
		{"all lost", false, func(_, synced []byte) []byte { return synced }},
		{"names kept, data lost", true, func(_, synced []byte) []byte { return synced }},
		{"names kept, data zero", true, func(written, synced []byte) []byte { return damage(written, synced, zero) }},
		{"names kept, data torn", true, func(written, synced []byte) []byte { return damage(written, synced, tear) }},
		{"names kept, half the data", true, func(written, synced []byte) []byte { return damage(written, synced, half) }},
		{"names lost, data kept", false, func(written, _ []byte) []byte { return written }},
	}
}

// damage spoils what was not synced.
func damage(written, synced []byte, spoil func([]byte) []byte) []byte {
	if bytes.Equal(written, synced) {
		return synced
	}
	return spoil(bytes.Clone(written))
}

func zero(b []byte) []byte { clear(b); return b }
func half(b []byte) []byte { return b[:len(b)/2] }

// tear makes every other sector zero.
func tear(b []byte) []byte {
	for at := sector; at < len(b); at += 2 * sector {
		clear(b[at:min(at+sector, len(b))])
	}
	return b
}

// Restart returns the disk as a start after the power cut, or after a crash,
// finds it. The receiver stays as it is: one cut can be followed by several
// restarts.
func (d *FS) Restart(loss Loss) *FS {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := d.safe
	if loss.Names {
		names = d.names
	}
	after := New()
	for path, n := range names {
		if !reachable(names, path) {
			continue
		}
		data := loss.Data(n.data, n.safe)
		after.names[path] = &node{dir: n.dir, data: data, safe: data}
	}
	after.safe = maps.Clone(after.names)
	return after
}

// reachable reports whether the directories above path are there.
func reachable(names map[string]*node, path string) bool {
	for up := filepath.Dir(path); up != path; path, up = up, filepath.Dir(up) {
		if names[up] == nil {
			return false
		}
	}
	return true
}
