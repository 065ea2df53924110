//go:build !linux

package testbed

import (
	"errors"
	"os"
	"testing"
)

// PTY skips the test: pseudo terminals are made on Linux only.
func PTY(t testing.TB) (master *os.File, slavePath string) {
	t.Helper()
	Require(t, "pty")
	return nil, ""
}

// PTYHangup skips the test: pseudo terminals are made on Linux only.
func PTYHangup(t testing.TB) (master *os.File, slavePath string) {
	t.Helper()
	Require(t, "pty")
	return nil, ""
}

// PTYPair skips the test: pseudo terminals are made on Linux only.
func PTYPair(t testing.TB) (pathA, pathB string) {
	t.Helper()
	Require(t, "pty")
	return "", ""
}

// findPTY says that there is none.
func findPTY() error { return errors.New("pseudo terminals are made on Linux only") }
