package stm32sim_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// TestReadoutProtection has the levels: what still works, and the way out.
func TestReadoutProtection(t *testing.T) {
	for _, id := range []uint16{0x410, 0x431, 0x415, 0x417} {
		for level := range 3 {
			t.Run(fmt.Sprintf("0x%03X level %d", id, level), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testLevel(t, id, level) })
			})
		}
	}
}

func testLevel(t *testing.T, id uint16, level int) {
	target, h := connect(t, stm32sim.Options{ID: id, RDP: level, Image: image(512), WriteProtect: []int{0}})
	chip := target.Chip()
	last := chip.FlashStart + chip.FlashSize - 4 // in the other bank, if there are two
	if err := target.Poke(last, image(4)); err != nil {
		t.Fatal(err)
	}
	h.expect(command(stm32boot.CmdGetID), ack, 1, byte(id>>8), byte(id), ack)
	want := byte(ack)
	if level > 0 {
		want = nack
	}
	for _, c := range []byte{cmdRead, stm32boot.CmdGo, cmdWrite, chip.EraseCmd, stm32boot.CmdWriteProtect} {
		h.expect(command(c), want)
		if want == ack {
			pulse(target) // ends the command
			h.expect([]byte{stm32boot.Init}, ack)
		}
	}
	if level > 0 {
		for _, c := range []byte{stm32boot.CmdWriteUnprotect, stm32boot.CmdReadoutProtect} {
			h.expect(command(c), nack)
		}
	}
	if level == 2 {
		h.expect(command(stm32boot.CmdReadoutUnprotect), nack)
		return
	}
	if chip.DataFlash.Size > 0 && target.Poke(chip.DataFlash.Addr, []byte{1}) != nil {
		t.Error("no data EEPROM")
	}
	h.expect(command(stm32boot.CmdReadoutUnprotect), ack, ack)
	if blank := bytes.Repeat([]byte{chip.Erased}, int(chip.FlashSize)); !bytes.Equal(target.Flash(), blank) {
		t.Error("the flash survived")
	}
	if data, _ := target.Peek(chip.DataFlash.Addr, int(chip.DataFlash.Size)); len(bytes.Trim(data, "\x00")) > 0 {
		t.Error("the data EEPROM survived")
	}
	if target.RDP() != 0 || target.WriteProtected(chip.FlashStart) {
		t.Errorf("level %d, write protected: %t", target.RDP(), target.WriteProtected(chip.FlashStart))
	}
	h.expect(command(stm32boot.CmdGet)) // it was reset
	h.expect([]byte{stm32boot.Init}, ack)
	h.expect(command(stm32boot.CmdReadoutProtect), ack, ack)
	h.expect([]byte{stm32boot.Init}, ack)
	h.expect(command(cmdRead), nack)
	if target.RDP() != 1 {
		t.Errorf("level %d", target.RDP())
	}
}

