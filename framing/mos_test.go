package framing_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/internal/wire"
)

func TestMosRead(t *testing.T) {
	a, b := frames[0], frames[2]
	ac, bc := withCRC(a), withCRC(b)
	q := `"""`
	type stats = framing.Stats
	for _, tt := range []struct {
		name string
		in   string
		opt  framing.MosOptions
		want []string
		junk []string
		st   stats
	}{
		{"delimiters mixed", q + a + "\n" + b + q + ac + q + bc + "\r\n", framing.MosOptions{}, []string{a, b, a, b}, nil,
			stats{Lines: 4, CRCGood: 2}},
		{"console text between", "log " + a + "\n" + q + a + q + "text\r\n\n" + b + "\n> ", framing.MosOptions{},
			[]string{a, b}, []string{"log " + a, "text\r", "> "},
			stats{Lines: 4, Junk: 2, Dropped: 1, Discarded: 2}},
		{"only behind a delimiter", "x" + a + q + b + q, framing.MosOptions{}, []string{b}, []string{"x" + a},
			stats{Lines: 2, Junk: 1}},
		{"wrong CRC", q + a + "00000000" + q + b + q, framing.MosOptions{}, []string{b}, nil, stats{Lines: 2, CRCErrors: 1}},
		{"CRC required", q + a + q + bc + q, framing.MosOptions{RequireCRC: true}, []string{b}, nil,
			stats{Lines: 2, CRCGood: 1, CRCNone: 1}},
		{"handshake", q + "\x04" + q + "\n\n" + q, framing.MosOptions{}, nil, nil, stats{Lines: 1, Handshake: 1}},
		{"eight-bit input", "\xff" + a + "\n" + q + a[:30] + "\u00e9" + b + q + b + q, framing.MosOptions{}, []string{b}, nil,
			stats{Lines: 1, NonASCII: 2, Discarded: uint64(1 + len(a) + 30 + 2 + len(b))}},
		{"eight-bit taken", "{\"\u00e9\":1}\n", framing.MosOptions{EightBit: true}, []string{"{\"\u00e9\":1}"}, nil, stats{Lines: 1}},
		{"five quotation marks", q + `""` + a + q, framing.MosOptions{}, nil, []string{`""` + a}, stats{Lines: 1, Junk: 1}},
		{"six quotation marks", q + q + a + q, framing.MosOptions{}, []string{a}, nil, stats{Lines: 1}},
		{"empty strings are no delimiters", `{"a":"","":""}` + "\n", framing.MosOptions{}, []string{`{"a":"","":""}`}, nil,
			stats{Lines: 1}},
		{"overlong", "\n" + a + b + "\n" + b + "\n", framing.MosOptions{MaxFrame: len(b)}, []string{b}, nil,
			stats{Lines: 1, Overlong: 1, Discarded: uint64(len(a) + len(b))}},
		{"limit plus six", q + withCRC(strings.Replace(b, "hi", "", 1)) + q + bc + q, framing.MosOptions{MaxFrame: len(b)},
			[]string{strings.Replace(b, "hi", "", 1)}, nil,
			stats{Lines: 1, CRCGood: 1, Overlong: 1, Discarded: uint64(len(bc))}},
		{"one byte over the limit", "{\"a\":\"" + strings.Repeat("x", 15) + "\"}\n{}\n", framing.MosOptions{MaxFrame: 16},
			[]string{"{}"}, nil, stats{Lines: 1, Overlong: 1, Discarded: 23}},
		{"three bytes over the limit", "{\"a\":\"" + strings.Repeat("x", 17) + "\"}\n{}\n", framing.MosOptions{MaxFrame: 16},
			[]string{"{}"}, nil, stats{Lines: 1, Overlong: 1, Discarded: 25}},
		{"delimiter inside an overlong frame", "{" + strings.Repeat("x", 99) + q + "{}\n", framing.MosOptions{MaxFrame: 16},
			[]string{"{}"}, nil, stats{Lines: 1, Overlong: 1, Discarded: 100}},
		{"unfinished at the end", q + a, framing.MosOptions{}, nil, nil, stats{Dropped: 1, Discarded: uint64(len(a))}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 7, 64, 10000} {
				var junk []string
				opt := tt.opt
				opt.ReadBuffer = 50
				opt.Junk = func(l []byte) { junk = append(junk, string(l)) }
				m := framing.NewMosDevice(chunks(tt.in, size), &opt)
				same(t, readAll(t, m), tt.want...)
				same(t, junk, tt.junk...)
				m.Close()
				want, got := tt.st, m.Stats()
				want.Frames, want.BytesRead = uint64(len(tt.want)), uint64(len(tt.in))
				got.BytesWritten = 0 // answers race with Close
				if got != want {
					t.Fatalf("pieces of %d: stats\n got %+v\nwant %+v", size, got, want)
				}
			}
		})
	}
}

