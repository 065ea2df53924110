package mjson_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

func TestMergeRepairs(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{`{"a.b":1}`, `{"a.b":2}`, `{"a.b":2}`},
		{`{"a":{"b":1}}`, `{"a.b":2}`, `{"a":{"b":1},"a.b":2}`},
		{`{"k[0]":1}`, `{"k[0]":null}`, `{}`},
		{`{"a\\":1}`, `{"a\\":2}`, `{"a\\":2}`},
		{`[1,2]`, `{"a":1}`, `{"a":1}`},
		{`{"a":1}`, `[1,2]`, `{"a":1}`},
		{`[1,{"a":1}]`, `[[]]`, `{}`},
		{``, `{"a":1}`, ``}, {`{`, `{"a":1}`, ``},
		{`{}`, `{"a":null,"b":{"c":null}}`, `{"b":{"c":null}}`},
		{`{"a":null}`, `{}`, `{"a":null}`},
		{`{"a":1,"a":2}`, `{"a":3,"a":4}`, `{"a":3,"a":3}`},
		{`{}`, `{"a":3,"a":null,"a":4}`, `{"a":3,"a":4}`},
		{`{"a":1}`, `{"a":null,"a":4}`, `{}`},
		{`{"a":1,"b":{"x":1}`, `{"b":{"y":2}}`, `{"a":1,"b":{"x":1,"y":2}}`},
		{`{"a":1,"b":{"x":1`, `{"b":{"y":2}}`, `{"a":1,"b":{"y":2}}`},
		{`{"a":1}`, `{"a":2,"b":tru`, `{"a":2}`},
		{`{"a" : 1 , }`, ` { "b" : [ 1 ] , } `, `{"a":1,"b":[ 1 ]}`},
		{`{"a":{"b":1}}`, `{"a":{}}`, `{"a":{"b":1}}`},
		{`{"a":{"b":1}}`, `{"a":{"b":null}}`, `{"a":{}}`},
	} {
		if got := mjson.Merge(nil, guarded([]byte(c.a)), guarded([]byte(c.b))); string(got) != c.want {
			t.Errorf("Merge(%s, %s) = %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

// mergeModel merges by the rules, the slow way.
func mergeModel(a, b []byte) string {
	if len(a) < 2 {
		return ""
	}
	type member struct {
		key string
		v   mjson.Value
	}
	members := func(doc []byte) (out []member) {
		for name, v := range mjson.Children(doc) {
			if name.Raw != nil {
				out = append(out, member{string(name.Raw), v})
			}
		}
		return out
	}
	find := func(in []member, key string) *member {
		for i := range in {
			if in[i].key == key {
				return &in[i]
			}
		}
		return nil
	}
	var out []string
	as, bs := members(a), members(b)
	for _, m := range as {
		switch now := find(bs, m.key); {
		case now == nil:
			out = append(out, m.key+":"+string(m.v.Raw))
		case now.v.Type() == mjson.Object && m.v.Type() == mjson.Object:
			out = append(out, m.key+":"+mergeModel(m.v.Raw, now.v.Raw))
		case now.v.Type() != mjson.Null:
			out = append(out, m.key+":"+string(now.v.Raw))
		}
	}
	for _, m := range bs {
		if find(as, m.key) == nil && m.v.Type() != mjson.Null {
			out = append(out, m.key+":"+string(m.v.Raw))
		}
	}
	return "{" + strings.Join(out, ",") + "}"
}

// object writes an object with up to n members whose names are often equal.
func object(r *rand.Rand, n, depth int) string {
	var out []string
	for range r.IntN(n + 1) {
		key := fmt.Sprintf("%.*s%d", r.IntN(12), "commonprefix", r.IntN(n+1))
		value := []string{"1", "null", `"text"`, "[1,2]", "true", "-0.5"}[r.IntN(6)]
		if depth > 0 && r.IntN(4) == 0 {
			value = object(r, n, depth-1)
		}
		out = append(out, fmt.Sprintf("%q:%s", key, value))
	}
	return "{" + strings.Join(out, ",") + "}"
}

func TestMergeModel(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 1200 {
		n := []int{3, 10, 63, 66, 130, 200}[i%6]
		a, b := []byte(object(r, n, 2-i%6/2)), []byte(object(r, n, 2-i%6/2))
		if got, want := string(mjson.Merge(nil, a, b)), mergeModel(a, b); got != want {
			t.Fatalf("Merge(%s, %s)\n got %s\nwant %s", a, b, got, want)
		}
		if i%10 == 0 { // at every cut the complete members count
			at, bt := guarded(a[:r.IntN(len(a)+1)]), guarded(b[:r.IntN(len(b)+1)])
			if got, want := string(mjson.Merge(nil, at, bt)), mergeModel(at, bt); got != want {
				t.Fatalf("Merge(%s, %s)\n got %s\nwant %s", at, bt, got, want)
			}
		}
	}
}

func TestMergeLeavesPrefix(t *testing.T) {
	a, b := []byte(`{"a":{"x":1},"b":2}`), []byte(`{"a":{"x":null,"y":[1]},"c":3}`)
	const want = `{"a":{"y":[1]},"b":2,"c":3}`
	for size := range 64 {
		dst := append(make([]byte, 0, size+3), "dst"...)
		if got := mjson.Merge(dst, a, b); string(got) != "dst"+want {
			t.Errorf("capacity %d: %s", size, got)
		}
	}
}

func TestChildrenAgreesWithNext(t *testing.T) {
	for _, doc := range []string{
		`{"a":1,"b":[1,2],"":{"x":{}}}`, `[1,[2],"3",null,]`, `{"a":1,"b":tru`, `[1,2`, `7`, `"s"`, ``, `{}`, `[]`,
		` { "a" : 1 , "b" : 2 } x`, `[1 2]`, `{"a":1,,"b":2}`, strings.Repeat("[", 25),
	} {
		next := 0
		for name, v := range mjson.Children([]byte(doc)) {
			n, wantName, want := mjson.Next([]byte(doc), next)
			if n != v.Offset+len(v.Raw) || name.Offset != wantName.Offset || name.Index != wantName.Index ||
				!bytes.Equal(name.Raw, wantName.Raw) || v.Type() != want.Type() || !bytes.Equal(v.Raw, want.Raw) {
				t.Errorf("%s: Children gives %+v %+v, Next %d %+v %+v", doc, name, v, n, wantName, want)
			}
			next = n
		}
		if n, name, v := mjson.Next([]byte(doc), next); n != 0 || name.Raw != nil || v.Exists() {
			t.Errorf("%s: Next goes on after Children: %d", doc, n)
		}
	}
	for name := range mjson.Children([]byte(`{"\u0041":1,"b":2}`)) {
		text, ok := name.Text()
		app, _ := name.AppendString([]byte("x"))
		if text != "A" || !ok || string(app) != "xA" {
			t.Errorf("name is %q, %v, %q", text, ok, app)
		}
		break
	}
	for name := range mjson.Children([]byte(`[1]`)) {
		if text, ok := name.Text(); text != "" || ok {
			t.Errorf("name of an element is %q, %v", text, ok)
		}
	}
}

func TestPrettyErrors(t *testing.T) {
	for doc, want := range map[string]error{
		"": mjson.ErrInvalid, "[1": mjson.ErrInvalid, strings.Repeat("[", 21): mjson.ErrDepth, `{"a":-}`: mjson.ErrInvalid,
	} {
		if got, err := mjson.Pretty([]byte("dst"), []byte(doc), " "); err != want || string(got) != "dst" {
			t.Errorf("Pretty(%q) = %q, %v", doc, got, err)
		}
	}
}
