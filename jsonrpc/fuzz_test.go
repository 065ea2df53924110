package jsonrpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/internal/wire"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// seedFrames adds the frames of the vectors, of the manual and some of our own.
func seedFrames(f *testing.F, add func([]byte)) {
	for _, s := range manualFrames {
		add([]byte(s))
	}
	type row struct {
		Frame *string
		B64   []byte `json:"frame_b64"`
		Data  []byte `json:"data_b64"`
	}
	for _, pattern := range []string{"bad/json/frames*.jsonl", "bad/json/jsontestsuite*.jsonl"} {
		for _, file := range vectors.Files(f, pattern) {
			for _, line := range vectors.Lines(f, file)[1:] {
				var r row
				if err := json.Unmarshal(line, &r); err != nil {
					f.Fatal(err)
				}
				switch {
				case r.Frame != nil:
					add([]byte(*r.Frame))
				case r.B64 != nil:
					add(r.B64)
				case len(r.Data) < 1000:
					add(r.Data)
					add([]byte(`{"id":1,"method":"Echo","params":` + string(r.Data) + `}`))
				}
			}
		}
	}
	for _, s := range []string{
		`{"id":1,"result":5}`, `{"id":1,"error":{"code":-1,"message":"x","data":[1]}}`, `{"error":{"code":-32700}}`,
		`{"\u0069d":1,"meth\u006fd":"S\u0075m","params":{"\u0061":1}}`, `{"id":null,"method":"x"}`, `{"id":null,"result":1}`,
		`{"id":1,"method":"x","params":[1,2,3,4,5,6,7,8,9,10]}`, `{"id":"\ud800","method":"\ud800\u0041"}`,
		`{"method":"x","params":{"a":1,"a":2,"b":[],"c":{},"d":0,"e":"","f":true,"g":null,"h":-0.5e-7,"i":1}}`,
		`{"id":1,"method":"Echo"}{"id":2,"method":"Echo"}`,
		`{"id":1,"method":"e","params":[` + strings.Repeat("[", 30) + strings.Repeat("]", 30) + `,1,2,3,4,5,6,7,8,9]}`,
	} {
		add([]byte(s))
	}
}

