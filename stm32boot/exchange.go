package stm32boot

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Time limits of an answer, to which the time on the line is added.
const (
	ackLimit   = 500 * time.Millisecond
	writeLimit = 2 * time.Second
	readLimit  = 200 * time.Millisecond
	massLimit  = 60 * time.Second
	resetLimit = 2 * time.Second
)

// maxBusy bounds how often BUSY prolongs one stage, and busyLimit for how long.
const (
	maxBusy   = 1000
	busyLimit = 2 * time.Minute
)

// wait returns a time limit: base, and twice the time that n bytes need.
func (c *Client) wait(base time.Duration, n int) time.Duration {
	wire := time.Duration(n) * bitsPerByte * time.Second / time.Duration(c.Baud())
	return base + c.cfg.Latency + 2*wire
}

// send sends p, which belongs to at.
func (c *Client) send(ctx context.Context, at Place, p []byte) error {
	return c.failed(at, "write", c.link.send(ctx, p, c.wait(writeLimit, len(p))))
}

// receive fills p with an answer.
func (c *Client) receive(ctx context.Context, at Place, p []byte, limit time.Duration) error {
	n, err := c.link.receive(ctx, p, limit)
	if !errors.Is(err, errSilence) {
		return c.failed(at, "read", err)
	}
	c.link.stats.Timeouts++
	err = &TimeoutError{Place: at, Got: n, Want: len(p)}
	c.note(Event{Kind: EventTimeout, At: at, Err: err})
	return err
}

// failed gives an error of the link its place.
func (c *Client) failed(at Place, op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("stm32boot: %s: %w", at, err)
	}
	return &PortError{Place: at, Op: op, Err: err}
}

// ack expects an ACK. A NACK ends the command, but it does not say whether bytes
// of the host are left over behind it.
func (c *Client) ack(ctx context.Context, at Place, limit time.Duration) error {
	var b [1]byte
	for begin, busy := c.link.now(), 0; ; busy++ {
		if err := c.receive(ctx, at, b[:], limit); err != nil {
			return err
		}
		switch {
		case b[0] == ACK:
			return nil
		case b[0] == NACK && len(c.link.buf) > 0:
			return c.stray(at, c.link.buf[0], "more follows a NACK")
		case b[0] == NACK:
			c.state = stateDirty
			c.link.stats.Nacks++
			err := &NackError{at}
			c.note(Event{Kind: EventNack, At: at, Err: err})
			return err
		case b[0] != BUSY:
			return c.stray(at, b[0], "neither ACK nor NACK")
		case busy == maxBusy, c.link.now().Sub(begin) > busyLimit:
			return c.stray(at, b[0], "busy for too long")
		}
		c.link.stats.Busy++
	}
}

// stray reports a byte that the protocol does not allow.
func (c *Client) stray(at Place, b byte, text string) error {
	c.link.stats.Stray++
	err := &ReplyError{Place: at, Got: b, Text: text}
	c.note(Event{Kind: EventStray, At: at, Err: err})
	return err
}

// step sends p and expects an ACK within limit of its arrival.
func (c *Client) step(ctx context.Context, at Place, p []byte, limit time.Duration) error {
	if err := c.send(ctx, at, p); err != nil {
		return err
	}
	return c.ack(ctx, at, c.wait(limit, len(p)+1))
}

// begin makes the target ready for a command.
func (c *Client) begin(ctx context.Context) error {
	switch c.state {
	case stateIdle:
		return nil
	case stateGone:
		return ErrNotConnected
	case stateClosed:
		return ErrClosed
	}
	return c.resync(ctx)
}

// command sends a command byte, its complement, and expects an ACK. Until done is
// called the command counts as not ended.
func (c *Client) command(ctx context.Context, cmd byte, addr uint32) (Place, error) {
	at := Place{Command: cmd, Stage: StageCommand, Addr: addr}
	c.link.stats.Commands++
	c.pending = cmd
	c.state = stateDirty
	if takesList(cmd) {
		c.state = stateList
	}
	return at, c.step(ctx, at, []byte{cmd, ^cmd}, ackLimit)
}

// takesList reports whether a command is followed by a list that must not be
// completed by chance.
func takesList(cmd byte) bool {
	switch cmd {
	case CmdErase, CmdExtendedErase, CmdWriteProtect, CmdSpecial, CmdExtendedSpecial:
		return true
	}
	return false
}

// done notes that a command has ended.
func (c *Client) done() { c.state = stateIdle }

// address sends an address with its checksum.
func (c *Client) address(ctx context.Context, at *Place, addr uint32) error {
	at.Stage = StageAddress
	var frame [5]byte
	return c.step(ctx, *at, appendWord(frame[:0], addr), ackLimit)
}

// appendWord appends four bytes, big endian, and their XOR.
func appendWord(p []byte, v uint32) []byte {
	a, b, d, e := byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
	return append(p, a, b, d, e, a^b^d^e)
}

// xor returns the XOR of all bytes.
func xor(p []byte) (sum byte) {
	for _, b := range p {
		sum ^= b
	}
	return sum
}
