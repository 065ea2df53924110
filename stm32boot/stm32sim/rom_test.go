package stm32sim_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

const (
	cmdWrite = stm32boot.CmdWrite
	cmdRead  = stm32boot.CmdRead
)

var getF103 = []byte{ack, 11, 0x22, 0x00, 0x01, 0x02, 0x11, 0x21, 0x31, 0x43, 0x63, 0x73, 0x82, 0x92, ack}

// TestAutobaud: nothing before the first 0x7F counts, and the second is half a
// command (section 1.1 of the bootloader specification).
func TestAutobaud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, _, h := plug(t, stm32sim.Options{}, stm32sim.LineOptions{})
		h.expect([]byte{0x00, 0xFF, 0x31, 0xCE, 0x08})
		h.expect([]byte{0x79, 0x7F}, ack)
		h.expect([]byte{0x7F})
		h.expect([]byte{0x7F}, nack)
		h.expect(command(stm32boot.CmdGet), getF103...)
		h.expect([]byte{0x00})
		h.expect([]byte{0x7F}, nack)
		h.expect([]byte{0xFF, 0x00}, nack)
		h.expect(command(stm32boot.CmdGet), getF103...)
		if s := target.Stats(); s.Syncs != 1 || s.Nacks != 3 || s.Commands[stm32boot.CmdGet] != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// TestHalfCommand begins in the middle of a command.
func TestHalfCommand(t *testing.T) {
	for _, c := range []struct{ pending, rest, answer []byte }{
		{nil, command(stm32boot.CmdGet), getF103},
		{[]byte{0x00}, []byte{0xFF}, getF103},
		{[]byte{0x11}, []byte{0x7F}, []byte{nack}},
		{[]byte{0x11, 0xEE, 8, 0}, []byte{0, 0, 8}, []byte{ack}},
		{[]byte{0x11, 0xEE, 8, 0, 0, 0, 8, 0x01}, []byte{0xFE}, []byte{ack, 0xFF, 0xFF}},
		{slices.Concat([]byte{0x31, 0xCE, 8, 0, 0, 0, 8, 0x03}, []byte{1, 2}), []byte{3, 4, 7}, []byte{ack}},
	} {
		t.Run(fmt.Sprintf("% X", c.pending), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, h := connect(t, stm32sim.Options{Synced: true, Pending: c.pending})
				h.expect(c.rest, c.answer...)
				h.quiet()
			})
		})
	}
}

// TestGet has the three commands that say who the chip is, for all chips.
func TestGet(t *testing.T) {
	for _, chip := range stm32boot.Chips() {
		synctest.Test(t, func(t *testing.T) {
			_, h := connect(t, stm32sim.Options{ID: chip.ID})
			if chip.Flags.Has(stm32boot.ExtraACK) {
				h.expect(command(stm32boot.CmdGetID), ack, ack, 1, byte(chip.ID>>8), byte(chip.ID), ack)
			}
			version := byte(0x31)
			if chip.EraseCmd == stm32boot.CmdErase {
				version = 0x22
			}
			h.expect(command(stm32boot.CmdGetID), ack, 1, byte(chip.ID>>8), byte(chip.ID), ack)
			h.expect(command(stm32boot.CmdGetVersion), ack, version, 0, 0, ack)
			h.expect(command(stm32boot.CmdGet), slices.Concat([]byte{ack, 11, version, 0x00, 0x01, 0x02, 0x11, 0x21, 0x31},
				[]byte{chip.EraseCmd}, []byte{0x63, 0x73, 0x82, 0x92, ack})...)
			other := stm32boot.CmdErase ^ stm32boot.CmdExtendedErase ^ chip.EraseCmd
			h.expect(command(other), nack)
			h.expect(command(stm32boot.CmdChecksum), nack)
			h.expect(command(stm32boot.CmdSpecial), nack)
		})
	}
}

