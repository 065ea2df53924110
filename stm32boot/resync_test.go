package stm32boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestResync: from every state that a target can be in, outside of lists, it is
// brought back without a reset, in bounded time and without harm to other memory.
func TestResync(t *testing.T) {
	rows := map[string]func(r *rom){"idle": func(r *rom) {}, "gone silent and back": func(r *rom) {}}
	for p := range 256 {
		rows[fmt.Sprintf("command half %02x", p)] = func(r *rom) { r.in = []byte{byte(p)} }
	}
	for n := range 5 {
		rows[fmt.Sprintf("address byte %d", n)] = func(r *rom) { r.address(r.write); r.in = []byte{8, 0, 1, 0}[:n] }
	}
	rows["address that filler completes"] = func(r *rom) { r.address(r.write); r.in = []byte{8, 0, 0, 0x0A} }
	for n := range 2 {
		rows[fmt.Sprintf("length byte %d", n)] = func(r *rom) { r.read(0x08000000); r.in = []byte{0x7F}[:n] }
	}
	for n := range 258 {
		rows[fmt.Sprintf("data byte %d", n)] = func(r *rom) {
			r.write(0x08000000)
			for _, b := range append([]byte{0xFF}, image(256)...)[:n] {
				r.feed(b)
			}
		}
	}
	for name, set := range rows {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newROM(0x431)
				r.load(0x08000400, image(1024))
				c := dial(t, Config{Port: r})
				set(r)
				c.state = stateDirty
				start, sent := time.Now(), c.Stats().Sent
				if err := c.resync(t.Context()); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(start); d > 2*time.Second {
					t.Errorf("took %v", d)
				}
				if n := c.Stats().Sent - sent; n > 300 {
					t.Errorf("took %d bytes", n)
				}
				if len(r.in) != 0 || c.state != stateIdle {
					t.Errorf("the target holds % x", r.in)
				}
				got := make([]byte, 1024)
				if err := c.readBlock(t.Context(), 0x08000400, got[:256]); err != nil {
					t.Error(err)
				}
				if !bytes.Equal(r.peek(0x08000400, 1024), image(1024)) {
					t.Error("other memory was changed")
				}
			})
		})
	}
}

// TestFillerIsSafe: no frame of filler alone is valid, wherever a target reads
// it from the start of a stage.
func TestFillerIsSafe(t *testing.T) {
	run := bytes.Repeat([]byte{filler}, 2000)
	if known := CommandName(^byte(filler)); known != "command 0xFD" {
		t.Errorf("the complement is the command %q", known)
	}
	for name, start := range map[string]func(r *rom){
		"command": (*rom).idle,
		"address": func(r *rom) { r.address(r.write) },
		"length":  func(r *rom) { r.read(0x08000000) },
		"data":    func(r *rom) { r.write(0x08000000) },
		"pages":   func(r *rom) { r.await(2, r.erase) },
		"many":    func(r *rom) { r.await(3, r.extendedErase) },
		"sectors": func(r *rom) { r.await(1, r.protect) },
	} {
		r := newROM(0x415)
		r.synced = true
		start(r)
		for _, b := range run {
			r.feed(b)
		}
		if len(r.commits) > 0 {
			t.Errorf("%s: filler did %v", name, r.commits)
		}
		for _, a := range r.out {
			if slices.Contains(a.p, ACK) {
				t.Errorf("%s: filler was accepted", name)
			}
		}
	}
}

// TestResyncFails: a dead target is reset if that is possible, else given up.
func TestResyncFails(t *testing.T) {
	for _, wired := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newROM(0x431)
			cfg := Config{Port: r}
			if wired {
				cfg = r.wired()
			}
			c := dial(t, cfg)
			resets := r.resets
			r.off = true
			err := c.Read(t.Context(), 0x08000000, make([]byte, 1))
			if !errors.Is(err, ErrTimeout) {
				t.Fatal(err)
			}
			err = c.Read(t.Context(), 0x08000000, make([]byte, 1))
			switch {
			case wired && (err != nil || r.resets != resets+1):
				t.Errorf("%v, %d resets", err, r.resets-resets)
			case !wired && !errors.Is(err, ErrNoSync):
				t.Error(err)
			}
			r.off = false
			if err := c.Read(t.Context(), 0x08000000, make([]byte, 1)); err != nil {
				t.Error("when it is back:", err)
			}
		})
	}
}

// TestCancelListOnce: the list that cancels an erase is sent once. If its refusal is
// lost, nothing more is sent.
func TestCancelListOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		c := dial(t, Config{Port: r})
		r.alter = loseAnswers(2)
		if err := c.Erase(t.Context(), 3); !errors.Is(err, ErrTimeout) {
			t.Fatal(err)
		}
		for range 3 {
			if err := c.Erase(t.Context(), 3); !errors.Is(err, ErrNoReset) {
				t.Error(err)
			}
		}
		if n := c.Stats().Sent; n != sentBefore(t)+2+3 {
			t.Errorf("%d bytes sent", n-sentBefore(t))
		}
	})
}

