package stm32boot

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/internal/vectors"
)

// vectorFile is one recorded session of stm32flash.
type vectorFile struct {
	Meta struct {
		Vector    string `json:"vector"`
		ProductID string `json:"product_id"`
		Exit      int    `json:"exit"`
		Sent      uint64 `json:"h2t_bytes"`
		Received  uint64 `json:"t2h_bytes"`
	} `json:"meta"`
	bursts []burst
}

type burst struct {
	Dir   string `json:"dir"`
	Hex   string `json:"hex"`
	After int    `json:"after_ms"`
	p     []byte
}

func loadVector(t *testing.T, file string) *vectorFile {
	v := &vectorFile{}
	for i, line := range vectors.Lines(t, file) {
		if i == 0 {
			if err := json.Unmarshal(line, v); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var b burst
		if err := json.Unmarshal(line, &b); err != nil {
			t.Fatal(err)
		}
		var err error
		if b.p, err = hex.DecodeString(b.Hex); err != nil {
			t.Fatal(err)
		}
		v.bursts = append(v.bursts, b)
	}
	return v
}

// player is a target that answers with the recorded bursts, when the bursts
// before them have arrived byte for byte.
type player struct {
	t        *testing.T
	bursts   []burst
	next     int // burst
	got      int // bytes of it received
	out      []answer
	deadline time.Time
}

func (p *player) SetReadDeadline(t time.Time) error { p.deadline = t; return nil }

func (p *player) Write(b []byte) (int, error) {
	for i, c := range b {
		if p.next == len(p.bursts) || p.bursts[p.next].Dir != "h2t" {
			p.t.Fatalf("byte %02x of % x: nothing was recorded here", c, b)
		}
		want := p.bursts[p.next].p
		if c != want[p.got] {
			p.t.Fatalf("row %d: byte %d is %02x, recorded was %02x\nsent % x", p.next+2, p.got, c, want[p.got], b[:i+1])
		}
		if p.got++; p.got == len(want) {
			p.next, p.got = p.next+1, 0
			p.answer()
		}
	}
	return len(b), nil
}

// answer queues what was recorded until the host speaks again.
func (p *player) answer() {
	at := time.Now()
	for p.next < len(p.bursts) && p.bursts[p.next].Dir == "t2h" {
		b := p.bursts[p.next]
		at = at.Add(time.Duration(b.After) * time.Millisecond)
		p.out = append(p.out, answer{at, b.p})
		p.next++
	}
}

func (p *player) Read(b []byte) (int, error) {
	if len(p.out) == 0 || p.out[0].at.After(p.deadline) {
		time.Sleep(time.Until(p.deadline))
		return 0, timeoutError{}
	}
	time.Sleep(time.Until(p.out[0].at))
	n := copy(b, p.out[0].p)
	p.out[0].p = p.out[0].p[n:]
	if len(p.out[0].p) == 0 {
		p.out = p.out[1:]
	}
	return n, nil
}

// TestVectors runs every recorded session through the client, command by
// command: what the client sends must be what stm32flash sent, what it makes of
// the answers must be right, and it must count as the recorder did.
func TestVectors(t *testing.T) {
	for _, file := range vectors.Files(t, "stm32/*.jsonl") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".jsonl"), func(t *testing.T) {
			v, rows, ran := loadVector(t, file), len(vectors.Lines(t, file))-1, 0
			synctest.Test(t, func(t *testing.T) { ran = replay(t, v) })
			t.Logf("%s: %d of %d rows", filepath.Base(file), ran, rows)
			if ran != rows {
				t.Errorf("ran %d of %d rows", ran, rows)
			}
		})
	}
}

// replay returns how many rows were played.
func replay(t *testing.T, v *vectorFile) int {
	id, err := strconv.ParseUint(v.Meta.ProductID, 0, 16)
	if err != nil {
		t.Fatal(err)
	}
	chip, known := Lookup(uint16(id))
	if !known {
		t.Fatal("unknown chip", v.Meta.ProductID)
	}
	p := &player{t: t, bursts: v.bursts}
	cfg, err := Config{Port: p, Bauds: []int{115200}}.resolve()
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{cfg: cfg, link: link{port: p}, chip: chip}
	if bytes.Equal(v.bursts[0].p, []byte{Init}) {
		if err := c.sync(t.Context()); err != nil {
			t.Fatal("sync:", err)
		}
		c.fresh = true
	}
	for p.next < len(v.bursts) {
		runCommand(t, c, p, uint16(id))
	}
	s := c.Stats()
	if turns := v.turns(); s.Sent != v.Meta.Sent || s.Received != v.Meta.Received || s.Turns != turns {
		t.Errorf("sent %d, received %d, turns %d; recorded %d, %d, %d",
			s.Sent, s.Received, s.Turns, v.Meta.Sent, v.Meta.Received, turns)
	}
	return p.next
}

