//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockState takes the state directory for this process: two that write the same
// configuration would lose what the other has saved. The lock is gone when unlock is
// called, the process ends, or the program begins anew in its place.
func lockState(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return func() { f.Close() }, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%s: another ccm run uses it", dir)
	}
	return func() {}, nil // a file system without locks
}
