package stm32boot_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// TestH6 flips a bit of what was written, anywhere: it is found and repaired, and
// if it comes back each time Flash says where it is.
func TestH6(t *testing.T) {
	data := noise(1, 9000)
	rng := rand.New(rand.NewPCG(1, 1))
	for range count(30, 1000) {
		bit := rng.IntN(8 * len(data))
		always := rng.IntN(4) == 0
		onRig(t, stm32sim.Options{ID: 0x415, ECC: true}, stm32sim.LineOptions{}, func(r *rig) {
			flipped, first := false, bit/8 < 2048
			res, err := r.flash(stm32boot.Image{at(0, data)}, stm32boot.FlashOptions{Progress: func(p stm32boot.Progress) {
				ready := p.Pages[0] == stm32boot.PageWritten || !first && p.Pages[4] == stm32boot.PageWritten
				if p.Phase == stm32boot.PhaseVerify && p.Pages[bit/8/2048] == stm32boot.PageWritten && ready && (always || !flipped) {
					b, _ := r.target.Peek(0x08000000+uint32(bit/8), 1)
					b[0] = data[bit/8] ^ 1<<(bit%8)
					_ = r.target.Poke(0x08000000+uint32(bit/8), b)
					flipped = true
				}
			}})
			v, is := errors.AsType[*stm32boot.VerifyError](err)
			switch {
			case !flipped:
				t.Fatalf("bit %d was not flipped", bit)
			case always && (!is || v.Addr != 0x08000000+uint32(bit/8) || v.Got^v.Want != 1<<(bit%8)):
				t.Fatalf("bit %d flipped each time: %v", bit, err)
			case !always && (err != nil || res.Repaired == 0):
				t.Fatalf("bit %d flipped once: %v, %d repairs", bit, err, res.Repaired)
			case !always:
				r.expect(blankFlash(r.chip, at(0, data)))
			}
		})
	}
}

// TestEraseFault: when an erase ends unclearly, the pages that were to be kept
// are read back too. If one is gone, others may be.
func TestEraseFault(t *testing.T) {
	data := noise(1, 20<<10)
	next := bytes.Clone(data)
	next[9*1024] ^= 1
	for _, verify := range []stm32boot.VerifyMode{stm32boot.VerifyRead, stm32boot.VerifyNone} {
		onRig(t, stm32sim.Options{ID: 0x410, ECC: true}, stm32sim.LineOptions{}, func(r *rig) {
			j := new(memJournal)
			opts := stm32boot.FlashOptions{Journal: j, ChangedOnly: true, Verify: verify}
			r.mustFlash(stm32boot.Image{at(0, data)}, opts, blankFlash(r.chip, at(0, data)))
			r.target.Inject(stm32sim.Fault{Kind: stm32sim.DropAck, Commands: []byte{stm32boot.CmdErase}})
			hit := false
			opts.Progress = func(p stm32boot.Progress) {
				if p.Phase == stm32boot.PhaseWrite && !hit { // what a misread erase does
					hit = true
					_ = r.target.Poke(0x08000000+5*1024, bytes.Repeat([]byte{0xFF}, 1024))
				}
			}
			res, err := r.flash(stm32boot.Image{at(0, next)}, opts)
			r.expect(blankFlash(r.chip, at(0, next)))
			if !errors.Is(err, stm32boot.ErrCollateral) {
				t.Error(err)
			}
			if res.Repaired != 1 || !res.Plan.Stored {
				t.Errorf("%d repaired, stored %v", res.Repaired, res.Plan.Stored)
			}
		})
	}
}

