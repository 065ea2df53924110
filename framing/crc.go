package framing

import (
	"bytes"
	"hash/crc32"
)

// crcDigits is the length of a CRC suffix without metadata.
const crcDigits = 8

// CRCState says what CutCRC found at the end of a line.
type CRCState uint8

// The states of a line's end.
const (
	CRCNone  CRCState = iota // no CRC suffix
	CRCValid                 // a suffix that matches
	CRCBad                   // hexadecimal digits after the object that do not match it
)

// String returns "none", "valid" or "bad".
func (s CRCState) String() string {
	switch s {
	case CRCNone:
		return "none"
	case CRCValid:
		return "valid"
	}
	return "bad"
}

// AppendCRC appends the CRC suffix of frame, eight digits, to dst; it does not
// append the frame. To get the line that carries both:
//
//	line := framing.AppendCRC(frame, frame)
//
// The digits are hexadecimal in lower case. frame is not kept, and not changed
// unless dst shares its memory. The suffix is the CRC-32 (IEEE) of the JSON text and follows its last brace
// directly (Mongoose OS, rpc-uart).
func AppendCRC(dst, frame []byte) []byte {
	const hex = "0123456789abcdef"
	c := crc32.ChecksumIEEE(frame)
	return append(dst,
		hex[c>>28], hex[c>>24&15], hex[c>>20&15], hex[c>>16&15],
		hex[c>>12&15], hex[c>>8&15], hex[c>>4&15], hex[c&15])
}

// CutCRC takes the CRC suffix off a line that holds one object. The suffix is
// what follows the last '}': eight hexadecimal digits of either case, which may
// be followed by a comma and metadata, which is ignored. White space at the end
// of the line is taken off too.
//
// With CRCValid and CRCBad, frame ends with the last brace; with CRCNone it is
// the line. Digits that are too few or too many are CRCBad; anything else that
// is not a suffix is left in place and CRCNone. CutCRC does not look at the
// JSON text itself. frame is a part of line, without spare capacity.
func CutCRC(line []byte) (frame []byte, state CRCState) {
	line = trimRight(line)
	i := bytes.LastIndexByte(line, '}') + 1
	if i == 0 || i == len(line) {
		return line, CRCNone
	}
	digits := line[i:]
	if j := bytes.IndexByte(digits, ','); j >= 0 {
		digits = digits[:j]
	}
	if len(digits) == 0 {
		return line, CRCNone
	}
	sum, ok := parseHex(digits)
	if !ok {
		return line, CRCNone
	}
	frame = line[:i:i]
	if len(digits) == crcDigits && sum == crc32.ChecksumIEEE(frame) {
		return frame, CRCValid
	}
	return frame, CRCBad
}

// parseHex returns the value of hexadecimal digits (modulo 2^32) and whether
// all of them are such.
func parseHex(p []byte) (v uint32, ok bool) {
	for _, b := range p {
		switch {
		case '0' <= b && b <= '9':
			b -= '0'
		case 'a' <= b|0x20 && b|0x20 <= 'f':
			b = b | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		v = v<<4 | uint32(b)
	}
	return v, true
}
