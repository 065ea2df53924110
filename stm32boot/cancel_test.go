package stm32boot

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// operations are what can be cancelled.
var operations = map[string]func(ctx context.Context, c *Client) error{
	"get":               func(ctx context.Context, c *Client) error { _, _, err := c.Get(ctx); return err },
	"get version":       func(ctx context.Context, c *Client) error { _, _, err := c.GetVersion(ctx); return err },
	"get id":            func(ctx context.Context, c *Client) error { _, err := c.GetID(ctx); return err },
	"read":              func(ctx context.Context, c *Client) error { return c.Read(ctx, 0x08000400, make([]byte, 20)) },
	"write":             func(ctx context.Context, c *Client) error { return c.Write(ctx, 0x08000800, image(20)) },
	"erase":             func(ctx context.Context, c *Client) error { return c.Erase(ctx, 8, 9) },
	"erase all":         func(ctx context.Context, c *Client) error { return c.EraseAll(ctx) },
	"go":                func(ctx context.Context, c *Client) error { return c.Go(ctx, 0x08000000) },
	"write protect":     func(ctx context.Context, c *Client) error { return c.WriteProtect(ctx, 1) },
	"write unprotect":   func(ctx context.Context, c *Client) error { return c.WriteUnprotect(ctx) },
	"readout protect":   func(ctx context.Context, c *Client) error { return c.ReadoutProtect(ctx) },
	"readout unprotect": func(ctx context.Context, c *Client) error { return c.ReadoutUnprotect(ctx) },
	"soft reset":        func(ctx context.Context, c *Client) error { return c.SoftReset(ctx) },
	"reconnect":         func(ctx context.Context, c *Client) error { return c.Reconnect(ctx) },
}

// cancelAt makes r cancel after n more bytes in either direction.
func (r *rom) cancelAt(n int, cancel func()) (hit *time.Time) {
	hit = new(time.Time)
	r.tick = func() {
		if n--; n == -1 {
			*hit = time.Now()
			cancel()
		}
	}
	return hit
}

// TestCancelEveryByte cancels every operation at every byte. It must end at once,
// do nothing that was not asked for, and leave a client that goes on with another
// context, and that starts the application when it is closed.
func TestCancelEveryByte(t *testing.T) {
	for name, run := range operations {
		t.Run(name, func(t *testing.T) {
			n := 0
			for done := false; !done; n++ {
				synctest.Test(t, func(t *testing.T) { done = cancelOnce(t, name, run, n) })
			}
			if n < 3 {
				t.Errorf("cancelled %d times only", n)
			}
		})
	}
}

// cancelOnce reports whether the operation ended before byte n.
func cancelOnce(t *testing.T, name string, run func(context.Context, *Client) error, n int) (done bool) {
	r := newROM(0x410)
	r.load(0x08000000, image(1024))
	c := dial(t, r.wired())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hit := r.cancelAt(n, cancel)
	err := run(ctx, c)
	done = hit.IsZero()
	r.tick = nil
	if d := time.Since(*hit); !done && d > time.Second {
		t.Errorf("byte %d: took %v to end", n, d)
	}
	if err != nil && (done || !errors.Is(err, context.Canceled)) {
		t.Errorf("byte %d: %v", n, err)
	}
	if harmless := name != "erase all" && name != "readout unprotect"; harmless && !bytes.Equal(r.peek(0x08000000, 1024), image(1024)) {
		t.Errorf("byte %d: memory was changed", n)
	}
	if c.state != stateGone && !r.rdp {
		got := make([]byte, 4)
		if err := c.Read(t.Context(), 0x08000000, got); err != nil || !bytes.Equal(got, r.peek(0x08000000, 4)) {
			t.Errorf("byte %d: then: % x, %v", n, got, err)
		}
	}
	if err := c.Close(ctx); err != nil || !r.off || r.boot0 {
		t.Errorf("byte %d: close: %v, application runs: %v", n, err, r.off)
	}
	return done
}

// TestCancelConnect: a cancelled Connect sets the pins back.
func TestCancelConnect(t *testing.T) {
	n, ended := 0, false
	for ; !ended; n++ {
		synctest.Test(t, func(t *testing.T) {
			r := newROM(0x413)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			hit := r.cancelAt(n, cancel)
			_, err := Connect(ctx, r.wired())
			if ended = hit.IsZero(); ended {
				return
			}
			if err != nil && (!errors.Is(err, context.Canceled) || !r.off || r.boot0) {
				t.Errorf("byte %d: %v, pins %v", n, err, r.pins)
			}
			if d := time.Since(*hit); d > time.Second {
				t.Errorf("byte %d: took %v to end", n, d)
			}
		})
	}
	if n < 60 {
		t.Errorf("cancelled %d times only", n)
	}
}

// TestCancelWaiting cancels while nothing comes: during every millisecond of
// Connect, and in the longest waits.
func TestCancelWaiting(t *testing.T) {
	for wait := time.Duration(0); wait < 2*time.Second; wait += 7 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			r := newROM(0x410)
			r.alter = loseAnswers(1 << 30)
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			start := time.Now()
			_, err := Connect(ctx, r.wired())
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > wait+100*time.Millisecond {
				t.Errorf("after %v of %v: %v", time.Since(start), wait, err)
			}
			if !r.off || r.boot0 || r.pins[len(r.pins)-1] != "reset1" {
				t.Errorf("after %v: pins %v", wait, r.pins)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x413)
		c := dial(t, r.wired())
		r.alter = func(p []byte) []byte {
			if slices.Contains(r.commits, "mass erase") {
				return nil
			}
			return p
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		start := time.Now()
		err := c.EraseAll(ctx)
		if d := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || d > 20*time.Second+pollInterval {
			t.Errorf("after %v: %v", d, err)
		}
	})
}

// TestCancelledBefore: nothing is sent when the context has ended before.
func TestCancelledBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		c := dial(t, r.wired())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		taken := r.taken
		for name, run := range operations {
			if err := run(ctx, c); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if r.taken != taken {
			t.Errorf("%d bytes were sent", r.taken-taken)
		}
	})
}