// TestWriteProtection: protected pages stay as they are, without a word, until the
// protection is taken away. Each change resets the chip.
func TestWriteProtection(t *testing.T) {
	for _, c := range []struct {
		id          uint16
		sector      byte
		first, last uint32 // of the bytes that it protects
	}{
		{0x410, 1, 4096, 8191},
		{0x410, 31, 31 * 4096, 128<<10 - 1},
		{0x414, 31, 31 * 4096, 512<<10 - 1},
		{0x417, 1, 4096, 8191},
		{0x431, 4, 64 << 10, 128<<10 - 1},
		{0x415, 3, 6144, 8191},
	} {
		t.Run(fmt.Sprintf("0x%03X sector %d", c.id, c.sector), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target, h := connect(t, stm32sim.Options{ID: c.id, Image: image(512), WriteProtect: []int{0}})
				chip := target.Chip()
				inside, outside := start+c.first, start+c.first-4
				h.expect(command(stm32boot.CmdWriteProtect), ack)
				h.expect(counted([]byte{c.sector}), ack)
				h.expect([]byte{stm32boot.Init}, ack)
				for off, want := range map[uint32]bool{0: false, c.first - 1: false, c.first: true, c.last: true, c.last + 1: false} {
					if got := target.WriteProtected(start + off); got != want {
						t.Errorf("offset %d: protected %v", off, got)
					}
				}
				h.writeMemory(inside, image(4))
				h.writeMemory(outside, image(8)) // half inside
				h.writeMemory(inside-256, image(4))
				if got := h.readMemory(outside, 8); bytes.Contains(got[4:], image(8)[4:]) || !bytes.Equal(got[:4], image(4)) {
					t.Errorf("across the border flash reads %X", got)
				}
				number, _, _, _ := chip.Page(inside)
				marked, _ := target.Peek(inside, 4)
				marked[0] ^= 0x55
				if err := target.Poke(inside, marked); err != nil {
					t.Fatal(err)
				}
				h.erasePages(chip.EraseCmd, number)
				if got := h.readMemory(inside, 4); !bytes.Equal(got, marked) {
					t.Errorf("the protected page was erased: %X", got)
				}
				if !chip.Flags.Has(stm32boot.NoMassErase) {
					h.eraseAll(chip.EraseCmd)
					if got := target.Flash(); !bytes.Equal(got[:512], image(512)) {
						t.Error("mass erase has erased something")
					}
				}
				if s := target.Stats(); s.Protected == 0 {
					t.Error("nothing was counted")
				}
				h.expect(command(stm32boot.CmdWriteUnprotect), ack, ack)
				h.expect([]byte{stm32boot.Init}, ack)
				h.erasePages(chip.EraseCmd, number)
				h.writeMemory(inside, image(8))
				if got := h.readMemory(inside, 8); !bytes.Equal(got, image(8)) {
					t.Errorf("without protection flash reads %X", got)
				}
			})
		})
	}
}

func (h *host) erasePages(cmd byte, number int) {
	h.t.Helper()
	list := pages(number)
	if cmd == stm32boot.CmdErase {
		list = counted([]byte{byte(number)})
	}
	h.expect(command(cmd), ack)
	h.expect(list, ack)
}

func (h *host) eraseAll(cmd byte) {
	h.t.Helper()
	list := []byte{0xFF, 0xFF, 0x00}
	if cmd == stm32boot.CmdErase {
		list = []byte{0xFF, 0x00}
	}
	h.expect(command(cmd), ack)
	h.expect(list, ack)
}

// TestOptionBytes: a write to option bytes erases all of them, takes effect and
// resets the chip.
func TestOptionBytes(t *testing.T) {
	for _, c := range []struct {
		id    uint16
		data  []byte
		level int
	}{
		{0x410, []byte{0xA5, 0x5A, 0x12, 0xED}, 0},
		{0x410, []byte{0x00, 0xFF, 0x12, 0xED}, 1},
		{0x410, []byte{0xCC, 0x33, 0x12, 0xED}, 1},
		{0x415, []byte{0xAA, 0xF8, 0xEF, 0xFF}, 0},
		{0x415, []byte{0xCC, 0xF8, 0xEF, 0xFF}, 2},
		{0x431, []byte{0xEC, 0xAA, 0xFF, 0xFF}, 0},
		{0x431, []byte{0xEC, 0x55, 0xFF, 0xFF}, 1},
	} {
		t.Run(fmt.Sprintf("0x%03X % X", c.id, c.data), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target, h := connect(t, stm32sim.Options{ID: c.id})
				options := target.Chip().OptionBytes[0]
				if err := target.Poke(options.Addr+8, []byte{0, 0xFF}); err != nil { // from before
					t.Fatal(err)
				}
				h.writeMemory(options.Addr, c.data)
				h.expect([]byte{stm32boot.Init}, ack)
				if target.RDP() != c.level {
					t.Errorf("level %d, want %d", target.RDP(), c.level)
				}
				want := append(bytes.Clone(c.data), bytes.Repeat([]byte{0xFF}, int(options.Size)-len(c.data))...)
				if got, err := target.Peek(options.Addr, int(options.Size)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("% X, want % X", got, want)
				}
			})
		})
	}
}
