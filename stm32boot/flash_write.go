package stm32boot

import (
	"context"
	"errors"
	"slices"
	"time"
)

// errDirty: a block holds something that only an erase removes.
var errDirty = errors.New("stm32boot: a block holds neither what it should nor nothing")

// erase erases what the plan says.
func (f *flasher) erase(ctx context.Context) error {
	lists := f.p.eraseLists()
	f.meter.total[PhaseErase] = 0
	for _, pages := range lists {
		f.meter.total[PhaseErase] += sizeOf(pages)
	}
	if f.p.MassErase {
		f.meter.total[PhaseErase] += int64(f.p.Chip.FlashSize)
	}
	f.meter.enter(PhaseErase)
	if f.p.MassErase {
		if err := f.eraseAll(ctx); err != nil {
			return err
		}
	}
	wanted := numbers(slices.Concat(lists...))
	for _, pages := range lists {
		if err := f.erasePages(ctx, pages, wanted); err != nil {
			return err
		}
	}
	for i := range f.p.Pages {
		if f.p.Pages[i].Action == ActionWrite {
			f.pages[i].unready = true
			f.meter.mark(i, PageErased)
		}
	}
	f.meter.total[PhaseWrite] = f.bytes(ActionWrite)
	if f.p.Options.Verify != VerifyNone {
		f.meter.total[PhaseVerify] = f.meter.total[PhaseWrite]
	}
	f.journal.advance(StepWrite, f.firstChange())
	return nil
}

// eraseAll erases the whole flash by one command.
func (f *flasher) eraseAll(ctx context.Context) error {
	size := int64(f.p.Chip.FlashSize)
	err := f.await(size, f.p.Chip.massTime(), func() error {
		return f.insist(ctx, func() error { return f.hurt(f.c.eraseMass(ctx)) })
	})
	if err == nil {
		f.trouble.clear(f.meter.add(size))
	}
	return err
}

// await runs what erases so many bytes, and has progress told meanwhile.
func (f *flasher) await(bytes int64, expected time.Duration, run func() error) error {
	link := &f.c.link
	f.meter.await(link.now(), bytes, expected)
	link.idle = func() { f.meter.waiting(link.now()) }
	defer func() {
		link.idle = nil
		f.meter.awaited()
	}()
	return run()
}