func TestGetWithChecksum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := connect(t, stm32sim.Options{ID: 0x460, BootVersion: 0x33, Image: image(1024)})
		h.expect(command(stm32boot.CmdGet), ack, 12, 0x33, 0x00, 0x01, 0x02, 0x11, 0x21, 0x31, 0x44, 0x63, 0x73, 0x82, 0x92, 0xA1, ack)
		sum := func(addr uint32, n int, first byte, rest ...byte) {
			h.t.Helper()
			h.expect(command(stm32boot.CmdChecksum), ack)
			h.expect(address(addr), ack)
			h.expect(address(uint32(n)), append([]byte{first}, rest...)...)
		}
		sum(start, 1024, ack, ack, 0xF3, 0xE2, 0x73, 0x29, 0x4B)
		sum(start, 0, nack)
		sum(start, 6, nack)
		sum(start, 128<<10+4, nack)
		h.expect(command(stm32boot.CmdChecksum), ack)
		h.expect(address(start+2), nack)
		h.quiet()
	})
}

// TestRefusals has wrong checksums, lengths and addresses. After each the target
// waits for a command, and flash is untouched.
func TestRefusals(t *testing.T) {
	bad := func(p []byte) []byte { p[len(p)-1] ^= 1; return p }
	write, read, erase := command(cmdWrite), command(cmdRead), command(stm32boot.CmdErase)
	ok := address(start)
	for name, stages := range map[string][][]byte{
		"command":                 {bad(command(cmdWrite))},
		"unknown command":         {command(0x55)},
		"read: checksum":          {read, bad(address(start))},
		"read: nowhere":           {read, address(0x00000000)},
		"read: last address":      {read, address(0xFFFFFFFF)},
		"read: behind flash":      {read, address(start + 128<<10)},
		"read: length":            {read, ok, {3, 3}},
		"read: across the end":    {read, address(start + 128<<10 - 4), {7, 0xF8}},
		"write: checksum":         {write, bad(address(start))},
		"write: behind flash":     {write, address(start + 128<<10)},
		"write: odd address":      {write, address(start + 2)},
		"write: odd length":       {write, ok, counted(image(6))},
		"write: data checksum":    {write, ok, bad(counted(image(8)))},
		"write: across the end":   {write, address(start + 128<<10 - 4), counted(image(8))},
		"write: system memory":    {write, address(0x1FFFF000)},
		"write: the loader's RAM": {write, address(0x200001FC)},
		"write: behind RAM":       {write, address(0x20005000)},
		"erase: count":            {erase, {0xFF, 0xFF}},
		"erase: checksum":         {erase, bad(counted([]byte{0, 1, 2}))},
		"erase: no such page":     {erase, counted([]byte{0, 128})},
		"erase: abort":            {erase, {0x00, 0x00, 0x01}},
		"go: nowhere":             {command(stm32boot.CmdGo), address(0x1FFFF000)},
		"go: the loader's RAM":    {command(stm32boot.CmdGo), address(0x20000000)},
		"protect: checksum":       {command(stm32boot.CmdWriteProtect), bad(counted([]byte{0}))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target, h := connect(t, stm32sim.Options{Image: image(4096)})
				before := target.Flash()
				for i, p := range stages {
					want := byte(ack)
					if i == len(stages)-1 {
						want = nack
					}
					h.expect(p, want)
				}
				h.quiet()
				h.expect(command(stm32boot.CmdGet), getF103...)
				if !bytes.Equal(target.Flash(), before) {
					t.Error("flash has changed")
				}
				if s := target.Stats(); s.Nacks != 1 {
					t.Errorf("%d NACKs", s.Nacks)
				}
			})
		})
	}
}

