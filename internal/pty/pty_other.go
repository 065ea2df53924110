//go:build !linux

package pty

import (
	"errors"
	"fmt"
	"os"
)

// OpenHangup fails: pseudo terminals are made on Linux only.
func OpenHangup() (*Terminal, error) {
	return nil, fmt.Errorf("pseudo terminal: %w on this system", errors.ErrUnsupported)
}

func openSlave(string) (*os.File, error) { return nil, errors.ErrUnsupported }
