package stm32sim

import (
	"slices"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// FaultKind is what goes wrong.
type FaultKind uint8

// The kinds of faults. Those with a stage in their name strike at that stage,
// the others at Fault.Stage.
const (
	NackCommand FaultKind = iota + 1 // refuses the command
	NackAddr                         // refuses its address
	NackData                         // refuses its data, list of pages or length
	DropAck                          // does what it is told and does not answer
	Silent                           // neither does it nor answers, and waits for a command
	Garbage                          // does it and answers with random bytes
	Late                             // does it and answers Delay later
	Busy                             // does it and sends BUSY Count times, Delay apart, before the answer
	Corrupt                          // Write: byte Offset is stored, Read: sent with the bits of Mask inverted
	Hang                             // is silent until the next reset
	Reboot                           // resets itself
)

var faultNames = [...]string{
	NackCommand: "nack command", NackAddr: "nack address", NackData: "nack data", DropAck: "drop ack", Silent: "silent",
	Garbage: "garbage", Late: "late", Busy: "busy", Corrupt: "corrupt", Hang: "hang", Reboot: "reboot",
}

// String returns "nack command", "drop ack" and so on.
func (k FaultKind) String() string {
	if int(k) < len(faultNames) && faultNames[k] != "" {
		return faultNames[k]
	}
	return "none"
}

// Stage is a part of a command that the target answers.
type Stage uint8

// The stages of a command.
const (
	StageLast    Stage = iota // the one that completes the command
	StageCommand              // the two bytes of the command
	StageAddress              // the address
	StageData                 // data, list of pages, length
)

// Fault is something that goes wrong with some commands. The zero values of all
// fields but Kind mean: the answer to the data of the first Write, once.
type Fault struct {
	Kind FaultKind
	// Commands are the commands that count; stm32boot.Init stands for the
	// first byte. nil = Write alone.
	Commands []byte
	// At is the number of the first command that is hit, counting from 1 the
	// accepted ones among Commands since the target was made or the fault was
	// injected. 0 = 1. For Write it is the number of the block if none is
	// repeated.
	At int
	// Times is how many commands in a row are hit. 0 = 1; below 0 all from At
	// on.
	Times int
	// Stage is where kinds without a stage in their name strike.
	Stage Stage

	Delay  time.Duration // of Late and Busy. 0 = 100 ms
	Count  int           // of Busy. 0 = 1
	Offset int           // of Corrupt; taken modulo the length of the block
	Mask   byte          // of Corrupt. 0 = 0x01
	// Part is how many bytes of a Write are programmed before NackData, Silent,
	// Hang or Reboot strike at its data.
	Part int
}

// resolved returns the fault with its defaults filled in.
func (f Fault) resolved() Fault {
	if f.Commands == nil {
		f.Commands = []byte{stm32boot.CmdWrite}
	}
	f.Commands = slices.Clone(f.Commands)
	f.At, f.Count = max(f.At, 1), max(f.Count, 1)
	if f.Times == 0 {
		f.Times = 1
	}
	if f.Delay == 0 {
		f.Delay = 100 * time.Millisecond
	}
	if f.Mask == 0 {
		f.Mask = 0x01
	}
	return f
}

// strikes reports whether the fault strikes at a stage of the command that it
// hits.
func (f *Fault) strikes(s Stage, last bool) bool {
	switch f.Kind {
	case NackCommand:
		return s == StageCommand
	case NackAddr:
		return s == StageAddress
	case NackData:
		return s == StageData
	}
	return f.Kind != 0 && (f.Stage == s || f.Stage == StageLast && last)
}

// injected is a fault and how many commands it has seen.
type injected struct {
	Fault
	seen int
}

// hits counts a command and reports whether it is to be hit.
func (f *injected) hits(cmd byte) bool {
	if !slices.Contains(f.Commands, cmd) {
		return false
	}
	f.seen++
	return f.seen >= f.At && (f.Times < 0 || f.seen < f.At+f.Times)
}

// Inject adds faults to those of the options. They count commands from now on.
func (t *Target) Inject(faults ...Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range faults {
		t.faults = append(t.faults, &injected{Fault: f.resolved()})
	}
}

// ClearFaults removes all faults; a power cut that is due stays.
func (t *Target) ClearFaults() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = nil
}

// hit counts a command and returns the fault that hits it: the first of those
// that do, or one of kind 0.
func (t *Target) hit(cmd byte) Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	var hit Fault
	for _, f := range t.faults {
		if f.hits(cmd) && hit.Kind == 0 {
			hit = f.Fault
		}
	}
	return hit
}
