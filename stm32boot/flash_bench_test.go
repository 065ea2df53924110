package stm32boot_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// The conditions of part C6 of the rulings: 512 KiB, 115200 baud at 8E1, nobody
// verifies, connecting is excluded.
const (
	figureSize = 512 << 10
	figureBaud = 115200
	figurePage = 2 << 10
)

// figure is one row of the table.
type figure struct {
	name  string
	image []byte // what is flashed
	old   []byte // what was flashed before by us, nil for an unknown content
	limit float64
	of    string // what the limit is a part of
}

func figures() []figure {
	full := noise(1, figureSize)
	changed := bytes.Clone(full)
	for i := range 26 {
		changed[(5+9*i)*figurePage+77] ^= 0xFF
	}
	half := bytes.Clone(full)
	for i := figureSize / 2; i < figureSize; i++ {
		half[i] = 0xFF
	}
	return []figure{
		{"full image", full, nil, 1.03, "wire minimum"},
		{"10 % changed", changed, full, 0.15, "full minimum"},
		{"half blank", half, nil, 0.52, "full minimum"},
		{"identical", full, full, 0, ""},
	}
}

// effort is what an exchange costs: bytes both ways, bursts, time in the chip.
type effort struct {
	bytes, turns uint64
	device       time.Duration
}

// time returns how long it takes.
func (e effort) time(turnaround time.Duration, device bool) time.Duration {
	d := time.Duration(e.bytes)*11*time.Second/figureBaud + time.Duration(e.turns)*turnaround
	if device {
		d += e.device
	}
	return d
}

// wireMinimum is 268 byte times for a block that is not blank, and the shortest
// erase command for all of the flash.
func wireMinimum(chip stm32boot.Chip, image []byte) effort {
	times := stm32sim.RealTimes(&chip)
	e := effort{bytes: 7, turns: 4, device: times.Bank * time.Duration(chip.Layout[len(chip.Layout)-1].Bank)}
	if chip.EraseCmd == stm32boot.CmdErase {
		e.bytes = 6
	}
	for block := range slicesOf(image, 256) {
		if bytes.Count(block, []byte{chip.Erased}) < len(block) {
			e.bytes += 268
			e.turns += 6
			e.device += time.Duration(256/wordOf(chip)) * times.Word
		}
	}
	return e
}

// stm32flash is what that program sends and receives, as in the recorded
// sessions: every block, blank or not, and the numbers of all pages.
func stm32flash(chip stm32boot.Chip, size int) effort {
	pages := size / figurePage
	e := eraseEffort(chip, pages)
	blocks := uint64(size / 256)
	e.bytes += 268 * blocks
	e.turns += 6 * blocks
	e.device += time.Duration(size/wordOf(chip)) * stm32sim.RealTimes(&chip).Word
	return e
}

// eraseEffort is that of one erase command for so many pages.
func eraseEffort(chip stm32boot.Chip, pages int) effort {
	n := uint64(2 + 1 + pages + 1 + 2)
	if chip.EraseCmd == stm32boot.CmdExtendedErase {
		n = uint64(2 + 2 + 2*pages + 1 + 2)
	}
	return effort{bytes: n, turns: 4, device: time.Duration(pages) * stm32sim.RealTimes(&chip).Erase[0].Time}
}

func wordOf(chip stm32boot.Chip) int {
	if chip.Family == "F1" {
		return 2
	}
	return chip.WriteAlign
}

func slicesOf(p []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for ; len(p) > 0; p = p[min(n, len(p)):] {
			if !yield(p[:min(n, len(p))]) {
				return
			}
		}
	}
}

// figureRig is a target with 512 KiB, connected, that was flashed before if the
// figure says so.
func figureRig(t testing.TB, id uint16, f figure, times bool, line stm32sim.LineOptions) (r *rig, c *stm32boot.Client, j *memJournal, stop func()) {
	chip, _ := stm32boot.Lookup(id)
	chip = chip.Trim(figureSize)
	o := stm32sim.Options{ID: id, FlashSize: figureSize, ECC: true}
	if times {
		o.Times = stm32sim.RealTimes(&chip)
	}
	r, j = newRig(t, o), new(memJournal)
	r.line, stop = r.target.Connect(line)
	c, err := stm32boot.Connect(context.Background(), r.config())
	if err != nil {
		t.Fatal(err)
	}
	if f.old != nil {
		r.put(c, f.old, j)
	}
	return r, c, j, stop
}

// put flashes without verifying and returns what was exchanged.
func (r *rig) put(c *stm32boot.Client, image []byte, j *memJournal) (e effort, res stm32boot.Result) {
	before, busy := r.line.Stats(), r.target.Stats().Working
	res, err := c.Flash(context.Background(), stm32boot.Image{at(0, image)},
		stm32boot.FlashOptions{Verify: stm32boot.VerifyNone, ChangedOnly: j.record != nil, Journal: j})
	if err != nil {
		r.t.Fatal(err)
	}
	after := r.line.Stats()
	e.bytes = after.ToTarget.Written + after.ToClient.Written - before.ToTarget.Written - before.ToClient.Written
	e.turns = after.Turns - before.Turns
	e.device = r.target.Stats().Working - busy
	return e, res
}