// depth returns the deepest nesting of a valid text.
func depth(text []byte) int {
	deep, now, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted:
			if c == '\\' {
				i++
			}
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == '[' || c == '{':
			now++
			deep = max(deep, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return deep
}

// strict is Valid by other means.
func strict(text []byte) bool {
	return json.Valid(text) && utf8.Valid(text) && depth(text) <= jsonrpc.MaxDepth
}

// pair is a member as encoding/json sees it.
type pair struct {
	key string
	val json.RawMessage
}

// pairs lists the members of an object or the elements of an array, in order,
// duplicates included. ok is false for other values.
func pairs(t testing.TB, text []byte) (list []pair, object, ok bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	tok, err := d.Token()
	if err != nil {
		t.Fatalf("encoding/json: %q: %v", text, err)
	}
	delim, is := tok.(json.Delim)
	if !is {
		return nil, false, false
	}
	for d.More() {
		var p pair
		if delim == '{' {
			tok, err = d.Token()
			if err != nil {
				t.Fatalf("encoding/json: %q: %v", text, err)
			}
			p.key = tok.(string)
		}
		if err := d.Decode(&p.val); err != nil {
			t.Fatalf("encoding/json: %q: %v", text, err)
		}
		list = append(list, p)
	}
	return list, delim == '{', true
}

// checkParse compares Parse with encoding/json.
func checkParse(t testing.TB, text []byte, m *jsonrpc.Message) {
	whole := bytes.Clone(text)
	err := jsonrpc.Parse(text, m)
	if !bytes.Equal(whole, text) {
		t.Fatalf("Parse changed %q to %q", whole, text)
	}
	valid := jsonrpc.Valid(text)
	if want := strict(text); valid != want {
		t.Fatalf("Valid(%q) = %v, want %v", text, valid, want)
	}
	if err != nil {
		checkRefusal(t, text, err, m, valid)
		return
	}
	if !valid {
		t.Fatalf("Parse took %q, which is not valid", text)
	}
	list, object, _ := pairs(t, text)
	if !object {
		t.Fatalf("Parse took %q, which is no object", text)
	}
	known := members(t, text, list)
	for _, key := range []string{"id", "method", "params", "result", "error"} {
		if len(known[key]) > 1 {
			t.Fatalf("Parse took %q with two %s", text, key)
		}
	}
	if got, want := m.ID(), known["id"]; len(want) == 0 != (got == nil) && string(want[0]) != "null" || got != nil && string(got) != string(want[0]) {
		t.Fatalf("%q: id %q, want %q", text, got, want)
	}
	if id := m.ID(); id != nil && (len(id) > jsonrpc.MaxID || id[0] != '"' && id[0] != '-' && (id[0] < '0' || id[0] > '9')) {
		t.Fatalf("%q: id %q", text, id)
	}
	same(t, text, "params", m.Params(), known["params"])
	same(t, text, "result", m.Result(), known["result"])
	same(t, text, "error", m.ErrorValue(), known["error"])
	checkKind(t, text, m, known)
	checkMethod(t, text, m, known["method"])
	checkArgs(t, text, &m.Request)
	checkArgs(t, text, m.Clone())
	_ = m.Err()
}

func members(t testing.TB, text []byte, list []pair) map[string][]json.RawMessage {
	known := map[string][]json.RawMessage{}
	for _, p := range list {
		known[p.key] = append(known[p.key], p.val)
	}
	return known
}

func same(t testing.TB, text []byte, what string, got []byte, want []json.RawMessage) {
	if len(want) == 0 != (got == nil) || got != nil && !bytes.Equal(got, want[0]) {
		t.Fatalf("%q: %s %q, want %q", text, what, got, want)
	}
	if cap(got) != len(got) {
		t.Fatalf("%q: %s has spare capacity", text, what)
	}
}

// checkRefusal checks the error of Parse: the offset, the code, and that it had
// a reason to refuse valid text.
func checkRefusal(t testing.TB, text []byte, err error, m *jsonrpc.Message, valid bool) {
	e, is := err.(*jsonrpc.ParseError)
	if !is || e.Offset < 0 || e.Offset > len(text) || e.Reason == "" {
		t.Fatalf("Parse(%q) = %#v", text, err)
	}
	if !valid {
		return
	}
	if e.Code != jsonrpc.CodeInvalidRequest {
		t.Fatalf("Parse(%q) = code %d for valid JSON: %v", text, e.Code, err)
	}
	list, object, _ := pairs(t, text)
	if !object {
		return
	}
	k := members(t, text, list)
	for _, key := range []string{"id", "method", "params", "result", "error"} {
		if len(k[key]) > 1 {
			return
		}
	}
	answer := len(k["result"])+len(k["error"]) > 0
	if len(k["method"]) == 1 == answer || len(k["method"]) == 1 && k["method"][0][0] != '"' {
		return
	}
	if len(k["id"]) == 1 {
		id := k["id"][0]
		switch c := id[0]; {
		case len(id) > jsonrpc.MaxID, c == '{', c == '[', c == 't', c == 'f', c == 'n' && !answer:
			return
		}
	}
	t.Fatalf("Parse(%q) refused without a reason: %v", text, err)
}

func checkKind(t testing.TB, text []byte, m *jsonrpc.Message, k map[string][]json.RawMessage) {
	want := jsonrpc.KindResult
	switch {
	case len(k["method"]) == 1 && len(k["id"]) == 1:
		want = jsonrpc.KindCall
	case len(k["method"]) == 1:
		want = jsonrpc.KindNotification
	case len(k["error"]) == 1 && string(k["error"][0]) != "null":
		want = jsonrpc.KindError
	}
	if m.Kind() != want {
		t.Fatalf("%q: %v, want %v", text, m.Kind(), want)
	}
}

// decodable reports whether our decoder takes the string: encoding/json
// replaces lone surrogates, and so do we.
func decodeString(t testing.TB, raw []byte) string {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatalf("encoding/json: %q: %v", raw, err)
	}
	return s
}

func checkMethod(t testing.TB, text []byte, m *jsonrpc.Message, want []json.RawMessage) {
	if len(want) == 0 {
		if m.Method() != nil {
			t.Fatalf("%q: method %q", text, m.Method())
		}
		return
	}
	if s := decodeString(t, want[0]); string(m.Method()) != s {
		t.Fatalf("%q: method %q, want %q", text, m.Method(), s)
	}
}

