package framing_test

import (
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/race"
)

func TestConnRead(t *testing.T) {
	a, b, c := frames[0], frames[1], frames[2]
	ac, bc, cc := withCRC(a), withCRC(b), withCRC(c)
	bad := a + "12345678"
	type stats = framing.Stats
	for _, tt := range []struct {
		name string
		in   string
		opt  framing.Options
		want []string
		st   stats // Frames, BytesRead are filled in
	}{
		{"plain", a + "\n" + b + "\r\n", framing.Options{}, []string{a, b}, stats{Lines: 2}},
		{"leading blanks", " \t" + a + " \n", framing.Options{}, []string{a}, stats{Lines: 1}},
		{"CRC", ac + "\n" + bc + ",m\r\n", framing.Options{}, []string{a, b}, stats{Lines: 2, CRCGood: 2}},
		{"junk", "boot ok\n\x00\x00\xff\n\n" + a + "\nlog: {\n" + b + "\n", framing.Options{}, []string{a, b},
			stats{Lines: 5, Junk: 3}},
		{"junk before a frame", "log " + a + "\n" + "log " + ac + "\n" + b + "\n", framing.Options{}, []string{b},
			stats{Lines: 3, Junk: 2}},
		{"bad CRC", bad + "\n" + b + "\n", framing.Options{}, []string{b}, stats{Lines: 2, CRCErrors: 1}},
		{"plain lines after a CRC", ac + "\n" + b + "\n", framing.Options{}, []string{a, b}, stats{Lines: 2, CRCGood: 1}},
		{"CRC required", a + "\n" + bc + "\n" + c + "\n" + bad + "\n", framing.Options{RequireCRC: true}, []string{b},
			stats{Lines: 4, CRCGood: 1, CRCNone: 2, CRCErrors: 1}},
		{"merged with CRC", ac + bc + cc + "\n", framing.Options{RequireCRC: true}, []string{ac + bc + cc},
			stats{Lines: 1, CRCGood: 1}},
		{"merged, one CRC bad", ac + bad + "\n", framing.Options{}, nil, stats{Lines: 1, CRCErrors: 1}},
		{"merged, first without CRC", a + bc + "\n", framing.Options{}, nil, stats{Lines: 1, CRCErrors: 1}},
		{"merged without CRC", a + b + " \n", framing.Options{}, []string{a + b}, stats{Lines: 1}},
		{"overlong", strings.Repeat("x", 700) + "\n" + a + "\n" + strings.Repeat("y", 600) + "\n",
			framing.Options{MaxFrame: 300}, []string{a}, stats{Lines: 1, Overlong: 2, Discarded: 1300}},
		{"limit is exact", a + "\n" + b + "\n" + bc + "\n", framing.Options{MaxFrame: len(b)}, []string{b, b},
			stats{Lines: 3, CRCGood: 1, Overlong: 1, Discarded: uint64(len(a))}},
		{"limit is exact within the room", a + "\n" + ac + "\n", framing.Options{MaxFrame: len(a) - 1}, nil,
			stats{Lines: 2, CRCGood: 0, Overlong: 2, Discarded: uint64(len(a) + len(ac))}},
		{"truncated with newline", a[:20] + "\n" + b + "\n", framing.Options{}, []string{a[:20], b}, stats{Lines: 2}},
		{"complete without newline at the end", a + "\n" + b, framing.Options{}, []string{a, b}, stats{Lines: 2, Flushed: 1}},
		{"complete, but flush is off", a + "\n" + b, framing.Options{IdleFlush: -1}, []string{a},
			stats{Lines: 1, Dropped: 1, Discarded: uint64(len(b))}},
		{"incomplete at the end", a + "\n" + b[:9], framing.Options{}, []string{a},
			stats{Lines: 1, Dropped: 1, Discarded: 9}},
		{"blanks at the end", a + "\n \r", framing.Options{}, []string{a}, stats{Lines: 1, Discarded: 2}},
		{"end without its CRC", ac + "\n" + b, framing.Options{}, []string{a},
			stats{Lines: 1, CRCGood: 1, Dropped: 1, Discarded: uint64(len(b))}},
		{"end with its CRC", ac + "\n" + bc, framing.Options{}, []string{a, b}, stats{Lines: 2, CRCGood: 2, Flushed: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 7, 64, 10000} {
				opt := tt.opt
				opt.ReadBuffer = 50
				c := framing.NewConn(chunks(tt.in, size), &opt)
				same(t, readAll(t, c), tt.want...)
				want := tt.st
				want.Frames, want.BytesRead = uint64(len(tt.want)), uint64(len(tt.in))
				if got := c.Stats(); got != want {
					t.Fatalf("pieces of %d: stats\n got %+v\nwant %+v", size, got, want)
				}
			}
		})
	}
}

