package stm32boot

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// csvRow is a row of chips.csv by column names.
type csvRow map[string]string

func csvRows(t *testing.T) (rows []csvRow) {
	f, err := os.Open("chips.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range all[1:] {
		row := csvRow{}
		for i, name := range all[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// TestChipTable compares every column of every row with what Lookup gives,
// written back in the notation of the file.
func TestChipTable(t *testing.T) {
	rows := csvRows(t)
	if len(rows) != 95 || len(Chips()) != len(rows) {
		t.Fatalf("%d rows, %d chips", len(rows), len(Chips()))
	}
	for i, row := range rows {
		id, err := strconv.ParseUint(row["product_id"], 0, 16)
		if err != nil {
			t.Fatal(err)
		}
		chip, ok := Lookup(uint16(id))
		if !ok || Chips()[i].ID != chip.ID {
			t.Errorf("%s: found %v, place %d", row["product_id"], ok, i)
			continue
		}
		for column, got := range columns(chip) {
			if want, known := row[column]; !known || got != want {
				t.Errorf("%s %s: %q, the file has %q", row["product_id"], column, got, want)
			}
			delete(row, column)
		}
		if len(row) != 0 {
			t.Errorf("%s: columns not compared: %v", chip, row)
		}
	}
}

// columns writes a chip as the file does.
func columns(c Chip) csvRow {
	addr := func(v uint32) string { return unless(v == 0, fmt.Sprintf("0x%08X", v)) }
	var options []string
	for _, r := range c.OptionBytes {
		options = append(options, fmt.Sprintf("0x%08X+%d", r.Addr, r.Size))
	}
	return csvRow{
		"product_id": fmt.Sprintf("0x%03X", c.ID), "family": c.Family, "name": c.Name,
		"flash_start": addr(c.FlashStart), "flash_size_max": fmt.Sprintf("%dK", c.FlashSize>>10),
		"layout": layoutText(c.Layout), "layout_alt": layoutText(c.LayoutAlt),
		"erased_byte": fmt.Sprintf("%02X", c.Erased), "ram_start": addr(c.RAMStart),
		"ram_bl_reserved": unless(c.RAMReserved == 0, fmt.Sprint(c.RAMReserved)), "ram_end_max": addr(c.RAMEnd),
		"option_bytes": strings.Join(options, ";"), "sysmem_start": addr(c.SysmemStart), "sysmem_end": addr(c.SysmemEnd),
		"flash_size_reg": addr(c.FlashSizeReg), "bl_id_addr": addr(c.BootIDReg),
		"erase_cmd": fmt.Sprintf("0x%02X", c.EraseCmd), "write_align": fmt.Sprint(c.WriteAlign),
		"flags": flagText(c), "sources": c.Sources,
	}
}

func unless(unknown bool, s string) string {
	if unknown {
		return ""
	}
	return s
}

func layoutText(layout []Pages) string {
	var s strings.Builder
	for i, run := range layout {
		switch {
		case i > 0 && run.Bank != layout[i-1].Bank:
			s.WriteString("|")
		case i > 0:
			s.WriteString("+")
		}
		if run.Size%1024 == 0 {
			fmt.Fprintf(&s, "%dx%dK", run.Count, run.Size>>10)
		} else {
			fmt.Fprintf(&s, "%dx%d", run.Count, run.Size)
		}
	}
	return s.String()
}

// flagText gives the flags in the order of the file, which is not that of the bits.
func flagText(c Chip) string {
	order := []string{"obl_launch", "clear_pempty", "no_mass_erase", "ecc_no_overwrite", "max_transfer_128",
		"trustzone", "dual_bank", "slow_mass_erase", "data_flash", "empty_check", "boot0_optbit",
		"boot0_pin_off_by_default", "no_free_ram", "extra_ack_after_init", "verify_after_all_writes"}
	names := strings.Split(c.Flags.String(), ";")
	if c.DataFlash.Size != 0 {
		names = append(names, "data_flash")
	}
	var out []string
	for _, name := range order {
		switch {
		case !slices.Contains(names, name):
		case name == "data_flash":
			out = append(out, fmt.Sprintf("data_flash@0x%08X+%d", c.DataFlash.Addr, c.DataFlash.Size))
		default:
			out = append(out, name)
		}
	}
	return strings.Join(out, ";")
}

// TestLayouts checks what the rest of the package relies on.
func TestLayouts(t *testing.T) {
	for _, c := range Chips() {
		for _, layout := range [][]Pages{c.Layout, c.LayoutAlt} {
			total := uint32(0)
			for _, run := range layout {
				total += uint32(run.Count) * run.Size
				if run.Size%uint32(c.WriteAlign) != 0 {
					t.Errorf("%s: page of %d bytes, flash word of %d", c, run.Size, c.WriteAlign)
				}
			}
			if layout != nil && total != c.FlashSize {
				t.Errorf("%s: pages make up %#x, flash is %#x", c, total, c.FlashSize)
			}
		}
		if c.BlockSize()%c.WriteAlign != 0 || c.WriteAlign%4 != 0 {
			t.Errorf("%s: blocks of %d, flash word of %d", c, c.BlockSize(), c.WriteAlign)
		}
		if c.Flags.Has(ECC) && c.Erased != 0xFF {
			t.Errorf("%s: ECC with erased %02x", c, c.Erased)
		}
	}
}

// TestPages walks every page of every chip and looks it up by its first, last and
// neighbouring bytes.
func TestPages(t *testing.T) {
	for _, c := range Chips() {
		next, n := c.FlashStart, 0
		for p := range c.Pages() {
			if p.Addr != next || p.Number != n || p.Bank < 1 || p.Bank > 2 {
				t.Fatalf("%s: page %+v, want number %d at %#x", c, p, n, next)
			}
			if got, ok := c.PageAt(n); !ok || got != p {
				t.Fatalf("%s: PageAt(%d) = %+v, %v, want %+v", c, n, got, ok, p)
			}
			for _, addr := range []uint32{p.Addr, p.Addr + p.Size - 1} {
				number, start, size, ok := c.Page(addr)
				if !ok || number != n || start != p.Addr || size != p.Size {
					t.Fatalf("%s: Page(%#x) = %d, %#x, %d, %v", c, addr, number, start, size, ok)
				}
			}
			next, n = next+p.Size, n+1
		}
		if n != c.PageCount() || next != c.FlashStart+c.FlashSize {
			t.Errorf("%s: %d pages to %#x", c, n, next)
		}
		for _, addr := range []uint32{0, c.FlashStart - 1, next, ^uint32(0)} {
			if _, _, _, ok := c.Page(addr); ok {
				t.Errorf("%s: %#x is in flash", c, addr)
			}
		}
		for _, n := range []int{-1, c.PageCount(), 1 << 30} {
			if _, ok := c.PageAt(n); ok {
				t.Errorf("%s: there is a page %d", c, n)
			}
		}
	}
	var none Chip
	if _, _, _, ok := none.Page(0); ok || none.PageCount() != 0 {
		t.Error("the zero chip has pages")
	}
}

func TestTrim(t *testing.T) {
	rows := []struct {
		id     uint16
		size   uint32
		layout string
	}{
		{0x410, 64 << 10, "64x1K"},
		{0x410, 0, "128x1K"},
		{0x410, 1 << 30, "128x1K"},
		{0x411, 512 << 10, "4x16K+1x64K+3x128K"},
		{0x411, 100 << 10, "4x16K"},
		{0x415, 512 << 10, "256x2K"},
		{0x415, 768 << 10, "256x2K|128x2K"},
		{0x419, 1 << 20, "4x16K+1x64K+7x128K"},
		{0x451, 1 << 20, "4x32K+1x128K+3x256K"},
		{0x436, 256 << 10, "768x256|256x256"},
	}
	for _, row := range rows {
		c, _ := Lookup(row.id)
		before := layoutText(c.Layout)
		got := c.Trim(row.size)
		total := uint32(0)
		for _, run := range got.Layout {
			total += uint32(run.Count) * run.Size
		}
		if text := layoutText(got.Layout); text != row.layout || got.FlashSize != total {
			t.Errorf("%s trimmed to %d: %s, %d bytes; want %s", c, row.size, text, got.FlashSize, row.layout)
		}
		if len(got.Layout) > 0 {
			got.Layout[0].Count = 7
		}
		if layoutText(c.Layout) != before {
			t.Errorf("%s: Trim changed the chip it was called on", c)
		}
	}
}

func TestAlternate(t *testing.T) {
	c, _ := Lookup(0x469)
	alt := c.Alternate()
	if layoutText(alt.Layout) != "128x4K" || layoutText(alt.Alternate().Layout) != layoutText(c.Layout) {
		t.Errorf("alternate layout is %s", layoutText(alt.Layout))
	}
	if half := c.Trim(256 << 10).Alternate(); layoutText(half.Layout) != "64x4K" {
		t.Errorf("half of the alternate layout is %s", layoutText(half.Layout))
	}
	one, _ := Lookup(0x410)
	if layoutText(one.Alternate().Layout) != layoutText(one.Layout) {
		t.Error("a chip with one layout has another")
	}
}

// TestChipsAreCopies: what a caller does to a chip stays with it.
func TestChipsAreCopies(t *testing.T) {
	a, _ := Lookup(0x410)
	a.Layout[0].Count, a.OptionBytes[0].Addr = 1, 1
	b, _ := Lookup(0x410)
	if b.Layout[0].Count != 128 || b.OptionBytes[0].Addr == 1 {
		t.Error("the table was changed")
	}
	if _, ok := Lookup(0xFFF); ok {
		t.Error("found a chip that does not exist")
	}
}

// TestGeometry: a chip that contradicts itself is refused before anything is sent,
// by Connect and by PlanFlash; those of the table are not.
func TestGeometry(t *testing.T) {
	good := Chip{FlashStart: 0x08000000, FlashSize: 3 << 10, Layout: []Pages{{3, 1 << 10, 1}}, WriteAlign: 8, Erased: 0xFF}
	rows := []struct {
		name   string
		change func(c *Chip)
		ok     bool
	}{
		{"good", func(*Chip) {}, true},
		{"two sizes", func(c *Chip) { c.Layout = []Pages{{1, 1 << 10, 1}, {1, 2 << 10, 1}} }, true},
		{"no layout", func(c *Chip) { c.Layout = nil }, true},
		{"no flash word", func(c *Chip) { c.WriteAlign = 0 }, true},
		{"longest flash word", func(c *Chip) { c.WriteAlign = 128 }, true},
		{"no pages", func(c *Chip) { c.Layout[0].Count = 0 }, false},
		{"fewer than no pages", func(c *Chip) { c.Layout[0].Count = -1 }, false},
		{"pages without bytes", func(c *Chip) { c.Layout[0].Size = 0 }, false},
		{"too few pages", func(c *Chip) { c.FlashSize += 1 << 10 }, false},
		{"too many pages", func(c *Chip) { c.FlashSize -= 1 << 10 }, false},
		{"far too many pages", func(c *Chip) { c.Layout[0].Count, c.FlashSize = 1<<22+3, 3<<10 }, false},
		{"flash word of 12", func(c *Chip) { c.WriteAlign = 12 }, false},
		{"flash word of 256", func(c *Chip) { c.WriteAlign = 256 }, false},
		{"negative flash word", func(c *Chip) { c.WriteAlign = -8 }, false},
		{"pages of half words", func(c *Chip) { c.Layout, c.FlashSize = []Pages{{2, 1004, 1}}, 2008 }, false},
		{"odd start", func(c *Chip) { c.FlashStart += 4 }, false},
		{"beyond the address space", func(c *Chip) { c.FlashStart = 0xFFFFFC00 }, false},
	}
	for _, row := range rows {
		chip := good.Trim(0)
		row.change(&chip)
		if err := chip.check(); (err == nil) != row.ok || err != nil && !errors.Is(err, ErrGeometry) {
			t.Errorf("%s: %v", row.name, err)
		}
		if row.ok {
			continue
		}
		r := newROM(0x410)
		if _, err := Connect(t.Context(), Config{Port: r, Chip: &chip}); !errors.Is(err, ErrGeometry) || r.taken > 0 {
			t.Errorf("%s: connect: %v, %d bytes sent", row.name, err, r.taken)
		}
		if _, err := PlanFlash(chip, Image{{Addr: 0x08000000, Data: image(16)}}, FlashOptions{}); !errors.Is(err, ErrGeometry) {
			t.Errorf("%s: plan: %v", row.name, err)
		}
	}
	for _, chip := range Chips() {
		if err := chip.check(); err != nil {
			t.Errorf("%s: %v", chip, err)
		}
		if small := chip.Trim(chip.FlashSize / 2); small.check() != nil {
			t.Errorf("half of %s: %v", chip, small.check())
		}
	}
}
