package stm32sim

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// flash is the flash memory: what it holds and what can be done to it.
type flash struct {
	mem    []byte
	pages  []page
	erased byte
	word   int      // bytes that are programmed at a time
	used   []uint64 // a bit for each word: programmed since its page was erased
	ecc    bool     // a word must not be programmed twice
	halves bool     // half-words: a blank one can be programmed, any other only become zero
	strict bool     // Options.ECC: what is against the rules has consequences
	rng    *rand.Rand
}

// page is one page, off bytes from the start of flash.
type page struct{ off, size, bank int }

func newFlash(c *stm32boot.Chip, strict bool, rng *rand.Rand) *flash {
	f := &flash{mem: make([]byte, c.FlashSize), erased: c.Erased, word: wordSize(c), strict: strict, rng: rng}
	f.ecc, f.halves = c.Flags.Has(stm32boot.ECC), f.word == 2
	f.used = make([]uint64, (len(f.mem)/f.word+63)/64)
	for p := range c.Pages() {
		f.pages = append(f.pages, page{int(p.Addr - c.FlashStart), int(p.Size), p.Bank})
	}
	fill(f.mem, f.erased)
	return f
}

// wordSize returns how many bytes a chip programs at a time: WriteAlign if they
// share an ECC, otherwise what the programming manuals of the families say.
func wordSize(c *stm32boot.Chip) int {
	if c.Flags.Has(stm32boot.ECC) {
		return c.WriteAlign
	}
	switch c.Family {
	case "F0", "F1", "F3", "W":
		return 2
	}
	return 4
}

// words returns how many words [off, off+n) touches.
func (f *flash) words(off, n int) int {
	if n == 0 {
		return 0
	}
	return (off+n-1)/f.word - off/f.word + 1
}

// set stores p as it is, as a programmer does that erases first.
func (f *flash) set(off int, p []byte) {
	copy(f.mem[off:], p)
	for w := off / f.word; w*f.word < off+len(p); w++ {
		cells := f.mem[w*f.word : (w+1)*f.word]
		f.mark(w, !isFilled(cells, f.erased))
	}
}

// program programs p, which may end inside a word, and returns how many words
// were not what a program may touch.
func (f *flash) program(off int, p []byte) (violations int) {
	for len(p) > 0 {
		n := min(f.word-off%f.word, len(p))
		if !f.programWord(off, p[:n]) {
			violations++
		}
		off, p = off+n, p[n:]
	}
	return violations
}

// programWord programs bytes of one word; the rest of it is programmed as
// erased, which changes nothing. It reports whether that was permitted.
func (f *flash) programWord(off int, p []byte) bool {
	cells := f.mem[off : off+len(p)]
	again := f.mark(off/f.word, true)
	switch {
	case f.halves && !isFilled(cells, f.erased) && !isFilled(p, 0):
		if !f.strict {
			f.merge(cells, p)
		}
		return false
	case f.ecc && again:
		f.merge(cells, p)
		if f.strict {
			f.garble(cells, p)
		}
		return false
	}
	f.merge(cells, p)
	return true
}

// merge moves bits away from the erased value, never back.
func (f *flash) merge(cells, p []byte) {
	for i, b := range p {
		if f.erased == 0 {
			cells[i] |= b
		} else {
			cells[i] &= b
		}
	}
}

// garble makes cells read as anything but want.
func (f *flash) garble(cells, want []byte) {
	for {
		cells[f.rng.IntN(len(cells))] ^= byte(1 + f.rng.IntN(255))
		if !bytes.Equal(cells, want) {
			return
		}
	}
}

// tear leaves the word that ends at off as after a loss of power: with ECC it
// reads as something else, otherwise what is programmed stays.
func (f *flash) tear(off int, p []byte) {
	if n := min(off%f.word, len(p)); f.strict && f.ecc && n > 0 {
		f.garble(f.mem[off-n:off], p[len(p)-n:])
	}
}

// erase erases a page.
func (f *flash) erase(p page) {
	fill(f.mem[p.off:p.off+p.size], f.erased)
	for w := p.off / f.word; w < (p.off+p.size)/f.word; w++ {
		f.mark(w, false)
	}
}

// tearPage leaves a page as after an erase that did not end: some bits are
// erased.
func (f *flash) tearPage(p page) {
	cells := f.mem[p.off : p.off+p.size]
	mask := make([]byte, len(cells))
	randomize(mask, f.rng)
	for i, b := range mask {
		if f.erased == 0 {
			cells[i] &= b
		} else {
			cells[i] |= b
		}
	}
}

// mark notes whether word w is programmed and returns whether it was.
func (f *flash) mark(w int, programmed bool) bool {
	bits, bit := &f.used[w/64], uint64(1)<<(w%64)
	was := *bits&bit != 0
	if programmed {
		*bits |= bit
	} else {
		*bits &^= bit
	}
	return was
}

func fill(p []byte, b byte) {
	if len(p) == 0 {
		return
	}
	p[0] = b
	for n := 1; n < len(p); n *= 2 {
		copy(p[n:], p[:n])
	}
}

// randomize fills p with random bytes.
func randomize(p []byte, rng *rand.Rand) {
	for ; len(p) > 8; p = p[8:] {
		binary.LittleEndian.PutUint64(p, rng.Uint64())
	}
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
}

func isFilled(p []byte, b byte) bool {
	for _, c := range p {
		if c != b {
			return false
		}
	}
	return true
}
