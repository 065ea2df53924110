package mjson_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// sink keeps results alive without making them escape one by one.
var sink int

// noAllocs checks that f does not allocate.
func noAllocs(t *testing.T, name string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(200, f); n != 0 {
		t.Errorf("%s: %v allocations, want 0", name, n)
	}
}

func TestNoAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("allocation counts mean nothing under the race detector")
	}
	doc := []byte(`{"id":12007,"s":"caf\u00e9 \/ text","h":"4\u0034ff","b":"TWFu","f":1.7976931348623157e308,"n":` +
		strings.Repeat("9", 300) + `,"l":[1,2,{"x":true}],"m":9007199254740993.0000000000000000000000000000000000001}`)
	buf := make([]byte, 0, 2048)
	noAllocs(t, "Scan", func() {
		count := 0
		n, _ := mjson.Scan(doc, func(mjson.Type, int, int) bool { count++; return true })
		sink += n + count
	})
	noAllocs(t, "Valid", func() { sink += len(doc); mjson.Valid(doc) })
	noAllocs(t, "Find", func() { sink += mjson.Find(doc, "$.l[2].x").Offset })
	noAllocs(t, "getters", func() {
		sink += int(mjson.GetNumber(doc, "$.id", 0)) + int(mjson.GetInt(doc, "$.id", 0))
		for _, path := range []string{"$.f", "$.n", "$.m"} {
			if mjson.GetNumber(doc, path, 0) == 0 {
				t.Error("not found: " + path)
			}
		}
		s, _ := mjson.GetString(doc, "$.s", buf)
		h, _ := mjson.GetHex(doc, "$.h", buf)
		b, _ := mjson.GetBase64(doc, "$.b", buf)
		sink += len(s) + len(h) + len(b)
	})
	limits := []byte(`[1.797693134862315807e308,1.797693134862315808e308,1e310,1e-400,1e999999999999]`)
	noAllocs(t, "limits", func() {
		for _, v := range mjson.Children(limits) {
			v.Number()
			v.Int()
		}
	})
	noAllocs(t, "Children", func() {
		for name, v := range mjson.Children(doc) {
			sink += name.Index + v.Offset
		}
	})
	noAllocs(t, "Next", func() {
		for next, _, v := mjson.Next(doc, 0); next > 0; next, _, v = mjson.Next(doc, next) {
			sink += v.Offset
		}
	})
	noAllocs(t, "Match", func() {
		if !mjson.Match("#.S?t*x", []byte("Config.Set-x")) {
			t.Error("no match")
		}
	})
	noAllocs(t, "Pretty", func() {
		out, _ := mjson.Pretty(buf, doc, "  ")
		sink += len(out)
	})
	noAllocs(t, "quote", func() { sink += len(mjson.AppendQuoteBytes(buf, doc)) })
}

func TestNoAllocationsAppendf(t *testing.T) {
	if race.Enabled {
		t.Skip("allocation counts mean nothing under the race detector")
	}
	n := 1000 // the arguments must not be constants, which need no memory
	noAllocs(t, "Appendf", func() {
		n++
		var local [512]byte // stays on the stack only if Appendf does not keep it
		text := local[500:500]
		text = strconv.AppendInt(text, int64(n), 10)
		out, err := mjson.Appendf(local[:0], `{%Q:%d,%Q:[%u,%ld,%lu,%g,%.*g,%B,%.*Q,%V,%H,%Q,%d,%d]}`,
			string(text), n, "k", uint32(n), int64(n)<<33, uint64(n)<<33, float64(n)/3, n%9, float32(n),
			n%2 == 0, len(text), text, len(text), text, text, nil, int32(n), int8(n))
		sink += len(out)
		if err != nil {
			t.Error(err)
		}
	})
	noAllocs(t, "Appendf without error", func() {
		n++
		var local [128]byte
		out, err := mjson.Appendf(local[:0], `{"id":%d,"result":{%Q:%g,%Q:%B}}`, n, "temp", float64(n)/8, "on", n&1 == 0)
		if err != nil {
			t.Error(err)
		}
		sink += len(out)
	})
	noAllocs(t, "Snprintf", func() {
		n++
		var local [64]byte
		k, _ := mjson.Snprintf(local[:], `[%d,%Q]`, n, "text")
		sink += k
	})
}

func TestNoAllocationsMerge(t *testing.T) {
	if race.Enabled {
		t.Skip("allocation counts mean nothing under the race detector")
	}
	a, b := bytes.NewBufferString(`{"x":{"y":{"z":1}}`), bytes.NewBufferString(`{"x":{"y":{"z":2,"w":3}}`)
	for i := range 90 {
		a.WriteString(`,"k` + strconv.Itoa(i) + `":` + strconv.Itoa(i))
		b.WriteString(`,"k` + strconv.Itoa(i*2) + `":` + strconv.Itoa(i))
	}
	a.WriteByte('}')
	b.WriteByte('}')
	noAllocs(t, "Merge", func() {
		var dst [4096]byte
		sink += len(mjson.Merge(dst[:0], a.Bytes(), b.Bytes()))
	})
}
