package stm32boot

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// syncTries is how often 0x7F is sent. A target that is already synchronised is
// silent after the first and refuses the second; one may be lost.
const syncTries = 3

// connectTries is how often a rate is tried before the next one.
const connectTries = 2

// Connect restarts the target into its ROM as far as that is wired,
// synchronises, and finds out which chip it is. Targets that are already
// synchronised, or hold half a command, are taken as they are.
//
// When it fails the pins are set back, so that the application runs. Errors:
// ErrNoSync, ErrUnknownChip, ErrWrongChip, ErrGeometry, *PortError, the context's, and
// those of the configuration.
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, link: link{port: cfg.Port}}
	if err := c.connect(ctx); err != nil {
		return nil, both(err, c.leave(ctx))
	}
	return c, nil
}

// both joins an error and what failed afterwards, which may be the same again.
func both(err, left error) error {
	switch {
	case left == nil, strings.Contains(err.Error(), left.Error()):
		return err
	case strings.Contains(left.Error(), err.Error()):
		return left
	}
	return errors.Join(err, left)
}

func (c *Client) connect(ctx context.Context) error {
	who, err := c.bringUp(ctx, 0, c.cfg.Resume)
	if err != nil {
		return err
	}
	c.id, c.version, c.cmds = who.id, who.version, who.cmds
	if c.chip, err = c.choose(who.id); err != nil {
		return err
	}
	if c.cfg.Chip != nil {
		c.sized = c.chip.FlashSize != 0
		return nil
	}
	return c.trimToRegister(ctx)
}

// Reconnect restarts the target into its ROM and synchronises again, after
// Go or a power cut of the target. Without a reset line it hopes that the target is
// there. Errors: as Connect, and ErrClosed.
func (c *Client) Reconnect(ctx context.Context) error {
	if c.state == stateClosed {
		return ErrClosed
	}
	return c.reconnect(ctx, false)
}

// Close starts the application: Boot0 low and a reset pulse, or Config.Leave. It
// does so even if ctx is cancelled, within 10 seconds. Without a reset line the
// target stays in its ROM; see [Client.SoftReset]. Further calls return nil. The
// port stays open.
func (c *Client) Close(ctx context.Context) error {
	if c.state == stateClosed {
		return nil
	}
	c.state = stateClosed
	return c.leave(ctx)
}

// bringUp gets into the ROM and tells who is there, at the rate from or at the
// next one that works. resume takes the target for synchronised at first.
func (c *Client) bringUp(ctx context.Context, from int, resume bool) (identity, error) {
	var last error
	for rate := from; rate < len(c.cfg.Bauds); rate++ {
		if err := c.setRate(rate, rate != from); err != nil {
			return identity{}, err
		}
		for range connectTries {
			who, err := c.join(ctx, resume)
			if err == nil || fatal(err) {
				return who, err
			}
			last, resume = err, false
		}
	}
	return identity{}, noSync(c.cfg.Bauds[from:], c.cfg.Rate != nil, last)
}

// noSync says at which rates nobody answered, and how the last attempt ended.
func noSync(bauds []int, rates bool, last error) error {
	where := ""
	if rates {
		var list []string
		for _, baud := range bauds {
			list = append(list, strconv.Itoa(baud))
		}
		where = " at " + strings.Join(list, ", ") + " baud"
	}
	if last == nil || errors.Is(last, ErrNoSync) {
		return fmt.Errorf("%w%s", ErrNoSync, where)
	}
	return fmt.Errorf("%w%s: %w", ErrNoSync, where, last)
}

// setRate changes to another rate of the list.
func (c *Client) setRate(rate int, lower bool) error {
	c.rate = rate
	if lower {
		c.note(Event{Kind: EventRate, Baud: c.Baud()})
	}
	if c.cfg.Rate == nil {
		return nil
	}
	if err := c.cfg.Rate(c.Baud()); err != nil {
		return &PortError{Op: "set rate", Err: err}
	}
	return nil
}

// join makes one attempt to get in.
func (c *Client) join(ctx context.Context, resume bool) (identity, error) {
	if !resume {
		if err := c.enter(ctx); err != nil {
			return identity{}, err
		}
		if err := c.sync(ctx); err != nil {
			return identity{}, err
		}
	}
	c.fresh = !resume
	c.state = stateIdle
	who, err := c.identify(ctx)
	if err == nil {
		c.note(Event{Kind: EventSync, Baud: c.Baud()})
	}
	return who, err
}

// sync sends 0x7F until the target answers with ACK, or with NACK, which says
// that it was synchronised before.
func (c *Client) sync(ctx context.Context) error {
	at := Place{Command: Init, Stage: StageCommand}
	for range syncTries {
		if err := c.send(ctx, at, []byte{Init}); err != nil {
			return err
		}
		var b [1]byte
		err := c.receive(ctx, at, b[:], c.wait(ackLimit, 2))
		switch {
		case errors.Is(err, ErrTimeout):
			continue
		case err != nil:
			return err
		case b[0] == ACK, b[0] == NACK:
			return nil
		}
		return c.stray(at, b[0], "neither ACK nor NACK: wrong rate or parity")
	}
	if c.cfg.canReset() {
		return ErrNoSync
	}
	return c.probe(ctx) // it may be in the middle of a command
}

// trimToRegister reads the size of flash from the chip. A target that does not
// give it, because it is protected or unknown, is taken for the largest.
func (c *Client) trimToRegister(ctx context.Context) error {
	size, err := c.flashSize(ctx)
	if err != nil {
		if fatal(err) {
			return err
		}
		return nil
	}
	if size != 0 {
		c.chip, c.sized = c.chip.Trim(size), true
	}
	return nil
}

// flashSize returns the size of flash, or 0 if the chip does not tell. It has no
// checksum, so it counts when it came twice.
func (c *Client) flashSize(ctx context.Context) (uint32, error) {
	reg := c.chip.FlashSizeReg
	if reg == 0 {
		return 0, nil
	}
	addr, block := reg, [MaxBlock]byte{}
	p := block[:2]
	if c.chip.Family == "F4" || c.chip.Family == "L0" {
		// These refuse short reads there.
		p = block[:c.chip.BlockSize()]
		addr = reg &^ uint32(len(p)-1)
	}
	var last uint32
	for try, failures := 0, 0; try < 2*maxTries; try++ {
		if err := c.readBlock(ctx, addr, p); err != nil {
			if failures++; failures == maxTries || fatal(err) {
				return 0, err
			}
			continue
		}
		at := reg - addr
		size := (uint32(p[at]) | uint32(p[at+1])<<8) << 10
		if size == last && c.plausible(size) {
			return size, nil
		}
		last = size
	}
	return 0, nil
}

// minFlash is the size of the smallest flash.
const minFlash = 8 << 10

// plausible reports whether a chip with this id can have so much flash.
func (c *Client) plausible(size uint32) bool {
	return size >= minFlash && size <= c.chip.FlashSize && c.chip.Trim(size).FlashSize == size
}
