package stm32boot_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// errDead is what everything gives that a program uses after its end.
var errDead = errors.New("the power is gone")

// life is what is left of a program: so many bytes in either direction, edges of
// pins and records of the journal. With the last one, end is called.
type life struct {
	left int
	end  func()
}

// spend uses up to n and returns how much there was.
func (l *life) spend(n int) int {
	if l.left < 0 {
		return n
	}
	if n < l.left {
		l.left -= n
		return n
	}
	if n, l.left = l.left, 0; l.end != nil {
		l.end()
		l.end = nil
	}
	return n
}

// mortalPort is a port that is cut off in the middle of a write.
type mortalPort struct {
	stm32boot.Port
	life *life
}

func (p mortalPort) Write(b []byte) (int, error) {
	n := p.life.spend(len(b))
	if k, err := p.Port.Write(b[:n]); err != nil || n == len(b) {
		return k, err
	}
	return n, errDead
}

func (p mortalPort) Read(b []byte) (int, error) {
	if p.life.left == 0 {
		return 0, errDead
	}
	n, err := p.Port.Read(b[:1])
	p.life.spend(n)
	return n, err
}

type mortalPin struct {
	stm32boot.Pin
	life *life
}

func (p mortalPin) Set(high bool) error {
	if p.life.spend(1) == 0 {
		return errDead
	}
	return p.Pin.Set(high)
}

type mortalJournal struct {
	stm32boot.Journal
	life *life
}

func (j mortalJournal) Save(b []byte) error {
	if j.life.spend(1) == 0 {
		return errDead
	}
	return j.Journal.Save(b)
}

// mortal puts a life into a configuration.
func (r *rig) mortal(l *life) stm32boot.Config {
	cfg := r.config()
	cfg.Port = mortalPort{cfg.Port, l}
	cfg.Reset, cfg.Boot0 = mortalPin{cfg.Reset, l}, mortalPin{cfg.Boot0, l}
	return cfg
}

// cutCase is a flashing to be interrupted.
type cutCase struct {
	name string
	id   uint16
	opts stm32boot.FlashOptions
	done bool // the journal knows the image before
}

var cutCases = []cutCase{
	{"plain", 0x410, stm32boot.FlashOptions{}, false},
	{"ecc", 0x415, stm32boot.FlashOptions{}, false},
	{"zeros", 0x417, stm32boot.FlashOptions{}, false},
	{"sectors", 0x431, stm32boot.FlashOptions{}, false},
	{"preserve", 0x415, stm32boot.FlashOptions{Preserve: true}, false},
	{"changed", 0x410, stm32boot.FlashOptions{ChangedOnly: true}, false},
	{"stored", 0x410, stm32boot.FlashOptions{ChangedOnly: true}, true},
	{"unverified", 0x415, stm32boot.FlashOptions{Verify: stm32boot.VerifyNone}, false},
	{"all", 0x415, stm32boot.FlashOptions{Erase: stm32boot.EraseAll}, false},
	{"all by pages", 0x417, stm32boot.FlashOptions{Erase: stm32boot.EraseAll}, false},
}

const (
	cutOffset = 0x1000
	cutSize   = 7000
)

// cutRig is a target that holds another image.
func (c *cutCase) rig(t *testing.T) (r *rig, image stm32boot.Image, want []byte, j *memJournal, stop func()) {
	const size = 64 << 10
	r, j = newRig(t, stm32sim.Options{ID: c.id, FlashSize: size, ECC: true, Image: noise(1, size)}), new(memJournal)
	r.line, stop = r.target.Connect(stm32sim.LineOptions{})
	data := noise(2, cutSize)
	old := append([]byte(nil), data...)
	for i := 2000; i < 4000; i++ {
		old[i] ^= 0x5A
	}
	if c.done {
		if _, err := r.flash(stm32boot.Image{at(cutOffset, old)}, stm32boot.FlashOptions{Journal: j}); err != nil {
			t.Fatal(err)
		}
	} else if err := r.target.Poke(0x08000000+cutOffset, old); err != nil {
		t.Fatal(err)
	}
	return r, stm32boot.Image{at(cutOffset, data)}, r.after(at(cutOffset, data), c.opts), j, stop
}

