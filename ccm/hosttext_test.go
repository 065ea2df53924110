package ccm

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/jsonrpc"
)

func TestHostText(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, row := range []struct {
		text, want string
		err        error
	}{
		{"", "", nil},
		{`{"a":[1,-2.5e3,true,null]}`, `{"a":[1,-2.5e3,true,null]}`, nil},
		{` [ "x\n\"\\" ] `, ` [ "x\n\"\\" ] `, nil},
		{`["\u20ac\/","\u0041\u00e9"]`, `["€/","Aé"]`, nil},
		{`{"\u00e9":"\u0001\ud83d\ude00"}`, `{"é":"\u0001😀"}`, nil},
		{`[1e308,1E-308,-1.0e+308]`, `[1e308,1E-308,-1.0e+308]`, nil},
		{`[1e309]`, "", errHostNumber},
		{`[1,{"a":-1e-99999999999}]`, "", errHostNumber},
		{`[` + strings.Repeat("1", 32) + `]`, `[` + strings.Repeat("1", 32) + `]`, nil},
		{`[` + strings.Repeat("1", 33) + `]`, "", errHostNumber},
		{`[0.` + strings.Repeat("0", 32) + `]`, "", errHostNumber},
		{`1e400`, "", errHostNumber},
		{deep(19), deep(19), nil},
		{deep(20), "", errHostDepth},
		{`[1`, "", errHostText},
		{`[1] 2`, "", errHostText},
	} {
		got, err := hostText([]byte(row.text))
		if string(got) != row.want || !errors.Is(err, row.err) {
			t.Errorf("%s: %s, %v, want %s, %v", row.text, got, err, row.want, row.err)
		}
	}
}

// FuzzHostText: what passes means the same, and is itself when it passes again.
func FuzzHostText(f *testing.F) {
	for _, s := range []string{`{"a":["\u20ac\/\ud800",1e5]}`, `[1e309]`, `"\u0000\n"`, `[[[]]]`, ` 1 `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !jsonrpc.Valid(text) {
			return
		}
		got, err := hostText(text)
		if err != nil || len(text) == 0 {
			return
		}
		if again, err := hostText(got); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q became %q, then %q, %v", text, got, again, err)
		}
		var a, b any
		if json.Unmarshal(text, &a) == nil && (json.Unmarshal(got, &b) != nil || !reflect.DeepEqual(a, b)) {
			t.Fatalf("%q means %v, %q means %v", text, a, got, b)
		}
	})
}
