package stm32boot

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// parrot is a target that answers every write with the next bytes of a script, as
// many as the script says, right or wrong. Its time is its own: it passes when
// nothing comes.
type parrot struct {
	script   []byte
	out      []byte
	sent     int
	time     time.Time
	deadline time.Time
}

func (p *parrot) now() time.Time { return p.time }

func (p *parrot) SetReadDeadline(t time.Time) error { p.deadline = t; return nil }

func (p *parrot) Write(b []byte) (int, error) {
	p.sent += len(b)
	if len(p.script) > 0 {
		n := min(int(p.script[0]&0x3F)+1, len(p.script)-1)
		p.out = append(p.out, p.script[1:1+n]...)
		p.script = p.script[1+n:]
	}
	return len(b), nil
}

func (p *parrot) Read(b []byte) (int, error) {
	if len(p.out) == 0 {
		p.time = p.deadline
		return 0, timeoutError{}
	}
	n := copy(b, p.out)
	p.out = p.out[n:]
	return n, nil
}

// fuzzed are the operations to fuzz: those that can be cancelled, and more.
func fuzzed() (list []func(ctx context.Context, c *Client)) {
	for _, name := range slices.Sorted(maps.Keys(operations)) {
		run := operations[name]
		list = append(list, func(ctx context.Context, c *Client) { _ = run(ctx, c) })
	}
	return append(list,
		func(ctx context.Context, c *Client) { _, _, _ = c.Special(ctx, 1, []byte{1}) },
		func(ctx context.Context, c *Client) { _, _ = c.ExtendedSpecial(ctx, 1, []byte{1}, []byte{2}) },
		func(ctx context.Context, c *Client) { _, _ = c.Checksum(ctx, 0x08000000, 64) },
		func(ctx context.Context, c *Client) { _ = c.connect(ctx) },
	)
}

// FuzzReplies: whatever a target answers, no method panics, none takes for ever,
// and a target that is silent in the end makes the last one fail.
func FuzzReplies(f *testing.F) {
	f.Add([]byte{})
	for choice := range byte(64) {
		f.Add([]byte{choice, 0, ACK, 0, ACK, 0, ACK, 0, ACK, 0, NACK, 0, ACK, 0, BUSY})
	}
	f.Add([]byte{0, ACK, 14, ACK, 11, 0x31, 0, 1, 2, 0x11, 0x21, 0x31, 0x43, 0x63, 0x73, 0x82, 0x92, ACK})
	f.Add([]byte{0, NACK, 0, ACK, 4, 1, 4, 0x10, ACK, BUSY})
	good := []byte{0, ACK}
	for range 2 {
		good = append(good, 14, ACK, 11, 0x31, 0, 1, 2, 0x11, 0x21, 0x31, 0x43, 0x63, 0x73, 0x82, 0xA1, 0x50, ACK)
		good = append(good, 4, ACK, 1, 4, 0x10, ACK)
	}
	f.Add(good)
	f.Add(append([]byte{200}, good...))
	f.Add(append(good, 0, ACK, 0, ACK, 2, ACK, 128, 0, 0, ACK, 0, ACK, 2, ACK, 128, 0, 0, NACK, 0, BUSY, 0, ACK, 0, ACK))
	chips := [2]Chip{}
	chips[0], _ = Lookup(0x410)
	chips[1], _ = Lookup(0x483)
	list := fuzzed()
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4096 {
			return
		}
		choice := byte(0)
		if len(script) > 0 {
			choice, script = script[0], script[1:]
		}
		p := &parrot{script: script, time: time.Unix(1, 0)}
		chip := chips[choice&1]
		cfg, _ := Config{Port: p, Rate: func(int) error { return nil }}.resolve()
		c := &Client{cfg: cfg, link: link{port: p, clock: p.now}, chip: chip, id: chip.ID,
			cmds: []byte{chip.EraseCmd, CmdChecksum, CmdSpecial, CmdExtendedSpecial}}
		fuzzReplies(t, c, p, list[int(choice>>1)%len(list)])
	})
}

// fuzzReplies runs an operation three times on one session.
func fuzzReplies(t *testing.T, c *Client, p *parrot, run func(context.Context, *Client)) {
	ctx := context.Background()
	for range 3 {
		run(ctx, c)
	}
	p.script, p.out = nil, nil
	if err := c.EraseAll(ctx); err == nil {
		t.Error("a silent target erased its memory")
	}
	if d := p.time.Sub(time.Unix(1, 0)); d > 20*time.Minute {
		t.Errorf("took %v", d)
	}
	if p.sent > 40_000 {
		t.Errorf("%d bytes sent", p.sent)
	}
}

// scriptedHarm alters answers by a script: of each byte how many answers pass
// unharmed, and what becomes of the next.
type scriptedHarm struct {
	script []byte
	pass   int
}

func (h *scriptedHarm) alter(p []byte) []byte {
	if h.pass > 0 {
		h.pass--
		return p
	}
	if len(h.script) < 2 {
		return p
	}
	what, where := h.script[0], int(h.script[1])%len(p)
	h.script = h.script[2:]
	h.pass = int(what >> 3)
	switch what & 7 {
	case 0:
		return nil
	case 1:
		p[where] = NACK
	case 2:
		p[where] = ACK
	case 3:
		p[where] ^= 1 << (what >> 5)
	case 4:
		return slices.Delete(p, where, where+1)
	case 5:
		return slices.Insert(p, where, p[where])
	case 6:
		return slices.Insert(p, where, byte(BUSY))
	}
	return p
}

// FuzzFlash: whatever becomes of a target's answers on their way, a flashing that
// reports success has put the image where it belongs, and nothing elsewhere, and the
// application runs at the end.
func FuzzFlash(f *testing.F) {
	f.Add([]byte{})
	for kind := range byte(8) {
		for _, pass := range []byte{0, 1, 3, 7, 12, 31} {
			step := []byte{pass<<3 | 7, 0, kind, 0, kind, 9}
			f.Add(slices.Concat(step, step, step, step))
		}
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 1024 {
			return
		}
		synctest.Test(t, func(t *testing.T) { fuzzFlash(t, script) })
	})
}

func fuzzFlash(t *testing.T, script []byte) {
	r := newROM(0x415)
	r.load(0x08000000, image(0x2000))
	h := &scriptedHarm{script: script}
	r.alter = h.alter
	data := image(3000)[700:]
	_, err := Flash(t.Context(), r.wired(), Image{{Addr: 0x08000900, Data: data}}, FlashOptions{})
	want := bytes.Repeat([]byte{0xFF}, 0x2000)
	copy(want[:0x800], image(0x2000))
	copy(want[0x1800:], image(0x2000)[0x1800:])
	copy(want[0x900:], data)
	if err == nil && !bytes.Equal(r.peek(0x08000000, len(want)), want) {
		t.Error("success, and the flash does not hold what it should")
	}
	if !r.off || r.boot0 {
		t.Errorf("the application does not run: %v", err)
	}
}
