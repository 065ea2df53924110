package framing_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/race"
)

// cutAll cuts a whole line.
func cutAll(line string, need bool) (out []string, err error) {
	rest := []byte(line)
	for {
		var f []byte
		if f, rest, err = framing.Cut(rest, need); err != nil || len(f) == 0 {
			return out, err
		}
		out = append(out, string(f))
	}
}

func TestCut(t *testing.T) {
	a, b := frames[0], frames[2]
	ac, bc := withCRC(a), withCRC(b)
	for _, tt := range []struct {
		name, line string
		need       bool
		want       []string
		err        error
	}{
		{"one", a, false, []string{a}, nil},
		{"two", a + b, false, []string{a, b}, nil},
		{"three with blanks", " " + a + "\t" + b + " \r" + a + " ", false, []string{a, b, a}, nil},
		{"with CRC", ac + bc, true, []string{a, b}, nil},
		{"with CRC, blanks", ac + " " + bc + " ", true, []string{a, b}, nil},
		{"with metadata", ac + ",m" + bc + ",n", true, []string{a, b}, nil},
		{"CRC not needed but there", ac + b, false, []string{a, b}, nil},
		{"CRC missing", ac + b, true, []string{a}, framing.ErrNoCRC},
		{"CRC wrong", ac + b + "00000000", false, []string{a}, framing.ErrCRC},
		{"CRC cut short", ac[:len(ac)-1] + b, false, nil, framing.ErrCRC},
		{"CRC too long", ac + "0", false, nil, framing.ErrCRC},
		{"junk behind the CRC", ac + "x", false, nil, framing.ErrSyntax},
		{"junk behind the CRC, then an object", ac + "x" + bc, true, nil, framing.ErrSyntax},
		{"blank between object and CRC", a + " 12345678", false, []string{a}, framing.ErrSyntax},
		{"junk in front", "x" + a, false, nil, framing.ErrSyntax},
		{"junk between", a + "x" + b, false, nil, framing.ErrSyntax},
		{"junk at the end", a + " x", false, []string{a}, framing.ErrSyntax},
		{"incomplete", a[:len(a)-1], false, nil, framing.ErrSyntax},
		{"second incomplete", a + b[:len(b)-1], false, []string{a}, framing.ErrSyntax},
		{"open string", `{"a":"}`, false, nil, framing.ErrSyntax},
		{"escapes", `{"a":"\\"}{"b":"\"}{"}`, false, []string{`{"a":"\\"}`, `{"b":"\"}{"}`}, nil},
		{"closing brace only", "}", false, nil, framing.ErrSyntax},
		{"array", "[]", false, nil, framing.ErrSyntax},
		{"empty", "", true, nil, nil},
		{"blank", " \t", true, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cutAll(tt.line, tt.need)
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			same(t, got, tt.want...)
			n, err := framing.Count([]byte(tt.line), tt.need)
			if !errors.Is(err, tt.err) || err == nil && n != len(tt.want) {
				t.Errorf("Count %d, %v", n, err)
			}
		})
	}
}

func TestCutClips(t *testing.T) {
	frame, rest, err := framing.Cut([]byte("{}a3a6bf43 {} "), false)
	if err != nil || cap(frame) != 2 || string(rest) != "{}" || cap(rest) != 2 {
		t.Errorf("frame %q cap %d, rest %q cap %d, %v", frame, cap(frame), rest, cap(rest), err)
	}
}

// cutTime returns how long a line of n units takes.
func cutTime(unit string, n int) time.Duration {
	line := []byte(strings.Repeat(unit, n))
	start := time.Now()
	framing.Count(line, false)
	return time.Since(start)
}

// TestCutLinear: ten times the length costs no more than sixty times the time. The
// bound is far above linear and far below quadratic, which would be a hundred, and
// the best of several runs is taken.
func TestCutLinear(t *testing.T) {
	for name, unit := range map[string]string{
		"objects": "{}", "open": "{", "quotes": `{"\"`, "blanks": "{}      ", "metadata": "{}a3a6bf43,,",
	} {
		small, large := time.Hour, time.Hour
		for try := 0; try < 5 || try < 50 && large > 60*small; try++ {
			small, large = min(small, cutTime(unit, 5_000)), min(large, cutTime(unit, 50_000))
		}
		if large > 60*small {
			t.Errorf("%s: %v for 5000, %v for 50000", name, small, large)
		}
	}
}

func TestCutAllocs(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	line := []byte(withCRC(frames[0]) + withCRC(frames[1]) + withCRC(frames[2]))
	if n := testing.AllocsPerRun(100, func() {
		if n, err := framing.Count(line, true); n != 3 || err != nil {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// FuzzSplit: the pieces of an accepted line are in it in order, each is
// balanced, and a line of valid JSON objects is always accepted.
func FuzzSplit(f *testing.F) {
	for _, s := range frames {
		f.Add([]byte(s+withCRC(s)+" "+withCRC(s)+",m"), false)
		f.Add([]byte(withCRC(s)+withCRC(frames[0])), true)
	}
	f.Add([]byte("{}0"), false)
	f.Fuzz(func(t *testing.T, line []byte, need bool) {
		n, err := framing.Count(line, need)
		got, _ := cutAll(string(line), need)
		if err == nil && n != len(got) {
			t.Fatalf("Count %d, Cut %d", n, len(got))
		}
		rest := line
		for _, g := range got {
			i := bytes.Index(rest, []byte(g))
			if i < 0 || g[0] != '{' || g[len(g)-1] != '}' {
				t.Fatalf("piece %q is not in %q", g, rest)
			}
			rest = rest[i+len(g):]
			if m, err := framing.Count([]byte(g), false); m != 1 || err != nil {
				t.Fatalf("piece %q: %d, %v", g, m, err)
			}
		}
		dec := json.NewDecoder(bytes.NewReader(line))
		objects := 0
		var end error
		for end == nil {
			var v map[string]any
			if end = dec.Decode(&v); end == nil {
				objects++
			}
		}
		if objects > 0 && end == io.EOF && !bytes.Contains(line, []byte("null")) && !need && (err != nil || n != objects) {
			t.Fatalf("%q holds %d objects: %d, %v", line, objects, n, err)
		}
	})
}