// checkArgs compares every child of params.
func checkArgs(t testing.TB, text []byte, r *jsonrpc.Request) {
	if r.Arg(-1).Exists() {
		t.Fatalf("%q: Arg(-1) exists", text)
	}
	if r.Params() == nil {
		if r.Arg(0).Exists() || r.Param("").Exists() {
			t.Fatalf("%q: children without params", text)
		}
		return
	}
	list, object, _ := pairs(t, r.Params())
	if r.Arg(len(list)).Exists() {
		t.Fatalf("%q: Arg(%d) of %d exists", text, len(list), len(list))
	}
	seen := map[string]bool{}
	for i, p := range list {
		v := r.Arg(i)
		if !bytes.Equal(v.Raw, p.val) {
			t.Fatalf("%q: Arg(%d) = %q, want %q", text, i, v.Raw, p.val)
		}
		if got := r.Params()[v.Offset : v.Offset+len(v.Raw)]; !bytes.Equal(got, v.Raw) {
			t.Fatalf("%q: Arg(%d) at offset %d is %q, want %q", text, i, v.Offset, got, v.Raw)
		}
		checkValue(t, text, v)
		if object && !seen[p.key] {
			seen[p.key] = true
			if v := r.Param(p.key); !bytes.Equal(v.Raw, p.val) {
				t.Fatalf("%q: Param(%q) = %q, want %q", text, p.key, v.Raw, p.val)
			}
		}
	}
}

// checkValue compares a scalar.
func checkValue(t testing.TB, text []byte, v mjson.Value) {
	switch v.Type() {
	case mjson.Number:
		x, took := v.Number()
		want, err := strconv.ParseFloat(string(v.Raw), 64)
		if err != nil && !math.IsInf(want, 0) {
			t.Fatalf("%q: ParseFloat(%q): %v", text, v.Raw, err)
		}
		if took && x != want || !took && err == nil {
			t.Fatalf("%q: number %q = %v, %v; want %v, %v", text, v.Raw, x, took, want, err)
		}
		n, isInt := v.Int()
		if want, err := strconv.ParseInt(string(v.Raw), 10, 64); err == nil && (!isInt || n != want) {
			t.Fatalf("%q: integer %q = %v, %v", text, v.Raw, n, isInt)
		}
	case mjson.String:
		s, is := v.Text()
		if want := decodeString(t, v.Raw); !is || s != want {
			t.Fatalf("%q: string %q = %q, %v; want %q", text, v.Raw, s, is, want)
		}
	case mjson.Invalid:
		t.Fatalf("%q: a child is invalid", text)
	}
}

func FuzzParse(f *testing.F) {
	seedFrames(f, func(b []byte) { f.Add(b) })
	var m jsonrpc.Message // one for all: nothing may be left over
	f.Fuzz(func(t *testing.T, text []byte) {
		checkParse(t, text, &m)
		var fresh jsonrpc.Message
		checkParse(t, text, &fresh)
	})
}

// newEngines returns one Engine of each dialect with the same handlers, which
// answer with valid JSON only.
func newEngines() []*jsonrpc.Engine {
	list := []*jsonrpc.Engine{jsonrpc.NewEngine(), jsonrpc.NewCCMEngine(jsonrpc.SysInfo{})}
	for _, e := range list {
		e.HandleFunc("Sum", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			a, _ := r.Arg(0).Number()
			b, _ := r.Arg(1).Number()
			w.Resultf("%g", a+b)
		})
		e.HandleFunc("Echo", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) { w.Result(r.Params()) })
		e.HandleFunc("Panic", func(context.Context, *jsonrpc.Response, *jsonrpc.Request) { panic(1) })
		e.HandleFunc("Method", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			w.Resultf("%.*Q", len(r.Method()), r.Method())
		})
		e.HandleFunc("Fail", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
			w.ErrorData(5, string(r.Params()), r.Params())
		})
		e.HandleFunc("Detach", func(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) { w.Detach().Result(nil) })
	}
	return list
}

// topMembers reports whether a frame is, by the grammar of mjson, an object
// with a result or an error.
func isAnswer(frame []byte) bool {
	n, err := mjson.Scan(frame, nil)
	if err != nil {
		return false
	}
	for name := range mjson.Children(frame[:n]) {
		if s := string(name.Raw); s == `"result"` || s == `"error"` {
			return true
		}
	}
	return false
}

