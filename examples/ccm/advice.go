package main

import "bytes"

// advise says what to try when nobody answers, by what came instead.
func (d *doctor) advise(q *probe) {
	n, s := q.seen(), q.frames.Stats()
	serial := d.at.network == "serial"
	d.line("answer", "none")
	switch {
	case n.echoes > 0:
		d.line("received", "what was sent, %d times", n.echoes)
		d.try("TX and RX are joined, or the other end echoes: connect TX to RX and RX to TX",
			"switch off the echo of a modem or a console at the other end")
	case s.BytesRead == 0:
		d.line("received", "nothing at all")
		if serial {
			d.try("is the host powered, and its firmware running?",
				"are TX and RX crossed, and the grounds joined?", "is it the right port?")
		} else {
			d.try("does the program at the other end have its port open?")
		}
		if serial && !d.scan {
			d.try("a wrong speed often looks like silence: ccm doctor --scan " + d.at.address)
		}
	case n.complain > 0 || len(n.methods) > 0:
		d.line("received", "frames, but no answer to a call")
		d.try("what is sent does not arrive whole: is its TX connected to our RX only?",
			"a host that is busy for seconds answers too late")
	case textual(n.junk):
		d.line("received", "%d bytes of text, such as %q", s.BytesRead, last(n.junk))
		d.try("is this the console of the host, and its JSON-RPC on another UART?",
			"does the firmware start JSON-RPC, or does it wait for something before?")
	default:
		d.line("received", "%d bytes that are no text", s.BytesRead)
		if serial {
			d.try("that is what a wrong speed looks like: ccm doctor --scan "+d.at.address,
				"or 8 data bits, no parity and 1 stop bit are not what the host uses")
		} else {
			d.try("is the speed right where the serial port is?")
		}
	}
}

// try prints suggestions.
func (d *doctor) try(suggestions ...string) {
	for _, s := range suggestions {
		d.line("try", "%s", s)
	}
}

// textual reports whether most of what came is text.
func textual(lines [][]byte) bool {
	total, odd := 0, 0
	for _, b := range bytes.Join(lines, nil) {
		total++
		if b < ' ' && b != '\t' && b != '\r' && b != 0x1b || b > '~' {
			odd++
		}
	}
	return total > 0 && odd*4 < total
}

// last returns the last of some lines, or nil.
func last(lines [][]byte) []byte {
	if len(lines) == 0 {
		return nil
	}
	return lines[len(lines)-1]
}
