package fwbundle

import (
	"cmp"
	"strings"
)

// CompareVersions returns -1, 0 or 1 if version a is lower than, equal to or higher
// than b. A version is numbers with dots, of any size, and maybe a pre-release
// behind a minus sign, as in semantic versioning: 1.10.0 is higher than 1.9, which
// is equal to 1.9.0 and higher than 1.9-rc.2. What follows a plus sign does not
// count. A version that is none is lower than all others, and equal to its like.
func CompareVersions(a, b string) int {
	va, okA := parseVersion(a)
	vb, okB := parseVersion(b)
	switch {
	case !okA || !okB:
		return boolInt(okA) - boolInt(okB)
	default:
		return va.compare(vb)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// version is a parsed version: its numbers, and the identifiers of the
// pre-release.
type version struct {
	numbers, pre []string
}

func parseVersion(s string) (v version, ok bool) {
	s, _, _ = strings.Cut(s, "+")
	core, pre, hasPre := strings.Cut(s, "-")
	v.numbers = strings.Split(core, ".")
	for _, n := range v.numbers {
		if !isNumber(n) {
			return v, false
		}
	}
	if hasPre {
		v.pre = strings.Split(pre, ".")
		for _, id := range v.pre {
			if !isIdentifier(id) {
				return v, false
			}
		}
	}
	return v, true
}

func (v version) compare(w version) int {
	for i := range max(len(v.numbers), len(w.numbers)) {
		if c := compareNumbers(at(v.numbers, i), at(w.numbers, i)); c != 0 {
			return c
		}
	}
	if v.pre == nil || w.pre == nil {
		return boolInt(v.pre == nil) - boolInt(w.pre == nil)
	}
	for i := range min(len(v.pre), len(w.pre)) {
		if c := compareIdentifiers(v.pre[i], w.pre[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(v.pre), len(w.pre))
}

// at returns a number of a version; those that are not there count as 0.
func at(numbers []string, i int) string {
	if i < len(numbers) {
		return numbers[i]
	}
	return "0"
}

func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// compareIdentifiers orders numbers before other identifiers.
func compareIdentifiers(a, b string) int {
	switch na, nb := isNumber(a), isNumber(b); {
	case na && nb:
		return compareNumbers(a, b)
	case na || nb:
		return boolInt(nb) - boolInt(na)
	}
	return strings.Compare(a, b)
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func isIdentifier(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r != '-' && (r < '0' || '9' < r) && (r|0x20 < 'a' || 'z' < r|0x20)
	}) < 0
}
