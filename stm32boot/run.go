package stm32boot

import (
	"context"
	"encoding/binary"
	"fmt"
)

// Go starts the program whose vector table is at addr: stack pointer and entry
// point. Clocks, peripherals and the vector table register stay as the ROM left
// them; a reset with Close is the cleaner start. The session is over then, until
// [Client.Reconnect].
func (c *Client) Go(ctx context.Context, addr uint32) error {
	return c.explain(ctx, c.start(ctx, addr))
}

func (c *Client) start(ctx context.Context, addr uint32) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	at, err := c.command(ctx, CmdGo, addr)
	if err != nil {
		return err
	}
	if err := c.address(ctx, &at, addr); err != nil {
		return err
	}
	c.state = stateGone
	return nil
}

// SoftReset starts the application of a chip whose reset line is not wired: Boot0
// is set low, if that is wired, and a small program in RAM resets the chip. The
// session is over then, as after Go. Chips without free RAM, and those of which
// the table does not know it, give ErrUnsupported.
func (c *Client) SoftReset(ctx context.Context) error {
	program := stub(c.chip)
	addr := c.chip.RAMStart + c.chip.RAMReserved
	if c.chip.Flags.Has(NoFreeRAM) || !c.chip.InRAM(addr, len(program)) {
		return fmt.Errorf("%w: soft reset: no RAM known to be free", ErrUnsupported)
	}
	if err := c.Write(ctx, addr, program); err != nil {
		return err
	}
	if err := c.boot0(false); err != nil {
		return err
	}
	return c.Go(ctx, addr)
}

// Registers that the stub writes to, and what.
const (
	regAIRCR    = 0xE000ED0C // application interrupt and reset control
	sysResetReq = 0x05FA0004 // its key and SYSRESETREQ
	regFlashCR  = 0x40022010 // F0: flash control; L4: flash status
	oblLaunch   = 1 << 13    // F0: load the option bytes, which resets
	pEmpty      = 1 << 17    // L4: "flash is empty"; writing 1 inverts it
)

// stub returns a program that restarts the chip, with its vector table in front,
// for the first free address of RAM.
func stub(chip Chip) []byte {
	var code []uint16
	var data []uint32
	switch {
	case chip.Flags.Has(OBLLaunch):
		code, data = codeStore, []uint32{regFlashCR, oblLaunch}
	case chip.Flags.Has(ClearPEmpty):
		code, data = codeEmpty, []uint32{chip.FlashStart, regFlashCR, pEmpty, regAIRCR, sysResetReq}
	default:
		code, data = codeStore, []uint32{regAIRCR, sysResetReq}
	}
	addr := chip.RAMStart + chip.RAMReserved
	p := binary.LittleEndian.AppendUint32(nil, chip.RAMEnd)
	p = binary.LittleEndian.AppendUint32(p, addr+8|1)
	for _, op := range code {
		p = binary.LittleEndian.AppendUint16(p, op)
	}
	for _, v := range data {
		p = binary.LittleEndian.AppendUint32(p, v)
	}
	return p
}

// codeStore is Thumb code that stores the second of the two words behind it at
// the address in the first, and stays.
var codeStore = []uint16{
	0x4902,         // ldr  r1, =first
	0x4A03,         // ldr  r2, =second
	0xF3BF, 0x8F4F, // dsb
	0x600A, // str  r2, [r1]
	0xE7FE, // b    .
}

// codeEmpty is Thumb code that makes the flag "flash is empty" agree with the
// first word of flash, and resets. Behind it are five words: flash start,
// status register, flag, reset register, its value.
var codeEmpty = []uint16{
	0x4808,         // ldr  r0, =flash start
	0x6800,         // ldr  r0, [r0]
	0x4908,         // ldr  r1, =status register
	0x4A09,         // ldr  r2, =flag
	0x680B,         // ldr  r3, [r1]
	0x4013,         // ands r3, r2
	0x1C40,         // adds r0, r0, #1
	0xD100,         // bne  programmed
	0x4053,         // eors r3, r2
	0x2B00,         // programmed: cmp r3, #0
	0xD000,         // beq  agrees
	0x600A,         // str  r2, [r1]
	0xF3BF, 0x8F4F, // agrees: dsb
	0x4904, // ldr  r1, =reset register
	0x4A05, // ldr  r2, =its value
	0x600A, // str  r2, [r1]
	0xE7FE, // b    .
}
