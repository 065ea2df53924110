package mjson

import "math/bits"

// Match reports whether pattern matches the whole of text. In a pattern
//
//	?   matches any one byte
//	*   matches any run of bytes other than '/', the empty run too
//	#   matches any run of bytes, the empty run too
//
// and every other byte matches itself. There is no way to quote the three.
//
// All ways to divide text among the wildcards are considered. Match does not
// allocate for patterns up to 511 bytes. The time it takes is at most
// proportional to len(text) × len(pattern), and to len(text) for the usual
// pattern with one or two wildcards.
func Match(pattern string, text []byte) bool {
	for len(pattern) > 0 && len(text) > 0 && !isWild(pattern[0]) {
		if pattern[0] != text[0] {
			return false
		}
		pattern, text = pattern[1:], text[1:]
	}
	switch {
	case pattern == "":
		return len(text) == 0
	case pattern == "#":
		return true
	case pattern == "*":
		return indexByte(text, '/') < 0
	}
	return matchStates(pattern, text)
}

func isWild(c byte) bool { return c == '*' || c == '#' || c == '?' }

// matchStates runs pattern as a finite automaton. State p, a bit of the set,
// means that pattern[:p] matches the text so far.
func matchStates(pattern string, text []byte) bool {
	var small [2][8]uint64
	words := len(pattern)/64 + 1
	now, next := small[0][:], small[1][:]
	if words > len(now) {
		now, next = make([]uint64, words), make([]uint64, words)
	}
	now, next = now[:words], next[:words]
	enter(now, pattern, 0)
	for _, c := range text {
		clear(next)
		alive := false
		for w, set := range now {
			for ; set != 0; set &= set - 1 {
				p := w<<6 + bits.TrailingZeros64(set)
				if p == len(pattern) {
					continue
				}
				switch b := pattern[p]; {
				case b == '#', b == '*' && c != '/':
					enter(next, pattern, p)
				case b == '*':
					continue
				case b == '?', b == c:
					enter(next, pattern, p+1)
				default:
					continue
				}
				alive = true
			}
		}
		if !alive {
			return false
		}
		now, next = next, now
	}
	return now[len(pattern)>>6]>>(len(pattern)&63)&1 == 1
}

// enter adds state p to set, and the states that follow it without text.
func enter(set []uint64, pattern string, p int) {
	for {
		if set[p>>6]>>(p&63)&1 == 1 {
			return // and so are the states that follow
		}
		set[p>>6] |= 1 << (p & 63)
		if p == len(pattern) || pattern[p] != '*' && pattern[p] != '#' {
			return
		}
		p++
	}
}
