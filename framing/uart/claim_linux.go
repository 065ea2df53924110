package uart

import "golang.org/x/sys/unix"

// getTermios reads the settings of a terminal.
const getTermios = unix.TCGETS

// flushOutput drops what the kernel has not sent yet.
func flushOutput(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH) }
