package framing_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/wire"
)

// at is a frame and the virtual time since the start at which it was read.
type at struct {
	frame string
	when  time.Duration
}

// collect reads frames until the connection ends. Call inside a bubble.
func collect(c interface{ ReadFrame() ([]byte, error) }) (out []at) {
	start := time.Now()
	for {
		f, err := c.ReadFrame()
		if err != nil {
			return out
		}
		out = append(out, at{string(f), time.Since(start)})
	}
}

func TestIdle(t *testing.T) {
	const ms = time.Millisecond
	a, b := frames[0], frames[1]
	ac := withCRC(a)
	for _, tt := range []struct {
		name  string
		opt   framing.Options
		steps []step
		want  []at
		check func(s framing.Stats) bool
	}{
		{"flushed after 50 ms", framing.Options{},
			[]step{{data: a}, {wait: 100 * ms, data: "\n" + b + "\n"}},
			[]at{{a, 50 * ms}, {b, 100 * ms}},
			func(s framing.Stats) bool { return s.Flushed == 1 && s.Dropped == 0 && s.Lines == 2 }},
		{"flushed when the rest has come late", framing.Options{},
			[]step{{data: a[:9]}, {wait: 500 * ms, data: a[9:]}, {wait: 500 * ms, data: "\n"}},
			[]at{{a, 550 * ms}},
			func(s framing.Stats) bool { return s.Flushed == 1 && s.Dropped == 0 }},
		{"two objects flushed together", framing.Options{},
			[]step{{data: a + b}, {wait: 60 * ms, data: "\n"}},
			[]at{{a + b, 50 * ms}},
			func(s framing.Stats) bool { return s.Flushed == 1 }},
		{"slow drip is one frame", framing.Options{},
			[]step{{data: a[:9]}, {wait: 900 * ms, data: a[9:20]}, {wait: 900 * ms, data: a[20:] + "\n"}},
			[]at{{a, 1800 * ms}},
			func(s framing.Stats) bool { return s.Flushed == 0 && s.Dropped == 0 }},
		{"dropped after a second", framing.Options{},
			[]step{{data: a[:9]}, {wait: 1001 * ms, data: b + "\n"}},
			[]at{{b, 1001 * ms}},
			func(s framing.Stats) bool { return s.Dropped == 1 && s.Discarded == 9 }},
		{"joined just before", framing.Options{},
			[]step{{data: a[:9]}, {wait: 999 * ms, data: a[9:] + "\n"}},
			[]at{{a, 999 * ms}}, nil},
		{"object without CRC not flushed once shown", framing.Options{},
			[]step{{data: ac + "\n" + b}, {wait: 2000 * ms, data: ac + "\n"}},
			[]at{{a, 0}, {a, 2000 * ms}},
			func(s framing.Stats) bool { return s.Dropped == 1 && s.Flushed == 0 && s.CRCGood == 2 }},
		{"object with CRC flushed", framing.Options{RequireCRC: true},
			[]step{{data: ac}, {wait: 100 * ms, data: "\n"}},
			[]at{{a, 50 * ms}}, func(s framing.Stats) bool { return s.Flushed == 1 && s.CRCGood == 1 }},
		{"half a CRC waits for the rest", framing.Options{},
			[]step{{data: ac[:len(ac)-3]}, {wait: 500 * ms, data: ac[len(ac)-3:] + "\n"}},
			[]at{{a, 500 * ms}}, func(s framing.Stats) bool { return s.Flushed == 0 && s.CRCGood == 1 }},
		{"overlong line forgotten after a second", framing.Options{MaxFrame: 100},
			[]step{{data: "{" + a + a + a}, {wait: 1500 * ms, data: b + "\n"}},
			[]at{{b, 1500 * ms}}, func(s framing.Stats) bool { return s.Overlong == 1 && s.Dropped == 0 }},
		{"own times", framing.Options{IdleFlush: 10 * ms, IdleDrop: 20 * ms},
			[]step{{data: a}, {wait: 15 * ms, data: "{x"}, {wait: 25 * ms, data: b + "\n"}},
			[]at{{a, 10 * ms}, {b, 40 * ms}}, func(s framing.Stats) bool { return s.Dropped == 1 && s.Flushed == 1 }},
		{"off", framing.Options{IdleFlush: -1, IdleDrop: -1},
			[]step{{data: a}, {wait: time.Hour, data: "\n"}},
			[]at{{a, time.Hour}}, nil},
		{"flush off", framing.Options{IdleFlush: -1},
			[]step{{data: a}, {wait: 2 * time.Second, data: b + "\n"}},
			[]at{{b, 2 * time.Second}}, func(s framing.Stats) bool { return s.Dropped == 1 }},
		{"drop off", framing.Options{IdleDrop: -1},
			[]step{{data: a[:9]}, {wait: time.Hour, data: a[9:] + "\n"}},
			[]at{{a, time.Hour}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := wire.Pair(nil)
				c := framing.NewConn(near, &tt.opt)
				go func() {
					for _, s := range tt.steps {
						time.Sleep(s.wait)
						far.Write([]byte(s.data))
					}
					time.Sleep(time.Minute)
					c.Close()
				}()
				got := collect(c)
				if len(got) != len(tt.want) {
					t.Fatalf("got %v, want %v", got, tt.want)
				}
				for i := range got {
					if got[i] != tt.want[i] {
						t.Errorf("got %v, want %v", got[i], tt.want[i])
					}
				}
				if s := c.Stats(); tt.check != nil && !tt.check(s) {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

// TestIdleSlowReader: silence counts only while somebody reads. The rest of a
// line that came in the meantime is not too late.
func TestIdleSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wire.Pair(nil)
		c := framing.NewConn(near, nil)
		far.Write([]byte(frames[0] + "\n" + frames[1][:9]))
		c.ReadFrame()
		far.Write([]byte(frames[1][9:] + "\n"))
		time.Sleep(time.Hour)
		if f, err := c.ReadFrame(); string(f) != frames[1] || err != nil {
			t.Errorf("got %q, %v", f, err)
		}
		if s := c.Stats(); s.Dropped != 0 {
			t.Errorf("stats %+v", s)
		}
		c.Close()
	})
}

// TestIdleDropJunk: console text without a line end, such as a prompt, still
// reaches the sink.
func TestIdleDropJunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wire.Pair(nil)
		var junk []string
		c := framing.NewConn(near, &framing.Options{Junk: func(l []byte) { junk = append(junk, string(l)) }})
		far.Write([]byte("login: "))
		time.AfterFunc(time.Minute, func() { c.Close() })
		collect(c)
		same(t, junk, "login: ")
	})
}

