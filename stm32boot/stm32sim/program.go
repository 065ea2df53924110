package stm32sim

import (
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// store carries out a Write.
func (r *run) store(g *region, off int, data []byte) error {
	t := r.t
	if t.chip.Flags.Has(stm32boot.VerifyLast) {
		t.rom.written = stm32boot.Range{Addr: g.start + uint32(off), Size: uint32(len(data))}
	}
	switch g.kind {
	case kindFlash:
		return r.program(off, data)
	case kindOption:
		return r.setOptions(g, off, data)
	case kindData:
		if _, err := r.work(time.Duration(t.flash.words(off, len(data))) * t.o.Times.Word); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	copy(g.mem[off:], data)
	return nil
}

// program programs flash. When the time is cut short, or the power fails, it
// holds what was programmed until then.
func (r *run) program(off int, data []byte) error {
	t := r.t
	t.mu.Lock()
	n, cut := spend(&t.cut.Programmed, len(data))
	restore := t.cut.Restore
	t.mu.Unlock()
	words := t.flash.words(off, n)
	passed, err := r.work(time.Duration(words) * t.o.Times.Word)
	if err != nil {
		if t.o.Times.Word <= 0 {
			return err
		}
		done := int(passed / t.o.Times.Word)
		n, cut = max(0, min(n, (off/t.flash.word+done)*t.flash.word-off)), false
	}
	for p := data[:n]; len(p) > 0; {
		_, start, size, _ := t.chip.Page(t.chip.FlashStart + uint32(off))
		k := min(len(p), int(start+size-t.chip.FlashStart)-off)
		r.programPage(off, p[:k], cut && k == len(p))
		off, p = off+k, p[k:]
	}
	t.count(func(s *Stats) { s.Working += passed })
	if cut {
		return r.fail(restore)
	}
	return err
}

// programPage programs bytes of one page, unless it is protected. If torn, the
// power fails after the last byte.
func (r *run) programPage(off int, p []byte, torn bool) {
	t := r.t
	if t.spared(off, len(p)) {
		return
	}
	t.mu.Lock()
	t.stats.Violations += uint64(t.flash.program(off, p))
	if torn {
		t.flash.tear(off+len(p), p)
	}
	t.stats.Words += uint64(t.flash.words(off, len(p)))
	t.stats.Programmed += uint64(len(p))
	t.mu.Unlock()
	t.observe(Event{Kind: EventProgram, Addr: t.chip.FlashStart + uint32(off), N: len(p)})
}
