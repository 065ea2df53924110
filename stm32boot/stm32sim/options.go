package stm32sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// DefaultChip is the product id of the chip that Options do not name: an F103
// with 128 KiB.
const DefaultChip = 0x410

// Options describe a target. The zero value is an F103 with blank flash, without
// protection, that takes no time, waits in its ROM for 0x7F and makes no errors.
type Options struct {
	// ID is the product id of the chip in package stm32boot's table.
	// 0 = DefaultChip.
	ID uint16
	// Chip is the chip in the place of ID; it is copied. Chip.Alternate gives
	// the other organisation of banks.
	Chip *stm32boot.Chip
	// FlashSize makes it a smaller member of its id. 0 = the chip's FlashSize.
	FlashSize uint32
	// BootVersion is the version of the loader's protocol, 0x31 for 3.1.
	// 0 = 0x22 for chips with the old erase command, otherwise 0x31. From 0x33
	// on there is Get Checksum.
	BootVersion byte
	// BootID is the loader's own id byte.
	BootID byte

	// Times is how long flash takes. The zero value takes no time; RealTimes
	// has the figures of a chip.
	Times Times
	// Baud makes the target take 11 bit times for every byte that it receives
	// or sends in its ROM, for ports that have no speed of their own, such as a
	// pty or TCP. 0 = as fast as the port. Not for a Line, which paces itself.
	Baud int

	// ECC makes what is against the rules of the flash have its consequences:
	// on chips with ECC a word that is programmed for the second time since
	// its page was erased is acknowledged and reads as something else from
	// then on; on chips that program half-words (F0, F1, F3) a half-word that
	// is not blank only becomes zero and otherwise stays. Without it bits just
	// move away from the erased value. Stats.Violations counts in any case.
	ECC bool

	// Image is what flash begins with. It is copied.
	Image []byte
	// RDP is the level of readout protection: 0, 1 or 2.
	RDP int
	// WriteProtect lists the sectors that are write protected; see
	// [Target.WriteProtected] for their sizes.
	WriteProtect []int
	// Memory is further memory that can be read, such as the unique device id.
	// It is copied.
	Memory []Memory

	// Boot0Low has BOOT0 low at first, so that the application runs when Run
	// begins. Otherwise BOOT0 is high and the ROM runs.
	Boot0Low bool
	// Synced is a ROM that has already seen its 0x7F.
	Synced bool
	// Pending is what such a ROM has received since: the first byte of a
	// command, or a command and part of what follows, without the answers.
	Pending []byte

	// DropFirst loses the first bytes that arrive.
	DropFirst int
	// Faults are what goes wrong; see also [Target.Inject].
	Faults []Fault
	// PowerCut is when the power fails; see also [Target.CutPower].
	PowerCut PowerCut
	// Seed makes what is random reproducible: garbage, torn pages, RAM after a
	// loss of power.
	Seed uint64

	// Application is what runs while the ROM does not: after a reset with
	// BOOT0 low, and after Go. It is called on the goroutine of Run, must
	// return when ctx ends, which it does at the next reset or loss of power
	// and when Run ends, and must leave no goroutine behind that uses port. Reads
	// and writes end with ErrReset when ctx does. t.Flash is the firmware. If
	// Application is nil or returns early, what arrives is lost.
	Application func(ctx context.Context, t *Target, port Port)
	// Observer, if set, is told what happens, on the goroutine of Run, one
	// event at a time. It may call the target's methods.
	Observer func(Event)
}

// Port is what an application talks through.
type Port interface {
	io.ReadWriteCloser
	SetReadDeadline(t time.Time) error
}

// Errors of this package, for errors.Is.
var (
	// ErrRunning: the target has a port already.
	ErrRunning = errors.New("stm32sim: the target is running already")
	// ErrReset: an application's port has ended with its life.
	ErrReset = errors.New("stm32sim: the target was reset")
	// ErrAddress: there is no memory.
	ErrAddress = errors.New("stm32sim: no memory at this address")
)

// resolve checks the options, fills in defaults and returns the chip.
func (o *Options) resolve() (*stm32boot.Chip, error) {
	chip, err := o.chip()
	if err != nil {
		return nil, err
	}
	if o.FlashSize > 0 {
		if chip = chip.Trim(o.FlashSize); chip.FlashSize != o.FlashSize {
			return nil, fmt.Errorf("stm32sim: FlashSize %d is not a number of pages of %s", o.FlashSize, chip)
		}
	}
	switch align := uint32(max(chip.WriteAlign, 4)); {
	case chip.FlashSize == 0 || chip.FlashSize%align != 0:
		return nil, fmt.Errorf("stm32sim: %s has %d bytes of flash", chip, chip.FlashSize)
	case chip.Flags.Has(stm32boot.ECC) && chip.WriteAlign <= 0:
		return nil, fmt.Errorf("stm32sim: %s has ECC and no WriteAlign", chip)
	case len(o.Image) > int(chip.FlashSize):
		return nil, fmt.Errorf("stm32sim: Image has %d bytes, the flash %d", len(o.Image), chip.FlashSize)
	case o.RDP < 0 || o.RDP > 2:
		return nil, fmt.Errorf("stm32sim: RDP %d", o.RDP)
	}
	for _, s := range o.WriteProtect {
		if s < 0 || s >= maxSectors {
			return nil, fmt.Errorf("stm32sim: WriteProtect sector %d", s)
		}
	}
	for _, m := range o.Memory {
		if m.Addr == 0 || uint64(m.Addr)+uint64(len(m.Data)) > 1<<32-block {
			return nil, fmt.Errorf("stm32sim: Memory at 0x%08X", m.Addr)
		}
	}
	if o.BootVersion == 0 {
		o.BootVersion = 0x31
		if chip.EraseCmd == stm32boot.CmdErase {
			o.BootVersion = 0x22
		}
	}
	o.Memory = slices.Clone(o.Memory)
	return &chip, nil
}

// chip returns the chip of the options, before it is trimmed.
func (o *Options) chip() (stm32boot.Chip, error) {
	if o.Chip != nil {
		return o.Chip.Trim(0), nil
	}
	id := o.ID
	if id == 0 {
		id = DefaultChip
	}
	chip, ok := stm32boot.Lookup(id)
	if !ok {
		return chip, fmt.Errorf("stm32sim: no chip has the id 0x%03X", id)
	}
	return chip, nil
}