// after returns what the flash holds when a segment that differs is put into it,
// in pages that are written altogether.
func (r *rig) after(s stm32boot.Segment, opts stm32boot.FlashOptions) []byte {
	if opts.Erase == stm32boot.EraseAll {
		return blankFlash(r.chip, s)
	}
	old := r.target.Flash()
	want := append([]byte(nil), old...)
	put(r.chip, want, s)
	end := s.Addr + uint32(len(s.Data))
	for p := range r.chip.Pages() {
		if p.Addr >= end || s.Addr >= p.Addr+p.Size || opts.Preserve {
			continue
		}
		page := want[p.Addr-r.chip.FlashStart:][:p.Size]
		if first := s.Addr >= p.Addr; opts.ChangedOnly && !first && bytes.Equal(page, old[p.Addr-r.chip.FlashStart:][:p.Size]) {
			continue // it stays, with what else is in it
		}
		copy(page, blankFlash(r.chip)[:p.Size])
	}
	put(r.chip, want, s)
	return want
}

// TestPowerCut ends the flashing program at every so many bytes, pins and
// journal records, and starts it anew: the flash then holds the image.
func TestPowerCut(t *testing.T) {
	points := count(40, 800)
	for _, c := range cutCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			total := c.measure(t)
			resumed, step := 0, max(1, total/points)
			for n := 1; n < total; n += step {
				if c.cut(t, n) {
					resumed++
				}
			}
			t.Logf("%d bytes, cut at each %dth, resumed %d times", total, step, resumed)
			if resumed == 0 {
				t.Error("never resumed")
			}
		})
	}
}

// measure returns how long a life the flashing needs.
func (c *cutCase) measure(t *testing.T) (total int) {
	synctest.Test(t, func(t *testing.T) {
		r, image, want, j, stop := c.rig(t)
		defer stop()
		l := &life{left: 1 << 30}
		opts := c.opts
		opts.Journal = mortalJournal{j, l}
		if _, err := stm32boot.Flash(context.Background(), r.mortal(l), image, opts); err != nil {
			t.Fatal(err)
		}
		r.expect(want)
		total = 1<<30 - l.left
	})
	return total
}

// cut ends the program after n bytes and starts another. It reports whether that
// one went on where the first was.
func (c *cutCase) cut(t *testing.T, n int) (resumed bool) {
	synctest.Test(t, func(t *testing.T) {
		r, image, want, j, stop := c.rig(t)
		defer stop()
		l := &life{left: n}
		opts := c.opts
		opts.Journal = mortalJournal{j, l}
		before := r.target.Flash()
		if _, err := stm32boot.Flash(context.Background(), r.mortal(l), image, opts); err == nil {
			t.Errorf("cut at %d: success", n)
		}
		synctest.Wait()
		if now := r.target.Flash(); bytes.Equal(now[cutOffset:][:256], want[cutOffset:][:256]) &&
			!bytes.Equal(now, before) && !bytes.Equal(now, want) {
			t.Errorf("cut at %d: the first block is there, the rest is not", n)
		}
		opts.Journal = j
		res, err := r.flash(image, opts)
		if err != nil {
			t.Errorf("cut at %d: the second time: %v", n, err)
			return
		}
		if err := differs(r.target.Flash(), want, r.chip.FlashStart); err != nil {
			t.Errorf("cut at %d: %v", n, err)
		}
		if s, err := stm32boot.ParseState(j.record); err != nil || s.Step != stm32boot.StepDone {
			t.Errorf("cut at %d: journal %v, %v", n, s.Step, err)
		}
		resumed = res.Plan.Resumed
	})
	return resumed
}