// TestVanished: if a page that was acknowledged is blank, pages that were to be kept
// are read back too, though nothing else went wrong.
func TestVanished(t *testing.T) {
	data := noise(1, 20<<10)
	next := bytes.Clone(data)
	next[7*1024] ^= 1
	next[9*1024] ^= 1
	onRig(t, stm32sim.Options{ID: 0x410, ECC: true, Image: data}, stm32sim.LineOptions{}, func(r *rig) {
		hit := false
		res, err := r.flash(stm32boot.Image{at(0, next)}, stm32boot.FlashOptions{ChangedOnly: true, Progress: func(p stm32boot.Progress) {
			if p.Phase == stm32boot.PhaseWrite && p.Done > 1024 && !hit {
				hit = true
				_ = r.target.Poke(0x08000000+5*1024, bytes.Repeat([]byte{0xFF}, 3*1024))
			}
			if flash := r.target.Flash(); hit && flash[5*1024] == 0xFF && flash[0] == next[0] {
				t.Error("the first page is there, and another is not")
			}
		}})
		if !hit || !errors.Is(err, stm32boot.ErrCollateral) || res.Repaired != 3 {
			t.Errorf("%v, %d repaired", err, res.Repaired)
		}
		r.expect(blankFlash(r.chip, at(0, next)))
	})
}

// TestRepairPreserves: what else is in a page that was to be kept, and must be
// repaired, is preserved.
func TestRepairPreserves(t *testing.T) {
	old := noise(1, 20<<10)
	next := bytes.Clone(old[:9*1024+500])
	next[7*1024] ^= 1
	onRig(t, stm32sim.Options{ID: 0x410, ECC: true, Image: old}, stm32sim.LineOptions{}, func(r *rig) {
		r.target.Inject(stm32sim.Fault{Kind: stm32sim.DropAck, Commands: []byte{stm32boot.CmdErase}})
		hit := false
		opts := stm32boot.FlashOptions{ChangedOnly: true, Preserve: true, Progress: func(p stm32boot.Progress) {
			if p.Phase == stm32boot.PhaseWrite && !hit {
				hit = true
				_ = r.target.Poke(0x08000000+9*1024, make([]byte, 100))
			}
		}}
		res, err := r.flash(stm32boot.Image{at(0, next)}, opts)
		if !hit || err != nil || res.Repaired != 1 {
			t.Errorf("%v, %d repaired", err, res.Repaired)
		}
		want := blankFlash(r.chip, at(0, old))
		put(r.chip, want, at(0, next))
		r.expect(want)
	})
}

// TestEraseSingly: after an escalation pages are erased one by one.
func TestEraseSingly(t *testing.T) {
	image := stm32boot.Image{at(0, noise(1, 5<<10))}
	fault := stm32sim.Fault{Kind: stm32sim.Silent, Commands: []byte{stm32boot.CmdErase}, Times: 3}
	onRig(t, stm32sim.Options{ID: 0x410, ECC: true, Faults: []stm32sim.Fault{fault}}, stm32sim.LineOptions{}, func(r *rig) {
		r.mustFlash(image, stm32boot.FlashOptions{}, blankFlash(r.chip, image...))
		if n := r.target.Stats().Commands[stm32boot.CmdErase]; n < 3+5 {
			t.Errorf("%d erase commands", n)
		}
	})
}

// TestRefusedEarly: a block that was refused before its data is not read before it is
// written again.
func TestRefusedEarly(t *testing.T) {
	reads := map[string]uint64{}
	for name, fault := range map[string]stm32sim.Fault{"clean": {}, "refused": {Kind: stm32sim.NackAddr, Commands: []byte{stm32boot.CmdWrite}, At: 2}} {
		onRig(t, stm32sim.Options{ID: 0x410, ECC: true}, stm32sim.LineOptions{}, func(r *rig) {
			r.target.Inject(fault)
			res := r.mustFlash(stm32boot.Image{at(0, noise(1, 1000))}, stm32boot.FlashOptions{}, blankFlash(r.chip, at(0, noise(1, 1000))))
			if (res.Retries == 1) != (name == "refused") {
				t.Errorf("%s: %d retries", name, res.Retries)
			}
			reads[name] = r.target.Stats().Commands[stm32boot.CmdRead]
		})
	}
	if reads["clean"] != reads["refused"] {
		t.Errorf("reads: %v", reads)
	}
}

