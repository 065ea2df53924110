package stm32sim

import (
	"bytes"
	"encoding/binary"

	"github.com/ccmkit/ccmkit/stm32boot"
)

// commands are what Get lists besides the erase command and Get Checksum, in the
// order of the codes.
var (
	commandsBeforeErase = []byte{stm32boot.CmdGet, stm32boot.CmdGetVersion, stm32boot.CmdGetID, stm32boot.CmdRead, stm32boot.CmdGo, stm32boot.CmdWrite}
	commandsAfterErase  = []byte{stm32boot.CmdWriteProtect, stm32boot.CmdWriteUnprotect, stm32boot.CmdReadoutProtect, stm32boot.CmdReadoutUnprotect}
)

// versionChecksum is the version of the loader that brought Get Checksum.
const versionChecksum = 0x33

// commands returns what Get lists.
func (t *Target) commands() []byte {
	list := append(bytes.Clone(commandsBeforeErase), t.chip.EraseCmd)
	list = append(list, commandsAfterErase...)
	if t.o.BootVersion >= versionChecksum {
		list = append(list, stm32boot.CmdChecksum)
	}
	return list
}

// onCommand is the first stage of every command.
func (r *run) onCommand(p []byte) error {
	t, m := r.t, &r.t.rom
	m.cmd = p[0]
	if p[1] != ^m.cmd || bytes.IndexByte(t.commands(), m.cmd) < 0 || t.locked(m.cmd) {
		return r.refuse()
	}
	m.fault = t.hit(m.cmd)
	if m.cmd != stm32boot.CmdRead {
		m.written = stm32boot.Range{}
	}
	t.count(func(s *Stats) { s.Commands[m.cmd]++ })
	t.observe(Event{Kind: EventCommand, Command: m.cmd})
	s := step{stage: StageCommand}
	switch m.cmd {
	case stm32boot.CmdGet, stm32boot.CmdGetVersion, stm32boot.CmdGetID:
		s.last, s.answer = true, t.identity(m.cmd)
	case stm32boot.CmdRead, stm32boot.CmdGo, stm32boot.CmdWrite, stm32boot.CmdChecksum:
		s.need, s.next = 5, (*run).onAddress
	case stm32boot.CmdErase:
		s.need, s.next = 1, (*run).onEraseCount
	case stm32boot.CmdExtendedErase:
		s.need, s.next = 2, (*run).onExtendedEraseCount
	case stm32boot.CmdWriteProtect:
		s.need, s.next = 1, (*run).onSectorCount
	default:
		s.then = r.onProtection
	}
	return r.take(s)
}

// locked reports whether readout protection forbids a command.
func (t *Target) locked(cmd byte) bool {
	switch cmd {
	case stm32boot.CmdGet, stm32boot.CmdGetVersion, stm32boot.CmdGetID:
		return false
	case stm32boot.CmdReadoutUnprotect:
		return t.RDP() == 2
	}
	return t.RDP() != 0
}

// identity returns the answer to one of the three Get commands.
func (t *Target) identity(cmd byte) []byte {
	a := []byte{stm32boot.ACK}
	switch cmd {
	case stm32boot.CmdGet:
		list := t.commands()
		a = append(append(a, byte(len(list)), t.o.BootVersion), list...)
	case stm32boot.CmdGetVersion:
		a = append(a, t.o.BootVersion, 0, 0)
	case stm32boot.CmdGetID:
		a = append(a, 1, byte(t.chip.ID>>8), byte(t.chip.ID))
	}
	return append(a, stm32boot.ACK)
}

// onAddress is the second stage of the commands that have an address.
func (r *run) onAddress(p []byte) error {
	m := &r.t.rom
	if xor(p) != 0 {
		return r.refuse()
	}
	m.addr = binary.BigEndian.Uint32(p)
	if !r.t.mayAddress(m.cmd, m.addr) {
		return r.refuse()
	}
	s := step{stage: StageAddress}
	switch m.cmd {
	case stm32boot.CmdRead:
		s.need, s.next = 2, (*run).onReadLength
	case stm32boot.CmdWrite:
		s.need, s.next = 1, (*run).onWriteLength
	case stm32boot.CmdChecksum:
		s.need, s.next = 5, (*run).onChecksumLength
	default:
		s.last, s.then = true, r.onGo
	}
	return r.take(s)
}

