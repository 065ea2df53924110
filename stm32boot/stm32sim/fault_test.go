package stm32sim_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// stages are the bytes and the answers of one command of each kind.
var stages = []struct {
	cmd  byte
	send [][]byte
	last []byte // the answer to the last stage
}{
	{stm32boot.CmdGet, nil, getF103},
	{stm32boot.CmdGetVersion, nil, []byte{ack, 0x22, 0, 0, ack}},
	{stm32boot.CmdGetID, nil, []byte{ack, 1, 4, 0x10, ack}},
	{stm32boot.CmdRead, [][]byte{address(start), {1, 0xFE}}, []byte{ack, 0x5A, 0x61}},
	{stm32boot.CmdWrite, [][]byte{address(0x20000200), counted(image(4))}, []byte{ack}},
	{stm32boot.CmdErase, [][]byte{counted([]byte{127})}, []byte{ack}},
}

// run sends a command stage by stage. The stage with number at is answered as
// given and ends the command, unless it is what was to be answered anyway.
func (h *host) run(cmd byte, at int, answer []byte) {
	h.t.Helper()
	for _, s := range stages {
		if s.cmd != cmd {
			continue
		}
		for i, p := range append([][]byte{command(cmd)}, s.send...) {
			want := []byte{ack}
			if i == len(s.send) {
				want = s.last
			}
			if i == at {
				want = answer
			}
			h.expect(p, want...)
			if i == at {
				return
			}
		}
	}
}

// TestFaults has every fault without data at every stage of every command, for
// three commands in a row: the second to the fourth.
func TestFaults(t *testing.T) {
	for _, s := range stages {
		for at := range len(s.send) + 1 {
			for _, kind := range []stm32sim.FaultKind{
				stm32sim.NackCommand, stm32sim.NackAddr, stm32sim.NackData, stm32sim.DropAck, stm32sim.Silent,
			} {
				stage := stm32sim.StageLast
				answer := []byte{nack}
				switch {
				case kind == stm32sim.DropAck || kind == stm32sim.Silent:
					stage, answer = []stm32sim.Stage{stm32sim.StageCommand, stm32sim.StageAddress, stm32sim.StageData}[at], nil
					if s.cmd == stm32boot.CmdErase && at == 1 {
						stage = stm32sim.StageLast
					}
				case kind == stm32sim.NackCommand && at != 0,
					kind == stm32sim.NackAddr && (at != 1 || len(s.send) != 2),
					kind == stm32sim.NackData && (at == 0 || at != len(s.send)):
					continue // there is no such stage
				}
				if kind == stm32sim.DropAck && at < len(s.send) {
					continue // the command goes on: TestDropAck
				}
				t.Run(fmt.Sprintf("%s, stage %d, %s", stm32boot.CommandName(s.cmd), at, kind), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						fault := stm32sim.Fault{Kind: kind, Commands: []byte{s.cmd}, Stage: stage, At: 2, Times: 3}
						target, h := connect(t, stm32sim.Options{Image: image(256), Faults: []stm32sim.Fault{fault}})
						h.run(s.cmd, -1, nil)
						for range 3 {
							h.run(s.cmd, at, answer)
							if s.cmd != stm32boot.CmdGet {
								h.run(stm32boot.CmdGet, -1, nil)
							}
						}
						h.run(s.cmd, -1, nil)
						if s := target.Stats(); s.Faults != 3 {
							t.Errorf("%d faults", s.Faults)
						}
					})
				})
			}
		}
	}
}

// TestDropAck: the command goes on although a stage was not answered.
func TestDropAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drop := stm32sim.Fault{Kind: stm32sim.DropAck, Commands: []byte{cmdRead}}
		early, middle := drop, drop
		early.Stage, middle.Stage, middle.At = stm32sim.StageCommand, stm32sim.StageAddress, 2
		_, h := connect(t, stm32sim.Options{Image: image(256), Faults: []stm32sim.Fault{early, middle}})
		for i := range 2 {
			for j, p := range [][]byte{command(cmdRead), address(start)} {
				if i == j {
					h.expect(p)
				} else {
					h.expect(p, ack)
				}
			}
			h.expect([]byte{0, 0xFF}, ack, 0x5A)
		}
	})
}

