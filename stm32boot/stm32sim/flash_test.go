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

const start = 0x08000000

// TestPhysics programs a word twice: bits move away from the erased value only,
// and what is against the rules of the flash has its consequences if it is to.
func TestPhysics(t *testing.T) {
	first, second := []byte{0x0F, 0x35, 0x00, 0xFF}, []byte{0x33, 0x53, 0xFF, 0x00}
	and, or := []byte{0x03, 0x11, 0x00, 0x00}, []byte{0x3F, 0x77, 0xFF, 0xFF}
	for _, c := range []struct {
		id         uint16
		want       []byte // without consequences
		consequent []byte // with; nil: anything but second
		violations uint64
	}{
		{0x410, and, first, 2}, // F1: neither half-word is blank
		{0x440, and, first, 2}, // F0
		{0x422, and, first, 2}, // F3
		{0x411, and, and, 0},   // F2
		{0x431, and, and, 0},   // F4
		{0x449, and, and, 0},   // F7
		{0x415, and, nil, 1},   // L4
		{0x460, and, nil, 1},   // G0
		{0x450, and, nil, 1},   // H7
		{0x482, and, nil, 1},   // U5
		{0x417, or, or, 0},     // L0
		{0x416, or, or, 0},     // L1
	} {
		for _, ecc := range []bool{false, true} {
			t.Run(fmt.Sprintf("0x%03X ecc=%v", c.id, ecc), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					target, h := connect(t, stm32sim.Options{ID: c.id, ECC: ecc})
					chip, _ := stm32boot.Lookup(c.id)
					blank := slices.Repeat([]byte{chip.Erased}, int(chip.FlashSize))
					if !bytes.Equal(target.Flash(), blank) {
						t.Fatal("new flash is not blank")
					}
					h.writeMemory(start, first)
					if got := h.readMemory(start, 4); !bytes.Equal(got, first) {
						t.Fatalf("programmed %X, reads %X", first, got)
					}
					h.writeMemory(start, second)
					got := h.readMemory(start, 4)
					want := c.want
					if ecc {
						want = c.consequent
					}
					if want == nil && bytes.Equal(got, second) || want != nil && !bytes.Equal(got, want) {
						t.Errorf("%X over %X reads %X, want %X", second, first, got, want)
					}
					if rest := target.Flash()[4:]; !bytes.Equal(rest, blank[4:]) {
						t.Error("bytes beside what was written have changed")
					}
					if s := target.Stats(); s.Violations != c.violations {
						t.Errorf("%d violations, want %d", s.Violations, c.violations)
					}
				})
			})
		}
	}
}

// TestHalfWords: on F1 a half-word becomes zero whatever it holds.
func TestHalfWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, h := connect(t, stm32sim.Options{ECC: true, Image: []byte{1, 2, 3, 4}})
		h.writeMemory(start, []byte{0, 0, 5, 6})
		h.writeMemory(start+4, []byte{7, 8, 0xFF, 0xFF})
		h.writeMemory(start+4, []byte{0, 0, 9, 10})
		if got, want := target.Flash()[:8], []byte{0, 0, 3, 4, 0, 0, 9, 10}; !bytes.Equal(got, want) {
			t.Errorf("flash holds %X, want %X", got, want)
		}
		if s := target.Stats(); s.Violations != 1 {
			t.Errorf("%d violations, want 1", s.Violations)
		}
	})
}

// TestECC: an ECC word can be programmed once, by whatever, until its page is
// erased.
func TestECC(t *testing.T) {
	for _, id := range []uint16{0x415, 0x460, 0x450, 0x474} {
		t.Run(fmt.Sprintf("0x%03X", id), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target, h := connect(t, stm32sim.Options{ID: id, ECC: true, Image: image(64)})
				chip := target.Chip()
				word := chip.WriteAlign
				blank := slices.Repeat([]byte{0xFF}, word)
				violations := func(want uint64) {
					t.Helper()
					if s := target.Stats(); s.Violations != want {
						t.Errorf("%d violations, want %d", s.Violations, want)
					}
				}
				h.writeMemory(start+256, image(word))
				violations(0)
				h.writeMemory(start+256, image(word)) // the same again
				violations(1)
				if got := h.readMemory(start+256, word); bytes.Equal(got, image(word)) {
					t.Error("a word that was programmed twice reads well")
				}
				h.writeMemory(start+512, blank) // blank counts as well
				h.writeMemory(start+512, image(word))
				violations(2)
				h.writeMemory(start, image(word)) // so does what was there at first
				violations(3)
				h.writeMemory(start+1024, image(word)[:4]) // a part of a word fills it up
				h.writeMemory(start+1024+uint32(word)-4, image(4))
				violations(4)
				h.erase(0)
				h.writeMemory(start, image(64))
				if got := h.readMemory(start, 64); !bytes.Equal(got, image(64)) {
					t.Errorf("after the erase flash reads %X", got)
				}
				violations(4)
			})
		})
	}
}

