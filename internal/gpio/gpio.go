package gpio

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Errors of Open, wrapped in text that names chip and line.
var (
	ErrNoChip = errors.New("no such GPIO chip") // or the file is none
	ErrNoLine = errors.New("no such line")
	ErrBusy   = errors.New("the line is in use")
)

// Line names a line of a chip.
type Line struct {
	Chip string // path of the device, such as /dev/gpiochip0
	Name string // number of the line from 0 on, or its name
}

// Parse reads CHIP/LINE, such as gpiochip0/17, 0/17, /dev/gpiochip0/17 or
// 0/MCU_RESET.
func Parse(text string) (Line, error) {
	cut := strings.IndexByte(text, '/')
	if cut == 0 {
		cut = strings.LastIndexByte(text, '/')
	}
	if cut <= 0 || cut == len(text)-1 {
		return Line{}, fmt.Errorf("want CHIP/LINE, such as gpiochip0/17, not %q", text)
	}
	chip, name := text[:cut], text[cut+1:]
	switch {
	case chip[0] == '/':
	case allDigits(chip):
		chip = "/dev/gpiochip" + chip
	case strings.HasPrefix(chip, "gpiochip"):
		chip = "/dev/" + chip
	default:
		return Line{}, fmt.Errorf("the chip %q is neither gpiochipN, nor a number, nor a path", chip)
	}
	return Line{Chip: chip, Name: name}, nil
}

// String returns the line as errors name it.
func (l Line) String() string { return fmt.Sprintf("line %s of %s", l.Name, l.Chip) }

// number returns the number of the line, if it is given by that.
func (l Line) number() (uint32, bool) {
	n, err := strconv.ParseUint(l.Name, 10, 32)
	return uint32(n), err == nil
}

// allDigits reports whether text is a plain number.
func allDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// Config is how a line is driven.
type Config struct {
	Line Line

	// High is the level at first.
	High bool

	// OpenDrain leaves the line to a pull-up instead of driving it high, so that
	// others may pull it low too: a reset button, a debugger.
	OpenDrain bool

	// Consumer is what other programs see as the user of the line, of at most 31
	// bytes; the default is ccmkit.
	Consumer string
}