// TestCollateral: what was acknowledged and is gone is written again, and success
// is not claimed unless the image fills the flash.
func TestCollateral(t *testing.T) {
	for size, want := range map[int]error{16 << 10: nil, 15 << 10: stm32boot.ErrCollateral} {
		image := stm32boot.Image{at(0, noise(1, size))}
		onRig(t, stm32sim.Options{ID: 0x410, FlashSize: 16 << 10, ECC: true, Image: noise(2, 16<<10)}, stm32sim.LineOptions{}, func(r *rig) {
			hit := false
			res, err := r.flash(image, stm32boot.FlashOptions{Progress: func(p stm32boot.Progress) {
				if p.Phase == stm32boot.PhaseWrite && p.Done > 9000 && !hit { // as Readout Unprotect does
					hit = true
					_ = r.target.Poke(0x08000000, bytes.Repeat([]byte{0xFF}, 16<<10))
				}
			}})
			if err != want || res.Repaired < 8 {
				t.Errorf("%d bytes: %v, %d repaired", size, err, res.Repaired)
			}
			r.expect(blankFlash(r.chip, image...))
		})
	}
}

// TestLateHarm: what happens to verified pages while the first page is written is
// found if the target had to be reset, and the first page is blank meanwhile.
func TestLateHarm(t *testing.T) {
	image := stm32boot.Image{at(0, noise(1, 9<<10))}
	onRig(t, stm32sim.Options{ID: 0x410, ECC: true, Image: noise(2, 9<<10)}, stm32sim.LineOptions{}, func(r *rig) {
		hit, bare := false, true
		res, err := r.flash(image, stm32boot.FlashOptions{Progress: func(p stm32boot.Progress) {
			if p.Phase == stm32boot.PhaseWrite && p.Done > 8<<10 && !hit {
				hit = true
				_ = r.target.Poke(0x08000C00, bytes.Repeat([]byte{0xFF}, 1024))
				r.target.Inject(stm32sim.Fault{Kind: stm32sim.Hang})
			}
			if p.Pages[3] == stm32boot.PageBad {
				bare = bare && bytes.Count(r.target.Flash()[:1024], []byte{0xFF}) == 1024
			}
		}})
		if !hit || err != stm32boot.ErrCollateral || res.Repaired != 2 || !bare {
			t.Errorf("%v, %d repaired, first page blank meanwhile: %v", err, res.Repaired, bare)
		}
		r.expect(blankFlash(r.chip, image...))
	})
}

// TestCondemned: a page that goes bad once more, after it has been repaired as often
// as may be and the first page is there, ends the flashing, and the first page is
// blank then.
func TestCondemned(t *testing.T) {
	image := stm32boot.Image{at(0, noise(1, 9<<10))}
	onRig(t, stm32sim.Options{ID: 0x410, ECC: true, Image: noise(2, 9<<10)}, stm32sim.LineOptions{}, func(r *rig) {
		flips, hung, written := 0, false, false
		spoil := func() {
			flips++
			written = false
			b, _ := r.target.Peek(0x08000C00, 4)
			_ = r.target.Poke(0x08000C00, []byte{b[0] ^ 1, b[1], b[2], b[3]})
		}
		_, err := r.flash(image, stm32boot.FlashOptions{Progress: func(p stm32boot.Progress) {
			written = written || p.Phase == stm32boot.PhaseWrite
			switch {
			case p.Phase == stm32boot.PhaseVerify && p.Pages[3] == stm32boot.PageWritten && p.Pages[2] == stm32boot.PageVerified && written && flips < 3:
				spoil()
			case p.Phase == stm32boot.PhaseWrite && p.Pages[3] == stm32boot.PageVerified && p.Done > 8<<10 && !hung:
				hung = true
				r.target.Inject(stm32sim.Fault{Kind: stm32sim.Hang})
				spoil()
			}
		}})
		v, is := errors.AsType[*stm32boot.VerifyError](err)
		if !hung || flips != 4 || !is || v.Addr != 0x08000C00 || errors.Is(err, stm32boot.ErrWriteProtected) {
			t.Errorf("%v, %d flips, reset %v", err, flips, hung)
		}
		if first := r.target.Flash()[:1024]; !bytes.Equal(first, bytes.Repeat([]byte{0xFF}, 1024)) {
			t.Error("the first page is there")
		}
	})
}