// TestMosReplyForm: a device answers in the form the peer has shown.
func TestMosReplyForm(t *testing.T) {
	p := chunks("{}\n"+`"""`+"{}\n"+"{}a3a6bf43\n", 100)
	m := framing.NewMosDevice(p, nil)
	defer m.Close()
	for _, want := range []string{"\n{}\n", "\n\"\"\"{}\"\"\"\n", "\n\"\"\"{}a3a6bf43\"\"\"\n"} {
		if _, err := m.ReadFrame(); err != nil {
			t.Fatal(err)
		}
		if err := m.WriteFrame([]byte("{}")); err != nil {
			t.Fatal(err)
		}
		found := false
		p.mu.Lock()
		for _, w := range p.writes {
			found = found || string(w) == want
		}
		p.mu.Unlock()
		if !found {
			t.Errorf("wrote %q, want %q", p.writes, want)
		}
	}
	if !m.PeerCRC() {
		t.Error("PeerCRC is false")
	}
	m.ResetPeer()
	m.WriteFrame([]byte("{}"))
	if got := string(p.writes[len(p.writes)-1]); got != "\n{}\n" {
		t.Errorf("after ResetPeer: %q", got)
	}
}

func TestMosWriteRefusals(t *testing.T) {
	m := framing.NewMosTCP(newScript(), &framing.MosOptions{MaxWrite: 8})
	for in, want := range map[string]error{
		"": nil, "{}": nil, "{\n}": framing.ErrNewline, `{"""}`: framing.ErrDelimiter, `{"a":10}`: nil,
		`{"a":100}`: framing.ErrTooLong, "{\u00e9}": nil,
	} {
		if err := m.WriteFrame([]byte(in)); !errors.Is(err, want) {
			t.Errorf("WriteFrame(%q) = %v, want %v", in, err, want)
		}
	}
	m.Close()
	if err := m.WriteFrame([]byte("{}")); !errors.Is(err, framing.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := m.ReadFrame(); !errors.Is(err, framing.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestAppendASCII(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":1}`:            `{"a":1}`,
		"\u00e9 \u4e2d":      `\u00e9 \u4e2d`,
		"\U0001f600\x7f":     `\ud83d\ude00` + "\x7f",
		"\xff\xc3(":          `\ufffd\ufffd(`,
		"\U00010000\u0080\n": `\ud800\udc00\u0080` + "\n",
	} {
		if got := string(framing.AppendASCII([]byte("x"), []byte(in))); got != "x"+want {
			t.Errorf("AppendASCII(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestMosSplit: objects between the same delimiters can be told apart as on a
// plain line.
func TestMosSplit(t *testing.T) {
	m := framing.NewMosTCP(chunks("\n{}{\"a\":1}\n", 9), nil)
	line, err := m.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	first, rest, err := m.Split(line)
	if string(first) != "{}" || string(rest) != `{"a":1}` || err != nil {
		t.Errorf("got %q, %q, %v", first, rest, err)
	}
}

// TestMosEcho: a line that echoes does not keep the device busy.
func TestMosEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wire.Pair(&wire.Options{Baud: 115200})
		m := framing.NewMosDevice(near, nil)
		go collect(m)
		go func() {
			buf := make([]byte, 64)
			for {
				n, err := far.Read(buf)
				if err != nil {
					return
				}
				far.Write(buf[:n])
			}
		}()
		far.Write([]byte("\n"))
		time.Sleep(time.Second)
		if n := m.Stats().BytesWritten; n == 0 || n > 50 {
			t.Errorf("%d bytes sent in a second", n)
		}
		m.Close()
		far.Close()
	})
}

// mosPair joins a tool and a device over a wire. Frames the device gets are
// answered with {"re":FRAME}.
func mosPair(w *wire.Options, to, do *framing.MosOptions) (tool, dev *framing.MosConn, near, far *wire.End) {
	near, far = wire.Pair(w)
	tool, dev = framing.NewMosTool(near, to), framing.NewMosDevice(far, do)
	go func() {
		for {
			f, err := dev.ReadFrame()
			if err != nil {
				return
			}
			dev.WriteFrame(fmt.Appendf(nil, `{"re":%s}`, f))
		}
	}()
	return tool, dev, near, far
}

func TestMosRoundTrip(t *testing.T) {
	for name, opt := range map[string]*framing.MosOptions{
		"once": nil, "every frame": {EveryFrame: true}, "paced": {EveryFrame: true, Pace: framing.Mos115200(), XonXoff: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tool, dev, _, far := mosPair(&wire.Options{Baud: 115200}, opt, &framing.MosOptions{XonXoff: true})
				got := make(chan string, 1)
				go func() {
					for {
						f, err := tool.ReadFrame()
						if err != nil {
							return
						}
						got <- string(f)
					}
				}()
				for i, f := range append(frames, "{\"caf\u00e9\":\"\U0001f600\"}") {
					far.Write([]byte(fmt.Sprintf("console {%d}\r\n", i)))
					if err := tool.WriteFrame([]byte(f)); err != nil {
						t.Fatal(err)
					}
					want := `{"re":` + string(framing.AppendASCII(nil, []byte(f))) + "}"
					if r := <-got; r != want {
						t.Errorf("got %q, want %q", r, want)
					}
				}
				ts, ds := tool.Stats(), dev.Stats()
				n := uint64(len(frames) + 1)
				shakes := n
				if opt == nil {
					shakes = 1
				}
				if ts.Junk != n || ts.CRCGood != n || ds.CRCGood != n || ds.Handshake != shakes || ds.Junk != 0 {
					t.Errorf("tool %+v\ndevice %+v", ts, ds)
				}
				tool.Close()
				dev.Close()
			})
		})
	}
}

