package stm32boot

import (
	"fmt"
	"slices"
)

// Action is what is done with a page.
type Action uint8

// The actions.
const (
	ActionWrite Action = iota // erase it, and write what the image has there
	ActionCheck               // read it, then keep or write it
	ActionKeep                // leave it alone: it holds what the image wants
)

// String returns "write", "check" or "keep".
func (a Action) String() string {
	switch a {
	case ActionCheck:
		return "check"
	case ActionKeep:
		return "keep"
	}
	return "write"
}

// PlanPage is a page that the image touches.
type PlanPage struct {
	Page
	Action Action
	Bytes  int // of the image, and of what is preserved, in this page
	Blocks int // to write: those that are not blank
}

// Plan is how an image gets into a chip. It is made by [PlanFlash], refined by
// reading the target and carried out by [Client.Flash].
type Plan struct {
	Chip    Chip
	Image   Digest
	Options FlashOptions

	// Pages are those that the image touches, by ascending address. The first
	// is erased first and written last, so that an interrupted flashing leaves
	// a target whose first page is blank.
	Pages []PlanPage

	// MassErase: all of the flash is erased by one command.
	MassErase bool

	// Resumed: the journal tells of an interrupted flashing of this image, which
	// goes on.
	Resumed bool

	// Stored: pages are kept because of their sums in the journal. It holds if
	// the first page, read back, has the sum of the journal too; otherwise the
	// pages are checked.
	Stored bool

	image   content   // what the caller wants
	content content   // with what is preserved
	saved   []Segment // what is preserved, as far as it is known
	journal State     // as loaded
}

// PlanFlash plans the flashing of an image, and refuses what cannot be done. It
// reads the journal but talks to no target. A chip without a Layout is treated as
// one page, erased by mass erase.
//
// Errors: *ImageError, ErrWrongChip, ErrOptions, ErrUnknownChip for a chip
// without flash, ErrGeometry, and those of Journal.Load.
func PlanFlash(chip Chip, image Image, opts FlashOptions) (*Plan, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	if opts.ProductID != 0 && opts.ProductID != chip.ID {
		return nil, fmt.Errorf("%w: 0x%03X, the image is for 0x%03X", ErrWrongChip, chip.ID, opts.ProductID)
	}
	if chip.FlashSize == 0 {
		return nil, fmt.Errorf("%w: 0x%03X: its flash is not known", ErrUnknownChip, chip.ID)
	}
	if err := chip.check(); err != nil {
		return nil, err
	}
	c, err := newContent(image, chip.Erased)
	if err != nil {
		return nil, err
	}
	if err := c.fits(&chip); err != nil {
		return nil, err
	}
	p := &Plan{Chip: chip, Options: opts, image: c, content: c}
	p.Image = c.sum(chip.FlashStart, chip.FlashSize)
	if p.journal, err = load(opts.Journal); err != nil {
		return nil, err
	}
	p.touch()
	p.consult()
	p.settle()
	return p, nil
}

// fits checks that all segments are in the flash.
func (c content) fits(chip *Chip) error {
	for _, s := range c.segs {
		if chip.InFlash(s.Addr, s.Len()) {
			continue
		}
		err := ErrOutside
		if chip.InFlash(s.Addr, 1) {
			err = ErrTooLarge
		}
		return &ImageError{Err: err, Addr: s.Addr, Size: s.Len()}
	}
	return nil
}

// touch lists the pages that hold something of the image.
func (p *Plan) touch() {
	if len(p.Chip.Layout) == 0 {
		p.Pages = []PlanPage{{Page: Page{Addr: p.Chip.FlashStart, Size: p.Chip.FlashSize, Bank: 1}}}
		return
	}
	for page := range p.Chip.Pages() {
		for range p.content.runs(page.Addr, page.Size) {
			p.Pages = append(p.Pages, PlanPage{Page: page})
			break
		}
	}
}