// TestPoke: what a test stores obeys no physics, and blank words are as new.
func TestPoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, h := connect(t, stm32sim.Options{ID: 0x415, ECC: true, Image: image(256)})
		blank := slices.Repeat([]byte{0xFF}, 8)
		if err := target.Poke(start+8, blank); err != nil {
			t.Fatal(err)
		}
		h.writeMemory(start+8, image(8))
		if s := target.Stats(); s.Violations != 0 {
			t.Errorf("%d violations", s.Violations)
		}
		if got, err := target.Peek(start+8, 8); err != nil || !bytes.Equal(got, image(8)) {
			t.Errorf("Peek: %X, %v", got, err)
		}
		end := uint32(start + len(target.Flash()))
		if err := target.Poke(end-4, image(8)); err != stm32sim.ErrAddress {
			t.Errorf("Poke across the end: %v", err)
		}
		if _, err := target.Peek(end, 1); err != stm32sim.ErrAddress {
			t.Errorf("Peek behind the end: %v", err)
		}
		if got := target.Flash(); !bytes.Equal(got[len(got)-4:], blank[:4]) {
			t.Error("the Poke that failed has stored something")
		}
	})
}

// TestTimes has the times of rulings C5: of a block of 256 bytes, of the first
// and the last page, and of all.
func TestTimes(t *testing.T) {
	const ms, us, ns = time.Millisecond, time.Microsecond, time.Nanosecond
	for _, c := range []struct {
		id                uint16
		block, page, last time.Duration
		all               time.Duration
	}{
		{0x410, 128 * 52500 * ns, 30 * ms, 30 * ms, 40 * ms},
		{0x431, 64 * 16 * us, 250 * ms, time.Second, (4*250 + 550 + 3*1000) * ms},
		{0x415, 32 * 82 * us, 22 * ms, 22 * ms, 44 * ms},
		{0x460, 32 * 82 * us, 22 * ms, 22 * ms, 22 * ms},
		{0x450, 8 * 100 * us, 1100 * ms, 1100 * ms, 16 * 1100 * ms},
		{0x417, 64 * 3200 * us, 3200 * us, 3200 * us, 0},
		{0x416, 64 * 3200 * us, 3200 * us, 3200 * us, 0},
	} {
		t.Run(fmt.Sprintf("0x%03X", c.id), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chip, _ := stm32boot.Lookup(c.id)
				_, h := connect(t, stm32sim.Options{ID: c.id, Times: stm32sim.RealTimes(&chip)})
				takes := func(what string, want time.Duration, do func()) {
					t.Helper()
					begin := time.Now()
					if do(); time.Since(begin) != want {
						t.Errorf("%s takes %v, want %v", what, time.Since(begin), want)
					}
				}
				takes("a block", c.block, func() { h.writeMemory(start, image(256)) })
				word := c.block * max(4, time.Duration(chip.WriteAlign)) / 256
				takes("4 bytes, in the middle of a word if it is longer", word, func() { h.writeMemory(start+260, image(4)) })
				takes("reading", 0, func() { h.readMemory(start, 256) })
				last := chip.PageCount() - 1
				if chip.EraseCmd == stm32boot.CmdErase {
					takes("page 0", c.page, func() {
						h.expect(command(stm32boot.CmdErase), ack)
						h.expect(counted([]byte{0}), ack)
					})
					takes("all", c.all, func() {
						h.expect(command(stm32boot.CmdErase), ack)
						h.expect([]byte{0xFF, 0x00}, ack)
					})
					return
				}
				takes("page 0", c.page, func() { h.erase(0) })
				takes("two pages", c.page+c.last, func() { h.erase(0, last) })
				if c.all > 0 {
					takes("all", c.all, func() {
						h.expect(command(stm32boot.CmdExtendedErase), ack)
						h.expect([]byte{0xFF, 0xFF, 0x00}, ack)
					})
				}
			})
		})
	}
}

// TestTimesOfEveryChip: every chip of the table can be made, and has times.
func TestTimesOfEveryChip(t *testing.T) {
	for _, chip := range stm32boot.Chips() {
		target, err := stm32sim.New(stm32sim.Options{ID: chip.ID})
		if err != nil {
			t.Error(err)
			continue
		}
		if n := len(target.Flash()); n != int(chip.FlashSize) {
			t.Errorf("%s: %d bytes of flash, want %d", chip, n, chip.FlashSize)
		}
		times := stm32sim.RealTimes(&chip)
		if times.Word <= 0 || len(times.Erase) == 0 || times.Erase[0].Time <= 0 || times.Option <= 0 || times.Boot <= 0 {
			t.Errorf("%s: %+v", chip, times)
		}
		if half := times.Scale(0.5); half.Word != times.Word/2 || half.Erase[0].Time != times.Erase[0].Time/2 || half.Bank != times.Bank/2 {
			t.Errorf("%s: half of %+v is %+v", chip, times, half)
		}
		if chip.LayoutAlt == nil {
			continue
		}
		alt := chip.Alternate()
		if _, err := stm32sim.New(stm32sim.Options{Chip: &alt}); err != nil {
			t.Errorf("%s, other layout: %v", chip, err)
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	odd, _ := stm32boot.Lookup(0x415)
	odd.WriteAlign = 0
	for name, o := range map[string]stm32sim.Options{
		"unknown id":     {ID: 0x123},
		"half a page":    {FlashSize: 1536},
		"too large":      {FlashSize: 1 << 20},
		"image":          {FlashSize: 1024, Image: make([]byte, 1025)},
		"RDP":            {RDP: 3},
		"sector":         {WriteProtect: []int{512}},
		"negative":       {WriteProtect: []int{-1}},
		"memory":         {Memory: []stm32sim.Memory{{Addr: 0xFFFFFFF0, Data: make([]byte, 32)}}},
		"memory nowhere": {Memory: []stm32sim.Memory{{Data: make([]byte, 32)}}},
		"chip":           {Chip: &odd},
		"empty chip":     {Chip: &stm32boot.Chip{}},
	} {
		if _, err := stm32sim.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
