//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lockState takes the state directory for this process: two that write the same
// configuration would lose what the other has saved. The lock is gone when unlock is
// called, the process ends, or the program begins anew in its place.
func lockState(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		holder := make([]byte, 32)
		n, _ := f.Read(holder)
		return nil, fmt.Errorf("%s: another ccm run uses it (process %s)", dir, strings.TrimSpace(string(holder[:n])))
	}
	f.Truncate(0)
	fmt.Fprintln(f, os.Getpid())
	return func() { f.Close() }, nil
}
