package uart_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/framing/uart"
	"go.bug.st/serial"
)

// wantTimeout checks the error of a read that ended because of the deadline.
func wantTimeout(t *testing.T, n int, err error) {
	t.Helper()
	timeout, ok := err.(interface{ Timeout() bool })
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !ok || !timeout.Timeout() {
		t.Fatalf("read: %d, %v; want a timeout", n, err)
	}
}

func TestReadDeadline(t *testing.T) {
	p, _ := newFake(t)
	for _, wait := range []time.Duration{time.Microsecond, 20 * time.Millisecond, 3 * uart.ReadSlice} {
		start := time.Now()
		if err := p.SetReadDeadline(start.Add(wait)); err != nil {
			t.Fatal(err)
		}
		n, err := p.Read(make([]byte, 8))
		wantTimeout(t, n, err)
		if took := time.Since(start); took < wait || took > wait+2*time.Second {
			t.Errorf("deadline after %v: took %v", wait, took)
		}
	}
}

// As with net.Conn: a deadline that has passed wins over bytes that wait, and
// stays until another one is set.
func TestReadDeadlinePassed(t *testing.T) {
	p, dev := newFake(t)
	dev.read = func(b []byte) (int, error) { return copy(b, "data"), nil }
	if err := p.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		n, err := p.Read(make([]byte, 8))
		wantTimeout(t, n, err)
	}
	if _, reads := dev.seen(); reads != 0 {
		t.Errorf("the device was read %d times", reads)
	}
	for _, deadline := range []time.Time{{}, time.Now().Add(time.Hour)} {
		if err := p.SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		if n, err := p.Read(make([]byte, 8)); n != 4 || err != nil {
			t.Errorf("read with deadline %v: %d, %v", deadline, n, err)
		}
	}
}

func TestReadDeadlineChangedDuringRead(t *testing.T) {
	p, dev := newFake(t)
	if err := p.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := p.Read(make([]byte, 8))
		ended <- err
	}()
	eventually(t, "read begins", func() bool { _, reads := dev.seen(); return reads > 0 })
	if err := p.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		wantTimeout(t, 0, err)
	case <-time.After(5 * time.Second):
		t.Fatal("the read did not notice")
	}
}

// An idle port must not wake up: one read of the device, however long.
func TestReadIdleSleeps(t *testing.T) {
	p, dev := newFake(t)
	ended := make(chan error)
	go func() {
		_, err := p.Read(make([]byte, 8))
		ended <- err
	}()
	time.Sleep(6 * uart.ReadSlice)
	calls, reads := dev.seen()
	if reads != 1 || len(calls) != 0 {
		t.Errorf("%d reads of the device and calls %q, want 1 and none", reads, calls)
	}
	_ = p.Close()
	if err := <-ended; !errors.Is(err, uart.ErrClosed) {
		t.Errorf("read: %v, want ErrClosed", err)
	}
}

func TestReadWithDeadlineWakesRarely(t *testing.T) {
	p, dev := newFake(t)
	const slices = 4
	if err := p.SetReadDeadline(time.Now().Add(slices * uart.ReadSlice)); err != nil {
		t.Fatal(err)
	}
	n, err := p.Read(make([]byte, 8))
	wantTimeout(t, n, err)
	if _, reads := dev.seen(); reads > slices+1 {
		t.Errorf("%d reads of the device, want at most %d", reads, slices+1)
	}
}

// A driver that ignores the timeout and reports nothing must not make Read spin.
func TestReadBrokenDriverDoesNotSpin(t *testing.T) {
	for _, deadline := range []time.Duration{0, 100 * time.Millisecond} {
		p, dev := newFake(t)
		dev.read = func([]byte) (int, error) { return 0, nil }
		if deadline > 0 {
			if err := p.SetReadDeadline(time.Now().Add(deadline)); err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan error)
		go func() {
			_, err := p.Read(make([]byte, 8))
			ended <- err
		}()
		time.Sleep(100 * time.Millisecond)
		_ = p.Close()
		if err := <-ended; err == nil {
			t.Error("read returned no error")
		}
		if _, reads := dev.seen(); reads > 60 {
			t.Errorf("%d reads of the device in 0.1 s", reads)
		}
	}
}

func TestReadNothing(t *testing.T) {
	p, dev := newFake(t)
	if n, err := p.Read(nil); n != 0 || err != nil {
		t.Errorf("read of no bytes: %d, %v", n, err)
	}
	if _, reads := dev.seen(); reads != 0 {
		t.Error("a read of no bytes reached the device, which takes it for a hang-up")
	}
	_ = p.Close()
	if _, err := p.Read(nil); !errors.Is(err, uart.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
}

func TestReadPanic(t *testing.T) {
	p, dev := newFake(t)
	dev.read = func([]byte) (int, error) {
		var set [16]int64
		return int(set[len(dev.calls)+1024/64]), nil // index out of range, as in the library
	}
	_, err := p.Read(make([]byte, 8))
	if !errors.Is(err, uart.ErrTooManyFiles) || !strings.Contains(err.Error(), "fake0") {
		t.Errorf("got %v, want ErrTooManyFiles that names the port", err)
	}
	dev.read = func(b []byte) (int, error) { return copy(b, "ok"), nil }
	if n, err := p.Read(make([]byte, 8)); n != 2 || err != nil {
		t.Errorf("next read: %d, %v", n, err)
	}
}

func TestReadErrors(t *testing.T) {
	p, dev := newFake(t)
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENXIO, syscall.ENODEV} {
		dev.read = func([]byte) (int, error) { return 0, errno }
		_, err := p.Read(make([]byte, 8))
		if !errors.Is(err, uart.ErrUnplugged) || !errors.Is(err, errno) {
			t.Errorf("%v: got %v, want ErrUnplugged and the errno", errno, err)
		}
	}
	dev.read = func(b []byte) (int, error) { return copy(b, "abc"), syscall.EIO }
	if n, err := p.Read(make([]byte, 8)); n != 3 || !errors.Is(err, uart.ErrUnplugged) {
		t.Errorf("bytes and an error: %d, %v", n, err)
	}
	dev.read = func(b []byte) (int, error) { return len(b) + 1, nil }
	if n, err := p.Read(make([]byte, 8)); n != 0 || err == nil {
		t.Errorf("more bytes than fit: %d, %v", n, err)
	}
	dev.read = func([]byte) (int, error) { return 0, &serial.PortError{} }
	_, err := p.Read(make([]byte, 8))
	if _, ok := errors.AsType[*serial.PortError](err); !ok {
		t.Errorf("%v does not keep the library's error", err)
	}
}

// io.ReadFull spins for ever on reads of 0 and nil.
func TestReadFullEnds(t *testing.T) {
	p, _ := newFake(t)
	if err := p.SetReadDeadline(time.Now().Add(2 * uart.ReadSlice)); err != nil {
		t.Fatal(err)
	}
	n, err := io.ReadFull(p, make([]byte, 8))
	wantTimeout(t, n, err)
}
