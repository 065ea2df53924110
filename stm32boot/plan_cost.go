package stm32boot

import (
	"slices"
	"time"
)

// Cost is what exchanges take: bytes on the line and time in the chip.
type Cost struct {
	Sent, Received int64         // bytes to the target and from it
	Turns          int64         // bursts: runs of bytes in one direction
	Device         time.Duration // erasing and programming, typical values
}

// Duration returns how long the exchanges take at a rate, when a change of
// direction costs turnaround.
func (c Cost) Duration(baud int, turnaround time.Duration) time.Duration {
	wire := time.Duration(0)
	if baud > 0 {
		wire = time.Duration((c.Sent + c.Received) * bitsPerByte * int64(time.Second) / int64(baud))
	}
	return wire + time.Duration(c.Turns)*turnaround + c.Device
}

// plus returns the sum of two costs.
func (c Cost) plus(d Cost) Cost {
	return Cost{c.Sent + d.Sent, c.Received + d.Received, c.Turns + d.Turns, c.Device + d.Device}
}

// costOfWrite and costOfRead are those of one command for n bytes.
func costOfWrite(n int) Cost { return Cost{Sent: int64(n) + 9, Received: 3, Turns: 6} }
func costOfRead(n int) Cost  { return Cost{Sent: 9, Received: int64(n) + 3, Turns: 6} }

// costOfErase is that of one command for n pages, 0 for all.
func costOfErase(cmd byte, n int) Cost {
	width := 1
	if cmd != CmdErase {
		width = 2
	}
	return Cost{Sent: int64(2 + width + n*width + 1), Received: 2, Turns: 4}
}

// Cost estimates what Flash does. A page that is to be checked counts as read and
// written, what is preserved as read twice, written and read back. When no page is
// to be checked and nothing to be preserved and nothing goes wrong, the bytes are
// exact but for those of a few more erase commands.
func (p *Plan) Cost() Cost {
	sum := costOfRead(knock)
	if p.Stored {
		sum = sum.plus(p.costOfReading(&p.Pages[0]))
	}
	for i := range p.Pages {
		page := &p.Pages[i]
		if page.Action == ActionCheck { // what differs is read twice
			sum = sum.plus(p.costOfReading(page)).plus(costOfRead(p.Chip.BlockSize()))
		}
		if page.Action != ActionKeep {
			sum = sum.plus(p.costOfPage(page))
		}
	}
	return sum.plus(p.costOfErasing())
}

// costOfPage is that of preserving, writing and verifying a page.
func (p *Plan) costOfPage(page *PlanPage) (sum Cost) {
	size, t := p.Chip.BlockSize(), p.Chip.times()
	whole := false
	for g := range p.gaps(page) {
		whole = true
		c := costOfReads(g.n, size)
		sum = sum.plus(c).plus(c)
	}
	if whole {
		page = &PlanPage{Page: page.Page, Action: page.Action}
		n := int(page.Size)
		sum = sum.plus(costOfReads(n, size)).plus(Cost{Device: t.program * time.Duration(n/t.unit)})
		for ; n > 0; n -= size {
			sum = sum.plus(costOfWrite(min(n, size)))
		}
		return sum
	}
	for b := range p.blocks(page, size) {
		sum = sum.plus(costOfWrite(b.n))
		sum.Device += t.program * time.Duration(b.n/t.unit)
	}
	if p.Options.Verify == VerifyRead {
		sum = sum.plus(p.costOfReading(page))
	}
	return sum
}

// costOfReads is that of reading n bytes in blocks.
func costOfReads(n, size int) (sum Cost) {
	for ; n > 0; n -= size {
		sum = sum.plus(costOfRead(min(n, size)))
	}
	return sum
}

// costOfReading is that of reading what the image has in a page.
func (p *Plan) costOfReading(page *PlanPage) (sum Cost) {
	for r := range p.content.runs(page.Addr, page.Size) {
		for r.n > 0 {
			n := r.piece(p.Chip.BlockSize()).n
			sum = sum.plus(costOfRead(n))
			r = r.after(n)
		}
	}
	return sum
}

// costOfErasing is that of the erase commands.
func (p *Plan) costOfErasing() (sum Cost) {
	q := p.worst()
	if q.MassErase {
		sum = costOfErase(p.Chip.EraseCmd, 0)
		sum.Device = p.Chip.massTime()
		return sum
	}
	for _, pages := range q.eraseLists() {
		sum = sum.plus(costOfErase(p.Chip.EraseCmd, len(pages)))
		for _, page := range pages {
			sum.Device += p.Chip.times().erase(page.Size)
		}
	}
	return sum
}

// worst returns the plan if all pages to be checked must be written.
func (p *Plan) worst() *Plan {
	q := *p
	q.Pages = slices.Clone(p.Pages)
	for i := range q.Pages {
		if q.Pages[i].Action == ActionCheck {
			q.Pages[i].Action = ActionWrite
		}
	}
	q.settle()
	return &q
}

// times are typical times of a chip: program for unit bytes, perPage for a page
// or perKiB for its size, mass for the whole flash.
type times struct {
	unit            int
	program         time.Duration
	perPage, perKiB time.Duration
	mass            time.Duration
}

// times returns what the data sheets of the chip's family give.
func (c *Chip) times() times {
	const us, ms = time.Microsecond, time.Millisecond
	kib := time.Duration(c.FlashSize >> 10)
	switch c.Family {
	case "F0", "F1", "F3", "W":
		return times{unit: 2, program: 52500 * time.Nanosecond, perPage: 30 * ms, mass: 40 * ms}
	case "F2", "F4", "F7":
		return times{unit: 4, program: 16 * us, perPage: 150 * ms, perKiB: 6600 * us, mass: kib * 16 * ms}
	case "H7":
		return times{unit: 32, program: 100 * us, perPage: 1100 * ms, mass: kib * 9 * ms}
	case "L0", "L1":
		return times{unit: 4, program: 3200 * us, perPage: 3200 * us}
	}
	return times{unit: 8, program: 82 * us, perPage: 22 * ms, mass: 25 * ms}
}

// massTime returns how long an erase of the whole flash takes: no longer than that of
// all its pages, where the data sheet gives no typical time.
func (c *Chip) massTime() time.Duration {
	t, sum := c.times(), time.Duration(0)
	for page := range c.Pages() {
		sum += t.erase(page.Size)
	}
	if sum == 0 {
		return t.mass
	}
	return min(t.mass, sum)
}

// erase returns how long a page of a size takes.
func (t times) erase(size uint32) time.Duration {
	return t.perPage + t.perKiB*time.Duration(size>>10)
}

// pages returns how long it takes to erase pages one by one.
func (t times) pages(pages []PlanPage) (sum time.Duration) {
	for _, p := range pages {
		sum += t.erase(p.Size)
	}
	return sum
}
