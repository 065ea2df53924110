package testbed

import (
	"io"
	"os"
	"sync"
	"testing"

	"github.com/ccmkit/ccmkit/internal/pty"
)

// PTY makes a raw pseudo terminal. It returns the master, which has deadlines
// and whose Close unblocks a Read, and the path of the slave, to be opened as
// one would open a serial port.
//
// The slave counts as open until the end of the test: the master's Read waits
// for bytes while no one has the slave open, as a real line would, and what is
// written in the meantime is kept. Closing the master hangs up whoever has the
// slave open, like pulling the cable.
func PTY(t testing.TB) (master *os.File, slavePath string) {
	t.Helper()
	return open(t, pty.Open)
}

// open makes a terminal that is closed at the end of the test.
func open(t testing.TB, how func() (*pty.Terminal, error)) (master *os.File, slavePath string) {
	t.Helper()
	Require(t, "pty")
	term, err := how()
	if err != nil {
		t.Fatalf("make a pty: %v", err)
	}
	t.Cleanup(func() { _ = term.Close() })
	return term.File, term.Path
}

// PTYHangup is PTY for tests of the master's side: nothing keeps the slave
// open, so the master's Read fails with EIO before the slave is opened for the
// first time and again after it has been closed.
func PTYHangup(t testing.TB) (master *os.File, slavePath string) {
	t.Helper()
	return open(t, pty.OpenHangup)
}

// PTYPair makes two serial ports joined by a crossed cable: what is written to
// one is read from the other. The cable has no speed, but holds only a few
// kilobytes when the far side does not read.
func PTYPair(t testing.TB) (pathA, pathB string) {
	t.Helper()
	a, pathA := PTY(t)
	b, pathB := PTY(t)
	var wires sync.WaitGroup
	wires.Go(func() { _, _ = io.Copy(onlyWriter{b}, onlyReader{a}) })
	wires.Go(func() { _, _ = io.Copy(onlyWriter{a}, onlyReader{b}) })
	t.Cleanup(func() {
		_ = a.Close()
		_ = b.Close()
		wires.Wait()
	})
	return pathA, pathB
}

// onlyReader and onlyWriter keep io.Copy from looking for a way inside the
// kernel, which terminals do not have.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// findPTY returns nil if pseudo terminals can be made.
func findPTY() error {
	term, err := pty.Open()
	if err != nil {
		return err
	}
	return term.Close()
}