// turns counts the runs of bytes in one direction. The recorder's own number also
// counts pauses within a run.
func (v *vectorFile) turns() (n uint64) {
	for i, b := range v.bursts {
		if i == 0 || b.Dir != v.bursts[i-1].Dir {
			n++
		}
	}
	return n
}

// recorded are the stages of one command: what was sent, and all that was
// answered to each.
type recorded struct {
	sent, answered [][]byte
}

// stages is how often each command is answered.
var stages = map[byte]int{CmdRead: 3, CmdWrite: 3, CmdGo: 2, CmdErase: 2, CmdExtendedErase: 2, CmdWriteProtect: 2, CmdChecksum: 3}

// upcoming returns the next recorded command.
func upcoming(bursts []burst) (r recorded) {
	want := max(stages[bursts[0].p[0]], 1)
	for _, b := range bursts {
		switch {
		case b.Dir == "t2h":
			last := len(r.answered) - 1
			r.answered[last] = append(r.answered[last], b.p...)
		case len(r.sent) == want:
			return r
		default:
			r.sent, r.answered = append(r.sent, b.p), append(r.answered, nil)
		}
		if b.Dir == "t2h" && b.p[0] == NACK {
			return r
		}
	}
	return r
}

// runCommand makes the client do what the next recorded command did.
func runCommand(t *testing.T, c *Client, p *player, id uint16) {
	ctx, r := t.Context(), upcoming(p.bursts[p.next:])
	cmd, addr := r.sent[0][0], uint32(0)
	if len(r.sent) > 1 && len(r.sent[1]) == 5 {
		addr = binary.BigEndian.Uint32(r.sent[1])
	}
	last := r.answered[len(r.answered)-1]
	var err error
	switch cmd {
	case CmdGet:
		c.version, c.cmds, err = c.get(ctx)
		if n := len(last); c.version != last[2] || !bytes.Equal(c.cmds, last[3:n-1]) {
			t.Errorf("get: %02x % x, recorded % x", c.version, c.cmds, last)
		}
	case CmdGetVersion:
		var version byte
		if version, _, err = c.GetVersion(ctx); version != last[len(last)-4] {
			t.Errorf("version %02x, recorded % x", version, last)
		}
	case CmdGetID:
		var got uint16
		if got, err = c.getID(ctx); got != id {
			t.Errorf("id %03x, recorded %03x", got, id)
		}
	case CmdRead:
		var data []byte
		if len(r.sent) == 3 {
			data = make([]byte, int(r.sent[2][0])+1)
		} else {
			data = make([]byte, 256)
		}
		err = c.readBlock(ctx, addr, data)
		if err == nil && !bytes.Equal(data, last[1:]) {
			t.Errorf("read % x\nrecorded % x", data, last[1:])
		}
	case CmdWrite:
		data := r.sent[2]
		err = c.writeBlock(ctx, addr, data[1:len(data)-1])
	case CmdErase, CmdExtendedErase:
		err = eraseRecorded(t, c, r)
	case CmdGo:
		err = c.start(ctx, addr)
	case CmdWriteUnprotect, CmdReadoutProtect, CmdReadoutUnprotect:
		err = c.protect(ctx, cmd, resetLimit)
	case CmdChecksum:
		var sum uint32
		if sum, err = c.checksum(ctx, addr, binary.BigEndian.Uint32(r.sent[2])); sum != 0xF3E27329 {
			t.Errorf("checksum %08x", sum)
		}
	default:
		t.Fatalf("command %02x is not known to this test", cmd)
	}
	checkOutcome(t, c, r, err)
}

// eraseRecorded erases what a recorded command erased.
func eraseRecorded(t *testing.T, c *Client, r recorded) error {
	if len(r.sent) == 1 {
		return c.eraseList(t.Context(), []int{0})
	}
	list := r.sent[1]
	if len(list) <= 3 && list[0] == 0xFF {
		return c.eraseMass(t.Context())
	}
	var pages []int
	if r.sent[0][0] == CmdErase {
		for _, n := range list[1 : len(list)-1] {
			pages = append(pages, int(n))
		}
	} else {
		for i := 2; i < len(list)-1; i += 2 {
			pages = append(pages, int(list[i])<<8|int(list[i+1]))
		}
	}
	return c.eraseList(t.Context(), pages)
}