// TestFaultsOfWrite has the faults that leave something behind in flash.
func TestFaultsOfWrite(t *testing.T) {
	data := image(32)
	corrupt := func(i int, mask byte) []byte { p := slices.Clone(data); p[i] ^= mask; return p }
	part := append(slices.Clone(data[:10]), bytes.Repeat([]byte{0xFF}, 22)...)
	blank := bytes.Repeat([]byte{0xFF}, 32)
	for _, c := range []struct {
		fault  stm32sim.Fault
		answer []byte
		flash  []byte
	}{
		{stm32sim.Fault{Kind: stm32sim.NackData}, []byte{nack}, blank},
		{stm32sim.Fault{Kind: stm32sim.NackData, Part: 10}, []byte{nack}, part},
		{stm32sim.Fault{Kind: stm32sim.Silent}, nil, blank},
		{stm32sim.Fault{Kind: stm32sim.Silent, Part: 10}, nil, part},
		{stm32sim.Fault{Kind: stm32sim.Silent, Part: 1000}, nil, data},
		{stm32sim.Fault{Kind: stm32sim.Hang, Part: 10}, nil, part},
		{stm32sim.Fault{Kind: stm32sim.Reboot, Part: 10}, nil, part},
		{stm32sim.Fault{Kind: stm32sim.DropAck}, nil, data},
		{stm32sim.Fault{Kind: stm32sim.Busy, Count: 2}, []byte{stm32boot.BUSY, stm32boot.BUSY, ack}, data},
		{stm32sim.Fault{Kind: stm32sim.Corrupt}, []byte{ack}, corrupt(0, 1)},
		{stm32sim.Fault{Kind: stm32sim.Corrupt, Offset: 33, Mask: 0x80}, []byte{ack}, corrupt(1, 0x80)},
		{stm32sim.Fault{Kind: stm32sim.Corrupt, Offset: -1}, []byte{ack}, corrupt(31, 1)},
		{stm32sim.Fault{Kind: stm32sim.Corrupt, Commands: []byte{cmdRead}}, []byte{ack}, data},
	} {
		t.Run(fmt.Sprintf("%s part %d offset %d", c.fault.Kind, c.fault.Part, c.fault.Offset), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target, h := connect(t, stm32sim.Options{Faults: []stm32sim.Fault{c.fault}})
				h.expect(command(cmdWrite), ack)
				h.expect(address(start), ack)
				h.expect(counted(data), c.answer...)
				if got := target.Flash()[:32]; !bytes.Equal(got, c.flash) {
					t.Errorf("flash holds %X, want %X", got, c.flash)
				}
				switch c.fault.Kind {
				case stm32sim.Hang:
					h.expect(command(stm32boot.CmdGet))
					h.expect([]byte{stm32boot.Init})
					pulse(target)
					h.expect([]byte{stm32boot.Init}, ack)
				case stm32sim.Reboot:
					h.expect([]byte{stm32boot.Init}, ack)
				}
				h.expect(command(stm32boot.CmdGet), getF103...)
				if c.fault.Commands != nil {
					if got := h.readMemory(start, 32); !bytes.Equal(got, corrupt(0, 1)) {
						t.Errorf("read %X", got)
					}
				}
				if got := h.readMemory(start, 32); !bytes.Equal(got, c.flash) {
					t.Errorf("read %X", got)
				}
				if s := target.Stats(); s.Faults != 1 || s.Busy != uint64(c.fault.Count) {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestLateAndGarbage: the answer comes later, or is none.
func TestLateAndGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, h := connect(t, stm32sim.Options{Faults: []stm32sim.Fault{
			{Kind: stm32sim.Late, Commands: []byte{stm32boot.CmdGet}, Delay: 1500 * time.Millisecond},
		}})
		begin := time.Now()
		h.expect(command(stm32boot.CmdGet), getF103...)
		if took := time.Since(begin); took != 1500*time.Millisecond {
			t.Errorf("the answer took %v", took)
		}
		target.Inject(stm32sim.Fault{Kind: stm32sim.Garbage, Commands: []byte{stm32boot.CmdGet}, Times: -1})
		for range 1000 {
			h.write(command(stm32boot.CmdGet)...)
			if got := h.read(len(getF103)); len(got) != len(getF103) || slices.Contains([]byte{ack, nack, stm32boot.BUSY}, got[0]) {
				t.Fatalf("answered % X", got)
			}
		}
		target.ClearFaults()
		h.expect(command(stm32boot.CmdGet), getF103...)
	})
}

// TestFaultsOfInit: the first byte has faults as well.
func TestFaultsOfInit(t *testing.T) {
	for kind, answers := range map[stm32sim.FaultKind][]byte{
		stm32sim.Silent:      {0, ack},
		stm32sim.NackCommand: {nack, ack},
		stm32sim.DropAck:     {0, 0, nack},
	} {
		synctest.Test(t, func(t *testing.T) {
			fault := stm32sim.Fault{Kind: kind, Commands: []byte{stm32boot.Init}}
			_, _, h := plug(t, stm32sim.Options{Faults: []stm32sim.Fault{fault}}, stm32sim.LineOptions{})
			for _, a := range answers {
				if a == 0 {
					h.expect([]byte{stm32boot.Init})
				} else {
					h.expect([]byte{stm32boot.Init}, a)
				}
			}
		})
	}
}

func TestNames(t *testing.T) {
	for k := stm32sim.NackCommand; k <= stm32sim.Reboot; k++ {
		if k.String() == "none" {
			t.Errorf("fault %d has no name", k)
		}
	}
	for k := stm32sim.EventROM; k <= stm32sim.EventFault; k++ {
		if k.String() == "unknown" {
			t.Errorf("event %d has no name", k)
		}
	}
	if stm32sim.FaultKind(0).String() != "none" || stm32sim.EventKind(99).String() != "unknown" {
		t.Error("numbers without a meaning have names")
	}
}
