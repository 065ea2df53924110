package stm32boot_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// TestEveryChip runs the commands against an emulated chip of every id, on a line
// with the speed of a real one, with the times of real flash.
func TestEveryChip(t *testing.T) {
	for _, chip := range stm32boot.Chips() {
		o := stm32sim.Options{ID: chip.ID, ECC: true, Times: stm32sim.RealTimes(&chip), Image: noise(1, 4096)}
		onRig(t, o, stm32sim.LineOptions{Baud: 115200}, func(r *rig) { everyCommand(t, r) })
	}
}

func everyCommand(t *testing.T, r *rig) {
	ctx := r.t.Context()
	c, err := stm32boot.Connect(ctx, r.config())
	if err != nil {
		t.Errorf("%s: %v", r.chip, err)
		return
	}
	check := func(what string, err error) {
		if err != nil {
			t.Errorf("%s: %s: %v", r.chip, what, err)
		}
	}
	last, _ := r.chip.PageAt(r.chip.PageCount() - 1)
	data := noise(2, min(int(last.Size), 600))
	check("erase", c.Erase(ctx, 0, last.Number))
	check("write", c.Write(ctx, last.Addr, data))
	got := make([]byte, len(data))
	check("read", c.Read(ctx, last.Addr, got))
	if !bytes.Equal(got, data) {
		t.Errorf("%s: read back something else", r.chip)
	}
	check("erase all", c.EraseAll(ctx))
	if p := r.target.Flash(); !bytes.Equal(p, bytes.Repeat([]byte{r.chip.Erased}, len(p))) {
		t.Errorf("%s: flash is not blank", r.chip)
	}
	check("readout protect", c.ReadoutProtect(ctx))
	if err := c.Read(ctx, r.chip.FlashStart, got); !errors.Is(err, stm32boot.ErrReadProtected) {
		t.Errorf("%s: read of a protected chip: %v", r.chip, err)
	}
	check("readout unprotect", c.ReadoutUnprotect(ctx))
	check("read", c.Read(ctx, r.chip.FlashStart, got))
	check("close", c.Close(ctx))
	if v := r.target.Stats().Violations; v != 0 {
		t.Errorf("%s: %d violations", r.chip, v)
	}
}

// TestConnectNoise connects on bad lines. What it finds must be right.
func TestConnectNoise(t *testing.T) {
	const seeds = 300
	for _, rate := range []float64{1e-4, 1e-3, 1e-2} {
		failed := 0
		for seed := range uint64(seeds) {
			line := stm32sim.LineOptions{Baud: 115200, Seed: seed, ToTarget: stm32sim.Uniform(rate), ToClient: stm32sim.Uniform(rate)}
			onRig(t, stm32sim.Options{ID: 0x413}, line, func(r *rig) {
				c, err := stm32boot.Connect(r.t.Context(), r.config())
				if err != nil {
					failed++
					if !errors.Is(err, stm32boot.ErrNoSync) {
						t.Errorf("seed %d: %v", seed, err)
					}
					return
				}
				if c.ID() != 0x413 || c.Version() != 0x31 || c.Chip().FlashSize != 1<<20 || len(c.Commands()) != 11 {
					t.Errorf("seed %d: found %s, %d bytes, version %02x, commands % x", seed, c.Chip(), c.Chip().FlashSize, c.Version(), c.Commands())
				}
			})
		}
		t.Logf("at %v: %d of %d connected", rate, seeds-failed, seeds)
		if rate < 1e-2 && failed > 0 {
			t.Errorf("at %v: %d failed", rate, failed)
		}
	}
}

