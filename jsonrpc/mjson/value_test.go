package mjson_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// TestFindRepairs holds the paths and texts on which the C library reads
// outside its input or finds something else.
func TestFindRepairs(t *testing.T) {
	for _, c := range []struct{ doc, path, want string }{
		{`{"a\\":1}`, `$.a\`, ""},
		{`{"":1}`, `$.\`, ""},
		{`[1]`, `$[99999999999999999999]`, ""},
		{`[1]`, `$[18446744073709551616]`, ""},
		{`[1]`, `$[]`, ""},
		{`[1]`, `$[*]`, ""},
		{`[1]`, `$[-0]`, ""},
		{`[1]`, `$[0`, ""},
		{`[1]`, `$[00]`, "1"},
		{`[[1]]`, `$[0][0]`, "1"},
		{`[1,]`, `$[1]`, ""},
		{`[-]`, `$[0]`, ""},
		{`-`, `$`, ""},
		{`{"a":[{"x":1}],"b":[{"y":5}]}`, `$.a[0].y`, ""},
		{`{"a":[],"b":[2]}`, `$.a[0]`, ""},
		{`{"a":1}`, ``, ""},
		{`{"a":1}`, `a`, ""},
		{`{"a":1}`, `$a`, ""},
		{``, `$`, ""},
		{``, `$.a`, ""},
		{`{"a" : 1 , "b" : [ 2 , 3 ] }`, `$.b[1]`, "3"},
		{`{"a.b[c]":4}`, `$.a\.b\[c]`, "4"},
		{`{"abc":4}`, `$.a\bc`, "4"},
		{`{"ab":4}`, `$.a\bc`, ""},
		{`{"abc":4}`, `$.a\b`, ""},
	} {
		v := mjson.Find([]byte(c.doc), c.path)
		if string(v.Raw) != c.want || v.Exists() != (c.want != "") {
			t.Errorf("Find(%q, %q) = %v %q, want %q", c.doc, c.path, v.Type(), v.Raw, c.want)
		}
	}
}

func TestUnquote(t *testing.T) {
	for _, c := range []struct {
		quoted, want string
		ok           bool
	}{
		{`""`, "", true},
		{`"a\/b"`, "a/b", true},
		{`"\b\f\n\r\t\"\\"`, "\b\f\n\r\t\"\\", true},
		{`"\u0041\u00e9\u20AC\u0000"`, "A\u00e9\u20ac\x00", true},
		{`"\ud83d\ude00"`, "\U0001F600", true},
		{`"\ud83d"`, "\uFFFD", true},
		{`"\ude00"`, "\uFFFD", true},
		{`"\ud83d\ud83d\ude00"`, "\uFFFD\U0001F600", true},
		{`"\ud83dx"`, "\uFFFDx", true},
		{`"\ud83d\n"`, "\uFFFD\n", true},
		{`"\ud83d\u0041"`, "\uFFFDA", true},
		{"\"\xff\x01\"", "\xff\x01", true},
		{`"\ud83d\u12"`, "", false},
		{`"\ud83d\ude0g"`, "", false},
		{`"\u12"`, "", false},
		{`"\u00g1"`, "", false},
		{`"\u"`, "", false},
		{`"\x"`, "", false},
		{`"\a"`, "", false},
		{"\"\\\n\"", "", false},
		{``, "", false}, {`"`, "", false}, {`abc`, "", false}, {`"abc`, "", false}, {`abc"`, "", false},
		{`"a"b"`, "", false}, {`"a\"`, "", false}, {"\"a\x00\"", "", false}, {`"a" `, "", false},
	} {
		want := "dst" + c.want
		got, ok := mjson.AppendUnquote([]byte("dst"), guarded([]byte(c.quoted)))
		if string(got) != want || ok != c.ok {
			t.Errorf("AppendUnquote(%q) = %q, %v, want %q, %v", c.quoted, got, ok, want, c.ok)
		}
		in := []byte(c.quoted)
		if got, ok := mjson.AppendUnquote(in[:0], in); ok != c.ok || string(got) != c.want {
			t.Errorf("AppendUnquote(%q) in place = %q, %v, want %q", c.quoted, got, ok, c.want)
		}
		if json.Valid([]byte(c.quoted)) {
			var std string
			if err := json.Unmarshal([]byte(c.quoted), &std); err != nil || c.ok && std != strings.ToValidUTF8(c.want, "\uFFFD") {
				t.Errorf("%q: encoding/json decodes %q, %v", c.quoted, std, err)
			}
		}
	}
}

func TestQuoteRoundTrip(t *testing.T) {
	var all []byte
	for c := range 256 {
		all = append(all, byte(c))
	}
	all = append(all, "\u20ac\U0001F600/"...)
	for cut := range all {
		text := all[cut:]
		quoted := mjson.AppendQuoteBytes(nil, text)
		if again := mjson.AppendQuote(nil, string(text)); !bytes.Equal(again, quoted) {
			t.Fatalf("AppendQuote and AppendQuoteBytes differ: %q, %q", again, quoted)
		}
		if n, err := mjson.Scan(quoted, nil); n != len(quoted) || err != nil || !json.Valid(quoted) {
			t.Errorf("AppendQuote(%q) = %q is not a string", text, quoted)
		}
		if got, ok := mjson.AppendUnquote(nil, quoted); !ok || !bytes.Equal(got, text) {
			t.Errorf("%q: round trip gives %q, %v", text, got, ok)
		}
	}
}

func TestBinaryStrings(t *testing.T) {
	for n := range 40 {
		data := bytes.Repeat([]byte{0xfb, 0x00, 0x7f, 0xff, byte(n)}, 8)[:n]
		hexed, coded := hex.EncodeToString(data), base64.StdEncoding.EncodeToString(data)
		doc, err := mjson.Appendf(nil, `{"h":%H,"H":%Q,"v":%V,"e":"%s"}`,
			data, strings.ToUpper(hexed), data, strings.ReplaceAll(coded, "/", `\/`))
		if want := `{"h":"` + hexed + `",`; err != nil || !bytes.HasPrefix(doc, []byte(want)) {
			t.Errorf("%q, %v, want %q", doc, err, want)
		}
		if got, _ := mjson.Find(doc, "$.v").Text(); got != coded {
			t.Errorf("%%V of %x = %q, want %q", data, got, coded)
		}
		for _, path := range []string{"$.h", "$.H"} {
			if got, ok := mjson.GetHex(doc, path, nil); !ok || !bytes.Equal(got, data) {
				t.Errorf("GetHex(%s, %s) = %x, %v", doc, path, got, ok)
			}
		}
		for _, path := range []string{"$.v", "$.e"} {
			if got, ok := mjson.GetBase64(doc, path, nil); !ok || !bytes.Equal(got, data) {
				t.Errorf("GetBase64(%s, %s) = %x, %v", doc, path, got, ok)
			}
		}
	}
	for _, bad := range []string{`"abc"`, `"zz"`, `"4 "`, `"\x"`, `"\u004"`, `7`, `null`, `["00"]`, `"0x"`} {
		if got, ok := mjson.GetHex([]byte(bad), "$", []byte("dst")); ok || string(got) != "dst" {
			t.Errorf("GetHex(%s) = %q, %v", bad, got, ok)
		}
	}
	for _, bad := range []string{`"MA"`, `"MAo"`, `"M==="`, `"===="`, `"MA==MA=="`, `"MA=A"`, `"!!!!"`, `"MDE\n"`, "\"MD\nE\"", `"_-_-"`, `"\x"`, `7`} {
		if got, ok := mjson.GetBase64([]byte(bad), "$", []byte("dst")); ok || string(got) != "dst" {
			t.Errorf("GetBase64(%s) = %q, %v", bad, got, ok)
		}
	}
}

// TestWrongType calls every method on every type of value.
func TestWrongType(t *testing.T) {
	doc := []byte(`{"string":"s","number":1,"true":true,"false":false,"null":null,"array":[],"object":{}}`)
	values := []mjson.Value{{}}
	for name, v := range mjson.Children(doc) {
		if want := strings.Trim(string(name.Raw), `"`); v.Type().String() != want {
			t.Errorf("%s has type %v", name.Raw, v.Type())
		}
		values = append(values, v)
	}
	for _, v := range values {
		if _, ok := v.Number(); ok != (v.Type() == mjson.Number) {
			t.Errorf("%v: Number ok = %v", v.Type(), ok)
		}
		if _, ok := v.Int(); ok != (v.Type() == mjson.Number) {
			t.Errorf("%v: Int ok = %v", v.Type(), ok)
		}
		if b, ok := v.Bool(); ok != (v.Type() == mjson.True || v.Type() == mjson.False) || b != (v.Type() == mjson.True) {
			t.Errorf("%v: Bool = %v, %v", v.Type(), b, ok)
		}
		if _, ok := v.Text(); ok != (v.Type() == mjson.String) {
			t.Errorf("%v: Text ok = %v", v.Type(), ok)
		}
		if got, ok := v.AppendString([]byte("x")); ok != (v.Type() == mjson.String) || !ok && string(got) != "x" {
			t.Errorf("%v: AppendString = %q, %v", v.Type(), got, ok)
		}
	}
	if n := mjson.GetInt(doc, "$.number", 5); n != 1 {
		t.Errorf("GetInt = %d", n)
	}
	if n := mjson.GetInt(doc, "$.string", 5); n != 5 {
		t.Errorf("GetInt = %d, want the default", n)
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		doc, want string
		ok        bool
	}{{`"plain"`, "plain", true}, {`"\u0041"`, "A", true}, {`"\x"`, "", false}, {`1`, "", false}} {
		if got, ok := mjson.Find([]byte(c.doc), "$").Text(); got != c.want || ok != c.ok {
			t.Errorf("Text of %s = %q, %v", c.doc, got, ok)
		}
	}
}

func TestValueString(t *testing.T) {
	doc := []byte(`{"s": "a\u0062", "o": {"x": [1, 2]}}`)
	for path, want := range map[string]string{"$.s": `"a\u0062"`, "$.o": `{"x": [1, 2]}`, "$.o.x[1]": "2", "$.none": ""} {
		if got := mjson.Find(doc, path).String(); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
}
