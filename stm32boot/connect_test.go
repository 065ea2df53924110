package stm32boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestConnectStates: whatever state a target is in, it is found and usable.
func TestConnectStates(t *testing.T) {
	rows := map[string]func(r *rom){
		"just reset":          func(r *rom) {},
		"already synced":      func(r *rom) { r.synced = true; r.idle() },
		"surplus ACK":         func(r *rom) { r.surplus = true },
		"late answers":        func(r *rom) { r.late = 400 * time.Millisecond },
		"first 0x7F lost":     func(r *rom) { r.spoil = lose(1) },
		"first two lost":      func(r *rom) { r.spoil = lose(2) },
		"first answer lost":   func(r *rom) { r.alter = loseAnswers(1) },
		"Get refused":         func(r *rom) { r.spoil = flip(2) },
		"Get answer damaged":  func(r *rom) { r.alter = damage(3, 1) },
		"list damaged":        func(r *rom) { r.alter = damage(3, 5) },
		"list damaged later":  func(r *rom) { r.alter = damage(8, 5) },
		"id damaged":          func(r *rom) { r.alter = damage(6, 2) },
		"waits for address":   func(r *rom) { r.synced = true; r.address(r.write) },
		"inside address":      func(r *rom) { r.synced = true; r.address(r.write); r.in = []byte{8, 0, 1} },
		"waits for data":      func(r *rom) { r.synced = true; r.write(0x08000000) },
		"inside data":         func(r *rom) { r.synced = true; r.write(0x08000000); r.feed(0xFF); r.in = image(200) },
		"waits for length":    func(r *rom) { r.synced = true; r.read(0x08000000) },
		"sends the last read": func(r *rom) { r.synced = true; r.idle(); r.say(image(256)...) },
	}
	for p := range 256 {
		rows[fmt.Sprintf("half a command %02x", p)] = func(r *rom) { r.synced = true; r.idle(); r.in = []byte{byte(p)} }
	}
	for name, set := range rows {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newROM(0x431)
				r.load(0x08000000, image(1024))
				set(r)
				c := dial(t, Config{Port: r})
				if c.ID() != 0x431 || c.Version() != 0x31 || !bytes.Equal(c.Commands(), r.cmds) {
					t.Errorf("id %03x, version %02x, commands % x", c.ID(), c.Version(), c.Commands())
				}
				got := make([]byte, 1000)
				if err := c.Read(t.Context(), 0x08000010, got); err != nil || !bytes.Equal(got, image(1024)[16:1016]) {
					t.Errorf("read: %v", err)
				}
				if slices.Contains(r.commits, "erase") || slices.Contains(r.commits, "mass erase") {
					t.Errorf("done to the chip: %v", r.commits)
				}
			})
		})
	}
}

// lose drops the first n bytes to the target.
func lose(n int) func(*rom, byte) []byte {
	return func(_ *rom, b byte) []byte {
		if n--; n >= 0 {
			return nil
		}
		return []byte{b}
	}
}

// flip inverts a bit of byte n.
func flip(n int) func(*rom, byte) []byte {
	return func(_ *rom, b byte) []byte {
		if n--; n == 0 {
			b ^= 4
		}
		return []byte{b}
	}
}

// loseAnswers drops the first n answers.
func loseAnswers(n int) func([]byte) []byte {
	return func(p []byte) []byte {
		if n--; n >= 0 {
			return nil
		}
		return p
	}
}

// damage inverts a bit in byte i of answer n.
func damage(n, i int) func([]byte) []byte {
	return func(p []byte) []byte {
		if n--; n == 0 {
			p[i] ^= 1
		}
		return p
	}
}

