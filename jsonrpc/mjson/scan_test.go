package mjson_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

func TestScanStops(t *testing.T) {
	doc := []byte(` {"a":[1,"x"],"b":true} `)
	_, all := events(mjson.Scanner{}, doc)
	for stop := range all {
		count := 0
		n, err := mjson.Scan(doc, func(mjson.Type, int, int) bool {
			count++
			return count <= stop
		})
		if want := all[stop].Off + all[stop].N; n != want || err != nil || count != stop+1 {
			t.Errorf("stop at token %d: Scan = %d, %v after %d calls, want %d", stop, n, err, count, want)
		}
	}
}

func TestScanErrorOffset(t *testing.T) {
	for _, c := range []struct {
		doc string
		off int
		err error
	}{
		{"", 0, mjson.ErrInvalid},
		{"  ", 2, mjson.ErrInvalid},
		{`{"a":1,`, 7, mjson.ErrInvalid},
		{`{"a":tru}`, 5, mjson.ErrInvalid},
		{`{"a":-}`, 5, mjson.ErrInvalid},
		{`{"a" 1}`, 5, mjson.ErrInvalid},
		{`[1}`, 2, mjson.ErrInvalid},
		{`["abc`, 1, mjson.ErrInvalid},
		{"[\"a\x00\"]", 1, mjson.ErrInvalid},
		{strings.Repeat("[", 21), 20, mjson.ErrDepth},
		{`{"a":]`, 5, mjson.ErrInvalid},
	} {
		for _, fn := range []func(mjson.Type, int, int) bool{nil, func(mjson.Type, int, int) bool { return true }} {
			if n, err := mjson.Scan([]byte(c.doc), fn); n != c.off || !errors.Is(err, c.err) {
				t.Errorf("Scan(%q) = %d, %v, want %d, %v", c.doc, n, err, c.off, c.err)
			}
		}
	}
}

func TestMaxDepth(t *testing.T) {
	for _, limit := range []int{-1, 0, 1, 2, 20, 63, 64, 65, 127, 128, 129, 500} {
		s := mjson.Scanner{MaxDepth: limit}
		allowed := limit
		if allowed <= 0 {
			allowed = mjson.DefaultMaxDepth
		}
		for _, depth := range []int{allowed, allowed + 1} {
			open, path := mixed(depth)
			doc := []byte(open + "7" + closing(open))
			want := len(doc)
			if depth > allowed {
				want = -2
			}
			if ret, _ := events(s, doc); ret != want {
				t.Errorf("MaxDepth %d, depth %d: Scan = %d, want %d", limit, depth, ret, want)
			}
			if ret := cResult(s.Scan(doc, nil)); ret != want {
				t.Errorf("MaxDepth %d, depth %d: Scan(nil) = %d, want %d", limit, depth, ret, want)
			}
			for _, p := range []string{"$", path} {
				if found := s.Find(doc, p).Exists(); found != (depth <= allowed) {
					t.Errorf("MaxDepth %d, depth %d: Find(%s) found = %v", limit, depth, p, found)
				}
			}
		}
	}
}

// mixed returns depth opening brackets, objects at places that are not
// regular, and the path to what is inside them.
func mixed(depth int) (open, path string) {
	var doc, p strings.Builder
	p.WriteByte('$')
	for i := range depth {
		if i*i%7 < 3 {
			doc.WriteString(`{"k":`)
			p.WriteString(".k")
		} else {
			doc.WriteByte('[')
			p.WriteString("[0]")
		}
	}
	return doc.String(), p.String()
}

// closing returns the brackets that close those in open.
func closing(open string) string {
	var b []byte
	for _, c := range []byte(open) {
		if c == '[' || c == '{' {
			b = append(b, c+2)
		}
	}
	slices.Reverse(b)
	return string(b)
}

func TestTypeString(t *testing.T) {
	for typ, want := range map[mjson.Type]string{
		mjson.Invalid: "invalid", mjson.Key: "key", mjson.String: "string", mjson.Number: "number",
		mjson.True: "true", mjson.False: "false", mjson.Null: "null", mjson.Array: "array",
		mjson.Object: "object", mjson.ArrayEnd: "]", mjson.ObjectEnd: "}", mjson.Comma: ",",
		mjson.Colon: ":", 99: "invalid",
	} {
		if got := typ.String(); got != want {
			t.Errorf("Type(%d).String() = %q, want %q", typ, got, want)
		}
	}
}

// TestStringEnds puts strings with every kind of byte at every distance from
// the end of the text.
func TestStringEnds(t *testing.T) {
	for n := range 40 {
		for _, mid := range []string{"", `\"`, `\\`, `\\\"`, `\x`, "\x00", "\\\x00", `"`, "\xff", "é"} {
			for at := range n + 1 {
				body := strings.Repeat("x", at) + mid + strings.Repeat("y", n-at)
				for _, tail := range []string{"", `"`, `"]`, `" ,1]`, `" ,1 ,2 ,3 ,4 ,5]`} {
					doc := guarded([]byte(`["` + body + tail))
					if got, want := mjson.Valid(doc), validModel(string(doc)); got != want {
						t.Fatalf("Valid(%q) = %v", doc, got)
					}
				}
			}
		}
	}
}

// validModel checks a one-line array of strings and digits, byte by byte.
func validModel(doc string) bool {
	for i := 1; i < len(doc); i++ {
		switch doc[i] {
		case ']':
			return doc[i-1] != 'x' && doc[i-1] != 'y'
		case '"':
			for i++; ; i++ {
				if i >= len(doc) || doc[i] == 0 {
					return false
				}
				if doc[i] == '"' {
					break
				}
				if doc[i] == '\\' && i+1 < len(doc) && doc[i+1] != 0 {
					i++
				}
			}
			if i+1 < len(doc) && !strings.Contains(" ,]", doc[i+1:i+2]) {
				return false
			}
		}
	}
	return false
}
