package stm32boot_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// faultRun flashes a small image with faults and reports how that ended.
type faultRun struct {
	err     error
	res     stm32boot.Result
	wrong   error // what flash holds that it should not
	struck  bool
	twice   uint64 // flash words programmed against the rules
	running bool   // the application, at the end
	took    time.Duration
}

// runFault flashes 5 pages over a target with faults, each 1 KiB or 2.
func runFault(t *testing.T, id uint16, faults ...stm32sim.Fault) (run faultRun) {
	synctest.Test(t, func(t *testing.T) {
		const size = 64 << 10
		old := noise(9, size)
		r := newRig(t, stm32sim.Options{
			ID: id, FlashSize: size, ECC: true, Image: old, Faults: faults, Boot0Low: true,
			Application: func(ctx context.Context, _ *stm32sim.Target, _ stm32sim.Port) {
				run.running = true
				<-ctx.Done()
				run.running = false
			},
		})
		line, stop := r.target.Connect(stm32sim.LineOptions{})
		r.line = line
		start := time.Now()
		image := noise(10, 5000)
		run.res, run.err = r.flash(stm32boot.Image{at(0x800, image)}, stm32boot.FlashOptions{})
		run.took = time.Since(start)
		synctest.Wait()
		running := run.running
		want, got := blankFlash(r.chip), r.target.Flash()
		copy(want, old)
		for p := range r.chip.Pages() {
			if p.Addr >= 0x08000800+5000 {
				break
			}
			if p.Addr+p.Size > 0x08000800 {
				copy(want[p.Addr-0x08000000:], blankFlash(r.chip)[:p.Size])
			}
		}
		put(r.chip, want, at(0x800, image))
		if run.err == nil {
			run.wrong = differs(got, want, 0x08000000)
		}
		stats := r.target.Stats()
		run.struck, run.twice = stats.Faults > 0, stats.Violations
		stop()
		run.running = running
	})
	return run
}

// TestH5 has each command fail in each way, up to three times in a row, early and
// late in the session: all is well in the end. When it never stops failing
// Flash either copes with that too or fails, and the application runs again.
func TestH5(t *testing.T) {
	kinds := []stm32sim.Fault{
		{Kind: stm32sim.NackCommand}, {Kind: stm32sim.NackAddr}, {Kind: stm32sim.NackData}, {Kind: stm32sim.NackData, Part: 20},
		{Kind: stm32sim.DropAck}, {Kind: stm32sim.DropAck, Stage: stm32sim.StageCommand}, {Kind: stm32sim.Silent},
		{Kind: stm32sim.Silent, Stage: stm32sim.StageCommand}, {Kind: stm32sim.Silent, Stage: stm32sim.StageAddress},
		{Kind: stm32sim.Silent, Part: 100}, {Kind: stm32sim.Garbage}, {Kind: stm32sim.Garbage, Stage: stm32sim.StageAddress},
		{Kind: stm32sim.Late, Delay: 300 * time.Millisecond}, {Kind: stm32sim.Late, Delay: 3 * time.Second},
		{Kind: stm32sim.Busy, Count: 3}, {Kind: stm32sim.Corrupt, Offset: 3}, {Kind: stm32sim.Hang}, {Kind: stm32sim.Reboot},
	}
	places, times := []int{1, 7}, []int{3, -1}
	if count(1, 2) == 2 {
		places, times = []int{1, 2, 7}, []int{1, 2, 3, -1}
	}
	for _, id := range []uint16{0x410, 0x415} {
		chip, _ := stm32boot.Lookup(id)
		commands := []byte{stm32boot.Init, stm32boot.CmdGet, stm32boot.CmdGetID, stm32boot.CmdRead, stm32boot.CmdWrite, chip.EraseCmd}
		for _, cmd := range commands {
			t.Run(fmt.Sprintf("0x%03X/%s", id, stm32boot.CommandName(cmd)), func(t *testing.T) {
				t.Parallel()
				struck := 0
				for _, f := range kinds {
					f.Commands = []byte{cmd}
					for _, f.At = range places {
						for _, f.Times = range times {
							run := runFault(t, id, f)
							checkFault(t, f, run)
							if run.struck {
								struck++
							}
						}
					}
				}
				if struck == 0 {
					t.Error("no fault struck")
				}
			})
		}
	}
}

// hopeless reports whether nothing can be done about a fault.
func hopeless(f stm32sim.Fault) bool {
	if f.Times > 0 || f.At > 1 || f.Part > 0 || f.Stage > stm32sim.StageCommand || f.Commands[0] == stm32boot.Init {
		return false
	}
	switch f.Kind {
	case stm32sim.NackCommand, stm32sim.Silent, stm32sim.Hang:
		return true
	case stm32sim.NackData:
		return f.Commands[0] == stm32boot.CmdWrite
	case stm32sim.Corrupt:
		return f.Commands[0] == stm32boot.CmdWrite || f.Commands[0] == stm32boot.CmdRead
	}
	return false
}

func checkFault(t *testing.T, f stm32sim.Fault, run faultRun) {
	t.Helper()
	name := fmt.Sprintf("%v stage %d part %d at %d times %d", f.Kind, f.Stage, f.Part, f.At, f.Times)
	switch {
	case run.wrong != nil:
		t.Errorf("%s: success, but %v", name, run.wrong)
	case run.err != nil && f.Times > 0:
		t.Errorf("%s: %v", name, run.err)
	case !run.running:
		t.Errorf("%s: the application does not run, %v", name, run.err)
	case run.err == nil && hopeless(f):
		t.Errorf("%s: success", name)
	case run.twice > 0:
		t.Errorf("%s: %d words programmed twice", name, run.twice)
	case run.took > time.Hour:
		t.Errorf("%s: it took %v", name, run.took)
	}
}