// TestTargetPowerCut takes the target's power away for a moment, at many points.
// The flashing goes on by itself.
func TestTargetPowerCut(t *testing.T) {
	cuts := map[string]func(n int) stm32sim.PowerCut{
		"received":   func(n int) stm32sim.PowerCut { return stm32sim.PowerCut{Received: 1 + 37*n} },
		"sent":       func(n int) stm32sim.PowerCut { return stm32sim.PowerCut{Sent: 1 + 37*n} },
		"programmed": func(n int) stm32sim.PowerCut { return stm32sim.PowerCut{Programmed: 1 + 37*n} },
		"erased":     func(n int) stm32sim.PowerCut { return stm32sim.PowerCut{Erased: 1 + n} },
	}
	step := 190 / count(15, 190)
	for name, cut := range cuts {
		for _, c := range cutCases[:4] {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				for n := 0; n < 190; n += step {
					power := cut(n)
					power.Restore = 300 * time.Millisecond
					synctest.Test(t, func(t *testing.T) { c.cutTarget(t, power) })
				}
			})
		}
	}
}

func (c *cutCase) cutTarget(t *testing.T, power stm32sim.PowerCut) {
	r, image, want, _, stop := c.rig(t)
	defer stop()
	r.target.CutPower(power)
	if _, err := r.flash(image, c.opts); err != nil {
		t.Errorf("%+v: %v", power, err)
		return
	}
	if err := differs(r.target.Flash(), want, r.chip.FlashStart); err != nil {
		t.Errorf("%+v: %v", power, err)
	}
}

// TestCancel cancels the context at every so many bytes: Flash returns at once
// and the application runs.
func TestCancel(t *testing.T) {
	c := cutCase{name: "cancel", id: 0x410}
	total := c.measure(t)
	step := total / count(150, 2000)
	for n := 1; n < total-2; n += step {
		synctest.Test(t, func(t *testing.T) { c.cancel(t, n) })
	}
}

func (c *cutCase) cancel(t *testing.T, n int) {
	var running bool
	const size = 64 << 10
	r := newRig(t, stm32sim.Options{
		ID: c.id, FlashSize: size, Boot0Low: true,
		Application: func(ctx context.Context, _ *stm32sim.Target, _ stm32sim.Port) {
			running = true
			<-ctx.Done()
			running = false
		},
	})
	var stop func()
	r.line, stop = r.target.Connect(stm32sim.LineOptions{})
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var when time.Time
	l := &life{left: n, end: func() { when = time.Now(); cancel() }}
	cfg := r.config()
	cfg.Port = cancelPort{cfg.Port, l}
	image := noise(2, cutSize)
	_, err := stm32boot.Flash(ctx, cfg, stm32boot.Image{at(cutOffset, image)}, stm32boot.FlashOptions{})
	if when.IsZero() {
		return // it was over before
	}
	done := err == nil && bytes.Equal(r.target.Flash()[cutOffset:][:cutSize], image) // with the last byte
	if !done && !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled at %d: %v", n, err)
	}
	if took := time.Since(when); took > 100*time.Millisecond+stm32boot.DefaultResetPulse {
		t.Errorf("cancelled at %d: it took %v", n, took)
	}
	synctest.Wait()
	if !running {
		t.Errorf("cancelled at %d: the application does not run", n)
	}
}

// cancelPort calls end in the middle of writes and reads, and goes on.
type cancelPort struct {
	stm32boot.Port
	life *life
}

func (p cancelPort) Write(b []byte) (int, error) {
	n := len(b)
	if p.life.end != nil {
		n = p.life.spend(n)
	}
	if n < len(b) {
		if _, err := p.Port.Write(b[:n]); err != nil {
			return n, err
		}
		k, err := p.Port.Write(b[n:])
		return n + k, err
	}
	return p.Port.Write(b)
}

func (p cancelPort) Read(b []byte) (int, error) {
	n, err := p.Port.Read(b[:1])
	if p.life.end != nil {
		p.life.spend(n)
	}
	return n, err
}
