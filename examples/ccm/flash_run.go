package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/stm32boot"
)

// run does all that is asked for.
func (f *flasher) run(ctx context.Context) error {
	f.bar.log, f.bar.width = f.log, f.log.width
	defer f.bar.keepMoving()()
	j := &journal{path: f.state}
	if err := j.check(); err != nil {
		return err
	}
	w, err := f.open(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = errInterrupted
		}
		return err
	}
	defer w.close()
	f.bar.note("connecting to %s", f.at)
	c, err := stm32boot.Connect(ctx, f.config(w))
	if err != nil {
		return f.explain(ctx, j, err)
	}
	err = f.work(ctx, c, j)
	f.bar.clear()
	if left := f.leave(ctx, c, w, err == nil && f.set("go")); err == nil && left != nil {
		err = fmt.Errorf("the application cannot be started: %w", left)
	}
	if err != nil {
		return f.explain(ctx, j, err)
	}
	f.farewell()
	return nil
}

// leave lets the application run, and has the pins as they were. A program that
// was started at an address goes on running.
func (f *flasher) leave(ctx context.Context, c *stm32boot.Client, w *ways, started bool) error {
	switch {
	case !started:
		return c.Close(ctx)
	case w.boot0 != nil:
		return w.boot0.Set(false)
	}
	return nil
}

// farewell says what is left to be done by hand.
func (f *flasher) farewell() {
	if !f.reset.wired() && !f.set("go") && !f.dryRun {
		f.log.printf("the chip stays in its boot loader: to start the firmware reset it with BOOT0 low\n")
	}
}

// work does what is asked for, in the order that makes sense.
func (f *flasher) work(ctx context.Context, c *stm32boot.Client, j *journal) error {
	chip := c.Chip()
	if f.chip.id != 0 && f.chip.id != c.ID() {
		return fmt.Errorf("%w: it is %s, --chip wants 0x%03X", stm32boot.ErrWrongChip, chip, f.chip.id)
	}
	f.bar.note("%s, %d KiB of flash, boot loader %d.%d", chip, chip.FlashSize>>10, c.Version()>>4, c.Version()&15)
	if !c.SizeKnown() && !f.unprotect {
		f.bar.note("the chip does not tell the size of its flash: %d KiB is the largest with this id", chip.FlashSize>>10)
	}
	if f.unprotect {
		if err := f.unlock(ctx, c); err != nil {
			return err
		}
	}
	if f.info {
		if err := f.describe(ctx, c); err != nil {
			return err
		}
	}
	switch {
	case f.file != "":
		if err := f.write(ctx, c, j); err != nil {
			return err
		}
	case f.erase:
		if err := f.eraseAll(ctx, c); err != nil {
			return err
		}
	case f.read != "":
		if err := f.readBack(ctx, c); err != nil {
			return err
		}
	}
	if f.set("go") {
		if err := c.Go(ctx, uint32(f.start)); err != nil {
			return err
		}
		f.out.printf("started the program at 0x%08X\n", uint32(f.start))
	}
	return nil
}

// unlock removes all protection, and with it all of the flash.
func (f *flasher) unlock(ctx context.Context, c *stm32boot.Client) error {
	f.bar.note("removing the protection, which erases the flash")
	if err := c.ReadoutUnprotect(ctx); err != nil {
		if _, refused := errors.AsType[*stm32boot.NackError](err); refused {
			err = withCure(err, []string{"readout protection of level 2 is for ever: the chip can only be replaced"})
		}
		return err
	}
	if err := c.WriteUnprotect(ctx); err != nil {
		return err
	}
	if err := c.Reconnect(ctx); err != nil { // the size of the flash can be read now
		return err
	}
	f.out.printf("removed the protection; the flash is erased\n")
	return nil
}

// eraseAll erases the flash.
func (f *flasher) eraseAll(ctx context.Context, c *stm32boot.Client) error {
	begun := time.Now()
	if err := c.EraseAll(ctx); err != nil {
		return err
	}
	f.out.printf("erased all of the flash in %s\n", seconds(time.Since(begun)))
	return nil
}

// write puts the firmware into the flash.
func (f *flasher) write(ctx context.Context, c *stm32boot.Client, j *journal) error {
	if !f.set("addr") {
		f.firmware.move(c.Chip().FlashStart)
	}
	o := f.options(j)
	o.ProductID = f.chip.id
	plan, err := stm32boot.PlanFlash(c.Chip(), f.firmware.image, o)
	if err != nil {
		return err
	}
	if plan.Resumed {
		f.bar.note("going on where it was interrupted")
	}
	if !f.changedOnly && !f.dryRun {
		for _, w := range plan.Warnings() {
			f.bar.note("warning: %s%s", w, f.cureOf(w))
		}
	}
	begun := time.Now()
	r, err := c.Flash(ctx, f.firmware.image, o)
	f.bar.clear()
	if err != nil {
		return err
	}
	if f.dryRun {
		f.out.printf("%s", r.Plan)
		return nil
	}
	f.out.printf("%s\n", f.resultText(r, time.Since(begun)))
	return nil
}

