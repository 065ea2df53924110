package stm32sim_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// transcript is the first line of a file.
type transcript struct {
	Meta struct {
		ProductID string `json:"product_id"`
		Version   string `json:"bl_version"`
		ToTarget  int    `json:"h2t_bytes"`
		ToHost    int    `json:"t2h_bytes"`
		Args      string
		Exit      int
		Target    recordedTarget
	}
}

// recordedTarget is what the other side of a recording was like.
type recordedTarget struct {
	Preload  string
	Inited   int
	Pend     string
	RDP      int
	Drop     int
	BusyN    int
	BusyDT   float64
	NackCmd  int
	NackAddr int
	NackData int
	DropAck  int
	Silent   int `json:"silentblk"`
	Corrupt  int
}

// busyBlock is the block at which recordings with busyn send BUSY.
const busyBlock = 2

func (r *recordedTarget) options(t *testing.T) stm32sim.Options {
	o := stm32sim.Options{RDP: r.RDP, Synced: r.Inited != 0, DropFirst: r.Drop}
	var err error
	if o.Pending, err = hex.DecodeString(r.Pend); err != nil {
		t.Fatal(err)
	}
	if r.Preload != "" {
		o.Image = recordedImage(t, r.Preload)
	}
	add := func(kind stm32sim.FaultKind, at int) {
		if at > 0 {
			o.Faults = append(o.Faults, stm32sim.Fault{Kind: kind, At: at})
		}
	}
	add(stm32sim.NackCommand, r.NackCmd)
	add(stm32sim.NackAddr, r.NackAddr)
	add(stm32sim.NackData, r.NackData)
	add(stm32sim.DropAck, r.DropAck)
	add(stm32sim.Silent, r.Silent)
	add(stm32sim.Corrupt, r.Corrupt)
	if r.BusyN > 0 {
		o.Faults = append(o.Faults, stm32sim.Fault{
			Kind: stm32sim.Busy, At: busyBlock, Count: r.BusyN, Delay: time.Duration(r.BusyDT * float64(time.Second)),
		})
	}
	return o
}

// recordedImage returns the image "imgN.bin" or "imgNgap.bin".
func recordedImage(t *testing.T, name string) []byte {
	number, gap := strings.CutSuffix(strings.TrimSuffix(strings.TrimPrefix(name, "img"), ".bin"), "gap")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("image %q: %v", name, err)
	}
	p := image(n)
	if gap {
		copy(p[256:768], slices.Repeat([]byte{0xFF}, 512))
	}
	return p
}

// burst is a further line of a file.
type burst struct {
	Dir     string
	Hex     string
	AfterMS int `json:"after_ms"`
}

// TestVectorsTranscripts plays the side of stm32flash in every recording.
func TestVectorsTranscripts(t *testing.T) {
	for _, file := range vectors.Files(t, "stm32/*.jsonl") {
		lines := vectors.Lines(t, file)
		if len(lines) < 2 {
			t.Fatalf("%s: no rows", file)
		}
		ran := 0
		t.Run(filepath.Base(file), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { ran = replay(t, lines) })
		})
		t.Logf("%s: %d of %d rows", filepath.Base(file), ran, len(lines)-1)
		if ran != len(lines)-1 {
			t.Errorf("%s: ran %d of %d rows", file, ran, len(lines)-1)
		}
	}
}

// replay returns how many bursts were as recorded.
func replay(t *testing.T, lines [][]byte) (ran int) {
	var head transcript
	if err := json.Unmarshal(lines[0], &head); err != nil {
		t.Fatal(err)
	}
	knownMembers(t, lines[0])
	o := head.Meta.Target.options(t)
	o.ID, o.BootVersion = uint16(number(t, head.Meta.ProductID)), byte(number(t, head.Meta.Version))
	target, _, h := plug(t, o, stm32sim.LineOptions{})
	turns, last := uint64(0), ""
	for i, line := range lines[1:] {
		var b burst
		if err := json.Unmarshal(line, &b); err != nil {
			t.Fatal(err)
		}
		if !h.replay(b) {
			t.Fatalf("burst %d is not as recorded", i+1)
		}
		if b.Dir != last {
			turns, last = turns+1, b.Dir
		}
		ran++
	}
	h.quiet()
	s := target.Stats()
	if s.Turns != turns {
		t.Errorf("%d turns, recorded %d", s.Turns, turns)
	}
	if s.Received != uint64(head.Meta.ToTarget) || s.Sent != uint64(head.Meta.ToHost) {
		t.Errorf("the target received %d and sent %d bytes; recorded %d, %d", s.Received, s.Sent, head.Meta.ToTarget, head.Meta.ToHost)
	}
	if want := written(t, head.Meta.Args); head.Meta.Exit == 0 && !bytes.HasPrefix(target.Flash(), want) {
		t.Errorf("flash does not hold what was written")
	}
	return ran
}

