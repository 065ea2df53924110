package stm32boot

// If noise hits the length byte of a Write, or inserts a byte before it, the target
// takes part of the data for the frame and the rest for commands, in pairs. Most of
// those need more than a pair to do harm. Those that do not are kept away from
// where that can happen: the beginning of a frame is always taken as data.

// safe returns how many bytes of p, in units of align and at least one, to
// write by one command: as many as there are before a unit that has such a pair.
func safe(p []byte, align int) int {
	n := len(p)
	for i := align; i < n; i++ {
		if acts(p[i-1], p[i]) {
			n = i &^ (align - 1) // the pair begins the next frame, or is split
		}
	}
	for n > align && acts(p[n-1], byte(n-1)^xor(p[:n])) {
		n -= align
	}
	return n
}

// acts reports whether two bytes are a command that is carried out at once and
// changes the chip for good.
func acts(cmd, check byte) bool {
	if cmd^check != 0xFF {
		return false
	}
	return cmd == CmdWriteUnprotect || cmd == CmdReadoutProtect || cmd == CmdReadoutUnprotect
}
