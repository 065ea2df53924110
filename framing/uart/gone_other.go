//go:build !windows

package uart

import (
	"errors"
	"syscall"
)

// isGone reports whether err is what the system says about a port whose device
// was removed.
func isGone(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.ENODEV)
}
