package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/internal/leakcheck"
	"github.com/ccmkit/ccmkit/internal/wire"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// readN reads exactly n bytes.
func readN(t *testing.T, e *wire.End, n int) string {
	t.Helper()
	buf := make([]byte, n)
	if _, err := io.ReadFull(e, buf); err != nil {
		t.Fatal(err)
	}
	return string(buf)
}

func TestBothWays(t *testing.T) {
	a, b := wire.Pair(nil)
	a.Write([]byte("ping"))
	b.Write([]byte("pong!"))
	if got := readN(t, b, 4) + readN(t, a, 5); got != "pingpong!" {
		t.Errorf("got %q", got)
	}
}

// TestRing sends much more than the buffer holds, in all sizes.
func TestRing(t *testing.T) {
	a, b := wire.Pair(&wire.Options{Buffer: 37, ReadMax: 11})
	r := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 100_000)
	for i := range want {
		want[i] = byte(r.Uint32())
	}
	go func() {
		for p := want; len(p) > 0; {
			n := min(len(p), 1+r.IntN(100))
			if k, err := a.Write(p[:n]); k != n || err != nil {
				t.Errorf("write %d, %v", k, err)
			}
			p = p[n:]
		}
		a.Close()
	}()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

func TestPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wire.Pair(&wire.Options{Baud: 9600})
		start := time.Now()
		go a.Write(bytes.Repeat([]byte("x"), 960))
		readN(t, b, 1)
		if d := time.Since(start); d != 16*time.Second/960 {
			t.Errorf("first piece after %v", d)
		}
		readN(t, b, 959)
		if d := time.Since(start); d.Round(time.Microsecond) != time.Second {
			t.Errorf("960 bytes took %v, want 1s", d)
		}
		// Both directions are independent, and an idle line saves nothing up.
		time.Sleep(time.Hour)
		start = time.Now()
		a.Write([]byte("0123456789abcdef"))
		if d := time.Since(start); d != 16*time.Second/960 {
			t.Errorf("after a rest %v", d)
		}
	})
}

func TestCloseUnblocks(t *testing.T) {
	for name, kill := range map[string]func(*wire.End){
		"close": func(e *wire.End) { e.Close() }, "unplug": (*wire.End).Unplug,
	} {
		want := io.ErrClosedPipe
		if name == "unplug" {
			want = wire.ErrUnplugged
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, _ := wire.Pair(&wire.Options{Buffer: 4, Baud: 1000})
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, err := a.Read(make([]byte, 1)); !errors.Is(err, want) {
						t.Errorf("read: %v", err)
					}
				})
				for range 3 { // one in the pacing or full, two waiting for it
					wg.Go(func() {
						if _, err := a.Write(make([]byte, 50)); !errors.Is(err, want) {
							t.Errorf("write: %v", err)
						}
					})
				}
				time.Sleep(time.Minute)
				kill(a)
				wg.Wait()
				if _, err := a.Read(nil); !errors.Is(err, want) {
					t.Errorf("later read: %v", err)
				}
				if err := a.SetReadDeadline(time.Time{}); !errors.Is(err, want) {
					t.Errorf("deadline: %v", err)
				}
				for range 2 {
					if err := a.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
				}
				if _, err := a.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("write after Close: %v", err)
				}
			})
		})
	}
}

func TestPeerClosed(t *testing.T) {
	a, b := wire.Pair(nil)
	a.Write([]byte("last"))
	a.Close()
	if got, err := io.ReadAll(b); string(got) != "last" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write: %v", err)
	}
}

func TestSilentAndReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wire.Pair(&wire.Options{Silent: true})
		b.Write([]byte("old"))
		a.Close()
		if n, err := b.Write([]byte("lost")); n != 4 || err != nil {
			t.Errorf("write to nobody: %d, %v", n, err)
		}
		a = a.Reopen()
		b.Write([]byte("new"))
		a.Write([]byte("hi"))
		if got := readN(t, a, 3) + readN(t, b, 2); got != "newhi" {
			t.Errorf("got %q", got)
		}
		a.Unplug()
		b.Write([]byte("lost"))
		a = a.Reopen()
		b.Write([]byte("again"))
		if got := readN(t, a, 5); got != "again" {
			t.Errorf("got %q", got)
		}
	})
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wire.Pair(nil)
		timeout := func(want time.Duration) {
			t.Helper()
			start := time.Now()
			_, err := a.Read(make([]byte, 9))
			var te interface{ Timeout() bool }
			if !errors.As(err, &te) || !te.Timeout() || time.Since(start) != want {
				t.Errorf("%v after %v, want a timeout after %v", err, time.Since(start), want)
			}
		}
		a.SetReadDeadline(time.Now().Add(10 * time.Minute))
		timeout(10 * time.Minute)
		timeout(0) // stays
		a.SetReadDeadline(time.Now().Add(time.Second))
		timeout(time.Second)
		a.SetReadDeadline(time.Now().Add(time.Hour))
		time.AfterFunc(time.Second, func() { a.SetReadDeadline(time.Now()) }) // wakes the read
		timeout(time.Second)
		a.SetReadDeadline(time.Time{})
		time.AfterFunc(24*time.Hour, func() { b.Write([]byte("x")) })
		if got := readN(t, a, 1); got != "x" {
			t.Errorf("got %q", got)
		}
	})
}

// trace sends text in pieces and returns what arrives.
func trace(seed uint64, f wire.Faults, text []byte, piece int) ([]byte, wire.Stats) {
	var tap []byte
	a, b := wire.Pair(&wire.Options{Seed: seed, AtoB: f, Tap: func(d wire.Dir, p []byte) {
		if d == wire.AtoB {
			tap = append(tap, p...)
		}
	}})
	done := make(chan []byte)
	go func() { got, _ := io.ReadAll(b); done <- got }()
	for p := text; len(p) > 0; {
		n := min(len(p), piece)
		a.Write(p[:n])
		p = p[n:]
	}
	st := a.Stats()
	a.Close()
	if got := <-done; !bytes.Equal(got, tap) {
		panic("the tap saw something else")
	}
	return tap, st
}

func TestFaults(t *testing.T) {
	const n = 200_000
	text := make([]byte, n)
	f := wire.Uniform(0.04)
	first, s := trace(7, f, text, 1000)
	for _, piece := range []int{1, 16, 513, n} {
		if again, s2 := trace(7, f, text, piece); !bytes.Equal(first, again) || s != s2 {
			t.Errorf("the same seed gave another trace in pieces of %d", piece)
		}
	}
	if other, _ := trace(8, f, text, 1000); bytes.Equal(first, other) {
		t.Error("another seed gave the same trace")
	}
	for name, got := range map[string]uint64{
		"dropped": s.Dropped, "flipped": s.Flipped, "duplicated": s.Duplicated, "inserted": s.Inserted,
	} {
		if got < 1800 || got > 2200 {
			t.Errorf("%d %s of %d, want about 2000", got, name, n)
		}
	}
	if s.Written != n || s.Delivered != n-s.Dropped+s.Duplicated+s.Inserted || uint64(len(first)) != s.Delivered ||
		s.Faults() != s.Dropped+s.Flipped+s.Duplicated+s.Inserted {
		t.Errorf("counters do not add up: %+v, %d bytes", s, len(first))
	}
	ones := 0
	for _, b := range first {
		ones += strings.Count(fmt.Sprintf("%b", b), "1")
	}
	if ones < int(s.Flipped) { // every flip sets a bit in a zero byte
		t.Errorf("%d bits set, %d flips", ones, s.Flipped)
	}
}

func TestSetFaults(t *testing.T) {
	a, b := wire.Pair(&wire.Options{AtoB: wire.Faults{Drop: 1}})
	a.Write([]byte("gone"))
	a.SetFaults(wire.Faults{})
	a.Write([]byte("here"))
	if got := readN(t, b, 4); got != "here" {
		t.Errorf("got %q", got)
	}
	if wire.AtoB.String() != "a>b" || wire.BtoA.String() != "b>a" {
		t.Error("names of directions")
	}
}

