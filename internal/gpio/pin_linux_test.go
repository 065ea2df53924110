package gpio

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The sizes of the structures, as <linux/gpio.h> has them on every machine.
var (
	_ [256]byte = [unsafe.Sizeof(unix.GPIOV2LineInfo{})]byte{}
	_ [592]byte = [unsafe.Sizeof(unix.GPIOV2LineRequest{})]byte{}
	_ [272]byte = [unsafe.Sizeof(unix.GPIOV2LineConfig{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(unix.GPIOV2LineValues{})]byte{}
	_ [24]byte  = [unsafe.Sizeof(unix.GPIOV2LineConfigAttribute{})]byte{}
)

// The places of what is used in them.
var (
	_ [64]byte  = [unsafe.Offsetof(unix.GPIOV2LineInfo{}.Offset)]byte{}
	_ [72]byte  = [unsafe.Offsetof(unix.GPIOV2LineInfo{}.Flags)]byte{}
	_ [256]byte = [unsafe.Offsetof(unix.GPIOV2LineRequest{}.Consumer)]byte{}
	_ [288]byte = [unsafe.Offsetof(unix.GPIOV2LineRequest{}.Config)]byte{}
	_ [560]byte = [unsafe.Offsetof(unix.GPIOV2LineRequest{}.Num_lines)]byte{}
	_ [588]byte = [unsafe.Offsetof(unix.GPIOV2LineRequest{}.Fd)]byte{}
	_ [8]byte   = [unsafe.Offsetof(unix.GPIOV2LineConfig{}.Num_attrs)]byte{}
	_ [32]byte  = [unsafe.Offsetof(unix.GPIOV2LineConfig{}.Attrs)]byte{}
	_ [8]byte   = [unsafe.Offsetof(unix.GPIOV2LineValues{}.Mask)]byte{}
)

// TestNumbers compares the numbers of the ioctls with what <asm-generic/ioctl.h>
// makes of direction (3: both), size, type 0xB4 and number.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		got, size, number uint
	}{
		{unix.GPIO_V2_GET_LINEINFO_IOCTL, 256, 5},
		{unix.GPIO_V2_GET_LINE_IOCTL, 592, 7},
		{setConfig, 272, 13},
		{unix.GPIO_V2_LINE_GET_VALUES_IOCTL, 16, 14},
		{unix.GPIO_V2_LINE_SET_VALUES_IOCTL, 16, 15},
	} {
		if want := 3<<30 | c.size<<16 | 0xB4<<8 | c.number; c.got != want {
			t.Errorf("0x%X, want 0x%X", c.got, want)
		}
	}
}

// fakeLine is a line of a fakeChip.
type fakeLine struct {
	name, user string
	flags      uint64 // but for that of a line in use
	high       bool
}

// fakeChip is a kernel with the chip /dev/gpiochip0, which writes down what is done.
type fakeChip struct {
	lines  []fakeLine
	fail   map[uint]error // ioctls that fail
	opened map[int]int    // descriptor -> line, or -1 for the chip
	log    []string
}

func (f *fakeChip) open(path string) (int, error) {
	switch path {
	case "/dev/gpiochip0":
		return f.descriptor(-1), nil
	case "/dev/gpiochip1":
		return -1, unix.EACCES
	}
	return -1, unix.ENOENT
}

func (f *fakeChip) descriptor(of int) int {
	if f.opened == nil {
		f.opened = map[int]int{}
	}
	fd := 3
	for ; ; fd++ {
		if _, taken := f.opened[fd]; !taken {
			break
		}
	}
	f.opened[fd] = of
	return fd
}

func (f *fakeChip) close(fd int) error {
	if n, is := f.opened[fd]; !is {
		return unix.EBADF
	} else if n >= 0 {
		f.lines[n].user = ""
		f.log = append(f.log, fmt.Sprintf("release %d", n))
	}
	delete(f.opened, fd)
	return nil
}

func (f *fakeChip) ioctl(fd int, number uint, argument any) error {
	if err := f.fail[number]; err != nil {
		return err
	}
	n, is := f.opened[fd]
	if !is {
		return unix.EBADF
	}
	if n < 0 {
		return f.chipIoctl(number, argument)
	}
	return f.lineIoctl(n, number, argument)
}

func (f *fakeChip) chipIoctl(number uint, argument any) error {
	switch a := argument.(type) {
	case *unix.GPIOV2LineInfo:
		if number != unix.GPIO_V2_GET_LINEINFO_IOCTL {
			return unix.ENOTTY
		}
		if a.Offset >= uint32(len(f.lines)) {
			return unix.EINVAL
		}
		l := f.lines[a.Offset]
		copy(a.Name[:], l.name)
		copy(a.Consumer[:], l.user)
		a.Flags = l.flags
		if l.user != "" {
			a.Flags |= 1 // GPIO_V2_LINE_FLAG_USED
		}
		return nil
	case *unix.GPIOV2LineRequest:
		switch n := a.Offsets[0]; {
		case number != unix.GPIO_V2_GET_LINE_IOCTL:
			return unix.ENOTTY
		case a.Num_lines != 1 || n >= uint32(len(f.lines)) || a.Config.Flags != 0 || a.Config.Num_attrs != 0:
			return unix.EINVAL
		case f.lines[n].user != "":
			return unix.EBUSY
		default:
			f.lines[n].user = unix.ByteSliceToString(a.Consumer[:])
			a.Fd = int32(f.descriptor(int(n)))
			f.log = append(f.log, fmt.Sprintf("request %d for %s", n, f.lines[n].user))
			return nil
		}
	}
	return unix.ENOTTY
}