// cureOf returns what helps against what is warned of.
func (f *flasher) cureOf(warning string) string {
	if strings.Contains(warning, "beside the image") {
		return " (--preserve keeps them)"
	}
	return ""
}

// resultText tells what was done.
func (f *flasher) resultText(r stm32boot.Result, took time.Duration) string {
	if r.Identical {
		return fmt.Sprintf("nothing to do: the flash holds the %d bytes already (looked at in %s)", f.firmware.size(), seconds(took))
	}
	text := fmt.Sprintf("wrote %d bytes, %s", r.Bytes, count(r.Written, "page"))
	if r.Kept > 0 {
		text += fmt.Sprintf(", %d were right already", r.Kept)
	}
	if r.Plan.Options.Verify == stm32boot.VerifyNone {
		text += ", not verified"
	} else {
		text += ", verified"
	}
	if r.Retries > 0 || r.Repaired > 0 {
		text += fmt.Sprintf(", %d retries, %d pages repaired", r.Retries, r.Repaired)
	}
	return text + ", in " + seconds(took)
}

// explain makes an error one that a user can do something about.
func (f *flasher) explain(ctx context.Context, j *journal, err error) error {
	if ctx.Err() != nil {
		err = errInterrupted
		if f.file == "" {
			return err
		}
		return fmt.Errorf("%w: %s", err, j.remains())
	}
	err = withCure(err, f.cure(err))
	if j.step != 0 {
		err = fmt.Errorf("%w\n  %s", err, j.remains())
	}
	return err
}

// cure returns what to try, a line each.
func (f *flasher) cure(err error) (lines []string) {
	switch {
	case errors.Is(err, uart.ErrUnplugged):
		lines = []string{"the port is gone: plug the adapter in, or start the simulator, again"}
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		if f.at.network != "serial" {
			lines = []string{"the other end has closed the connection"}
		}
	case errors.Is(err, stm32boot.ErrNoSync):
		lines = f.noSync()
	case errors.Is(err, stm32boot.ErrReadProtected):
		lines = []string{"--unprotect removes the protection, and ERASES ALL of the flash"}
	case errors.Is(err, stm32boot.ErrWriteProtected):
		lines = []string{"--unprotect removes the protection, and ERASES ALL of the flash"}
	case errors.Is(err, stm32boot.ErrUnknownChip):
		lines = []string{"describe it, as its reference manual does: --chip size=64K,page=1K"}
	case errors.Is(err, stm32boot.ErrTooLarge), errors.Is(err, stm32boot.ErrOutside):
		lines = []string{"is it the firmware for this chip? --info shows the flash"}
		if f.firmware.kind == "plain" && f.set("addr") {
			lines = append(lines, "is --addr right?")
		}
	case errors.Is(err, stm32boot.ErrWrongChip):
		lines = []string{"nothing was changed; is it the right board, at the right port?"}
	case errors.Is(err, stm32boot.ErrAddress):
		lines = []string{"the chip has no memory at that address that the boot loader gives"}
	case errors.Is(err, stm32boot.ErrMisaligned):
		lines = []string{"the boot loader writes whole words: link the firmware to an address that is a multiple of 4"}
	case errors.Is(err, stm32boot.ErrNoReset):
		lines = []string{"reset the chip with BOOT0 high and try again, or wire the pins: --rst, --boot0"}
	case errors.Is(err, stm32boot.ErrGaveUp), errors.Is(err, stm32boot.ErrVerify):
		lines = []string{"a lower rate may help: --baud 19200", "are the grounds joined, and the wires short?"}
	}
	return lines
}

// noSync returns what to check when the boot loader does not answer.
func (f *flasher) noSync() []string {
	var lines []string
	switch {
	case f.reset.wired() && f.sel.wired():
		lines = append(lines, "are --rst and --boot0 wired like that? An inverter on the way is written !dtr, !rts")
	case f.reset.wired():
		lines = append(lines, "is BOOT0 high? Or wire it: --boot0")
	default:
		lines = append(lines, "is BOOT0 high, and was the chip reset since? Or wire both: --rst, --boot0")
	}
	lines = append(lines, "is it powered, are TX and RX crossed, and the grounds joined?",
		"is it a UART of the boot loader? Which ones are is in ST's AN2606")
	if f.at.network != "serial" {
		lines = append(lines, "is the line 8E1 where the serial port is?")
	}
	return lines
}
