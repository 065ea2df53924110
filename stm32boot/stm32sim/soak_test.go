package stm32sim_test

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// stubborn is a simple flasher for lines with faults: what fails is done again
// after a reset.
type stubborn struct {
	target *stm32sim.Target
	port   stm32boot.Port
	resets int
}

// ask sends a stage and reports whether it is answered by ACK.
func (s *stubborn) ask(p []byte) bool {
	if _, err := s.port.Write(p); err != nil {
		return false
	}
	return slices.Equal(s.take(1), []byte{ack})
}

// take returns n bytes, or fewer that came in time.
func (s *stubborn) take(n int) []byte {
	p, got := make([]byte, n), 0
	_ = s.port.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	for got < n {
		k, err := s.port.Read(p[got:])
		if got += k; err != nil {
			break
		}
	}
	return p[:got]
}

// insist sends stages until all of one try are answered and check is content.
func (s *stubborn) insist(stages [][]byte, check func() bool) bool {
	for range 100 {
		ok := true
		for i := 0; ok && i < len(stages); i++ {
			ok = s.ask(stages[i])
		}
		if ok && (check == nil || check()) {
			return true
		}
		s.resets++
		pulse(s.target)
		for len(s.take(512)) > 0 {
		}
		for range 10 {
			if s.ask([]byte{stm32boot.Init}) {
				break
			}
		}
	}
	return false
}

// flash writes and verifies an image.
func (s *stubborn) flash(chip *stm32boot.Chip, p []byte) bool {
	if !s.insist([][]byte{{stm32boot.Init}}, nil) {
		return false
	}
	for page := range chip.Pages() {
		list := pages(page.Number)
		if chip.EraseCmd == stm32boot.CmdErase {
			list = counted([]byte{byte(page.Number)})
		}
		if page.Addr < start+uint32(len(p)) && !s.insist([][]byte{command(chip.EraseCmd), list}, nil) {
			return false
		}
	}
	for at := 0; at < len(p); at += 256 {
		want := p[at : at+256]
		addr := address(start + uint32(at))
		read := [][]byte{command(cmdRead), addr, {0xFF, 0x00}}
		check := func() bool {
			got := s.take(256)
			return bytes.Equal(got, want)
		}
		if !s.insist([][]byte{command(cmdWrite), addr, counted(want)}, nil) || !s.insist(read, check) {
			return false
		}
	}
	return true
}

// TestSoak writes and verifies 64 KiB at 115200 baud with faults on the line, and
// shows what that costs.
func TestSoak(t *testing.T) {
	seeds := 5
	if full() {
		seeds = 100
	}
	for _, c := range []struct {
		name string
		p    float64
	}{{"clean", 0}, {"1e-4", 1e-4}, {"1e-3", 1e-3}} {
		t.Run(c.name, func(t *testing.T) {
			var virtual time.Duration
			var faults, resets uint64
			given := 0
			begin := time.Now()
			for seed := range seeds {
				synctest.Test(t, func(t *testing.T) {
					chip, _ := stm32boot.Lookup(0x414)
					faulty := stm32sim.Uniform(c.p)
					target, line, h := plug(t, stm32sim.Options{ID: chip.ID, Seed: uint64(seed)},
						stm32sim.LineOptions{Baud: 115200, Seed: uint64(seed), ToTarget: faulty, ToClient: faulty})
					s := &stubborn{target: target, port: h.port}
					begin := time.Now()
					// A block that the faults have made another cannot be repaired
					// without an erase, of which this flasher knows nothing.
					if !s.flash(&chip, image(64<<10)) {
						given++
					} else if got := target.Flash(); !bytes.Equal(got[:64<<10], image(64<<10)) {
						t.Errorf("seed %d: flash is wrong", seed)
					}
					virtual += time.Since(begin)
					stats := line.Stats()
					faults += stats.ToTarget.Faults() + stats.ToClient.Faults()
					resets += target.Stats().Resets
				})
			}
			each := time.Since(begin) / time.Duration(seeds)
			t.Logf("%d seeds, %d given up: %v of virtual time, %d faults and %d resets in all; %v of real time each",
				seeds, given, virtual, faults, resets, each)
			if given > 0 && c.p < 1e-3 {
				t.Errorf("%d were given up", given)
			}
			if limit := 500 * time.Millisecond; each > limit && !race.Enabled {
				t.Errorf("%v each is too slow", each)
			}
		})
	}
}