// TestConnectPins checks levels, order and times of the lines.
func TestConnectPins(t *testing.T) {
	const straight = "boot1 reset0 reset1 | boot0 reset0 reset1"
	const inverted = "boot0 reset1 reset0 | boot1 reset1 reset0"
	for _, invert := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newROM(0x410)
			var log []string
			note := func(name string) Pin {
				return pinFunc(func(high bool) error {
					level := map[bool]string{true: "1", false: "0"}
					log = append(log, name+level[high])
					return pin{r, name}.Set(high != invert)
				})
			}
			start := time.Now()
			c := dial(t, Config{Port: r, Reset: note("reset"), Boot0: note("boot"), InvertReset: invert, InvertBoot0: invert,
				ResetPulse: time.Second, BootDelay: 3 * time.Second})
			if d := time.Since(start); d != 4*time.Second {
				t.Errorf("took %v", d)
			}
			log = append(log, "|")
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if err := c.Close(t.Context()); err != nil {
				t.Error("second close:", err)
			}
			want := map[bool]string{false: straight, true: inverted}[invert]
			if got := strings.Join(log, " "); got != want {
				t.Errorf("lines: %s, want %s", got, want)
			}
			if _, err := c.GetID(t.Context()); !errors.Is(err, ErrClosed) {
				t.Error("after close:", err)
			}
			if !r.off {
				t.Error("the application does not run")
			}
		})
	}
}

type pinFunc func(high bool) error

func (f pinFunc) Set(high bool) error { return f(high) }

// TestConnectPinsFail: each error of a line is told once.
func TestConnectPinsFail(t *testing.T) {
	const boot, reset = "stm32boot: boot0 pin: EOF", "stm32boot: reset pin: EOF"
	for name, row := range map[string]struct {
		boot, reset error
		want        string
	}{
		"boot0": {io.EOF, nil, boot},
		"reset": {nil, io.EOF, reset},
		"both":  {io.EOF, io.EOF, boot + "\n" + reset},
	} {
		synctest.Test(t, func(t *testing.T) {
			fail := func(err error) Pin { return pinFunc(func(bool) error { return err }) }
			_, err := Connect(t.Context(), Config{Port: newROM(0x410), Boot0: fail(row.boot), Reset: fail(row.reset)})
			if err == nil || err.Error() != row.want || !errors.Is(err, io.EOF) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		_, err := Connect(t.Context(), Config{Port: newROM(0x410), Reset: pinFunc(func(high bool) error {
			if tries++; tries == 1 {
				return io.EOF
			}
			return nil
		})})
		if err == nil || err.Error() != reset {
			t.Errorf("reset fails once: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		r.alter = func([]byte) []byte { return nil }
		_, err := Connect(t.Context(), Config{Port: r, Leave: func(context.Context) error { return io.EOF }})
		if !errors.Is(err, ErrNoSync) || !errors.Is(err, io.EOF) {
			t.Errorf("nobody answers, and it cannot be left: %v", err)
		}
	})
}

// TestConnectHooks: Enter and Leave replace the pins, and Leave runs even when
// the context is cancelled.
func TestConnectHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		r.off = true
		entered, left := 0, 0
		var restarted, first time.Time
		r.tick = func() {
			if first.IsZero() {
				first = time.Now()
			}
		}
		c := dial(t, Config{Port: r, BootDelay: 70 * time.Millisecond,
			Enter: func(context.Context) error {
				entered++
				r.boot0, restarted = true, time.Now()
				r.restart()
				return nil
			},
			Leave: func(ctx context.Context) error { left++; r.off = true; return ctx.Err() }})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Close(ctx); err != nil || entered != 1 || left != 1 {
			t.Errorf("entered %d, left %d: %v", entered, left, err)
		}
		if d := first.Sub(restarted); d != 70*time.Millisecond {
			t.Errorf("sent something %v after the reset", d)
		}
	})
}

