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

// session is what a cautious flasher does: erase a page, write two blocks, read
// one back.
func session(h *host, chip *stm32boot.Chip) {
	for _, p := range sessionBytes(chip) {
		if _, err := h.port.Write(p); err != nil {
			return
		}
		_ = h.port.SetReadDeadline(time.Now().Add(time.Second))
		if n, _ := h.port.Read(make([]byte, 300)); n == 0 {
			return
		}
	}
}

// sessionBytes are its stages.
func sessionBytes(chip *stm32boot.Chip) [][]byte {
	erase := [][]byte{command(stm32boot.CmdExtendedErase), pages(0)}
	if chip.EraseCmd == stm32boot.CmdErase {
		erase = [][]byte{command(stm32boot.CmdErase), counted([]byte{0})}
	}
	return slices.Concat([][]byte{{stm32boot.Init}}, erase, [][]byte{
		command(cmdWrite), address(start), counted(image(64)),
		command(cmdWrite), address(start + 64), counted(image(64)),
		command(cmdRead), address(start), {63, 0xC0},
	})
}

// TestPowerCut cuts the power at every byte of a session: received, sent and
// programmed. Flash then holds what was programmed until then, and nothing else.
func TestPowerCut(t *testing.T) {
	for _, id := range []uint16{0x410, 0x431, 0x415, 0x417} {
		chip, _ := stm32boot.Lookup(id)
		var whole stm32sim.Stats
		synctest.Test(t, func(t *testing.T) {
			target, _, h := plug(t, stm32sim.Options{ID: id, FlashSize: smallest}, stm32sim.LineOptions{})
			session(h, &chip)
			whole = target.Stats()
		})
		if whole.Programmed != 128 || whole.Sent < 64 {
			t.Fatalf("0x%03X: %+v", id, whole)
		}
		cuts := 0
		for _, c := range []struct {
			of  uint64
			cut func(n int) stm32sim.PowerCut
		}{
			{whole.Received, func(n int) stm32sim.PowerCut { return stm32sim.PowerCut{Received: n} }},
			{whole.Sent, func(n int) stm32sim.PowerCut { return stm32sim.PowerCut{Sent: n} }},
			{whole.Programmed, func(n int) stm32sim.PowerCut { return stm32sim.PowerCut{Programmed: n} }},
		} {
			for n := 1; n <= int(c.of); n++ {
				synctest.Test(t, func(t *testing.T) { testPowerCut(t, &chip, c.cut(n)) })
				cuts++
			}
		}
		t.Logf("0x%03X: %d cuts", id, cuts)
	}
}

// smallest is how much flash they have: a page of the one with the largest.
const smallest = 16 << 10

func testPowerCut(t *testing.T, chip *stm32boot.Chip, cut stm32sim.PowerCut) {
	old := bytes.Repeat([]byte{0x5A}, smallest)
	target, _, h := plug(t, stm32sim.Options{ID: chip.ID, FlashSize: smallest, Image: old, PowerCut: cut}, stm32sim.LineOptions{})
	session(h, chip)
	h.quiet()
	s, got := target.Stats(), target.Flash()
	switch {
	case s.PowerCuts != 1:
		t.Errorf("%+v: %d cuts", cut, s.PowerCuts)
	case cut.Programmed > 0 && s.Programmed != uint64(cut.Programmed):
		t.Errorf("%+v: %d bytes were programmed", cut, s.Programmed)
	case cut.Sent > 0 && s.Sent != uint64(cut.Sent):
		t.Errorf("%+v: %d bytes were sent", cut, s.Sent)
	}
	want := bytes.Clone(old)
	if s.Erases[0] > 0 {
		page, _ := chip.PageAt(0)
		copy(want, bytes.Repeat([]byte{chip.Erased}, int(page.Size)))
		copy(want, append(image(64), image(64)...)[:s.Programmed])
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%+v: flash is not as it was left", cut)
	}
	target.PowerOn()
	h.expect([]byte{stm32boot.Init}, ack)
	if !bytes.Equal(target.Flash(), want) {
		t.Errorf("%+v: flash has changed", cut)
	}
}

// TestPowerCutWhileErasing leaves pages before it erased, its page half erased
// and the others alone.
func TestPowerCutWhileErasing(t *testing.T) {
	for _, id := range []uint16{0x410, 0x417} {
		synctest.Test(t, func(t *testing.T) {
			chip, _ := stm32boot.Lookup(id)
			full := bytes.Repeat([]byte{0x5A}, int(chip.FlashSize))
			target, h := connect(t, stm32sim.Options{ID: id, Image: full, Times: stm32sim.RealTimes(&chip), PowerCut: stm32sim.PowerCut{Erased: 2}})
			h.expect(command(chip.EraseCmd), ack)
			if chip.EraseCmd == stm32boot.CmdErase {
				h.expect(counted([]byte{1, 3, 5}))
			} else {
				h.expect(pages(1, 3, 5))
			}
			size := int(chip.Layout[0].Size)
			page := func(n int) []byte { return target.Flash()[n*size : (n+1)*size] }
			blank := bytes.Repeat([]byte{chip.Erased}, size)
			if !bytes.Equal(page(1), blank) {
				t.Error("page 1 is not erased")
			}
			if torn := page(3); bytes.Equal(torn, blank) || bytes.Equal(torn, full[:size]) {
				t.Error("page 3 is not half erased")
			}
			if !bytes.Equal(page(5), full[:size]) || !bytes.Equal(page(0), full[:size]) || !bytes.Equal(page(2), full[:size]) {
				t.Error("other pages have changed")
			}
			if s := target.Stats(); s.Working != times(&chip)*3/2 {
				t.Errorf("erasing took %v", s.Working)
			}
		})
	}
}

