//go:build darwin || freebsd || openbsd

package uart

import "golang.org/x/sys/unix"

// Requests that read and write the settings of a terminal.
const (
	getTermios = unix.TIOCGETA
	setTermios = unix.TIOCSETA
)

// flushOutput drops what the kernel has not sent yet.
func flushOutput(fd int) error { return unix.IoctlSetPointerInt(fd, unix.TIOCFLUSH, unix.TCOFLUSH) }
