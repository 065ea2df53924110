//go:build !linux

package gpio

import (
	"errors"
	"fmt"
)

// Pin is a line that is driven. There is none on this system.
type Pin struct{}

// Open fails: the character device of GPIO chips is of Linux.
func Open(c Config) (*Pin, error) {
	return nil, fmt.Errorf("gpio: %s: %w on this system", c.Line, errors.ErrUnsupported)
}

// Set fails.
func (p *Pin) Set(bool) error { return errors.ErrUnsupported }

// Close does nothing.
func (p *Pin) Close() error { return nil }
