package stm32boot

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestReadWrite writes and reads every length around the size of a block, at
// different alignments of the chip.
func TestReadWrite(t *testing.T) {
	for _, id := range []uint16{0x410, 0x417, 0x415, 0x450} {
		synctest.Test(t, func(t *testing.T) {
			r := newROM(id)
			c := dial(t, Config{Port: r})
			ctx := t.Context()
			for _, n := range []int{1, 3, 4, 5, 31, 32, 33, 127, 128, 129, 255, 256, 257, 511, 513, 1003} {
				if err := c.EraseAll(ctx); err != nil {
					t.Fatal(err)
				}
				start := r.chip.FlashStart + 1024
				if err := c.Write(ctx, start, image(n)); err != nil {
					t.Fatalf("%s: write of %d: %v", r.chip, n, err)
				}
				got := make([]byte, n+40)
				if err := c.Read(ctx, start-4, got); err != nil {
					t.Fatal(err)
				}
				want := append(bytes.Repeat([]byte{r.chip.Erased}, 4), image(n)...)
				for len(want) < len(got) {
					want = append(want, r.chip.Erased)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s: %d bytes read back differ", r.chip, n)
				}
			}
		})
	}
}

// TestWriteApart: what a target could take for a command that locks or wipes it is
// not sent inside a block.
func TestWriteApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		c := dial(t, Config{Port: r})
		data := image(1024)
		for i := 1; i < len(data)-1; i += 37 {
			data[i], data[i+1] = CmdReadoutUnprotect, 0xFF^CmdReadoutUnprotect
		}
		before := c.Stats().Commands
		if err := c.Write(t.Context(), 0x08000000, data); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(r.peek(0x08000000, len(data)), data) {
			t.Error("memory differs")
		}
		if n := c.Stats().Commands - before; n < 20 {
			t.Errorf("%d blocks", n)
		}
	})
}

// TestWriteOptions: option bytes restart the chip, and the client follows.
func TestWriteOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		c := dial(t, r.wired())
		r.tick = func() {
			if len(r.commits) == 1 && len(r.out) == 0 && r.synced && r.resets == 2 {
				r.restart()
			}
		}
		options := []byte{0xA5, 0x5A, 0xFF, 0x00, 0, 0xFF, 0, 0xFF, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0}
		if err := c.Write(t.Context(), 0x1FFFF800, options); err != nil {
			t.Fatal(err)
		}
		if r.resets != 4 { // power on, connect, by the option bytes, by the client
			t.Errorf("%d resets", r.resets)
		}
		got := make([]byte, len(options))
		if err := c.Read(t.Context(), 0x1FFFF800, got); err != nil || !bytes.Equal(got, options) {
			t.Error(err)
		}
	})
}

// TestErase checks which pages go, and in how many commands.
func TestErase(t *testing.T) {
	rows := []struct {
		name     string
		id       uint16
		run      func(ctx context.Context, c *Client) error
		commands uint64
		pages    int
	}{
		{"255 pages", 0x414, eraseRange(0, 255), 1, 255},
		{"256 pages", 0x414, eraseRange(0, 256), 2, 256},
		{"last page", 0x414, eraseRange(255, 256), 1, 1},
		{"511 pages", 0x415, eraseRange(0, 511), 1, 511},
		{"512 pages", 0x415, eraseRange(0, 512), 2, 512},
		{"all of L0", 0x447, func(ctx context.Context, c *Client) error { return c.EraseAll(ctx) }, 4, 1536},
		{"bank of L1", 0x436, func(ctx context.Context, c *Client) error { return c.EraseBank(ctx, 2) }, 2, 768},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newROM(row.id)
				c := dial(t, Config{Port: r})
				before := c.Stats().Commands
				if err := row.run(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				if n := c.Stats().Commands - before; n != row.commands || len(r.commits) != row.pages {
					t.Errorf("%d commands erased %d pages, want %d and %d", n, len(r.commits), row.commands, row.pages)
				}
			})
		})
	}
}

func eraseRange(from, to int) func(ctx context.Context, c *Client) error {
	var pages []int
	for n := from; n < to; n++ {
		pages = append(pages, n)
	}
	return func(ctx context.Context, c *Client) error { return c.Erase(ctx, pages...) }
}

// TestEraseLimit: how long an erase may take, by the pages; one of unknown size may be
// as large as any.
func TestEraseLimit(t *testing.T) {
	known, unknown := idleClient(nil, 0x413), idleClient(nil, 0x413)
	unknown.chip.Layout = nil
	for _, row := range []struct {
		c     *Client
		pages []int
		want  time.Duration
	}{
		{known, []int{0}, 1500 * time.Millisecond},
		{known, []int{0, 4}, 5500 * time.Millisecond},
		{known, []int{11}, 8500 * time.Millisecond},
		{unknown, []int{0}, 8500 * time.Millisecond},
		{idleClient(nil, 0x410), []int{1, 2, 3}, 1100 * time.Millisecond},
	} {
		if got := row.c.eraseLimit(row.pages); got != row.want {
			t.Errorf("pages %v: %v, want %v", row.pages, got, row.want)
		}
	}
}

// TestEraseCommand: what Get lists counts more than the table.
func TestEraseCommand(t *testing.T) {
	for _, row := range []struct {
		id   uint16
		cmds []byte
		want byte
	}{
		{0x410, []byte{CmdErase}, CmdErase},
		{0x410, []byte{CmdExtendedErase}, CmdExtendedErase},
		{0x410, []byte{CmdErase, CmdExtendedErase}, CmdErase},
		{0x431, []byte{CmdErase, CmdExtendedErase}, CmdExtendedErase},
		{0x431, []byte{CmdErase}, CmdErase},
		{0x431, nil, 0},
	} {
		c := idleClient(nil, row.id)
		c.cmds = row.cmds
		if got := c.eraseCommand(); got != row.want {
			t.Errorf("%03x with % x: %02x, want %02x", row.id, row.cmds, got, row.want)
		}
	}
}

