package mjson_test

import (
	"bytes"
	"errors"
	"math"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// docRow is the part that most vector files have in common.
type docRow struct {
	Doc    *string `json:"doc"`
	DocHex *string `json:"doc_hex"`
}

// bytes returns the document as the front of a larger array, so that a read
// beyond its end would find text that changes the result.
func (r docRow) bytes() []byte { return guarded(vectors.Text(r.Doc, r.DocHex)) }

// guarded returns a copy of b with tempting bytes behind its end.
func guarded(b []byte) []byte {
	const poison = `"]}5e9]}]}true`
	return append(slices.Clone(b), poison...)[:len(b)]
}

type event struct {
	Type   mjson.Type
	Off, N int
}

// events scans doc and returns what was reported and the result in the form of
// the C function.
func events(s mjson.Scanner, doc []byte) (ret int, evs []event) {
	n, err := s.Scan(doc, func(ev mjson.Type, off, n int) bool {
		evs = append(evs, event{ev, off, n})
		return true
	})
	return cResult(n, err), evs
}

// cResult is the result of the C function.
func cResult(n int, err error) int {
	switch err {
	case nil:
		return n
	case mjson.ErrDepth:
		return -2
	}
	return -1
}

func TestScanVectors(t *testing.T) {
	type row struct {
		docRow
		Ret int      `json:"ret"`
		Ev  [][3]int `json:"ev"`
	}
	vectors.Each(t, "mjson/scan*.jsonl", 0, func(t *testing.T, r row) {
		doc := r.bytes()
		ret, evs := events(mjson.Scanner{}, doc)
		if ret != r.Ret {
			t.Errorf("Scan(%q) = %d, want %d", doc, ret, r.Ret)
		}
		var want []event
		for _, e := range r.Ev {
			want = append(want, event{mjson.Type(e[0]), e[1], e[2]})
		}
		if !slices.Equal(evs, want) {
			t.Errorf("Scan(%q)\n got %v\nwant %v", doc, evs, want)
		}
		if got := cResult(mjson.Scan(doc, nil)); got != r.Ret {
			t.Errorf("Scan(%q, nil) = %d, want %d", doc, got, r.Ret)
		}
		if mjson.Valid(doc) != (r.Ret > 0) {
			t.Errorf("Valid(%q) = %v", doc, r.Ret <= 0)
		}
	})
}

func TestFindVectors(t *testing.T) {
	type row struct {
		docRow
		Path    *string `json:"path"`
		PathHex *string `json:"path_hex"`
		Tok     int     `json:"tok"`
		Off     int     `json:"off"`
		Len     int     `json:"len"`
	}
	vectors.Each(t, "mjson/find*.jsonl", 0, func(t *testing.T, r row) {
		doc, path := r.bytes(), string(vectors.Text(r.Path, r.PathHex))
		v := mjson.Find(doc, path)
		got := event{v.Type(), v.Offset, len(v.Raw)}
		if !v.Exists() {
			if v.Raw != nil || v.Offset != 0 {
				t.Errorf("Find(%q, %q) = %+v, want the zero Value", doc, path, v)
			}
			got.Off = -1
		}
		if want := (event{mjson.Type(r.Tok), r.Off, r.Len}); got != want {
			t.Errorf("Find(%q, %q) = %v, want %v", doc, path, got, want)
		}
		if v.Exists() && (!bytes.Equal(v.Raw, doc[r.Off:r.Off+r.Len]) || cap(v.Raw) != len(v.Raw)) {
			t.Errorf("Find(%q, %q): Raw is %q with capacity %d", doc, path, v.Raw, cap(v.Raw))
		}
	})
}

func TestGetVectors(t *testing.T) {
	type row struct {
		docRow
		Path   string  `json:"path"`
		Kind   string  `json:"kind"`
		OK     bool    `json:"ok"`
		Bits   string  `json:"bits"`
		Bool   bool    `json:"bool"`
		Val    *string `json:"val"`
		ValHex *string `json:"val_hex"`
	}
	vectors.Each(t, "mjson/get*.jsonl", 0, func(t *testing.T, r row) {
		doc := r.bytes()
		v := mjson.Find(doc, r.Path)
		dst := []byte("dst")
		switch r.Kind {
		case "num":
			got, ok := v.Number()
			if ok != r.OK || ok && math.Float64bits(got) != bitsOf(t, r.Bits) {
				t.Errorf("%q %s: Number = %v, %v, want bits %s, %v", doc, r.Path, got, ok, r.Bits, r.OK)
			}
			if def := mjson.GetNumber(doc, r.Path, -77); !r.OK && def != -77 {
				t.Errorf("%q %s: GetNumber = %v, want the default", doc, r.Path, def)
			}
		case "bool":
			got, ok := v.Bool()
			if ok != r.OK || got != r.Bool {
				t.Errorf("%q %s: Bool = %v, %v, want %v, %v", doc, r.Path, got, ok, r.Bool, r.OK)
			}
			if !r.OK && !mjson.GetBool(doc, r.Path, true) {
				t.Errorf("%q %s: GetBool does not return the default", doc, r.Path)
			}
		case "str", "hex", "b64":
			get := map[string]func([]byte, string, []byte) ([]byte, bool){
				"str": mjson.GetString, "hex": mjson.GetHex, "b64": mjson.GetBase64,
			}[r.Kind]
			got, ok := get(doc, r.Path, dst)
			want := append([]byte("dst"), vectors.Text(r.Val, r.ValHex)...)
			if ok != r.OK || !bytes.Equal(got, want) {
				t.Errorf("%q %s %s = %q, %v, want %q, %v", doc, r.Path, r.Kind, got, ok, want, r.OK)
			}
		default:
			t.Fatalf("unknown kind %q", r.Kind)
		}
	})
}

func bitsOf(t *testing.T, s string) uint64 {
	t.Helper()
	bits, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return bits
}

func TestNextVectors(t *testing.T) {
	type result struct{ Ret, Koff, Klen, Voff, Vlen, Vtype int }
	type row struct {
		docRow
		Off int `json:"off"`
		result
	}
	vectors.Each(t, "mjson/next*.jsonl", 0, func(t *testing.T, r row) {
		doc := r.bytes()
		next, name, v := mjson.Next(doc, r.Off)
		got := result{next, name.Offset, len(name.Raw), v.Offset, len(v.Raw), int(v.Type())}
		if next != 0 && name.Raw == nil {
			got.Koff = name.Index
		}
		if got != r.result {
			t.Errorf("Next(%q, %d) = %+v, want %+v", doc, r.Off, got, r.result)
		}
	})
}

func TestMergeVectors(t *testing.T) {
	type row struct {
		A      *string `json:"a"`
		AHex   *string `json:"a_hex"`
		B      *string `json:"b"`
		BHex   *string `json:"b_hex"`
		Out    *string `json:"out"`
		OutHex *string `json:"out_hex"`
	}
	vectors.Each(t, "mjson/merge*.jsonl", 0, func(t *testing.T, r row) {
		a, b := guarded(vectors.Text(r.A, r.AHex)), guarded(vectors.Text(r.B, r.BHex))
		got := mjson.Merge([]byte("dst"), a, b)
		want := "dst" + string(vectors.Text(r.Out, r.OutHex))
		if string(got) != want {
			t.Errorf("Merge(%q, %q)\n got %q\nwant %q", a, b, got, want)
		}
	})
}

func TestPrettyVectors(t *testing.T) {
	type row struct {
		docRow
		Pad    string  `json:"pad"`
		OK     bool    `json:"ok"`
		Out    *string `json:"out"`
		OutHex *string `json:"out_hex"`
	}
	vectors.Each(t, "mjson/pretty*.jsonl", 0, func(t *testing.T, r row) {
		doc := r.bytes()
		got, err := mjson.Pretty([]byte("dst"), doc, r.Pad)
		want := "dst" + string(vectors.Text(r.Out, r.OutHex))
		if (err == nil) != r.OK || string(got) != want {
			t.Errorf("Pretty(%q, %q) = %q, %v, want %q, ok %v", doc, r.Pad, got, err, want, r.OK)
		}
	})
}

func TestGlobVectors(t *testing.T) {
	type row struct {
		Pat     *string `json:"pat"`
		PatHex  *string `json:"pat_hex"`
		Text    *string `json:"text"`
		TextHex *string `json:"text_hex"`
		Match   bool    `json:"match"`
	}
	vectors.Each(t, "mjson/glob*.jsonl", 0, func(t *testing.T, r row) {
		pat, text := string(vectors.Text(r.Pat, r.PatHex)), guarded(vectors.Text(r.Text, r.TextHex))
		if got := mjson.Match(pat, text); got != r.Match {
			t.Errorf("Match(%q, %q) = %v, want %v", pat, text, got, r.Match)
		}
	})
}

// printfRow is a row of the printf and snprintf files.
type printfRow struct {
	Fmt    *string `json:"fmt"`
	FmtHex *string `json:"fmt_hex"`
	Args   []struct {
		T    string  `json:"t"`
		V    *string `json:"v"`
		VHex *string `json:"v_hex"`
		Bits string  `json:"bits"`
	} `json:"args"`
}

func (r printfRow) format() string { return string(vectors.Text(r.Fmt, r.FmtHex)) }

// args returns the arguments as a Go program would give them. Which of the Go
// types stands for a C type depends on variant.
func (r printfRow) args(t *testing.T, variant int) []any {
	t.Helper()
	var args []any
	for _, a := range r.Args {
		text := string(vectors.Text(a.V, a.VHex))
		switch a.T {
		case "int":
			n, err := strconv.ParseInt(text, 10, 32)
			check(t, err)
			args = append(args, [...]any{int(n), int32(n), n}[variant])
		case "long":
			n, err := strconv.ParseInt(text, 10, 64)
			check(t, err)
			args = append(args, n)
		case "ulong":
			n, err := strconv.ParseUint(text, 10, 64)
			check(t, err)
			args = append(args, n)
		case "dbl":
			args = append(args, math.Float64frombits(bitsOf(t, a.Bits)))
		case "str":
			if nul := bytes.IndexByte([]byte(text), 0); nul >= 0 {
				text = text[:nul]
			}
			args = append(args, [...]any{text, []byte(text), text}[variant])
		case "bytes":
			args = append(args, [...]any{[]byte(text), text, guarded([]byte(text))}[variant])
		case "nil":
			args = append(args, [...]any{nil, []byte(nil), ""}[variant])
		case "m1":
			args = append(args, [...]any{printM1, mjson.PrintFunc(printM1), printM1}[variant])
		case "m2":
			args = append(args, [...]any{printM2, mjson.PrintFunc(printM2), printM2}[variant])
		default:
			t.Fatalf("unknown argument type %q", a.T)
		}
	}
	return args
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// printM1 and printM2 are the print functions that the vector files name.
func printM1(dst []byte, args []any) ([]byte, int) {
	dst, _ = mjson.Appendf(dst, "[%d]", args[:1]...)
	return dst, 1
}

func printM2(dst []byte, args []any) ([]byte, int) {
	dst, _ = mjson.Appendf(dst, "{%Q:%g}", args[:2]...)
	return dst, 2
}

// verbs matches a verb; the group is not empty for one that is unknown.
var verbs = regexp.MustCompile(`(?s)%(?:l?[du]|[gBsQVHM]|\.\*[gsQ]|(l?.|$))`)

// wellFormed reports whether all verbs of a format are known.
func wellFormed(format string) bool {
	for _, m := range verbs.FindAllStringSubmatchIndex(format, -1) {
		if m[2] >= 0 {
			return false
		}
	}
	return true
}

// checkFormatError checks the error of Appendf for a format whose text came out
// right: nil unless a verb is unknown or arguments are left over.
func checkFormatError(t *testing.T, format string, args []any, err error) {
	t.Helper()
	var fe *mjson.FormatError
	switch errors.As(err, &fe); {
	case !wellFormed(format):
		if fe == nil || fe.Arg != -1 || format[fe.Offset] != '%' {
			t.Errorf("Appendf(%q, %#v): error %v, want one about an unknown verb", format, args, err)
		}
	case err == nil:
		_, err = mjson.Appendf(nil, format, append(args, 1)...)
		if !errors.As(err, &fe) || fe.Verb != "" || fe.Arg != len(args) {
			t.Errorf("Appendf(%q, %#v) with one more argument: error %v", format, args, err)
		}
	case fe == nil || fe.Verb != "" || fe.Arg >= len(args):
		t.Errorf("Appendf(%q, %#v): error %v", format, args, err)
	default:
		if _, err = mjson.Appendf(nil, format, args[:fe.Arg]...); err != nil {
			t.Errorf("Appendf(%q, %#v): error %v, and then %v", format, args, fe, err)
		}
	}
}

func TestPrintfVectors(t *testing.T) {
	type row struct {
		printfRow
		Out    *string `json:"out"`
		OutHex *string `json:"out_hex"`
	}
	vectors.Each(t, "mjson/printf*.jsonl", 0, func(t *testing.T, r row) {
		want := "dst" + string(vectors.Text(r.Out, r.OutHex))
		for variant := range 3 {
			args := r.args(t, variant)
			got, err := mjson.Appendf([]byte("dst"), r.format(), args...)
			if string(got) != want {
				t.Errorf("Appendf(%q, %#v)\n got %q, %v\nwant %q", r.format(), args, got, err, want)
			}
			checkFormatError(t, r.format(), args, err)
		}
	})
}

func TestSnprintfVectors(t *testing.T) {
	type row struct {
		printfRow
		Size   int     `json:"size"`
		Ret    int     `json:"ret"`
		Buf    *string `json:"buf"`
		BufHex *string `json:"buf_hex"`
	}
	vectors.Each(t, "mjson/snprintf*.jsonl", 0, func(t *testing.T, r row) {
		buf := make([]byte, r.Size, r.Size+8)
		n, err := mjson.Snprintf(buf, r.format(), r.args(t, 0)...)
		want := vectors.Text(r.Buf, r.BufHex)
		if n != r.Ret || !bytes.Equal(buf[:min(n+1, r.Size)], want) {
			t.Errorf("Snprintf(%d, %q) = %d %q, want %d %q", r.Size, r.format(), n, buf, r.Ret, want)
		}
		if err != mjson.ErrTruncated {
			checkFormatError(t, r.format(), r.args(t, 0), err)
		}
		if !bytes.Equal(buf[len(buf):cap(buf)], make([]byte, 8)) {
			t.Errorf("Snprintf(%d, %q) wrote behind the buffer", r.Size, r.format())
		}
	})
}
