package framing_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/race"
)

// feedAll pushes p through d in pieces whose sizes cut gives.
func feedAll(d *framing.Decoder, p []byte, cut func() int) (lines []string) {
	for len(p) > 0 {
		q := p[:min(len(p), max(1, cut()))]
		p = p[len(q):]
		for len(q) > 0 {
			var line []byte
			if line, q = d.Feed(q); line != nil {
				lines = append(lines, string(line))
			}
		}
	}
	return lines
}

// model is the decoder's specification: what bytes.Split would do.
func model(p []byte, limit int) (lines []string, s framing.DecoderStats) {
	all := bytes.Split(p, []byte{'\n'})
	for i, l := range all {
		s.Bytes += uint64(len(l))
		if i == len(all)-1 {
			break
		}
		s.Bytes++
		text := bytes.TrimSuffix(l, []byte{'\r'})
		switch {
		case len(text) > limit+32:
			s.Overlong++
			s.Discarded += uint64(len(l))
		case len(bytes.Trim(text, " \t\r")) == 0:
			s.Blank++
		default:
			s.Lines++
			lines = append(lines, string(text))
		}
	}
	return lines, s
}

func TestDecoder(t *testing.T) {
	long := strings.Repeat("x", 16+32)
	for _, tt := range []struct {
		name, in string
		want     []string
		partial  string
	}{
		{"LF", "a\nb\n", []string{"a", "b"}, ""},
		{"CRLF", "a\r\nb\r\n", []string{"a", "b"}, ""},
		{"one CR only", "a\r\r\n", []string{"a\r"}, ""},
		{"blank lines", "\n\r\n \t\r\n  \na\n\n", []string{"a"}, ""},
		{"leading blanks kept", "  a\n", []string{"  a"}, ""},
		{"unterminated", "a\nbc", []string{"a"}, "bc"},
		{"longest", long + "\n" + long + "\r\n", []string{long, long}, ""},
		{"overlong", long + "x\n" + "a\n", []string{"a"}, ""},
		{"overlong with CR", long + "x\r\na\n", []string{"a"}, ""},
		{"very long", strings.Repeat("y", 1000) + "\na\n", []string{"a"}, ""},
		{"NUL and 0xff are bytes like others", "\x00\xff\na\n", []string{"\x00\xff", "a"}, ""},
		{"empty", "", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for size := 1; size <= len(tt.in)+1; size++ {
				d := framing.NewDecoder(16)
				same(t, feedAll(d, []byte(tt.in), func() int { return size }), tt.want...)
				if string(d.Partial()) != tt.partial {
					t.Errorf("partial %q, want %q", d.Partial(), tt.partial)
				}
			}
		})
	}
}

func TestDecoderDefaultLimit(t *testing.T) {
	d := framing.NewDecoder(0)
	ok := strings.Repeat("x", framing.DefaultMaxFrame)
	same(t, feedAll(d, []byte(ok+"\n"+ok+ok+"\n"), func() int { return 100 }), ok)
	if s := d.Stats(); s.Overlong != 1 || s.Discarded != 2*framing.DefaultMaxFrame {
		t.Errorf("stats %+v", s)
	}
}

func TestDecoderDrop(t *testing.T) {
	d := framing.NewDecoder(16)
	feedAll(d, []byte("a\nhalf"), func() int { return 3 })
	d.Drop()
	d.Drop()
	same(t, feedAll(d, []byte("b\n"), func() int { return 1 }), "b")
	feedAll(d, []byte(strings.Repeat("z", 100)), func() int { return 10 })
	if !d.Skipping() || len(d.Partial()) != 0 {
		t.Errorf("skipping %v, partial %q", d.Skipping(), d.Partial())
	}
	d.Drop()
	same(t, feedAll(d, []byte("c\n"), func() int { return 9 }), "c")
	want := framing.DecoderStats{Bytes: 2 + 4 + 2 + 100 + 2, Lines: 3, Overlong: 1, Dropped: 1, Discarded: 104}
	if s := d.Stats(); s != want {
		t.Errorf("stats %+v, want %+v", s, want)
	}
}

// TestDecoderAliasing checks the ownership rules: a whole line is not copied,
// and no line can be appended to in place.
func TestDecoderAliasing(t *testing.T) {
	d := framing.NewDecoder(0)
	p := []byte("abc\r\ndef\ngh")
	line, rest := d.Feed(p)
	if &line[0] != &p[0] || cap(line) != 3 || string(rest) != "def\ngh" {
		t.Errorf("line %q (cap %d) rest %q", line, cap(line), rest)
	}
	d.Feed(rest[4:])
	if q := d.Partial(); cap(q) != 2 {
		t.Errorf("partial has capacity %d", cap(q))
	}
	if line, _ = d.Feed([]byte("i\n")); string(line) != "ghi" || cap(line) != 3 {
		t.Errorf("line %q (cap %d)", line, cap(line))
	}
}

func TestDecoderAllocs(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	d := framing.NewDecoder(256)
	stream := []byte(strings.Repeat(frames[0]+"\r\n", 20) + strings.Repeat("x", 300) + "\n" + frames[1])
	if n := testing.AllocsPerRun(100, func() {
		for p := stream; len(p) > 0; {
			q := p[:min(len(p), 100)]
			p = p[len(q):]
			for len(q) > 0 {
				_, q = d.Feed(q)
			}
		}
		d.Drop()
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzDecoder(f *testing.F) {
	for _, s := range frames {
		f.Add([]byte(s+"\r\n"+withCRC(s)+"\n\n"), uint64(3))
	}
	f.Add([]byte("\x00\xff\r\r\n  \n"+strings.Repeat("z", 120)+"\n{}\n"), uint64(1))
	f.Fuzz(func(t *testing.T, p []byte, seed uint64) {
		const limit = 32
		want, stats := model(p, limit)
		r := rng(seed)
		for range 3 {
			d := framing.NewDecoder(limit)
			same(t, feedAll(d, p, func() int { return 1 + r.IntN(1+r.IntN(80)) }), want...)
			got := d.Stats()
			if d.Skipping() { // the unterminated line is counted already
				got.Overlong--
				got.Discarded -= uint64(len(p) - 1 - bytes.LastIndexByte(p, '\n'))
			}
			if got != stats {
				t.Fatalf("stats %+v, want %+v", got, stats)
			}
		}
	})
}
