package shadow_test

import (
	"regexp"
	"testing"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/shadow"
)

var fuzzSeeds = []string{
	`{}`, `null`, `{"a":1,"b":{"c":[1,{"d":null}]}}`, `{"a":1.0e0,"b":{"c":[1,{"d":2}],"e":"\u00e9"}}`,
	`{"a":1,"a":{"b":2}}`, `{"$version":1,"":{},"\u0061":-0}`, `{"o":null}`, `{"o":{"a":1}}`, ` [ 1 , 2 ] `, `{"a":`, `"\ud800"`,
	`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"n":1,"o":1,"p":1,"q":1,"r":1,"a":2}`,
}

// FuzzDocuments: the functions give valid text or an error, agree with the plain
// ones, and keep their laws.
func FuzzDocuments(f *testing.F) {
	for i, a := range fuzzSeeds {
		f.Add([]byte(a), []byte(fuzzSeeds[(i+1)%len(fuzzSeeds)]), 20)
	}
	f.Fuzz(func(t *testing.T, x, y []byte, n int) {
		delta, errDiff := shadow.Diff(x, y)
		merged, errMerge := shadow.Merge(x, y)
		both, ok, errCompose := shadow.Compose(x, y)
		parts, _ := shadow.Split(x, func(part []byte) bool { return len(part) <= n })
		for _, out := range append([][]byte{delta, merged, both}, parts...) {
			if out != nil && !jsonrpc.Valid(out) {
				t.Fatalf("not JSON: %q", out)
			}
		}
		if valid := jsonrpc.Valid(x) && jsonrpc.Valid(y); valid != (errMerge == nil) || !valid && errDiff == nil || errDiff != nil && errCompose == nil {
			t.Fatalf("errors %v, %v, %v", errDiff, errMerge, errCompose)
		}
		if errCompose != nil || outOfRange(x) || outOfRange(y) {
			return
		}
		a, b := decode(t, x), decode(t, y)
		if !refEqual(decode(t, merged), refMerge(a, b)) {
			t.Fatalf("Merge(%s, %s) = %s", x, y, merged)
		}
		if shadow.Equal(x, y) != refEqual(a, b) {
			t.Fatalf("Equal(%s, %s) = %v", x, y, !refEqual(a, b))
		}
		if want, possible := refCompose(a.(object), b.(object)); ok != possible || ok && !refEqual(decode(t, both), want) {
			t.Fatalf("Compose(%s, %s) = %s, %v", x, y, both, ok)
		}
		for _, o := range []any{a, b} {
			for k := range o.(object) {
				if len(k) > 0 && k[0] == '$' {
					delete(o.(object), k)
				}
			}
		}
		if !refEqual(decode(t, delta), refDiff(a.(object), b.(object))) {
			t.Fatalf("Diff(%s, %s) = %s", x, y, delta)
		}
		if 2 <= n && n < 1<<20 {
			checkSplit(t, x, y, n)
		}
	})
}

// farExponent finds numbers that are too large or too small to compare by big.Rat.
var farExponent = regexp.MustCompile(`[eE][+-]?0*[0-9]{4,}`)

func outOfRange(text []byte) bool { return farExponent.Match(text) }