func (f *fakeChip) lineIoctl(n int, number uint, argument any) error {
	l := &f.lines[n]
	switch a := argument.(type) {
	case *unix.GPIOV2LineConfig:
		if number != setConfig {
			return unix.ENOTTY
		}
		l.flags = a.Flags
		text := fmt.Sprintf("config %d flags 0x%X", n, a.Flags)
		for _, attr := range a.Attrs[:a.Num_attrs] {
			if attr.Attr.Id != 2 || attr.Mask != 1 || a.Flags&flagOutput == 0 {
				return unix.EINVAL
			}
			l.high = attr.Attr.Flags&1 != 0
			text += fmt.Sprintf(" level %t", l.high)
		}
		f.log = append(f.log, text)
		return nil
	case *unix.GPIOV2LineValues:
		switch {
		case a.Mask != 1:
			return unix.EINVAL
		case number == unix.GPIO_V2_LINE_GET_VALUES_IOCTL && l.high:
			a.Bits = 1
			return nil
		case number == unix.GPIO_V2_LINE_GET_VALUES_IOCTL:
			a.Bits = 0
			return nil
		case number != unix.GPIO_V2_LINE_SET_VALUES_IOCTL:
			return unix.ENOTTY
		case l.flags&flagOutput == 0:
			return unix.EPERM
		}
		l.high = a.Bits == 1
		f.log = append(f.log, fmt.Sprintf("set %d %t", n, l.high))
		return nil
	}
	return unix.ENOTTY
}

func newChip() *fakeChip {
	return &fakeChip{lines: []fakeLine{
		{name: "LED", user: "led0", flags: flagOutput},
		{name: "MCU_RESET", flags: flagInput | 0x100},                      // with a pull-up
		{name: "MCU_BOOT0", flags: flagOutput | flagOpenDrain, high: true}, // left like that
		{flags: flagOutput},
	}}
}

func TestDrive(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		want   string
	}{
		{"open drain, was an input", Config{Line: Line{"/dev/gpiochip0", "1"}, High: true, OpenDrain: true},
			"request 1 for ccmkit; config 1 flags 0x48 level true; set 1 false; set 1 true; config 1 flags 0x104; release 1"},
		{"by name, was a high output", Config{Line: Line{"/dev/gpiochip0", "MCU_BOOT0"}, Consumer: "boot0"},
			"request 2 for boot0; config 2 flags 0x8 level false; set 2 false; set 2 true; config 2 flags 0x48 level true; release 2"},
		{"was a low output", Config{Line: Line{"/dev/gpiochip0", "3"}, High: true, Consumer: strings.Repeat("x", 40)},
			"request 3 for " + strings.Repeat("x", 31) +
				"; config 3 flags 0x8 level true; set 3 false; set 3 true; config 3 flags 0x8 level false; release 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newChip()
			before := fmt.Sprint(f.lines)
			p, err := open(c.config, f)
			if err != nil {
				t.Fatal(err)
			}
			if len(f.opened) != 1 {
				t.Errorf("%d descriptors are open beside that of the line", len(f.opened)-1)
			}
			if err := errors.Join(p.Set(false), p.Set(true), p.Close(), p.Close()); err != nil {
				t.Error(err)
			}
			if got := strings.Join(f.log, "; "); got != c.want {
				t.Errorf("done:\n%s\nwant:\n%s", got, c.want)
			}
			after := newChip()
			after.lines[1].high = f.lines[1].high // an input has no level to restore
			if got := fmt.Sprint(f.lines); got != fmt.Sprint(after.lines) || len(f.opened) != 0 {
				t.Errorf("left %s, %d open; before %s", got, len(f.opened), before)
			}
			if err := p.Set(true); err == nil || !strings.Contains(err.Error(), "closed") {
				t.Errorf("Set after Close: %v", err)
			}
		})
	}
}

