package stm32sim

import (
	"encoding/binary"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// onEraseCount is the first byte of the list of Erase.
func (r *run) onEraseCount(p []byte) error {
	if p[0] == stm32boot.EraseGlobal {
		r.t.rom.await(1, (*run).onGlobalErase)
	} else {
		r.t.rom.await(int(p[0])+2, (*run).onErasePages)
	}
	return nil
}

// onGlobalErase is the complement of that byte.
func (r *run) onGlobalErase(p []byte) error {
	if p[0] != ^byte(stm32boot.EraseGlobal) {
		return r.refuse()
	}
	return r.takeMassErase(0)
}

// onErasePages is the rest of the list.
func (r *run) onErasePages(p []byte) error {
	list := p[:len(p)-1]
	pages := make([]int, len(list))
	for i, n := range list {
		pages[i] = int(n)
	}
	return r.takeErase(pages, xor(p) == byte(len(list)-1))
}

// firstReserved is the lowest special count of Extended Erase.
const firstReserved = 0xFFF0

// onExtendedEraseCount is the count of the list of Extended Erase.
func (r *run) onExtendedEraseCount(p []byte) error {
	m := &r.t.rom
	if n := int(binary.BigEndian.Uint16(p)); n < firstReserved {
		m.await(2*(n+1)+1, (*run).onExtendedErasePages)
	} else {
		m.addr = uint32(n)
		m.await(1, (*run).onMassErase)
	}
	return nil
}

// onMassErase is the checksum of a special count.
func (r *run) onMassErase(p []byte) error {
	code := r.t.rom.addr
	switch {
	case p[0] != byte(code>>8)^byte(code), r.t.chip.Flags.Has(stm32boot.NoMassErase):
		return r.refuse()
	case code == stm32boot.EraseMass:
		return r.takeMassErase(0)
	case code == stm32boot.EraseBank1 && r.t.banks() > 1:
		return r.takeMassErase(1)
	case code == stm32boot.EraseBank2 && r.t.banks() > 1:
		return r.takeMassErase(2)
	}
	return r.refuse()
}

// onExtendedErasePages is the rest of the list.
func (r *run) onExtendedErasePages(p []byte) error {
	n := len(p) / 2
	pages := make([]int, n)
	for i := range pages {
		pages[i] = int(binary.BigEndian.Uint16(p[2*i:]))
	}
	ok := xor(p) == byte((n-1)>>8)^byte(n-1)
	// L0 and L1 do not take more (stm32flash).
	if r.t.chip.Flags.Has(stm32boot.NoMassErase) && n > stm32boot.MaxExtendedErase {
		ok = false
	}
	return r.takeErase(pages, ok)
}

// takeErase erases pages if the list is in order.
func (r *run) takeErase(pages []int, ok bool) error {
	for _, n := range pages {
		ok = ok && n < len(r.t.flash.pages)
	}
	if !ok {
		return r.refuse()
	}
	return r.take(step{stage: StageData, last: true, do: func() error {
		pages := r.t.unprotected(pages)
		return r.erase(pages, r.t.pageTimes(pages))
	}})
}

// takeMassErase erases a bank, or all with 0.
func (r *run) takeMassErase(bank int) error {
	return r.take(step{stage: StageData, last: true, do: func() error { return r.massErase(bank) }})
}

// massErase erases a bank, or all with 0, unless a page of it is protected.
func (r *run) massErase(bank int) error {
	t := r.t
	var pages []int
	banks := map[int]bool{}
	for i, p := range t.flash.pages {
		if bank == 0 || p.bank == bank {
			pages, banks[p.bank] = append(pages, i), true
		}
	}
	t.count(func(s *Stats) { s.MassErases++ })
	if len(t.unprotected(pages)) < len(pages) {
		return nil
	}
	times := t.pageTimes(pages)
	if total := t.o.Times.Bank * time.Duration(len(banks)); total > 0 {
		n := time.Duration(len(pages))
		for i := range times {
			times[i] = total*time.Duration(i+1)/n - total*time.Duration(i)/n
		}
	}
	return r.erase(pages, times)
}

// pageTimes returns how long pages take, each by itself.
func (t *Target) pageTimes(pages []int) []time.Duration {
	times := make([]time.Duration, len(pages))
	for i, number := range pages {
		times[i] = t.o.Times.page(t.flash.pages[number].size)
	}
	return times
}

// banks returns how many banks there are.
func (t *Target) banks() int { return t.flash.pages[len(t.flash.pages)-1].bank }

// unprotected returns those of pages that may be erased; a page that may not is
// left alone without a word (AN2662).
func (t *Target) unprotected(pages []int) []int {
	var out []int
	for _, n := range pages {
		p := t.flash.pages[n]
		if t.spared(p.off, p.size) {
			continue
		}
		out = append(out, n)
	}
	return out
}

// erase erases pages, each in its time. When the time is cut short, or the power
// fails, a page is left half erased.
func (r *run) erase(pages []int, times []time.Duration) error {
	t := r.t
	t.mu.Lock()
	n, cut := spend(&t.cut.Erased, len(pages))
	restore := t.cut.Restore
	t.mu.Unlock()
	if pages, times = pages[:n], times[:n]; cut {
		times[n-1] /= 2
	}
	var total time.Duration
	for _, d := range times {
		total += d
	}
	passed, err := r.work(total)
	t.count(func(s *Stats) { s.Working += passed })
	if err != nil && passed == 0 {
		return err
	}
	for i, number := range pages {
		if passed < times[i] || cut && i == n-1 {
			if passed > 0 || cut {
				r.tearPage(number)
			}
			break
		}
		passed -= times[i]
		r.erasePage(number)
	}
	if cut && err == nil {
		return r.fail(restore)
	}
	return err
}

func (r *run) erasePage(number int) {
	t := r.t
	p := t.flash.pages[number]
	t.mu.Lock()
	t.flash.erase(p)
	t.stats.Erases[number]++
	t.mu.Unlock()
	t.observe(Event{Kind: EventErase, N: number, Addr: t.chip.FlashStart + uint32(p.off)})
}

func (r *run) tearPage(number int) {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.t.flash.tearPage(r.t.flash.pages[number])
}
