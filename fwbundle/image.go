package fwbundle

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Segment is a run of bytes for the memory of a microcontroller: Data, or Size
// bytes of the value Fill if Data is nil. With Data, Size is its length.
type Segment struct {
	Addr uint32
	Data []byte
	Size int
	Fill byte
}

// end returns the address behind the segment.
func (s *Segment) end() uint64 { return uint64(s.Addr) + uint64(s.Size) }

// Image is what is to be in a memory: segments sorted by address, none empty, that
// do not overlap and do not reach beyond the last address, 0xFFFFFFFF.
type Image []Segment

// Size returns how many bytes the segments have together.
func (m Image) Size() int {
	n := 0
	for i := range m {
		n += m[i].Size
	}
	return n
}

// overlapError is an image with two segments for the same address.
type overlapError struct{ first, second Segment }

func (e *overlapError) Error() string {
	return fmt.Sprintf("%d bytes at %#08x overlap %d bytes at %#08x", e.second.Size, e.second.Addr, e.first.Size, e.first.Addr)
}

// newImage makes an image of segments in any order. Data that is adjacent becomes
// one segment; the data of segments must have no room to grow unless it is the
// image's.
func newImage(segments []Segment) (Image, error) {
	segments = slices.Clone(segments)
	slices.SortStableFunc(segments, func(a, b Segment) int { return cmp.Compare(a.Addr, b.Addr) })
	var m Image
	for _, s := range segments {
		if s.Size == 0 {
			continue
		}
		if s.Size < 0 || s.end() > 1<<32 {
			return nil, fmt.Errorf("%d bytes at %#08x reach beyond the last address", s.Size, s.Addr)
		}
		if len(m) == 0 {
			m = append(m, s)
			continue
		}
		last := &m[len(m)-1]
		switch {
		case last.end() > uint64(s.Addr):
			return nil, &overlapError{*last, s}
		case last.end() == uint64(s.Addr) && last.Data != nil && s.Data != nil:
			last.Data = append(last.Data, s.Data...)
			last.Size = len(last.Data)
		default:
			m = append(m, s)
		}
	}
	if len(m) == 0 {
		return nil, errors.New("no data")
	}
	return m, nil
}

// filled returns the image with gaps of less than a size filled; an error if it
// would have more bytes than a limit.
func (m Image) filled(gap int, fill byte, most int64) (Image, error) {
	var out Image
	total := int64(0)
	for i, s := range m {
		total += int64(s.Size)
		if i > 0 {
			if n := uint64(s.Addr) - m[i-1].end(); n < uint64(gap) {
				total += int64(n)
			}
		}
	}
	if total > most {
		return nil, fmt.Errorf("fwbundle: hex: %d bytes with small gaps filled, more than %d", total, most)
	}
	for _, s := range m {
		if len(out) > 0 {
			last := &out[len(out)-1]
			if n := uint64(s.Addr) - last.end(); n < uint64(gap) {
				last.Data = append(last.Data, bytes.Repeat([]byte{fill}, int(n))...)
				last.Data = append(last.Data, s.Data...)
				last.Size = len(last.Data)
				continue
			}
		}
		s.Data = slices.Clip(s.Data)
		out = append(out, s)
	}
	return out, nil
}

// ParseImage reads an image of any of the formats that linkers make: ELF (see
// [ParseELF]) and Intel HEX (see [ParseHEX]) are known by how they begin, other
// data is the content of the memory from address base on. Data is retained. A
// zip archive is refused: that is for [Open].
func ParseImage(data []byte, base uint32) (Image, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\x7fELF")):
		return ParseELF(data)
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return nil, errors.New("fwbundle: image: a zip archive, not an image")
	case looksLikeHEX(data):
		return ParseHEX(data)
	}
	m, err := newImage([]Segment{{Addr: base, Data: data, Size: len(data)}})
	if err != nil {
		return nil, fmt.Errorf("fwbundle: image: %w", err)
	}
	return m, nil
}

// Image returns what a device with this policy is to write into the flash of its
// host, after [Bundle.Check]: the parts for the host, verified once more, padded to
// a multiple of Policy.WriteAlign. Fill parts are segments without data. There is
// an error if there are no such parts.
func (b *Bundle) Image(policy Policy) (Image, error) {
	if err := b.Check(policy); err != nil {
		return nil, err
	}
	p := policy.withDefaults()
	var segments []Segment
	for i := range b.manifest.Parts {
		part := &b.manifest.Parts[i]
		if !part.ForHost() {
			continue
		}
		s := Segment{Addr: part.Addr, Size: int(part.end(&p) - uint64(part.Addr))}
		if part.Fill != nil {
			s.Size, s.Fill = int(part.Size), *part.Fill
			segments = append(segments, s)
			continue
		}
		data, err := b.readPart(part)
		if err != nil {
			return nil, err
		}
		s.Data = append(data, bytes.Repeat([]byte{*p.Pad}, s.Size-len(data))...)
		segments = append(segments, s)
	}
	m, err := newImage(segments)
	if err != nil {
		return nil, refuse(StagePolicy, ManifestName, "the parts for the host: %w", err)
	}
	return m, nil
}
