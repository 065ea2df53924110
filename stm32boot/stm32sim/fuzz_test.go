package stm32sim_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// script is a port that has bytes to read, in pieces, and then ends.
type script struct {
	in    []byte
	piece int
	out   int
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.piece)], s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	s.out += len(p)
	return len(p), nil
}

func (s *script) SetReadDeadline(time.Time) error { return nil }

// recordedBytes are what stm32flash sent in each recording.
func recordedBytes(f *testing.F) [][]byte {
	var all [][]byte
	for _, file := range vectors.Files(f, "stm32/*.jsonl") {
		var p []byte
		for _, line := range vectors.Lines(f, file)[1:] {
			var b burst
			if err := json.Unmarshal(line, &b); err != nil {
				f.Fatal(err)
			}
			if sent, err := hex.DecodeString(b.Hex); err == nil && b.Dir == "h2t" {
				p = append(p, sent...)
			}
		}
		all = append(all, p)
	}
	return all
}

// fuzzChips are of all families of erase commands and of flash.
var fuzzChips = []uint16{0x410, 0x431, 0x415, 0x417, 0x450, 0x460, 0x464, 0x483, 0x430}

// FuzzHost gives a target arbitrary bytes. It must not panic, must answer no more
// than the protocol has, and must program nothing but flash, as far as it is not
// protected.
func FuzzHost(f *testing.F) {
	for _, p := range recordedBytes(f) {
		for i := range fuzzChips {
			f.Add(byte(i), byte(0), p)
		}
		f.Add(byte(0), byte(0xFF), p)
	}
	f.Fuzz(func(t *testing.T, chip, how byte, in []byte) {
		id := fuzzChips[int(chip)%len(fuzzChips)]
		o := stm32sim.Options{ID: id, FlashSize: 16 << 10, BootVersion: 0x33, ECC: how&1 != 0, RDP: int(how>>1&1) + int(how>>2&1)}
		if id == 0x450 || id == 0x483 {
			o.FlashSize = 128 << 10
		}
		if how&8 != 0 {
			o.PowerCut = stm32sim.PowerCut{Programmed: int(how >> 4), Sent: 40}
		}
		if how&0x10 != 0 {
			o.Faults = []stm32sim.Fault{{Kind: stm32sim.FaultKind(how >> 5), Times: -1, Part: 5, Delay: 1}}
		}
		o.Image = bytes.Repeat([]byte{0xA5}, int(o.FlashSize))
		protected := how&0x20 != 0
		if protected {
			for i := range 512 {
				o.WriteProtect = append(o.WriteProtect, i)
			}
		}
		end, touched := uint32(start)+o.FlashSize, false
		o.Observer = func(e stm32sim.Event) {
			switch e.Kind {
			case stm32sim.EventErase, stm32sim.EventProgram:
				touched = true
				if e.Addr < start || e.Addr+uint32(max(e.N, 0)) > end && e.Kind == stm32sim.EventProgram || e.Addr >= end {
					t.Errorf("%s at 0x%08X", e.Kind, e.Addr)
				}
			case stm32sim.EventCommand:
				switch e.Command {
				case stm32boot.CmdWriteProtect, stm32boot.CmdWriteUnprotect, stm32boot.CmdReadoutUnprotect:
					protected = false
				}
			}
		}
		target, err := stm32sim.New(o)
		if err != nil {
			t.Fatal(err)
		}
		before := target.Flash()
		port := &script{in: in, piece: 1 + int(how)}
		if err := target.Run(context.Background(), port); err != io.EOF && err != nil {
			t.Errorf("Run: %v", err)
		}
		after := target.Flash()
		if len(after) != len(before) || !bytes.Equal(before, after) && (!touched && target.Stats().PowerCuts == 0 || protected) {
			t.Error("flash has changed")
		}
		if limit := 260*len(in)/3 + 260; port.out > limit {
			t.Errorf("%d bytes answered with %d", len(in), port.out)
		}
	})
}
