package stm32boot

import (
	"bytes"
	"context"
	"errors"
)

// match is how flash compares with what it should hold.
type match uint8

const (
	same  match = iota // all of it
	blank              // erased
	other              // anything else
)

// maxLooks is how often a block is read for a clear picture of it.
const maxLooks = 6

// errUnclear: each reading of a block gives something else.
var errUnclear = errors.New("stm32boot: what is read differs each time")

// look reads len(want) bytes at addr into f.got and compares them. The answer to a
// Read has no checksum, so anything but want must be seen twice to count.
func (f *flasher) look(ctx context.Context, addr uint32, want []byte) (match, error) {
	got, before := f.got[:len(want)], f.again[:len(want)]
	for n := range maxLooks {
		if err := f.c.readBlock(ctx, addr, got); err != nil {
			return 0, err
		}
		if bytes.Equal(got, want) {
			return same, nil
		}
		if n > 0 && bytes.Equal(got, before) {
			if allBytes(got, f.p.Chip.Erased) {
				return blank, nil
			}
			return other, nil
		}
		copy(before, got)
	}
	return 0, errUnclear
}

// certain reads len(p) bytes at addr into p until two readings in a row agree.
func (f *flasher) certain(ctx context.Context, addr uint32, p []byte) error {
	before := f.again[:len(p)]
	for n := range maxLooks {
		if err := f.c.readBlock(ctx, addr, p); err != nil {
			return err
		}
		if n > 0 && bytes.Equal(p, before) {
			return nil
		}
		copy(before, p)
	}
	return errUnclear
}

// mismatch returns where f.got differs from want.
func (f *flasher) mismatch(addr uint32, want []byte) *VerifyError {
	for i, b := range want {
		if f.got[i] != b {
			return &VerifyError{Addr: addr + uint32(i), Want: b, Got: f.got[i]}
		}
	}
	return nil
}

func allBytes(p []byte, b byte) bool {
	for _, x := range p {
		if x != b {
			return false
		}
	}
	return true
}
