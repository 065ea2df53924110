package shadow_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/shadow"
)

// same reports whether a text is the value.
func same(t *testing.T, text []byte, want any) bool {
	t.Helper()
	return refEqual(decode(t, text), want)
}

// TestReference compares the functions with plain ones over decoded values
// (test S2).
func TestReference(t *testing.T) {
	for seed := range heavy(20000) {
		r := newSource(seed)
		a, b := r.object(6, true), r.object(6, true)
		x, y := encode(t, a), encode(t, b)
		if got, err := shadow.Diff(x, y); err != nil || !same(t, got, refDiff(a, b)) {
			t.Fatalf("Diff(%s, %s) = %s, %v, want %s", x, y, got, err, encode(t, refDiff(a, b)))
		}
		if got, err := shadow.Merge(x, y); err != nil || !same(t, got, refMerge(a, b)) {
			t.Fatalf("Merge(%s, %s) = %s, %v, want %s", x, y, got, err, encode(t, refMerge(a, b)))
		}
		both, possible := refCompose(a, b)
		got, ok, err := shadow.Compose(x, y)
		if err != nil || ok != possible || ok && !same(t, got, both) {
			t.Fatalf("Compose(%s, %s) = %s, %v, %v, want %s", x, y, got, ok, err, encode(t, both))
		}
		if shadow.Equal(x, y) != refEqual(a, b) || !shadow.Equal(x, x) {
			t.Fatalf("Equal(%s, %s) = %v", x, y, shadow.Equal(x, y))
		}
		checkLaws(t, x, y, encode(t, r.object(6, true)))
	}
}

// TestLargeObjects compares for objects that are found by hashing: many of them,
// with the same names, some of them twice.
func TestLargeObjects(t *testing.T) {
	for seed := range 20 {
		r := newSource(seed)
		x, y := r.large(), r.large()
		a, b := decodeObject(t, x), decodeObject(t, y)
		if got, err := shadow.Diff(x, y); err != nil || !same(t, got, refDiff(a, b)) {
			t.Fatalf("Diff(%s, %s) = %s, %v", x, y, got, err)
		}
		if got, err := shadow.Merge(x, y); err != nil || !same(t, got, refMerge(a, b)) {
			t.Fatalf("Merge(%s, %s) = %s, %v", x, y, got, err)
		}
		want, possible := refCompose(a, b)
		if got, ok, err := shadow.Compose(x, y); err != nil || ok != possible || ok && !same(t, got, want) {
			t.Fatalf("Compose(%s, %s) = %s, %v, %v", x, y, got, ok, err)
		}
		if shadow.Equal(x, y) != refEqual(a, b) || !shadow.Equal(x, encode(t, a)) {
			t.Fatalf("Equal of %s", x)
		}
	}
}

// large returns an object of 40 objects of up to 60 members, of whose names some
// occur twice.
func (r *source) large() []byte {
	out := []byte(`{"first":0`)
	for i := range 40 {
		out = append(out, `,"object`+strconv.Itoa(i%35)+`":{"m":0`...)
		for range r.IntN(60) {
			out = append(out, `,"k`+strconv.Itoa(r.IntN(50))+`":`+strconv.Itoa(r.IntN(3))...)
		}
		out = append(out, '}')
	}
	return append(out, '}')
}

// checkLaws checks what must hold whatever the documents are.
func checkLaws(t *testing.T, a, b, base []byte) {
	t.Helper()
	delta, err := shadow.Diff(a, b)
	if err != nil {
		t.Fatal(err)
	}
	// A host that obeys the delta has nothing left to do.
	obeyed, err := shadow.Merge(b, delta)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := shadow.Merge(nil, a) // holds no null
	if err != nil {
		t.Fatal(err)
	}
	if rest, err := shadow.Diff(stored, obeyed); err != nil || string(rest) != "{}" {
		t.Fatalf("Diff(%s, %s): after the delta %s there is still %s, %v", a, b, delta, rest, err)
	}
	if both, ok, err := shadow.Compose(a, b); err != nil {
		t.Fatal(err)
	} else if ok {
		if one, two := merge(t, base, both), merge(t, merge(t, base, a), b); !shadow.Equal(one, two) {
			t.Fatalf("Compose(%s, %s) = %s makes %s of %s, not %s", a, b, both, one, base, two)
		}
	}
}

