package fwbundle

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
)

// Record types of Intel HEX.
const (
	hexData          = 0
	hexEnd           = 1
	hexSegment       = 2 // base address / 16
	hexStartSegment  = 3
	hexLinear        = 4 // upper half of the address
	hexStartLinear   = 5
	maxHexRecordText = 2 * (5 + 255)
)

// ParseHEX reads an image in Intel HEX format. Records may come in any order of
// addresses, but must not overlap; lines may be blank and end with LF, CR LF or CR.
// The end record must be there, and nothing but blank lines behind it. Start
// addresses are checked and otherwise ignored. Errors name the line. The text is
// not retained.
func ParseHEX(text []byte) (Image, error) {
	var p hexParser
	for len(text) > 0 {
		p.line++
		var line []byte
		line, text = cutLine(text)
		if line = bytes.Trim(line, " \t"); len(line) == 0 {
			continue
		}
		if err := p.record(line); err != nil {
			return nil, fmt.Errorf("fwbundle: hex line %d: %w", p.line, err)
		}
	}
	if !p.ended {
		return nil, fmt.Errorf("fwbundle: hex line %d: the text ends without an end record", p.line)
	}
	m, err := newImage(p.segments)
	if overlap, is := errors.AsType[*overlapError](err); is {
		return nil, fmt.Errorf("fwbundle: hex line %d: the data from here on overlaps that from line %d on: %w",
			p.lineOf(overlap.second), p.lineOf(overlap.first), err)
	}
	if err != nil {
		return nil, fmt.Errorf("fwbundle: hex: %w", err)
	}
	return m, nil
}

func cutLine(text []byte) (line, rest []byte) {
	i := bytes.IndexAny(text, "\r\n")
	if i < 0 {
		return text, nil
	}
	line, rest = text[:i], text[i+1:]
	if text[i] == '\r' && len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	return line, rest
}

// looksLikeHEX reports whether the text begins like a record: with a colon and the
// digits of length, address and type. The data may be faulty all the same: then it
// is better refused than taken for plain bytes.
func looksLikeHEX(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	if len(text) < 9 || text[0] != ':' {
		return false
	}
	_, err := hex.Decode(make([]byte, 4), text[1:9])
	return err == nil
}

// hexParser is the state while the records are read.
type hexParser struct {
	line     int
	base     uint32 // added to the addresses of data
	wraps    bool   // base is that of a segment, within which addresses wrap at 64 KiB
	ended    bool
	segments []Segment
	lines    []int // where the segments begin
}

// lineOf returns the line on which a segment begins. Of two with one address it
// is that of the second, if they have different sizes.
func (p *hexParser) lineOf(s Segment) int {
	line := 0
	for i := range p.segments {
		if t := &p.segments[i]; t.Addr == s.Addr && (line == 0 || t.Size == s.Size) {
			line = p.lines[i]
		}
	}
	return line
}

// record takes one line.
func (p *hexParser) record(line []byte) error {
	if !bytes.HasPrefix(line, []byte(":")) {
		return errors.New("a record begins with a colon")
	}
	if p.ended {
		return errors.New("a record behind the end record")
	}
	digits := line[1:]
	if len(digits) < 10 || len(digits) > maxHexRecordText || len(digits)%2 != 0 {
		return fmt.Errorf("%d characters are no record", len(line))
	}
	var buf [maxHexRecordText / 2]byte
	n, err := hex.Decode(buf[:], digits)
	if err != nil {
		return errors.New("a character is not a hexadecimal digit")
	}
	b := buf[:n]
	if int(b[0]) != n-5 {
		return fmt.Errorf("the record has %d bytes of data, and says %d", n-5, b[0])
	}
	sum := byte(0)
	for _, c := range b {
		sum += c
	}
	if sum != 0 {
		return fmt.Errorf("its checksum is %02X, not %02X", b[n-1], b[n-1]-sum)
	}
	return p.content(b[3], uint32(b[1])<<8|uint32(b[2]), b[4:n-1])
}

// content takes a record whose checksum is right.
func (p *hexParser) content(kind byte, offset uint32, data []byte) error {
	want := [...]int{hexData: len(data), hexEnd: 0, hexSegment: 2, hexStartSegment: 4, hexLinear: 2, hexStartLinear: 4}
	if int(kind) >= len(want) {
		return fmt.Errorf("unknown record type %d", kind)
	}
	if want[kind] != len(data) {
		return fmt.Errorf("a record of type %d has %d bytes of data, not %d", kind, len(data), want[kind])
	}
	switch kind {
	case hexData:
		return p.data(offset, data)
	case hexEnd:
		p.ended = true
	case hexSegment:
		p.base, p.wraps = (uint32(data[0])<<8|uint32(data[1]))<<4, true
	case hexLinear:
		p.base, p.wraps = uint32(data[0])<<24|uint32(data[1])<<16, false
	}
	return nil
}

func (p *hexParser) data(offset uint32, data []byte) error {
	if p.wraps && offset+uint32(len(data)) > 1<<16 {
		return errors.New("the data wraps around the end of its segment")
	}
	addr := p.base + offset // base and offset share no bits, or base is below 1 MiB
	if uint64(addr)+uint64(len(data)) > 1<<32 {
		return errors.New("the data reaches beyond the last address")
	}
	if n := len(p.segments); n > 0 {
		if last := &p.segments[n-1]; last.end() == uint64(addr) {
			last.Data = append(last.Data, data...)
			last.Size = len(last.Data)
			return nil
		}
	}
	p.segments = append(p.segments, Segment{Addr: addr, Data: bytes.Clone(data), Size: len(data)})
	p.lines = append(p.lines, p.line)
	return nil
}
