package stm32boot

import (
	"context"
	"errors"
	"fmt"
)

// verifyPage reads a page back if its content is in doubt, and repairs it.
func (f *flasher) verifyPage(ctx context.Context, i int) error {
	page, known := &f.p.Pages[i], &f.pages[i]
	if !f.doubtful(i) {
		return nil
	}
	if !known.unread {
		f.meter.total[PhaseVerify] += int64(page.Bytes)
	}
	f.meter.enter(PhaseVerify)
	for start := f.meter.done[PhaseVerify]; ; {
		wounds := f.wounds
		err := f.readBack(ctx, i)
		if err == nil {
			known.sound, known.unread = wounds, false
			f.meter.mark(i, PageVerified)
			return nil
		}
		if !errors.Is(err, ErrVerify) {
			return err
		}
		f.c.note(Event{Kind: EventVerify, At: Place{Command: CmdRead, Addr: page.Addr}, Baud: f.c.Baud(), Err: err})
		if f.found == blank { // and what else?
			f.vanished = true
			f.wounds++
		}
		if known.repaired++; known.repaired > maxRepairs {
			return f.condemn(ctx, i, err)
		}
		f.meter.add(start - f.meter.done[PhaseVerify])
		if err := f.repair(ctx, i); err != nil {
			return err
		}
		f.meter.enter(PhaseVerify)
	}
}

// condemn ends with a page that cannot be repaired. The first page must not be
// there then; it is erased even if it should be blank, as an erase of all may have
// done nothing. If the page cannot be erased it is protected: some targets acknowledge
// what they do to such pages, and do nothing (AN2662).
func (f *flasher) condemn(ctx context.Context, i int, cause error) error {
	if i > 0 {
		if err := f.erasePage(ctx, 0); err != nil {
			return errors.Join(cause, err)
		}
	}
	if err := f.erasePage(ctx, i); err != nil {
		return errors.Join(cause, err)
	}
	wrong, is := errors.AsType[*VerifyError](cause)
	if !is {
		return cause
	}
	found, erased := other, f.want[:1]
	erased[0] = f.p.Chip.Erased
	err := f.insist(ctx, func() (err error) {
		found, err = f.look(ctx, wrong.Addr, erased)
		return err
	})
	if err == nil && found == other {
		return fmt.Errorf("%w: %w", ErrWriteProtected, cause)
	}
	return cause
}

// doubtful reports whether a page is to be read back: one that was written, and
// after a fault during an erase any other too.
func (f *flasher) doubtful(i int) bool {
	k := &f.pages[i]
	return k.sound < f.wounds || k.unread && f.p.Options.Verify != VerifyNone
}

// repair erases a page and writes it again. While another than the first is not
// as it should be, the first must not be there.
func (f *flasher) repair(ctx context.Context, i int) error {
	if i > 0 && !f.pages[0].unready {
		if err := f.erasePage(ctx, 0); err != nil {
			return err
		}
	}
	if page := &f.p.Pages[i]; page.Action != ActionWrite {
		page.Action = ActionWrite
		if err := f.preserve(ctx, i); err != nil {
			return err
		}
	}
	if err := f.erasePage(ctx, i); err != nil {
		return err
	}
	return f.writePage(ctx, i)
}

// readBack compares a page with what it should hold.
func (f *flasher) readBack(ctx context.Context, i int) error {
	if f.p.Options.Verify == VerifyChecksum && f.checksum(ctx, i) {
		return nil
	}
	return f.compare(ctx, i)
}

// checksum reports whether the target's own checksum of a page is right. A target
// that refuses the command is not asked again.
func (f *flasher) checksum(ctx context.Context, i int) bool {
	page := &f.p.Pages[i]
	if f.unsummed || !f.c.Supports(CmdChecksum) {
		return false
	}
	n := 0
	for r := range f.p.content.runs(page.Addr, page.Size) {
		if r.n%4 != 0 || r.addr%4 != 0 {
			return false
		}
		data := make([]byte, r.n)
		f.p.content.read(data, r.addr)
		sum, err := f.c.checksum(ctx, r.addr, uint32(r.n))
		if err != nil {
			f.unsummed = refused(err)
			return false
		}
		if sum != CRC(data) {
			return false
		}
		n += r.n
	}
	f.trouble.clear(f.meter.add(int64(n)))
	return true
}
