package stm32boot

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestArrange: the lists name the pages asked for and no others, and on chips with
// at most 256 pages no inserted byte makes a target erase another page. The target
// here is the one of the other tests, not the code under test.
func TestArrange(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, id := range []uint16{0x410, 0x414, 0x431, 0x411, 0x450, 0x460} {
		c := idleClient(nil, id)
		total := c.chip.PageCount()
		for range 20 {
			pages := rng.Perm(total)[:1+rng.IntN(min(total, 20))]
			slices.Sort(pages)
			harm, extra := 0, 0
			var named []int
			for _, list := range c.arrange(pages, pages) {
				if len(list) > c.maxErase() {
					t.Fatalf("%03x: %d pages in a list", id, len(list))
				}
				harm += insertions(id, c.eraseCommand(), list, pages)
				named = append(named, list...)
			}
			slices.Sort(named)
			extra = len(named) - len(pages)
			if named = slices.Compact(named); !slices.Equal(named, pages) {
				t.Fatalf("%03x: lists name %v, asked for %v", id, named, pages)
			}
			if harm > 0 && c.eraseCommand() == CmdErase {
				t.Errorf("%03x: %v: %d ways to erase another page", id, pages, harm)
			}
			if extra > 4 {
				t.Errorf("%03x: %v: %d pages named twice", id, pages, extra)
			}
		}
	}
}

// insertions counts the inserted bytes by which a target erases another page.
func insertions(id uint16, cmd byte, list, wanted []int) (harm int) {
	frame := appendPages(nil, cmd, list)
	frame = append(frame, xor(frame))
	r := newROM(id)
	for at := range frame {
		for b := range 256 {
			r.in, r.pages, r.out = nil, nil, nil
			r.command([]byte{cmd, ^cmd})
			for i, v := range frame {
				if i == at {
					r.feed(byte(b))
				}
				r.feed(v)
			}
			for _, n := range r.pages {
				if n < r.chip.PageCount() && !slices.Contains(wanted, n) {
					harm++
					break
				}
			}
		}
	}
	return harm
}

// TestArrangeUsual: the usual lists are sent as they are.
func TestArrangeUsual(t *testing.T) {
	for _, id := range []uint16{0x410, 0x414, 0x431, 0x415, 0x450} {
		c := idleClient(nil, id)
		c.chip = c.chip.Trim(512 << 10)
		for n := 1; n <= min(c.chip.PageCount(), c.maxErase()); n++ {
			var pages []int
			for i := range n {
				pages = append(pages, i)
			}
			if got := c.arrange(pages, pages); len(got) != 1 || !slices.Equal(got[0], pages) {
				t.Errorf("%03x: pages 0 to %d: %s", id, n-1, fmt.Sprint(got))
			}
		}
	}
}
