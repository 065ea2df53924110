package fwbundle

import (
	"bytes"
	"errors"
	"fmt"
)

// Numbers of the ELF format: System V ABI, chapters 4 and 5, and its supplement
// for Arm.
const (
	elfHeaderLen  = 52
	elfProgramLen = 32
	elfExec       = 2
	elfARM        = 40
	elfLoad       = 1
	maxPrograms   = 1024
)

// ParseELF reads an image from an executable ELF file for 32-bit Arm, little
// endian: the bytes in the file of all segments of type PT_LOAD, at their physical
// addresses, which for initialised variables is where the flash holds them.
// Sections and symbols are not looked at. A segment that begins with the headers of
// the file, which linkers place in front of code that is not at the start of a page
// of theirs, is refused. Errors name the offset in the file. The image has no more
// bytes than the file; its data is that of the file, not a copy, unless segments are
// adjacent.
func ParseELF(file []byte) (Image, error) {
	segments, err := elfSegments(file)
	if err != nil {
		return nil, fmt.Errorf("fwbundle: elf: %w", err)
	}
	m, err := newImage(segments)
	if err != nil {
		return nil, fmt.Errorf("fwbundle: elf: %w", err)
	}
	return m, nil
}

func elfSegments(file []byte) ([]Segment, error) {
	if len(file) < elfHeaderLen {
		return nil, fmt.Errorf("%d bytes are less than a header", len(file))
	}
	if !bytes.HasPrefix(file, []byte("\x7fELF\x01\x01\x01")) {
		return nil, errors.New("offset 0: not a 32-bit little-endian ELF file")
	}
	if kind, machine := le.Uint16(file[16:]), le.Uint16(file[18:]); kind != elfExec || machine != elfARM {
		return nil, fmt.Errorf("offset 16: type %d for machine %d, not an executable (2) for Arm (40)", kind, machine)
	}
	table := uint64(le.Uint32(file[28:]))
	size, count := le.Uint16(file[42:]), uint64(le.Uint16(file[44:]))
	if size != elfProgramLen || count > maxPrograms {
		return nil, fmt.Errorf("offset 42: %d program headers of %d bytes", count, size)
	}
	if table+count*elfProgramLen > uint64(len(file)) {
		return nil, fmt.Errorf("offset 28: the program headers at %d to %d are outside the file", table, table+count*elfProgramLen)
	}
	var segments []Segment
	total := 0
	for i := range count {
		at := table + i*elfProgramLen
		s, err := elfSegment(file, file[at:])
		if total += s.Size; err == nil && total > len(file) {
			err = errors.New("it shares data with others: together they are larger than the file")
		}
		if err != nil {
			return nil, fmt.Errorf("offset %d: program header %d: %w", at, i, err)
		}
		segments = append(segments, s)
	}
	return segments, nil
}

// elfSegment returns the data of a program header; an empty segment if there is
// none to load.
func elfSegment(file, header []byte) (s Segment, err error) {
	kind, offset, addr := le.Uint32(header), uint64(le.Uint32(header[4:])), le.Uint32(header[12:])
	inFile, inMemory := uint64(le.Uint32(header[16:])), uint64(le.Uint32(header[20:]))
	if kind != elfLoad || inFile == 0 {
		return s, nil
	}
	if offset+inFile > uint64(len(file)) {
		return s, fmt.Errorf("its data at %d to %d is outside the file", offset, offset+inFile)
	}
	if offset < elfHeaderLen {
		return s, errors.New("it holds the headers of the file, which do not belong into a flash: link with -n, or use objcopy")
	}
	if inFile > inMemory {
		return s, fmt.Errorf("%d bytes in the file are more than %d in memory", inFile, inMemory)
	}
	return Segment{Addr: addr, Data: file[offset : offset+inFile : offset+inFile], Size: int(inFile)}, nil
}
