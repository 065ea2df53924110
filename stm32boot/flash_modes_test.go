package stm32boot_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// sent returns how many bytes a function sends and receives.
func (r *rig) sent(f func()) int {
	before := r.line.Stats()
	f()
	after := r.line.Stats()
	return int(after.ToTarget.Written + after.ToClient.Written - before.ToTarget.Written - before.ToClient.Written)
}

// mustFlash flashes and compares the whole flash.
func (r *rig) mustFlash(image stm32boot.Image, opts stm32boot.FlashOptions, want []byte) stm32boot.Result {
	r.t.Helper()
	res, err := r.flash(image, opts)
	if err != nil {
		r.t.Fatal(err)
	}
	r.expect(want)
	return res
}

// TestChangedByReading keeps the pages that read right, without a journal.
func TestChangedByReading(t *testing.T) {
	data := noise(1, 20<<10)
	old := append([]byte(nil), data...)
	old[7*1024+5] ^= 4
	onRig(t, stm32sim.Options{ID: 0x410, ECC: true, Image: old}, stm32sim.LineOptions{}, func(r *rig) {
		want := blankFlash(r.chip, at(0, data))
		res := r.mustFlash(stm32boot.Image{at(0, data)}, stm32boot.FlashOptions{ChangedOnly: true}, want)
		if res.Written != 2 || res.Kept != 18 || res.Identical {
			t.Errorf("%d pages written, %d kept", res.Written, res.Kept)
		}
		erases := r.target.Stats().Erases
		if erases[0] != 1 || erases[7] != 1 || erases[1]+erases[6]+erases[8] != 0 {
			t.Errorf("erases %v", erases[:20])
		}
		res = r.mustFlash(stm32boot.Image{at(0, data)}, stm32boot.FlashOptions{ChangedOnly: true}, want)
		if !res.Identical || res.Written != 0 || res.Kept != 20 {
			t.Errorf("the same image: %+v", res)
		}
	})
}

// TestChangedByJournal keeps the pages that the journal knows, if the target is
// the same and its first page is as it was.
func TestChangedByJournal(t *testing.T) {
	data := noise(1, 20<<10)
	next := append([]byte(nil), data...)
	next[7*1024+5] ^= 4
	flashed := func(r *rig) *memJournal {
		j := new(memJournal)
		r.mustFlash(stm32boot.Image{at(0, data)}, stm32boot.FlashOptions{Journal: j, UID: "1"}, blankFlash(r.chip, at(0, data)))
		return j
	}
	tests := []struct {
		name    string
		between func(r *rig, j *memJournal)
		uid     string
		trusted bool
	}{
		{"clean", func(*rig, *memJournal) {}, "1", true},
		{"other chip", func(*rig, *memJournal) {}, "2", false},
		{"other kind of chip", func(_ *rig, j *memJournal) {
			s, _ := stm32boot.ParseState(j.record)
			s.ProductID = 0x414
			j.record, _ = s.AppendBinary(nil)
		}, "1", false},
		{"first page changed", func(r *rig, _ *memJournal) { _ = r.target.Poke(0x08000100, []byte{1, 2, 3}) }, "1", false},
		{"first page erased", func(r *rig, _ *memJournal) {
			_ = r.target.Poke(0x08000000, bytes.Repeat([]byte{0xFF}, 1024))
		}, "1", false},
		{"no journal", func(_ *rig, j *memJournal) { j.record = nil }, "1", false},
		{"damaged journal", func(_ *rig, j *memJournal) { j.record[20] ^= 1 }, "1", false},
		{"unfinished journal", func(r *rig, j *memJournal) {
			s, _ := stm32boot.ParseState(j.record)
			s.Step = stm32boot.StepErase
			j.record, _ = s.AppendBinary(nil)
		}, "1", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onRig(t, stm32sim.Options{ID: 0x410, ECC: true}, stm32sim.LineOptions{}, func(r *rig) {
				j := flashed(r)
				test.between(r, j)
				reads := r.target.Stats().Commands[stm32boot.CmdRead]
				opts := stm32boot.FlashOptions{Journal: j, UID: test.uid, ChangedOnly: true, Verify: stm32boot.VerifyNone}
				res := r.mustFlash(stm32boot.Image{at(0, next)}, opts, blankFlash(r.chip, at(0, next)))
				if res.Written != 2 || res.Plan.Stored != test.trusted {
					t.Errorf("%d pages written, stored %v", res.Written, res.Plan.Stored)
				}
				few := r.target.Stats().Commands[stm32boot.CmdRead]-reads < 20
				if few != test.trusted {
					t.Errorf("%d reads", r.target.Stats().Commands[stm32boot.CmdRead]-reads)
				}
			})
		})
	}
}

