package stm32boot_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// noisy is the outcome of flashing over a bad line.
type noisy struct {
	err    error
	wrong  error // what the flash holds that it should not
	faults uint64
	res    stm32boot.Result
	stats  stm32sim.Stats
}

// flashNoisy writes and verifies 64 KiB over a line that hits each byte with
// probability p, and looks at the whole flash.
func flashNoisy(t *testing.T, id uint16, p float64, seed uint64) (n noisy) {
	synctest.Test(t, func(t *testing.T) {
		const size = 128 << 10 // of the flash, half of it outside the image
		old := noise(seed^0x55, size)
		r := newRig(t, stm32sim.Options{ID: id, FlashSize: size, ECC: true, Image: old, Seed: seed})
		line, stop := r.target.Connect(stm32sim.LineOptions{
			Seed: seed, ToTarget: stm32sim.Uniform(p), ToClient: stm32sim.Uniform(p),
		})
		r.line = line
		defer stop()
		data := noise(seed, 64<<10)
		n.res, n.err = r.flash(stm32boot.Image{at(0, data)}, stm32boot.FlashOptions{})
		copy(old, data)
		got := r.target.Flash()
		if n.err == nil {
			n.wrong = differs(got, old, r.chip.FlashStart)
		} else if !bytes.Equal(got[len(data):], old[len(data):]) {
			n.wrong = fmt.Errorf("pages outside the image changed")
		}
		s := line.Stats()
		n.faults, n.stats = s.ToTarget.Faults()+s.ToClient.Faults(), r.target.Stats()
	})
	return n
}

// TestNoise is the figure of part C7 of the rulings: 64 KiB written and verified
// on three chips, at two rates of faults.
func TestNoise(t *testing.T) {
	seeds := count(50, 1000)
	for _, id := range []uint16{0x410, 0x431, 0x415} {
		for _, p := range []float64{1e-4, 1e-3} {
			t.Run(fmt.Sprintf("0x%03X/%g", id, p), func(t *testing.T) {
				t.Parallel()
				noisyRuns(t, id, p, seeds)
			})
		}
	}
}

func noisyRuns(t *testing.T, id uint16, p float64, seeds int) {
	var good, retries, repairs, escalations int
	var faults uint64
	for seed := range uint64(seeds) {
		n := flashNoisy(t, id, p, seed)
		faults += n.faults
		retries += n.res.Retries
		repairs += n.res.Repaired
		escalations += n.res.Escalations
		switch {
		case n.wrong != nil:
			t.Errorf("seed %d: %v, although: %v", seed, n.wrong, n.err)
		case n.err != nil:
			t.Logf("seed %d: %v", seed, n.err)
		default:
			good++
		}
	}
	t.Logf("%d of %d, %d faults injected, %d retries, %d pages repaired, %d escalations",
		good, seeds, faults, retries, repairs, escalations)
	if allowed := seeds / 100; p <= 1e-4 && good < seeds || good < seeds-allowed {
		t.Errorf("only %d of %d", good, seeds)
	}
}

// TestNoiseModes preserves and writes changed pages only, over a bad line: what
// else is in the flash stays as it is.
func TestNoiseModes(t *testing.T) {
	good := 0
	for seed := range uint64(count(40, 1000)) {
		synctest.Test(t, func(t *testing.T) {
			const size = 32 << 10
			old, j := noise(seed, size), new(memJournal)
			r := newRig(t, stm32sim.Options{ID: 0x415, FlashSize: size, ECC: true, Image: old, Seed: seed})
			var stop func()
			r.line, stop = r.target.Connect(stm32sim.LineOptions{
				Seed: seed, ToTarget: stm32sim.Uniform(1e-3), ToClient: stm32sim.Uniform(1e-3),
			})
			defer stop()
			data := noise(seed+1, 10<<10)
			for range 2 {
				put(r.chip, old, at(0x1404, data))
				opts := stm32boot.FlashOptions{Preserve: true, ChangedOnly: true, Journal: j}
				if _, err := r.flash(stm32boot.Image{at(0x1404, data)}, opts); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
				if err := differs(r.target.Flash(), old, r.chip.FlashStart); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				data[6000] ^= 0x40
			}
			good++
		})
	}
	if n := count(40, 1000); good < n-n/50 {
		t.Errorf("only %d of %d", good, n)
	}
}
