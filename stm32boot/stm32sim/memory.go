package stm32sim

import (
	"encoding/binary"
	"slices"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// Memory is read-only memory at an address, such as a unique device id.
type Memory struct {
	Addr uint32
	Data []byte
}

// kind is what a region is.
type kind uint8

const (
	kindFlash kind = iota
	kindRAM
	kindOption
	kindData   // data EEPROM
	kindSystem // ROM and what is around it: reads as 00 unless known
)

// region is a piece of the address space with memory behind it.
type region struct {
	kind  kind
	start uint32
	mem   []byte
}

// end returns the address after the last byte; regions do not reach 4 GiB.
func (g *region) end() uint32 { return g.start + uint32(len(g.mem)) }

// memory is the address space. Regions do not overlap.
type memory struct {
	regions []region
}

// block is the size of the pieces of address space in which a single known
// address, such as that of the flash-size register, is made readable.
const block = 256

func newMemory(c *stm32boot.Chip, flash []byte, o *Options) *memory {
	m := &memory{}
	m.add(kindFlash, c.FlashStart, flash)
	m.add(kindRAM, c.RAMStart, make([]byte, max(c.RAMEnd, c.RAMStart)-c.RAMStart))
	for _, r := range c.OptionBytes {
		options := make([]byte, r.Size)
		fill(options, 0xFF)
		m.add(kindOption, r.Addr, options)
	}
	m.add(kindData, c.DataFlash.Addr, make([]byte, c.DataFlash.Size))
	m.add(kindSystem, c.SysmemStart, make([]byte, max(c.SysmemEnd, c.SysmemStart)-c.SysmemStart))

	m.burn(c.FlashSizeReg, binary.LittleEndian.AppendUint16(nil, uint16(c.FlashSize>>10)))
	m.burn(c.BootIDReg, []byte{o.BootID})
	for _, r := range o.Memory {
		m.burn(r.Addr, r.Data)
	}
	return m
}

// add adds what of a region is not taken yet.
func (m *memory) add(k kind, start uint32, mem []byte) {
	for len(mem) > 0 {
		if r := m.find(start); r != nil {
			n := min(len(mem), int(r.end()-start))
			start, mem = start+uint32(n), mem[n:]
			continue
		}
		n := len(mem)
		for _, r := range m.regions {
			if r.start > start {
				n = min(n, int(r.start-start))
			}
		}
		m.regions = append(m.regions, region{k, start, mem[:n:n]})
		start, mem = start+uint32(n), mem[n:]
	}
}

// burn sets read-only bytes, and makes what is around them readable if it is not
// yet. Address 0 is none.
func (m *memory) burn(addr uint32, p []byte) {
	if addr == 0 || len(p) == 0 {
		return
	}
	start := addr &^ (block - 1)
	end := (addr + uint32(len(p)) + block - 1) &^ (block - 1)
	m.add(kindSystem, start, make([]byte, end-start))
	m.poke(addr, p)
}

// find returns the region of an address, nil if there is none.
func (m *memory) find(addr uint32) *region {
	i := slices.IndexFunc(m.regions, func(r region) bool { return addr >= r.start && addr-r.start < uint32(len(r.mem)) })
	if i < 0 {
		return nil
	}
	return &m.regions[i]
}

// each calls do for the pieces of [addr, addr+n) by region. It reports false,
// with do called for the pieces before, where there is no memory.
func (m *memory) each(addr uint32, n int, do func(r *region, off, n int)) bool {
	for n > 0 {
		r := m.find(addr)
		if r == nil {
			return false
		}
		off := int(addr - r.start)
		k := min(n, len(r.mem)-off)
		do(r, off, k)
		addr, n = addr+uint32(k), n-k
	}
	return true
}

// peek appends the bytes of [addr, addr+n) to dst.
func (m *memory) peek(dst []byte, addr uint32, n int) ([]byte, bool) {
	ok := m.each(addr, n, func(r *region, off, n int) { dst = append(dst, r.mem[off:off+n]...) })
	return dst, ok
}

// poke sets the bytes at addr, as far as there is memory.
func (m *memory) poke(addr uint32, p []byte) bool {
	return m.each(addr, len(p), func(r *region, off, n int) { p = p[copy(r.mem[off:off+n], p):] })
}

// whole returns the region that holds all of [addr, addr+n), nil if none does.
func (m *memory) whole(addr uint32, n int) (r *region, off int) {
	if r = m.find(addr); r == nil || int(addr-r.start)+n > len(r.mem) {
		return nil, 0
	}
	return r, int(addr - r.start)
}

// all yields the regions of a kind.
func (m *memory) all(k kind, do func(r *region)) {
	for i := range m.regions {
		if m.regions[i].kind == k {
			do(&m.regions[i])
		}
	}
}