// sentBefore returns how many bytes it takes to connect as above.
func sentBefore(t *testing.T) uint64 { return dial(t, Config{Port: newROM(0x410)}).Stats().Sent }

// TestSpecialFaults: after a special command that ended midway nothing is sent, as the
// target may wait for its data, and only a reset helps.
func TestSpecialFaults(t *testing.T) {
	for name, run := range map[string]func(ctx context.Context, c *Client) error{
		"special": func(ctx context.Context, c *Client) error { _, _, err := c.Special(ctx, 1, []byte{1}); return err },
		"extended special": func(ctx context.Context, c *Client) error {
			_, err := c.ExtendedSpecial(ctx, 1, nil, []byte{1})
			return err
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &parrot{script: []byte{0, ACK}, time: time.Unix(1, 0)} // the command, then silence
			c := idleClient(p, 0x483)
			c.link.clock = p.now
			if err := run(t.Context(), c); !errors.Is(err, ErrTimeout) {
				t.Errorf("%s: %v", name, err)
			}
			sent := p.sent
			if err := run(t.Context(), c); !errors.Is(err, ErrNoReset) || p.sent != sent {
				t.Errorf("%s, then: %v, %d bytes sent", name, err, p.sent-sent)
			}
		})
	}
}

// TestReconnect: lower rates are used one after the other, and the last one is
// kept.
func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x431)
		cfg := r.wired()
		cfg.Bauds = []int{115200, 57600, 9600}
		cfg.Rate = func(int) error { return nil }
		c := dial(t, cfg)
		for _, want := range []int{57600, 9600, 9600} {
			if err := c.reconnect(t.Context(), true); err != nil || c.Baud() != want {
				t.Errorf("at %d, want %d: %v", c.Baud(), want, err)
			}
		}
		r.chip.ID = 0x410
		if err := c.reconnect(t.Context(), false); !errors.Is(err, ErrWrongChip) {
			t.Error("another chip:", err)
		}
		if err := c.Erase(t.Context(), 0); !errors.Is(err, ErrNotConnected) || len(r.commits) > 0 {
			t.Error("another chip:", err, r.commits)
		}
	})
}

// fault is a single fault at byte n of one direction.
type fault struct {
	name string
	host bool // in what the host sends
	n    int
	hit  func(b byte) []byte
}

// faults lists every single fault of the given kinds.
func faults(host, target int) (all []fault) {
	kinds := map[string]func(b byte) []byte{
		"drop":   func(byte) []byte { return nil },
		"double": func(b byte) []byte { return []byte{b, b} },
		"flip 1": func(b byte) []byte { return []byte{b ^ 1} },
		"flip 8": func(b byte) []byte { return []byte{b ^ 0x80} },
		"insert": func(b byte) []byte { return []byte{0x1F, b} },
		"zero":   func(b byte) []byte { return []byte{0, b} },
	}
	for name, hit := range kinds {
		for n := range host {
			all = append(all, fault{fmt.Sprintf("%s to target %d", name, n), true, n, hit})
		}
		for n := range target {
			all = append(all, fault{fmt.Sprintf("%s to host %d", name, n), false, n, hit})
		}
	}
	return all
}

// arm makes r commit the fault once.
func (f fault) arm(r *rom) {
	n := f.n
	hit := func(b byte) []byte {
		if n--; n == -1 {
			return f.hit(b)
		}
		return []byte{b}
	}
	if f.host {
		r.spoil = func(_ *rom, b byte) []byte { return hit(b) }
		return
	}
	r.alter = func(p []byte) (out []byte) {
		for _, b := range p {
			out = append(out, hit(b)...)
		}
		return out
	}
}

// TestEraseFaults: one fault anywhere in an erase never makes the client erase
// what was not asked for, and the target is usable afterwards, if need be and
// possible by a reset. Nothing but the one list that cancels is sent while the
// target may wait for page numbers.
func TestEraseFaults(t *testing.T) {
	for _, id := range []uint16{0x414, 0x415} {
		for _, wired := range []bool{true, false} {
			for _, f := range faults(11, 2) {
				synctest.Test(t, func(t *testing.T) {
					name := fmt.Sprintf("%03x, wired %v, %s", id, wired, f.name)
					eraseWithFault(t, name, id, wired, f)
				})
			}
		}
	}
}

