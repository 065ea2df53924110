package stm32boot

import (
	"fmt"
	"iter"
	"strings"
	"time"
)

// eraseChunk and eraseBytes bound what one erase command is given, so that a
// fault costs little and progress shows.
const (
	eraseChunk = 32
	eraseBytes = 64 << 10
)

// eraseLists returns the pages to erase, as lists for one command each. The first
// page is the first of the first list. It is empty when all is erased at once.
func (p *Plan) eraseLists() (lists [][]Page) {
	if p.MassErase {
		return nil
	}
	size := uint32(0)
	for page := range p.toErase() {
		n := len(lists)
		if n == 0 || len(lists[n-1]) == eraseChunk || size+page.Size > eraseBytes {
			lists, size = append(lists, nil), 0
			n++
		}
		lists[n-1] = append(lists[n-1], page)
		size += page.Size
	}
	return lists
}

// toErase yields the pages to erase, the first page first.
func (p *Plan) toErase() iter.Seq[Page] {
	return func(yield func(Page) bool) {
		first := p.Pages[0]
		if first.Action != ActionWrite && !p.everything() {
			return // nothing has changed
		}
		if !yield(first.Page) {
			return
		}
		if p.everything() {
			for page := range p.Chip.Pages() {
				if page.Addr != first.Addr && !yield(page) {
					return
				}
			}
			return
		}
		for _, page := range p.Pages[1:] {
			if page.Action == ActionWrite && !yield(page.Page) {
				return
			}
		}
	}
}

// everything reports whether all pages are to be erased by their numbers.
func (p *Plan) everything() bool {
	return p.Options.Erase == EraseAll && !p.MassErase && !p.Resumed
}

// blocks yields the blocks to write in a page, in the order of their addresses.
func (p *Plan) blocks(page *PlanPage, size int) iter.Seq[span] {
	return p.content.blocks(page.Addr, page.Size, max(size, p.align()), p.align())
}

// gaps yields what is to be preserved in a page that is not kept.
func (p *Plan) gaps(page *PlanPage) iter.Seq[span] {
	return func(yield func(span) bool) {
		if !p.Options.Preserve || page.Action == ActionKeep {
			return
		}
		at := page.Addr
		for r := range p.content.runs(page.Addr, page.Size) {
			if r.addr > at && !yield(span{at, int(r.addr - at)}) {
				return
			}
			at = r.addr + uint32(r.n)
		}
		if end := page.Addr + page.Size; at < end {
			yield(span{at, int(end - at)})
		}
	}
}

// Warnings tells what the plan destroys besides what it replaces.
func (p *Plan) Warnings() (warnings []string) {
	lost, pages := 0, 0
	for i := range p.Pages {
		page := &p.Pages[i]
		if rest := int(page.Size) - page.Bytes; rest > 0 && page.Action != ActionKeep && !p.Options.Preserve {
			lost += rest
			pages++
		}
	}
	if lost > 0 {
		warnings = append(warnings, fmt.Sprintf("%d bytes beside the image, in %d of its pages, will be lost", lost, pages))
	}
	if others := p.Chip.PageCount() - len(p.Pages); others > 0 && (p.MassErase || p.everything()) {
		warnings = append(warnings, fmt.Sprintf("%s that the image does not touch will be erased", pageCount(others)))
	}
	return warnings
}

// Count returns how many pages the plan has with an action.
func (p *Plan) Count(a Action) (n int) {
	for i := range p.Pages {
		if p.Pages[i].Action == a {
			n++
		}
	}
	return n
}

// String returns the plan in lines for people, with an estimate for 115200 baud
// without turnaround.
func (p *Plan) String() string {
	var b strings.Builder
	bytes, blocks := 0, 0
	for i := range p.Pages {
		bytes += p.Pages[i].Bytes
		if p.Pages[i].Action != ActionKeep {
			blocks += p.Pages[i].Blocks
		}
	}
	fmt.Fprintf(&b, "chip    %v, %d KiB of flash\n", p.Chip, p.Chip.FlashSize>>10)
	fmt.Fprintf(&b, "image   %d bytes in %s, sha256 %x\n", bytes, pageCount(len(p.Pages)), p.Image[:8])
	if p.Resumed {
		fmt.Fprintf(&b, "resume  interrupted in step %v\n", p.journal.Step)
	}
	p.listPages(&b)
	fmt.Fprintf(&b, "erase   %s\n", p.eraseText())
	fmt.Fprintf(&b, "write   %d blocks\n", blocks)
	fmt.Fprintf(&b, "verify  %v\n", p.Options.Verify)
	cost := p.Cost()
	fmt.Fprintf(&b, "cost    %d bytes out, %d in, about %v at 115200 baud\n",
		cost.Sent, cost.Received, cost.Duration(115200, 0).Round(100*time.Millisecond))
	for _, w := range p.Warnings() {
		fmt.Fprintf(&b, "warning %s\n", w)
	}
	return b.String()
}

// listPages writes a line for each run of pages with the same action.
func (p *Plan) listPages(b *strings.Builder) {
	for i := 0; i < len(p.Pages); {
		n := i + 1
		for n < len(p.Pages) && p.Pages[n].Action == p.Pages[i].Action &&
			p.Pages[n].Number == p.Pages[n-1].Number+1 {
			n++
		}
		first, last := p.Pages[i], p.Pages[n-1]
		fmt.Fprintf(b, "pages   %d-%d 0x%08X-0x%08X %v", first.Number, last.Number,
			first.Addr, last.Addr+last.Size-1, first.Action)
		if p.Stored && first.Action == ActionKeep {
			b.WriteString(" (by the journal)")
		}
		b.WriteString("\n")
		i = n
	}
}

// eraseText says how much is erased and how.
func (p *Plan) eraseText() string {
	upTo, q := "", p.worst()
	if p.Count(ActionCheck) > 0 {
		upTo = "up to "
	}
	if q.MassErase {
		return upTo + "all of the flash at once"
	}
	pages := 0
	for range q.toErase() {
		pages++
	}
	return upTo + pageCount(pages)
}

// pageCount returns "1 page" or "n pages".
func pageCount(n int) string {
	if n == 1 {
		return "1 page"
	}
	return fmt.Sprintf("%d pages", n)
}
