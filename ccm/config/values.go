package config

import (
	"cmp"
	"slices"
)

// values are some of the keys with their values, sorted by key. They are never
// changed once made, so they may be shared and read without a lock.
type values []leaf

// leaf is the value of a key.
type leaf struct {
	key uint16
	// sealed: text is the ciphertext of a value that cannot be read. It is kept
	// when the file is written, and counts for nothing else.
	sealed bool
	text   string
}

func (v values) search(key uint16) (int, bool) {
	return slices.BinarySearchFunc(v, key, func(l leaf, key uint16) int { return cmp.Compare(l.key, key) })
}

// get returns a value of values without sealed ones.
func (v values) get(key uint16) (string, bool) {
	i, found := v.search(key)
	if !found {
		return "", false
	}
	return v[i].text, true
}

// over returns v as changed by what is above it. Sealed values change nothing: there
// are none in the result.
func (v values) over(above values) values {
	if len(above) == 0 {
		return v
	}
	out := make(values, 0, len(v)+len(above))
	for len(v) > 0 || len(above) > 0 {
		switch {
		case len(above) > 0 && above[0].sealed:
			above = above[1:]
		case len(above) == 0 || len(v) > 0 && v[0].key < above[0].key:
			out, v = append(out, v[0]), v[1:]
		default:
			if len(v) > 0 && v[0].key == above[0].key {
				v = v[1:]
			}
			out, above = append(out, above[0]), above[1:]
		}
	}
	return slices.Clip(out)
}

// edited returns v with the values of edits in place of those it has.
func (v values) edited(edits values) values {
	out := make(values, 0, len(v)+len(edits))
	for _, l := range v {
		if _, is := edits.search(l.key); !is {
			out = append(out, l)
		}
	}
	out = append(out, edits...)
	out.sort()
	return slices.Clip(out)
}

func (v values) sort() { slices.SortFunc(v, func(a, b leaf) int { return cmp.Compare(a.key, b.key) }) }

// value returns the value of a key: the one in v or the default.
func (s *Schema) value(v values, key uint16) string {
	if text, is := v.get(key); is {
		return text
	}
	return s.defs[key]
}

// differing returns those of v that differ from what is below, as the sealed ones do:
// no value looks like them.
func (s *Schema) differing(v, below values) values {
	var out values
	for _, l := range v {
		if l.text != s.value(below, l.key) {
			out = append(out, l)
		}
	}
	return slices.Clip(out)
}

// changed returns the keys whose values in a and b are not the same.
func (s *Schema) changed(a, b values) []uint16 {
	var keys []uint16
	for key := range uint16(len(s.keys)) {
		if s.value(a, key) != s.value(b, key) {
			keys = append(keys, key)
		}
	}
	return keys
}
