package stm32boot_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// plan plans for a chip, and fails if that is refused.
func plan(t *testing.T, id uint16, size uint32, image stm32boot.Image, opts stm32boot.FlashOptions) *stm32boot.Plan {
	t.Helper()
	chip, ok := stm32boot.Lookup(id)
	if !ok {
		t.Fatalf("no chip 0x%03X", id)
	}
	p, err := stm32boot.PlanFlash(chip.Trim(size), image, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// actions returns a letter for each page: w, c or k.
func actions(p *stm32boot.Plan) string {
	var b strings.Builder
	for i := range p.Pages {
		b.WriteString(p.Pages[i].Action.String()[:1])
	}
	return b.String()
}

// recorded returns a journal with a state.
func recorded(s stm32boot.State) *memJournal {
	b, _ := s.AppendBinary(nil)
	return &memJournal{record: b}
}

// TestPlanActions covers what the journal and the options make of each page.
func TestPlanActions(t *testing.T) {
	image := stm32boot.Image{at(0x1000, noise(1, 5*1024)), at(0x8000, noise(2, 100))}
	digest := plan(t, 0x410, 0, image, stm32boot.FlashOptions{}).Image
	state := func(step stm32boot.Step, next uint32) stm32boot.State {
		return stm32boot.State{Step: step, ProductID: 0x410, UID: "a", Image: digest, Next: next}
	}
	other := state(stm32boot.StepWrite, 0x08002000)
	other.Image[3]++
	foreign := state(stm32boot.StepWrite, 0x08002000)
	foreign.ProductID = 0x414
	all := state(stm32boot.StepWrite, 0x08001C00)
	all.ErasedAll = true
	tests := []struct {
		name    string
		opts    stm32boot.FlashOptions
		journal *memJournal
		want    string
		resumed bool
	}{
		{"plain", stm32boot.FlashOptions{}, nil, "wwwwww", false},
		{"changed", stm32boot.FlashOptions{ChangedOnly: true}, nil, "cccccc", false},
		{"empty journal", stm32boot.FlashOptions{}, new(memJournal), "wwwwww", false},
		{"erasing", stm32boot.FlashOptions{}, recorded(state(stm32boot.StepErase, 0)), "wwwwww", false},
		{"writing", stm32boot.FlashOptions{}, recorded(state(stm32boot.StepWrite, 0x08001C00)), "wccwww", true},
		{"writing all", stm32boot.FlashOptions{}, recorded(state(stm32boot.StepWrite, 0x08008400)), "wccccc", true},
		{"writing, changed", stm32boot.FlashOptions{ChangedOnly: true}, recorded(state(stm32boot.StepWrite, 0x08001800)), "cccccc", true},
		{"verifying", stm32boot.FlashOptions{}, recorded(state(stm32boot.StepVerify, 0)), "cccccc", true},
		{"done", stm32boot.FlashOptions{}, recorded(state(stm32boot.StepDone, 0)), "wwwwww", false},
		{"done, no sums", stm32boot.FlashOptions{ChangedOnly: true}, recorded(state(stm32boot.StepDone, 0)), "cccccc", false},
		{"another image", stm32boot.FlashOptions{}, recorded(other), "wwwwww", false},
		{"another chip", stm32boot.FlashOptions{}, recorded(foreign), "wwwwww", false},
		{"damaged", stm32boot.FlashOptions{}, &memJournal{record: []byte("junk")}, "wwwwww", false},
		{"erase all, writing", stm32boot.FlashOptions{Erase: stm32boot.EraseAll}, recorded(all), "wccwww", true},
		{"erase all, but not then", stm32boot.FlashOptions{Erase: stm32boot.EraseAll}, recorded(state(stm32boot.StepWrite, 0x08001C00)), "wwwwww", false},
		{"erase all then, but not now", stm32boot.FlashOptions{}, recorded(all), "wccwww", true},
	}
	for _, test := range tests {
		test.opts.UID = "a"
		if test.journal != nil {
			test.opts.Journal = test.journal
		}
		p := plan(t, 0x410, 0, image, test.opts)
		if got := actions(p); got != test.want || p.Resumed != test.resumed {
			t.Errorf("%s: %s, resumed %v", test.name, got, p.Resumed)
		}
		if p.Resumed && p.MassErase {
			t.Errorf("%s: mass erase of what was written", test.name)
		}
	}
}

// TestPlanPreserved: what a journal has preserved is taken only for gaps of the image
// in the flash, and a page that is preserved in part is read even if its sum is another.
func TestPlanPreserved(t *testing.T) {
	image := stm32boot.Image{at(0, noise(1, 1500))}
	opts := stm32boot.FlashOptions{Preserve: true}
	p := plan(t, 0x410, 0, image, opts)
	saved := []stm32boot.Segment{at(1500, make([]byte, 548)), {Addr: 0x20000000, Data: []byte{1}}, at(100, []byte{2})}
	opts.Journal = recorded(stm32boot.State{Step: stm32boot.StepWrite, ProductID: 0x410, Image: p.Image, Preserved: saved})
	if p = plan(t, 0x410, 0, image, opts); p.Pages[0].Bytes != 1024 || p.Pages[1].Bytes != 1024 || len(p.Pages) != 2 {
		t.Errorf("pages %+v", p.Pages)
	}
	for _, s := range saved[1:] { // alone, such a segment changes nothing
		opts.Journal = recorded(stm32boot.State{Step: stm32boot.StepWrite, ProductID: 0x410, Image: p.Image, Preserved: []stm32boot.Segment{s}})
		if cost := plan(t, 0x410, 0, image, opts).Cost(); cost != plan(t, 0x410, 0, image, stm32boot.FlashOptions{Preserve: true,
			Journal: recorded(stm32boot.State{Step: stm32boot.StepWrite, ProductID: 0x410, Image: p.Image})}).Cost() {
			t.Errorf("0x%08X changes the plan", s.Addr)
		}
	}
	sums := []stm32boot.PageSum{{Addr: 0x08000000}, {Addr: 0x08000400}}
	for preserve, want := range map[bool]string{true: "wc", false: "ww"} {
		journal := recorded(stm32boot.State{Step: stm32boot.StepDone, ProductID: 0x410, Pages: sums})
		p := plan(t, 0x410, 0, image, stm32boot.FlashOptions{Preserve: preserve, ChangedOnly: true, Journal: journal})
		if got := actions(p); got != want || !p.Stored {
			t.Errorf("preserve %v: %s, stored %v", preserve, got, p.Stored)
		}
	}
}

// TestPlanChunks: one erase command gets 32 pages at most, and 64 KiB unless a page is
// larger.
func TestPlanChunks(t *testing.T) {
	for _, test := range []struct {
		id       uint16
		kib      int
		commands int64
	}{
		{0x410, 33, 2}, {0x410, 32, 1}, // 1 KiB
		{0x415, 64, 1}, {0x415, 66, 2}, // 2 KiB
		{0x466, 64, 1},
		{0x431, 64, 1}, {0x431, 128, 2}, {0x431, 256, 3}, // 4 x 16, 64, 128 KiB
	} {
		opts := stm32boot.FlashOptions{Erase: stm32boot.ErasePages, Verify: stm32boot.VerifyNone}
		full := plan(t, test.id, 0, stm32boot.Image{{Addr: 0x08000000, Size: test.kib << 10, Fill: 0xFF}}, opts)
		if n := (full.Cost().Turns - 6) / 4; n != test.commands { // but for the first read
			t.Errorf("0x%03X: %d commands for %d KiB, want %d", test.id, n, test.kib, test.commands)
		}
	}
}

// TestPlanText pins the text.
func TestPlanText(t *testing.T) {
	p := plan(t, 0x414, 64<<10, stm32boot.Image{at(0, noise(1, 5000)), {Addr: 0x08008000, Size: 4096, Fill: 0xFF}}, stm32boot.FlashOptions{})
	const want = `chip    0x414 F1 F101/F103 High-density, 64 KiB of flash
image   9096 bytes in 5 pages, sha256 4e6f9d2c2f8f3a39
pages   0-2 0x08000000-0x080017FF write
pages   16-17 0x08008000-0x08008FFF write
erase   5 pages
write   20 blocks
verify  read
cost    5522 bytes out, 9273 in, about 1.7s at 115200 baud
warning 1144 bytes beside the image, in 1 of its pages, will be lost
`
	if got := p.String(); cutSum(got) != cutSum(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestPlanErase pins what is erased and how.
func TestPlanErase(t *testing.T) {
	for _, test := range []struct {
		id    uint16
		image stm32boot.Image
		opts  stm32boot.FlashOptions
		want  string
	}{
		{0x410, stm32boot.Image{at(0, make([]byte, 128<<10))}, stm32boot.FlashOptions{}, "all of the flash at once"},
		{0x410, stm32boot.Image{at(0, make([]byte, 128<<10))}, stm32boot.FlashOptions{ChangedOnly: true}, "up to all of the flash at once"},
		{0x410, stm32boot.Image{at(0, make([]byte, 127<<10))}, stm32boot.FlashOptions{}, "127 pages"},
		{0x410, stm32boot.Image{at(0, make([]byte, 3000))}, stm32boot.FlashOptions{ChangedOnly: true}, "up to 3 pages"},
		{0x410, stm32boot.Image{at(0, []byte{1})}, stm32boot.FlashOptions{Erase: stm32boot.EraseAll}, "all of the flash at once"},
		{0x417, stm32boot.Image{at(0x40, []byte{1})}, stm32boot.FlashOptions{Erase: stm32boot.EraseAll}, "512 pages"},
		{0x417, stm32boot.Image{at(0, make([]byte, 64<<10))}, stm32boot.FlashOptions{}, "512 pages"},
		{0x431, stm32boot.Image{at(0, make([]byte, 512<<10))}, stm32boot.FlashOptions{}, "8 pages"},
		{0x415, stm32boot.Image{at(0, make([]byte, 1<<20))}, stm32boot.FlashOptions{Erase: stm32boot.ErasePages}, "512 pages"},
	} {
		if got := plan(t, test.id, 0, test.image, test.opts).String(); !strings.Contains(got, "erase   "+test.want+"\n") {
			t.Errorf("0x%03X: want %q in\n%s", test.id, test.want, got)
		}
	}
}

// cutSum removes the digest.
func cutSum(s string) string {
	before, after, _ := strings.Cut(s, "sha256 ")
	return before + after[16:]
}

// TestPlanRefusals covers the chips that cannot be planned for.
func TestPlanRefusals(t *testing.T) {
	image := stm32boot.Image{at(0, []byte{1})}
	if _, err := stm32boot.PlanFlash(stm32boot.Chip{ID: 0x777}, image, stm32boot.FlashOptions{}); !errors.Is(err, stm32boot.ErrUnknownChip) {
		t.Errorf("unknown chip: %v", err)
	}
	chip, _ := stm32boot.Lookup(0x410)
	for name, opts := range map[string]stm32boot.FlashOptions{
		"erase mode":  {Erase: 9},
		"verify mode": {Verify: 9},
		"uid":         {UID: strings.Repeat("x", 256)},
		"changed":     {Erase: stm32boot.EraseAll, ChangedOnly: true},
	} {
		if _, err := stm32boot.PlanFlash(chip, image, opts); !errors.Is(err, stm32boot.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPlanHuge: a fill of 4 GiB is refused without being made.
func TestPlanHuge(t *testing.T) {
	chip, _ := stm32boot.Lookup(0x410)
	n := testing.AllocsPerRun(1, func() {
		_, err := stm32boot.PlanFlash(chip, stm32boot.Image{{Addr: 0x08000000, Size: math.MaxInt32, Fill: 1}}, stm32boot.FlashOptions{})
		if !errors.Is(err, stm32boot.ErrTooLarge) {
			t.Error(err)
		}
	})
	if n > 20 {
		t.Errorf("%v allocations", n)
	}
}