// TestConnectFails: every failure names its reason, comes in bounded time, and
// leaves the application running.
func TestConnectFails(t *testing.T) {
	f103, _ := Lookup(0x410)
	rows := []struct {
		name string
		set  func(r *rom, cfg *Config)
		want error
		text string
	}{
		{"silence", func(r *rom, _ *Config) { r.alter = loseAnswers(1 << 30) }, ErrNoSync, "no answer from the boot loader"},
		{"rates", func(r *rom, cfg *Config) {
			r.alter = loseAnswers(1 << 30)
			cfg.Bauds = []int{115200, 9600}
			cfg.Rate = func(int) error { return nil }
		}, ErrNoSync, "no answer from the boot loader at 115200, 9600 baud"},
		{"garbage", func(r *rom, _ *Config) { r.alter = garbage }, ErrNoSync, "wrong rate or parity"},
		{"unknown chip", func(r *rom, _ *Config) { r.chip.ID = 0x7FE }, ErrUnknownChip, "0x7FE"},
		{"wrong chip", func(r *rom, cfg *Config) { cfg.Chip = &f103 }, ErrWrongChip, "0x415"},
		{"port", func(r *rom, _ *Config) { r.fail = errBroken }, errBroken, "init"},
		{"rate refused", func(r *rom, cfg *Config) { cfg.Rate = func(int) error { return errBroken } }, errBroken, "rate"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newROM(0x415)
				cfg := r.wired()
				row.set(r, &cfg)
				start := time.Now()
				_, err := Connect(t.Context(), cfg)
				if !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.text) {
					t.Errorf("got %v, want %v", err, row.want)
				}
				if d := time.Since(start); d > 10*time.Second {
					t.Errorf("took %v", d)
				}
				if !r.off || r.boot0 || r.pins[len(r.pins)-1] != "reset1" {
					t.Errorf("the application does not run: %v", r.pins)
				}
			})
		})
	}
}

// TestConnectPort: a port that is broken is not tried again.
func TestConnectPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x415)
		r.fail = errBroken
		if _, err := Connect(t.Context(), r.wired()); !errors.Is(err, errBroken) {
			t.Error(err)
		}
		if want := []string{"boot1", "reset0", "reset1", "boot0", "reset0", "reset1"}; !slices.Equal(r.pins, want) {
			t.Errorf("pins %v, want %v", r.pins, want)
		}
	})
}

// garbage is how answers look at a wrong rate.
func garbage(p []byte) []byte {
	for i := range p {
		p[i] = 0xFE
	}
	return p
}

// TestConnectConfig: bad configurations are refused before anything happens.
func TestConnectConfig(t *testing.T) {
	r := newROM(0x410)
	for text, cfg := range map[string]Config{
		"Port":     {},
		"duration": {Port: r, ResetPulse: -1},
		"Bauds":    {Port: r, Bauds: []int{115200, 0}},
	} {
		if _, err := Connect(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if r.taken != 0 || len(r.pins) != 0 {
		t.Error("something was sent")
	}
}

// TestConnectRates: garbage makes the client step down, with a reset each time.
func TestConnectRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x435)
		var rates []int
		cfg := r.wired()
		cfg.Bauds = nil
		cfg.Rate = func(baud int) error {
			rates = append(rates, baud)
			r.alter = nil
			if baud > 20000 {
				r.alter = garbage
			}
			return nil
		}
		var events []string
		cfg.Observer = func(e Event) { events = append(events, e.Kind.String()) }
		c := dial(t, cfg)
		if c.Baud() != 19200 || !slices.Equal(rates, []int{115200, 57600, 19200}) {
			t.Errorf("at %d after %v", c.Baud(), rates)
		}
		if c.Stats().Resets != 2*connectTries+1 {
			t.Errorf("%d resets", c.Stats().Resets)
		}
		want := "reset stray reset stray rate reset stray reset stray rate reset sync"
		if got := strings.Join(events, " "); got != want {
			t.Errorf("events: %s\nwant: %s", got, want)
		}
	})
}

// TestConnectResume sends no 0x7F.
func TestConnectResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x431)
		r.synced = true
		r.idle()
		r.spoil = func(_ *rom, b byte) []byte {
			if b == Init {
				t.Error("0x7F was sent")
			}
			return []byte{b}
		}
		cfg := r.wired()
		cfg.Resume = true
		c := dial(t, cfg)
		if len(r.pins) != 0 {
			t.Errorf("pins moved: %v", r.pins)
		}
		if _, err := c.GetID(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestConnectResumeFalls: a target that was not synchronised after all.
func TestConnectResumeFalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x431)
		r.boot0 = false
		r.restart()
		cfg := r.wired()
		cfg.Resume = true
		dial(t, cfg)
	})
}

