package stm32boot

import (
	"encoding/binary"
	"slices"
	"testing"
	"testing/synctest"
)

// thumb runs the few instructions of the stubs. It returns the stores in order.
type thumb struct {
	t     *testing.T
	mem   map[uint32]uint32
	base  uint32
	code  []byte
	reg   [8]uint32
	zero  bool
	wrote [][2]uint32
}

func (m *thumb) word(addr uint32) uint32 {
	if addr >= m.base && addr < m.base+uint32(len(m.code)) {
		return binary.LittleEndian.Uint32(m.code[addr-m.base:])
	}
	return m.mem[addr]
}

// run executes from pc until the program stays where it is.
func (m *thumb) run(pc uint32) {
	for range 100 {
		op := binary.LittleEndian.Uint16(m.code[pc-m.base:])
		rd, rn, imm := op&7, op>>3&7, uint32(op&0xFF)
		next := pc + 2
		switch {
		case op == 0xE7FE: // b .
			return
		case op == 0xF3BF: // dsb
			next += 2
		case op>>11 == 0x09: // ldr rt, [pc, #imm]
			m.reg[op>>8&7] = m.word((pc+4)&^3 + 4*imm)
		case op>>6 == 0x1A0: // ldr rt, [rn]
			m.reg[rd] = m.word(m.reg[rn])
		case op>>6 == 0x180: // str rt, [rn]
			m.wrote = append(m.wrote, [2]uint32{m.reg[rn], m.reg[rd]})
		case op>>6 == 0x100: // ands
			m.reg[rd] &= m.reg[rn]
			m.zero = m.reg[rd] == 0
		case op>>6 == 0x101: // eors
			m.reg[rd] ^= m.reg[rn]
			m.zero = m.reg[rd] == 0
		case op>>9 == 0x0E: // adds rd, rn, #imm
			m.reg[rd] = m.reg[rn] + uint32(op>>6&7)
			m.zero = m.reg[rd] == 0
		case op>>11 == 0x05: // cmp rn, #imm
			m.zero = m.reg[op>>8&7] == imm
		case op>>8 == 0xD0, op>>8 == 0xD1: // beq, bne
			if m.zero == (op>>8 == 0xD0) {
				next = pc + 4 + 2*uint32(int8(imm))
			}
		default:
			m.t.Fatalf("instruction %04x at %x", op, pc-m.base)
		}
		pc = next
	}
	m.t.Fatal("the program does not end")
}

// TestStub runs the programs that reset chips, and checks what they write to
// which registers.
func TestStub(t *testing.T) {
	reset := [2]uint32{0xE000ED0C, 0x05FA0004}
	toggle := [2]uint32{0x40022010, 0x00020000}
	rows := []struct {
		name  string
		id    uint16
		first uint32 // word of flash
		empty bool   // flag "flash is empty"
		want  [][2]uint32
	}{
		{"plain", 0x410, 0, false, [][2]uint32{reset}},
		{"option byte load", 0x442, 0, false, [][2]uint32{{0x40022010, 0x2000}}},
		{"programmed, flag set", 0x462, 0x20001000, true, [][2]uint32{toggle, reset}},
		{"programmed, flag clear", 0x462, 0x20001000, false, [][2]uint32{reset}},
		{"blank, flag set", 0x462, 0xFFFFFFFF, true, [][2]uint32{reset}},
		{"blank, flag clear", 0x462, 0xFFFFFFFF, false, [][2]uint32{toggle, reset}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			chip, _ := Lookup(row.id)
			base := chip.RAMStart + chip.RAMReserved
			m := &thumb{t: t, base: base, code: stub(chip), mem: map[uint32]uint32{0x08000000: row.first, 0x40022010: 0xC0}}
			if row.empty {
				m.mem[0x40022010] |= 1 << 17
			}
			sp, pc := m.word(base), m.word(base+4)
			if sp != chip.RAMEnd || pc&1 == 0 || base%4 != 0 {
				t.Fatalf("stack %x, entry %x", sp, pc)
			}
			m.run(pc &^ 1)
			if !slices.Equal(m.wrote, row.want) {
				t.Errorf("wrote %x, want %x", m.wrote, row.want)
			}
		})
	}
}

// TestSoftReset: Boot0 is low before the program starts, which is where Go jumps.
func TestSoftReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x462)
		c := dial(t, Config{Port: r, Boot0: pin{r, "boot"}})
		if err := c.SoftReset(t.Context()); err != nil {
			t.Fatal(err)
		}
		base := r.chip.RAMStart + r.chip.RAMReserved
		program := stub(r.chip)
		if got := r.peek(base, len(program)); !slices.Equal(got, program) {
			t.Errorf("in RAM: % x", got)
		}
		if !slices.Equal(r.commits, []string{"write", "go"}) || r.boot0 {
			t.Errorf("done: %v, boot0 %v", r.commits, r.boot0)
		}
	})
}
