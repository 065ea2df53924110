package jsonrpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

func TestParseVerdicts(t *testing.T) {
	const (
		invalid = jsonrpc.CodeInvalidRequest
		notJSON = jsonrpc.CodeParseError
	)
	long := strings.Repeat("9", jsonrpc.MaxID)
	for _, c := range []struct {
		frame string
		kind  jsonrpc.Kind
		code  int
		id    string
	}{
		// ids of all types
		{`{"id":0,"method":"m"}`, jsonrpc.KindCall, 0, `0`},
		{`{"id":-1,"method":"m"}`, jsonrpc.KindCall, 0, `-1`},
		{`{"id":1.50,"method":"m"}`, jsonrpc.KindCall, 0, `1.50`},
		{`{"id":9007199254740993,"method":"m"}`, jsonrpc.KindCall, 0, `9007199254740993`},
		{`{"id":1e2147483647,"method":"m"}`, jsonrpc.KindCall, 0, `1e2147483647`},
		{`{"id":"","method":"m"}`, jsonrpc.KindCall, 0, `""`},
		{`{"id":"\u0031","method":"m"}`, jsonrpc.KindCall, 0, `"\u0031"`},
		{`{"id":"é","method":"m"}`, jsonrpc.KindCall, 0, `"é"`},
		{`{"method":"m","id":7}`, jsonrpc.KindCall, 0, `7`},
		{` { "id" : 7 , "method" : "m" } `, jsonrpc.KindCall, 0, `7`},
		{`{"id":` + long + `,"method":"m"}`, jsonrpc.KindCall, 0, long},
		{`{"id":` + long + `9,"method":"m"}`, 0, invalid, ""},
		{`{"id":"` + long[2:] + `","method":"m"}`, jsonrpc.KindCall, 0, `"` + long[2:] + `"`},
		{`{"id":"` + long[1:] + `","method":"m"}`, 0, invalid, ""},
		{`{"id":null,"method":"m"}`, 0, invalid, ""},
		{`{"id":true,"method":"m"}`, 0, invalid, ""},
		{`{"id":false,"method":"m"}`, 0, invalid, ""},
		{`{"id":[1],"method":"m"}`, 0, invalid, ""},
		{`{"id":{},"method":"m"}`, 0, invalid, ""},
		{`{"id":null,"result":1}`, jsonrpc.KindResult, 0, ""},
		{`{"id":null,"error":{"code":1}}`, jsonrpc.KindError, 0, ""},
		{`{"error":{"code":1}}`, jsonrpc.KindError, 0, ""},
		{`{"result":1}`, jsonrpc.KindResult, 0, ""},
		{`{"id":[],"result":1}`, 0, invalid, ""},
		// duplicates, in any spelling
		{`{"id":1,"id":1,"method":"m"}`, 0, invalid, "1"},
		{`{"id":1,"\u0069d":2,"method":"m"}`, 0, invalid, "1"},
		{`{"id":1,"method":"m","method":"m"}`, 0, invalid, "1"},
		{`{"id":1,"method":"m","m\u0065thod":"n"}`, 0, invalid, "1"},
		{`{"id":1,"method":"m","params":[],"params":[]}`, 0, invalid, "1"},
		{`{"id":1,"result":1,"result":1}`, 0, invalid, "1"},
		{`{"id":1,"error":1,"error":1}`, 0, invalid, "1"},
		{`{"id":1,"result":null,"result":1}`, 0, invalid, "1"},
		{`{"id":1,"method":"m","x":1,"x":2,"ID":3,"Method":4}`, jsonrpc.KindCall, 0, "1"},
		// mixtures
		{`{"id":1,"method":"m","result":1}`, 0, invalid, "1"},
		{`{"id":1,"method":"m","error":null}`, 0, invalid, "1"},
		{`{"id":1,"result":1,"error":null}`, jsonrpc.KindResult, 0, "1"},
		{`{"id":1,"result":1,"error":{}}`, jsonrpc.KindError, 0, "1"},
		{`{"id":1,"result":null,"error":0}`, jsonrpc.KindError, 0, "1"},
		{`{"id":1}`, 0, invalid, "1"},
		{`{}`, 0, invalid, ""},
		{`{"method":1}`, 0, invalid, ""},
		{`{"method":null,"id":3}`, 0, invalid, "3"},
		{`{"method":["m"]}`, 0, invalid, ""},
		{`{"method":""}`, jsonrpc.KindNotification, 0, ""},
		{`{"method":"m","params":null}`, jsonrpc.KindNotification, 0, ""},
		// batches and other roots
		{`[]`, 0, invalid, ""},
		{`[{"id":1,"method":"m"}]`, 0, invalid, ""},
		{`1`, 0, invalid, ""},
		{`"x"`, 0, invalid, ""},
		{`null`, 0, invalid, ""},
		// not JSON
		{``, 0, notJSON, ""},
		{` `, 0, notJSON, ""},
		{"\x00", 0, invalid, ""},
		{"{\"id\":1,\"method\":\"m\"}\x00", 0, notJSON, "1"},
		{"{\"id\":1,\"method\":\"a\x00\"}", 0, notJSON, "1"},
		{"{\"id\":1,\x00\"method\":\"a\"}", 0, notJSON, "1"},
		{"\ufeff{\"id\":1,\"method\":\"a\"}", 0, invalid, ""},
		{"{\"id\":1,\"method\":\"m\",\"params\":\"\xff\"}", 0, notJSON, "1"},
		{"{\"id\":1,\"method\":\"m\",\"params\":\"\xed\xa0\x80\"}", 0, notJSON, "1"},
		{"{\"id\":1,\"method\":\"m\",\"\xc0\xaf\":1}", 0, notJSON, "1"},
		{`{"id":1,"method":"m","params":[1e999999999,-1E+400,1e-999]}`, jsonrpc.KindCall, 0, "1"},
		{`{"id":1,"method":"m","params":01}`, 0, notJSON, "1"},
		{`{"id":1,"method":"m","params":.5}`, 0, notJSON, "1"},
		{`{"id":1,"method":"m","params":+1}`, 0, notJSON, "1"},
		{`{"id":1,"method":"m","params":NaN}`, 0, notJSON, "1"},
		{`{"id":1,"method":"m",}`, 0, notJSON, "1"},
		{`{"id":1 "method":"m"}`, 0, notJSON, ""},
		{`{"id":1,"method":"m"}}`, 0, notJSON, "1"},
		{`{"id":1,"method":"m"},`, 0, notJSON, "1"},
		{`{"id":1,"method":"m"}{"id":2,"method":"m"}`, 0, notJSON, "1"},
	} {
		var m jsonrpc.Message
		err := jsonrpc.Parse([]byte(c.frame), &m)
		code := 0
		if e, is := errors.AsType[*jsonrpc.ParseError](err); is {
			code = e.Code
		}
		if m.Kind() != c.kind || code != c.code {
			t.Errorf("%q: %v, %v; want %v, code %d", c.frame, m.Kind(), err, c.kind, c.code)
		}
		if err == nil && string(m.ID()) != c.id {
			t.Errorf("%q: id %q, want %q", c.frame, m.ID(), c.id)
		}
	}
}