// TestMosNoise sends frames over a bad line: none arrives changed, and after
// the noise all arrive.
func TestMosNoise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := heavy(5000)
		tool, dev, near, far := mosPair(&wire.Options{Seed: 3, AtoB: wire.Uniform(1e-3), BtoA: wire.Uniform(1e-3)},
			&framing.MosOptions{RequireCRC: true, HandshakeTries: 3}, &framing.MosOptions{RequireCRC: true})
		var got []string
		go func() {
			for {
				f, err := tool.ReadFrame()
				if err != nil {
					return
				}
				got = append(got, string(f))
			}
		}()
		sent := map[string]bool{}
		send := func(i int) string {
			f := fmt.Sprintf(`{"src":"mos","id":%d,"method":"RPC.Ping","params":{"text":"some more text to be hit"}}`, i)
			if err := tool.WriteFrame([]byte(f)); err != nil && !errors.Is(err, framing.ErrNoHandshake) {
				t.Fatal(err)
			}
			sent[`{"re":`+f+"}"] = true
			synctest.Wait()
			if i%10 == 0 {
				time.Sleep(2 * time.Second) // a call's time limit
			}
			return f
		}
		for i := range n {
			send(i)
		}
		time.Sleep(2 * time.Second)
		for _, f := range got {
			if !sent[f] {
				t.Fatalf("accepted %q, which was never sent", f)
			}
		}
		if len(got) < n/2 || len(got) >= n {
			t.Errorf("%d of %d calls answered", len(got), n)
		}
		near.SetFaults(wire.Faults{})
		far.SetFaults(wire.Faults{})
		before := len(got)
		for i := range 20 {
			send(n + i)
		}
		if len(got) != before+20 {
			t.Errorf("%d of 20 calls answered after the noise", len(got)-before)
		}
		t.Logf("%d of %d answered; faults: %+v, %+v", before, n, near.Stats(), far.Stats())
		tool.Close()
		dev.Close()
	})
}

