package acl

import "strings"

// Allows reports whether a list allows a name.
func Allows(list, name string) bool {
	for entry := range strings.SplitSeq(list, ",") {
		if entry == "" {
			continue
		}
		allow := entry[0] != '-'
		if entry[0] == '-' || entry[0] == '+' {
			entry = entry[1:]
		}
		if Match(entry, name) {
			return allow
		}
	}
	return false
}

// Match reports whether a pattern matches the whole of a name.
func Match(pattern, name string) bool {
	if name == "" {
		return false
	}
	for p := range strings.SplitSeq(pattern, "|") {
		if matchOne(strings.TrimSuffix(p, "$"), name) {
			return true
		}
	}
	return false
}

// usualName is the length of names for which nothing is allocated.
const usualName = 128

// matchOne matches one alternative. at[k] says that the pattern so far can have
// taken the first k bytes of the name; each element of the pattern moves on from
// there.
func matchOne(p, name string) bool {
	var usual [usualName + 1]bool
	at := usual[:]
	if len(name) > usualName {
		at = make([]bool, len(name)+1)
	}
	at = at[:len(name)+1]
	at[0] = true
	for i := 0; i < len(p); {
		if p[i] != '*' {
			step(at, name, p[i])
			i++
			continue
		}
		stars := 0
		for ; i < len(p) && p[i] == '*'; i++ {
			stars++
		}
		run(at, name, stars > 1, i == len(p))
	}
	return at[len(name)]
}

// step takes one byte of the name, c or any.
func step(at []bool, name string, c byte) {
	for k := len(name); k > 0; k-- {
		at[k] = at[k-1] && (c == '?' || fold(c) == fold(name[k-1]))
	}
	at[0] = false
}

// run takes a run of bytes, with slashes or without. The last one takes one byte at
// least.
func run(at []bool, name string, slashes, last bool) {
	before := at[0] // what at[k-1] was
	for k := 1; k <= len(name); k++ {
		now := at[k]
		longer := (before || at[k-1]) && (slashes || name[k-1] != '/')
		at[k] = longer || now && !last
		before = now
	}
}

// fold returns the lower case of an ASCII letter.
func fold(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
