package pty

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ptmx makes a new pseudo terminal each time it is opened.
const ptmx = "/dev/ptmx"

// OpenHangup is Open but keeps nothing: the master's Read fails with EIO before
// the slave is opened for the first time and again after it has been closed.
// The descriptor is non-blocking, which makes the runtime wait for it and gives
// the file deadlines.
func OpenHangup() (*Terminal, error) {
	fd, err := unix.Open(ptmx, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ptmx, err)
	}
	number, err := prepare(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", ptmx, err)
	}
	return &Terminal{File: os.NewFile(uintptr(fd), ptmx), Path: "/dev/pts/" + strconv.Itoa(number)}, nil
}

func openSlave(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
}

// prepare unlocks the slave of a master, makes the pair raw and returns the
// slave's number.
func prepare(fd int) (int, error) {
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return 0, err
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return 0, err
	}
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return 0, err
	}
	makeRaw(settings)
	return number, unix.IoctlSetTermios(fd, unix.TCSETS, settings)
}

// makeRaw switches off everything that treats a byte specially.
func makeRaw(s *unix.Termios) {
	s.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON | unix.IXOFF
	s.Oflag &^= unix.OPOST
	s.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	s.Cc[unix.VMIN], s.Cc[unix.VTIME] = 1, 0
}
