package stm32boot

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"
)

// rom is a boot loader in memory, and the port to it. It answers while it is
// written to, so it needs no goroutine; waiting is done in Read, by the clock of the
// synctest bubble.
type rom struct {
	chip    Chip
	version byte
	cmds    []byte
	mem     map[uint32]byte // flash, RAM and registers; flash reads as erased if absent
	rdp     bool

	synced  bool
	surplus bool
	boot0   bool
	list    bool // waits for page numbers
	off     bool // in reset, or running the application
	in      []byte
	need    int
	then    func([]byte)

	out     []answer
	pass    int // bytes of out[0] read
	taken   int // bytes received
	given   int // bytes sent
	commits []string
	pages   []int // erased
	resets  int
	pins    []string

	spoil    func(r *rom, b byte) (out []byte) // what becomes of a byte on the way in
	alter    func(p []byte) []byte             // what becomes of an answer
	tick     func()                            // after every byte in either direction
	late     time.Duration                     // delay of every answer
	readable func(addr uint32, n int) bool     // nil: everything is

	deadline time.Time
	fail     error // of Read and Write
}

type answer struct {
	at time.Time
	p  []byte
}

type timeoutError struct{}

func (timeoutError) Error() string { return "rom: timeout" }
func (timeoutError) Timeout() bool { return true }

// newROM returns a chip that was just reset into its ROM.
func newROM(id uint16) *rom {
	chip, ok := Lookup(id)
	if !ok {
		panic("unknown id")
	}
	r := &rom{chip: chip, version: 0x31, mem: map[uint32]byte{}, boot0: true}
	r.cmds = []byte{CmdGet, CmdGetVersion, CmdGetID, CmdRead, CmdGo, CmdWrite, chip.EraseCmd, CmdWriteProtect,
		CmdWriteUnprotect, CmdReadoutProtect, CmdReadoutUnprotect}
	r.restart()
	return r
}

// restart is a reset.
func (r *rom) restart() {
	r.resets++
	r.synced, r.off, r.in = false, !r.boot0, nil
	r.await(1, r.init)
}

// pin is a line to the chip.
type pin struct {
	r    *rom
	name string
}

func (p pin) Set(high bool) error {
	r := p.r
	level := map[bool]string{false: "0", true: "1"}[high]
	r.pins = append(r.pins, p.name+level)
	switch {
	case p.name == "boot":
		r.boot0 = high
	case high:
		r.restart()
	default:
		r.off = true
	}
	return nil
}

func (r *rom) SetReadDeadline(t time.Time) error { r.deadline = t; return nil }

func (r *rom) Write(p []byte) (int, error) {
	if r.fail != nil {
		return 0, r.fail
	}
	for _, b := range p {
		in := []byte{b}
		if r.spoil != nil {
			in = r.spoil(r, b)
		}
		for _, b := range in {
			r.feed(b)
		}
		if r.tick != nil {
			r.tick()
		}
	}
	return len(p), nil
}

// feed takes one byte.
func (r *rom) feed(b byte) {
	if r.off {
		return
	}
	r.taken++
	r.in = append(r.in, b)
	for len(r.in) >= r.need {
		p := slices.Clone(r.in[:r.need])
		r.in = slices.Clone(r.in[r.need:])
		r.then(p)
	}
}

func (r *rom) Read(p []byte) (int, error) {
	switch {
	case r.fail != nil:
		return 0, r.fail
	case len(r.out) == 0 || r.out[0].at.After(r.deadline):
		time.Sleep(time.Until(r.deadline))
		return 0, timeoutError{}
	}
	time.Sleep(time.Until(r.out[0].at))
	n := copy(p, r.out[0].p[r.pass:])
	if r.tick != nil { // byte by byte
		n = 1
	}
	r.pass += n
	if r.pass == len(r.out[0].p) {
		r.out, r.pass = r.out[1:], 0
	}
	r.given += n
	if r.tick != nil {
		r.tick()
	}
	return n, nil
}

// say queues an answer.
func (r *rom) say(p ...byte) { r.sayAt(time.Now().Add(r.late), p...) }

func (r *rom) sayAt(at time.Time, p ...byte) {
	if r.alter != nil {
		p = r.alter(slices.Clone(p))
	}
	if len(p) > 0 {
		r.out = append(r.out, answer{at, p})
	}
}

func (r *rom) await(n int, then func([]byte)) { r.need, r.then, r.list = n, then, false }

// awaitList is await for what must not be completed by chance.
func (r *rom) awaitList(n int, then func([]byte)) {
	r.await(n, then)
	r.list = true
}

// idle waits for a command.
func (r *rom) idle() { r.await(2, r.command) }

func (r *rom) refuse() {
	r.say(NACK)
	r.idle()
}

func (r *rom) init(p []byte) {
	if p[0] != Init {
		r.await(1, r.init)
		return
	}
	r.synced = true
	r.say(ACK)
	if r.surplus {
		r.say(ACK)
	}
	r.idle()
}

