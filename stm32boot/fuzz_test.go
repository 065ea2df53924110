package stm32boot

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// parrot is a target that answers every write with the next bytes of a script, as
// many as the script says, right or wrong.
type parrot struct {
	script   []byte
	out      []byte
	sent     int
	deadline time.Time
}

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
		time.Sleep(time.Until(p.deadline))
		return 0, timeoutError{}
	}
	n := copy(b, p.out)
	p.out = p.out[n:]
	return n, nil
}

// FuzzReplies: whatever a target answers, no method panics, none takes for ever,
// and the answers of a target that is silent in the end make the last one fail.
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
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4096 {
			return
		}
		synctest.Test(t, func(t *testing.T) { fuzzReplies(t, script) })
	})
}

// fuzzReplies runs one operation, which the script chooses, three times.
func fuzzReplies(t *testing.T, script []byte) {
	ctx, start := t.Context(), time.Now()
	p := &parrot{script: script}
	choice := byte(0)
	if len(script) > 0 {
		choice, p.script = script[0], script[1:]
	}
	c := idleClient(p, []uint16{0x410, 0x483}[choice&1])
	names := slices.Sorted(maps.Keys(operations))
	switch n := int(choice >> 1); {
	case n < len(names):
		for range 3 {
			_ = operations[names[n]](ctx, c)
		}
	case n%4 == 0:
		if got, err := Connect(ctx, Config{Port: p, Rate: func(int) error { return nil }}); err == nil {
			c = got
		}
	case n%4 == 1:
		_, _, _ = c.Special(ctx, 1, []byte{1})
	case n%4 == 2:
		_, _ = c.ExtendedSpecial(ctx, 1, []byte{1}, []byte{2})
	default:
		_, _ = c.Checksum(ctx, 0x08000000, 64)
	}
	p.script, p.out = nil, nil
	if err := c.EraseAll(ctx); err == nil {
		t.Error("a silent target erased its memory")
	}
	if d := time.Since(start); d > 20*time.Minute {
		t.Errorf("took %v", d)
	}
	if p.sent > 20_000 {
		t.Errorf("%d bytes sent", p.sent)
	}
}
