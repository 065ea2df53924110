package stm32sim

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// Target is an emulated STM32. All its methods are safe for concurrent use.
type Target struct {
	o    Options
	chip *stm32boot.Chip
	rom  rom // owned by Run

	mu        sync.Mutex // never held during I/O, waiting or callbacks
	run       *run       // nil when Run does not run
	stopApp   context.CancelFunc
	life      uint64 // changes with every reset, so that what goes on notices
	mode      mode
	powered   bool
	restore   time.Time // when the power comes back; zero: not by itself
	held      bool      // NRST is low
	boot0     bool      // BOOT0 is high
	flash     *flash
	mem       *memory
	rdp       int
	protected [maxSectors]bool
	faults    []*injected
	cut       PowerCut
	stats     Stats
	entry     uint32 // where Go went; 0 after a reset
	rng       *rand.Rand
}

// mode is what the chip does while it has power and is not held in reset.
type mode uint8

const (
	modeBoot mode = iota
	modeROM
	modeApp
	modeHung
)

// New returns a target. Nothing runs before Run.
func New(o Options) (*Target, error) {
	chip, err := o.resolve()
	if err != nil {
		return nil, err
	}
	t := &Target{
		o: o, chip: chip, mode: modeROM, powered: true, boot0: !o.Boot0Low,
		rdp: o.RDP, cut: o.PowerCut, rng: rand.New(rand.NewPCG(o.Seed, 0x32)),
	}
	t.flash = newFlash(chip, o.ECC, t.rng)
	t.flash.set(0, o.Image)
	t.mem = newMemory(chip, t.flash.mem, &o)
	t.setOptionRDP()
	for _, s := range o.WriteProtect {
		t.protected[s] = true
	}
	t.Inject(o.Faults...)
	t.stats.Commands, t.stats.Erases = map[byte]uint64{}, make([]int, len(t.flash.pages))
	if o.Boot0Low {
		t.mode = modeApp
	}
	t.rom.restart()
	t.rom.synced = o.Synced
	t.o.Image, t.o.Pending = nil, slices.Clone(o.Pending)
	return t, nil
}

// Chip returns the chip, trimmed to the size of its flash. The caller owns it.
func (t *Target) Chip() stm32boot.Chip { return t.chip.Trim(0) }

// Flash returns a copy of all flash, as a program on the chip would read it.
func (t *Target) Flash() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.flash.mem)
}

// Peek returns a copy of n bytes of memory of any kind, whatever the protection
// says. It fails with ErrAddress where there is none.
func (t *Target) Peek(addr uint32, n int) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.mem.peek(nil, addr, n)
	if !ok {
		return nil, ErrAddress
	}
	return p, nil
}

// Poke stores bytes in memory of any kind, whatever protection and the physics
// of flash say: an image before a test, a flipped bit. Words of flash that are
// blank afterwards can be programmed. It fails with ErrAddress, having stored
// nothing, where there is no memory. Option bytes take effect only when the
// loader writes them.
func (t *Target) Poke(addr uint32, p []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.mem.each(addr, len(p), func(*region, int, int) {}) {
		return ErrAddress
	}
	t.mem.each(addr, len(p), func(r *region, off, n int) {
		if r.kind == kindFlash {
			t.flash.set(off, p[:n])
		} else {
			copy(r.mem[off:], p[:n])
		}
		p = p[n:]
	})
	return nil
}

// RDP returns the level of readout protection.
func (t *Target) RDP() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rdp
}

// WriteProtected reports whether addr is in a write-protected sector of flash.
// Sectors are the pages, but pieces of 4 KiB on the families F0, F1, F3, L0, L1
// and W, where sector 31 of F0, F1 and F3 is all the rest.
func (t *Target) WriteProtected(addr uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.chip.InFlash(addr, 1) && t.isProtected(int(addr-t.chip.FlashStart))
}

// newLife ends what goes on, by a reset. mu is held; the caller calls stop after
// releasing it.
func (t *Target) newLife() (stop func()) {
	t.stats.Resets++
	return t.changed()
}

// changed is newLife without a reset.
func (t *Target) changed() (stop func()) {
	t.life++
	cancel, r := t.stopApp, t.run
	t.stopApp = nil
	return func() {
		if cancel != nil {
			cancel()
		}
		if r != nil {
			r.interrupt()
		}
	}
}