// consult decides what to do with each page, by the options and the journal.
func (p *Plan) consult() {
	j := &p.journal
	ours := j.ProductID == p.Chip.ID && j.UID == p.Options.UID
	under := ours && j.Step != 0 && j.Step != StepDone
	p.Resumed = under && j.Image == p.Image && j.Step != StepErase &&
		(p.Options.Erase != EraseAll || j.ErasedAll)
	if under && j.Image == p.Image && p.Options.Preserve {
		p.keep(p.gapsOf(j.Preserved))
	}
	first := p.Pages[0].Addr
	if p.Options.ChangedOnly && ours && j.Step == StepDone {
		_, p.Stored = j.sumOf(first)
	}
	for i := range p.Pages {
		page := &p.Pages[i]
		switch {
		case p.Stored:
			page.Action = p.stored(page)
		case p.Resumed && (j.Step == StepVerify || i > 0 && page.Addr < j.Next):
			page.Action = ActionCheck
		case p.Options.ChangedOnly:
			page.Action = ActionCheck
		}
	}
}

// keep makes more segments part of what the pages shall hold.
func (p *Plan) keep(more []Segment) {
	p.saved = append(p.saved, more...)
	p.content = p.content.add(more...)
}

// gapsOf returns those of the segments that fill gaps of the image.
func (p *Plan) gapsOf(saved []Segment) []Segment {
	return slices.DeleteFunc(slices.Clone(saved), func(s Segment) bool {
		for range p.content.runs(s.Addr, uint32(s.Len())) {
			return true
		}
		return !p.Chip.InFlash(s.Addr, s.Len())
	})
}

// stored decides by the sums in the journal.
func (p *Plan) stored(page *PlanPage) Action {
	sum, ok := p.journal.sumOf(page.Addr)
	switch {
	case ok && sum == p.sum(page):
		return ActionKeep
	case p.Options.Preserve && p.partial(page):
		return ActionCheck
	}
	return ActionWrite
}

// settle follows from the actions what else is to be done.
func (p *Plan) settle() {
	changed := slices.ContainsFunc(p.Pages, func(q PlanPage) bool { return q.Action == ActionWrite })
	if changed {
		p.Pages[0].Action = ActionWrite
	}
	for i := range p.Pages {
		page := &p.Pages[i]
		page.Bytes, page.Blocks = 0, 0
		for r := range p.content.runs(page.Addr, page.Size) {
			page.Bytes += r.n
		}
		for range p.blocks(page, p.Chip.BlockSize()) {
			page.Blocks++
		}
	}
	p.MassErase = changed && p.massErase()
}

// massErase reports whether all of the flash is to be erased at once.
func (p *Plan) massErase() bool {
	mode := p.Options.Erase
	if len(p.Chip.Layout) == 0 {
		return true
	}
	if p.Chip.Flags.Has(NoMassErase) || mode == ErasePages || p.Resumed {
		return false
	}
	if mode == EraseAll {
		return true
	}
	for i := range p.Pages {
		if p.Pages[i].Action != ActionWrite {
			return false
		}
	}
	return len(p.Pages) == p.Chip.PageCount() && p.Chip.times().mass < p.Chip.times().pages(p.Pages)
}

// spares reports whether there is flash that the plan leaves alone.
func (p *Plan) spares() bool {
	return p.Options.Erase != EraseAll && len(p.Pages) < p.Chip.PageCount()
}

// align returns what writes must begin and end at.
func (p *Plan) align() int { return max(4, p.Chip.WriteAlign) }

// sum identifies what the image has in a page; what is preserved does not count.
func (p *Plan) sum(page *PlanPage) [16]byte {
	sum := p.image.sum(page.Addr, page.Size)
	return [16]byte(sum[:16])
}

// partial reports whether the page has bytes that are not of the image.
func (p *Plan) partial(page *PlanPage) bool {
	n := 0
	for r := range p.image.runs(page.Addr, page.Size) {
		n += r.n
	}
	return n < int(page.Size)
}