// TestProtection: each command resets the chip, and the client is connected
// afterwards, with or without a reset line.
func TestProtection(t *testing.T) {
	rows := map[string]func(ctx context.Context, c *Client) error{
		"write protect":     func(ctx context.Context, c *Client) error { return c.WriteProtect(ctx, 1, 2) },
		"write unprotect":   func(ctx context.Context, c *Client) error { return c.WriteUnprotect(ctx) },
		"readout protect":   func(ctx context.Context, c *Client) error { return c.ReadoutProtect(ctx) },
		"readout unprotect": func(ctx context.Context, c *Client) error { return c.ReadoutUnprotect(ctx) },
	}
	for name, run := range rows {
		for _, wired := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				r := newROM(0x410)
				cfg := Config{Port: r}
				if wired {
					cfg = r.wired()
				}
				c := dial(t, cfg)
				var done, next time.Time
				r.tick = func() {
					switch {
					case len(r.commits) > 0 && done.IsZero():
						done = time.Now()
					case len(r.out) == 0 && !done.IsZero() && next.IsZero() && time.Now().After(done):
						next = time.Now()
					}
				}
				if err := run(t.Context(), c); err != nil {
					t.Fatalf("%s, wired %v: %v", name, wired, err)
				}
				if d := next.Sub(done); d < restartTime { // the chip is restarting
					t.Errorf("%s: something was sent %v later", name, d)
				}
				if !slices.Equal(r.commits, []string{name}) || r.rdp != (name == "readout protect") {
					t.Errorf("%s: %v, protected %v", name, r.commits, r.rdp)
				}
				if _, err := c.GetID(t.Context()); err != nil {
					t.Errorf("%s, then: %v", name, err)
				}
			})
		}
	}
}

// TestProtectionWithoutBoot0: the command was done, but the chip is gone.
func TestProtectionWithoutBoot0(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		c := dial(t, Config{Port: r})
		r.boot0 = false
		err := c.WriteUnprotect(t.Context())
		if !errors.Is(err, ErrNoSync) || !strings.Contains(err.Error(), "write unprotect is done") {
			t.Error(err)
		}
	})
}

// TestGo: after it the target is gone until Reconnect.
func TestGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		c := dial(t, r.wired())
		ctx := t.Context()
		if err := c.Go(ctx, 0x08000000); err != nil || !slices.Equal(r.commits, []string{"go"}) {
			t.Fatal(r.commits, err)
		}
		if err := c.Read(ctx, 0x08000000, make([]byte, 4)); !errors.Is(err, ErrNotConnected) {
			t.Error("after Go:", err)
		}
		if err := c.Reconnect(ctx); err != nil {
			t.Error(err)
		}
		if err := c.Read(ctx, 0x08000000, make([]byte, 4)); err != nil {
			t.Error("after Reconnect:", err)
		}
	})
}

// TestBusy: BUSY prolongs a stage, but not for ever.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		c := dial(t, Config{Port: r})
		r.alter = func(p []byte) []byte {
			if len(r.commits) == 0 {
				return p
			}
			for i := range 4 { // an ACK 4 seconds later, where 2 are allowed
				r.out = append(r.out, answer{time.Now().Add(time.Duration(i) * time.Second), []byte{BUSY}})
			}
			r.out = append(r.out, answer{time.Now().Add(4 * time.Second), p})
			r.alter = nil
			return nil
		}
		if err := c.Write(t.Context(), 0x08000000, image(256)); err != nil {
			t.Error(err)
		}
		if n := c.Stats().Busy; n != 4 {
			t.Errorf("%d times busy", n)
		}
		for name, gap := range map[string]time.Duration{"flood": 0, "drip": 400 * time.Millisecond} {
			r.alter = func(p []byte) []byte {
				r.alter = nil
				for i := range 5000 {
					r.out = append(r.out, answer{time.Now().Add(time.Duration(i) * gap), []byte{BUSY}})
				}
				return nil
			}
			start := time.Now()
			err := c.Erase(t.Context(), 1)
			if !errors.Is(err, ErrReply) || time.Since(start) > busyLimit+time.Minute {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
			c.state, r.out, r.pass = stateIdle, nil, 0
			r.idle()
		}
	})
}

// TestCRC checks the value that was measured, and the shape of the sum.
func TestCRC(t *testing.T) {
	if got := CRC(image(1024)); got != 0xF3E27329 {
		t.Errorf("%08x", got)
	}
	if got := CRC(nil); got != 0xFFFFFFFF {
		t.Errorf("of nothing: %08x", got)
	}
	if CRC([]byte{1, 2, 3, 4, 5}) != CRC([]byte{1, 2, 3, 4, 5, 0xFF, 0xFF, 0xFF}) {
		t.Error("a short word is not filled up")
	}
}

// TestWriteLeftOver: a refusal behind the ACK of a Write says that part of the data
// was taken for a command.
func TestWriteLeftOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		c := dial(t, Config{Port: r})
		n := 0
		r.alter = func(p []byte) []byte {
			if n++; n == 3 {
				return append(p, NACK)
			}
			return p
		}
		if err := c.Write(t.Context(), 0x08000000, image(8)); !errors.Is(err, ErrReply) {
			t.Error(err)
		}
	})
}