func TestParseDepth(t *testing.T) {
	for d := range jsonrpc.MaxDepth + 3 {
		for _, s := range []string{
			strings.Repeat("[", d) + strings.Repeat("]", d),
			strings.Repeat(`{"":`, d) + "0" + strings.Repeat("}", d),
		} {
			if d == 0 {
				continue
			}
			if got, want := jsonrpc.Valid([]byte(s)), d <= jsonrpc.MaxDepth; got != want {
				t.Errorf("Valid at depth %d: %v", d, got)
			}
			for _, frame := range []string{`{"method":"m","params":%s}`, `{"method":"m","params":[%s]}`,
				`{"method":"m","x":%s}`, `{"method":"m","params":{"a":0,"b":%s}}`, `{"id":1,"error":%s}`} {
				room := jsonrpc.MaxDepth - 1
				if strings.Contains(frame, "[%") || strings.Contains(frame, "{\"a\"") {
					room--
				}
				var m jsonrpc.Message
				err := jsonrpc.Parse(fmt.Appendf(nil, frame, s), &m)
				if (err == nil) != (d <= room) {
					t.Errorf("%s at depth %d: %v", frame, d, err)
				}
			}
		}
	}
}

// TestParseDeepChildren: children of params beyond the recorded ones are found
// behind siblings that are nested deeper than package mjson goes.
func TestParseDeepChildren(t *testing.T) {
	deep := strings.Repeat("[", 29) + strings.Repeat("]", 29)
	var m jsonrpc.Message
	frame := `{"method":"m","params":[` + strings.Repeat(deep+",", 20) + `"last"]}`
	if err := jsonrpc.Parse([]byte(frame), &m); err != nil {
		t.Fatal(err)
	}
	if s, _ := m.Arg(20).Text(); s != "last" || m.Arg(21).Exists() || string(m.Arg(19).Raw) != deep {
		t.Errorf("Arg(20) = %q", m.Arg(20).Raw)
	}
	frame = `{"method":"m","params":{` + strings.Repeat(`"k":`+deep+",", 20) + `"l\u0061st":1}}`
	if err := jsonrpc.Parse([]byte(frame), &m); err != nil {
		t.Fatal(err)
	}
	if !m.Param("last").Exists() || m.Param("nope").Exists() || string(m.Param("k").Raw) != deep {
		t.Errorf("Param(last) = %q", m.Param("last").Raw)
	}
	frame = `{"id":1,"error":{"data":` + deep + `,"code":42,"message":"m"}}`
	if err := jsonrpc.Parse([]byte(frame), &m); err != nil {
		t.Fatal(err)
	}
	if e := m.Err(); !isCode(e, 42) || e.(*jsonrpc.Error).Message != "m" || string(e.(*jsonrpc.Error).Data) != deep {
		t.Errorf("deep error: %v", e)
	}
}

