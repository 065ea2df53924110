package mjson_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// TestHostileInputs gives every function inputs of a megabyte that would take
// it minutes if its time were not linear. Nothing is measured: a quadratic
// function would not come to its end.
func TestHostileInputs(t *testing.T) {
	size := 1 << 20
	if race.Enabled {
		size /= 16
	}
	members := func(value string) []byte {
		var b bytes.Buffer
		for i := range size / 20 {
			b.WriteString(`,"member` + strconv.Itoa(i) + `":` + value)
		}
		return append(append([]byte{'{'}, b.Bytes()[1:]...), '}')
	}
	for name, doc := range map[string][]byte{
		"spaces":         []byte(strings.Repeat(" ", size) + "1"),
		"open":           []byte(strings.Repeat("[", size)),
		"siblings":       []byte("[" + strings.Repeat("[],", size/3) + "]"),
		"digits":         []byte("1" + strings.Repeat("0", size)),
		"fraction":       []byte("0." + strings.Repeat("0", size) + "1"),
		"exponent":       []byte("1e" + strings.Repeat("9", size)),
		"minus exponent": []byte("1e-" + strings.Repeat("9", size)),
		"middle":         []byte("9007199254740993." + strings.Repeat("0", size) + "1"),
		"back in range":  []byte("0." + strings.Repeat("0", size) + "1e" + strconv.Itoa(size+1)),
		"backslashes":    []byte(`"` + strings.Repeat(`\\`, size/2) + `"`),
		"quotes":         []byte(`"` + strings.Repeat(`\"`, size/2) + `"`),
		"no end":         []byte(`"` + strings.Repeat(`\"`, size/2)),
		"surrogates":     []byte(`"` + strings.Repeat(`\ud800`, size/6) + `"`),
		"members":        members("1"),
		"same member":    []byte("{" + strings.Repeat(`"member":1,`, size/11) + "}"),
		"long keys":      []byte(`{"` + strings.Repeat("k", size/2) + `":1,"` + strings.Repeat("k", size/2) + `":2}`),
	} {
		t.Run(name, func(t *testing.T) {
			mjson.Scan(doc, func(mjson.Type, int, int) bool { return true })
			mjson.Scanner{MaxDepth: 1 << 30}.Scan(doc, nil)
			v := mjson.Find(doc, "$")
			v.Number()
			v.Int()
			v.AppendString(nil)
			v.AppendHex(nil)
			v.AppendBase64(nil)
			mjson.Find(doc, "$["+strconv.Itoa(size)+"]")
			mjson.Find(doc, "$."+strings.Repeat(`\k`, size/2-1))
			mjson.Pretty(nil, doc, "\t")
			for range mjson.Children(doc) {
			}
			mjson.Next(doc, size)
			mjson.Merge(nil, doc, doc)
			mjson.Merge(nil, doc, members("null"))
			mjson.Match("*#*Z", doc)
			mjson.AppendQuoteBytes(nil, doc)
			mjson.Appendf(nil, string(doc[:min(len(doc), 1000)])+"%Q%H%V", doc, doc, doc)
		})
	}
}

func TestBackInRange(t *testing.T) {
	doc := []byte("0." + strings.Repeat("0", 100000) + "125e100003")
	if f, ok := mjson.ParseNumber(doc); f != 125 || !ok {
		t.Errorf("ParseNumber = %v, %v, want 125", f, ok)
	}
	if n, ok := mjson.ParseInt(doc); n != 125 || !ok {
		t.Errorf("ParseInt = %v, %v, want 125", n, ok)
	}
	doc = []byte("125" + strings.Repeat("0", 100000) + "e-100000")
	if f, ok := mjson.ParseNumber(doc); f != 125 || !ok {
		t.Errorf("ParseNumber = %v, %v, want 125", f, ok)
	}
	if n, ok := mjson.ParseInt(doc); n != 125 || !ok {
		t.Errorf("ParseInt = %v, %v, want 125", n, ok)
	}
}