// written returns the image that stm32flash was told to write to flash.
func written(t *testing.T, args string) []byte {
	f := strings.Fields(args)
	if i := slices.Index(f, "-w"); i >= 0 && !slices.Contains(f, "-S") {
		return recordedImage(t, f[i+1])
	}
	return nil
}

// replay plays one burst.
func (h *host) replay(b burst) bool {
	p, err := hex.DecodeString(b.Hex)
	if err != nil {
		h.t.Fatal(err)
	}
	after := time.Duration(b.AfterMS) * time.Millisecond
	if b.Dir == "h2t" {
		if after > 0 {
			if err := h.port.SetReadDeadline(time.Now().Add(after)); err != nil {
				h.t.Fatal(err)
			}
			if n, err := h.port.Read(make([]byte, 1)); n > 0 {
				h.t.Errorf("a byte came, recorded was silence: %v", err)
			}
		}
		h.write(p...)
		return true
	}
	start := time.Now()
	if got := h.read(len(p)); !slices.Equal(got, p) {
		h.t.Errorf("answered % X, recorded % X", got, p)
		return false
	}
	if took := time.Since(start); took.Round(100*time.Millisecond) != after {
		h.t.Errorf("answered after %v, recorded %v", took, after)
	}
	return true
}

// knownMembers fails the test if a target has properties that it does not know.
func knownMembers(t *testing.T, line []byte) {
	var m struct {
		Meta struct{ Target json.RawMessage }
	}
	if err := json.Unmarshal(line, &m); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(m.Meta.Target)))
	d.DisallowUnknownFields()
	if err := d.Decode(new(recordedTarget)); err != nil {
		t.Error(err)
	}
}

func number(t *testing.T, s string) uint64 {
	n, err := strconv.ParseUint(s, 0, 16)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRecordedKnobs plays the members of the recordings' target that none of the
// recordings uses.
func TestRecordedKnobs(t *testing.T) {
	write := func(h *host, command, addr, data []byte) {
		h.expect([]byte{0x31, 0xCE}, command...)
		if command != nil && command[0] == ack {
			if h.expect(address(0x08000000), addr...); addr != nil && addr[0] == ack {
				h.expect(counted(image(16)), data...)
			}
		}
	}
	a, n, none := []byte{ack}, []byte{nack}, []byte(nil)
	for _, c := range []struct {
		members             string
		command, addr, data []byte
	}{
		{`{"nackcmd":2}`, n, none, none},
		{`{"nackaddr":2}`, a, n, none},
		{`{"nackdata":2}`, a, a, n},
		{`{"dropack":2}`, a, a, none},
		{`{"silentblk":2}`, a, a, none},
		{`{"busyn":2,"busydt":0.1}`, a, a, []byte{stm32boot.BUSY, stm32boot.BUSY, ack}},
	} {
		t.Run(c.members, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r recordedTarget
				if err := json.Unmarshal([]byte(c.members), &r); err != nil {
					t.Fatal(err)
				}
				_, h := connect(t, r.options(t))
				write(h, a, a, a)
				write(h, c.command, c.addr, c.data)
				write(h, a, a, a)
			})
		})
	}
	t.Run(`{"drop":1}`, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := recordedTarget{Drop: 1}
			_, _, h := plug(t, r.options(t), stm32sim.LineOptions{})
			h.expect([]byte{stm32boot.Init})
			h.expect([]byte{stm32boot.Init}, ack)
		})
	})
}
