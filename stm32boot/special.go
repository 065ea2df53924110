package stm32boot

import (
	"context"
	"encoding/binary"
	"fmt"
)

// Limits of the special commands.
const (
	MaxSpecial         = 128  // bytes sent by Special, and first by ExtendedSpecial
	MaxExtendedSpecial = 1024 // bytes sent second by ExtendedSpecial
	maxSpecialReply    = 4096
)

// Special runs an operation that only some chips have. What code and data mean,
// and what the target returns, is in its documentation. Loaders that do not
// list the command give ErrUnsupported.
func (c *Client) Special(ctx context.Context, code uint16, data []byte) (reply, status []byte, err error) {
	at, err := c.special(ctx, CmdSpecial, code, data)
	if err != nil {
		return nil, nil, err
	}
	if reply, err = c.sized16(ctx, at); err != nil {
		return nil, nil, err
	}
	if status, err = c.sized16(ctx, at); err != nil {
		return nil, nil, err
	}
	return reply, status, c.end(ctx, at, resetLimit)
}

// ExtendedSpecial is Special with a second piece of data; only a status comes
// back.
func (c *Client) ExtendedSpecial(ctx context.Context, code uint16, data, more []byte) (status []byte, err error) {
	if len(more) > MaxExtendedSpecial {
		return nil, fmt.Errorf("%w: extended special with %d bytes", ErrAddress, len(more))
	}
	at, err := c.special(ctx, CmdExtendedSpecial, code, data)
	if err != nil {
		return nil, err
	}
	if err := c.step(ctx, at, sizedFrame(more), resetLimit); err != nil {
		return nil, err
	}
	if status, err = c.sized16(ctx, at); err != nil {
		return nil, err
	}
	return status, c.end(ctx, at, resetLimit)
}

// special runs what the two commands have in common.
func (c *Client) special(ctx context.Context, cmd byte, code uint16, data []byte) (Place, error) {
	switch {
	case !c.Supports(cmd):
		return Place{}, fmt.Errorf("%w: %s", ErrUnsupported, CommandName(cmd))
	case len(data) > MaxSpecial:
		return Place{}, fmt.Errorf("%w: %s with %d bytes", ErrAddress, CommandName(cmd), len(data))
	}
	if err := c.begin(ctx); err != nil {
		return Place{}, err
	}
	at, err := c.command(ctx, cmd, 0)
	if err != nil {
		return at, err
	}
	at.Stage = StageAddress
	c.state = stateInList
	hi, lo := byte(code>>8), byte(code)
	if err := c.step(ctx, at, []byte{hi, lo, hi ^ lo}, ackLimit); err != nil {
		return at, err
	}
	at.Stage = StageData
	return at, c.step(ctx, at, sizedFrame(data), resetLimit)
}

// sizedFrame returns data behind its length, with the checksum of both.
func sizedFrame(data []byte) []byte {
	frame := append([]byte{byte(len(data) >> 8), byte(len(data))}, data...)
	return append(frame, xor(frame))
}

// sized16 receives bytes that come behind their length.
func (c *Client) sized16(ctx context.Context, at Place) ([]byte, error) {
	var n [2]byte
	if err := c.receive(ctx, at, n[:], c.wait(resetLimit, len(n))); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(n[:]))
	if size > maxSpecialReply {
		return nil, c.stray(at, n[0], "answer is too long")
	}
	p := make([]byte, size)
	return p, c.receive(ctx, at, p, c.wait(resetLimit, size))
}
