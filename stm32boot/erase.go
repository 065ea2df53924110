package stm32boot

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Erase erases pages by their numbers, with as few commands as it takes. The
// target is trusted; write protected pages of some chips are skipped silently.
// A number that the chip does not have is ErrAddress, and nothing is erased
// then.
func (c *Client) Erase(ctx context.Context, pages ...int) error {
	if err := c.checkPages(pages); err != nil {
		return err
	}
	for part := range slices.Chunk(pages, c.maxErase()) {
		for _, list := range c.arrange(part, pages) {
			if err := c.eraseList(ctx, list); err != nil {
				return c.explain(ctx, err)
			}
		}
	}
	return nil
}

// EraseAll erases all of flash, by a mass erase where the chip has one. A mass
// erase can take half a minute.
func (c *Client) EraseAll(ctx context.Context) error {
	if c.chip.Flags.Has(NoMassErase) {
		return c.Erase(ctx, c.numbers(0)...)
	}
	return c.explain(ctx, c.eraseMass(ctx))
}

// EraseBank erases bank 1 or 2 of a chip with two. Other chips give
// ErrUnsupported.
func (c *Client) EraseBank(ctx context.Context, bank int) error {
	switch {
	case !c.chip.Flags.Has(DualBank) || bank < 1 || bank > 2:
		return fmt.Errorf("%w: erase of bank %d", ErrUnsupported, bank)
	case c.chip.Flags.Has(NoMassErase):
		return c.Erase(ctx, c.numbers(bank)...)
	case c.eraseCommand() != CmdExtendedErase:
		return fmt.Errorf("%w: erase of a bank needs extended erase", ErrUnsupported)
	}
	return c.explain(ctx, c.eraseSpecial(ctx, EraseMass-bank))
}

// numbers returns the pages of a bank, or all with 0.
func (c *Client) numbers(bank int) (pages []int) {
	for p := range c.chip.Pages() {
		if bank == 0 || p.Bank == bank {
			pages = append(pages, p.Number)
		}
	}
	return pages
}

// eraseCommand returns the erase command to use, or 0.
func (c *Client) eraseCommand() byte {
	switch {
	case c.chip.EraseCmd != 0 && c.Supports(c.chip.EraseCmd):
		return c.chip.EraseCmd
	case c.Supports(CmdExtendedErase):
		return CmdExtendedErase
	case c.Supports(CmdErase):
		return CmdErase
	}
	return 0
}

// maxErase returns how many pages one command may name.
func (c *Client) maxErase() int {
	if c.eraseCommand() == CmdErase {
		return MaxErase
	}
	return MaxExtendedErase
}

// checkPages refuses page numbers that cannot be sent or do not exist.
func (c *Client) checkPages(pages []int) error {
	limit := 0xFFF0 // from here on they have other meanings
	switch c.eraseCommand() {
	case 0:
		return fmt.Errorf("%w: erase", ErrUnsupported)
	case CmdErase:
		limit = 0x100
	}
	if n := c.chip.PageCount(); n > 0 {
		limit = min(limit, n)
	}
	for _, n := range pages {
		if n < 0 || n >= limit {
			return fmt.Errorf("%w: erase of page %d, there are %d", ErrAddress, n, limit)
		}
	}
	return nil
}

// eraseList runs one erase command for at least one and at most maxErase pages, in
// the order given; see arrange.
func (c *Client) eraseList(ctx context.Context, pages []int) error {
	return c.erase(ctx, appendPages(nil, c.eraseCommand(), pages), c.eraseLimit(pages))
}

// appendPages appends the list of an erase command, without its checksum: the
// number of pages less one, and their numbers.
func appendPages(p []byte, cmd byte, pages []int) []byte {
	n := len(pages) - 1
	if cmd == CmdErase {
		p = append(p, byte(n))
	} else {
		p = append(p, byte(n>>8), byte(n))
	}
	for _, page := range pages {
		if cmd == CmdExtendedErase {
			p = append(p, byte(page>>8))
		}
		p = append(p, byte(page))
	}
	return p
}

// eraseLimit returns how long a target may take for pages: a tenth of a second
// each, or 4 seconds for each 128 KiB if that is more, and twice that. Pages of which
// the size is not known are taken for such of 128 KiB.
func (c *Client) eraseLimit(pages []int) time.Duration {
	limit := ackLimit
	for _, n := range pages {
		p, known := c.chip.PageAt(n)
		if !known {
			p.Size = 128 << 10
		}
		limit += 2 * max(100*time.Millisecond, 4*time.Second*time.Duration(p.Size>>10)/128)
	}
	return limit
}

// eraseMass erases the whole chip.
func (c *Client) eraseMass(ctx context.Context) error {
	if c.eraseCommand() == CmdErase {
		return c.erase(ctx, []byte{EraseGlobal}, massLimit)
	}
	return c.eraseSpecial(ctx, EraseMass)
}

// eraseSpecial sends one of the special counts of extended erase.
func (c *Client) eraseSpecial(ctx context.Context, code int) error {
	return c.erase(ctx, []byte{byte(code >> 8), byte(code)}, massLimit)
}

// erase runs the erase command with a list, to which the checksum is added.
func (c *Client) erase(ctx context.Context, list []byte, limit time.Duration) error {
	if c.eraseCommand() == 0 {
		return fmt.Errorf("%w: erase", ErrUnsupported)
	}
	if err := c.begin(ctx); err != nil {
		return err
	}
	at, err := c.command(ctx, c.eraseCommand(), 0)
	if err != nil {
		return err
	}
	return c.list(ctx, at, list, limit)
}

// list sends a list with its checksum, and expects the ACK that ends the
// command. The checksum of a single byte is its complement.
func (c *Client) list(ctx context.Context, at Place, list []byte, limit time.Duration) error {
	sum := xor(list)
	if len(list) == 1 {
		sum = ^sum
	}
	at.Stage = StagePages
	c.state = stateInList
	if err := c.step(ctx, at, append(list, sum), limit); err != nil {
		return err
	}
	c.state = stateDirty
	return c.exact(at) // a refusal behind the ACK says that part of the list was left over
}
