package stm32boot

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"slices"
)

// Segment is a stretch of memory and what it shall hold: the bytes of Data or,
// if Data is nil, Size bytes of Fill. A fill is never materialised, whatever its
// size. Data is borrowed: it must not change while a plan that was made of it is
// in use.
type Segment struct {
	Addr uint32
	Data []byte
	Size int
	Fill byte
}

// Len returns how many bytes the segment covers.
func (s Segment) Len() int {
	if s.Data != nil {
		return len(s.Data)
	}
	return s.Size
}

// end returns the first address behind the segment.
func (s Segment) end() uint64 { return uint64(s.Addr) + uint64(max(s.Len(), 0)) }

// copyTo copies what the segment has for dst, which lies at addr.
func (s Segment) copyTo(dst []byte, addr uint32) {
	from, to := max(uint64(addr), uint64(s.Addr)), min(uint64(addr)+uint64(len(dst)), s.end())
	if from >= to {
		return
	}
	dst = dst[from-uint64(addr) : to-uint64(addr)]
	if s.Data != nil {
		copy(dst, s.Data[from-uint64(s.Addr):])
		return
	}
	for i := range dst {
		dst[i] = s.Fill
	}
}

// Image is what the flash shall hold: segments in any order that do not
// overlap. Each begins at a multiple of 4; its end is free. What lies between
// segments is no part of the image.
type Image []Segment

// content is a checked image in the order of its addresses. Where it has
// nothing it reads as erased flash.
type content struct {
	segs   []Segment
	erased byte
}

// newContent checks everything that does not depend on a chip.
func newContent(m Image, erased byte) (content, error) {
	if len(m) == 0 {
		return content{}, &ImageError{Err: ErrEmpty}
	}
	c := content{segs: slices.Clone(m), erased: erased}
	slices.SortStableFunc(c.segs, func(a, b Segment) int { return cmp.Compare(a.Addr, b.Addr) })
	for i, s := range c.segs {
		err := error(nil)
		switch {
		case s.Len() <= 0:
			err = ErrEmpty
		case s.Addr%4 != 0:
			err = ErrMisaligned
		case s.end() > 1<<32:
			err = ErrOutside
		case i > 0 && uint64(s.Addr) < c.segs[i-1].end():
			err = ErrOverlap
		}
		if err != nil {
			return content{}, &ImageError{Err: err, Addr: s.Addr, Size: s.Len()}
		}
	}
	return c, nil
}

// add puts more segments in, which must not overlap the others.
func (c content) add(more ...Segment) content {
	c.segs = append(slices.Clone(c.segs), more...)
	slices.SortFunc(c.segs, func(a, b Segment) int { return cmp.Compare(a.Addr, b.Addr) })
	return c
}

// from returns the segments that end behind addr.
func (c content) from(addr uint32) []Segment {
	i, _ := slices.BinarySearchFunc(c.segs, uint64(addr)+1, func(s Segment, a uint64) int {
		return cmp.Compare(s.end(), a)
	})
	return c.segs[i:]
}

// read fills dst with what belongs at addr.
func (c content) read(dst []byte, addr uint32) {
	for i := range dst {
		dst[i] = c.erased
	}
	for _, s := range c.from(addr) {
		if uint64(s.Addr) >= uint64(addr)+uint64(len(dst)) {
			return
		}
		s.copyTo(dst, addr)
	}
}

// A span is n bytes at addr.
type span struct {
	addr uint32
	n    int
}

// runs yields what the image covers of size bytes at addr, in order; segments
// that touch are one run.
func (c content) runs(addr, size uint32) iter.Seq[span] {
	return func(yield func(span) bool) {
		hi := uint64(addr) + uint64(size)
		var start, end uint64 // the run so far
		for _, s := range c.from(addr) {
			if uint64(s.Addr) >= hi {
				break
			}
			if uint64(s.Addr) > end || start == end {
				if start < end && !yield(span{uint32(start), int(end - start)}) {
					return
				}
				start = max(uint64(s.Addr), uint64(addr))
			}
			end = min(s.end(), hi)
		}
		if start < end {
			yield(span{uint32(start), int(end - start)})
		}
	}
}

// piece returns the start of s up to a multiple of grid, a power of 2.
func (s span) piece(grid int) span {
	return span{s.addr, min(s.n, grid-int(s.addr%uint32(grid)))}
}

// after returns the rest of s behind its first n bytes.
func (s span) after(n int) span { return span{s.addr + uint32(n), s.n - n} }

// overlaps reports whether two spans share a byte.
func (s span) overlaps(t span) bool {
	return uint64(s.addr) < uint64(t.addr)+uint64(t.n) && uint64(t.addr) < uint64(s.addr)+uint64(s.n)
}

// block returns the first stretch to program of size bytes at addr, which are
// erased: at most len(buf) bytes, in whole units of align (powers of 2), without
// erased bytes at its ends. n is 0 if there is none. buf is scratch.
func (c content) block(addr, size uint32, align int, buf []byte) span {
	end := addr + size
	for r := range c.runs(addr, size) {
		first, last := r.addr&^uint32(align-1), r.addr+uint32(r.n)
		for at := max(addr, first); at < last; at += uint32(len(buf)) {
			p := buf[:min(uint32(len(buf)), end-at)]
			c.read(p, at)
			skip := erasedUnits(p, c.erased, align)
			if skip == len(p) {
				continue
			}
			at += uint32(skip)
			p = buf[:min(uint32(len(buf)), end-at)]
			c.read(p, at)
			return span{at, safe(unerased(p, c.erased, align), align)}
		}
	}
	return span{addr: end}
}

// blocks yields all stretches that block finds.
func (c content) blocks(addr, size uint32, block, align int) iter.Seq[span] {
	return func(yield func(span) bool) {
		buf := make([]byte, block)
		for end := addr + size; ; {
			b := c.block(addr, end-addr, align, buf)
			if b.n == 0 || !yield(b) {
				return
			}
			addr = b.addr + uint32(b.n)
		}
	}
}

// erasedUnits returns how many bytes p begins with, in units of align, that are
// erased.
func erasedUnits(p []byte, erased byte, align int) int {
	for i, b := range p {
		if b != erased {
			return i &^ (align - 1)
		}
	}
	return len(p)
}

// unerased returns p without the units at its end that are erased.
func unerased(p []byte, erased byte, align int) []byte {
	n := len(p)
	for n > 0 && p[n-1] == erased {
		n--
	}
	return p[:(n+align-1)&^(align-1)]
}

// sum is the SHA-256 of what the image has of size bytes at addr: address and
// length of each run, then its bytes. Where it has nothing does not count.
func (c content) sum(addr, size uint32) [sha256.Size]byte {
	h := sha256.New()
	buf := make([]byte, 1024)
	for r := range c.runs(addr, size) {
		h.Write(r.head())
		for r.n > 0 {
			p := buf[:min(r.n, len(buf))]
			c.read(p, r.addr)
			h.Write(p)
			r = r.after(len(p))
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// head is what a sum has in front of a run.
func (s span) head() []byte {
	b := binary.LittleEndian.AppendUint32(nil, s.addr)
	return binary.LittleEndian.AppendUint32(b, uint32(s.n))
}
