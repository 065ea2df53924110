package stm32boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// Read fills p with the memory from addr on, of any length and alignment: flash,
// RAM, option bytes, system memory. Which addresses exist is the target's
// decision; it refuses others with a *NackError that is ErrAddress. A readout
// protected target gives ErrReadProtected. What of p was read before an error is
// not told.
func (c *Client) Read(ctx context.Context, addr uint32, p []byte) error {
	if err := checkSpan(CmdRead, addr, len(p)); err != nil {
		return err
	}
	for size := c.chip.BlockSize(); len(p) > 0; {
		n := min(size, len(p))
		if err := c.readBlock(ctx, addr, p[:n]); err != nil {
			return c.explain(ctx, err)
		}
		p = p[n:]
		addr += uint32(n)
	}
	return nil
}

// Write writes p from addr on, in blocks of at most Chip.BlockSize bytes. Flash must have been erased; nothing is
// read back. In flash addr must be a multiple of Chip.WriteAlign, and the end
// is padded to it with the erased byte. Elsewhere addr and length must be
// multiples of 4. The RAM that the loader needs is refused with ErrAddress.
//
// Writing option bytes makes the chip restart: Write then synchronises again, as
// after [Client.WriteUnprotect]. The target replaces all option bytes of the
// area, so all of them should be written at once.
//
// After an error it is not known what of the block at the error's address was
// programmed.
func (c *Client) Write(ctx context.Context, addr uint32, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if err := checkSpan(CmdWrite, addr, len(p)); err != nil {
		return err
	}
	align, err := c.writeAlign(addr, len(p))
	if err != nil {
		return err
	}
	var block [MaxBlock]byte
	start := addr
	for size := c.chip.BlockSize(); len(p) > 0; {
		b := block[:copy(block[:size], p)]
		for len(b)%align != 0 {
			b = append(b, c.chip.Erased)
		}
		if !c.optionBytes(addr) { // those are written at once, and are pairs of complements on some chips
			b = b[:safe(b, align)]
		}
		p = p[min(len(b), len(p)):]
		if err := c.writeBlock(ctx, addr, b); err != nil {
			return c.explain(ctx, err)
		}
		addr += uint32(len(b))
	}
	if c.optionBytes(start) {
		return c.afterReset(ctx, CmdWrite)
	}
	return nil
}

// optionBytes reports whether addr is one of an option byte.
func (c *Client) optionBytes(addr uint32) bool {
	for _, r := range c.chip.OptionBytes {
		if r.Contains(addr, 1) {
			return true
		}
	}
	return false
}

// writeAlign checks where n bytes are to be written, and returns what to pad
// them to.
func (c *Client) writeAlign(addr uint32, n int) (int, error) {
	bad := func(why string) error {
		return fmt.Errorf("%w: write of %d bytes at 0x%08X: %s", ErrAddress, n, addr, why)
	}
	align := max(c.chip.WriteAlign, 4)
	flash := Range{c.chip.FlashStart, c.chip.FlashSize}
	loader := Range{c.chip.RAMStart, c.chip.RAMReserved}
	switch {
	case flash.Contains(addr, 1):
		if addr%uint32(align) != 0 {
			return 0, bad(fmt.Sprintf("not a multiple of %d", align))
		}
		if !flash.Contains(addr, n) {
			return 0, bad("beyond the end of flash")
		}
		return align, nil
	case addr%4 != 0 || n%4 != 0:
		return 0, bad("not a multiple of 4")
	case loader.Contains(addr, 1):
		return 0, bad("the loader needs this RAM")
	}
	return 4, nil
}

// checkSpan refuses ranges that leave the address space.
func checkSpan(cmd byte, addr uint32, n int) error {
	if uint64(addr)+uint64(n) > 1<<32 {
		return fmt.Errorf("%w: %s of %d bytes at 0x%08X", ErrAddress, CommandName(cmd), n, addr)
	}
	return nil
}

// readBlock runs one Read of at most BlockSize bytes.
func (c *Client) readBlock(ctx context.Context, addr uint32, p []byte) error {
	err := c.read(ctx, addr, p)
	c.refusal(err)
	return err
}

func (c *Client) read(ctx context.Context, addr uint32, p []byte) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	at, err := c.command(ctx, CmdRead, addr)
	if err != nil {
		return err
	}
	if err := c.address(ctx, &at, addr); err != nil {
		return err
	}
	n := byte(len(p) - 1)
	at.Stage = StageLength
	if err := c.step(ctx, at, []byte{n, ^n}, ackLimit); err != nil {
		return err
	}
	at.Stage = StageData
	if err := c.receive(ctx, at, p, c.wait(readLimit, len(p))); err != nil {
		return err
	}
	return c.exact(at)
}

// writeBlock runs one Write of at most BlockSize bytes, a multiple of 4.
func (c *Client) writeBlock(ctx context.Context, addr uint32, p []byte) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	at, err := c.command(ctx, CmdWrite, addr)
	if err != nil {
		return err
	}
	if err := c.address(ctx, &at, addr); err != nil {
		return err
	}
	var frame [MaxBlock + 2]byte
	frame[0] = byte(len(p) - 1)
	n := 1 + copy(frame[1:], p)
	frame[n] = xor(frame[:n])
	at.Stage = StageData
	if err := c.step(ctx, at, frame[:n+1], writeLimit); err != nil {
		return err
	}
	if bytes.IndexByte(c.link.buf, NACK) >= 0 { // part of the data was left over, and taken for commands
		return c.stray(at, NACK, "refusal behind the ACK")
	}
	c.done()
	return nil
}

// exact ends a command whose answer must not be followed by anything: a byte too
// many means that one came twice, and that the others are not in their places.
func (c *Client) exact(at Place) error {
	if len(c.link.buf) > 0 {
		return c.stray(at, c.link.buf[0], "more bytes than asked for")
	}
	c.done()
	return nil
}

// end expects the ACK that ends a command.
func (c *Client) end(ctx context.Context, at Place, limit time.Duration) error {
	at.Stage = StageEnd
	if err := c.ack(ctx, at, c.wait(limit, 1)); err != nil {
		return err
	}
	return c.exact(at)
}

// explain finds out whether a refused command means readout protection.
func (c *Client) explain(ctx context.Context, err error) error {
	nack, is := errors.AsType[*NackError](err)
	if is && nack.Stage == StageCommand && c.protected(ctx) {
		return &protectedError{nack}
	}
	return err
}

// protected reports whether the target refuses to be read. As refusals may come
// from noise it takes more than maxTries of them with nothing read between; those
// from before count too, so that what Connect has found out is told at once.
func (c *Client) protected(ctx context.Context) bool {
	for try := 0; try < 2*maxTries && c.refusals <= maxTries; try++ {
		err := c.readBlock(ctx, c.chip.FlashStart, make([]byte, 1))
		if err == nil || fatal(err) {
			return false
		}
		if nack, is := errors.AsType[*NackError](err); is && nack.Stage != StageCommand {
			return false
		}
	}
	return c.refusals > maxTries
}

// refusal counts how often in a row the target refused Read as such.
func (c *Client) refusal(err error) {
	nack, is := errors.AsType[*NackError](err)
	switch {
	case is && nack.Stage == StageCommand:
		c.refusals++
	case is || err == nil:
		c.refusals = 0
	}
}
