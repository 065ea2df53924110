package stm32boot

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// TestFrames pins what each command puts on the line, byte for byte. The target
// accepts everything.
func TestFrames(t *testing.T) {
	rows := []struct {
		name   string
		id     uint16
		run    func(ctx context.Context, c *Client) error
		frames string // in hexadecimal, | where an ACK is awaited
		answer string // to the last frame, if not an ACK
	}{
		{"get version", 0x410, func(ctx context.Context, c *Client) error { _, _, err := c.GetVersion(ctx); return err },
			"01fe", "7922000079"},
		{"get id", 0x410, func(ctx context.Context, c *Client) error { _, err := c.GetID(ctx); return err },
			"02fd", "7901041079"},
		{"get", 0x410, func(ctx context.Context, c *Client) error { _, _, err := c.Get(ctx); return err },
			"00ff", "7901220079"},
		{"read 1", 0x410, func(ctx context.Context, c *Client) error { return c.Read(ctx, 0x08000001, make([]byte, 1)) },
			"11ee|0800000109|00ff", "79aa"},
		{"read 256", 0x410, func(ctx context.Context, c *Client) error { return c.Read(ctx, 0x08000000, make([]byte, 256)) },
			"11ee|0800000008|ff00", "79" + strings.Repeat("11", 256)},
		{"read 128 of L0", 0x417, func(ctx context.Context, c *Client) error { return c.Read(ctx, 0x08000000, make([]byte, 128)) },
			"11ee|0800000008|7f80", "79" + strings.Repeat("11", 128)},
		{"write 4", 0x410, func(ctx context.Context, c *Client) error { return c.Write(ctx, 0x08000100, []byte{1, 2, 3, 4}) },
			"31ce|0800010009|030102030407", ""},
		{"write 1, padded to 4", 0x410, func(ctx context.Context, c *Client) error { return c.Write(ctx, 0x08000100, []byte{1}) },
			"31ce|0800010009|0301fffffffd", ""},
		{"write 1, padded to 4 of L0", 0x417, func(ctx context.Context, c *Client) error { return c.Write(ctx, 0x08000100, []byte{1}) },
			"31ce|0800010009|030100000002", ""},
		{"write 9, padded to 16 of L4", 0x415, func(ctx context.Context, c *Client) error {
			return c.Write(ctx, 0x08000100, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
		}, "31ce|0800010009|0f010203040506070809ffffffffffffff" + "f1", ""},
		{"erase 1", 0x410, func(ctx context.Context, c *Client) error { return c.Erase(ctx, 7) }, "43bc|000707", ""},
		{"erase 2", 0x410, func(ctx context.Context, c *Client) error { return c.eraseList(ctx, []int{7, 4}) }, "43bc|01070402", ""},
		{"extended erase 1", 0x431, func(ctx context.Context, c *Client) error { return c.Erase(ctx, 7) }, "44bb|0000000707", ""},
		{"extended erase 300", 0x415, func(ctx context.Context, c *Client) error { return c.eraseList(ctx, []int{300, 301}) },
			"44bb|0001012c012d00", ""},
		{"erase all", 0x410, func(ctx context.Context, c *Client) error { return c.EraseAll(ctx) }, "43bc|ff00", ""},
		{"extended erase all", 0x431, func(ctx context.Context, c *Client) error { return c.EraseAll(ctx) }, "44bb|ffff00", ""},
		{"erase bank 1", 0x415, func(ctx context.Context, c *Client) error { return c.EraseBank(ctx, 1) }, "44bb|fffe01", ""},
		{"erase bank 2", 0x415, func(ctx context.Context, c *Client) error { return c.EraseBank(ctx, 2) }, "44bb|fffd02", ""},
		{"go", 0x410, func(ctx context.Context, c *Client) error { return c.Go(ctx, 0x20001000) }, "21de|2000100030", ""},
		{"write protect", 0x410, func(ctx context.Context, c *Client) error { return c.writeProtect(ctx, []byte{0, 5}) },
			"639c|01000504", ""},
		{"write protect 1", 0x410, func(ctx context.Context, c *Client) error { return c.writeProtect(ctx, []byte{9}) },
			"639c|000909", ""},
		{"write unprotect", 0x410, func(ctx context.Context, c *Client) error { return c.protect(ctx, CmdWriteUnprotect, resetLimit) },
			"738c", "7979"},
		{"readout protect", 0x410, func(ctx context.Context, c *Client) error { return c.protect(ctx, CmdReadoutProtect, resetLimit) },
			"827d", "7979"},
		{"readout unprotect", 0x410, func(ctx context.Context, c *Client) error { return c.protect(ctx, CmdReadoutUnprotect, massLimit) },
			"926d", "7979"},
		{"checksum", 0x410, func(ctx context.Context, c *Client) error { _, err := c.Checksum(ctx, 0x08000000, 1024); return err },
			"a15e|0800000008|0000040004", "7979f3e273294b"},
		{"special", 0x483, func(ctx context.Context, c *Client) error {
			reply, status, err := c.Special(ctx, 0x0102, []byte{7})
			if string(reply) != "ab" || string(status) != "c" {
				t.Errorf("special: reply %q, status %q", reply, status)
			}
			return err
		}, "50af|010203|00010706", "79000261620001" + "63" + "79"},
		{"special without data", 0x483, func(ctx context.Context, c *Client) error {
			_, _, err := c.Special(ctx, 0x0102, nil)
			return err
		}, "50af|010203|000000", "790000000079"},
		{"extended special", 0x483, func(ctx context.Context, c *Client) error {
			status, err := c.ExtendedSpecial(ctx, 0x8001, []byte{7}, []byte{8, 9})
			if string(status) != "ok" {
				t.Errorf("extended special: status %q", status)
			}
			return err
		}, "51ae|800181|00010706|0002080903", "7900026f6b79"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := script(t, row.frames, row.answer)
				c := idleClient(p, row.id)
				if err := row.run(t.Context(), c); err != nil {
					t.Error(err)
				}
				if p.next != len(p.bursts) || len(p.out) > 0 {
					t.Errorf("stopped at burst %d of %d", p.next, len(p.bursts))
				}
			})
		})
	}
}