// TestUnknownChip: with a geometry of the caller, any id will do.
func TestUnknownChip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		r.chip.ID = 0x7FE
		c := dial(t, Config{Port: r, Chip: &Chip{Name: "mine", FlashStart: 0x08000000, FlashSize: 0x20000,
			Layout: []Pages{{128, 1024, 1}}, Erased: 0xFF}})
		if got := c.Chip(); got.ID != 0x7FE || got.Name != "mine" || !c.SizeKnown() {
			t.Errorf("chip is %+v", got)
		}
		if err := c.Erase(t.Context(), 127); err != nil {
			t.Error(err)
		}
		if err := c.Erase(t.Context(), 128); !errors.Is(err, ErrAddress) {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // nothing known at all
		r := newROM(0x410)
		r.chip.ID = 0x7FE
		c := dial(t, Config{Port: r, Chip: &Chip{}})
		if err := c.EraseAll(t.Context()); err != nil || c.SizeKnown() {
			t.Error(err)
		}
		if err := c.Write(t.Context(), 0x08000004, image(8)); err != nil {
			t.Error(err)
		}
	})
}

// TestFlashSize: the register trims the chip; a wrong one does not.
func TestFlashSize(t *testing.T) {
	rows := []struct {
		id    uint16
		kib   uint16
		size  uint32
		known bool
	}{
		{0x410, 64, 64 << 10, true},
		{0x410, 128, 128 << 10, true},
		{0x410, 0, 128 << 10, false},
		{0x410, 0xFFFF, 128 << 10, false},
		{0x410, 256, 128 << 10, false},
		{0x413, 512, 512 << 10, true},   // F4: the register is not at the start of its block
		{0x447, 128, 128 << 10, true},   // L0: blocks of 128
		{0x415, 512, 512 << 10, true},   // L4
		{0x641, 64, 128 << 10, false},   // no register known
		{0x451, 1024, 1 << 20, true},    // F7
		{0x416, 128, 128 << 10, true},   // L1
		{0x484, 1024, 1024 << 10, true}, // H5
	}
	for _, row := range rows {
		synctest.Test(t, func(t *testing.T) {
			r := newROM(row.id)
			whole := r.chip.Family == "F4" || r.chip.Family == "L0"
			r.load(r.chip.FlashSizeReg, []byte{byte(row.kib), byte(row.kib >> 8)})
			r.readable = func(addr uint32, n int) bool { return !whole || n >= 128 && addr%uint32(n) == 0 }
			c := dial(t, Config{Port: r})
			if got := c.Chip(); got.FlashSize != row.size || c.SizeKnown() != row.known {
				t.Errorf("%s with %d KiB: %d bytes, known %v", r.chip, row.kib, got.FlashSize, c.SizeKnown())
			}
		})
	}
}

