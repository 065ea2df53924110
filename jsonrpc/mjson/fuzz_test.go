package mjson_test

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// seeds calls add with every row of the vector files that match pattern.
func seeds[T any](f *testing.F, pattern string, add func(T)) {
	f.Helper()
	for _, file := range vectors.Files(f, pattern) {
		for _, line := range vectors.Lines(f, file) {
			var row T
			if err := json.Unmarshal(line, &row); err != nil {
				f.Fatal(err)
			}
			add(row)
		}
	}
}

func FuzzScan(f *testing.F) {
	seeds(f, "mjson/scan*.jsonl", func(r docRow) { f.Add(vectors.Text(r.Doc, r.DocHex), byte(0)) })
	f.Fuzz(func(t *testing.T, doc []byte, depth byte) {
		s := mjson.Scanner{MaxDepth: int(depth)}
		doc = guarded(doc)
		ret, evs := events(s, doc)
		if fast := cResult(s.Scan(doc, nil)); fast != ret {
			t.Fatalf("%q, depth %d: %d with events, %d without", doc, depth, ret, fast)
		}
		checkEvents(t, doc, ret, evs)
		if json.Valid(doc) && ret != -2 && ret != len(bytes.TrimRight(doc, " \t\r\n")) {
			t.Fatalf("%q is JSON, Scan = %d", doc, ret)
		}
		pretty, err := mjson.Pretty(nil, doc, "")
		if (err == nil) != (cResult(mjson.Scan(doc, nil)) > 0) {
			t.Fatalf("Pretty(%q): %v", doc, err)
		}
		if again, _ := mjson.Pretty(nil, pretty, ""); err == nil && !bytes.Equal(again, pretty) {
			t.Fatalf("Pretty(%q) = %q, then %q", doc, pretty, again)
		}
	})
}

// checkEvents checks the order of the tokens and what they consist of.
func checkEvents(t *testing.T, doc []byte, ret int, evs []event) {
	t.Helper()
	end := 0
	for _, e := range evs {
		raw := doc[e.Off : e.Off+e.N]
		if e.Off < end || e.N < 1 || len(bytes.Trim(doc[end:e.Off], " \t\r\n")) != 0 {
			t.Fatalf("%q: token %v does not follow the one that ends at %d", doc, e, end)
		}
		end = e.Off + e.N
		switch e.Type {
		case mjson.Number:
			checkNumber(t, string(raw))
		case mjson.String, mjson.Key:
			if raw[0] != '"' || raw[len(raw)-1] != '"' || e.N < 2 {
				t.Fatalf("%q: string %q", doc, raw)
			}
		}
	}
	if ret > 0 && ret != end {
		t.Fatalf("%q: Scan = %d, the last token ends at %d", doc, ret, end)
	}
}

func FuzzFind(f *testing.F) {
	seeds(f, "mjson/find*.jsonl", func(r struct {
		docRow
		Path string `json:"path"`
	}) {
		f.Add(vectors.Text(r.Doc, r.DocHex), r.Path)
	})
	f.Fuzz(func(t *testing.T, doc []byte, path string) {
		doc = guarded(doc)
		v := mjson.Find(doc, path)
		if !v.Exists() {
			if v.Raw != nil || v.Offset != 0 {
				t.Fatalf("Find(%q, %q) = %+v", doc, path, v)
			}
			checkPaths(t, doc)
			return
		}
		if !bytes.Equal(v.Raw, doc[v.Offset:v.Offset+len(v.Raw)]) || cap(v.Raw) != len(v.Raw) {
			t.Fatalf("Find(%q, %q): Raw %q is not at %d", doc, path, v.Raw, v.Offset)
		}
		if n, err := mjson.Scan(v.Raw, nil); n != len(v.Raw) || err != nil {
			t.Fatalf("Find(%q, %q) = %q scans as %d, %v", doc, path, v.Raw, n, err)
		}
		if f, ok := v.Number(); ok {
			if n, ok := v.Int(); ok && math.Abs(float64(n)-f) > 1024 {
				t.Fatalf("%q: Number %v, Int %d", v.Raw, f, n)
			}
		}
		for _, get := range []func([]byte) ([]byte, bool){v.AppendString, v.AppendHex, v.AppendBase64} {
			if out, ok := get([]byte("dst")); !bytes.HasPrefix(out, []byte("dst")) || !ok && len(out) != 3 {
				t.Fatalf("%q decodes to %q, %v", v.Raw, out, ok)
			}
		}
		checkPaths(t, doc)
	})
}