// TestErase has both families of the command.
func TestErase(t *testing.T) {
	for _, c := range []struct {
		name   string
		id     uint16
		list   []byte
		answer byte
		erased []int // pages; nil and ACK: all
	}{
		{"one", 0x410, []byte{0, 5, 5}, ack, []int{5}},
		{"some", 0x410, []byte{2, 9, 0, 127, 2 ^ 9 ^ 127}, ack, []int{0, 9, 127}},
		{"global", 0x410, []byte{0xFF, 0x00}, ack, nil},
		{"one", 0x431, pages(1), ack, []int{1}},
		{"some", 0x431, pages(7, 4, 0), ack, []int{0, 4, 7}},
		{"none such", 0x431, pages(0, 8), nack, []int{}},
		{"checksum", 0x431, []byte{0, 0, 0, 0, 1}, nack, []int{}},
		{"all", 0x431, []byte{0xFF, 0xFF, 0x00}, ack, nil},
		{"all, checksum", 0x431, []byte{0xFF, 0xFF, 0x01}, nack, []int{}},
		{"no banks", 0x431, []byte{0xFF, 0xFE, 0x01}, nack, []int{}},
		{"reserved", 0x431, []byte{0xFF, 0xF0, 0x0F}, nack, []int{}},
		{"all", 0x450, []byte{0xFF, 0xFF, 0x00}, ack, nil},
		{"bank 1", 0x450, []byte{0xFF, 0xFE, 0x01}, ack, []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{"bank 2", 0x450, []byte{0xFF, 0xFD, 0x02}, ack, []int{8, 9, 10, 11, 12, 13, 14, 15}},
		{"some", 0x417, pages(0, 511), ack, []int{0, 511}},
		{"all", 0x417, []byte{0xFF, 0xFF, 0x00}, nack, []int{}},
		{"bank", 0x437, []byte{0xFF, 0xFE, 0x01}, nack, []int{}},
		{"511", 0x417, pages(count(511)...), ack, count(511)},
		{"512", 0x417, pages(count(512)...), nack, []int{}},
		{"512", 0x415, pages(count(512)...), ack, count(512)},
	} {
		t.Run(fmt.Sprintf("0x%03X %s", c.id, c.name), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chip, _ := stm32boot.Lookup(c.id)
				full := bytes.Repeat([]byte{0xA5}, int(chip.FlashSize))
				target, h := connect(t, stm32sim.Options{ID: c.id, Image: full})
				h.expect(command(chip.EraseCmd), ack)
				h.expect(c.list, c.answer)
				erased, total := c.erased, 0
				if erased == nil {
					erased = count(chip.PageCount())
				}
				for _, number := range erased {
					p, _ := chip.PageAt(number)
					at := full[p.Addr-chip.FlashStart:][:p.Size]
					copy(at, bytes.Repeat([]byte{chip.Erased}, len(at)))
				}
				if !bytes.Equal(target.Flash(), full) {
					t.Error("other bytes are erased than those of the pages")
				}
				for number, n := range target.Stats().Erases {
					if total += n; n > 0 && !slices.Contains(erased, number) {
						t.Errorf("page %d counts as erased", number)
					}
				}
				if total != len(erased) {
					t.Errorf("%d pages count as erased, want %d", total, len(erased))
				}
			})
		})
	}
}

func count(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	return p
}

// TestMemory reads and writes what is not flash.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := stm32sim.Memory{Addr: 0x1FFFF7E8, Data: []byte("unique device")}
		target, h := connect(t, stm32sim.Options{FlashSize: 64 << 10, Memory: []stm32sim.Memory{id}})
		reads := func(addr uint32, want ...byte) {
			t.Helper()
			if got := h.readMemory(addr, len(want)); !bytes.Equal(got, want) {
				t.Errorf("0x%08X reads % X, want % X", addr, got, want)
			}
		}
		reads(0x1FFFF7E0, 64, 0)
		reads(0x1FFFF7E8, id.Data...)
		reads(0x1FFFF000, make([]byte, 256)...)
		reads(0x1FFFF800, 0xA5, 0xFF)
		h.writeMemory(0x20000200, []byte{1, 2, 3})
		reads(0x20000200, 1, 2, 3)
		h.expect(command(cmdRead), ack)
		h.expect(address(start+64<<10), nack)
		h.expect(command(stm32boot.CmdErase), ack)
		h.expect([]byte{0, 64, 64}, nack)
		if n := len(target.Flash()); n != 64<<10 {
			t.Errorf("%d bytes of flash", n)
		}
	})
}