// TestPersistent: what fails again and again ends with the last reason, after
// smaller blocks and lower rates have been tried.
func TestPersistent(t *testing.T) {
	sizes := map[int]bool{}
	onRig(t, stm32sim.Options{
		ID: 0x410, Faults: []stm32sim.Fault{{Kind: stm32sim.NackData, At: 3, Times: -1}},
	}, stm32sim.LineOptions{Baud: 115200}, func(r *rig) {
		cfg := r.config()
		cfg.Port = sizePort{cfg.Port, sizes}
		res, err := stm32boot.Flash(context.Background(), cfg, stm32boot.Image{at(0, noise(1, 5000))}, stm32boot.FlashOptions{})
		nack, is := errors.AsType[*stm32boot.NackError](err)
		if !errors.Is(err, stm32boot.ErrGaveUp) || !is || nack.Stage != stm32boot.StageData {
			t.Errorf("%v", err)
		}
		if res.Escalations != 10 || res.Retries < 30 {
			t.Errorf("%d escalations, %d retries", res.Escalations, res.Retries)
		}
		for _, size := range []int{256, 128, 64, 32, 16} {
			if !sizes[size] {
				t.Errorf("no block of %d bytes", size)
			}
		}
		lowest, resets := 0, 0
		for _, e := range r.events {
			switch {
			case e.Kind == stm32boot.EventReset:
				resets++
			case e.Kind == stm32boot.EventRate:
				lowest = e.Baud
				if want := map[int]int{57600: 1 + 2, 19200: 1 + 5}[e.Baud]; resets != want {
					t.Errorf("%d baud after %d resets, want %d", e.Baud, resets, want)
				}
			}
		}
		if lowest != 19200 {
			t.Errorf("lowest rate %d", lowest)
		}
	})
}

// TestDirtyForEver: a page that must be erased again and again is given up.
func TestDirtyForEver(t *testing.T) {
	onRig(t, stm32sim.Options{
		ID: 0x415, ECC: true, Faults: []stm32sim.Fault{{Kind: stm32sim.NackData, Part: 8, At: 3, Times: -1}},
	}, stm32sim.LineOptions{}, func(r *rig) {
		res, err := r.flash(stm32boot.Image{at(0, noise(1, 5000))}, stm32boot.FlashOptions{})
		if !errors.Is(err, stm32boot.ErrGaveUp) || res.Escalations != 10 {
			t.Errorf("%v, %d escalations", err, res.Escalations)
		}
	})
}

// sizePort notes the sizes of the blocks that are written.
type sizePort struct {
	stm32boot.Port
	sizes map[int]bool
}

func (p sizePort) Write(b []byte) (int, error) {
	if len(b) > 2 && int(b[0]) == len(b)-3 {
		p.sizes[len(b)-2] = true
	}
	return p.Port.Write(b)
}

// TestNoPins: without a reset line faults in an erase are fatal, and nothing else
// is.
func TestNoPins(t *testing.T) {
	good, stuck := 0, 0
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			old := noise(seed^7, 32<<10)
			r := newRig(t, stm32sim.Options{ID: 0x415, FlashSize: 32 << 10, ECC: true, Image: old})
			var stop func()
			r.line, stop = r.target.Connect(stm32sim.LineOptions{
				Seed: seed, ToTarget: stm32sim.Uniform(3e-4), ToClient: stm32sim.Uniform(3e-4),
			})
			defer stop()
			cfg := r.config()
			cfg.Reset, cfg.Boot0 = nil, nil
			data := noise(seed, 10<<10)
			_, err := stm32boot.Flash(context.Background(), cfg, stm32boot.Image{at(0x1000, data)}, stm32boot.FlashOptions{})
			put(r.chip, old, at(0x1000, data))
			switch {
			case err == nil:
				r.expect(old)
				good++
			case errors.Is(err, stm32boot.ErrNoReset):
				stuck++
			default:
				t.Errorf("seed %d: %v", seed, err)
			}
		})
	}
	t.Logf("%d good, %d stuck in an erase", good, stuck)
	if good < 15 {
		t.Errorf("only %d of 20", good)
	}
}