// TestProtectedChip connects to a chip that cannot be read, and says so later.
func TestProtectedChip(t *testing.T) {
	for _, id := range []uint16{0x410, 0x431} {
		synctest.Test(t, func(t *testing.T) {
			r := newROM(id)
			r.rdp = true
			c := dial(t, Config{Port: r})
			ctx := t.Context()
			_, sumErr := c.Checksum(ctx, 0x08000000, 4)
			if !errors.Is(sumErr, ErrUnsupported) {
				t.Error("checksum:", sumErr)
			}
			for name, err := range map[string]error{
				"read":    c.Read(ctx, 0x08000000, make([]byte, 4)),
				"write":   c.Write(ctx, 0x08000000, make([]byte, 4)),
				"erase":   c.Erase(ctx, 0),
				"mass":    c.EraseAll(ctx),
				"go":      c.Go(ctx, 0x08000000),
				"protect": c.WriteProtect(ctx, 1),
			} {
				nack, is := errors.AsType[*NackError](err)
				if !errors.Is(err, ErrReadProtected) || !is || nack.Stage != StageCommand {
					t.Errorf("%s: %v", name, err)
				}
			}
			if len(r.commits) != 0 {
				t.Errorf("done to the chip: %v", r.commits)
			}
			if err := c.ReadoutUnprotect(ctx); err != nil {
				t.Error(err)
			}
			if err := c.Read(ctx, 0x08000000, make([]byte, 4)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNackAmongOthers: a NACK that comes with other bytes is not believed, so
// that nothing is sent into a list that the target may wait for.
func TestNackAmongOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		c := dial(t, r.wired())
		resets := r.resets
		r.alter = func(p []byte) []byte {
			r.alter = nil
			return []byte{NACK, ACK}
		}
		if err := c.Erase(t.Context(), 3); !errors.Is(err, ErrReply) {
			t.Error(err)
		}
		if err := c.Erase(t.Context(), 3); err != nil || r.resets != resets+1 {
			t.Errorf("%d resets, %v", r.resets-resets, err)
		}
	})
}

// TestRefusedBefore: what was refused before the protection was removed does not
// count.
func TestRefusedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		r.rdp = true
		c := dial(t, Config{Port: r})
		if err := c.Read(t.Context(), 0x08000000, make([]byte, 4)); !errors.Is(err, ErrReadProtected) {
			t.Error(err)
		}
		if err := c.ReadoutUnprotect(t.Context()); err != nil {
			t.Error(err)
		}
		refuseOnce(r)
		if err := c.Read(t.Context(), 0x08000000, make([]byte, 4)); err == nil || errors.Is(err, ErrReadProtected) {
			t.Error(err)
		}
	})
}

func refuseOnce(r *rom) {
	r.alter = func(p []byte) []byte {
		r.alter = nil
		r.idle()
		return []byte{NACK}
	}
}

// TestRefusedAndMute: two refusals and silence are not protection.
func TestRefusedAndMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		c := dial(t, Config{Port: r})
		refused := 0
		r.alter = func(p []byte) []byte {
			if r.in = nil; p[0] == ACK && refused < 2 {
				refused++
				r.idle()
				return []byte{NACK}
			}
			if p[0] == ACK {
				r.idle()
				return nil
			}
			return p
		}
		if err := c.Read(t.Context(), 0x08000000, make([]byte, 4)); err == nil || errors.Is(err, ErrReadProtected) || refused != 2 {
			t.Errorf("%v, refused %d times", err, refused)
		}
	})
}

// TestLatency: answers may be later by so much.
func TestLatency(t *testing.T) {
	for _, latency := range []time.Duration{0, 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			r := newROM(0x410)
			c := dial(t, Config{Port: r, Latency: latency})
			r.late = 1900 * time.Millisecond
			_, err := c.GetID(t.Context())
			if late := errors.Is(err, ErrTimeout); late != (latency == 0) || !late && err != nil {
				t.Errorf("latency %v: %v", latency, err)
			}
		})
	}
}

// TestRefusedOnce: a refusal that came from noise is not taken for protection.
func TestRefusedOnce(t *testing.T) {
	for k := 1; k <= 3; k++ {
		synctest.Test(t, func(t *testing.T) {
			r := newROM(0x410)
			c := dial(t, Config{Port: r})
			n := k
			r.alter = func(p []byte) []byte {
				if n--; n >= 0 && p[0] == ACK {
					r.idle()
					return []byte{NACK}
				}
				return p
			}
			err := c.Erase(t.Context(), 3)
			if errors.Is(err, ErrReadProtected) || err == nil {
				t.Errorf("%d refusals: %v", k, err)
			}
			if err := c.Erase(t.Context(), 3); err != nil {
				t.Errorf("then: %v", err)
			}
		})
	}
}

// TestFlashSizeTwice: a size that came once only does not count.
func TestFlashSizeTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		r.load(r.chip.FlashSizeReg, []byte{128, 0})
		r.alter = func(p []byte) []byte {
			if len(p) == 2 {
				r.alter = nil
				return []byte{32, 0}
			}
			return p
		}
		c := dial(t, Config{Port: r})
		if got := c.Chip().FlashSize; got != 128<<10 || !c.SizeKnown() {
			t.Errorf("%d bytes, known %v", got, c.SizeKnown())
		}
	})
}
