package framing_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/wire"
)

// TestU2_RandomStream feeds random bytes: no panic, no growth, and the first
// good frame after dirt and a line feed is read, every time.
func TestU2_RandomStream(t *testing.T) {
	total := heavy(1 << 30)
	if testing.Short() {
		total = 8 << 20
	}
	r := rng(2)
	block := make([]byte, 64<<10)
	for i := range block {
		block[i] = byte(r.Uint32())
	}
	unbroken := bytes.ReplaceAll(block, []byte{'\n'}, []byte{'\r'})
	d := framing.NewDecoder(0)
	good := withCRC(frames[0])
	probe := []byte("\n" + good + "\n")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	probes, found := 0, 0
	feed := func(p []byte) (last []byte) {
		for len(p) > 0 {
			var line []byte
			if line, p = d.Feed(p); line != nil {
				last = line
			}
		}
		return last
	}
	for n := 0; n < total; {
		from := block
		if r.IntN(4) == 0 {
			from = unbroken // a stretch without a line feed
		}
		start := r.IntN(len(from))
		p := from[start:min(len(from), start+1+r.IntN(9000))]
		n += len(p)
		feed(p)
		probes++
		if string(feed(probe)) == good {
			found++
		}
		n += len(probe)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if found != probes {
		t.Errorf("%d of %d probes found", found, probes)
	}
	if after.HeapAlloc > before.HeapAlloc+1<<20 || after.Mallocs > before.Mallocs+1000 {
		t.Errorf("heap grew from %d to %d bytes, %d allocations",
			before.HeapAlloc, after.HeapAlloc, after.Mallocs-before.Mallocs)
	}
	t.Logf("%d MiB, %d probes, stats %+v", total>>20, probes, d.Stats())
}

// TestU2_RandomConn is the same through a connection with its line rules.
func TestU2_RandomConn(t *testing.T) {
	r := rng(22)
	total := heavy(64 << 20)
	if testing.Short() {
		total = 1 << 20
	}
	var dirt []byte
	want := 0
	for len(dirt) < 1<<20 {
		for range r.IntN(3000) {
			dirt = append(dirt, byte(r.Uint32()))
		}
		dirt = append(dirt, ("\n" + withCRC(frames[want%len(frames)]) + "\n")...)
		want++
	}
	for n := 0; n < total; n += len(dirt) {
		c := framing.NewConn(chunks(string(dirt), 700), &framing.Options{RequireCRC: true})
		got := readAll(t, c)
		if len(got) != want {
			t.Fatalf("%d of %d frames", len(got), want)
		}
		for i, f := range got {
			if f != frames[i%len(frames)] {
				t.Fatalf("frame %d is %q", i, f)
			}
		}
	}
}

// TestAcceptance2_Junk: text on lines of its own loses no frame.
func TestAcceptance2_Junk(t *testing.T) {
	r := rng(4)
	var in strings.Builder
	var want []string
	for i := range 2000 {
		for range r.IntN(3) {
			fmt.Fprintf(&in, "[%d] rst:0x1 (POWERON_RESET), boot: {%x}\r\n", i, r.Uint64())
		}
		f := frames[r.IntN(len(frames))]
		in.WriteString(f + "\n")
		want = append(want, f)
	}
	p := chunks(in.String(), 333)
	c := framing.NewConn(p, nil)
	same(t, readAll(t, c), want...)
	if len(p.writes) != 0 {
		t.Errorf("%d writes in answer to junk", len(p.writes))
	}
}

// TestAcceptance3_Cut cuts every frame at every offset; after a second of
// silence the next frame is read, and the piece is not.
func TestAcceptance3_Cut(t *testing.T) {
	for _, crc := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			near, far := wire.Pair(nil)
			c := framing.NewConn(near, &framing.Options{RequireCRC: crc})
			var want []string
			cuts := 0
			go func() {
				for i, f := range frames {
					if crc {
						f = withCRC(f)
					}
					for n := 1; n < len(frames[i]); n++ {
						far.Write([]byte(f[:n]))
						time.Sleep(1001 * time.Millisecond)
						far.Write([]byte(f + "\n"))
						want = append(want, frames[i])
						cuts++
					}
				}
				synctest.Wait()
				c.Close()
			}()
			var got []string
			for _, f := range collect(c) {
				got = append(got, f.frame)
			}
			same(t, got, want...)
			if s := c.Stats(); int(s.Dropped) != cuts || s.Junk != 0 {
				t.Errorf("%d cuts, stats %+v", cuts, s)
			}
		})
	}
}

// TestAcceptance4_Truncated: no truncated frame that ends in a line feed is a
// complete object.
func TestAcceptance4_Truncated(t *testing.T) {
	for _, f := range frames {
		for n := 1; n < len(f); n++ {
			c := framing.NewConn(chunks(f[:n]+"\n", 1000), nil)
			for _, g := range readAll(t, c) {
				if k, err := framing.Count([]byte(g), false); err == nil {
					t.Errorf("%q counts as %d objects", g, k)
				}
			}
			c = framing.NewConn(chunks(f[:n]+"\n"+withCRC(f)[:n]+"\n", 1000), &framing.Options{RequireCRC: true})
			same(t, readAll(t, c))
		}
	}
}