func TestMessageErr(t *testing.T) {
	for _, c := range []struct {
		value string
		code  int
		text  string
		data  string
	}{
		{`{"code":-32601,"message":"method not found"}`, -32601, "method not found", ""},
		{`{"code":0,"message":"fine"}`, 0, "", ""},
		{`{"message":"no code"}`, jsonrpc.CodeInternalError, "no code", ""},
		{`{"code":"7","message":5,"data":{"a":[]}}`, jsonrpc.CodeInternalError, "", `{"a":[]}`},
		{`{"code":1.5}`, jsonrpc.CodeInternalError, "", ""},
		{`{"code":1e99}`, jsonrpc.CodeInternalError, "", ""},
		{`"b\u006fom"`, jsonrpc.CodeInternalError, "boom", ""},
		{`[1]`, jsonrpc.CodeInternalError, "[1]", ""},
		{`true`, jsonrpc.CodeInternalError, "true", ""},
		{`{}`, jsonrpc.CodeInternalError, "", ""},
	} {
		var m jsonrpc.Message
		frame := []byte(`{"id":1,"error":` + c.value + `}`)
		if err := jsonrpc.Parse(frame, &m); err != nil {
			t.Fatalf("%s: %v", frame, err)
		}
		err := m.Err()
		clear(frame)
		if c.code == 0 {
			if err != nil {
				t.Errorf("%s: %v", c.value, err)
			}
			continue
		}
		e, is := err.(*jsonrpc.Error)
		if !is || e.Code != c.code || e.Message != c.text || string(e.Data) != c.data {
			t.Errorf("%s: %#v, want %+v", c.value, err, c)
		}
	}
}