func (r *rom) command(p []byte) {
	cmd := p[0]
	if p[1] != ^cmd || !slices.Contains(r.cmds, cmd) {
		r.refuse()
		return
	}
	if r.rdp && !slices.Contains([]byte{CmdGet, CmdGetVersion, CmdGetID, CmdReadoutUnprotect}, cmd) {
		r.refuse()
		return
	}
	r.say(ACK)
	r.idle()
	switch cmd {
	case CmdGet:
		r.say(append([]byte{byte(len(r.cmds)), r.version}, r.cmds...)...)
		r.say(ACK)
	case CmdGetVersion:
		r.say(r.version, 0, 0, ACK)
	case CmdGetID:
		r.say(1, byte(r.chip.ID>>8), byte(r.chip.ID), ACK)
	case CmdRead:
		r.address(r.read)
	case CmdWrite:
		r.address(r.write)
	case CmdGo:
		r.address(func(addr uint32) { r.commit("go"); r.off = true })
	case CmdErase:
		r.awaitList(2, r.erase)
	case CmdExtendedErase:
		r.awaitList(3, r.extendedErase)
	case CmdWriteProtect:
		r.awaitList(1, r.protect)
	default:
		r.reset(cmd)
	}
}

// commit records what was done to the chip.
func (r *rom) commit(what string) { r.commits = append(r.commits, what) }

func (r *rom) reset(cmd byte) {
	r.commit(CommandName(cmd))
	switch cmd {
	case CmdReadoutProtect:
		r.rdp = true
	case CmdReadoutUnprotect:
		r.rdp = false
		clear(r.mem)
	}
	r.say(ACK)
	r.restart()
}

func (r *rom) protect(n []byte) {
	r.awaitList(int(n[0])+2, func(p []byte) {
		if xor(p) != n[0] {
			r.refuse()
			return
		}
		r.reset(CmdWriteProtect)
	})
}

func (r *rom) address(then func(addr uint32)) {
	r.await(5, func(p []byte) {
		if xor(p) != 0 {
			r.refuse()
			return
		}
		r.say(ACK)
		r.idle()
		then(binary.BigEndian.Uint32(p))
	})
}

func (r *rom) read(addr uint32) {
	r.await(2, func(p []byte) {
		if p[1] != ^p[0] {
			r.refuse()
			return
		}
		n := int(p[0]) + 1
		if r.readable != nil && !r.readable(addr, n) {
			r.refuse()
			return
		}
		r.say(ACK)
		r.say(r.peek(addr, n)...)
		r.idle()
	})
}

// peek returns n bytes of memory.
func (r *rom) peek(addr uint32, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		b, ok := r.mem[addr+uint32(i)]
		if !ok && r.chip.InFlash(addr+uint32(i), 1) {
			b = r.chip.Erased
		}
		p[i] = b
	}
	return p
}

func (r *rom) write(addr uint32) {
	r.await(1, func(n []byte) {
		r.await(int(n[0])+2, func(p []byte) {
			data := p[:len(p)-1]
			if xor(p) != n[0] || len(data)%4 != 0 {
				r.refuse()
				return
			}
			r.commit("write")
			for i, b := range data {
				r.poke(addr+uint32(i), b)
			}
			r.say(ACK)
			r.idle()
		})
	})
}

// poke stores a byte, in flash as programming does.
func (r *rom) poke(addr uint32, b byte) {
	if r.chip.InFlash(addr, 1) {
		old := r.peek(addr, 1)[0]
		if r.chip.Erased == 0 {
			b |= old
		} else {
			b &= old
		}
	}
	r.mem[addr] = b
}

func (r *rom) erase(p []byte) {
	if p[0] == EraseGlobal {
		if p[1] != 0 {
			r.refuse()
			return
		}
		r.wipe(-1)
		return
	}
	n := int(p[0]) + 1
	r.in = append([]byte{p[1]}, r.in...)
	r.awaitList(n+1, func(q []byte) {
		if xor(q) != p[0] {
			r.refuse()
			return
		}
		for _, page := range q[:n] {
			r.wipePage(int(page))
		}
		r.wiped()
	})
}

func (r *rom) extendedErase(p []byte) {
	if n := binary.BigEndian.Uint16(p); n >= 0xFFF0 {
		if xor(p) != 0 || n != EraseMass || r.chip.Flags.Has(NoMassErase) {
			r.refuse()
			return
		}
		r.wipe(-1)
		return
	}
	n := int(binary.BigEndian.Uint16(p)) + 1
	first := p[2]
	r.awaitList(2*n, func(q []byte) {
		q = append([]byte{first}, q...)
		if xor(p[:2]) != xor(q) {
			r.refuse()
			return
		}
		for page := range slices.Chunk(q[:2*n], 2) {
			r.wipePage(int(binary.BigEndian.Uint16(page)))
		}
		r.wiped()
	})
}

func (r *rom) wipe(int) {
	r.commit("mass erase")
	clear(r.mem)
	r.wiped()
}

func (r *rom) wiped() {
	r.say(ACK)
	r.idle()
}

func (r *rom) wipePage(n int) {
	r.commit("erase")
	r.pages = append(r.pages, n)
	page, _ := r.chip.PageAt(n)
	for i := uint32(0); len(r.mem) > 0 && i < page.Size; i++ {
		delete(r.mem, page.Addr+i)
	}
}

// load puts an image into memory.
func (r *rom) load(addr uint32, p []byte) {
	for i, b := range p {
		r.mem[addr+uint32(i)] = b
	}
}

// image is the test image of the vectors.
func image(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(7*i + 13*(i>>8) + 0x5A)
	}
	return p
}

// wired returns a configuration with the lines of r.
func (r *rom) wired() Config {
	return Config{Port: r, Reset: pin{r, "reset"}, Boot0: pin{r, "boot"}, Bauds: []int{115200}}
}

// dial connects, or fails the test.
func dial(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal("connect:", err)
	}
	return c
}

// errBroken is a failure of the port.
var errBroken = errors.New("rom: port is broken")
