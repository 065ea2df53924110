//go:build linux || darwin || freebsd || openbsd

package uart

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// mustProbe: a descriptor above 1023 makes the library panic on this platform.
const mustProbe = true

// maxDescriptor is the first descriptor that the library cannot use
// (FD_SETSIZE).
const maxDescriptor = 1024

// A claim is a descriptor of the device beside the library's own. It carries
// the advisory lock, which the system drops with the descriptor, and does what
// the library does not: it knows the system's error number, whether there are
// modem lines and whether the device is still there, and it keeps Read from
// blocking where it cannot be woken.
type claim struct {
	fd    int
	lines bool // the device has DTR and RTS
}

// takeClaim opens the device and, if lock is set, locks it for this user.
func takeClaim(path string, lock bool) (*claim, error) {
	fd, err := ignoringEINTR(func() (int, error) {
		return unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	c := &claim{fd: fd}
	if _, err := unix.IoctlGetTermios(fd, getTermios); err != nil {
		_ = c.Close()
		return nil, err
	}
	if lock {
		if err := c.lock(); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	_, err = unix.IoctlGetInt(fd, unix.TIOCMGET)
	c.lines = err == nil
	return c, nil
}

// lock takes the advisory lock. Where the system cannot lock devices the port
// is used without.
func (c *claim) lock() error {
	_, err := ignoringEINTR(func() (int, error) {
		return 0, unix.Flock(c.fd, unix.LOCK_EX|unix.LOCK_NB)
	})
	if err == unix.EWOULDBLOCK {
		return fmt.Errorf("%w: it is locked", ErrBusy)
	}
	return nil
}

// prepare sets up what the library has opened.
func (c *claim) prepare() error {
	c.keepFromChildren()
	return c.returnEmptyReads()
}

// returnEmptyReads makes the system return at once from a read that finds
// nothing (VMIN and VTIME 0). The library waits for input with select and reads
// after that. If the input is thrown away in between, by ResetInput or SetMode,
// its read would block, and not even Close could end it.
func (c *claim) returnEmptyReads() error {
	settings, err := unix.IoctlGetTermios(c.fd, getTermios)
	if err != nil {
		return err
	}
	settings.Cc[unix.VMIN], settings.Cc[unix.VTIME] = 0, 0
	return unix.IoctlSetTermios(c.fd, setTermios, settings)
}

// alive reports whether the device is still there: every request on a terminal
// that was hung up fails.
func (c *claim) alive() bool {
	_, err := unix.IoctlGetTermios(c.fd, getTermios)
	return err == nil
}

// keepFromChildren marks every descriptor of the device close-on-exec. The
// library does not do that for its own, and does not tell its number: a program
// started later would keep the line open after Close. The standard descriptors
// are left as they are, should the device be this program's console.
func (c *claim) keepFromChildren() {
	var device, other unix.Stat_t
	if unix.Fstat(c.fd, &device) != nil {
		return
	}
	for fd := 3; fd < maxDescriptor; fd++ {
		if unix.Fstat(fd, &other) == nil && other.Dev == device.Dev && other.Ino == device.Ino {
			unix.CloseOnExec(fd)
		}
	}
}

// settle waits until the kernel has handed all output to the device. At the
// limit it drops the rest: without that, the system would wait up to half a
// minute for it when the last descriptor closes.
func (c *claim) settle(limit time.Time) bool {
	for {
		queued, err := unix.IoctlGetInt(c.fd, unix.TIOCOUTQ)
		if err != nil || queued <= 0 { // gone, or empty
			return true
		}
		if !time.Now().Before(limit) {
			_ = flushOutput(c.fd)
			return false
		}
		time.Sleep(idlePause)
	}
}

// Close gives the lock back.
func (c *claim) Close() error { return unix.Close(c.fd) }

// ignoringEINTR repeats a system call that a signal interrupted.
func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