func merge(t *testing.T, target, patch []byte) []byte {
	t.Helper()
	out, err := shadow.Merge(target, patch)
	if err != nil {
		t.Fatalf("Merge(%s, %s): %v", target, patch, err)
	}
	return out
}

// TestBytesUnchanged: what is copied whole is copied as it is spelled.
func TestBytesUnchanged(t *testing.T) {
	for _, c := range []struct{ what, a, b, want string }{
		{"diff", `{"v":9007199254740993}`, `{"v":9007199254740992}`, `{"v":9007199254740993}`},
		{"diff", `{ "v" : 1.50e+1 , "s" : "\u00e9\/" }`, `{}`, `{"v":1.50e+1,"s":"\u00e9\/"}`},
		{"diff", `{"o":{ "a" : [1, 2 ] },"\u0061":1}`, `{"o":5,"a":2}`, `{"o":{ "a" : [1, 2 ] },"\u0061":1}`},
		{"diff", `{"a":1,"a":2,"b":3}`, `{"b":3}`, `{"a":2}`},
		{"diff", `{"a":{"$x":1},"$y":2,"\u0024z":3}`, `{"a":{}}`, `{"a":{"$x":1}}`},
		{"diff", ` {} `, ` null `, `{}`},
		{"merge", `{"v":1, "w":1.0}`, `{"v":1.50}`, `{"v":1.50,"w":1.0}`},
		{"merge", `{"\u0061":1,"b":2}`, `{"a":2}`, `{"\u0061":2,"b":2}`},
		{"merge", `{"a":1,"b":2,"a":3}`, `{}`, `{"b":2,"a":3}`},
		{"merge", `{"a":[ 1 ]}`, `{"b":{"c":null,"d":[null, 1]}}`, `{"a":[ 1 ],"b":{"d":[null, 1]}}`},
		{"merge", `{}`, `[ 1 ]`, `[ 1 ]`},
		{"compose", `{"a":1.0,"o":{"x":null}}`, `{"o":{"y":[ 2 ]}}`, `{"a":1.0,"o":{"x":null,"y":[ 2 ]}}`},
		{"compose", `{"a":1}`, `{"\u0061":{}}`, ``},
	} {
		var got []byte
		var err error
		switch c.what {
		case "diff":
			got, err = shadow.Diff([]byte(c.a), []byte(c.b))
		case "merge":
			got, err = shadow.Merge([]byte(c.a), []byte(c.b))
		case "compose":
			got, _, err = shadow.Compose([]byte(c.a), []byte(c.b))
		}
		if err != nil || string(got) != c.want {
			t.Errorf("%s %s %s = %s, %v, want %s", c.what, c.a, c.b, got, err, c.want)
		}
	}
}

func TestDocumentErrors(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 32) + `{}` + strings.Repeat(`}`, 32)
	for _, bad := range []string{``, `{`, `{"a":1}x`, `{"a":01}`, "{\"a\":\"\xff\"}", deep, `nul`} {
		for _, pair := range [][2]string{{bad, `{}`}, {`{}`, bad}} {
			a, b := []byte(pair[0]), []byte(pair[1])
			if _, err := shadow.Diff(a, b); !errors.Is(err, shadow.ErrInvalid) {
				t.Errorf("Diff(%q, %q): %v", a, b, err)
			}
			if _, err := shadow.Merge(a, b); !errors.Is(err, shadow.ErrInvalid) {
				t.Errorf("Merge(%q, %q): %v", a, b, err)
			}
			if _, ok, err := shadow.Compose(a, b); ok || !errors.Is(err, shadow.ErrInvalid) {
				t.Errorf("Compose(%q, %q): %v, %v", a, b, ok, err)
			}
			if shadow.Equal(a, b) || shadow.Equal(b, a) {
				t.Errorf("Equal(%q, %q)", a, b)
			}
		}
	}
	for _, other := range []string{`[]`, `1`, `"x"`, `true`} {
		if _, err := shadow.Diff([]byte(other), nil); !errors.Is(err, shadow.ErrNotObject) {
			t.Errorf("Diff(%s, nil): %v", other, err)
		}
		if _, err := shadow.Diff(nil, []byte(other)); !errors.Is(err, shadow.ErrNotObject) {
			t.Errorf("Diff(nil, %s): %v", other, err)
		}
		if _, _, err := shadow.Compose(nil, []byte(other)); !errors.Is(err, shadow.ErrNotObject) {
			t.Errorf("Compose(nil, %s): %v", other, err)
		}
	}
	if !shadow.Equal(nil, nil) || shadow.Equal(nil, []byte(`{}`)) || shadow.Equal([]byte(`{}`), nil) {
		t.Error("Equal of nil")
	}
}