// TestIdleNoDeadline: an idle connection sets no deadline at all, and takes
// back the one it set.
func TestIdleNoDeadline(t *testing.T) {
	p := newScript(step{data: frames[0] + "\n"}, step{data: frames[1][:5]}, step{data: frames[1][5:] + "\n"}, step{data: frames[2] + "\n"})
	c := framing.NewConn(p, nil)
	for range 2 {
		c.ReadFrame()
	}
	if len(p.deadlines) != 1 || p.deadlines[0].IsZero() {
		t.Fatalf("deadlines %v, want one", p.deadlines)
	}
	c.ReadFrame()
	if len(p.deadlines) != 2 || !p.deadlines[1].IsZero() {
		t.Fatalf("deadlines %v, want it taken back", p.deadlines)
	}
}

func TestPace(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pace  framing.Pace
		sizes []int // of the frames, line feed included
		want  time.Duration
		n     int // writes
	}{
		{"off", framing.Pace{}, []int{1000, 1000}, 0, 2},
		{"no delay", framing.Pace{Chunk: 3}, []int{1000}, 0, 1},
		{"Arduino64", framing.Arduino64(), []int{63, 64, 126}, 4 * 8 * time.Millisecond, 5},
		{"Notecard", framing.Notecard(), []int{1000, 10}, 4 * 250 * time.Millisecond, 5},
		{"Mos115200", framing.Mos115200(), []int{64}, 3 * 5 * time.Millisecond, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newScript()
				c := framing.NewConn(p, &framing.Options{Pace: tt.pace})
				start := time.Now()
				for _, n := range tt.sizes {
					if err := c.WriteFrame(make([]byte, n-1)); err != nil {
						t.Fatal(err)
					}
				}
				if got := time.Since(start); got != tt.want || len(p.writes) != tt.n {
					t.Errorf("%v for %d writes, want %v for %d", got, len(p.writes), tt.want, tt.n)
				}
				for _, w := range p.writes {
					if tt.pace.Delay > 0 && len(w) > tt.pace.Chunk {
						t.Errorf("a write of %d bytes", len(w))
					}
				}
			})
		})
	}
}

func TestPaceClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := framing.NewConn(newScript(), &framing.Options{Pace: framing.Pace{Chunk: 1, Delay: time.Hour}})
		time.AfterFunc(time.Second, func() { c.Close() })
		start := time.Now()
		second := make(chan error)
		go func() { // waits for the token
			time.Sleep(time.Millisecond)
			second <- c.WriteFrame([]byte("{}"))
		}()
		if err := c.WriteFrame([]byte("{}")); !errors.Is(err, framing.ErrClosed) {
			t.Errorf("error %v", err)
		}
		if err := <-second; !errors.Is(err, framing.ErrClosed) {
			t.Errorf("second writer: %v", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("took %v", d)
		}
	})
}

func TestXonXoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wire.Pair(nil)
		c := framing.NewConn(near, &framing.Options{XonXoff: true})
		got := make(chan []at, 1)
		go func() { got <- collect(c) }()
		write := func() (time.Duration, error) {
			start := time.Now()
			err := c.WriteFrame([]byte("{}"))
			return time.Since(start), err
		}
		send := func(s string) { far.Write([]byte(s)); synctest.Wait() }

		if d, err := write(); d != 0 || err != nil {
			t.Errorf("not stopped: %v, %v", d, err)
		}
		send("\x13")
		time.AfterFunc(time.Second, func() { far.Write([]byte("{\"a\":\x111}\n")) })
		if d, err := write(); d != time.Second || err != nil {
			t.Errorf("resumed: %v, %v", d, err)
		}
		send("\x13")
		if d, err := write(); d != framing.DefaultXoffTimeout || !errors.Is(err, framing.ErrFlowStopped) {
			t.Errorf("XON lost: %v, %v", d, err)
		}
		if d, err := write(); d != 0 || err != nil {
			t.Errorf("after the timeout: %v, %v", d, err)
		}
		send("\x13")
		time.Sleep(time.Hour)
		if d, err := write(); d != 0 || err != nil {
			t.Errorf("long after: %v, %v", d, err)
		}
		// A peer that goes on stopping us does not hold a write for ever.
		send("\x13")
		again := time.AfterFunc(3*time.Second, func() { far.Write([]byte("\x13")) })
		defer again.Stop()
		if d, err := write(); d != framing.DefaultXoffTimeout || !errors.Is(err, framing.ErrFlowStopped) {
			t.Errorf("stopped twice: %v, %v", d, err)
		}
		send("\x11\x13\x11{\"b\":2}\n")
		if d, err := write(); d != 0 || err != nil {
			t.Errorf("both in one piece: %v, %v", d, err)
		}
		send("\x13")
		time.AfterFunc(time.Second, func() { c.Close() })
		if d, err := write(); d != time.Second || !errors.Is(err, framing.ErrClosed) {
			t.Errorf("Close: %v, %v", d, err)
		}
		s := c.Stats()
		if s.Xoff != 7 || s.XoffTimeouts != 2 || s.Junk != 0 {
			t.Errorf("stats %+v", s)
		}
		var lines []string
		for _, f := range <-got {
			lines = append(lines, f.frame)
		}
		same(t, lines, `{"a":1}`, `{"b":2}`)
	})
}

