package stm32boot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// ErrRecord is for a record of a [Journal] that is damaged, or of another
// version.
var ErrRecord = errors.New("stm32boot: journal: not a valid record")

// Step is how far a flashing has come.
type Step uint8

// The steps, in their order.
const (
	StepErase  Step = iota + 1 // pages may be erased
	StepWrite                  // all is erased, the pages before State.Next but the first are written
	StepVerify                 // all pages but the first are written
	StepDone                   // the flash holds the image
)

// String returns "erase", "write", "verify", "done" or "none".
func (s Step) String() string {
	switch s {
	case StepErase:
		return "erase"
	case StepWrite:
		return "write"
	case StepVerify:
		return "verify"
	case StepDone:
		return "done"
	}
	return "none"
}

// Digest identifies an image: the SHA-256 of where its bytes are and what they
// are. How it is cut into segments does not matter.
type Digest [32]byte

// PageSum identifies what an image has in the page at Addr: the first 16 bytes
// of the digest of that part.
type PageSum struct {
	Addr uint32
	Sum  [16]byte
}

// State is what a [Journal] keeps: which image went into which chip, and how far
// it has come. Callers need it only to look: a Step other than 0 and StepDone
// means that a target waits to be flashed again.
type State struct {
	Step      Step
	ProductID uint16
	UID       string // as in FlashOptions.UID, at most 255 bytes
	Image     Digest
	ErasedAll bool      // all of the flash was to be erased, by EraseAll
	Next      uint32    // in StepWrite: the first address not yet written
	Preserved []Segment // what FlashOptions.Preserve has read and puts back
	Pages     []PageSum // in StepDone: what the pages hold, by ascending address
}

const (
	recordMagic = "SB01"
	recordHead  = len(recordMagic) + 1 + 2 + 1 // up to the length of the UID
	erasedAll   = 0x80                         // in the byte of the step
	pageSumSize = 4 + 16
)

// AppendBinary appends the record of s. It never fails.
func (s *State) AppendBinary(b []byte) ([]byte, error) {
	le, start := binary.LittleEndian, len(b)
	b = append(b, recordMagic...)
	step := byte(s.Step)
	if s.ErasedAll {
		step |= erasedAll
	}
	b = append(b, step)
	b = le.AppendUint16(b, s.ProductID)
	uid := s.UID[:min(len(s.UID), 255)]
	b = append(b, byte(len(uid)))
	b = append(b, uid...)
	b = append(b, s.Image[:]...)
	b = le.AppendUint32(b, s.Next)
	b = le.AppendUint32(b, uint32(len(s.Preserved)))
	for _, p := range s.Preserved {
		b = le.AppendUint32(b, p.Addr)
		b = le.AppendUint32(b, uint32(p.Len()))
		n := len(b)
		b = append(b, make([]byte, p.Len())...)
		p.copyTo(b[n:], p.Addr)
	}
	b = le.AppendUint32(b, uint32(len(s.Pages)))
	for _, p := range s.Pages {
		b = le.AppendUint32(b, p.Addr)
		b = append(b, p.Sum[:]...)
	}
	return le.AppendUint32(b, crc32.ChecksumIEEE(b[start:])), nil
}

// ParseState reads the record of a [Journal]. The result shares no memory with
// b. An empty record is a State of zero. Its only error is ErrRecord.
func ParseState(b []byte) (State, error) {
	var s State
	if len(b) == 0 {
		return s, nil
	}
	r := recordReader{b: b}
	if len(b) < recordHead+4 || string(b[:len(recordMagic)]) != recordMagic ||
		crc32.ChecksumIEEE(b[:len(b)-4]) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return s, ErrRecord
	}
	r.b = b[len(recordMagic) : len(b)-4]
	step := r.take(1)[0]
	s.Step, s.ErasedAll = Step(step&^erasedAll), step&erasedAll != 0
	s.ProductID = binary.LittleEndian.Uint16(r.take(2))
	s.UID = string(r.take(int(r.take(1)[0])))
	copy(s.Image[:], r.take(len(s.Image)))
	s.Next = r.uint32()
	for n := r.count(8); n > 0; n-- {
		p := Segment{Addr: r.uint32()}
		p.Data = bytes.Clone(r.take(r.count(1)))
		s.Preserved = append(s.Preserved, p)
	}
	for n := r.count(pageSumSize); n > 0; n-- {
		p := PageSum{Addr: r.uint32()}
		copy(p.Sum[:], r.take(len(p.Sum)))
		s.Pages = append(s.Pages, p)
	}
	if r.bad || len(r.b) > 0 || s.Step < StepErase || s.Step > StepDone {
		return State{}, ErrRecord
	}
	return s, nil
}

// recordReader takes a record apart; once it is too short, bad is set and all
// is zero.
type recordReader struct {
	b   []byte
	bad bool
}

// take returns the next n bytes.
func (r *recordReader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return make([]byte, min(n, 32))
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *recordReader) uint32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }

// count returns a number of things of at least size bytes each, which must be
// there.
func (r *recordReader) count(size int) int {
	n := r.uint32()
	if uint64(n)*uint64(size) > uint64(len(r.b)) {
		r.bad = true
		return 0
	}
	return int(n)
}

// sumOf returns the stored sum of the page at addr.
func (s *State) sumOf(addr uint32) (sum [16]byte, ok bool) {
	for _, p := range s.Pages {
		if p.Addr == addr {
			return p.Sum, true
		}
	}
	return sum, false
}