// TestChangedFirst: the first page is compared with what the journal says of it
// also if it is to be changed, and a word of noise is not taken for a change.
func TestChangedFirst(t *testing.T) {
	data := noise(1, 20<<10)
	next := append([]byte(nil), data...)
	next[0] ^= 1
	for name, fault := range map[string]stm32sim.Fault{
		"clean":   {},
		"noise":   {Kind: stm32sim.Corrupt, Commands: []byte{stm32boot.CmdRead}, At: 5, Offset: 50},
		"changed": {Kind: stm32sim.Corrupt, Commands: []byte{stm32boot.CmdRead}, At: 1, Times: 20, Offset: 50},
	} {
		onRig(t, stm32sim.Options{ID: 0x410, ECC: true}, stm32sim.LineOptions{}, func(r *rig) {
			j := new(memJournal)
			opts := stm32boot.FlashOptions{Journal: j, ChangedOnly: true, Verify: stm32boot.VerifyNone}
			r.mustFlash(stm32boot.Image{at(0, data)}, opts, blankFlash(r.chip, at(0, data)))
			r.target.Inject(fault)
			res := r.mustFlash(stm32boot.Image{at(0, next)}, opts, blankFlash(r.chip, at(0, next)))
			if stored := name != "changed"; res.Plan.Stored != stored || stored && res.Written != 1 {
				t.Errorf("%s: stored %v, %d pages written", name, res.Plan.Stored, res.Written)
			}
		})
	}
}

// TestIdentical writes neither the flash nor the journal.
func TestIdentical(t *testing.T) {
	data := noise(3, 9000)
	onRig(t, stm32sim.Options{ID: 0x415, ECC: true}, stm32sim.LineOptions{}, func(r *rig) {
		j, image := new(memJournal), stm32boot.Image{at(0x1000, data)}
		want := blankFlash(r.chip, image...)
		opts := stm32boot.FlashOptions{Journal: j, ChangedOnly: true}
		r.mustFlash(image, opts, want)
		saves, words := j.saves, r.target.Stats().Words
		parts := stm32boot.Image{at(0x1000+4096, data[4096:]), at(0x1000, data[:4096])}
		if res := r.mustFlash(parts, opts, want); !res.Identical || j.saves != saves || r.target.Stats().Words != words {
			t.Errorf("%+v, %d saves", res, j.saves-saves)
		}
	})
}

// TestPreserve writes back what else is in the pages.
func TestPreserve(t *testing.T) {
	for _, id := range []uint16{0x410, 0x415, 0x417, 0x431, 0x483} {
		chip, _ := stm32boot.Lookup(id)
		old := noise(4, int(chip.FlashSize))
		image := stm32boot.Image{at(0x404, noise(5, 3000)), at(0x5000, noise(6, 77)), {Addr: 0x08006000, Size: 100, Fill: 0x55}}
		onRig(t, stm32sim.Options{ID: id, ECC: true, Image: old}, stm32sim.LineOptions{}, func(r *rig) {
			put(chip, old, image...)
			r.mustFlash(image, stm32boot.FlashOptions{Preserve: true}, old)
			res := r.mustFlash(image, stm32boot.FlashOptions{Preserve: true, ChangedOnly: true}, old)
			if !res.Identical {
				t.Errorf("0x%03X: not recognised: %+v", id, res)
			}
			if w := res.Plan.Warnings(); len(w) > 0 {
				t.Errorf("0x%03X: warnings %q", id, w)
			}
		})
	}
}

