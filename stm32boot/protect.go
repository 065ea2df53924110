package stm32boot

import (
	"context"
	"fmt"
	"time"
)

// restartTime is what a chip that restarts by itself is given.
const restartTime = 100 * time.Millisecond

// WriteProtect protects sectors, by the numbers of the option bytes, which are
// not those of pages, and unprotects all others. The chip restarts: see
// [Client.WriteUnprotect].
func (c *Client) WriteProtect(ctx context.Context, sectors ...byte) error {
	if err := c.writeProtect(ctx, sectors); err != nil {
		return c.explain(ctx, err)
	}
	return c.afterReset(ctx, CmdWriteProtect)
}

func (c *Client) writeProtect(ctx context.Context, sectors []byte) error {
	if len(sectors) == 0 || len(sectors) > MaxBlock {
		return fmt.Errorf("%w: write protect of %d sectors", ErrAddress, len(sectors))
	}
	if err := c.begin(ctx); err != nil {
		return err
	}
	at, err := c.command(ctx, CmdWriteProtect, 0)
	if err != nil {
		return err
	}
	return c.list(ctx, at, append([]byte{byte(len(sectors) - 1)}, sectors...), resetLimit)
}

// WriteUnprotect removes the write protection of all sectors.
//
// The chip restarts. The client then synchronises again, through the reset line
// if there is one. Without it the chip comes back in its ROM only if BOOT0
// is high; if it does not, the error says that the command was done and
// is ErrNoSync.
func (c *Client) WriteUnprotect(ctx context.Context) error {
	if err := c.protect(ctx, CmdWriteUnprotect, resetLimit); err != nil {
		return c.explain(ctx, err)
	}
	return c.afterReset(ctx, CmdWriteUnprotect)
}

// ReadoutProtect turns readout protection on, level 1. The chip restarts: see
// [Client.WriteUnprotect].
func (c *Client) ReadoutProtect(ctx context.Context) error {
	if err := c.protect(ctx, CmdReadoutProtect, resetLimit); err != nil {
		return c.explain(ctx, err)
	}
	return c.afterReset(ctx, CmdReadoutProtect)
}

// ReadoutUnprotect turns readout protection off. The target erases all of its
// flash, data EEPROM included, also if it was not protected, and clears its RAM;
// that takes up to a minute. The chip restarts: see [Client.WriteUnprotect].
func (c *Client) ReadoutUnprotect(ctx context.Context) error {
	if err := c.protect(ctx, CmdReadoutUnprotect, massLimit); err != nil {
		return err
	}
	return c.afterReset(ctx, CmdReadoutUnprotect)
}

// protect runs a command that has no list and ends with a second ACK.
func (c *Client) protect(ctx context.Context, cmd byte, limit time.Duration) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	at, err := c.command(ctx, cmd, 0)
	if err != nil {
		return err
	}
	return c.end(ctx, at, limit)
}

// afterReset synchronises with a chip that is restarting.
func (c *Client) afterReset(ctx context.Context, cmd byte) error {
	c.state, c.refusals = stateGone, 0
	err := c.settle(ctx, restartTime)
	if err == nil {
		err = c.reconnect(ctx, false)
	}
	if err != nil {
		return fmt.Errorf("stm32boot: %s is done, but the target did not come back: %w", CommandName(cmd), err)
	}
	return nil
}