// deviceTime is what the flash would have taken.
func deviceTime(chip stm32boot.Chip, before, after stm32sim.Stats) time.Duration {
	times := stm32sim.RealTimes(&chip)
	d := time.Duration(after.Words-before.Words) * times.Word
	if after.MassErases > before.MassErases {
		banks := chip.Layout[len(chip.Layout)-1].Bank
		return d + time.Duration(banks)*times.Bank
	}
	for i := range after.Erases {
		d += time.Duration(after.Erases[i]-before.Erases[i]) * times.Erase[0].Time
	}
	return d
}

// TestFigures flashes in virtual time and holds the clock against the limits, and
// against what the bytes say.
func TestFigures(t *testing.T) {
	for _, id := range []uint16{0x414, 0x415} {
		for _, f := range figures() {
			for _, times := range []bool{false, true} {
				for _, turnaround := range []time.Duration{0, time.Millisecond} {
					t.Run(fmt.Sprintf("0x%03X/%s/times=%v/%v", id, f.name, times, turnaround), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { testFigure(t, id, f, times, turnaround) })
					})
				}
			}
		}
	}
}

func testFigure(t *testing.T, id uint16, f figure, times bool, turnaround time.Duration) {
	r, c, j, stop := figureRig(t, id, f, times, stm32sim.LineOptions{Baud: figureBaud, Turnaround: turnaround})
	defer stop()
	start := time.Now()
	e, res := r.put(c, f.image, j)
	took := time.Since(start)
	r.expect(blankFlash(r.chip, at(0, f.image)))
	if said := e.time(turnaround, times); took < said-said/100-time.Millisecond || took > said+said/100+time.Millisecond {
		t.Errorf("it took %v, the bytes and bursts say %v", took, said)
	}
	minimum := wireMinimum(r.chip, f.image)
	if strings.HasPrefix(f.of, "full") {
		minimum = wireMinimum(r.chip, figures()[0].image)
	}
	limit := time.Duration(f.limit * float64(minimum.time(turnaround, false)))
	if f.limit == 0 {
		limit = time.Second
		if turnaround > 0 {
			limit += time.Duration(e.turns) * turnaround
		}
		if !res.Identical {
			t.Error("not recognised as identical")
		}
	}
	if !times && took > limit {
		t.Errorf("it took %v, the limit is %v", took, limit)
	}
}

// TestStm32flashModel holds the model against a recorded session, write_1k_f103:
// 1072 bytes out, 40 in, 36 bursts, of which connecting (connect_f103) takes 7, 26
// and 8.
func TestStm32flashModel(t *testing.T) {
	chip, _ := stm32boot.Lookup(0x410)
	e := eraseEffort(chip, 1)
	e.bytes += 4 * 268
	e.turns += 4 * 6
	if e.bytes != 1072+40-7-26 || e.turns != 36-8 {
		t.Errorf("%d bytes, %d bursts", e.bytes, e.turns)
	}
}

// BenchmarkFlash prints the table of part C6 of the rulings, and measures what
// the client and the emulated target cost a computer. The times in the table are
// computed from bytes and bursts; TestFigures holds them against a clock.
func BenchmarkFlash(b *testing.B) {
	table := new(strings.Builder)
	fmt.Fprintf(table, "512 KiB at 115200 baud, 8E1, nothing verified, connecting excluded: bytes, bursts, seconds, seconds with those of the flash\n")
	fmt.Fprintf(table, "%-5s %-12s %10s | %27s | %27s | %27s | %8s %8s\n", "chip", "image", "turnaround",
		"ours", "wire minimum", "stm32flash", "of min.", "of full")
	for _, id := range []uint16{0x414, 0x415} {
		for _, f := range figures() {
			row(b, table, id, f)
			b.Run(fmt.Sprintf("0x%03X/%s", id, strings.ReplaceAll(f.name, " ", "_")), func(b *testing.B) {
				b.SetBytes(figureSize)
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					r, c, j, stop := figureRig(b, id, f, false, stm32sim.LineOptions{})
					b.StartTimer()
					r.put(c, f.image, j)
					b.StopTimer()
					stop()
					b.StartTimer()
				}
			})
		}
	}
	fmt.Print(table)
}

// row adds a figure to the table.
func row(b *testing.B, w *strings.Builder, id uint16, f figure) {
	r, c, j, stop := figureRig(b, id, f, false, stm32sim.LineOptions{})
	defer stop()
	before := r.target.Stats()
	ours, _ := r.put(c, f.image, j)
	ours.device = deviceTime(r.chip, before, r.target.Stats())
	minimum, other := wireMinimum(r.chip, f.image), stm32flash(r.chip, len(f.image))
	full := wireMinimum(r.chip, figures()[0].image)
	for _, turnaround := range []time.Duration{0, time.Millisecond} {
		fmt.Fprintf(w, "0x%03X %-12s %10v | %s | %s | %s | %7.2f%% %7.2f%%\n", id, f.name, turnaround,
			cells(ours, turnaround), cells(minimum, turnaround), cells(other, turnaround),
			100*ratio(ours, minimum, turnaround), 100*ratio(ours, full, turnaround))
	}
}

func cells(e effort, turnaround time.Duration) string {
	return fmt.Sprintf("%6d %5d %6.2f %6.2f", e.bytes, e.turns, e.time(turnaround, false).Seconds(), e.time(turnaround, true).Seconds())
}

func ratio(a, b effort, turnaround time.Duration) float64 {
	return float64(a.time(turnaround, false)) / float64(b.time(turnaround, false))
}