// TestEraseAll erases what the image does not touch too, also on chips without a
// mass erase.
func TestEraseAll(t *testing.T) {
	for _, id := range []uint16{0x410, 0x415, 0x417, 0x431} {
		chip, _ := stm32boot.Lookup(id)
		image := stm32boot.Image{at(0x800, noise(5, 3000))}
		onRig(t, stm32sim.Options{ID: id, ECC: true, Image: noise(4, int(chip.FlashSize))}, stm32sim.LineOptions{}, func(r *rig) {
			var erased, toErase int64
			res := r.mustFlash(image, stm32boot.FlashOptions{Erase: stm32boot.EraseAll, Progress: func(p stm32boot.Progress) {
				if p.Phase == stm32boot.PhaseErase {
					erased, toErase = p.Done, p.Total
				}
			}}, blankFlash(chip, image...))
			if erased != toErase || toErase < int64(r.target.Chip().FlashSize) {
				t.Errorf("%#x: %d of %d bytes erased", id, erased, toErase)
			}
			if mass := r.target.Stats().MassErases > 0; mass != (id != 0x417) || mass != res.Plan.MassErase {
				t.Errorf("0x%03X: mass erase %v", id, mass)
			}
			if w := res.Plan.Warnings(); len(w) != 2 {
				t.Errorf("0x%03X: warnings %q", id, w)
			}
		})
	}
}

// TestMassErase: all pages are erased at once when the image touches them all and
// that is quicker.
func TestMassErase(t *testing.T) {
	for id, quick := range map[uint16]bool{0x410: true, 0x466: true, 0x417: false, 0x458: false} {
		chip, _ := stm32boot.Lookup(id)
		image := stm32boot.Image{at(0, noise(5, int(chip.FlashSize)-10))}
		onRig(t, stm32sim.Options{ID: id, ECC: true, Image: noise(4, int(chip.FlashSize))}, stm32sim.LineOptions{}, func(r *rig) {
			r.mustFlash(image, stm32boot.FlashOptions{}, blankFlash(chip, image...))
			if n := r.target.Stats().MassErases; (n > 0) != quick {
				t.Errorf("0x%03X: %d mass erases", id, n)
			}
			erases := r.target.Stats().Erases
			r.mustFlash(image, stm32boot.FlashOptions{Erase: stm32boot.ErasePages}, blankFlash(chip, image...))
			for i, n := range r.target.Stats().Erases {
				if n != erases[i]+1 {
					t.Errorf("0x%03X: page %d was erased %d times", id, i, n-erases[i])
					break
				}
			}
		})
	}
}