func FuzzEngine(f *testing.F) {
	seedFrames(f, func(b []byte) { f.Add(b, uint16(7)) })
	f.Add([]byte("{\"id\":1,\"method\":\"Echo\"}\n{\"id\":2,\"method\":\"Echo\",\"params\":[1]}\n"), uint16(3))
	f.Add([]byte(strings.Repeat("x", 70)+"\n{\"id\":2,\"method\":\"Fail\",\"params\":[1]}\n"), uint16(64))
	f.Fuzz(func(t *testing.T, text []byte, limit uint16) {
		line := bytes.ReplaceAll(text, []byte("\n"), []byte(" "))
		for i, e := range newEngines() {
			out := e.Process(t.Context(), nil, line)
			if len(out) == 0 {
				continue
			}
			if isAnswer(line) {
				t.Fatalf("dialect %d answers %q with %q", i, line, out)
			}
			body, nl := bytes.CutSuffix(out, []byte("\n"))
			if !nl || bytes.IndexByte(body, '\n') >= 0 {
				t.Fatalf("dialect %d: %q: not one line: %q", i, line, out)
			}
			// Whatever is nested as deep as mjson goes comes out one deeper.
			s := mjson.Scanner{MaxDepth: mjson.DefaultMaxDepth + 1}
			if n, err := s.Scan(body, nil); err != nil || n != len(body) {
				t.Fatalf("dialect %d: %q: answered %q: %d of %d bytes: %v", i, line, out, n, len(body), err)
			}
			prefix := e.Process(t.Context(), []byte("keep"), line)
			if string(prefix) != "keep"+string(out) {
				t.Fatalf("dialect %d: %q: second run gives %q, first %q", i, line, prefix, out)
			}
		}
		chunked(t, text, int(limit)%300+2)
	})
}

// chunked compares ProcessBytes with Process for each line.
func chunked(t *testing.T, text []byte, limit int) {
	bytewise, whole := newEngines(), newEngines()
	for i := range bytewise {
		e := bytewise[i]
		e.MaxLine = limit
		var got, want []byte
		for p, n := text, 1; len(p) > 0; n = n*3%7 + 1 {
			k := min(n, len(p))
			got = e.ProcessBytes(t.Context(), got, p[:k])
			p = p[k:]
		}
		lines := bytes.Split(text, []byte("\n"))
		over := uint64(0)
		for j, line := range lines {
			if len(line) > limit {
				over++
			} else if j < len(lines)-1 && len(line) > 1 {
				want = whole[i].Process(t.Context(), want, line)
			}
		}
		if !bytes.Equal(got, want) || e.Overlong() != over {
			t.Fatalf("dialect %d: limit %d: %q gives %q, %d overlong; line by line %q, %d",
				i, limit, text, got, e.Overlong(), want, over)
		}
	}
}

// FuzzConnLine throws lines at a Conn. The probe must be answered, answers must
// not be answered, and whatever is sent must be one valid object a line.
func FuzzConnLine(f *testing.F) {
	seedFrames(f, func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, text []byte) {
		synctest.Test(t, func(t *testing.T) {
			b := newBare(t, &wire.Options{Buffer: 1 << 20}, nil, &jsonrpc.ConnOptions{Handler: sumMux()})
			b.send(string(text))
			b.send("\n")
			first := b.lines()
			for _, l := range first {
				r := decodeReply(t, l)
				if !strict([]byte(l)) || len(r.ID) == 0 || string(r.ID) == "null" || r.Result == nil == (r.Error == nil) && r.Error != nil {
					t.Errorf("%q answered by %q", text, l)
				}
			}
			if !bytes.Contains(text, []byte("\n")) && onlyAnswers(text) && len(first) > 0 {
				t.Errorf("the answer %q was answered by %q", text, first)
			}
			b.probe(string(text))
			if err := b.close(); err != nil {
				t.Errorf("%q: Run: %v", text, err)
			}
		})
	})
}

// onlyAnswers reports whether a line is an object with a result or an error by
// encoding/json.
func onlyAnswers(line []byte) bool {
	var m map[string]json.RawMessage
	if json.Unmarshal(line, &m) != nil {
		return false
	}
	return m["result"] != nil || m["error"] != nil
}
