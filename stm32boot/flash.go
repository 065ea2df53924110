package stm32boot

import (
	"context"
	"errors"
)

// ErrGaveUp is for a target or a line that fails again and again, whatever is
// tried. The error wraps the last failure too.
var ErrGaveUp = errors.New("stm32boot: gave up")

// ErrCollateral is returned when all went well but for one thing: bytes that the
// target had acknowledged were gone when they were read back, and had to be
// written again. It took noise for a command then. The flash holds the image,
// but pages outside it may have been erased or written.
var ErrCollateral = errors.New("stm32boot: the target erased or wrote what it was not told to; pages outside the image may have changed")

// Result tells what a flashing has done.
type Result struct {
	// Plan is the plan as it was carried out: no page is left to be checked.
	Plan *Plan
	// Identical: the flash held the image already, and nothing was written.
	Identical bool

	Written, Kept int   // pages
	Bytes         int64 // programmed, repetitions included
	Repaired      int   // pages erased and written again
	Retries       int   // attempts at a command that failed
	Escalations   int   // resets, smaller blocks, lower rates
}

// Flash connects, flashes an image and closes the client, whatever happens: the
// target is left in its application, the pins as Client.Close leaves them. The
// error of Close counts only if there is no other.
func Flash(ctx context.Context, cfg Config, image Image, opts FlashOptions) (r Result, err error) {
	c, err := Connect(ctx, cfg)
	if err != nil {
		return Result{}, err
	}
	defer func() { // also when a callback panics
		if cerr := c.Close(ctx); err == nil {
			err = cerr
		}
	}()
	return c.Flash(ctx, image, opts)
}

// Flash puts an image into the flash. It plans as [PlanFlash] does, reads what
// the plan needs to know, erases, writes and reads back, the first page last.
//
// What fails is tried again: the exchange is brought back in step, the block read
// back, and if it holds neither what it should nor nothing, its page is erased
// and written again. After three failures of a block the target is reset, the
// blocks made smaller and the rate lower; after ten such escalations without
// another good block Flash gives up. A page that reads back wrong is repaired up
// to three times.
//
// With VerifyRead or VerifyChecksum a nil error means that the flash holds the
// image. After an error, and if the program is killed, the first page is blank
// unless the flashing had not begun or had come to its last page; call Flash
// again, best with the same Journal. The target stays in its ROM: Close
// starts the application.
//
// Errors: those of PlanFlash, before anything is erased; ErrReadProtected;
// *VerifyError, with ErrWriteProtected if the page cannot be erased; ErrGaveUp with the cause; ErrCollateral; ErrNoReset; the errors of
// the port and of the context.
func (c *Client) Flash(ctx context.Context, image Image, opts FlashOptions) (Result, error) {
	plan, err := PlanFlash(c.Chip(), image, opts)
	if err != nil {
		return Result{}, err
	}
	f := newFlasher(c, plan)
	err = f.run(ctx)
	return f.result, err
}

// flasher carries out a plan.
type flasher struct {
	c       *Client
	p       *Plan
	result  Result
	journal journaling
	meter   meter
	trouble trouble

	size    int     // bytes of a block at most
	suspect span    // may hold part of what was to be written there
	wounds  int     // faults that may have hit other pages: in an erase, or such that only a reset helped
	pages   []known // of the plan's pages

	unsummed bool  // the target does not do checksums
	found    match // when a block was last looked at
	vanished bool  // a block that was acknowledged was blank later

	want, got, again [MaxBlock]byte
}

// known is what is known of a page.
type known struct {
	sound    int  // how many wounds there had been when its content was right
	unread   bool // it was written and has not been read back
	unready  bool // it is erased, not written
	repaired int  // how often
}

func newFlasher(c *Client, p *Plan) *flasher {
	f := &flasher{c: c, p: p, size: c.chip.BlockSize()}
	f.result.Plan = p
	f.pages = make([]known, len(p.Pages))
	f.meter = meter{report: p.Options.Progress, pages: make([]PageState, len(p.Pages))}
	f.journal = journaling{journal: p.Options.Journal, state: State{
		ProductID: p.Chip.ID, UID: p.Options.UID, Image: p.Image,
		ErasedAll: p.Options.Erase == EraseAll || p.Resumed && p.journal.ErasedAll,
	}}
	return f
}

// run carries out the plan, step by step.
func (f *flasher) run(ctx context.Context) error {
	if err := f.survey(ctx); err != nil {
		return err
	}
	changed := f.p.Pages[0].Action == ActionWrite
	f.result.Identical = !changed
	if f.p.Options.DryRun {
		return nil
	}
	if changed {
		if err := f.change(ctx); err != nil {
			return err
		}
	}
	f.result.Written, f.result.Kept = f.p.Count(ActionWrite), f.p.Count(ActionKeep)
	f.meter.enter(PhaseDone)
	if err := f.finish(); err != nil {
		return err
	}
	if f.vanished && f.p.spares() {
		return ErrCollateral
	}
	return nil
}

// change erases, writes and verifies. The first page stays blank until all others
// are as they should be, and its first block is the last of all.
func (f *flasher) change(ctx context.Context) error {
	for i := range f.p.Pages {
		if err := f.preserve(ctx, i); err != nil {
			return err
		}
	}
	f.p.settle()
	if err := f.announce(); err != nil {
		return err
	}
	if err := f.erase(ctx); err != nil {
		return err
	}
	for i := range f.pages[1:] {
		if err := f.writePage(ctx, 1+i); err != nil {
			return err
		}
	}
	f.journal.advance(StepVerify, 0)
	for !f.sound(0) {
		for !f.sound(1) { // a fault at one page may make others doubtful
			for i := range f.pages[1:] {
				if err := f.verifyPage(ctx, 1+i); err != nil {
					return err
				}
			}
		}
		if err := f.writePage(ctx, 0); err != nil {
			return err
		}
		if err := f.verifyPage(ctx, 0); err != nil {
			return err
		}
	}
	return nil
}

// sound reports whether all pages from one on are as they should be.
func (f *flasher) sound(from int) bool {
	for i := from; i < len(f.pages); i++ {
		if f.pages[i].unready || f.doubtful(i) {
			return false
		}
	}
	return true
}

// announce records that the flash is about to change.
func (f *flasher) announce() error {
	if f.p.Resumed {
		return f.journal.save(StepWrite, f.firstChange())
	}
	return f.journal.save(StepErase, 0)
}

// firstChange returns the address of the first page to write but the very first.
func (f *flasher) firstChange() uint32 {
	for _, page := range f.p.Pages[1:] {
		if page.Action == ActionWrite {
			return page.Addr
		}
	}
	last := f.p.Pages[len(f.p.Pages)-1]
	return last.Addr + last.Size
}

// finish records what the flash holds.
func (f *flasher) finish() error {
	if f.p.Stored && f.result.Identical {
		return nil // the journal says so already
	}
	f.journal.state.Preserved = nil
	for i := range f.p.Pages {
		page := &f.p.Pages[i]
		f.journal.state.Pages = append(f.journal.state.Pages, PageSum{page.Addr, f.p.sum(page)})
	}
	return f.journal.save(StepDone, 0)
}

// bytes returns how much of the image is in the pages with an action.
func (f *flasher) bytes(a Action) (sum int64) {
	for i := range f.p.Pages {
		if f.p.Pages[i].Action == a {
			sum += int64(f.p.Pages[i].Bytes)
		}
	}
	return sum
}