// TestChecksum verifies by Get Checksum, and finds what is wrong with it.
func TestChecksum(t *testing.T) {
	image := stm32boot.Image{at(0, noise(5, 8<<10)), at(0x4000, noise(6, 1001))}
	opts := stm32boot.FlashOptions{Verify: stm32boot.VerifyChecksum}
	for name, o := range map[string]stm32sim.Options{
		"has it":     {ID: 0x460, BootVersion: 0x33},
		"lacks it":   {ID: 0x460, BootVersion: 0x31},
		"refuses it": {ID: 0x460, BootVersion: 0x33, Faults: []stm32sim.Fault{{Kind: stm32sim.NackCommand, Commands: []byte{stm32boot.CmdChecksum}, Times: -1}}},
		"wrong":      {ID: 0x460, BootVersion: 0x33, Faults: []stm32sim.Fault{{Kind: stm32sim.Corrupt, At: 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			o.ECC = true
			onRig(t, o, stm32sim.LineOptions{}, func(r *rig) {
				res := r.mustFlash(image, opts, blankFlash(r.chip, image...))
				if name == "has it" {
					// The last page ends in the middle of a word.
					if n := r.target.Stats().Commands[stm32boot.CmdRead]; n > 12 {
						t.Errorf("%d reads", n)
					}
				}
				if n := r.target.Stats().Commands[stm32boot.CmdChecksum]; name == "refuses it" && n != 1 {
					t.Errorf("it was asked %d times", n)
				}
				if (res.Repaired > 0) != (name == "wrong") {
					t.Errorf("%d repairs", res.Repaired)
				}
			})
		})
	}
}

// TestDryRun completes the plan and touches nothing.
func TestDryRun(t *testing.T) {
	data := noise(1, 4096)
	onRig(t, stm32sim.Options{ID: 0x410, Image: data[:2048]}, stm32sim.LineOptions{}, func(r *rig) {
		before, j := r.target.Flash(), new(memJournal)
		res := r.mustFlash(stm32boot.Image{at(0, data)}, stm32boot.FlashOptions{DryRun: true, ChangedOnly: true, Journal: j}, before)
		if p := res.Plan; res.Identical || p.Count(stm32boot.ActionKeep) != 1 || p.Count(stm32boot.ActionWrite) != 3 || j.saves > 0 {
			t.Errorf("%v, %d saves", p, j.saves)
		}
	})
}

// TestRefusals: nothing is erased.
func TestRefusals(t *testing.T) {
	image := stm32boot.Image{at(0, noise(1, 100))}
	tests := []struct {
		name   string
		target stm32sim.Options
		image  stm32boot.Image
		opts   stm32boot.FlashOptions
		want   error
	}{
		{"wrong chip", stm32sim.Options{}, image, stm32boot.FlashOptions{ProductID: 0x415}, stm32boot.ErrWrongChip},
		{"locked", stm32sim.Options{RDP: 1}, image, stm32boot.FlashOptions{}, stm32boot.ErrReadProtected},
		{"too large", stm32sim.Options{}, stm32boot.Image{at(0, make([]byte, 128<<10+1))}, stm32boot.FlashOptions{}, stm32boot.ErrTooLarge},
		{"too large for this one", stm32sim.Options{FlashSize: 64 << 10}, stm32boot.Image{at(0, make([]byte, 65<<10))}, stm32boot.FlashOptions{}, stm32boot.ErrTooLarge},
		{"outside", stm32sim.Options{}, stm32boot.Image{{Addr: 0x20000000, Data: []byte{1}}}, stm32boot.FlashOptions{}, stm32boot.ErrOutside},
		{"misaligned", stm32sim.Options{}, stm32boot.Image{at(2, []byte{1})}, stm32boot.FlashOptions{}, stm32boot.ErrMisaligned},
		{"overlap", stm32sim.Options{}, stm32boot.Image{at(8, []byte{1}), at(0, make([]byte, 9))}, stm32boot.FlashOptions{}, stm32boot.ErrOverlap},
		{"empty", stm32sim.Options{}, nil, stm32boot.FlashOptions{}, stm32boot.ErrEmpty},
		{"options", stm32sim.Options{}, image, stm32boot.FlashOptions{Preserve: true, Erase: stm32boot.EraseAll}, stm32boot.ErrOptions},
		{"journal", stm32sim.Options{}, image, stm32boot.FlashOptions{Journal: &memJournal{fail: errDead}}, errDead},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.target.Image = noise(2, 1000)
			onRig(t, test.target, stm32sim.LineOptions{}, func(r *rig) {
				before := r.target.Flash()
				_, err := r.flash(test.image, test.opts)
				if !errors.Is(err, test.want) || !strings.HasPrefix(err.Error(), "stm32boot: ") {
					t.Errorf("%v", err)
				}
				r.expect(before)
				if s := r.target.Stats(); s.MassErases > 0 || s.Erases[0] > 0 {
					t.Error("it was erased")
				}
			})
		})
	}
}

