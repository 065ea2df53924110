package uart_test

import (
	"io"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/internal/testbed"
)

func TestAllocs(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	p, far := onPTY(t)
	out, in := pattern(64), make([]byte, 64)
	deadline := time.Now().Add(time.Minute)
	until(t, time.Minute, far)
	roundTrip := func() {
		if _, err := p.Write(out); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(far, in); err != nil {
			t.Fatal(err)
		}
		if _, err := far.Write(in); err != nil {
			t.Fatal(err)
		}
		if err := p.SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(p, in); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(500, roundTrip); n != 0 {
		t.Errorf("%v allocations per write and read, want 0", n)
	}
	if err := p.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(500, func() { _, _ = p.Read(in) }); n != 0 {
		t.Errorf("%v allocations per timeout, want 0", n)
	}
}

// BenchmarkRoundTrip sends 64 bytes to the port at the far end of a pair of
// ptys, which returns them.
func BenchmarkRoundTrip(b *testing.B) {
	pathA, pathB := testbed.PTYPair(b)
	near, far := open(b, pathA, nil), open(b, pathB, nil)
	go func() {
		_, _ = io.Copy(far, struct{ io.Reader }{far})
	}()
	out, in := pattern(64), make([]byte, 64)
	b.ReportAllocs()
	b.SetBytes(int64(len(out)))
	for b.Loop() {
		roundTrip(b, near, out, in)
	}
}

// BenchmarkEcho is BenchmarkRoundTrip with a plain file at the far end of a
// single pty: what the port itself costs.
func BenchmarkEcho(b *testing.B) {
	p, far := onPTY(b)
	go func() { _, _ = io.Copy(struct{ io.Writer }{far}, struct{ io.Reader }{far}) }()
	out, in := pattern(64), make([]byte, 64)
	b.ReportAllocs()
	b.SetBytes(int64(len(out)))
	for b.Loop() {
		roundTrip(b, p, out, in)
	}
}

// roundTrip writes and reads the same number of bytes.
func roundTrip(b *testing.B, p *uart.Port, out, in []byte) {
	if _, err := p.Write(out); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(p, in); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkWrite is one write of 64 bytes into a device that takes them at
// once: the way through the output goroutine.
func BenchmarkWrite(b *testing.B) {
	p, dev := newFake(b)
	dev.write = func(d []byte) (int, error) {
		dev.mu.Lock()
		dev.calls = dev.calls[:0]
		dev.mu.Unlock()
		return len(d), nil
	}
	out := pattern(64)
	for b.Loop() {
		if _, err := p.Write(out); err != nil {
			b.Fatal(err)
		}
	}
}
