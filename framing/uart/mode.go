package uart

import (
	"fmt"
	"math"
	"strconv"

	"go.bug.st/serial"
)

// DefaultBaud is the baud rate of the zero [Mode].
const DefaultBaud = 115200

// Mode is the format of characters on the line. The zero value is 115200 8N1;
// each field that is zero takes its default.
type Mode struct {
	// Baud is the number of bits per second, 115200 if zero. Rates outside the
	// usual table work where the driver can make them.
	Baud int
	// DataBits is the size of a character, 5 to 8 bits, 8 if zero. The parity
	// bit is not counted.
	DataBits int
	// Parity is the parity bit sent and checked, none if zero.
	Parity Parity
	// StopBits is the length of the pause after a character, one bit if zero.
	StopBits StopBits
}

// Mode8N1 is 8 data bits, no parity, 1 stop bit: what applications speak. A
// byte takes 10 bit times.
func Mode8N1(baud int) Mode {
	return Mode{Baud: baud, DataBits: 8, Parity: ParityNone, StopBits: StopBits1}
}

// Mode8E1 is 8 data bits, even parity, 1 stop bit: what the STM32 ROM loader
// speaks (ST AN3155, section 1). A byte takes 11 bit times.
func Mode8E1(baud int) Mode {
	return Mode{Baud: baud, DataBits: 8, Parity: ParityEven, StopBits: StopBits1}
}

// String returns the mode in the usual notation, as in "115200 8N1", with the
// defaults filled in.
func (m Mode) String() string {
	m = m.withDefaults()
	return strconv.Itoa(m.Baud) + " " + strconv.Itoa(m.DataBits) + m.Parity.String() + m.StopBits.String()
}

// Parity is the kind of parity bit.
type Parity uint8

// Kinds of parity.
const (
	ParityNone  Parity = iota // no parity bit
	ParityOdd                 // an odd number of ones, parity bit included
	ParityEven                // an even number of ones, parity bit included
	ParityMark                // the parity bit is always 1
	ParitySpace               // the parity bit is always 0
)

// String returns the letter of the usual notation: N, O, E, M or S.
func (p Parity) String() string {
	if int(p) < len("NOEMS") {
		return "NOEMS"[p : p+1]
	}
	return "?"
}

// StopBits is the number of stop bits. StopBits: 1 and StopBits: 2 mean what
// they say.
type StopBits uint8

// Numbers of stop bits.
const (
	StopBits1   StopBits = 1  // one, also the meaning of 0
	StopBits2   StopBits = 2  // two
	StopBits1_5 StopBits = 15 // one and a half: not supported, refused with ErrMode
)

// String returns the number: "1", "2" or "1.5".
func (s StopBits) String() string {
	switch s {
	case 0, StopBits1:
		return "1"
	case StopBits2:
		return "2"
	case StopBits1_5:
		return "1.5"
	}
	return "?"
}

// withDefaults returns m with every zero field replaced by its default.
func (m Mode) withDefaults() Mode {
	if m.Baud == 0 {
		m.Baud = DefaultBaud
	}
	if m.DataBits == 0 {
		m.DataBits = 8
	}
	if m.StopBits == 0 {
		m.StopBits = StopBits1
	}
	return m
}

// check returns an error that names the field that cannot be used. Defaults
// are filled in already.
func (m Mode) check() error {
	switch {
	case m.Baud < 1 || m.Baud > math.MaxInt32:
		return fmt.Errorf("%w: baud rate %d", ErrMode, m.Baud)
	case m.DataBits < 5 || m.DataBits > 8:
		return fmt.Errorf("%w: %d data bits, want 5 to 8", ErrMode, m.DataBits)
	case m.Parity > ParitySpace:
		return fmt.Errorf("%w: parity %d is not defined", ErrMode, uint8(m.Parity))
	case m.StopBits == StopBits1_5:
		return fmt.Errorf("%w: 1.5 stop bits are not supported", ErrMode)
	case m.StopBits != StopBits1 && m.StopBits != StopBits2:
		return fmt.Errorf("%w: %d stop bits, want 1 or 2", ErrMode, uint8(m.StopBits))
	}
	return nil
}

// library returns m in the library's terms, every field set: a zero baud rate
// means 9600 there. m has passed check.
func (m Mode) library() *serial.Mode {
	l := &serial.Mode{BaudRate: m.Baud, DataBits: m.DataBits}
	switch m.Parity {
	case ParityNone:
		l.Parity = serial.NoParity
	case ParityOdd:
		l.Parity = serial.OddParity
	case ParityEven:
		l.Parity = serial.EvenParity
	case ParityMark:
		l.Parity = serial.MarkParity
	case ParitySpace:
		l.Parity = serial.SpaceParity
	}
	l.StopBits = serial.OneStopBit
	if m.StopBits == StopBits2 {
		l.StopBits = serial.TwoStopBits
	}
	return l
}