func eraseWithFault(t *testing.T, name string, id uint16, wired bool, f fault) {
	r := newROM(id)
	r.load(0x08000000, image(16<<10))
	cfg := Config{Port: r}
	if wired {
		cfg = r.wired()
	}
	c := dial(t, cfg)
	ctx := t.Context()
	f.arm(r)
	wait := wiretap(r)
	err := c.Erase(ctx, 3, 4, 5)
	wait.failed = err != nil
	first := c.Read(ctx, 0x08000000, make([]byte, 4))
	again := first
	if first != nil {
		again = c.Read(ctx, 0x08000000, make([]byte, 4))
	}
	if again != nil && (wired || !errors.Is(again, ErrNoReset)) {
		t.Errorf("%s: erase: %v, then: %v", name, err, again)
	}
	if len(wait.bytes) > 0 && !bytes.Equal(wait.bytes, []byte{0, 0, 1}) && !bytes.Equal(wait.bytes, []byte{0, 0, 0, 0, 1}) {
		t.Errorf("%s: sent into the list: % x", name, wait.bytes)
	}
	page, _ := r.chip.PageAt(3)
	from, to := int(page.Addr-0x08000000), int(page.Addr-0x08000000+3*page.Size)
	want, got := image(16<<10), r.peek(0x08000000, 16<<10)
	if !bytes.Equal(got[:from], want[:from]) || !bytes.Equal(got[to:], want[to:]) {
		t.Errorf("%s: another page is lost; erased: %v", name, r.pages)
	}
	if err == nil && first == nil && bytes.Contains(got[from:to], []byte{0x5A}) {
		t.Errorf("%s: pages are not erased, and the client says they are; erased: %v", name, r.pages)
	}
}

// tap notes what is sent after a failure while the target waits for a list.
type tap struct {
	failed bool
	bytes  []byte
}

func wiretap(r *rom) *tap {
	w, inner := &tap{}, r.spoil
	r.spoil = func(r *rom, b byte) []byte {
		if w.failed && r.list {
			w.bytes = append(w.bytes, b)
		}
		if inner != nil {
			return inner(r, b)
		}
		return []byte{b}
	}
	return w
}

// TestWriteFaults: after one fault anywhere in a write, the next command
// works, and memory outside the block is as it was.
func TestWriteFaults(t *testing.T) {
	for _, f := range faults(2+5+18, 3) {
		synctest.Test(t, func(t *testing.T) {
			r := newROM(0x415)
			r.load(0x08000000, image(512))
			c := dial(t, Config{Port: r})
			f.arm(r)
			err := c.Write(t.Context(), 0x08000200, image(16))
			got := make([]byte, 16)
			again := c.Read(t.Context(), 0x08000200, got)
			if again != nil {
				again = c.Read(t.Context(), 0x08000200, got)
			}
			if again != nil {
				t.Errorf("%s: write: %v, then: %v", f.name, err, again)
			}
			if err == nil && !bytes.Equal(got, image(16)) {
				t.Errorf("%s: wrong bytes, and the client says all is well", f.name)
			}
			if !bytes.Equal(r.peek(0x08000000, 512), image(512)) {
				t.Errorf("%s: other memory was changed", f.name)
			}
		})
	}
}

// TestReadFaults: a read with one fault fails, or gives what is there but for a
// damaged byte, which the protocol does not protect.
func TestReadFaults(t *testing.T) {
	for _, f := range faults(9, 19) {
		synctest.Test(t, func(t *testing.T) {
			r := newROM(0x415)
			r.load(0x08000000, image(512))
			c := dial(t, Config{Port: r})
			f.arm(r)
			got := make([]byte, 16)
			err := c.Read(t.Context(), 0x08000010, got)
			if err == nil && !bytes.Equal(got, image(512)[16:32]) && !bytes.HasPrefix([]byte(f.name), []byte("flip")) {
				t.Errorf("%s: wrong bytes, and the client says all is well", f.name)
			}
			if err := c.Read(t.Context(), 0x08000000, got); err != nil {
				err = c.Read(t.Context(), 0x08000000, got)
				if err != nil {
					t.Errorf("%s, then: %v", f.name, err)
				}
			}
			if !bytes.Equal(got, image(16)) {
				t.Errorf("%s: the next read is wrong", f.name)
			}
		})
	}
}

// TestStates: commands on a client that is closed or whose target is gone.
func TestStates(t *testing.T) {
	run := map[string]func(ctx context.Context, c *Client) error{
		"resync":    func(ctx context.Context, c *Client) error { return c.resync(ctx) },
		"reconnect": func(ctx context.Context, c *Client) error { return c.Reconnect(ctx) },
		"get":       func(ctx context.Context, c *Client) error { _, _, err := c.Get(ctx); return err },
		"erase":     func(ctx context.Context, c *Client) error { return c.Erase(ctx, 0) },
		"write":     func(ctx context.Context, c *Client) error { return c.Write(ctx, 0x08000000, make([]byte, 8)) },
	}
	for name, f := range run {
		c := idleClient(nil, 0x410)
		c.state = stateClosed
		if err := f(t.Context(), c); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
