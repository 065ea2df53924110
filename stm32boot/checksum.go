package stm32boot

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

// crcPoly is the polynomial of the CRC unit of STM32 chips.
const crcPoly = 0x04C11DB7

// CRC returns what the CRC unit of an STM32 computes over data: CRC-32 with the
// initial value FFFFFFFF, fed with little-endian words most significant bit first,
// not reflected and not inverted. A last word that is short is filled with
// 0xFF.
func CRC(data []byte) uint32 {
	table := crcTable()
	crc := ^uint32(0)
	for len(data) > 0 {
		word := [4]byte{0xFF, 0xFF, 0xFF, 0xFF}
		data = data[copy(word[:], data):]
		crc ^= binary.LittleEndian.Uint32(word[:])
		for range word {
			crc = crc<<8 ^ table[crc>>24]
		}
	}
	return crc
}

// crcTable returns what each top byte adds.
func crcTable() (table [256]uint32) {
	for i := range table {
		v := uint32(i) << 24
		for range 8 {
			carry := v >> 31
			v = v<<1 ^ carry*crcPoly
		}
		table[i] = v
	}
	return table
}

// Checksum asks for the [CRC] of n bytes from addr on, both multiples of 4. It
// is for loaders of protocol 3.3 that list the command; others give
// ErrUnsupported. The form of the command is that of stm32flash 0.7, which is not
// confirmed on silicon; ST's note is said to describe another one. Where it
// fails, read the memory instead.
func (c *Client) Checksum(ctx context.Context, addr uint32, n int) (uint32, error) {
	if !c.Supports(CmdChecksum) {
		return 0, fmt.Errorf("%w: checksum", ErrUnsupported)
	}
	if n <= 0 || n%4 != 0 || addr%4 != 0 {
		return 0, fmt.Errorf("%w: checksum of %d bytes at 0x%08X: not a multiple of 4", ErrAddress, n, addr)
	}
	if err := checkSpan(CmdChecksum, addr, n); err != nil {
		return 0, err
	}
	sum, err := c.checksum(ctx, addr, uint32(n))
	return sum, c.explain(ctx, err)
}

func (c *Client) checksum(ctx context.Context, addr, n uint32) (uint32, error) {
	if err := c.begin(ctx); err != nil {
		return 0, err
	}
	at, err := c.command(ctx, CmdChecksum, addr)
	if err != nil {
		return 0, err
	}
	if err := c.address(ctx, &at, addr); err != nil {
		return 0, err
	}
	at.Stage = StageLength
	if err := c.step(ctx, at, appendWord(nil, n), ackLimit); err != nil {
		return 0, err
	}
	at.Stage = StageData
	computing := writeLimit + time.Duration(n)*time.Microsecond
	if err := c.ack(ctx, at, c.wait(computing, 1)); err != nil {
		return 0, err
	}
	var p [5]byte
	if err := c.receive(ctx, at, p[:], c.wait(ackLimit, len(p))); err != nil {
		return 0, err
	}
	if xor(p[:]) != 0 {
		return 0, c.stray(at, p[4], "wrong checksum of the checksum")
	}
	return binary.BigEndian.Uint32(p[:]), c.exact(at)
}
