package testbed

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openSlave opens the slave as a plain file with deadlines.
func openSlave(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// send writes data to one file and expects it at the other.
func send(t *testing.T, from, to *os.File, data []byte) {
	t.Helper()
	if _, err := from.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := to.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(data))
	if n, err := io.ReadFull(to, got); err != nil {
		t.Fatalf("got %d of %d bytes: %v", n, len(data), err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("got %x, want %x", got, data)
	}
}

// allBytes returns every byte value once.
func allBytes() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func TestPTYCarriesEveryByte(t *testing.T) {
	master, path := PTY(t)
	slave := openSlave(t, path)
	send(t, master, slave, allBytes())
	send(t, slave, master, allBytes())
}

func TestPTYKeepsSlaveOpen(t *testing.T) {
	master, path := PTY(t)
	if _, err := master.Write([]byte("early")); err != nil {
		t.Fatal(err)
	}
	slave := openSlave(t, path)
	got := make([]byte, 5)
	if _, err := io.ReadFull(slave, got); err != nil || string(got) != "early" {
		t.Fatalf("got %q, %v", got, err)
	}
	_ = slave.Close()
	if err := master.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := master.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read of the master: %v, want a timeout", err)
	}
}

func TestPTYHangup(t *testing.T) {
	master, path := PTYHangup(t)
	slave := openSlave(t, path)
	send(t, slave, master, []byte("x"))
	_ = slave.Close()
	if _, err := master.Read(make([]byte, 1)); !errors.Is(err, unix.EIO) {
		t.Fatalf("read of the master after the slave closed: %v, want EIO", err)
	}
}

func TestPTYMasterCloseUnblocksRead(t *testing.T) {
	master, _ := PTY(t)
	ended := make(chan error)
	go func() {
		_, err := master.Read(make([]byte, 1))
		ended <- err
	}()
	_ = master.Close()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Fatalf("read: %v, want os.ErrClosed", err)
	}
}

func TestPTYPair(t *testing.T) {
	pathA, pathB := PTYPair(t)
	a, b := openSlave(t, pathA), openSlave(t, pathB)
	send(t, a, b, allBytes())
	send(t, b, a, allBytes())
}

// A cable that is full must still come down: TestMain sees goroutines left.
func TestPTYPairFull(t *testing.T) {
	pathA, _ := PTYPair(t)
	a := openSlave(t, pathA)
	if err := a.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("write into a full cable: %v, want a timeout", err)
	}
}