func times(c *stm32boot.Chip) time.Duration { return stm32sim.RealTimes(c).Erase[0].Time }

// TestTornWord: with ECC a word that the power left half programmed reads wrong,
// and only an erase helps.
func TestTornWord(t *testing.T) {
	for n := 1; n <= 16; n++ {
		synctest.Test(t, func(t *testing.T) {
			target, h := connect(t, stm32sim.Options{ID: 0x415, ECC: true, Seed: uint64(n)})
			target.CutPower(stm32sim.PowerCut{Programmed: n, Restore: time.Second})
			h.expect(command(cmdWrite), ack)
			h.expect(address(start), ack)
			h.expect(counted(image(16)))
			h.expect([]byte{stm32boot.Init}, ack) // the power is back
			got := h.readMemory(start, 16)
			if whole := n / 8 * 8; !bytes.Equal(got[:whole], image(16)[:whole]) {
				t.Errorf("%d bytes: whole words read %X", n, got[:whole])
			}
			if n%8 != 0 && bytes.Equal(got[n/8*8:n], image(16)[n/8*8:n]) {
				t.Errorf("%d bytes: the torn word reads %X", n, got)
			}
			h.writeMemory(start+16, image(16))
			if v := target.Stats().Violations; v != 0 {
				t.Errorf("%d violations", v)
			}
			h.erase(0)
			h.writeMemory(start, image(16))
			if got := h.readMemory(start, 16); !bytes.Equal(got, image(16)) {
				t.Errorf("after an erase it reads %X", got)
			}
		})
	}
}

// TestResetWhileProgramming: a reset in the middle of a block leaves the words
// that were done by then.
func TestResetWhileProgramming(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		bytes int
	}{{0, 0}, {81 * time.Microsecond, 0}, {82 * time.Microsecond, 8}, {200 * time.Microsecond, 16}, {32*82*time.Microsecond - 1, 248}} {
		t.Run(fmt.Sprint(c.after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chip, _ := stm32boot.Lookup(0x415)
				target, h := connect(t, stm32sim.Options{ID: 0x415, Times: stm32sim.RealTimes(&chip)})
				h.expect(command(cmdWrite), ack)
				h.expect(address(start), ack)
				h.write(counted(image(256))...)
				synctest.Wait()
				time.Sleep(c.after)
				pulse(target)
				h.quiet()
				want := append(image(c.bytes), bytes.Repeat([]byte{0xFF}, 256-c.bytes)...)
				if got := target.Flash()[:256]; !bytes.Equal(got, want) {
					t.Errorf("flash holds %X", got)
				}
				h.expect([]byte{stm32boot.Init}, ack)
			})
		})
	}
}

// TestResetWhileErasing leaves the page in work half erased.
func TestResetWhileErasing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chip, _ := stm32boot.Lookup(0x415)
		full := bytes.Repeat([]byte{0}, int(chip.FlashSize))
		target, h := connect(t, stm32sim.Options{ID: 0x415, Image: full, Times: stm32sim.RealTimes(&chip)})
		h.expect(command(stm32boot.CmdExtendedErase), ack)
		h.write(pages(0, 1, 2)...)
		time.Sleep(30 * time.Millisecond)
		pulse(target)
		synctest.Wait()
		got := target.Flash()
		half := bytes.Count(got[2048:4096], []byte{0})
		if bytes.Count(got[:2048], []byte{0xFF}) != 2048 || half == 0 || half == 2048 || len(bytes.Trim(got[4096:], "\x00")) > 0 {
			t.Errorf("of page 1 %d bytes are zero", half)
		}
	})
}

// TestPowerCutIsOnce: a failure of the power disarms all of its counters.
func TestPowerCutIsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, h := connect(t, stm32sim.Options{})
		target.CutPower(stm32sim.PowerCut{Sent: 1, Received: 12, Programmed: 4, Erased: 1, Restore: time.Second})
		h.expect(command(stm32boot.CmdGet), ack)
		h.quiet()
		h.expect([]byte{stm32boot.Init}, ack)
		h.writeMemory(start, image(256))
		h.expect(command(stm32boot.CmdErase), ack)
		h.expect(counted([]byte{0}), ack)
		if n := target.Stats().PowerCuts; n != 1 {
			t.Errorf("%d power cuts", n)
		}
	})
}

// TestPower takes the power away and gives it back.
func TestPower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, h := connect(t, stm32sim.Options{Image: image(64)})
		h.writeMemory(0x20000200, image(64))
		target.PowerOff()
		target.PowerOff()
		h.expect(command(stm32boot.CmdGet))
		pulse(target)
		h.expect([]byte{stm32boot.Init})
		target.PowerOn()
		target.PowerOn()
		h.expect([]byte{stm32boot.Init}, ack)
		if got := h.readMemory(0x20000200, 64); bytes.Equal(got, image(64)) {
			t.Error("RAM has kept its contents")
		}
		if got := h.readMemory(start, 64); !bytes.Equal(got, image(64)) {
			t.Error("flash has not")
		}
		if s := target.Stats(); s.PowerCuts != 1 || s.Resets != 1 {
			t.Errorf("%+v", s)
		}
	})
}
