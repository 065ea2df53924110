package stm32boot_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"

	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// rig is a target on a line, in a bubble.
type rig struct {
	t      testing.TB
	target *stm32sim.Target
	line   *stm32sim.Line
	chip   stm32boot.Chip
	events []stm32boot.Event
}

// onRig runs f with a target in a bubble.
func onRig(t *testing.T, target stm32sim.Options, line stm32sim.LineOptions, f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, target)
		l, stop := r.target.Connect(line)
		r.line = l
		defer stop()
		f(r)
	})
}

func newRig(t testing.TB, o stm32sim.Options) *rig {
	target, err := stm32sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, target: target, chip: target.Chip()}
}

// config reaches the target with all its lines.
func (r *rig) config() stm32boot.Config {
	return stm32boot.Config{
		Port: r.line.Client(), Rate: r.line.SetBaud, Reset: r.target.Reset(), Boot0: r.target.Boot0(),
		Observer: func(e stm32boot.Event) { r.events = append(r.events, e) },
	}
}

// flash connects, flashes and closes.
func (r *rig) flash(image stm32boot.Image, opts stm32boot.FlashOptions) (stm32boot.Result, error) {
	return stm32boot.Flash(context.Background(), r.config(), image, opts)
}

// expect compares all of the flash.
func (r *rig) expect(want []byte) {
	r.t.Helper()
	if err := differs(r.target.Flash(), want, r.chip.FlashStart); err != nil {
		r.t.Error(err)
	}
}

func differs(got, want []byte, start uint32) error {
	for i := range want {
		if got[i] != want[i] {
			return fmt.Errorf("flash holds 0x%02X at 0x%08X, want 0x%02X", got[i], start+uint32(i), want[i])
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("flash has %d bytes, want %d", len(got), len(want))
	}
	return nil
}

// noise returns n random bytes.
func noise(seed uint64, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	p := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(p)
	return p
}

// blankFlash returns the flash of a chip, erased, and parts put into it.
func blankFlash(c stm32boot.Chip, parts ...stm32boot.Segment) []byte {
	p := bytes.Repeat([]byte{c.Erased}, int(c.FlashSize))
	put(c, p, parts...)
	return p
}

// put puts segments into an image of the flash.
func put(c stm32boot.Chip, flash []byte, parts ...stm32boot.Segment) {
	for _, s := range parts {
		data := s.Data
		if data == nil {
			data = bytes.Repeat([]byte{s.Fill}, s.Size)
		}
		copy(flash[s.Addr-c.FlashStart:], data)
	}
}

// at returns a segment of the flash of a chip that starts where most do.
func at(off uint32, data []byte) stm32boot.Segment {
	return stm32boot.Segment{Addr: 0x08000000 + off, Data: data}
}

// memJournal is a journal in memory.
type memJournal struct {
	record []byte
	saves  int
	fail   error
}

func (j *memJournal) Load() ([]byte, error) { return j.record, j.fail }

func (j *memJournal) Save(b []byte) error {
	if j.fail == nil {
		j.record = append([]byte(nil), b...)
		j.saves++
	}
	return j.fail
}

// count returns how often something is to be done: light by default, heavy with
// CCMKIT_FULL=1, and less under the race detector, which is slow.
func count(light, heavy int) int {
	full := os.Getenv("CCMKIT_FULL") == "1"
	switch {
	case race.Enabled && !full:
		return max(1, light/5)
	case full && !race.Enabled:
		return heavy
	}
	return light
}
