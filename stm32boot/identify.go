package stm32boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// maxTries is how often a harmless command is tried.
const maxTries = 3

// Get asks for the version of the protocol and the list of commands.
func (c *Client) Get(ctx context.Context) (version byte, commands []byte, err error) {
	if err := c.begin(ctx); err != nil {
		return 0, nil, err
	}
	return c.get(ctx)
}

func (c *Client) get(ctx context.Context) (version byte, commands []byte, err error) {
	p, err := c.counted(ctx, CmdGet)
	if err != nil {
		return 0, nil, err
	}
	return p[0], p[1:], nil
}

// GetVersion asks for the version of the protocol and two option bytes, which
// are 0 on all but the oldest chips.
func (c *Client) GetVersion(ctx context.Context) (version byte, options [2]byte, err error) {
	if err := c.begin(ctx); err != nil {
		return 0, options, err
	}
	at, err := c.command(ctx, CmdGetVersion, 0)
	if err != nil {
		return 0, options, err
	}
	at.Stage = StageData
	if version, err = c.first(ctx, at); err != nil {
		return 0, options, err
	}
	if err := c.receive(ctx, at, options[:], c.wait(ackLimit, len(options))); err != nil {
		return 0, options, err
	}
	return version, options, c.end(ctx, at, ackLimit)
}

// GetID asks for the product id.
func (c *Client) GetID(ctx context.Context) (uint16, error) {
	if err := c.begin(ctx); err != nil {
		return 0, err
	}
	return c.getID(ctx)
}

func (c *Client) getID(ctx context.Context) (uint16, error) {
	p, err := c.counted(ctx, CmdGetID)
	switch {
	case err != nil:
		return 0, err
	case len(p) != 2:
		return 0, c.stray(Place{Command: CmdGetID, Stage: StageLength}, byte(len(p)-1), "id is not two bytes")
	}
	return uint16(p[0])<<8 | uint16(p[1]), nil
}

// counted runs a command that is answered with a count less one, so many bytes,
// and an ACK.
func (c *Client) counted(ctx context.Context, cmd byte) ([]byte, error) {
	at, err := c.command(ctx, cmd, 0)
	if err != nil {
		return nil, err
	}
	at.Stage = StageLength
	n, err := c.first(ctx, at)
	if err != nil {
		return nil, err
	}
	p := make([]byte, int(n)+1)
	at.Stage = StageData
	if err := c.receive(ctx, at, p, c.wait(ackLimit, len(p))); err != nil {
		return nil, err
	}
	return p, c.end(ctx, at, ackLimit)
}

// first receives the first byte of an answer. The first answer after 0x7F may be
// preceded by a surplus ACK (STM32L412), which is neither a version nor a
// plausible count.
func (c *Client) first(ctx context.Context, at Place) (byte, error) {
	var b [1]byte
	if err := c.receive(ctx, at, b[:], c.wait(ackLimit, 1)); err != nil {
		return 0, err
	}
	if c.fresh && b[0] == ACK {
		c.link.stats.Stray++
		if err := c.receive(ctx, at, b[:], c.wait(ackLimit, 1)); err != nil {
			return 0, err
		}
	}
	c.fresh = false
	return b[0], nil
}

// identity is what a target says of itself.
type identity struct {
	id      uint16
	version byte
	cmds    []byte
}

func (a identity) equal(b identity) bool {
	return a.id == b.id && a.version == b.version && bytes.Equal(a.cmds, b.cmds)
}

// identify asks the target who it is. These answers have no checksum, so they
// count when they came twice.
func (c *Client) identify(ctx context.Context) (identity, error) {
	var last identity
	var failure error
	for try, known := 0, false; try < 2*maxTries; try++ {
		now, err := c.ask(ctx)
		switch {
		case err == nil && known && now.equal(last):
			return now, nil
		case err == nil:
			last, known = now, true
		case fatal(err):
			return identity{}, err
		default:
			failure = err
			if err := c.probe(ctx); err != nil {
				return identity{}, err
			}
		}
	}
	if failure == nil {
		failure = errors.New("stm32boot: id and commands differ each time")
	}
	return identity{}, failure
}

// ask runs Get and Get ID once.
func (c *Client) ask(ctx context.Context) (a identity, err error) {
	if a.version, a.cmds, err = c.get(ctx); err != nil {
		return a, err
	}
	a.id, err = c.getID(ctx)
	return a, err
}

// fatal reports whether trying again is pointless.
func fatal(err error) bool {
	_, port := errors.AsType[*PortError](err)
	return port || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, ErrClosed) || errors.Is(err, ErrWrongChip)
}

// choose finds the chip of an id.
func (c *Client) choose(id uint16) (Chip, error) {
	chip, known := Lookup(id)
	if c.cfg.Chip != nil {
		chip, known = c.cfg.Chip.Trim(0), true
		if chip.ID != 0 && chip.ID != id {
			return Chip{}, fmt.Errorf("%w: id is 0x%03X, Config.Chip is %s", ErrWrongChip, id, chip)
		}
		chip.ID = id
	}
	if !known {
		return Chip{}, fmt.Errorf("%w: id 0x%03X", ErrUnknownChip, id)
	}
	if c.cfg.Alternate {
		chip = chip.Alternate()
	}
	return chip, nil
}