func unhex(t *testing.T, s string) []byte {
	p, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// idleClient is a client of a synchronised target whose loader has every command.
func idleClient(port Port, id uint16) *Client {
	chip, _ := Lookup(id)
	cfg, _ := Config{Port: port}.resolve()
	return &Client{cfg: cfg, link: link{port: port}, chip: chip, id: id,
		cmds: []byte{chip.EraseCmd, CmdChecksum, CmdSpecial, CmdExtendedSpecial}}
}

// TestRefusals: what cannot be right is refused before anything is sent.
func TestRefusals(t *testing.T) {
	rows := []struct {
		name string
		id   uint16
		run  func(ctx context.Context, c *Client) error
		want error
	}{
		{"read beyond the address space", 0x410, func(ctx context.Context, c *Client) error {
			return c.Read(ctx, 0xFFFFFFFF, make([]byte, 2))
		}, ErrAddress},
		{"write beyond the address space", 0x410, func(ctx context.Context, c *Client) error {
			return c.Write(ctx, 0xFFFFFFFC, make([]byte, 8))
		}, ErrAddress},
		{"write at an odd address", 0x410, write(0x08000001, 4), ErrAddress},
		{"write at half a flash word", 0x415, write(0x08000004, 4), ErrAddress},
		{"write at half a flash word of H7", 0x450, write(0x08000010, 32), ErrAddress},
		{"write beyond flash", 0x410, write(0x0801FFFC, 8), ErrAddress},
		{"write of 3 bytes to RAM", 0x410, write(0x20001000, 3), ErrAddress},
		{"write at an odd address of RAM", 0x410, write(0x20001002, 4), ErrAddress},
		{"write to the loader's RAM", 0x410, write(0x200001FC, 4), ErrAddress},
		{"erase of a page that is not there", 0x410, func(ctx context.Context, c *Client) error { return c.Erase(ctx, 0, 128) }, ErrAddress},
		{"erase of page -1", 0x410, func(ctx context.Context, c *Client) error { return c.Erase(ctx, -1) }, ErrAddress},
		{"erase without a command", 0x410, func(ctx context.Context, c *Client) error { c.cmds = nil; return c.Erase(ctx, 1) }, ErrUnsupported},
		{"erase of all without a command", 0x410, func(ctx context.Context, c *Client) error { c.cmds = nil; return c.EraseAll(ctx) }, ErrUnsupported},
		{"bank of a chip with one", 0x431, func(ctx context.Context, c *Client) error { return c.EraseBank(ctx, 1) }, ErrUnsupported},
		{"bank 3", 0x415, func(ctx context.Context, c *Client) error { return c.EraseBank(ctx, 3) }, ErrUnsupported},
		{"no sectors", 0x410, func(ctx context.Context, c *Client) error { return c.WriteProtect(ctx) }, ErrAddress},
		{"checksum of 3 bytes", 0x410, func(ctx context.Context, c *Client) error { _, err := c.Checksum(ctx, 0x08000000, 3); return err }, ErrAddress},
		{"checksum from half a word on", 0x410, func(ctx context.Context, c *Client) error { _, err := c.Checksum(ctx, 0x08000002, 4); return err }, ErrAddress},
		{"checksum of nothing", 0x410, func(ctx context.Context, c *Client) error { _, err := c.Checksum(ctx, 0x08000000, 0); return err }, ErrAddress},
		{"special of 129 bytes", 0x410, func(ctx context.Context, c *Client) error {
			_, _, err := c.Special(ctx, 1, make([]byte, 129))
			return err
		}, ErrAddress},
		{"extended special of 1025 bytes", 0x410, func(ctx context.Context, c *Client) error {
			_, err := c.ExtendedSpecial(ctx, 1, nil, make([]byte, 1025))
			return err
		}, ErrAddress},
		{"special that is not listed", 0x410, func(ctx context.Context, c *Client) error {
			c.cmds = nil
			_, _, err := c.Special(ctx, 1, nil)
			return err
		}, ErrUnsupported},
		{"soft reset without RAM", 0x445, func(ctx context.Context, c *Client) error { return c.SoftReset(ctx) }, ErrUnsupported},
		{"soft reset without known RAM", 0x42A, func(ctx context.Context, c *Client) error { return c.SoftReset(ctx) }, ErrUnsupported},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := idleClient(&player{t: t}, row.id)
			if err := row.run(t.Context(), c); !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
			if c.Stats().Sent != 0 {
				t.Error("something was sent")
			}
		})
	}
}

