package ccmtest

import (
	"math"

	"github.com/ccmkit/ccmkit/framing/uart"
)

// withDefaults fills in the fields of a mode that are zero, as package uart
// does.
func withDefaults(m uart.Mode) uart.Mode {
	if m.Baud == 0 {
		m.Baud = uart.DefaultBaud
	}
	if m.DataBits == 0 {
		m.DataBits = 8
	}
	if m.StopBits == 0 {
		m.StopBits = uart.StopBits1
	}
	return m
}

// validMode reports whether package uart would take the mode; defaults are filled
// in.
func validMode(m uart.Mode) bool {
	return m.Baud > 0 && m.Baud <= math.MaxInt32 && m.DataBits >= 5 && m.DataBits <= 8 &&
		m.Parity <= uart.ParitySpace && (m.StopBits == uart.StopBits1 || m.StopBits == uart.StopBits2)
}

// charBits returns how many bit times a character takes.
func charBits(m uart.Mode) int {
	n := 1 + m.DataBits + stopBits(m)
	if m.Parity != uart.ParityNone {
		n++
	}
	return n
}

func stopBits(m uart.Mode) int {
	if m.StopBits == uart.StopBits2 {
		return 2
	}
	return 1
}

// resample returns what a receiver with the mode to makes of p, which was sent
// with the mode from: it waits for a falling edge and looks at the line in the
// middle of each of its own bits. Before and after p the line is idle.
//
// A byte with a wrong parity or stop bit reads as NUL if the receiver checks
// parity, else as the bits that it saw, as on Linux.
func resample(p []byte, from, to uart.Mode) []byte {
	bits := waveform(p, from)
	ratio := float64(from.Baud) / float64(to.Baud) // of a receiver's bit, in sender's bits
	level := func(t float64) byte {
		if i := int(t); i < len(bits) {
			return bits[i]
		}
		return 1
	}
	var out []byte
	for t := 0; t < len(bits); {
		if bits[t] != 0 || t > 0 && bits[t-1] == 0 {
			t++ // not a falling edge
			continue
		}
		at := float64(t) + ratio/2
		next := func() byte { at += ratio; return level(at) }
		if level(at) != 0 { // too short for a start bit
			t++
			continue
		}
		b, good := receive(next, to)
		if !good && to.Parity != uart.ParityNone {
			b = 0
		}
		out = append(out, b)
		t = max(int(at), t+1)
	}
	return out
}

// waveform returns the bits of p on the line, first bit first.
func waveform(p []byte, m uart.Mode) []byte {
	bits := make([]byte, 0, len(p)*charBits(m))
	for _, b := range p {
		bits = append(bits, 0)
		ones := byte(0)
		for i := range m.DataBits {
			bit := b >> i & 1
			ones ^= bit
			bits = append(bits, bit)
		}
		if m.Parity != uart.ParityNone {
			bits = append(bits, parity(m.Parity, ones))
		}
		for range stopBits(m) {
			bits = append(bits, 1)
		}
	}
	return bits
}

// receive reads the rest of a character after its start bit, and reports whether
// its parity and stop bits are right.
func receive(next func() byte, m uart.Mode) (b byte, good bool) {
	ones := byte(0)
	for i := range m.DataBits {
		bit := next()
		ones ^= bit
		b |= bit << i
	}
	good = m.Parity == uart.ParityNone || next() == parity(m.Parity, ones)
	return b, next() == 1 && good
}

// parity returns the parity bit for data with an even (0) or odd (1) number of
// ones.
func parity(p uart.Parity, ones byte) byte {
	switch p {
	case uart.ParityEven:
		return ones
	case uart.ParityOdd:
		return 1 - ones
	case uart.ParityMark:
		return 1
	}
	return 0
}