func TestEqualNumbers(t *testing.T) {
	equal := [][]string{
		{"0", "-0", "0.0", "0e5", "-0.00E-7", "0e99999999999999999999"},
		{"1", "1.0", "1e0", "10e-1", "0.1e1", "0.001E+3", "1000e-3", "1.000"},
		{"-12.5", "-1.25e1", "-0.0125e3", "-12500e-3"},
		{"9007199254740993", "9007199254740993.0", "9.007199254740993e15"},
		{"1e99999999999999999999", "1.0E+099999999999999999999"},
		{"1e-400", "0.1e-399"},
	}
	for i, list := range equal {
		for _, a := range list {
			for j, other := range equal {
				for _, b := range other {
					if got := shadow.Equal([]byte(a), []byte(b)); got != (i == j) {
						t.Errorf("Equal(%s, %s) = %v", a, b, got)
					}
				}
			}
		}
	}
	for _, differ := range [][2]string{
		{"9007199254740993", "9007199254740992"}, {"1", "-1"}, {"12", "1.2"}, {"0.1", "0.01"}, {"1", "10"},
		{"1e-99999999999999999999", "1e99999999999999999999"}, {"101", "1.1e2"}, {"0.10000000000000000000001", "0.1"},
		{"1e99999999999999999999", "2e99999999999999999999"}, {"100", "1"}, {"11", "1"}, {"1", "11"},
	} {
		if shadow.Equal([]byte(differ[0]), []byte(differ[1])) {
			t.Errorf("%s equals %s", differ[0], differ[1])
		}
	}
}

