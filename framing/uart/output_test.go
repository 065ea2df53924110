package uart_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/framing/uart"
)

// sink collects what a fake device is given, at most limit bytes a call.
type sink struct {
	mu    sync.Mutex
	got   []byte
	limit int
}

func (s *sink) write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(b), s.limit)
	s.got = append(s.got, b[:n]...)
	return n, nil
}

// pattern returns n bytes that differ from their neighbours.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

func TestWritePieces(t *testing.T) {
	tests := []struct {
		size int
		want []string
	}{
		{0, nil},
		{1, []string{"Write 1"}},
		{uart.PieceSize, []string{"Write 256"}},
		{uart.PieceSize + 1, []string{"Write 256", "Write 1"}},
		{600, []string{"Write 256", "Write 256", "Write 88"}},
	}
	for _, test := range tests {
		p, dev := newFake(t)
		s := &sink{limit: 1 << 20}
		dev.write = s.write
		data := pattern(test.size)
		if n, err := p.Write(data); n != test.size || err != nil {
			t.Errorf("%d bytes: %d, %v", test.size, n, err)
		}
		wantCalls(t, dev, test.want...)
		if !bytes.Equal(s.got, data) {
			t.Errorf("%d bytes: the device got %d different ones", test.size, len(s.got))
		}
	}
}

func TestWriteGoesOnAfterShortWrite(t *testing.T) {
	for _, limit := range []int{1, 100, 255} {
		p, dev := newFake(t)
		s := &sink{limit: limit}
		dev.write = s.write
		data := pattern(700)
		if n, err := p.Write(data); n != len(data) || err != nil {
			t.Errorf("limit %d: %d, %v", limit, n, err)
		}
		if !bytes.Equal(s.got, data) {
			t.Errorf("limit %d: the device got %d different bytes", limit, len(s.got))
		}
	}
}

func TestWriteErrors(t *testing.T) {
	tests := []struct {
		name string
		n    int
		err  error
		want []error
	}{
		{"hang-up", 0, syscall.EIO, []error{uart.ErrUnplugged, syscall.EIO}},
		{"hang-up after some bytes", 10, syscall.EIO, []error{uart.ErrUnplugged, syscall.EIO}},
		{"no progress", 0, nil, []error{io.ErrShortWrite}},
		{"more than there is", 999, nil, []error{io.ErrShortWrite}},
		{"less than nothing", -1, nil, []error{io.ErrShortWrite}},
		{"other", 0, syscall.ENOSPC, []error{syscall.ENOSPC}},
	}
	for _, test := range tests {
		p, dev := newFake(t)
		good := 3 // calls before the error: 256, 100, 156 bytes
		dev.write = func(b []byte) (int, error) {
			good--
			switch {
			case good == 1:
				return 100, nil
			case good >= 0:
				return len(b), nil
			}
			return test.n, test.err
		}
		n, err := p.Write(pattern(1000))
		if want := 512 + max(0, test.n%999); n != want {
			t.Errorf("%s: %d bytes, want %d", test.name, n, want)
		}
		for _, want := range test.want {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", test.name, err, want)
			}
		}
	}
}

func TestWriteInterruptedBySignal(t *testing.T) {
	p, dev := newFake(t)
	s := &sink{limit: 50}
	interrupt := true
	dev.write = func(b []byte) (int, error) {
		if interrupt = !interrupt; !interrupt {
			return 0, syscall.EINTR
		}
		return s.write(b)
	}
	data := pattern(300)
	if n, err := p.Write(data); n != len(data) || err != nil || !bytes.Equal(s.got, data) {
		t.Errorf("%d, %v, device got %d bytes", n, err, len(s.got))
	}
}

// A wait for output, and a change of the mode, are repeated after a signal.
func TestModeInterruptedBySignal(t *testing.T) {
	p, dev := newFake(t)
	seen := map[string]bool{}
	dev.do = func(call string) error {
		if seen[call] {
			return nil
		}
		seen[call] = true
		return syscall.EINTR
	}
	if err := p.Drain(); err != nil {
		t.Errorf("drain: %v", err)
	}
	if err := p.SetMode(uart.Mode8N1(9600)); err != nil || p.Mode() != uart.Mode8N1(9600) {
		t.Errorf("set mode: %v, %v", err, p.Mode())
	}
	if !seen["Drain"] || !seen["SetMode"] || !seen["ResetInput"] {
		t.Errorf("interrupted: %v", seen)
	}
}

// Writes of several goroutines come one after the other, never mixed.
func TestWritesAreNotMixed(t *testing.T) {
	p, dev := newFake(t)
	s := &sink{limit: 200}
	dev.write = s.write
	const writers, size = 8, 1000
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			if n, err := p.Write(bytes.Repeat([]byte{byte(i)}, size)); n != size || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		})
	}
	wg.Wait()
	if len(s.got) != writers*size {
		t.Fatalf("device got %d bytes", len(s.got))
	}
	for message := range slices.Chunk(s.got, size) {
		if bytes.Count(message, message[:1]) != size {
			t.Fatal("two messages are mixed")
		}
	}
}

func TestDrainBreakReset(t *testing.T) {
	p, dev := newFake(t)
	for _, step := range []func() error{
		p.Drain, p.ResetInput, p.ResetOutput,
		func() error { return p.Break(20 * time.Millisecond) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	wantCalls(t, dev, "Drain", "ResetInput", "ResetOutput", "Drain", "Break 20ms")
	for _, d := range []time.Duration{0, -1, uart.MaxBreak + 1} {
		if err := p.Break(d); err == nil {
			t.Errorf("a break of %v was accepted", d)
		}
	}
	dev.do = func(string) error { return syscall.EIO }
	for _, step := range []func() error{p.Drain, p.ResetInput, p.ResetOutput} {
		if err := step(); !errors.Is(err, uart.ErrUnplugged) {
			t.Errorf("%v, want ErrUnplugged", err)
		}
	}
}

// A pin must be usable while a Write waits for the line: it may be the reset
// pin of a host that has stopped reading.
func TestPinsDoNotWaitForWrite(t *testing.T) {
	p, dev := newFake(t)
	inside, release := make(chan struct{}), make(chan struct{})
	dev.write = func(b []byte) (int, error) {
		close(inside)
		<-release
		return len(b), nil
	}
	ended := make(chan error)
	go func() {
		_, err := p.Write([]byte("x"))
		ended <- err
	}()
	<-inside
	if err := p.DTR().Set(true); err != nil {
		t.Error(err)
	}
	if err := p.ResetInput(); err != nil {
		t.Error(err)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