// TestMosIdle: a frame cut short is forgotten after a second.
func TestMosIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wire.Pair(nil)
		m := framing.NewMosDevice(near, nil)
		go func() {
			far.Write([]byte("\n\"\"\"{\"a\":"))
			time.Sleep(1100 * time.Millisecond)
			far.Write([]byte("{}\n{\"b\":"))
			time.Sleep(900 * time.Millisecond)
			far.Write([]byte("1}\n"))
			time.Sleep(time.Minute)
			m.Close()
		}()
		got := collect(m)
		if len(got) != 2 || got[0].frame != "{}" || got[1].frame != `{"b":1}` {
			t.Errorf("got %v", got)
		}
		if s := m.Stats(); s.Dropped != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestMosHandshakeStale: an answer that came late does not count for the next
// handshake.
func TestMosHandshakeStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wire.Pair(nil)
		m := framing.NewMosTool(near, &framing.MosOptions{EveryFrame: true})
		go collect(m)
		const answer = "\"\"\"\x04\"\"\"\n"
		time.AfterFunc(300*time.Millisecond, func() { far.Write([]byte(answer + answer)) })
		if err := m.WriteFrame([]byte("{}")); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		start := time.Now()
		if err := m.WriteFrame([]byte("{}")); !errors.Is(err, framing.ErrNoHandshake) {
			t.Errorf("error %v", err)
		}
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("gave up after %v", d)
		}
		m.Close()
	})
}

// TestMosHandshakeClose: Close ends a handshake nobody answers.
func TestMosHandshakeClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := wire.Pair(nil)
		m := framing.NewMosTool(near, nil)
		time.AfterFunc(300*time.Millisecond, func() { m.Close() })
		if err := m.WriteFrame([]byte("{}")); !errors.Is(err, framing.ErrClosed) {
			t.Errorf("error %v", err)
		}
	})
}

func TestMosAllocs(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	m := framing.NewMosTCP(&endless{text: []byte("\n\"\"\"" + withCRC(frames[0]) + "\"\"\"\nlog\n")}, nil)
	frame := []byte(frames[0])
	m.WriteFrame(frame)
	m.ReadFrame()
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := m.ReadFrame(); err != nil {
			t.Fatal(err)
		}
		if err := m.WriteFrame(frame); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// FuzzMos: the pieces a stream comes in do not matter, an independent reading
// of the framing finds the same frames, and nothing panics.
func FuzzMos(f *testing.F) {
	f.Add([]byte("\"\"\"\x04\"\"\"\n\n\"\"\"\n\"\"\""+withCRC(frames[0])+"\"\"\"\n"), uint64(1))
	f.Add([]byte("log\n{}\r\n\"\"\"{}\"\"\"{}00000000\n\xff{}\n{\"a\":\"\"}\n"), uint64(2))
	f.Add([]byte(strings.Repeat("{", 99)+"\n{}\"\"\"\"\"{}\n{}"), uint64(3))
	f.Fuzz(func(t *testing.T, p []byte, seed uint64) {
		var want []string
		r := rng(seed)
		for i := range 3 {
			s := newScript()
			for q := p; len(q) > 0; {
				n := 1 + r.IntN(min(len(q), 40))
				s.steps = append(s.steps, step{data: string(q[:n])})
				q = q[n:]
			}
			m := framing.NewMosTCP(s, &framing.MosOptions{MaxFrame: 90, EightBit: true, ReadBuffer: 64})
			got := readAll(t, m)
			if i == 0 {
				want = got
			}
			same(t, got, want...)
			if st := m.Stats(); st.BytesRead != uint64(len(p)) || st.Frames != uint64(len(got)) {
				t.Fatalf("stats %+v", st)
			}
			d := framing.NewMosDevice(chunks(string(p), 1+r.IntN(40)), &framing.MosOptions{MaxFrame: 90})
			for _, f := range readAll(t, d) {
				if strings.ContainsFunc(f, func(r rune) bool { return r >= 0x80 }) {
					t.Fatalf("the device took %q", f)
				}
			}
			d.Close()
		}
		segs := strings.FieldsFunc(strings.ReplaceAll(string(p), `"""`, "\n"), func(r rune) bool { return r == '\n' })
		for _, g := range want {
			found := false
			for _, s := range segs {
				found = found || strings.HasPrefix(strings.TrimLeft(s, " \t\r"), g)
			}
			if !found {
				t.Fatalf("frame %q does not stand between delimiters in %q", g, p)
			}
		}
	})
}
