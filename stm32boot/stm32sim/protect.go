package stm32sim

import (
	"github.com/ccmkit/ccmkit/stm32boot"
)

// maxSectors bounds the numbers of sectors that can be write protected.
const maxSectors = 512

// sector returns the write-protection sector of an offset in flash.
func (t *Target) sector(off int) int {
	const unit = 4 << 10
	switch t.chip.Family {
	case "F0", "F1", "F3", "W":
		return min(off/unit, 31)
	case "L0", "L1":
		return off / unit
	}
	number, _, _, _ := t.chip.Page(t.chip.FlashStart + uint32(off))
	return number
}

// isProtected is called with mu held.
func (t *Target) isProtected(off int) bool {
	s := t.sector(off)
	return s < maxSectors && t.protected[s]
}

// spared reports whether n bytes of one page are write protected. Nothing is
// answered then, and nothing done (AN2662).
func (t *Target) spared(off, n int) bool {
	t.mu.Lock()
	spared := t.isProtected(off)
	if spared {
		t.stats.Protected++
	}
	t.mu.Unlock()
	if spared {
		t.observe(Event{Kind: EventIgnored, Addr: t.chip.FlashStart + uint32(off), N: n})
	}
	return spared
}

// onSectorCount is the first byte of the list of Write Protect.
func (r *run) onSectorCount(p []byte) error {
	r.t.rom.await(int(p[0])+2, (*run).onSectors)
	return nil
}

// onSectors is the rest: these sectors become protected and all others not. The
// loader does not check their numbers.
func (r *run) onSectors(p []byte) error {
	list := p[:len(p)-1]
	if xor(p) != byte(len(list)-1) {
		return r.refuse()
	}
	return r.take(step{stage: StageData, last: true, do: func() error { return r.writeProtect(list) }, then: r.reset})
}

func (r *run) writeProtect(sectors []byte) error {
	if _, err := r.work(r.t.o.Times.Option); err != nil {
		return err
	}
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.t.protected = [maxSectors]bool{}
	for _, s := range sectors {
		r.t.protected[s] = true
	}
	return nil
}

// onProtection follows the first answer to the commands that have no data: the
// second answer, and a reset.
func (r *run) onProtection() error {
	do := func() error { return r.writeProtect(nil) }
	switch r.t.rom.cmd {
	case stm32boot.CmdReadoutProtect:
		do = r.readoutProtect
	case stm32boot.CmdReadoutUnprotect:
		do = r.readoutUnprotect
	}
	return r.take(step{last: true, do: do, then: r.reset})
}

func (r *run) readoutProtect() error {
	_, err := r.work(r.t.o.Times.Option)
	if err == nil {
		r.t.setRDP(1)
	}
	return err
}

// readoutUnprotect erases everything before it unlocks, whatever the level was.
func (r *run) readoutUnprotect() error {
	t := r.t
	t.mu.Lock()
	t.protected = [maxSectors]bool{}
	t.mu.Unlock()
	if err := r.massErase(0); err != nil {
		return err
	}
	if _, err := r.work(t.o.Times.Option); err != nil {
		return err
	}
	t.mu.Lock()
	for _, k := range []kind{kindRAM, kindData} {
		t.mem.all(k, func(g *region) { fill(g.mem, 0) })
	}
	t.mu.Unlock()
	t.setRDP(0)
	return nil
}

// setRDP sets the level of readout protection.
func (t *Target) setRDP(level int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rdp = level
	t.setOptionRDP()
}

// Values of the option byte for readout protection; any other is level 1.
const (
	rdpOffF1  = 0xA5
	rdpOff    = 0xAA
	rdpLevel1 = 0x00
	rdpLevel2 = 0xCC
)

// rdpByte returns the option byte for readout protection and the value of level
// 0; nil if the chip has no option bytes in memory. mu is held.
func (t *Target) rdpByte() (p *byte, off byte) {
	var options []byte
	if len(t.chip.OptionBytes) > 0 {
		options, _ = t.mem.peek(nil, t.chip.OptionBytes[0].Addr, 1)
	}
	if options == nil {
		return nil, 0
	}
	g := t.mem.find(t.chip.OptionBytes[0].Addr)
	switch t.chip.Family {
	case "F1", "W":
		return &g.mem[0], rdpOffF1
	case "F2", "F4", "F7":
		return &g.mem[min(1, len(g.mem)-1)], rdpOff
	}
	return &g.mem[0], rdpOff
}

// setOptionRDP writes the level to the option bytes. mu is held.
func (t *Target) setOptionRDP() {
	p, off := t.rdpByte()
	if p != nil {
		*p = [...]byte{off, rdpLevel1, rdpLevel2}[t.rdp]
	}
}

// setOptions carries out a Write to option bytes: all of the area are erased
// first, and readout protection follows its byte (AN2662).
func (r *run) setOptions(g *region, off int, data []byte) error {
	t := r.t
	if _, err := r.work(t.o.Times.Option); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fill(g.mem, 0xFF)
	copy(g.mem[off:], data)
	switch p, unlocked := t.rdpByte(); {
	case p == nil:
	case *p == unlocked:
		t.rdp = 0
	case *p == rdpLevel2 && unlocked != rdpOffF1:
		t.rdp = 2
	default:
		t.rdp = 1
	}
	return nil
}