// TestConcurrent is for the race detector: everything at once.
func TestConcurrent(t *testing.T) {
	a, b := wire.Pair(&wire.Options{Buffer: 64, AtoB: wire.Uniform(0.1)})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				a.Write([]byte("hello"))
				a.Stats()
				a.SetFaults(wire.Uniform(0.2))
			}
		})
	}
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				if _, err := b.Read(make([]byte, 8)); err == io.ErrClosedPipe {
					return
				}
				b.SetReadDeadline(time.Now().Add(time.Millisecond))
			}
		})
	}
	wg.Wait()
	a.Unplug()
	b.Close()
	readers.Wait()
}

func TestSetSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wire.Pair(&wire.Options{Baud: 9600})
		a.SetSpeed(1100, 11)
		start := time.Now()
		a.Write(make([]byte, 100))
		if d := time.Since(start); d.Round(time.Microsecond) != time.Second {
			t.Errorf("100 bytes at 1100 baud took %v", d)
		}
		readN(t, b, 100)
		a.SetSpeed(0, 0)
		start = time.Now()
		a.Write(make([]byte, 100))
		b.Write([]byte("0123456789abcdef"))
		if d := time.Since(start); d != 16*time.Second/960 {
			t.Errorf("unpaced, and the other way at the old speed: %v", d)
		}
	})
}

func TestLossy(t *testing.T) {
	a, b := wire.Pair(&wire.Options{Lossy: true, Buffer: 9, BufferB: 4})
	for range 3 {
		if n, err := a.Write([]byte("abc")); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	b.Write([]byte("0123456789"))
	if got := readN(t, b, 4) + readN(t, a, 9); got != "abca012345678" {
		t.Errorf("got %q", got)
	}
	if a.Stats().Overrun != 5 || b.Stats().Overrun != 1 {
		t.Errorf("%+v, %+v", a.Stats(), b.Stats())
	}
}

func TestBreakAndStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wire.Pair(&wire.Options{AtoB: wire.Faults{Break: 1}})
		start := time.Now()
		a.Write([]byte("x"))
		a.SetFaults(wire.Faults{})
		a.Break(time.Second)
		a.Stall(true)
		time.AfterFunc(time.Minute, func() { a.Stall(false) })
		a.Write([]byte("y"))
		if got := readN(t, b, 3); got != "\x00\x00y" || a.Stats().Broken != 2 || a.Stats().Faults() != 2 {
			t.Errorf("got %q, %+v", got, a.Stats())
		}
		if d := time.Since(start); d != time.Minute+time.Second {
			t.Errorf("took %v", d)
		}
		a.Stall(true)
		time.AfterFunc(time.Minute, func() { a.Close() })
		if err := a.Break(time.Second); err != io.ErrClosedPipe {
			t.Error(err)
		}
		if _, err := a.Write([]byte("z")); err != io.ErrClosedPipe {
			t.Error(err)
		}
		if err := a.Break(time.Second); err != io.ErrClosedPipe {
			t.Error(err)
		}
	})
}

func TestSplitMergeAlter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wire.Pair(&wire.Options{Split: true, Seed: 1, Alter: func(_ wire.Dir, p []byte) []byte { return bytes.ToUpper(p) }})
		a.Write([]byte("0123456789abcdef"))
		var got, reads = "", 0
		for len(got) < 16 {
			p := make([]byte, 100)
			n, err := b.Read(p)
			if n == 0 || err != nil {
				t.Fatal(n, err)
			}
			got, reads = got+string(p[:n]), reads+1
		}
		if got != "0123456789ABCDEF" || reads < 2 {
			t.Errorf("%q in %d reads", got, reads)
		}

		a, b = wire.Pair(&wire.Options{Merge: time.Second})
		start := time.Now()
		a.Write([]byte("x"))
		time.Sleep(time.Second / 2)
		a.Write([]byte("y"))
		if got := readN(t, b, 2); got != "xy" || time.Since(start) != time.Second {
			t.Errorf("%q after %v", got, time.Since(start))
		}
		a.Write(make([]byte, wire.MergeSize))
		readN(t, b, wire.MergeSize)
		if time.Since(start) != time.Second {
			t.Errorf("a full piece after %v", time.Since(start))
		}
		a.Write([]byte("old"))
		b.ResetInput()
		a.Write([]byte("new"))
		a.Close()
		if got, err := io.ReadAll(b); string(got) != "new" || err != nil || time.Since(start) != time.Second {
			t.Errorf("%q, %v after %v", got, err, time.Since(start))
		}
	})
}
