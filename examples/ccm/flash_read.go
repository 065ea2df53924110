package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// readChunk is how much is read at a time, and readTries how often that is tried.
const (
	readChunk = 1024
	readTries = 3
)

// readBack reads the flash, or any memory, into a file.
func (f *flasher) readBack(ctx context.Context, c *stm32boot.Client) error {
	chip := c.Chip()
	addr, size := uint32(f.addr), uint64(f.size)
	if !f.set("addr") {
		addr = chip.FlashStart
	}
	if !f.set("size") {
		if !chip.InFlash(addr, 1) {
			return fmt.Errorf("0x%08X is not in the flash: say by --size how much to read", addr)
		}
		size = uint64(chip.FlashStart) + uint64(chip.FlashSize) - uint64(addr)
	}
	end := uint64(addr) + size
	switch flashEnd := uint64(chip.FlashStart) + uint64(chip.FlashSize); {
	case size == 0:
		return errors.New("--size 0: there is nothing to read")
	case end > 1<<32:
		return fmt.Errorf("%d bytes at 0x%08X end behind the last address", size, addr)
	case chip.InFlash(addr, 1) && end > flashEnd && c.SizeKnown():
		return fmt.Errorf("%d bytes at 0x%08X end behind the flash, at 0x%08X: read at most %d", size, addr, flashEnd, flashEnd-uint64(addr))
	}
	begun := time.Now()
	data := make([]byte, size)
	for at := 0; at < len(data); at += readChunk {
		p := data[at:min(at+readChunk, len(data))]
		if err := readPiece(ctx, c, addr+uint32(at), p); err != nil {
			return err
		}
		f.bar.show("read", int64(at+len(p)), int64(size))
	}
	f.bar.clear()
	if err := writeFile(f.read, data, 0o644); err != nil {
		return err
	}
	f.out.printf("%s: %d bytes from 0x%08X, in %s\n", f.read, size, addr, seconds(time.Since(begun)))
	return nil
}

// readPiece reads a piece of memory; noise on the line does not matter at once.
func readPiece(ctx context.Context, c *stm32boot.Client, addr uint32, p []byte) (err error) {
	for range readTries {
		err = c.Read(ctx, addr, p)
		if err == nil || ctx.Err() != nil || errors.Is(err, stm32boot.ErrReadProtected) || errors.Is(err, stm32boot.ErrAddress) {
			break
		}
	}
	return err
}

// describe prints what is known of the chip.
func (f *flasher) describe(ctx context.Context, c *stm32boot.Client) error {
	chip := c.Chip()
	line := func(what, format string, args ...any) {
		f.out.printf("%-12s %s\n", what, fmt.Sprintf(format, args...))
	}
	line("chip", "%s", chip)
	upTo := ""
	if !c.SizeKnown() {
		upTo = "up to "
	}
	line("flash", "%s%d KiB at 0x%08X, %s", upTo, chip.FlashSize>>10, chip.FlashStart, pagesText(chip.Layout))
	if chip.RAMEnd > chip.RAMStart {
		line("RAM", "%d KiB at 0x%08X, the first %d bytes are the loader's", (chip.RAMEnd-chip.RAMStart)>>10, chip.RAMStart, chip.RAMReserved)
	}
	for _, r := range chip.OptionBytes {
		line("option bytes", "%d at 0x%08X", r.Size, r.Addr)
	}
	if chip.Flags != 0 {
		line("properties", "%s", strings.ReplaceAll(chip.Flags.String(), ";", ", "))
	}
	rate := ""
	if f.at.network == "serial" {
		rate = fmt.Sprintf(", at %d baud", c.Baud())
	}
	line("boot loader", "version %d.%d%s", c.Version()>>4, c.Version()&15, rate)
	var commands []string
	for _, cmd := range c.Commands() {
		commands = append(commands, stm32boot.CommandName(cmd))
	}
	line("commands", "%s", strings.Join(commands, ", "))
	var word [4]byte
	switch err := readPiece(ctx, c, chip.FlashStart, word[:]); {
	case errors.Is(err, stm32boot.ErrReadProtected):
		line("protection", "the flash cannot be read: readout protection is on")
	case err != nil:
		return err
	default:
		line("protection", "none against reading")
	}
	return nil
}

// pagesText describes the layout of the flash.
func pagesText(layout []stm32boot.Pages) string {
	var runs []string
	for _, r := range layout {
		size := fmt.Sprintf("%d bytes", r.Size)
		if r.Size%1024 == 0 {
			size = fmt.Sprintf("%d KiB", r.Size>>10)
		}
		runs = append(runs, fmt.Sprintf("%d x %s", r.Count, size))
	}
	return "pages " + strings.Join(runs, ", ")
}