// TestProgress: the numbers rise to their totals and the map fills up.
func TestProgress(t *testing.T) {
	data := noise(1, 10<<10)
	copy(data[3000:], bytes.Repeat([]byte{0xFF}, 3000))
	onRig(t, stm32sim.Options{ID: 0x410}, stm32sim.LineOptions{}, func(r *rig) {
		var last stm32boot.Progress
		var pages string
		totals := map[stm32boot.Phase]int64{}
		_, err := r.flash(stm32boot.Image{at(0x404, data)}, stm32boot.FlashOptions{Progress: func(p stm32boot.Progress) {
			if p.Done < totals[p.Phase] || p.Done > p.Total {
				t.Errorf("%v: %d of %d, was %d", p.Phase, p.Done, p.Total, totals[p.Phase])
			}
			totals[p.Phase] = p.Done
			last, pages = p, ""
			for _, s := range p.Pages {
				pages += s.String()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if last.Phase != stm32boot.PhaseDone || pages != strings.Repeat("v", 11) {
			t.Errorf("%v %q", last.Phase, pages)
		}
		if totals[stm32boot.PhaseWrite] != 10<<10 || totals[stm32boot.PhaseVerify] != 10<<10 || totals[stm32boot.PhaseErase] != 11<<10 {
			t.Errorf("%v", totals)
		}
	})
}

// TestProgressOfErase: while the target is busy with a long erase, of all of its flash
// or of large sectors, progress is told four times a second; it never says that all
// is done before it is, and does not go back.
func TestProgressOfErase(t *testing.T) {
	for _, mode := range []stm32boot.EraseMode{stm32boot.EraseAll, stm32boot.ErasePages} {
		chip, _ := stm32boot.Lookup(0x413)
		o := stm32sim.Options{ID: chip.ID, Times: stm32sim.RealTimes(&chip)}
		onRig(t, o, stm32sim.LineOptions{Baud: 115200}, func(r *rig) {
			var last stm32boot.Progress
			var at time.Time
			calls, moved, longest := 0, 0, time.Duration(0)
			begin := time.Now()
			erased := time.Duration(0)
			image := stm32boot.Image{{Addr: 0x08000000, Size: 1 << 20, Fill: 0xFF}}
			_, err := r.flash(image, stm32boot.FlashOptions{Erase: mode, Verify: stm32boot.VerifyNone, Progress: func(p stm32boot.Progress) {
				if p.Phase != stm32boot.PhaseErase {
					if last.Phase == stm32boot.PhaseErase {
						erased = time.Since(begin)
					}
					begin, last = time.Now(), p
					if p.Elapsed != 0 || p.Expected != 0 {
						t.Errorf("%v: %v of %v", p.Phase, p.Elapsed, p.Expected)
					}
					return
				}
				if p.Elapsed > 0 {
					calls++
					longest = max(longest, p.Elapsed)
					if d := time.Since(at); d > 310*time.Millisecond {
						t.Errorf("nothing was told for %v", d)
					}
					if p.Expected < 200*time.Millisecond || p.Expected > 10*time.Second {
						t.Errorf("%v is to take %v", mode, p.Expected)
					}
					if p.Done >= p.Total {
						t.Errorf("%v: %d of %d bytes while erasing", mode, p.Done, p.Total)
					}
				}
				if p.Done > last.Done {
					moved++
				}
				if last.Phase == p.Phase && p.Done < last.Done || p.Done > p.Total || p.Total != 1<<20 {
					t.Errorf("%v: %d of %d bytes, before %d", mode, p.Done, p.Total, last.Done)
				}
				last, at = p, time.Now()
			}})
			if err != nil {
				t.Error(err)
			}
			if most := int(erased / (250 * time.Millisecond)); erased < 8*time.Second || calls < most-15 || calls > most || moved < calls*9/10 {
				t.Errorf("%v: erased for %v, %d calls meanwhile, moved %d times", mode, erased, calls, moved)
			}
			if mode == stm32boot.EraseAll && longest < erased-300*time.Millisecond {
				t.Errorf("erased for %v, told %v", erased, longest)
			}
		})
	}
}

// TestRandomImages: whatever the layout of an image, the plan's cost is what the
// flashing costs, and the flash holds the image and nothing else.
func TestRandomImages(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	ids := []uint16{0x410, 0x415, 0x417, 0x431, 0x416, 0x483, 0x450, 0x466}
	for n := range count(60, 2000) {
		id := ids[n%len(ids)]
		chip, _ := stm32boot.Lookup(id)
		if n%3 == 0 {
			chip = chip.Trim(max(64<<10, chip.Layout[0].Size))
		}
		opts := stm32boot.FlashOptions{Preserve: rng.IntN(2) == 0, ChangedOnly: rng.IntN(2) == 0}
		image := randomImage(rng, chip)
		onRig(t, stm32sim.Options{ID: id, FlashSize: chip.FlashSize, ECC: true, Image: noise(uint64(n), 3000)}, stm32sim.LineOptions{}, func(r *rig) {
			want := r.target.Flash()
			for p := range chip.Pages() {
				for _, s := range image {
					if s.Addr < p.Addr+p.Size && p.Addr < s.Addr+uint32(s.Len()) && !opts.Preserve {
						copy(want[p.Addr-chip.FlashStart:], blankFlash(chip)[:p.Size])
					}
				}
			}
			put(chip, want, image...)
			c, err := stm32boot.Connect(context.Background(), r.config())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.Background())
			plan, err := stm32boot.PlanFlash(c.Chip(), image, opts)
			if err != nil {
				t.Fatalf("%v: %v", image, err)
			}
			cost := plan.Cost()
			bytes := r.sent(func() { _, err = c.Flash(context.Background(), image, opts) })
			if err != nil {
				t.Fatal(err)
			}
			if !opts.ChangedOnly { // kept pages keep the rest too
				r.expect(want)
			}
			if said := int(cost.Sent + cost.Received); bytes > said+said/100+200 || !opts.ChangedOnly && !opts.Preserve && bytes < said-10 {
				t.Errorf("0x%03X %+v: %d bytes, the plan says %d\n%v", id, opts, bytes, said, plan)
			}
			if s := r.target.Stats(); s.Violations > 0 {
				t.Errorf("0x%03X: %d words programmed twice", id, s.Violations)
			}
		})
	}
}

// randomImage returns segments that do not overlap, in any order.
func randomImage(rng *rand.Rand, chip stm32boot.Chip) (image stm32boot.Image) {
	for pos := uint32(0); ; {
		pos += uint32(4 * rng.IntN(2000))
		n := uint32(1 + rng.IntN(5000))
		if pos+n > chip.FlashSize || len(image) > 5 {
			break
		}
		s := stm32boot.Segment{Addr: chip.FlashStart + pos, Size: int(n), Fill: chip.Erased}
		switch rng.IntN(4) {
		case 0:
			s.Fill = byte(rng.Uint32())
		case 1, 2:
			s.Data = noise(rng.Uint64(), int(n))
			if k := rng.IntN(int(n)); rng.IntN(2) == 0 {
				copy(s.Data[k:], bytes.Repeat([]byte{chip.Erased}, rng.IntN(int(n))))
			}
		}
		image = append(image, s)
		pos = (pos + n + 3) &^ 3
	}
	if len(image) == 0 {
		image = stm32boot.Image{{Addr: chip.FlashStart + 8, Data: []byte{1}}}
	}
	rng.Shuffle(len(image), func(i, j int) { image[i], image[j] = image[j], image[i] })
	return image
}