// splitAll does what the layer above does: check the whole line, then take it
// apart.
func splitAll(c *framing.Conn, line []byte) (out []string, err error) {
	for pass := range 2 {
		rest := line
		for {
			var f []byte
			if f, rest, err = c.Split(rest); err != nil {
				return nil, err
			}
			if len(f) == 0 {
				break
			}
			if pass == 1 {
				out = append(out, string(f))
			}
			if len(rest) == 0 {
				break
			}
		}
	}
	return out, nil
}

func TestConnSplit(t *testing.T) {
	a, b, c := frames[0], frames[1], frames[2]
	ac, bc := withCRC(a), withCRC(b)
	for _, tt := range []struct {
		name    string
		before  string // an earlier line
		line    string
		require bool
		want    []string
		err     error
	}{
		{"two", "", a + b, false, []string{a, b}, nil},
		{"three", "", a + " " + b + c, false, []string{a, b, c}, nil},
		{"one", "", a, false, []string{a}, nil},
		{"CRC on all", "", ac + bc, false, []string{a, b}, nil},
		{"CRC on all, required", "", ac + bc, true, []string{a, b}, nil},
		{"CRC on the first only", "", ac + b, false, nil, framing.ErrNoCRC},
		{"CRC on the first and third", "", ac + b + ac + "x", false, nil, framing.ErrNoCRC},
		{"none after a CRC", ac, a + b, false, nil, framing.ErrNoCRC},
		{"all after a CRC", ac, ac + bc, false, []string{a, b}, nil},
		{"second incomplete", "", a + b[:5], false, nil, framing.ErrSyntax},
		{"third incomplete", "", a + b + c[:5], false, nil, framing.ErrSyntax},
		{"trailing junk", "", a + " junk", false, nil, framing.ErrSyntax},
		{"trailing brace", "", a + b + "}", false, nil, framing.ErrSyntax},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events := map[framing.EventKind]int{}
			conn := framing.NewConn(chunks(tt.before+"\n"+tt.line+"\n", 1000), &framing.Options{
				RequireCRC: tt.require,
				Observer: func(e framing.Event) {
					events[e.Kind]++
					if string(e.Line) != tt.line {
						t.Errorf("event %v with line %q", e.Kind, e.Line)
					}
				},
			})
			if tt.before != "" {
				conn.ReadFrame()
			}
			line, err := conn.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			got, err := splitAll(conn, line)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			same(t, got, tt.want...)
			var refused, merged int
			if err != nil {
				refused = 1
			} else if len(got) > 1 {
				merged = 1
			}
			s := conn.Stats()
			if int(s.Refused) != refused || int(s.Merged) != merged {
				t.Errorf("refused %d, merged %d; want %d, %d", s.Refused, s.Merged, refused, merged)
			}
			if events[framing.EventRefused] != refused || events[framing.EventMerged] != merged {
				t.Errorf("events %v", events)
			}
		})
	}
}