// TestAcceptance5_Merged loses the line feed between all pairs of frames.
func TestAcceptance5_Merged(t *testing.T) {
	for _, a := range frames {
		for _, b := range frames {
			for _, crc := range []bool{false, true} {
				line := a + b
				if crc {
					line = withCRC(a) + withCRC(b)
				}
				c := framing.NewConn(chunks(line+"\n", 50), &framing.Options{RequireCRC: crc})
				raw, err := c.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				got, err := splitAll(c, raw)
				if err != nil {
					t.Fatal(err)
				}
				same(t, got, a, b)
				if n := c.Stats().Merged; n != 1 {
					t.Errorf("merged %d", n)
				}
			}
		}
	}
}

// TestAcceptance8_SmallBuffer sends to a host with a 64-byte ring that is
// emptied every 8 ms: nothing is lost at the preset pace.
func TestAcceptance8_SmallBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := 0
		run := func(pace framing.Pace) {
			p := newScript()
			var ring int
			var last time.Time
			lost = 0
			p.write = func(_ int, b []byte) (int, error) {
				if now := time.Now(); now.Sub(last) >= 8*time.Millisecond {
					ring, last = 0, now
				}
				ring += len(b)
				lost += max(0, ring-63)
				ring = min(ring, 63)
				return len(b), nil
			}
			c := framing.NewConn(p, &framing.Options{Pace: pace})
			for range 20 {
				for _, f := range frames {
					c.WriteFrame([]byte(f))
				}
			}
		}
		run(framing.Pace{})
		unpaced := lost
		run(framing.Arduino64())
		if lost != 0 || unpaced == 0 {
			t.Errorf("%d bytes lost, unpaced %d", lost, unpaced)
		}
	})
}

// TestU8_PortFaults fails every call of the port in turn: the connection ends
// with that error or goes on, and never returns a damaged frame.
func TestU8_PortFaults(t *testing.T) {
	in := strings.Join(frames, "\n") + "\n"
	fatal := []error{syscall.EIO, io.ErrUnexpectedEOF, io.EOF}
	for k := range len(in)/16 + 1 {
		for _, fault := range append(fatal, syscall.EAGAIN, nil) {
			p := chunks(in, 16)
			p.steps = append(p.steps[:k:k], append([]step{{err: fault}}, p.steps[k:]...)...)
			c := framing.NewConn(p, &framing.Options{IdleFlush: -1})
			n := 0
			var err error
			for {
				var f []byte
				if f, err = c.ReadFrame(); err != nil {
					break
				}
				if string(f) != frames[n] {
					t.Fatalf("fault %v at read %d: frame %q", fault, k, f)
				}
				n++
			}
			switch {
			case fault == nil || fault == syscall.EAGAIN:
				if n != len(frames) || !errors.Is(err, io.EOF) {
					t.Errorf("%v at read %d ended the connection after %d frames: %v", fault, k, n, err)
				}
			case !errors.Is(err, fault):
				t.Errorf("%v at read %d: error %v", fault, k, err)
			}
			c.Close()
		}
	}
}

// TestNoise sends frames with CRC over a line with faults: every frame that
// comes out was sent, and once the noise is over all come out.
func TestNoise(t *testing.T) {
	for _, p := range []float64{1e-4, 1e-3, 1e-2} {
		n := heavy(30_000)
		near, far := wire.Pair(&wire.Options{Seed: 99, BtoA: wire.Uniform(p)})
		c := framing.NewConn(near, &framing.Options{RequireCRC: true, IdleDrop: -1, IdleFlush: -1})
		out := framing.NewConn(far, &framing.Options{CRC: framing.CRCSend})
		go func() {
			for i := range n {
				out.WriteFrame(fmt.Appendf(nil, `{"id":%d,"method":"Sum","params":[%d,%d]}`, i, i, 2*i))
			}
			far.SetFaults(wire.Faults{})
			out.WriteFrame(nil)
			for i := range 10 {
				out.WriteFrame(fmt.Appendf(nil, `{"clean":%d}`, i))
			}
			out.Close()
		}()
		got, clean, last := 0, 0, -1
		for _, line := range readAll(t, c) {
			parts, err := splitAll(c, []byte(line))
			if err != nil {
				parts = []string{line} // CRC already taken off
			}
			for _, f := range parts {
				var a, b, id int
				if k, _ := fmt.Sscanf(f, `{"clean":%d}`, &a); k == 1 {
					clean++
					continue
				}
				k, _ := fmt.Sscanf(f, `{"id":%d,"method":"Sum","params":[%d,%d]}`, &id, &a, &b)
				if k != 3 || a != id || b != 2*id || id <= last {
					t.Fatalf("p=%g: accepted %q after %d", p, f, last)
				}
				last = id
				got++
			}
		}
		if clean != 10 {
			t.Errorf("p=%g: %d of 10 frames after the noise", p, clean)
		}
		if share := float64(got) / float64(n); share < 1-100*p {
			t.Errorf("p=%g: only %d of %d frames", p, got, n)
		}
		t.Logf("p=%g: %d of %d frames; %+v; %+v", p, got, n, far.Stats(), c.Stats())
	}
}