// TestParseReuse: one Message takes frame after frame, and nothing of an
// earlier one shows.
func TestParseReuse(t *testing.T) {
	var m jsonrpc.Message
	if err := jsonrpc.Parse([]byte(`{"id":1,"m\u0065thod":"S\u0075m","params":[1,2,3,4,5,6,7,8,9]}`), &m); err != nil {
		t.Fatal(err)
	}
	r := m.Clone()
	if err := jsonrpc.Parse([]byte(`{"result":1}`), &m); err != nil {
		t.Fatal(err)
	}
	if m.Method() != nil || m.ID() != nil || m.Params() != nil || m.Arg(0).Exists() || m.Arg(8).Exists() {
		t.Errorf("left over: %q %q %q", m.Method(), m.ID(), m.Params())
	}
	if string(r.Method()) != "Sum" || string(r.Arg(8).Raw) != "9" || string(r.ID()) != "1" {
		t.Errorf("the clone changed: %q %q", r.Method(), r.Arg(8).Raw)
	}
	if jsonrpc.Parse([]byte(`{"id":1`), &m) == nil || m.Kind() != jsonrpc.KindInvalid {
		t.Errorf("kind after a faulty frame: %v", m.Kind())
	}
}

// worst are inputs meant to be slow, of about n bytes each.
func worst(n int) map[string]string {
	half := strings.Repeat("[", n/2)
	call := func(params string) string { return `{"id":1,"method":"Echo","params":` + params + `}` }
	keys := func(key func(i int) string) string {
		var b strings.Builder
		b.WriteString(`{`)
		for i := 0; b.Len() < n; i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(key(i) + ":0")
		}
		return b.String() + "}"
	}
	return map[string]string{
		"nesting":      call(half + strings.Repeat("]", n/2)),
		"shallow":      call("[" + strings.Repeat(strings.Repeat("[", 30)+strings.Repeat("]", 30)+",", n/61) + "0]"),
		"number":       call(strings.Repeat("9", n)),
		"fraction":     call("0." + strings.Repeat("9", n)),
		"exponent":     call("1e" + strings.Repeat("9", n)),
		"exponents":    call("[" + strings.Repeat("1e999999999,", n/12) + "1e-2147483647]"),
		"numbers":      call("[" + strings.Repeat("-0,", n/3) + "0]"),
		"escapes":      call(`"` + strings.Repeat(`\u00e9\"\\`, n/10) + `"`),
		"utf8":         call(`"` + strings.Repeat("é", n/2) + `"`),
		"quotes":       call("[" + strings.Repeat(`"",`, n/3) + `""]`),
		"keys":         call(keys(func(i int) string { return fmt.Sprintf(`"k%d"`, i) })),
		"equal keys":   call(keys(func(int) string { return `"k"` })),
		"members":      `{"id":1,"method":"Echo"` + strings.Repeat(`,"x":1`, n/6) + `}`,
		"escaped keys": `{"id":1,"method":"Echo"` + strings.Repeat(`,"\u0078\u0078":1`, n/17) + `}`,
		"spaces":       call(strings.Repeat(" \t", n/2) + "1"),
		"method":       `{"id":1,"method":"` + strings.Repeat("m", n) + `"}`,
		"esc method":   `{"id":1,"method":"` + strings.Repeat(`\u006d`, n/6) + `"}`,
		"duplicates":   `{"id":1,"method":"Echo"` + strings.Repeat(`,"id":1`, n/7) + `}`,
		"truncated":    `{"id":1,"method":"Echo","params":[` + strings.Repeat(`{"a":[`, 14) + strings.Repeat(" ", n),
		"open string":  `{"id":1,"method":"Echo","params":"` + strings.Repeat("a", n),
		"many frames":  strings.Repeat(`{"id":1,"method":"Echo"}`, n/24),
	}
}

// handled runs everything a peer's text passes through.
func handled(text []byte, m *jsonrpc.Message, e *jsonrpc.Engine, h jsonrpc.Handler, dst []byte) []byte {
	jsonrpc.Valid(text)
	if jsonrpc.Parse(text, m) == nil {
		dst = jsonrpc.Serve(context.Background(), dst[:0], m, h)
		m.Param("nope")
		m.Arg(1 << 30)
		m.Arg(7).Number()
		m.Arg(0).Number()
	}
	return e.Process(context.Background(), dst[:0], text)
}