// TestMemoryOfF4AndL0: only whole blocks can be read around the flash-size
// register.
func TestMemoryOfF4AndL0(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := connect(t, stm32sim.Options{ID: 0x431, BootID: 0xD1})
		short := func(addr uint32, n byte) {
			h.expect(command(cmdRead), ack)
			h.expect(address(addr), ack)
			h.expect([]byte{n - 1, ^(n - 1)}, nack)
		}
		short(0x1FFF7A22, 2)
		short(0x1FFF7A10, 12)
		short(0x1FFF7A00, 255)
		if got := h.readMemory(0x1FFF7A00, 256); !bytes.Equal(got[0x22:0x24], []byte{0, 2}) {
			t.Errorf("flash size % X", got[0x22:0x24])
		}
		if got := h.readMemory(0x1FFF76DE, 1); got[0] != 0xD1 {
			t.Errorf("loader id %X", got)
		}
		_, l0 := connect(t, stm32sim.Options{ID: 0x417})
		if got := l0.readMemory(0x1FF80000, 128); !bytes.Equal(got[0x7C:0x7E], []byte{64, 0}) || got[0] != 0xAA {
			t.Errorf("option bytes and flash size % X", got)
		}
		if got := l0.readMemory(0x1FF80000, 4); got[0] != 0xAA {
			t.Errorf("option bytes % X", got)
		}
		l0.writeMemory(0x08080000+2044, []byte{9, 8, 7, 6})
		if got := l0.readMemory(0x08080000+2044, 4); !bytes.Equal(got, []byte{9, 8, 7, 6}) {
			t.Errorf("data EEPROM % X", got)
		}
		l0.expect(command(cmdRead), ack)
		l0.expect(address(0x08080000+2048), nack)
	})
}

// TestVerifyLast: on the chips that have the flag a block reads wrong right after
// it was written.
func TestVerifyLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := connect(t, stm32sim.Options{ID: 0x483})
		h.writeMemory(start, image(64))
		if got := h.readMemory(start, 64); bytes.Equal(got, image(64)) {
			t.Error("the block reads well at once")
		}
		if got := h.readMemory(start, 64); !bytes.Equal(got, image(64)) {
			t.Error("the block reads wrong for ever")
		}
		h.writeMemory(start+64, image(64))
		if got := h.readMemory(start, 64); !bytes.Equal(got, image(64)) {
			t.Error("another block reads wrong")
		}
	})
}

// TestGo: the target acknowledges twice and is gone.
func TestGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []stm32sim.Event
		target, h := connect(t, stm32sim.Options{Observer: func(e stm32sim.Event) { events = append(events, e) }})
		h.expect(command(stm32boot.CmdGo), ack)
		h.expect(address(start), ack)
		h.expect(command(stm32boot.CmdGet))
		last := events[len(events)-1]
		if last.Kind != stm32sim.EventApp || last.Addr != start {
			t.Errorf("%+v", last)
		}
		pulse(target)
		h.expect([]byte{stm32boot.Init}, ack)
	})
}

// TestResetStub: a program in RAM that resets the chip does.
func TestResetStub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, h := connect(t, stm32sim.Options{})
		stub := []byte{0, 0x10, 0, 0x20, 9, 2, 0, 0x20, 1, 0x49, 2, 0x4A, 0x0A, 0x60, 0xFE, 0xE7, 0x0C, 0xED, 0, 0xE0, 4, 0, 0xFA, 5}
		h.writeMemory(0x20000200, stub)
		h.expect(command(stm32boot.CmdGo), ack)
		h.expect(address(0x20000200), ack)
		h.expect([]byte{stm32boot.Init}, ack)
		if s := target.Stats(); s.Resets != 1 {
			t.Errorf("%d resets", s.Resets)
		}
	})
}

// pulse resets a target.
func pulse(target *stm32sim.Target) {
	_ = target.Reset().Set(false)
	time.Sleep(time.Millisecond)
	_ = target.Reset().Set(true)
}