// TestReadProtected: that a target cannot be read is told as soon as it is
// certain: at once if Connect has tried to read it.
func TestReadProtected(t *testing.T) {
	image := stm32boot.Image{at(0, noise(1, 100))}
	for _, id := range []uint16{0x410, 0x431, 0x415} {
		chip, _ := stm32boot.Lookup(id)
		for limit, given := range map[time.Duration]*stm32boot.Chip{100 * time.Millisecond: nil, 400 * time.Millisecond: &chip} {
			onRig(t, stm32sim.Options{ID: id, RDP: 1}, stm32sim.LineOptions{Baud: 115200}, func(r *rig) {
				cfg := r.config()
				cfg.Chip = given
				c, err := stm32boot.Connect(context.Background(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close(context.Background())
				start := time.Now()
				_, err = c.Flash(context.Background(), image, stm32boot.FlashOptions{})
				if d := time.Since(start); !errors.Is(err, stm32boot.ErrReadProtected) || d > limit {
					t.Errorf("0x%03X: %v after %v, want at most %v", id, err, d, limit)
				}
			})
		}
	}
}

// TestReadRefused: three refusals in a row, at any time, do not make a target a
// protected one.
func TestReadRefused(t *testing.T) {
	image := stm32boot.Image{at(0, noise(1, 1000))}
	for first := 1; first < 12; first++ {
		fault := stm32sim.Fault{Kind: stm32sim.NackCommand, Commands: []byte{stm32boot.CmdRead}, At: first, Times: 3}
		onRig(t, stm32sim.Options{ID: 0x410, Faults: []stm32sim.Fault{fault}}, stm32sim.LineOptions{}, func(r *rig) {
			r.mustFlash(image, stm32boot.FlashOptions{}, blankFlash(r.chip, image...))
		})
	}
}

// TestMuteForLong: a target that stays mute after a reset too is reset again.
func TestMuteForLong(t *testing.T) {
	image := stm32boot.Image{at(0, noise(1, 10000))}
	onRig(t, stm32sim.Options{ID: 0x410}, stm32sim.LineOptions{Baud: 115200}, func(r *rig) {
		muted := false
		opts := stm32boot.FlashOptions{Progress: func(p stm32boot.Progress) {
			if muted || p.Phase != stm32boot.PhaseWrite || p.Done < 5000 {
				return
			}
			muted = true
			r.line.SetFaults(stm32sim.Faults{}, stm32sim.Faults{Drop: 1})
			time.AfterFunc(time.Minute, func() { r.line.SetFaults(stm32sim.Faults{}, stm32sim.Faults{}) })
		}}
		res := r.mustFlash(image, opts, blankFlash(r.chip, image...))
		if res.Escalations < 2 {
			t.Errorf("%d resets", res.Escalations)
		}
	})
}

// TestWriteProtected: on F1 the target acknowledges and does nothing. Flash says so,
// and where.
func TestWriteProtected(t *testing.T) {
	tests := []struct {
		name    string
		sector  int // of 4 KiB
		opts    stm32boot.FlashOptions
		version byte
	}{
		{"pages", 1, stm32boot.FlashOptions{}, 0},
		{"first page", 0, stm32boot.FlashOptions{}, 0},
		{"all", 1, stm32boot.FlashOptions{Erase: stm32boot.EraseAll}, 0},
		{"changed only", 1, stm32boot.FlashOptions{ChangedOnly: true}, 0},
		{"preserve", 2, stm32boot.FlashOptions{Preserve: true}, 0},
		{"checksum", 1, stm32boot.FlashOptions{Verify: stm32boot.VerifyChecksum}, 0x33},
	}
	for _, test := range tests {
		o := stm32sim.Options{ID: 0x410, WriteProtect: []int{test.sector}, Image: noise(3, 128<<10), BootVersion: test.version}
		onRig(t, o, stm32sim.LineOptions{}, func(r *rig) {
			before := r.target.Flash()
			data := noise(1, 10000)
			_, err := r.flash(stm32boot.Image{at(0, data)}, test.opts)
			v, is := errors.AsType[*stm32boot.VerifyError](err)
			addr := 0x08000000 + max(uint32(test.sector)<<12, 1024) // the first page is written last
			if !is || v.Addr&^0xFF != addr || v.Got != before[v.Addr-0x08000000] ||
				v.Want != data[v.Addr-0x08000000] || !errors.Is(err, stm32boot.ErrWriteProtected) {
				t.Errorf("%s: %v", test.name, err)
			}
			if first := r.target.Flash()[:1024]; test.sector != 0 && !bytes.Equal(first, bytes.Repeat([]byte{0xFF}, 1024)) {
				t.Errorf("%s: the first page is not blank", test.name)
			}
		})
	}
}

// TestNoLayout flashes a chip of which no more than the size of its flash is known.
func TestNoLayout(t *testing.T) {
	chip, _ := stm32boot.Lookup(0x415)
	chip.Layout, chip.LayoutAlt = nil, nil
	onRig(t, stm32sim.Options{ID: 0x415, ECC: true, Image: noise(4, 100000), Faults: []stm32sim.Fault{
		{Kind: stm32sim.Corrupt, At: 2}, {Kind: stm32sim.Silent, At: 9, Part: 32},
	}}, stm32sim.LineOptions{}, func(r *rig) {
		cfg := r.config()
		cfg.Chip = &chip
		image := stm32boot.Image{at(0x800, noise(5, 5000))}
		res, err := stm32boot.Flash(context.Background(), cfg, image, stm32boot.FlashOptions{})
		if err != nil || res.Repaired == 0 {
			t.Fatal(res, err)
		}
		r.expect(blankFlash(r.chip, image...))
	})
}

// TestJournalFailure: without the first record nothing is erased; the records on
// the way are not missed; without the last the caller learns of it.
func TestJournalFailure(t *testing.T) {
	image := stm32boot.Image{at(0, noise(1, 3000))}
	for fail := 1; fail <= 4; fail++ {
		onRig(t, stm32sim.Options{Image: noise(2, 4096)}, stm32sim.LineOptions{}, func(r *rig) {
			before, j := r.target.Flash(), &failingJournal{at: fail}
			_, err := r.flash(image, stm32boot.FlashOptions{Journal: j})
			want := blankFlash(r.chip, append(stm32boot.Image{at(3072, before[3072:4096])}, image...)...)
			switch fail {
			case 1:
				want = before
				fallthrough
			case 4:
				if !errors.Is(err, errDead) {
					t.Errorf("save %d fails: %v", fail, err)
				}
			default:
				if err != nil || j.n != 4 {
					t.Errorf("save %d fails: %v, %d saves", fail, err, j.n)
				}
			}
			r.expect(want)
		})
	}
}

// TestJournalPace: the record is saved at most once a second and goes forward
// only.
func TestJournalPace(t *testing.T) {
	image := stm32boot.Image{at(0, noise(1, 40<<10))}
	onRig(t, stm32sim.Options{ECC: true, Faults: []stm32sim.Fault{{Kind: stm32sim.Corrupt, At: 100}}}, stm32sim.LineOptions{Baud: 115200}, func(r *rig) {
		j := new(stepsJournal)
		start := time.Now()
		res := r.mustFlash(image, stm32boot.FlashOptions{Journal: j}, blankFlash(r.chip, image...))
		if res.Repaired == 0 {
			t.Error("nothing was repaired")
		}
		var last stm32boot.State
		for i, s := range j.states {
			if s.Step < last.Step || s.Step == last.Step && s.Next <= last.Next {
				t.Errorf("record %d: %v 0x%08X after %v 0x%08X", i, s.Step, s.Next, last.Step, last.Next)
			}
			last = s
		}
		if n, most := len(j.states), 4+int(time.Since(start)/time.Second); n < 7 || n > most {
			t.Errorf("%d records, at most %d", n, most)
		}
	})
}

// TestJournalErasedAll: that all was erased is still known when a flashing goes on
// without EraseAll.
func TestJournalErasedAll(t *testing.T) {
	image := stm32boot.Image{at(0, noise(1, 3000))}
	onRig(t, stm32sim.Options{ID: 0x410}, stm32sim.LineOptions{}, func(r *rig) {
		j := new(stepsJournal)
		p := plan(t, 0x410, 0, image, stm32boot.FlashOptions{})
		j.record = recorded(stm32boot.State{Step: stm32boot.StepWrite, ProductID: 0x410, Image: p.Image, ErasedAll: true}).record
		r.mustFlash(image, stm32boot.FlashOptions{Journal: j}, blankFlash(r.chip, image...))
		for i, s := range j.states {
			if !s.ErasedAll {
				t.Errorf("record %d, %v: not erased all", i, s.Step)
			}
		}
		if len(j.states) < 3 {
			t.Errorf("%d records", len(j.states))
		}
	})
}

// stepsJournal keeps all records.
type stepsJournal struct {
	memJournal
	states []stm32boot.State
}

func (j *stepsJournal) Save(b []byte) error {
	s, err := stm32boot.ParseState(b)
	j.states = append(j.states, s)
	return errors.Join(err, j.memJournal.Save(b))
}

// failingJournal fails the at-th Save.
type failingJournal struct {
	memJournal
	n, at int
}

func (j *failingJournal) Save(b []byte) error {
	if j.n++; j.n == j.at {
		return errDead
	}
	return j.memJournal.Save(b)
}
