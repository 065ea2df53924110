package uart_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/framing/uart"
)

// methods calls every method that uses the device.
func methods(p *uart.Port) map[string]error {
	_, read := p.Read(make([]byte, 1))
	_, write := p.Write([]byte("x"))
	_, empty := p.Write(nil)
	return map[string]error{
		"Read": read, "Write": write, "Write of nothing": empty,
		"SetReadDeadline": p.SetReadDeadline(time.Time{}),
		"SetMode":         p.SetMode(uart.Mode8E1(9600)),
		"Drain":           p.Drain(),
		"Break":           p.Break(time.Millisecond),
		"ResetInput":      p.ResetInput(),
		"ResetOutput":     p.ResetOutput(),
		"SetDTR":          p.SetDTR(true),
		"SetRTS":          p.SetRTS(true),
		"DTR().Set":       p.DTR().Set(true),
		"RTS().Set":       p.RTS().Set(true),
	}
}

// wantClosed checks that every method says that the port is closed.
func wantClosed(t *testing.T, p *uart.Port) {
	t.Helper()
	for name, err := range methods(p) {
		pe, ok := errors.AsType[*fs.PathError](err)
		if !errors.Is(err, uart.ErrClosed) || !errors.Is(err, net.ErrClosed) || !errors.Is(err, os.ErrClosed) || !ok || pe.Path != p.Path() {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

func TestUseAfterClose(t *testing.T) {
	p, dev := newFake(t)
	for range 3 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wantClosed(t, p)
	wantCalls(t, dev, "Close")
	if _, reads := dev.seen(); reads != 0 {
		t.Error("the device was read after Close")
	}
	if p.String() != "fake0 115200 8N1" || p.StuckWrites() != 0 {
		t.Errorf("%v, %d stuck", p, p.StuckWrites())
	}
}

// No call may be inside the device while it closes: its descriptor could be
// another file's by the time the call looks at it.
func TestCloseWaitsForShortCalls(t *testing.T) {
	p, dev := newFake(t)
	inside, release := make(chan struct{}), make(chan struct{})
	dev.do = func(string) error {
		close(inside)
		<-release
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.SetDTR(true) })
	<-inside
	wg.Go(func() { _ = p.Close() })
	time.Sleep(20 * time.Millisecond)
	wantCalls(t, dev, "DTR true")
	close(release)
	wg.Wait()
	wantCalls(t, dev, "DTR true", "Close")
}

func TestCloseWaitsForWrite(t *testing.T) {
	p, dev := newFake(t)
	inside, release := make(chan struct{}), make(chan struct{})
	dev.write = func(b []byte) (int, error) {
		close(inside)
		<-release
		return len(b), nil
	}
	written, closed := make(chan error), make(chan error)
	go func() {
		_, err := p.Write(pattern(1000))
		written <- err
	}()
	<-inside
	go func() { closed <- p.Close() }()
	if err := <-written; !errors.Is(err, uart.ErrClosed) { // at once, though the device is busy
		t.Errorf("write: %v, want ErrClosed", err)
	}
	wantCalls(t, dev, "Write 256")
	close(release)
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	wantCalls(t, dev, "Write 256", "Close")
}

// stick makes a port whose Write is stuck in the device. Calling free lets it
// out; what it reports is the number of bytes taken.
func stick(t *testing.T, data []byte) (p *uart.Port, dev *fakeDevice, written <-chan error, free func(n int)) {
	p, dev = newFake(t)
	inside, release := make(chan struct{}), make(chan int)
	dev.write = func(b []byte) (int, error) {
		before := slices.Clone(b)
		close(inside)
		n := <-release
		if !slices.Equal(before, b) {
			t.Error("the bytes changed while the device had them")
		}
		return n, nil
	}
	result := make(chan error, 1)
	go func() {
		_, err := p.Write(data)
		result <- err
	}()
	<-inside
	return p, dev, result, func(n int) { release <- n }
}

func TestCloseDuringStuckWrite(t *testing.T) {
	data := pattern(1000)
	p, dev, written, free := stick(t, data)
	start := time.Now()
	err := p.Close()
	if took := time.Since(start); took < uart.CloseWait || took > uart.CloseWait+time.Second {
		t.Errorf("Close took %v, want %v", took, uart.CloseWait)
	}
	if !errors.Is(err, uart.ErrStuckWrite) || errors.Is(err, uart.ErrClosed) {
		t.Errorf("close: %v, want ErrStuckWrite", err)
	}
	if err := <-written; !errors.Is(err, uart.ErrClosed) {
		t.Errorf("write: %v, want ErrClosed", err)
	}
	clear(data) // the caller has its bytes back
	if n := p.StuckWrites(); n != 1 {
		t.Errorf("%d stuck writes, want 1", n)
	}
	if again := p.Close(); again != err {
		t.Errorf("second Close: %v, want %v", again, err)
	}
	wantClosed(t, p)

	free(100) // a part only: the rest must not go to a descriptor that is closed
	eventually(t, "the write ends", func() bool { return p.StuckWrites() == 0 })
	wantCalls(t, dev, "Write 256", "Close")
}

// A mode change whose Drain is stuck must not touch the device afterwards.
func TestCloseDuringStuckDrain(t *testing.T) {
	p, dev := newFake(t)
	inside, release := make(chan struct{}), make(chan struct{})
	dev.do = func(call string) error {
		close(inside)
		<-release
		return nil
	}
	ended := make(chan error, 1)
	go func() { ended <- p.SetMode(uart.Mode8E1(9600)) }()
	<-inside
	if err := p.Close(); !errors.Is(err, uart.ErrStuckWrite) {
		t.Errorf("close: %v, want ErrStuckWrite", err)
	}
	if err := <-ended; !errors.Is(err, uart.ErrClosed) {
		t.Errorf("set mode: %v, want ErrClosed", err)
	}
	close(release)
	eventually(t, "the drain ends", func() bool { return p.StuckWrites() == 0 })
	wantCalls(t, dev, "Drain", "Close")
}

// Bytes that the kernel could not send in time are lost, and Close says so.
func TestCloseWithUnsentBytes(t *testing.T) {
	dev := &fakeDevice{closed: make(chan struct{})}
	p := uart.NewPort(dev, false)
	if err := p.Close(); !errors.Is(err, uart.ErrStuckWrite) {
		t.Errorf("close: %v, want ErrStuckWrite", err)
	}
	if p.StuckWrites() != 0 {
		t.Error("a goroutine is counted as stuck")
	}
}

func TestCloseFromManyGoroutines(t *testing.T) {
	for range 50 {
		p, dev := newFake(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				if !slices.Contains(first(dev.seen()), "Close") {
					t.Error("Close returned before the device was closed")
				}
			})
			wg.Go(func() { _, _ = p.Write(pattern(600)) })
			wg.Go(func() { _, _ = p.Read(make([]byte, 10)) })
			wg.Go(func() { _ = p.SetMode(uart.Mode{}) })
			wg.Go(func() { _ = p.SetRTS(true) })
		}
		wg.Wait()
		calls, _ := dev.seen()
		if calls[len(calls)-1] != "Close" {
			t.Fatalf("calls after Close: %q", calls)
		}
	}
}

// first returns its first argument.
func first[T, U any](t T, _ U) T { return t }

// A port is what package framing and the boot loader client ask for.
var _ interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetMode(uart.Mode) error
	SetDTR(bool) error
	SetRTS(bool) error
} = (*uart.Port)(nil)
