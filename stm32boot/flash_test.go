package stm32boot_test

import (
	"testing"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// TestFlash flashes a clean target of each known chip.
func TestFlash(t *testing.T) {
	for _, chip := range stm32boot.Chips() {
		t.Run(chip.Name, func(t *testing.T) {
			old := noise(2, int(chip.FlashSize))
			onRig(t, stm32sim.Options{ID: chip.ID, ECC: true, Image: old}, stm32sim.LineOptions{}, func(r *rig) {
				data := noise(1, 5000)
				res, err := r.flash(stm32boot.Image{at(0, data)}, stm32boot.FlashOptions{})
				if err != nil {
					t.Fatal(err)
				}
				want := old
				for p := range chip.Pages() {
					if p.Addr < 0x08000000+5000 {
						copy(want[p.Addr-0x08000000:], blankFlash(chip)[:p.Size])
					}
				}
				put(chip, want, at(0, data))
				r.expect(want)
				if s := r.target.Stats(); s.Violations > 0 || s.Early > 0 {
					t.Errorf("%+v", s)
				}
				_ = res
			})
		})
	}
}
