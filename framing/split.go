package framing

import "hash/crc32"

// Cut takes the first object off a line that may hold several, as it happens
// when line feeds are lost on the way. It returns the object without its CRC
// suffix, and the rest of the line without leading white space.
//
// The object ends with the brace that balances its first one; braces inside
// strings do not count, and the JSON text is not checked further. A CRC suffix
// must match; with needCRC there must be one. After a blank line's worth of
// white space frame and rest are empty and err is nil.
//
// The error is ErrSyntax, ErrCRC or ErrNoCRC. A line counts as a whole: handle
// none of its objects when Count gives an error. Both slices are parts of line
// without spare capacity. The time is linear and nothing is allocated.
func Cut(line []byte, needCRC bool) (frame, rest []byte, err error) {
	frame, rest, crc, err := cut(line)
	if err == nil && needCRC && !crc && len(frame) > 0 {
		return nil, nil, ErrNoCRC
	}
	return frame, rest, err
}

// Count checks that a line consists of complete objects, each with a valid CRC
// suffix or, unless needCRC, none, and of white space. It returns how many
// there are.
func Count(line []byte, needCRC bool) (n int, err error) {
	for {
		var frame []byte
		if frame, line, err = Cut(line, needCRC); err != nil {
			return 0, err
		}
		if len(frame) == 0 {
			return n, nil
		}
		n++
	}
}

// cut is Cut that reports whether the object had a CRC suffix.
func cut(line []byte) (frame, rest []byte, crc bool, err error) {
	line = trimLeft(line)
	if len(line) == 0 {
		return nil, nil, false, nil
	}
	end := objectEnd(line)
	if end == 0 {
		return nil, nil, false, ErrSyntax
	}
	frame, rest = line[:end:end], line[end:]
	if len(rest) == 0 || rest[0] == '{' || isSpace(rest[0]) {
		return frame, trimLeft(trimRight(rest)), false, nil
	}
	n := suffixEnd(rest)
	if n == 0 {
		return nil, nil, false, ErrSyntax
	}
	sum, _ := parseHex(rest[:min(n, crcDigits)])
	if n < crcDigits || sum != crc32.ChecksumIEEE(frame) {
		return nil, nil, false, ErrCRC
	}
	rest = rest[n:]
	if len(rest) > 0 && rest[0] == ',' {
		rest = rest[metaEnd(rest):]
	} else if suffixEnd(rest) > 0 {
		return nil, nil, false, ErrCRC // too many digits
	} else if len(rest) > 0 && rest[0] != '{' && !isSpace(rest[0]) {
		return nil, nil, false, ErrSyntax
	}
	return frame, trimLeft(trimRight(rest)), true, nil
}

// objectEnd returns the length of the object that line starts with, 0 when it
// does not start with one or the object is not complete.
func objectEnd(line []byte) int {
	if len(line) == 0 || line[0] != '{' {
		return 0
	}
	depth, quoted := 0, false
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case b == '"':
			quoted = !quoted
		case quoted:
			if b == '\\' {
				i++
			}
		case b == '{':
			depth++
		case b == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// suffixEnd returns how many hexadecimal digits, eight at most, p starts with.
func suffixEnd(p []byte) int {
	n := 0
	for n < len(p) && n < crcDigits {
		if _, ok := parseHex(p[n : n+1]); !ok {
			break
		}
		n++
	}
	return n
}

// metaEnd returns the length of the metadata p starts with: it runs to the next
// object or the end of the line.
func metaEnd(p []byte) int {
	for i, b := range p {
		if b == '{' {
			return i
		}
	}
	return len(p)
}
