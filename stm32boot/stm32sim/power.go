package stm32sim

import "time"

// PowerCut says when the power fails: with the byte, counting from 1, that makes
// one of the counters full. 0 = not because of this one. Only what the ROM does
// counts.
type PowerCut struct {
	Received   int // after the n-th byte received, before anything is done about it
	Sent       int // after the n-th byte sent
	Programmed int // after the n-th byte programmed, also in the middle of a word
	Erased     int // in the middle of the erase of the n-th page, which is left with some of its bits erased
	// Restore is how long the power stays away. 0 = until [Target.PowerOn].
	Restore time.Duration
}

// CutPower arms a power cut, in the place of one that is still due. Counting
// begins now. When it happens flash keeps what was programmed until then; the
// rest of the block, and everything else, is lost. The zero PowerCut disarms.
func (t *Target) CutPower(c PowerCut) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = c
}

// spend takes up to n off what is left and reports whether nothing is left then.
// No counter is armed with 0.
func spend(left *int, n int) (spent int, cut bool) {
	if *left <= 0 || n < *left {
		if *left > 0 {
			*left -= n
		}
		return n, false
	}
	n, *left = *left, 0
	return n, true
}

// PowerOff takes the power away, at once, also in the middle of an erase.
func (t *Target) PowerOff() {
	t.mu.Lock()
	stop := t.powerOff(0)
	t.mu.Unlock()
	stop()
}

// PowerOn gives it back. The chip starts as after a reset.
func (t *Target) PowerOn() {
	t.mu.Lock()
	stop := t.powerOn()
	t.mu.Unlock()
	stop()
}

// powerOff ends everything. mu is held; the caller calls stop without it.
func (t *Target) powerOff(restore time.Duration) (stop func()) {
	if !t.powered {
		return func() {}
	}
	t.powered, t.cut, t.restore = false, PowerCut{}, time.Time{}
	if restore > 0 {
		t.restore = time.Now().Add(restore)
	}
	t.mode = modeBoot
	t.stats.PowerCuts++
	t.mem.all(kindRAM, func(g *region) { randomize(g.mem, t.rng) })
	return t.changed()
}

// powerOn begins a new life. mu is held; the caller calls stop without it.
func (t *Target) powerOn() (stop func()) {
	if t.powered {
		return func() {}
	}
	t.powered = true
	return t.newLife()
}