func TestOpenFails(t *testing.T) {
	for _, c := range []struct {
		line Line
		fail map[uint]error
		is   error
		want string
	}{
		{Line{"/dev/gpiochip7", "1"}, nil, ErrNoChip, "gpio: /dev/gpiochip7: no such GPIO chip: "},
		{Line{"/dev/gpiochip1", "1"}, nil, unix.EACCES, "gpio: open /dev/gpiochip1: permission denied"},
		{Line{"/dev/gpiochip0", "4"}, nil, ErrNoLine, "line 4 of /dev/gpiochip0: no such line: it has lines 0 to 3"},
		{Line{"/dev/gpiochip0", "RESET"}, nil, ErrNoLine, "line RESET of /dev/gpiochip0: no such line: none of its 4 lines has this name"},
		{Line{"/dev/gpiochip0", "0"}, nil, ErrBusy, `line 0 of /dev/gpiochip0: the line is in use by "led0"`},
		{Line{"/dev/gpiochip0", "LED"}, nil, ErrBusy, `line LED of /dev/gpiochip0: the line is in use by "led0"`},
		{Line{"/dev/gpiochip0", "1"}, map[uint]error{unix.GPIO_V2_GET_LINEINFO_IOCTL: unix.ENOTTY}, ErrNoChip, "the file is none"},
		{Line{"/dev/gpiochip0", "X"}, map[uint]error{unix.GPIO_V2_GET_LINEINFO_IOCTL: unix.EINVAL}, ErrNoChip, "the file is none"},
		{Line{"/dev/gpiochip0", "1"}, map[uint]error{unix.GPIO_V2_GET_LINEINFO_IOCTL: unix.EINVAL}, ErrNoLine, "it has no lines"},
		{Line{"/dev/gpiochip0", "1"}, map[uint]error{unix.GPIO_V2_GET_LINEINFO_IOCTL: unix.EIO}, unix.EIO, "line 1 of /dev/gpiochip0"},
		{Line{"/dev/gpiochip0", "1"}, map[uint]error{unix.GPIO_V2_GET_LINE_IOCTL: unix.EBUSY}, ErrBusy, "in use by another program"},
		{Line{"/dev/gpiochip0", "1"}, map[uint]error{unix.GPIO_V2_GET_LINE_IOCTL: unix.EPERM}, unix.EPERM, "line 1 of /dev/gpiochip0: request"},
		{Line{"/dev/gpiochip0", "2"}, map[uint]error{unix.GPIO_V2_LINE_GET_VALUES_IOCTL: unix.EIO}, unix.EIO, "line 2 of /dev/gpiochip0: read"},
		{Line{"/dev/gpiochip0", "1"}, map[uint]error{setConfig: unix.ENXIO}, unix.ENXIO, "line 1 of /dev/gpiochip0: cannot be an output"},
	} {
		f := newChip()
		f.fail = c.fail
		_, err := open(Config{Line: c.line}, f)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.line, err, c.want)
		}
		if len(f.opened) != 0 {
			t.Errorf("%s: %d descriptors are left open", c.line, len(f.opened))
		}
	}
}

func TestSetAndCloseFail(t *testing.T) {
	f := newChip()
	p, err := open(Config{Line: Line{"/dev/gpiochip0", "1"}}, f)
	if err != nil {
		t.Fatal(err)
	}
	f.fail = map[uint]error{unix.GPIO_V2_LINE_SET_VALUES_IOCTL: unix.EIO, setConfig: unix.EIO}
	if err := p.Set(true); !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), "line 1 of /dev/gpiochip0: set") {
		t.Errorf("Set: %v", err)
	}
	if err := p.Close(); !errors.Is(err, unix.EIO) || len(f.opened) != 0 {
		t.Errorf("Close: %v, %d descriptors are open", err, len(f.opened))
	}
}

// TestSearchEnds gives a chip that never says how many lines it has.
func TestSearchEnds(t *testing.T) {
	_, err := open(Config{Line: Line{"/dev/gpiochip0", "X"}}, endless{newChip()})
	if !errors.Is(err, ErrNoLine) {
		t.Error(err)
	}
}

// TestCountEnds gives one that has all lines but the one that is wanted.
func TestCountEnds(t *testing.T) {
	_, err := open(Config{Line: Line{"/dev/gpiochip0", "99999"}}, endless{newChip()})
	if !errors.Is(err, ErrNoLine) || !strings.Contains(err.Error(), "lines 0 to 4095") {
		t.Error(err)
	}
}

type endless struct{ *fakeChip }

func (endless) ioctl(_ int, _ uint, argument any) error {
	if info, is := argument.(*unix.GPIOV2LineInfo); is && info.Offset == 99999 {
		return unix.EINVAL
	}
	return nil
}

// TestKernel asks the kernel of this machine about files that are no GPIO chips.
func TestKernel(t *testing.T) {
	if _, err := Open(Config{Line: Line{"/dev/null", "1"}}); !errors.Is(err, ErrNoChip) {
		t.Errorf("/dev/null: %v", err)
	}
	if _, err := Open(Config{Line: Line{t.TempDir() + "/chip", "1"}}); !errors.Is(err, ErrNoChip) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := (kernel{}).ioctl(-1, 0, 0); err == nil || !strings.Contains(err.Error(), "argument of type int") {
		t.Errorf("a foreign argument: %v", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	f := newChip()
	p, err := open(Config{Line: Line{"/dev/gpiochip0", "1"}}, f)
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for n := range 8 {
		work.Go(func() {
			for range 100 {
				_ = p.Set(n%2 == 0)
			}
			_ = p.Close()
		})
	}
	work.Wait()
	if len(f.opened) != 0 {
		t.Error("left open")
	}
}
