package stm32boot

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// What recovery builds on. The client remembers how its last command ended: every
// command first calls begin, and begin calls resync when the command before it
// did not end cleanly (timeout, wrong bytes, cancelled context). So after a
// failure the next command may simply be given; calling resync only makes its own
// failure visible.
//
// One attempt each, without retries, are
//
//	readBlock(ctx, addr, p)   one Read, 1..chip.BlockSize() bytes
//	writeBlock(ctx, addr, p)  one Write, a multiple of 4 bytes; nothing is padded
//	eraseList(ctx, pages)     one erase command, 1..maxErase() numbers; see arrange
//	eraseMass(ctx)            the whole chip
//
// and protected(ctx) tells whether a refusal means readout protection. Their
// errors are *NackError, *TimeoutError, *ReplyError, and of the kinds that fatal
// knows, for which there is no recovery.

// filler is sent to a target that may wait for anything. As a command byte, an
// address, a length, a data frame or a list of one-byte numbers, a run of it is
// refused: the complement of it is no command, and the XOR of any such frame is
// 0. 0x00 and 0xFF, and all odd bytes, make valid data frames.
const filler = 0x02

// Limits of probing.
const (
	quietTime   = 30 * time.Millisecond  // silence that says that nothing more comes
	drainLimit  = 500 * time.Millisecond // for becoming silent
	probeLimit  = 50 * time.Millisecond  // for an answer to filler
	singleBytes = 5                      // filler sent one by one: an address
	fillChunk   = 32
	fillMax     = 4 + MaxBlock + 2 // what the longest stage can want, and some more
	probeRounds = 4
)

// resync brings the exchange back in step: afterwards the target waits for a
// command. After an erase whose last answer did not come nothing may be sent
// that could be taken for page numbers: the target is reset, or, before any
// number was sent, the erase is cancelled; else ErrNoReset. A target that does
// not answer is reset if that is possible. Other errors: ErrNoSync,
// ErrWrongChip, *PortError, the context's.
func (c *Client) resync(ctx context.Context) error {
	switch c.state {
	case stateIdle:
		return nil
	case stateGone:
		return ErrNotConnected
	case stateClosed:
		return ErrClosed
	}
	c.link.stats.Resyncs++
	c.note(Event{Kind: EventResync, At: Place{Command: c.pending}})
	if c.state == stateList || c.state == stateInList {
		if c.cfg.canReset() {
			return c.reconnect(ctx, false)
		}
		if err := c.cancelList(ctx); err != nil {
			return err
		}
	}
	err := c.probe(ctx)
	if errors.Is(err, ErrNoSync) && c.cfg.canReset() {
		return c.reconnect(ctx, false)
	}
	return err
}

// reconnect restarts the target into its ROM and synchronises, at the rate in
// use or, with lower, at the next one if there is one; if that fails, at those
// after it. Without a reset line it is resync while the target is in its ROM, and
// lower has no effect, as the target measures the rate only once. Errors: as
// resync.
func (c *Client) reconnect(ctx context.Context, lower bool) error {
	if c.state == stateClosed {
		return ErrClosed
	}
	if !c.cfg.canReset() && c.state != stateGone {
		return c.resync(ctx)
	}
	from := c.rate
	if lower && from+1 < len(c.cfg.Bauds) {
		from++
		if err := c.setRate(from, true); err != nil {
			return err
		}
	}
	gone := c.state
	who, err := c.bringUp(ctx, from, false)
	switch {
	case err != nil:
		c.state = max(gone, stateDirty)
	case who.id != c.id:
		c.state = stateGone
		err = fmt.Errorf("%w: id was 0x%03X and is 0x%03X", ErrWrongChip, c.id, who.id)
	}
	return err
}

// probe finds out, by sending filler, when the target has given up what it was
// waiting for and waits for a command. It must not be used while the target
// may wait for a list.
func (c *Client) probe(ctx context.Context) error {
	at := Place{Command: c.pending, Stage: StageCommand}
	for range probeRounds {
		if err := c.drain(ctx, at); err != nil {
			return err
		}
		clean, err := c.fill(ctx, at)
		if err != nil {
			return err
		}
		if clean {
			c.state = stateIdle
			return nil
		}
	}
	c.state = stateDirty
	return ErrNoSync
}

// drain waits until the target is silent.
func (c *Client) drain(ctx context.Context, at Place) error {
	return c.failed(at, "read", c.link.discard(ctx, quietTime+c.cfg.Latency, c.wait(drainLimit, fillMax)))
}

// fill sends filler until something is answered. The target is known to wait for
// a command if the answer is a NACK to a single byte: an answer to one of
// several leaves open how many of them are left.
func (c *Client) fill(ctx context.Context, at Place) (clean bool, err error) {
	for sent, n := 0, 1; sent < fillMax; sent += n {
		if sent >= singleBytes {
			n = fillChunk
		}
		chunk := make([]byte, n)
		for i := range chunk {
			chunk[i] = filler
		}
		if err := c.send(ctx, at, chunk); err != nil {
			return false, err
		}
		var b [1]byte
		_, err := c.link.receive(ctx, b[:], c.wait(probeLimit, n+1))
		switch {
		case err == nil:
			return n == 1 && b[0] == NACK && len(c.link.buf) == 0, nil
		case !errors.Is(err, errSilence):
			return false, c.failed(at, "read", err)
		}
	}
	return false, nil
}

// cancelList ends a command whose list has not begun with a list that has a
// wrong checksum. It is sent once: if part of it was lost, a second one might
// complete a valid list.
func (c *Client) cancelList(ctx context.Context) error {
	at := Place{Command: c.pending, Stage: StagePages}
	if c.state == stateInList {
		return fmt.Errorf("%w: %s did not end", ErrNoReset, CommandName(c.pending))
	}
	if err := c.drain(ctx, at); err != nil {
		return err
	}
	frame := []byte{0, 0, 1}
	if c.pending == CmdExtendedErase {
		frame = []byte{0, 0, 0, 0, 1}
	}
	c.state = stateInList
	err := c.step(ctx, at, frame, ackLimit)
	if _, refused := errors.AsType[*NackError](err); refused {
		c.state = stateDirty
		return nil
	}
	if err == nil || !fatal(err) {
		err = fmt.Errorf("%w: %s did not end", ErrNoReset, CommandName(c.pending))
	}
	return err
}