// TestJ3Linear: ten times the text costs no more than sixty times the time.
// The bound is far above linear and far below quadratic, which would be a
// hundred, and the best of several runs is taken.
func TestJ3Linear(t *testing.T) {
	small, large := worst(20_000), worst(200_000)
	e := jsonrpc.NewEngine()
	e.HandleFunc("Echo", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) { w.Result(r.Params()) })
	mux := sumMux()
	var m jsonrpc.Message
	dst := make([]byte, 0, 2<<20)
	cost := func(text string, runs int) time.Duration {
		best := time.Hour
		for range runs {
			start := time.Now()
			dst = handled([]byte(text), &m, e, mux, dst)
			best = min(best, time.Since(start))
		}
		return best
	}
	for name, text := range small {
		a, b := cost(text, 7), cost(large[name], 3)
		for try := 0; b > 60*max(a, 10*time.Microsecond) && try < 5; try++ {
			a, b = cost(text, 7), min(b, cost(large[name], 3))
		}
		ratio := float64(b) / float64(max(a, 1))
		if b > 60*max(a, 10*time.Microsecond) {
			t.Errorf("%s: %v for 20 kB, %v for 200 kB: factor %.1f", name, a, b, ratio)
		}
	}
}

// TestJ3Worst: worst inputs of every size up to 1 MiB are judged right.
func TestJ3Worst(t *testing.T) {
	e := jsonrpc.NewEngine()
	mux := sumMux()
	var m jsonrpc.Message
	size := 1 << 20
	if race.Enabled {
		size = 1 << 17
	}
	for _, n := range []int{1 << 10, 4096, 1 << 15, size} {
		for name, text := range worst(n) {
			err := jsonrpc.Parse([]byte(text), &m)
			refused := name == "nesting" || name == "duplicates" || name == "truncated" || name == "open string" || name == "many frames"
			if (err != nil) != refused {
				t.Errorf("%s of %d bytes: %v", name, n, err)
			}
			handled([]byte(text), &m, e, mux, nil)
		}
	}
}

// BenchmarkJ3Frame4096 takes the worst frames that fit the UART limit through
// parser, dispatch and reply.
func BenchmarkJ3Frame4096(b *testing.B) {
	for name, text := range worst(4096 - 64) {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			e := jsonrpc.NewEngine()
			mux := sumMux()
			var m jsonrpc.Message
			dst := make([]byte, 0, 64<<10)
			frame := []byte(text)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				dst = handled(frame, &m, e, mux, dst)
			}
		})
	}
}

// TestAppend checks the frame builders against the parser.
func TestAppend(t *testing.T) {
	const text = "a\"\\\n\x01/é\u2028"
	for _, c := range []struct{ got, want string }{
		{string(jsonrpc.AppendRequest([]byte("> "), []byte("7"), text, []byte("[1]"))), `> {"id":7,"method":"a\"\\\n\u0001/é` + "\u2028" + `","params":[1]}`},
		{string(jsonrpc.AppendRequest(nil, []byte(`"x"`), "m", nil)), `{"id":"x","method":"m"}`},
		{string(jsonrpc.AppendNotification(nil, "m", []byte("{}"))), `{"method":"m","params":{}}`},
		{string(jsonrpc.AppendNotification(nil, "", nil)), `{"method":""}`},
		{string(jsonrpc.AppendResult(nil, []byte("1"), nil)), `{"id":1,"result":null}`},
		{string(jsonrpc.AppendResult(nil, []byte("1"), []byte(`"r"`))), `{"id":1,"result":"r"}`},
		{string(jsonrpc.AppendError(nil, []byte("1"), -5, "m\"", []byte("[2]"))), `{"id":1,"error":{"code":-5,"message":"m\"","data":[2]}}`},
		{string(jsonrpc.AppendError(nil, nil, 5, "", nil)), `{"error":{"code":5,"message":""}}`},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
		var m jsonrpc.Message
		if err := jsonrpc.Parse([]byte(strings.TrimPrefix(c.got, "> ")), &m); err != nil {
			t.Errorf("%s: %v", c.got, err)
		}
	}
	if s, is := (mjson.Value{Raw: mjson.AppendQuote(nil, text)}).Text(); !is || s != text {
		t.Errorf("quoted and back: %q", s)
	}
}