// checkOutcome compares how a command ended with what was recorded.
func checkOutcome(t *testing.T, c *Client, r recorded, err error) {
	t.Helper()
	last := r.answered[len(r.answered)-1]
	nack, refused := errors.AsType[*NackError](err)
	switch {
	case len(last) == 0:
		if !errors.Is(err, ErrTimeout) || c.state == stateIdle {
			t.Errorf("the target was silent: %v, state %d", err, c.state)
		}
	case last[0] == NACK:
		stage := []Stage{StageCommand, StageAddress, StageData}[len(r.sent)-1]
		if !refused || nack.Stage != stage || nack.Command != r.sent[0][0] || c.state != stateDirty {
			t.Errorf("the target refused stage %d: %v, state %d", len(r.sent), err, c.state)
		}
	case err != nil:
		t.Errorf("command %02x: %v", r.sent[0][0], err)
	}
}

// TestVectorsWhole runs what users call against the recorded sessions, behind
// their identification: the same commands in the same order.
func TestVectorsWhole(t *testing.T) {
	img := image(1024)
	gap := image(1024)
	for i := range gap[256:768] {
		gap[256+i] = 0xFF
	}
	read := func(n int) func(t *testing.T, c *Client) error {
		return func(t *testing.T, c *Client) error {
			p := make([]byte, n)
			err := c.Read(t.Context(), 0x08000000, p)
			if !bytes.Equal(p, image(n)) {
				t.Error("wrong bytes")
			}
			return err
		}
	}
	whole := map[string]func(t *testing.T, c *Client) error{
		"read_1k_l476":         read(1024),
		"read_300_f103":        read(300),
		"erase_mass_f103":      func(t *testing.T, c *Client) error { return c.EraseAll(t.Context()) },
		"erase_mass_f411":      func(t *testing.T, c *Client) error { return c.EraseAll(t.Context()) },
		"erase_all_l053_split": func(t *testing.T, c *Client) error { return c.EraseAll(t.Context()) },
		"erase_pages_f103":     func(t *testing.T, c *Client) error { return c.Erase(t.Context(), 4, 5, 6) },
		"erase_pages_f411":     func(t *testing.T, c *Client) error { return c.Erase(t.Context(), 0, 1, 2) },
		"go_f103":              func(t *testing.T, c *Client) error { return c.Go(t.Context(), 0x08000000) },
		"write_ram_f103":       func(t *testing.T, c *Client) error { return c.Write(t.Context(), 0x20000400, img[:256]) },
		"write_1k_f103": func(t *testing.T, c *Client) error {
			return errors.Join(c.Erase(t.Context(), 0), c.Write(t.Context(), 0x08000000, img))
		},
		"write_1k_blank_middle_f103": func(t *testing.T, c *Client) error {
			return errors.Join(c.Erase(t.Context(), 0), c.Write(t.Context(), 0x08000000, gap))
		},
		"crc_getchecksum_v33": func(t *testing.T, c *Client) error {
			sum, err := c.Checksum(t.Context(), 0x08000000, 1024)
			if sum != CRC(img) {
				t.Errorf("checksum %08x, computed %08x", sum, CRC(img))
			}
			return err
		},
	}
	for name, run := range whole {
		t.Run(name, func(t *testing.T) {
			v := loadVector(t, vectors.Files(t, "stm32/"+name+".jsonl")[0])
			synctest.Test(t, func(t *testing.T) {
				p := &player{t: t, bursts: v.bursts}
				cfg, _ := Config{Port: p, Bauds: []int{115200}}.resolve()
				id, _ := strconv.ParseUint(v.Meta.ProductID, 0, 16)
				chip, _ := Lookup(uint16(id))
				c := &Client{cfg: cfg, link: link{port: p}, chip: chip}
				if err := c.sync(t.Context()); err != nil {
					t.Fatal(err)
				}
				for range 3 {
					runCommand(t, c, p, uint16(id))
				}
				if err := run(t, c); err != nil {
					t.Error(err)
				}
				if p.next != len(p.bursts) {
					t.Errorf("rows from %d on were not reached", p.next+2)
				}
			})
		})
	}
}