func TestConnSplitTooLong(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", 90) + `"}`
	conn := framing.NewConn(chunks("{}\n", 10), &framing.Options{MaxFrame: 64})
	conn.ReadFrame()
	if _, _, err := conn.Split([]byte(long + "{}")); !errors.Is(err, framing.ErrTooLong) {
		t.Errorf("error %v", err)
	}
}

// FuzzConn: the pieces a stream comes in do not matter; frames start like
// objects, and Split is the same on every run and agrees with Count.
func FuzzConn(f *testing.F) {
	f.Add([]byte(frames[0]+"\r\nlog\n"+withCRC(frames[1])+withCRC(frames[2])+"\n"+frames[3]), false, uint64(1))
	f.Add([]byte("{}{}\n{}00000000\n {} \n{}a3a6bf43{}\n{}{}\n"), true, uint64(2))
	f.Fuzz(func(t *testing.T, p []byte, need bool, seed uint64) {
		r := rng(seed)
		var want []string
		var stats framing.Stats
		for i := range 3 {
			s := newScript()
			for q := p; len(q) > 0; {
				n := 1 + r.IntN(min(len(q), 40))
				s.steps = append(s.steps, step{data: string(q[:n])})
				q = q[n:]
			}
			c := framing.NewConn(s, &framing.Options{MaxFrame: 100, ReadBuffer: 64, RequireCRC: need})
			var got []string
			for {
				line, err := c.ReadFrame()
				if err != nil {
					break
				}
				if len(line) == 0 || len(line) != cap(line) || line[0] != '{' {
					t.Fatalf("frame %q, capacity %d", line, cap(line))
				}
				got = append(got, string(line))
				parts, err := splitAll(c, line)
				again, err2 := splitAll(c, line)
				if len(parts) != len(again) || err != err2 {
					t.Fatalf("Split of %q: %q, %v, then %q, %v", line, parts, err, again, err2)
				}
				if n, cerr := framing.Count(line, false); err == nil && (cerr != nil || n != len(parts)) {
					t.Fatalf("Split of %q gave %d, Count %d, %v", line, len(parts), n, cerr)
				}
			}
			if i == 0 {
				want, stats = got, c.Stats()
			}
			same(t, got, want...)
			if c.Stats() != stats {
				t.Fatalf("stats %+v, before %+v", c.Stats(), stats)
			}
		}
	})
}

func TestConnEvents(t *testing.T) {
	var events, junk []string
	c := framing.NewConn(chunks("noise\n"+strings.Repeat("z", 200)+"\n{}00000000\n{}\n{\"x\"", 9), &framing.Options{
		MaxFrame: 64, RequireCRC: true,
		Junk:     func(l []byte) { junk = append(junk, string(l)) },
		Observer: func(e framing.Event) { events = append(events, e.Kind.String()+":"+string(e.Line)) },
	})
	readAll(t, c)
	same(t, junk, "noise")
	same(t, events, "junk:noise", "overlong:", "crc:{}00000000", "nocrc:{}", `dropped:{"x"`)
}

func TestConnPeerCRC(t *testing.T) {
	p := chunks("{}\n{}a3a6bf43\n{}\n", 100)
	c := framing.NewConn(p, nil)
	write := func(want string) {
		t.Helper()
		if err := c.WriteFrame([]byte("{}")); err != nil {
			t.Fatal(err)
		}
		if got := string(p.writes[len(p.writes)-1]); got != want {
			t.Errorf("wrote %q, want %q", got, want)
		}
	}
	c.ReadFrame()
	write("{}\n")
	c.ReadFrame()
	write("{}a3a6bf43\n")
	if !c.PeerCRC() {
		t.Error("PeerCRC is false")
	}
	c.ResetPeer()
	write("{}\n")
	c.ReadFrame()
	write("{}\n")

	p = newScript()
	c = framing.NewConn(p, &framing.Options{CRC: framing.CRCSend})
	write("{}a3a6bf43\n")
	p = chunks("{}a3a6bf43\n", 100)
	c = framing.NewConn(p, &framing.Options{CRC: framing.CRCOff})
	c.ReadFrame()
	write("{}\n")
}

func TestConnWriteRefusals(t *testing.T) {
	p := newScript()
	c := framing.NewConn(p, &framing.Options{MaxWrite: 10, CRC: framing.CRCSend})
	for in, want := range map[string]error{
		"{}": nil, "{1}": framing.ErrTooLong, "{\n}": framing.ErrNewline, "": nil,
	} {
		if err := c.WriteFrame([]byte(in)); !errors.Is(err, want) {
			t.Errorf("WriteFrame(%q) = %v, want %v", in, err, want)
		}
	}
	got := map[string]bool{}
	for _, w := range p.writes {
		got[string(w)] = true
	}
	if len(p.writes) != 2 || !got["{}a3a6bf43\n"] || !got["\n"] {
		t.Errorf("wrote %q", p.writes)
	}
	c.Close()
	if err := c.WriteFrame([]byte("{}")); !errors.Is(err, framing.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := c.ReadFrame(); !errors.Is(err, framing.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestConnWriteErrors: after a frame that was cut short the next one must not
// be glued to it.
func TestConnWriteErrors(t *testing.T) {
	p := newScript()
	p.write = func(n int, b []byte) (int, error) {
		switch n {
		case 1:
			return 3, nil // short without an error
		case 2:
			return 1, io.ErrUnexpectedEOF
		case 4:
			return 0, syscall.EIO
		}
		return len(b), nil
	}
	c := framing.NewConn(p, nil)
	for i, want := range []error{nil, io.ErrShortWrite, io.ErrUnexpectedEOF, nil, syscall.EIO, nil} {
		err := c.WriteFrame([]byte(`{"a":1}`))
		if !errors.Is(err, want) {
			t.Errorf("write %d: %v, want %v", i, err, want)
		}
		if pe, ok := errors.AsType[*framing.PortError](err); want != nil && (!ok || pe.Op != "write") {
			t.Errorf("write %d: %#v", i, err)
		}
	}
	var got []string
	for _, w := range p.writes {
		got = append(got, string(w))
	}
	const plain = "{\"a\":1}\n"
	same(t, got, plain, plain, "\n"+plain, "\n"+plain, plain, plain)
	s := c.Stats()
	if s.Written != 3 || s.WriteErrors != 3 || s.BytesWritten != uint64(8+3+1+9+0+8) {
		t.Errorf("stats %+v", s)
	}
}

// TestConnLongWrite: a frame of any size goes out in one piece, and the buffer
// it needed is not kept.
func TestConnLongWrite(t *testing.T) {
	p := newScript()
	c := framing.NewConn(p, nil)
	long := `{"a":"` + strings.Repeat("x", 1<<20) + `"}`
	for _, f := range []string{long, "{}"} {
		if err := c.WriteFrame([]byte(f)); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.writes) != 2 || string(p.writes[0]) != long+"\n" || string(p.writes[1]) != "{}\n" {
		t.Errorf("%d writes", len(p.writes))
	}
}

func TestPortError(t *testing.T) {
	err := error(&framing.PortError{Op: "read", Err: io.EOF})
	if err.Error() != "framing: read: EOF" || !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestConnConcurrentWrites(t *testing.T) {
	p := newScript()
	c := framing.NewConn(p, nil)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for range 100 {
				if err := c.WriteFrame([]byte(frames[g])); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	count := map[string]int{}
	for _, w := range p.writes {
		count[string(w)]++
	}
	for g := range 8 {
		if count[frames[g]+"\n"] != 100 {
			t.Errorf("frame %d was written whole %d times", g, count[frames[g]+"\n"])
		}
	}
}

func TestConnAllocs(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	c := framing.NewConn(&endless{text: []byte(withCRC(frames[0]) + "\n" + frames[1] + "\r\nlog\n")}, nil)
	frame := []byte(frames[0])
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := c.ReadFrame(); err != nil {
			t.Fatal(err)
		}
		if err := c.WriteFrame(frame); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	line := []byte(frames[0] + frames[1])
	c.ResetPeer()
	if n := testing.AllocsPerRun(1000, func() {
		for rest := line; len(rest) > 0; {
			var err error
			if _, rest, err = c.Split(rest); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("Split: %v allocations, want 0", n)
	}
}

func TestConnFrameLimit(t *testing.T) {
	p := chunks("{}a3a6bf43\n", 100)
	c := framing.NewConn(p, &framing.Options{MaxWrite: 255})
	if n := c.FrameLimit(); n != 255 {
		t.Errorf("plain: %d, want 255", n)
	}
	if _, err := c.ReadFrame(); err != nil {
		t.Fatal(err)
	}
	if n := c.FrameLimit(); n != 247 {
		t.Errorf("with CRC: %d, want 247", n)
	}
	frame := []byte("{" + strings.Repeat(" ", 245) + "}")
	if err := c.WriteFrame(frame); err != nil {
		t.Errorf("%d bytes: %v", len(frame), err)
	}
	c.SetMaxWrite(254)
	if err := c.WriteFrame(frame); !errors.Is(err, framing.ErrTooLong) {
		t.Errorf("%d bytes: %v", len(frame), err)
	}
	if c.SetMaxWrite(0); c.FrameLimit() != 0 {
		t.Errorf("no limit: %d", c.FrameLimit())
	}
	c.SetMaxWrite(3) // less than a suffix: nothing fits, but 0 would mean no limit
	if n := c.FrameLimit(); n != 1 {
		t.Errorf("tiny: %d, want 1", n)
	}
}