// mayAddress reports whether an address is fit for a command.
func (t *Target) mayAddress(cmd byte, addr uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.mem.find(addr)
	switch {
	case g == nil:
		return false
	case cmd == stm32boot.CmdRead:
		return true
	case cmd == stm32boot.CmdChecksum:
		return addr%4 == 0
	case cmd == stm32boot.CmdGo:
		return g.kind == kindFlash || t.chip.InRAM(addr, 1)
	case g.kind == kindFlash:
		return addr%4 == 0
	case g.kind == kindRAM:
		return t.chip.InRAM(addr, 1)
	}
	return g.kind == kindOption || g.kind == kindData
}

// onReadLength is the last stage of Read.
func (r *run) onReadLength(p []byte) error {
	t, m := r.t, &r.t.rom
	if p[0] != ^p[1] {
		return r.refuse()
	}
	n := int(p[0]) + 1
	t.mu.Lock()
	data, ok := t.mem.peek(append(r.out[:0], stm32boot.ACK), m.addr, n)
	t.mu.Unlock()
	if !ok || t.tooShort(m.addr, n) {
		return r.refuse()
	}
	r.blur(data[1:])
	r.corrupt(data[1:])
	return r.take(step{stage: StageData, last: true, answer: data})
}

// tooShort reports whether a read is of the kind that fails on F4 and L0: of the
// flash-size register or what is beside it, but not of the whole block of 256 or
// 128 bytes (stm32loader).
func (t *Target) tooShort(addr uint32, n int) bool {
	size := t.chip.BlockSize()
	if t.chip.Family != "F4" && t.chip.Family != "L0" || n >= size {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.mem.find(addr)
	return g.kind == kindSystem && addr&^uint32(size-1) == t.chip.FlashSizeReg&^uint32(size-1)
}

// blur is what chips with VerifyLast do to a read of the block just written.
func (r *run) blur(p []byte) {
	m := &r.t.rom
	w := m.written
	m.written = stm32boot.Range{}
	if m.addr < w.Addr+w.Size && w.Addr < m.addr+uint32(len(p)) {
		fill(p[:min(8, len(p))], 0xFF)
	}
}

// onWriteLength is the first byte of the last stage of Write.
func (r *run) onWriteLength(p []byte) error {
	r.t.rom.await(int(p[0])+2, (*run).onWriteData)
	return nil
}

// onWriteData is the rest of it.
func (r *run) onWriteData(p []byte) error {
	t, m := r.t, &r.t.rom
	data := p[:len(p)-1]
	t.mu.Lock()
	g, off := t.mem.whole(m.addr, len(data))
	t.mu.Unlock()
	switch {
	case xor(p) != byte(len(data)-1) || g == nil:
		return r.refuse()
	case g.kind == kindFlash && len(data)%4 != 0:
		return r.refuse()
	}
	if f := &m.fault; f.Part > 0 && f.strikes(StageData, true) {
		switch f.Kind {
		case NackData, Silent, Hang, Reboot:
			if err := r.store(g, off, data[:min(f.Part, len(data))]); err != nil {
				return err
			}
		}
	}
	r.corrupt(data)
	s := step{stage: StageData, last: true, do: func() error { return r.store(g, off, data) }}
	if g.kind == kindOption {
		s.then = r.reset
	}
	return r.take(s)
}

// corrupt does to a block what the fault Corrupt says.
func (r *run) corrupt(data []byte) {
	if f := &r.t.rom.fault; f.Kind == Corrupt {
		data[uint(f.Offset)%uint(len(data))] ^= f.Mask
		r.strike(*f)
	}
}

// onGo is what follows the answer to Go.
func (r *run) onGo() error {
	t := r.t
	t.mu.Lock()
	code, _ := t.mem.peek(nil, t.rom.addr, min(stubSize, int(t.mem.find(t.rom.addr).end()-t.rom.addr)))
	t.entry = t.rom.addr
	t.mu.Unlock()
	if t.chip.InRAM(t.rom.addr, 1) && resets(code) {
		return r.reset()
	}
	return r.setMode(modeApp)
}

// stubSize is how far from its start a program in RAM is looked at.
const stubSize = 256

// resets reports whether a program is a stub that resets the chip: whether it has
// the address of the register AIRCR and the value that it takes for
// SYSRESETREQ. Other programs in RAM cannot be told apart from applications.
func resets(code []byte) bool {
	return bytes.Contains(code, []byte{0x0C, 0xED, 0x00, 0xE0}) && bytes.Contains(code, []byte{0x04, 0x00, 0xFA, 0x05})
}

// xor returns the exclusive or of all bytes.
func xor(p []byte) byte {
	var x byte
	for _, b := range p {
		x ^= b
	}
	return x
}
