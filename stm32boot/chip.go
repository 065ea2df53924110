package stm32boot

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

//go:generate go run gen_chips.go

// Chip is what is known of the chips with one product id. Addresses and sizes
// are in bytes; 0 means unknown unless said otherwise. Sources: ST's device
// database, stm32flash and stm32loader; where they disagree the database wins
// for flash and option bytes.
type Chip struct {
	ID     uint16 // product id, as Get ID gives it: 12 bits
	Family string // "F1", "L4", ...
	Name   string // chips with this id, as in "F411xC/E"

	// FlashSize is that of the largest chip with this id, until [Chip.Trim].
	FlashStart, FlashSize uint32

	// Layout lists the pages (sectors) in the order of their numbers, as runs of
	// pages of one size. Pages follow each other without holes.
	Layout []Pages
	// LayoutAlt is the layout when an option bit selects the other organisation
	// of banks, nil if there is none. See [Chip.Alternate].
	LayoutAlt []Pages

	Erased byte // what erased flash reads as: 0xFF, on L0 and L1 0x00

	// RAM is RAMStart to RAMEnd, the end not included, of which the first
	// RAMReserved bytes are the loader's.
	RAMStart, RAMReserved, RAMEnd uint32

	OptionBytes            []Range // as the loader reaches them
	SysmemStart, SysmemEnd uint32  // the ROM; the end is not included

	FlashSizeReg uint32 // address of the size of flash: 16 bits, little endian, in KiB
	BootIDReg    uint32 // address of the loader's own id byte

	EraseCmd   byte // the erase command to expect; what Get lists counts
	WriteAlign int  // bytes of the flash word: writes begin and end at multiples of it
	DataFlash  Range
	Flags      Flags
	Sources    string // where the row comes from
}

// Pages is a run of pages of one size.
type Pages struct {
	Count int
	Size  uint32
	Bank  int // 1 or 2
}

// Range is a piece of the address space.
type Range struct {
	Addr, Size uint32
}

// Flags are properties of a chip.
type Flags uint32

// Properties of chips. Their String is the name in chips.csv.
const (
	NoMassErase    Flags = 1 << iota // refuses mass erase: all pages are to be listed
	MaxTransfer128                   // blocks of 128 bytes at most
	ECC                              // a flash word can be programmed once per erase
	DualBank                         // two banks
	TrustZone                        // may refuse by its security state
	SlowMassErase                    // takes tens of seconds for a mass erase
	EmptyCheck                       // remembers that its flash was blank: a reset after the first programming may lead back to the ROM
	Boot0OptionBit                   // an option bit can disable the BOOT0 pin
	Boot0PinOff                      // the BOOT0 pin is disabled from the factory
	OBLLaunch                        // restarts by an option byte load
	ClearPEmpty                      // its flag "flash empty" is to be corrected before a restart
	NoFreeRAM                        // the loader leaves no RAM
	ExtraACK                         // a surplus ACK precedes the first answer
	VerifyLast                       // reading a block right after writing gives wrong bytes: verify after all writes
)

var flagNames = [...]string{"no_mass_erase", "max_transfer_128", "ecc_no_overwrite", "dual_bank", "trustzone",
	"slow_mass_erase", "empty_check", "boot0_optbit", "boot0_pin_off_by_default", "obl_launch", "clear_pempty",
	"no_free_ram", "extra_ack_after_init", "verify_after_all_writes"}

// Has reports whether all flags of g are set.
func (f Flags) Has(g Flags) bool { return f&g == g }

// String returns the names of the flags, separated by semicolons.
func (f Flags) String() string {
	var names []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ";")
}

// check refuses descriptions of flash that contradict themselves. Those of the table
// are right; a caller's may be anything. Nothing but an id need be known.
func (c *Chip) check() error {
	why, total := "", uint64(0)
	for _, run := range c.Layout {
		if run.Count <= 0 || run.Size == 0 || run.Count > 1<<16 {
			why = fmt.Sprintf("%d pages of %d bytes", run.Count, run.Size)
			break
		}
		if align := uint32(max(c.WriteAlign, 4)); run.Size%align != 0 {
			why = fmt.Sprintf("pages of %d bytes and flash words of %d", run.Size, align)
		}
		total += uint64(run.Count) * uint64(run.Size)
	}
	switch {
	case why != "":
	case c.WriteAlign < 0 || c.WriteAlign > MaxBlock/2 || c.WriteAlign&(c.WriteAlign-1) != 0:
		why = fmt.Sprintf("flash words of %d bytes", c.WriteAlign)
	case len(c.Layout) > 0 && total != uint64(c.FlashSize):
		why = fmt.Sprintf("pages of %d bytes altogether in %d bytes of flash", total, c.FlashSize)
	case c.FlashStart%MaxBlock != 0 || uint64(c.FlashStart)+uint64(c.FlashSize) > 1<<32:
		why = fmt.Sprintf("%d bytes of flash at 0x%08X", c.FlashSize, c.FlashStart)
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrGeometry, why)
}