// erasePages erases pages by as few commands as are safe: of what noise could
// make of them, none erases a page that is not wanted to be erased.
func (f *flasher) erasePages(ctx context.Context, pages []Page, wanted []int) error {
	t, expected := f.p.Chip.times(), time.Duration(0)
	for _, page := range pages {
		expected += t.erase(page.Size)
	}
	err := f.await(sizeOf(pages), expected, func() error {
		for _, list := range f.c.arrange(numbers(pages), wanted) {
			if err := f.eraseList(ctx, list); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		f.trouble.clear(f.meter.add(sizeOf(pages)))
	}
	return err
}

// eraseList erases pages by one command, or one by one if that does not work.
// Pages that were erased before a fault are erased again.
func (f *flasher) eraseList(ctx context.Context, list []int) error {
	for len(list) > 0 {
		n := len(list)
		if f.trouble.level > 0 {
			n = 1
		}
		if err := f.hurt(f.c.eraseList(ctx, list[:n])); err != nil {
			if err := f.failed(ctx, err); err != nil {
				return err
			}
			continue
		}
		f.trouble.clear(false)
		list = list[n:]
	}
	return nil
}

func numbers(pages []Page) (list []int) {
	for _, p := range pages {
		list = append(list, p.Number)
	}
	return list
}

// hurt notes a fault during an erase.
func (f *flasher) hurt(err error) error {
	if err != nil {
		f.wounds++
	}
	return err
}

func sizeOf(pages []Page) (sum int64) {
	for _, p := range pages {
		sum += int64(p.Size)
	}
	return sum
}

// writePage writes a page if it is erased and not yet written.
func (f *flasher) writePage(ctx context.Context, i int) error {
	page, known := &f.p.Pages[i], &f.pages[i]
	if !known.unready {
		return nil
	}
	f.meter.enter(PhaseWrite)
	for start, tries := f.meter.done[PhaseWrite], 1; ; tries++ {
		resets := f.c.link.stats.Resets
		err := f.fillPage(ctx, i)
		if err == nil {
			if f.c.link.stats.Resets != resets {
				f.wounds++ // the target may have taken data for a command
			}
			known.unready, known.unread, known.sound = false, true, f.wounds
			f.meter.mark(i, PageWritten)
			f.trouble.clear(f.meter.add(start + int64(page.Bytes) - f.meter.done[PhaseWrite]))
			f.journal.wrote(page.Addr + page.Size)
			return nil
		}
		if !errors.Is(err, errDirty) {
			return err
		}
		if tries%maxFailures == 0 {
			if err := f.escalate(ctx, err); err != nil {
				return err
			}
		}
		f.meter.add(start - f.meter.done[PhaseWrite])
		if err := f.erasePage(ctx, i); err != nil {
			return err
		}
		f.meter.enter(PhaseWrite)
	}
}

// fillPage writes the blocks of a page. Of the first page the first block comes
// last.
func (f *flasher) fillPage(ctx context.Context, i int) error {
	page := &f.p.Pages[i]
	cut := page.Addr
	if i == 0 {
		first := f.p.content.block(page.Addr, page.Size, f.p.align(), f.want[:])
		cut = min(first.addr+uint32(f.p.Chip.BlockSize()), page.Addr+page.Size)
	}
	if err := f.fill(ctx, cut, page.Addr+page.Size-cut); err != nil {
		return err
	}
	return f.fill(ctx, page.Addr, cut-page.Addr)
}

// fill writes the blocks of size erased bytes at addr.
func (f *flasher) fill(ctx context.Context, addr, size uint32) error {
	for end := addr + size; addr < end; {
		b := f.p.content.block(addr, end-addr, f.p.align(), f.want[:f.size])
		if b.n == 0 {
			return nil
		}
		want := f.want[:b.n]
		f.p.content.read(want, b.addr)
		err := f.writeBlock(ctx, b, want)
		switch {
		case err == nil:
			addr = b.addr + uint32(b.n)
			f.trouble.clear(f.meter.add(int64(b.n)))
		case errors.Is(err, errDirty):
			return err
		default:
			if err := f.failed(ctx, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeBlock makes one attempt at a block. If an attempt before it may have
// left something there, the block is read first.
func (f *flasher) writeBlock(ctx context.Context, b span, want []byte) error {
	if f.suspect.overlaps(b) {
		found, err := f.look(ctx, b.addr, want)
		switch {
		case err != nil:
			return err
		case found == same:
			return nil
		case found == other:
			return errDirty
		}
	}
	err := f.c.writeBlock(ctx, b.addr, want)
	if err == nil {
		f.result.Bytes += int64(b.n)
		return nil
	}
	if !refusedEarly(err) && !f.suspect.overlaps(b) {
		f.suspect = b
	}
	return err
}

// refusedEarly reports whether a Write was refused before its data.
func refusedEarly(err error) bool {
	nack, is := errors.AsType[*NackError](err)
	return is && nack.Stage != StageData
}

// erasePage erases a page that must be written again.
func (f *flasher) erasePage(ctx context.Context, i int) error {
	page, known := &f.p.Pages[i], &f.pages[i]
	f.c.note(Event{Kind: EventPage, At: Place{Command: CmdErase, Addr: page.Addr}, Baud: f.c.Baud()})
	f.result.Repaired++
	f.suspect = span{}
	f.meter.mark(i, PageBad)
	if !known.unready {
		f.meter.done[PhaseWrite] -= int64(page.Bytes)
	}
	known.unready = true
	f.meter.done[PhaseErase] -= int64(page.Size)
	f.meter.enter(PhaseErase)
	if len(f.p.Chip.Layout) == 0 {
		return f.eraseAll(ctx)
	}
	return f.erasePages(ctx, []Page{page.Page}, []int{page.Number})
}