// TestCancelOnALine cancels at every millisecond of a session on a line with a
// speed, writing included.
func TestCancelOnALine(t *testing.T) {
	step := 3 * time.Millisecond
	for wait := time.Duration(0); ; wait += step {
		done := false
		onRig(t, stm32sim.Options{ID: 0x410}, stm32sim.LineOptions{Baud: 115200}, func(r *rig) {
			ctx, cancel := context.WithTimeout(r.t.Context(), wait)
			defer cancel()
			start := time.Now()
			c, err := stm32boot.Connect(ctx, r.config())
			if err == nil {
				err = c.Erase(ctx, 0, 1, 2, 3)
				for n := 0; err == nil && n < 1024; n += 256 {
					err = c.Write(ctx, 0x08000000+uint32(n), noise(3, 256))
				}
				if err == nil {
					err = c.Read(ctx, 0x08000000, make([]byte, 1024))
				}
				if closed := c.Close(ctx); closed != nil {
					t.Errorf("after %v: close: %v", wait, closed)
				}
			}
			if done = err == nil; !done && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %v: %v", wait, err)
			}
			if d := time.Since(start); !done && d > wait+200*time.Millisecond {
				t.Errorf("after %v: ended %v later", wait, d-wait)
			}
		})
		if done {
			return
		}
	}
}

// TestWireTime pins what a block costs: 268 bytes and 6 turns to write, 267 bytes and
// 6 turns to read, and nothing between the blocks.
func TestWireTime(t *testing.T) {
	onRig(t, stm32sim.Options{ID: 0x414}, stm32sim.LineOptions{Baud: 115200}, func(r *rig) {
		ctx := r.t.Context()
		c, err := stm32boot.Connect(ctx, r.config())
		if err != nil {
			t.Fatal(err)
		}
		cost := func(what string, bytes, turns uint64, run func() error) {
			before, start := c.Stats(), time.Now()
			if err := run(); err != nil {
				t.Error(err)
			}
			s := c.Stats()
			if n := s.Sent + s.Received - before.Sent - before.Received; n != bytes || s.Turns-before.Turns != turns {
				t.Errorf("%s: %d bytes, %d turns; want %d, %d", what, n, s.Turns-before.Turns, bytes, turns)
			}
			wire := time.Duration(bytes) * 11 * time.Second / 115200
			if d := time.Since(start); d < wire-time.Millisecond || d > wire+time.Duration(turns)*time.Microsecond {
				t.Errorf("%s: took %v, the line needs %v", what, d, wire)
			}
		}
		cost("erase", 2+1+3+1, 4, func() error { return c.Erase(ctx, 0) })
		cost("write", 40*268, 240, func() error { return c.Write(ctx, 0x08000000, bytes.Repeat([]byte("plain text"), 1024)) })
		cost("read", 40*(2+5+2+3+256), 240, func() error { return c.Read(ctx, 0x08000000, make([]byte, 40*256)) })
	})
}

// TestEvents: the observer hears what happens, in order.
func TestEvents(t *testing.T) {
	faults := []stm32sim.Fault{{Kind: stm32sim.Silent, Commands: []byte{stm32boot.CmdErase}}}
	onRig(t, stm32sim.Options{ID: 0x410, Faults: faults}, stm32sim.LineOptions{}, func(r *rig) {
		c, err := stm32boot.Connect(r.t.Context(), r.config())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Erase(r.t.Context(), 1); !errors.Is(err, stm32boot.ErrTimeout) {
			t.Error(err)
		}
		if err := c.Erase(r.t.Context(), 1); err != nil {
			t.Error(err)
		}
		if err := c.Close(r.t.Context()); err != nil {
			t.Error(err)
		}
		var kinds []stm32boot.EventKind
		for _, e := range r.events {
			kinds = append(kinds, e.Kind)
		}
		want := []stm32boot.EventKind{stm32boot.EventReset, stm32boot.EventSync, stm32boot.EventTimeout, stm32boot.EventResync,
			stm32boot.EventReset, stm32boot.EventSync, stm32boot.EventLeave}
		if !slices.Equal(kinds, want) {
			t.Errorf("events %v, want %v", kinds, want)
		}
	})
}