// checkPaths finds every first child again by its path.
func checkPaths(t *testing.T, doc []byte) {
	t.Helper()
	seen := map[string]bool{}
	for name, v := range mjson.Children(doc) {
		path := "$[" + itoa(name.Index) + "]"
		if name.Raw != nil {
			if seen[string(name.Raw)] {
				continue
			}
			seen[string(name.Raw)] = true
			path = "$."
			for _, c := range name.Raw[1 : len(name.Raw)-1] {
				path += `\` + string([]byte{c})
			}
		}
		if got := mjson.Find(doc, path); got.Offset != v.Offset || !bytes.Equal(got.Raw, v.Raw) {
			t.Fatalf("%q: child %q is %q, Find(%q) = %q", doc, name.Raw, v.Raw, path, got.Raw)
		}
	}
}

func itoa(n int) string {
	text, _ := mjson.Appendf(nil, "%d", n)
	return string(text)
}

func FuzzUnquote(f *testing.F) {
	seeds(f, "mjson/get*.jsonl", func(r struct {
		docRow
		Path string `json:"path"`
	}) {
		f.Add([]byte(mjson.Find(vectors.Text(r.Doc, r.DocHex), r.Path).Raw))
	})
	f.Fuzz(func(t *testing.T, quoted []byte) {
		quoted = guarded(quoted)
		text, ok := mjson.AppendUnquote([]byte("dst"), quoted)
		if !ok && string(text) != "dst" || len(text) > len(quoted)+3 {
			t.Fatalf("AppendUnquote(%q) = %q, %v", quoted, text, ok)
		}
		var std string
		if bytes.HasPrefix(quoted, []byte{'"'}) && bytes.HasSuffix(quoted, []byte{'"'}) && json.Unmarshal(quoted, &std) == nil {
			if !ok || strings.ToValidUTF8(string(text[3:]), "\uFFFD") != strings.ToValidUTF8(std, "\uFFFD") && validUTF8(quoted) {
				t.Fatalf("AppendUnquote(%q) = %q, %v, encoding/json has %q", quoted, text, ok, std)
			}
		}
		if ok {
			again, ok := mjson.AppendUnquote(nil, mjson.AppendQuoteBytes(nil, text[3:]))
			if !ok || !bytes.Equal(again, text[3:]) {
				t.Fatalf("%q quoted and unquoted is %q", text[3:], again)
			}
			in := slices.Clone(quoted)
			if place, ok := mjson.AppendUnquote(in[:0], in); !ok || !bytes.Equal(place, text[3:]) {
				t.Fatalf("AppendUnquote(%q) in place = %q", quoted, place)
			}
		}
		q := mjson.AppendQuoteBytes(nil, quoted)
		if n, err := mjson.Scan(q, nil); n != len(q) || err != nil || validUTF8(quoted) && !json.Valid(q) {
			t.Fatalf("AppendQuote(%q) = %q", quoted, q)
		}
	})
}

func validUTF8(b []byte) bool { return string(bytes.ToValidUTF8(b, nil)) == string(b) }

func FuzzMerge(f *testing.F) {
	seeds(f, "mjson/merge*.jsonl", func(r struct{ A, B string }) { f.Add([]byte(r.A), []byte(r.B)) })
	f.Fuzz(func(t *testing.T, a, b []byte) {
		a, b = guarded(a), guarded(b)
		got := mjson.Merge(nil, a, b)
		if want := mergeModel(a, b); string(got) != want {
			t.Fatalf("Merge(%q, %q)\n got %q\nwant %q", a, b, got, want)
		}
		if len(a) < 2 {
			return
		}
		if n, err := mjson.Scan(got, nil); n != len(got) || err != nil {
			t.Fatalf("Merge(%q, %q) = %q, not JSON", a, b, got)
		}
		// With nothing to merge the members stay as they are.
		same := mjson.Merge(nil, got, []byte("{}"))
		if again := mjson.Merge(nil, same, nil); !bytes.Equal(again, same) || !bytes.Equal(same, got) {
			t.Fatalf("%q merged with {} is %q, then %q", got, same, again)
		}
	})
}

func FuzzAppendf(f *testing.F) {
	seeds(f, "mjson/printf*.jsonl", func(r printfRow) { f.Add(r.format(), int64(7), 2.5, "text", []byte("bytes")) })
	f.Fuzz(func(t *testing.T, format string, n int64, x float64, s string, b []byte) {
		args := []any{n, s, int(n), b, x, nil, s, n > 0, int32(n), x, mjson.PrintFunc(printM1), int(n), uint64(n), b, s}
		for i := range args {
			got, err := mjson.Appendf([]byte("dst"), format, args[i:]...)
			if !bytes.HasPrefix(got, []byte("dst")) {
				t.Fatalf("Appendf(%q) = %q", format, got)
			}
			if !strings.Contains(format, "%") && string(got[3:]) != format {
				t.Fatalf("Appendf(%q) = %q", format, got)
			}
			if err == nil && !wellFormed(format) {
				t.Fatalf("Appendf(%q) = %q without an error", format, got)
			}
			var buf [40]byte
			k, _ := mjson.Snprintf(buf[:], format, args[i:]...)
			if !bytes.HasPrefix(got[3:], buf[:k]) || k < min(39, len(got)-3) || buf[k] != 0 {
				t.Fatalf("Snprintf(%q) = %q, Appendf %q", format, buf[:k], got)
			}
		}
	})
}
