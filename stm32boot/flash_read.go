package stm32boot

import (
	"context"
	"crypto/sha256"
	"errors"
)

// survey finds out which pages are to be written, as far as the plan left that
// open, and refuses a locked target.
func (f *flasher) survey(ctx context.Context) error {
	if err := f.knock(ctx); err != nil {
		return err
	}
	if err := f.trust(ctx); err != nil {
		return err
	}
	f.meter.total[PhaseRead] = f.bytes(ActionCheck)
	f.meter.enter(PhaseRead)
	for i := range f.p.Pages {
		page := &f.p.Pages[i]
		if page.Action != ActionCheck {
			continue
		}
		err := f.compare(ctx, i)
		switch _, differs := errors.AsType[*VerifyError](err); {
		case differs:
			page.Action = ActionWrite
		case err != nil:
			return err
		default:
			page.Action = ActionKeep
		}
	}
	f.p.settle()
	for i := range f.p.Pages {
		if f.p.Pages[i].Action == ActionKeep {
			f.meter.mark(i, PageKept)
		}
	}
	return nil
}

// knock is how many bytes are read to see whether the target can be read.
const knock = 4

// knock reads a little, to see that the target can be read.
func (f *flasher) knock(ctx context.Context) error {
	return f.insist(ctx, func() error {
		return f.c.readBlock(ctx, f.p.Pages[0].Addr, f.got[:knock])
	})
}

// trust reads the first page back, if the plan relies on what the journal says of
// the pages. If it is not as the journal says, all pages are to be checked.
func (f *flasher) trust(ctx context.Context) error {
	if !f.p.Stored {
		return nil
	}
	page := &f.p.Pages[0]
	stored, _ := f.p.journal.sumOf(page.Addr)
	var err error
	if stored == f.p.sum(page) {
		err = f.compare(ctx, 0)
	} else {
		err = f.compareSum(ctx, page, stored)
	}
	if !errors.Is(err, ErrVerify) {
		return err
	}
	f.p.Stored = false
	f.meter.done[PhaseRead] = 0
	for i := range f.p.Pages {
		f.p.Pages[i].Action = ActionCheck
	}
	f.p.settle()
	return nil
}

// compareSum reads what the image has in a page and compares its sum.
func (f *flasher) compareSum(ctx context.Context, page *PlanPage, want [16]byte) error {
	for range maxFailures {
		h := sha256.New()
		for r := range f.p.image.runs(page.Addr, page.Size) {
			h.Write(r.head())
			for r.n > 0 {
				p := f.got[:r.piece(f.size).n]
				if err := f.insist(ctx, func() error { return f.c.readBlock(ctx, r.addr, p) }); err != nil {
					return err
				}
				h.Write(p)
				r = r.after(len(p))
			}
		}
		if [16]byte(h.Sum(nil)) == want {
			return nil
		}
	}
	return ErrVerify
}

// compare reads what the image has in a page, until something differs: then the
// error is a *VerifyError.
func (f *flasher) compare(ctx context.Context, i int) error {
	page := &f.p.Pages[i]
	for r := range f.p.content.runs(page.Addr, page.Size) {
		for r.n > 0 {
			want := f.want[:r.piece(f.size).n]
			f.p.content.read(want, r.addr)
			found, err := f.look(ctx, r.addr, want)
			if err != nil {
				if err := f.failed(ctx, err); err != nil {
					return err
				}
				continue
			}
			if f.found = found; found != same {
				return f.mismatch(r.addr, want)
			}
			f.trouble.clear(f.meter.add(int64(len(want))))
			r = r.after(len(want))
		}
	}
	return nil
}

// preserve reads what else is in a page that is to be written, and makes it part
// of what the page shall hold.
func (f *flasher) preserve(ctx context.Context, i int) error {
	var saved []Segment
	for g := range f.p.gaps(&f.p.Pages[i]) {
		data := make([]byte, g.n)
		if err := f.readCertain(ctx, g.addr, data); err != nil {
			return err
		}
		saved = append(saved, Segment{Addr: g.addr, Data: data})
	}
	f.p.keep(saved)
	f.journal.state.Preserved = f.p.saved
	return nil
}

// readCertain reads p in blocks that are read twice.
func (f *flasher) readCertain(ctx context.Context, addr uint32, p []byte) error {
	for len(p) > 0 {
		n := min(len(p), f.size)
		if err := f.insist(ctx, func() error { return f.certain(ctx, addr, p[:n]) }); err != nil {
			return err
		}
		p, addr = p[n:], addr+uint32(n)
	}
	return nil
}
