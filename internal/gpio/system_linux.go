package gpio

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// system is the part of a kernel that has GPIO chips.
type system interface {
	open(path string) (fd int, err error)
	ioctl(fd int, number uint, argument any) error
	close(fd int) error
}

// kernel is the one this runs on.
type kernel struct{}

func (kernel) open(path string) (int, error) {
	return unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
}

func (kernel) close(fd int) error { return unix.Close(fd) }

// ioctl gives the address of a structure to the kernel, for which there is no way
// but package unsafe: golang.org/x/sys/unix has the structures of GPIO and no
// functions that take them.
func (kernel) ioctl(fd int, number uint, argument any) error {
	var p unsafe.Pointer
	switch a := argument.(type) {
	case *unix.GPIOV2LineInfo:
		p = unsafe.Pointer(a)
	case *unix.GPIOV2LineRequest:
		p = unsafe.Pointer(a)
	case *unix.GPIOV2LineConfig:
		p = unsafe.Pointer(a)
	case *unix.GPIOV2LineValues:
		p = unsafe.Pointer(a)
	default:
		return fmt.Errorf("ioctl 0x%X: argument of type %T", number, argument)
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(number), uintptr(p)); errno != 0 {
		return errno
	}
	return nil
}