func TestEqualValues(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1,"b":2}`, `{"b":2,"a":1}`, true},
		{`{"a":1,"a":2}`, `{"a":2}`, true},
		{`{"a":1,"a":2}`, `{"a":2,"b":1}`, false},
		{`{"a":1,"b":2}`, `{"a":1,"c":2}`, false},
		{`[1,2]`, `[2,1]`, false},
		{`[[],{}]`, `[[],[]]`, false},
		{`[1]`, `[1,1]`, false},
		{`"\u00e9"`, `"é"`, true},
		{`"\ud83d\ude00"`, `"😀"`, true},
		{`"a"`, `"b"`, false},
		{`"1"`, `1`, false},
		{`true`, `false`, false},
		{`null`, `null`, true},
		{` 1 `, `1`, true},
	} {
		if got := shadow.Equal([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("Equal(%s, %s) = %v", c.a, c.b, got)
		}
	}
}

func limit(n int) func([]byte) bool { return func(part []byte) bool { return len(part) <= n } }

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		doc   string
		limit int
		parts []string
		bad   []shadow.Misfit
	}{
		{``, 10, nil, nil},
		{`{}`, 2, []string{`{}`}, nil},
		{`{ "a" : 1 }`, 11, []string{`{ "a" : 1 }`}, nil},
		{`{ "a" : 1 }`, 10, []string{`{"a":1}`}, nil},
		{`{"a":1,"b":2,"c":3}`, 13, []string{`{"a":1,"b":2}`, `{"c":3}`}, nil},
		{`{"a":1,"b":2,"c":3}`, 12, []string{`{"a":1}`, `{"b":2}`, `{"c":3}`}, nil},
		{`{"o":{"x":1,"y":2},"z":3}`, 13, []string{`{"o":{"x":1}}`, `{"o":{"y":2}}`, `{"z":3}`}, nil},
		{`{"o":{"x":1,"y":2},"z":3}`, 19, []string{`{"o":{"x":1,"y":2}}`, `{"z":3}`}, nil},
		{`{"z":3,"o":{"x":1,"y":2}}`, 19, []string{`{"z":3}`, `{"o":{"x":1,"y":2}}`}, nil},
		{`{"o":{"x":1,"y":2},"z":3}`, 18, []string{`{"o":{"x":1}}`, `{"o":{"y":2}}`, `{"z":3}`}, nil},
		{`{"o":{"xx":11,"y":2},"z":3}`, 19, []string{`{"o":{"xx":11}}`, `{"o":{"y":2},"z":3}`}, nil},
		{`{"a":null,"b":[1,2,3]}`, 12, []string{`{"a":null}`}, []shadow.Misfit{{Path: "/b", Size: 7}}},
		{`{"b":[1,2,3],"a":1}`, 12, []string{`{"a":1}`}, []shadow.Misfit{{Path: "/b", Size: 7}}},
		{`{"a/b":{"~":{"long":"0123456789"}},"x":1}`, 20, []string{`{"x":1}`}, []shadow.Misfit{{Path: "/a~1b/~0/long", Size: 12}}},
		{`{"0123456789":{"a":1,"b":2},"x":1}`, 12, []string{`{"x":1}`}, []shadow.Misfit{{Path: "/0123456789", Size: 13}}},
		{`{"a":{},"b":1}`, 9, []string{`{"a":{}}`, `{"b":1}`}, nil},
		{`{"a":1,"b":22,"a":3}`, 9, []string{`{"b":22}`, `{"a":3}`}, nil},
		{`[1,2,3]`, 3, nil, []shadow.Misfit{{Size: 7}}},
		{`{"a":1}`, 1, nil, []shadow.Misfit{{Size: 7}}},
		{`{"a":1`, 99, nil, []shadow.Misfit{{Size: 6}}},
	} {
		parts, bad := shadow.Split([]byte(c.doc), limit(c.limit))
		got := make([]string, len(parts))
		for i, p := range parts {
			got[i] = string(p)
		}
		if !slices.Equal(got, c.parts) || !slices.Equal(bad, c.bad) {
			t.Errorf("Split(%s, %d) = %q, %v, want %q, %v", c.doc, c.limit, got, bad, c.parts, c.bad)
		}
	}
}

// TestSplitLaws: all parts fit, together they are the document but for the
// misfits, and as patches they do the same.
func TestSplitLaws(t *testing.T) {
	for seed := range heavy(5000) {
		r := newSource(seed)
		doc, base := encode(t, r.object(6, true)), encode(t, r.object(6, true))
		checkSplit(t, doc, base, 2+r.IntN(len(doc)+4))
	}
}

func checkSplit(t *testing.T, doc, base []byte, n int) {
	t.Helper()
	parts, misfits := shadow.Split(doc, limit(n))
	all, applied := []byte(`{}`), base
	for _, p := range parts {
		if len(p) > n {
			t.Fatalf("Split(%s, %d): a part of %d bytes: %s", doc, n, len(p), p)
		}
		both, ok, err := shadow.Compose(all, p)
		if !ok || err != nil {
			t.Fatalf("Split(%s, %d): parts do not compose at %s: %v", doc, n, p, err)
		}
		all, applied = both, merge(t, applied, p)
	}
	for _, m := range misfits {
		if m.Size+2 <= n && m.Path == "" || len(m.Path) > 256 {
			t.Fatalf("Split(%s, %d): misfit %+v", doc, n, m)
		}
	}
	if len(misfits) == 0 && (!shadow.Equal(all, doc) || !shadow.Equal(applied, merge(t, base, doc))) {
		t.Fatalf("Split(%s, %d) = %s: together %s", doc, n, bytes.Join(parts, []byte(" ")), all)
	}
}

// TestResultsAreNew: results share no memory with the inputs.
func TestResultsAreNew(t *testing.T) {
	desired := []byte(`{"a":[1,2],"b":"text"}`)
	delta, _ := shadow.Diff(desired, nil)
	merged, _ := shadow.Merge(desired, []byte(`{"c":3}`))
	both, _, _ := shadow.Compose(desired, []byte(`{"c":3}`))
	want := []string{string(delta), string(merged), string(both)}
	for i := range desired {
		desired[i] = 'x'
	}
	if got := []string{string(delta), string(merged), string(both)}; !slices.Equal(got, want) {
		t.Errorf("changed with the input: %q", got)
	}
	for _, text := range want {
		if !json.Valid([]byte(text)) {
			t.Errorf("not JSON: %s", text)
		}
	}
}

// TestMisfitPath: the path of a misfit is cut.
func TestMisfitPath(t *testing.T) {
	for n, want := range map[int]int{254: 255, 255: 256, 256: 256, 1000: 256} {
		_, bad := shadow.Split([]byte(`{"`+strings.Repeat("n", n)+`":1}`), limit(5))
		if len(bad) != 1 || len(bad[0].Path) != want {
			t.Errorf("a name of %d bytes: %v", n, bad)
		}
	}
}
