package gpio

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// What golang.org/x/sys/unix lacks of <linux/gpio.h>.
const (
	setConfig = 0xC110B40D // GPIO_V2_LINE_SET_CONFIG_IOCTL

	flagInput      = 1 << 2 // GPIO_V2_LINE_FLAG_...
	flagOutput     = 1 << 3
	flagOpenDrain  = 1 << 6
	flagOpenSource = 1 << 7
	flagBias       = 1<<8 | 1<<9 | 1<<10 // pull up, pull down, disabled
)

// maxLines bounds the search for a name.
const maxLines = 1 << 12

// Pin is a line that is driven. It is safe for concurrent use.
type Pin struct {
	line Line
	sys  system

	mu     sync.Mutex
	fd     int // of the line; -1 after Close
	before unix.GPIOV2LineConfig
}

// Open takes a line, and drives it. The Pin must be closed.
func Open(c Config) (*Pin, error) { return open(c, kernel{}) }

func open(c Config, sys system) (*Pin, error) {
	chip, err := sys.open(c.Line.Chip)
	if err != nil {
		return nil, openError(c.Line, err)
	}
	defer func() { _ = sys.close(chip) }()
	info, err := find(sys, chip, c.Line)
	if err != nil {
		return nil, err
	}
	p := &Pin{line: c.Line, sys: sys}
	if err := p.take(chip, info, c.Consumer); err != nil {
		return nil, err
	}
	flags := uint64(flagOutput)
	if c.OpenDrain {
		flags |= flagOpenDrain
	}
	config := outputConfig(flags, c.High)
	if err := sys.ioctl(p.fd, setConfig, &config); err != nil {
		_ = sys.close(p.fd)
		return nil, fmt.Errorf("gpio: %s: cannot be an output: %w", c.Line, err)
	}
	return p, nil
}

// take requests the line as it is, and keeps how that was.
func (p *Pin) take(chip int, info unix.GPIOV2LineInfo, consumer string) error {
	r := unix.GPIOV2LineRequest{Num_lines: 1}
	r.Offsets[0] = info.Offset
	copy(r.Consumer[:len(r.Consumer)-1], cmp.Or(consumer, "ccmkit"))
	err := p.sys.ioctl(chip, unix.GPIO_V2_GET_LINE_IOCTL, &r)
	switch {
	case errors.Is(err, unix.EBUSY):
		return busy(p.line, info)
	case err != nil:
		return fmt.Errorf("gpio: %s: request: %w", p.line, err)
	}
	p.fd = int(r.Fd)
	p.before = unix.GPIOV2LineConfig{Flags: flagInput | info.Flags&flagBias}
	if info.Flags&flagOutput == 0 {
		return nil
	}
	v := unix.GPIOV2LineValues{Mask: 1}
	if err := p.sys.ioctl(p.fd, unix.GPIO_V2_LINE_GET_VALUES_IOCTL, &v); err != nil {
		_ = p.sys.close(p.fd)
		return fmt.Errorf("gpio: %s: read: %w", p.line, err)
	}
	p.before = outputConfig(flagOutput|info.Flags&(flagBias|flagOpenDrain|flagOpenSource), v.Bits&1 != 0)
	return nil
}

// outputConfig returns a configuration with the level of the one line.
func outputConfig(flags uint64, high bool) unix.GPIOV2LineConfig {
	c := unix.GPIOV2LineConfig{Flags: flags, Num_attrs: 1}
	c.Attrs[0].Attr.Id = unix.GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES
	c.Attrs[0].Mask = 1
	if high {
		c.Attrs[0].Attr.Flags = 1 // a union: here the values, a bit a line
	}
	return c
}

// Set drives the line high or low.
func (p *Pin) Set(high bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd < 0 {
		return fmt.Errorf("gpio: %s: closed", p.line)
	}
	v := unix.GPIOV2LineValues{Mask: 1}
	if high {
		v.Bits = 1
	}
	if err := p.sys.ioctl(p.fd, unix.GPIO_V2_LINE_SET_VALUES_IOCTL, &v); err != nil {
		return fmt.Errorf("gpio: %s: set: %w", p.line, err)
	}
	return nil
}

// Close has the line as it was before Open, an input or an output with its level,
// and gives it back. A second Close does nothing.
func (p *Pin) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd < 0 {
		return nil
	}
	err := errors.Join(p.sys.ioctl(p.fd, setConfig, &p.before), p.sys.close(p.fd))
	p.fd = -1
	if err != nil {
		return fmt.Errorf("gpio: %s: release: %w", p.line, err)
	}
	return nil
}

// find returns what the chip says of a line.
func find(sys system, chip int, l Line) (unix.GPIOV2LineInfo, error) {
	number, byNumber := l.number()
	for n := uint32(0); n < maxLines; n++ {
		info := unix.GPIOV2LineInfo{Offset: n}
		if byNumber {
			info.Offset = number
		}
		err := sys.ioctl(chip, unix.GPIO_V2_GET_LINEINFO_IOCTL, &info)
		switch {
		case errors.Is(err, unix.ENOTTY), n == 0 && !byNumber && errors.Is(err, unix.EINVAL):
			return info, fmt.Errorf("gpio: %s: %w: the file is none, or the kernel is older than 5.10", l.Chip, ErrNoChip)
		case errors.Is(err, unix.EINVAL) && byNumber:
			return info, fmt.Errorf("gpio: %s: %w: it has %s", l, ErrNoLine, lines(sys, chip))
		case errors.Is(err, unix.EINVAL):
			return info, fmt.Errorf("gpio: %s: %w: none of its %d lines has this name", l, ErrNoLine, n)
		case err != nil:
			return info, fmt.Errorf("gpio: %s: %w", l, err)
		case byNumber, unix.ByteSliceToString(info.Name[:]) == l.Name:
			return info, nil
		}
	}
	return unix.GPIOV2LineInfo{}, fmt.Errorf("gpio: %s: %w", l, ErrNoLine)
}

// lines says which lines a chip has.
func lines(sys system, chip int) string {
	n := uint32(0)
	for n < maxLines && sys.ioctl(chip, unix.GPIO_V2_GET_LINEINFO_IOCTL, &unix.GPIOV2LineInfo{Offset: n}) == nil {
		n++
	}
	if n == 0 {
		return "no lines"
	}
	return fmt.Sprintf("lines 0 to %d", n-1)
}

// busy returns the error for a line that another has.
func busy(l Line, info unix.GPIOV2LineInfo) error {
	if user := unix.ByteSliceToString(info.Consumer[:]); user != "" {
		return fmt.Errorf("gpio: %s: %w by %q", l, ErrBusy, user)
	}
	return fmt.Errorf("gpio: %s: %w by another program or a driver", l, ErrBusy)
}

// openError returns the error for a chip that cannot be opened.
func openError(l Line, err error) error {
	if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENXIO) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("gpio: open %s: %w", l.Chip, err)
	}
	here := "this system has none"
	if chips, _ := filepath.Glob("/dev/gpiochip*"); len(chips) > 0 {
		here = "there are " + strings.Join(chips, ", ")
	}
	return fmt.Errorf("gpio: %s: %w: %s", l.Chip, ErrNoChip, here)
}