func write(addr uint32, n int) func(ctx context.Context, c *Client) error {
	return func(ctx context.Context, c *Client) error { return c.Write(ctx, addr, make([]byte, n)) }
}

// TestNothingToDo: empty reads, writes and erases say nothing.
func TestNothingToDo(t *testing.T) {
	c := idleClient(&player{t: t}, 0x410)
	err := errors.Join(c.Read(t.Context(), 0, nil), c.Write(t.Context(), 1, nil), c.Erase(t.Context()))
	if err != nil || c.Stats().Sent != 0 {
		t.Errorf("sent %d: %v", c.Stats().Sent, err)
	}
}

// TestBadAnswers: answers that no target may give end in a *ReplyError with the
// stage at fault.
func TestBadAnswers(t *testing.T) {
	rows := []struct {
		name   string
		run    func(ctx context.Context, c *Client) error
		frames string
		answer string
		stage  Stage
	}{
		{"garbage for an ACK", func(ctx context.Context, c *Client) error { return c.Erase(ctx, 1) }, "43bc", "fe", StageCommand},
		{"one byte too many", func(ctx context.Context, c *Client) error { return c.Read(ctx, 0x08000000, make([]byte, 4)) },
			"11ee|0800000008|03fc", "790102030405", StageData},
		{"refusal behind an erase", func(ctx context.Context, c *Client) error { return c.Erase(ctx, 1) },
			"43bc|000101", "791f", StagePages},
		{"id of 4 bytes", func(ctx context.Context, c *Client) error { _, err := c.GetID(ctx); return err },
			"02fd", "7903000000ff79", StageLength},
		{"id without an end", func(ctx context.Context, c *Client) error { _, err := c.GetID(ctx); return err },
			"02fd", "7901041000", StageEnd},
		{"wrong XOR of a checksum", func(ctx context.Context, c *Client) error { _, err := c.Checksum(ctx, 0x08000000, 1024); return err },
			"a15e|0800000008|0000040004", "7979f3e273294a", StageData},
		{"special with too much", func(ctx context.Context, c *Client) error { _, _, err := c.Special(ctx, 0x0102, nil); return err },
			"50af|010203|000000", "791001", StageData},
	}
	for _, row := range rows {
		synctest.Test(t, func(t *testing.T) {
			c := idleClient(script(t, row.frames, row.answer), 0x410)
			err := row.run(t.Context(), c)
			bad, is := errors.AsType[*ReplyError](err)
			if !is || bad.Stage != row.stage || !errors.Is(err, ErrReply) || row.stage != StageLength && c.state == stateIdle {
				t.Errorf("%s: %v, state %d", row.name, err, c.state)
			}
		})
	}
}

// script is a target that expects frames, separated by |, and answers each
// with an ACK but the last.
func script(t *testing.T, frames, answer string) *player {
	p := &player{t: t}
	list := strings.Split(frames, "|")
	for i, f := range list {
		reply := "79"
		if i == len(list)-1 && answer != "" {
			reply = answer
		}
		p.bursts = append(p.bursts, burst{Dir: "h2t", p: unhex(t, f)}, burst{Dir: "t2h", p: unhex(t, reply)})
	}
	return p
}

// TestDoubledACK: an ACK that came twice in one piece is no answer to what is
// sent next.
func TestDoubledACK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := script(t, "31ce|0800000008|030102030407|31ce", "1f")
		p.bursts[1].p, p.bursts[5].p = unhex(t, "7979"), unhex(t, "7979")
		c := idleClient(p, 0x410)
		if err := c.Write(t.Context(), 0x08000000, []byte{1, 2, 3, 4}); err != nil {
			t.Error(err)
		}
		err := c.writeBlock(t.Context(), 0x08000000, []byte{1, 2, 3, 4})
		if nack, is := errors.AsType[*NackError](err); !is || nack.Stage != StageCommand {
			t.Error(err)
		}
		if n := c.Stats().Stray; n != 2 {
			t.Errorf("%d stray bytes, want 2", n)
		}
	})
}

// TestSurplusACK: only the first answer after 0x7F may have one.
func TestSurplusACK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x464)
		c := dial(t, Config{Port: r})
		r.alter = func(p []byte) []byte {
			r.alter = nil
			return append(p, ACK)
		}
		if _, _, err := c.GetVersion(t.Context()); !errors.Is(err, ErrReply) {
			t.Errorf("got version behind two ACKs: %v", err)
		}
	})
}