// Lookup returns the chip with a product id. The caller owns it.
func Lookup(id uint16) (Chip, bool) {
	for _, c := range chipTable() {
		if c.ID == id {
			return c, true
		}
	}
	return Chip{}, false
}

// Chips returns all known chips by ascending product id. The caller owns them.
func Chips() []Chip { return chipTable() }

// String returns id, family and name, as in "0x431 F4 F411xC/E".
func (c Chip) String() string {
	return strings.TrimSpace(fmt.Sprintf("0x%03X %s %s", c.ID, c.Family, c.Name))
}

// PageCount returns the number of pages.
func (c *Chip) PageCount() int {
	n := 0
	for _, p := range c.Layout {
		n += p.Count
	}
	return n
}

// Page is one page of flash.
type Page struct {
	Number int
	Addr   uint32
	Size   uint32
	Bank   int
}

// Pages yields the pages in the order of their numbers, which is that of their
// addresses.
func (c *Chip) Pages() iter.Seq[Page] {
	return func(yield func(Page) bool) {
		page := Page{Addr: c.FlashStart}
		for _, run := range c.Layout {
			page.Size, page.Bank = run.Size, run.Bank
			for range run.Count {
				if !yield(page) {
					return
				}
				page.Number++
				page.Addr += run.Size
			}
		}
	}
}

// Page returns the page that holds addr; ok is false outside flash.
func (c *Chip) Page(addr uint32) (number int, start, size uint32, ok bool) {
	start = c.FlashStart
	for _, run := range c.Layout {
		if addr < start {
			break
		}
		if i := (addr - start) / max(run.Size, 1); i < uint32(run.Count) {
			return number + int(i), start + i*run.Size, run.Size, true
		}
		start += uint32(run.Count) * run.Size
		number += run.Count
	}
	return 0, 0, 0, false
}

// PageAt returns the page with a number; ok is false if there is none.
func (c *Chip) PageAt(number int) (p Page, ok bool) {
	p = Page{Number: number, Addr: c.FlashStart}
	if number < 0 {
		return Page{}, false
	}
	for _, run := range c.Layout {
		if number < run.Count {
			p.Addr += uint32(number) * run.Size
			p.Size, p.Bank = run.Size, run.Bank
			return p, true
		}
		number -= run.Count
		p.Addr += uint32(run.Count) * run.Size
	}
	return Page{}, false
}

// InFlash reports whether all of [addr, addr+size) is flash.
func (c *Chip) InFlash(addr uint32, size int) bool {
	return Range{c.FlashStart, c.FlashSize}.Contains(addr, size)
}

// InRAM reports whether all of [addr, addr+size) is RAM that the loader leaves.
func (c *Chip) InRAM(addr uint32, size int) bool {
	start := c.RAMStart + c.RAMReserved
	return c.RAMEnd > start && Range{start, c.RAMEnd - start}.Contains(addr, size)
}

// Contains reports whether all of [addr, addr+size) is inside r.
func (r Range) Contains(addr uint32, size int) bool {
	return size >= 0 && addr >= r.Addr && uint64(addr)+uint64(size) <= uint64(r.Addr)+uint64(r.Size)
}

// BlockSize returns how many bytes one Read or Write may have: 256, or 128.
func (c *Chip) BlockSize() int {
	if c.Flags.Has(MaxTransfer128) {
		return MaxBlock / 2
	}
	return MaxBlock
}

// Trim returns the chip with the flash of a smaller one: the leading pages that
// fit in size bytes. Sizes of 0 and above FlashSize change nothing. Both layouts
// are trimmed; the slices of the result are its own.
func (c Chip) Trim(size uint32) Chip {
	c.OptionBytes = slices.Clone(c.OptionBytes)
	if size == 0 || size > c.FlashSize {
		size = c.FlashSize
	}
	c.LayoutAlt, _ = trimLayout(c.LayoutAlt, size)
	if len(c.Layout) == 0 {
		c.FlashSize = size
		return c
	}
	c.Layout, c.FlashSize = trimLayout(c.Layout, size)
	return c
}

// trimLayout returns the leading pages that fit in size bytes, and their size.
func trimLayout(layout []Pages, size uint32) (kept []Pages, total uint32) {
	for _, run := range layout {
		n := min(run.Count, int((size-total)/max(run.Size, 1)))
		if n > 0 {
			kept = append(kept, Pages{Count: n, Size: run.Size, Bank: run.Bank})
			total += uint32(n) * run.Size
		}
		if n < run.Count {
			break
		}
	}
	return kept, total
}

// Alternate returns the chip with its two layouts swapped, for chips whose option
// bits select the other organisation of banks. Without LayoutAlt it returns c.
func (c Chip) Alternate() Chip {
	if c.LayoutAlt != nil {
		c.Layout, c.LayoutAlt = c.LayoutAlt, c.Layout
	}
	return c
}