// TestXoffMidFrame: a frame given up between two pieces must not join the next.
func TestXoffMidFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wire.Pair(nil)
		c := framing.NewConn(near, &framing.Options{
			XonXoff: true, Pace: framing.Pace{Chunk: 4, Delay: 10 * time.Millisecond}})
		go collect(c)
		time.AfterFunc(15*time.Millisecond, func() { far.Write([]byte{0x13}) })
		if err := c.WriteFrame([]byte(`{"id":1234567}`)); !errors.Is(err, framing.ErrFlowStopped) {
			t.Errorf("error %v", err)
		}
		if err := c.WriteFrame([]byte("{}")); err != nil {
			t.Error(err)
		}
		buf := make([]byte, 100)
		n, _ := far.Read(buf)
		if got := string(buf[:n]); got != "{\"id\":12\n{}\n" {
			t.Errorf("the peer received %q", got)
		}
		c.Close()
	})
}

func TestReadErrors(t *testing.T) {
	timeout := step{err: timeoutErr{}}
	for _, tt := range []struct {
		name  string
		steps []step
		want  []string
		err   error
	}{
		{"EIO", []step{{data: "{}\n"}, {err: io.ErrUnexpectedEOF}, {data: "{}\n"}}, []string{"{}"}, io.ErrUnexpectedEOF},
		{"bytes with the error", []step{{data: "{}\n{\"a\":1}\n{", err: io.EOF}}, []string{"{}", `{"a":1}`}, io.EOF},
		{"timeouts and empty reads", []step{{}, timeout, {data: "{"}, {}, timeout, {data: "}\n"}, timeout}, []string{"{}"}, io.EOF},
		{"bytes with a timeout", []step{{data: "{}\n", err: timeoutErr{}}}, []string{"{}"}, io.EOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := framing.NewConn(newScript(tt.steps...), nil)
			var got []string
			var err error
			for {
				var f []byte
				if f, err = c.ReadFrame(); err != nil {
					break
				}
				got = append(got, string(f))
			}
			same(t, got, tt.want...)
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if _, again := c.ReadFrame(); again != err {
				t.Errorf("second time: %v", again)
			}
		})
	}
}

// TestNoProgress: a port that returns nothing without waiting neither spins nor
// lasts; one that waits before it returns nothing is fine.
func TestNoProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := framing.NewConn(newScript(make([]step, 500)...), nil)
		start := time.Now()
		if _, err := c.ReadFrame(); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("error %v", err)
		}
		if d := time.Since(start); d < 50*time.Millisecond || d > time.Second {
			t.Errorf("took %v", d)
		}
		if n := c.Stats().Empty; n != 100 {
			t.Errorf("%d empty reads", n)
		}
		again := make([]step, 500) // EAGAIN, which asks to try again
		for i := range again {
			again[i].err = timeoutErr{}
		}
		start = time.Now()
		same(t, readAll(t, framing.NewConn(newScript(append(again, step{data: "{}\n"})...), nil)), "{}")
		if d := time.Since(start); d != 499*time.Millisecond { // the first may have waited
			t.Errorf("500 reads took %v: no pause between them", d)
		}
		slow := make([]step, 500)
		for i := range slow {
			slow[i].wait = 100 * time.Millisecond
		}
		slow = append(slow, step{data: "{}"}, step{wait: 60 * time.Millisecond}, step{wait: 100 * time.Millisecond, data: "\n"})
		c = framing.NewConn(newScript(slow...), nil)
		same(t, readAll(t, c), "{}")
		if s := c.Stats(); s.Empty != 0 || s.Flushed != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

type timeoutErr struct{}

func (timeoutErr) Error() string { return "resource temporarily unavailable" }
func (timeoutErr) Timeout() bool { return true }

// TestClose: Close from another goroutine ends a blocked read.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := wire.Pair(nil)
		c := framing.NewConn(near, nil)
		time.AfterFunc(time.Hour, func() { c.Close() })
		if _, err := c.ReadFrame(); !errors.Is(err, framing.ErrClosed) {
			t.Errorf("error %v", err)
		}
	})
}

func TestUnplug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := wire.Pair(nil)
		c := framing.NewConn(near, nil)
		time.AfterFunc(time.Hour, near.Unplug)
		if _, err := c.ReadFrame(); !errors.Is(err, wire.ErrUnplugged) {
			t.Errorf("read: %v", err)
		}
		if err := c.WriteFrame([]byte("{}")); !errors.Is(err, wire.ErrUnplugged) {
			t.Errorf("write: %v", err)
		}
	})
}
