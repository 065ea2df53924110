package stm32boot

import (
	"context"
	"errors"
	"time"
)

// leaveLimit bounds what Leave and Close may take.
const leaveLimit = 10 * time.Second

// enter restarts the chip into its ROM, as far as that is wired, and throws away
// what it said before.
func (c *Client) enter(ctx context.Context) error {
	c.note(Event{Kind: EventReset, Baud: c.Baud()})
	c.state = stateDirty
	if c.cfg.Enter != nil {
		c.link.stats.Resets++
		if err := c.cfg.Enter(ctx); err != nil {
			return &PortError{Op: "enter", Err: err}
		}
		return c.settle(ctx, c.cfg.BootDelay)
	}
	if err := c.boot0(true); err != nil {
		return err
	}
	if c.cfg.Reset == nil {
		return c.settle(ctx, quietTime)
	}
	c.link.stats.Resets++
	if err := c.restart(ctx); err != nil {
		return err
	}
	return c.settle(ctx, c.cfg.BootDelay)
}

// restart holds the chip in reset for a while and lets it run, even if the first
// failed, whose error counts then.
func (c *Client) restart(ctx context.Context) error {
	err := c.pulse(ctx)
	if up := c.reset(false); err == nil {
		err = up
	}
	return err
}

// settle waits for d and throws away what comes meanwhile.
func (c *Client) settle(ctx context.Context, d time.Duration) error {
	return c.failed(Place{Command: Init, Stage: StageCommand}, "read", c.link.discard(ctx, d, d))
}

// pulse asserts Reset for the time of ResetPulse.
func (c *Client) pulse(ctx context.Context) error {
	if err := c.reset(true); err != nil {
		return err
	}
	return c.failed(Place{Command: Init, Stage: StageCommand}, "wait", sleep(ctx, c.cfg.ResetPulse))
}

// leave sets the pins so that the application runs, whatever happened before.
// It does as much as it can and returns all errors.
func (c *Client) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
	defer cancel()
	c.note(Event{Kind: EventLeave})
	if c.cfg.Leave != nil {
		if err := c.cfg.Leave(ctx); err != nil {
			return &PortError{Op: "leave", Err: err}
		}
		return nil
	}
	err := c.boot0(false)
	if c.cfg.Reset != nil {
		err = errors.Join(err, c.restart(ctx))
	}
	return err
}

// boot0 selects the ROM (true) or the application for the next reset.
func (c *Client) boot0(rom bool) error {
	if c.cfg.Boot0 == nil {
		return nil
	}
	return pinError("boot0 pin", c.cfg.Boot0.Set(rom != c.cfg.InvertBoot0))
}

// reset holds the chip in reset (true) or lets it run.
func (c *Client) reset(on bool) error {
	return pinError("reset pin", c.cfg.Reset.Set(!on != c.cfg.InvertReset))
}

func pinError(op string, err error) error {
	if err == nil {
		return nil
	}
	return &PortError{Op: op, Err: err}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
