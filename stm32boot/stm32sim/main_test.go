package stm32sim_test

import (
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/internal/leakcheck"
	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// full reports whether heavy tests are to run with full counts.
func full() bool { return os.Getenv("CCMKIT_FULL") == "1" }

// image returns the n bytes that the recordings use.
func image(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(7*i + 13*(i>>8) + 0x5A)
	}
	return p
}

// host is a program that talks to a target, byte by byte as a test wants it.
type host struct {
	t    testing.TB
	port stm32boot.Port
}

// A host waits for bytes that are to come, and for those that are not.
const (
	patience = time.Minute
	silence  = 3 * time.Second
)

// connect runs a target on a perfect line until the end of the test, and sends
// 0x7F unless the ROM has it.
func connect(t testing.TB, o stm32sim.Options) (*stm32sim.Target, *host) {
	t.Helper()
	target, _, h := plug(t, o, stm32sim.LineOptions{})
	if !o.Synced {
		h.expect([]byte{stm32boot.Init}, stm32boot.ACK)
	}
	return target, h
}

// plug runs a target on a line until the end of the test.
func plug(t testing.TB, o stm32sim.Options, l stm32sim.LineOptions) (*stm32sim.Target, *stm32sim.Line, *host) {
	t.Helper()
	target, err := stm32sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	line, stop := target.Connect(l)
	t.Cleanup(stop)
	return target, line, &host{t, line.Client()}
}

func (h *host) write(p ...byte) {
	h.t.Helper()
	if _, err := h.port.Write(p); err != nil {
		h.t.Fatalf("write % X: %v", p, err)
	}
}

// read returns n bytes, fewer if the rest does not come.
func (h *host) read(n int) []byte {
	h.t.Helper()
	return h.within(n, patience)
}

func (h *host) within(n int, limit time.Duration) []byte {
	h.t.Helper()
	p := make([]byte, n)
	if err := h.port.SetReadDeadline(time.Now().Add(limit)); err != nil {
		h.t.Fatal(err)
	}
	got, err := io.ReadFull(h.port, p)
	var timeout interface{ Timeout() bool }
	if err != nil && !errors.As(err, &timeout) && !errors.Is(err, io.ErrUnexpectedEOF) {
		h.t.Fatalf("read: %v", err)
	}
	return p[:got]
}

// expect sends bytes and demands an answer, and nothing but silence if it is
// empty.
func (h *host) expect(send []byte, want ...byte) {
	h.t.Helper()
	h.write(send...)
	if len(want) == 0 {
		h.quiet()
		return
	}
	if got := h.read(len(want)); !slices.Equal(got, want) {
		h.t.Fatalf("% X: answered % X, want % X", send, got, want)
	}
}

// quiet demands silence.
func (h *host) quiet() {
	h.t.Helper()
	if got := h.within(1, silence); len(got) > 0 {
		h.t.Fatalf("0x%02X came, want silence", got)
	}
}

// Parts of commands.

func command(c byte) []byte { return []byte{c, ^c} }

func address(a uint32) []byte { return summed(byte(a>>24), byte(a>>16), byte(a>>8), byte(a)) }

// summed appends the exclusive or of all bytes.
func summed(p ...byte) []byte {
	var x byte
	for _, b := range p {
		x ^= b
	}
	return append(slices.Clone(p), x)
}

func counted(p []byte) []byte { return summed(append([]byte{byte(len(p) - 1)}, p...)...) }

// pages returns the list of Extended Erase.
func pages(list ...int) []byte {
	p := []byte{byte((len(list) - 1) >> 8), byte(len(list) - 1)}
	for _, n := range list {
		p = append(p, byte(n>>8), byte(n))
	}
	return summed(p...)
}

const (
	ack  = stm32boot.ACK
	nack = stm32boot.NACK
)

func (h *host) writeMemory(addr uint32, p []byte) {
	h.t.Helper()
	h.expect(command(stm32boot.CmdWrite), ack)
	h.expect(address(addr), ack)
	h.expect(counted(p), ack)
}

func (h *host) readMemory(addr uint32, n int) []byte {
	h.t.Helper()
	h.expect(command(stm32boot.CmdRead), ack)
	h.expect(address(addr), ack)
	h.expect([]byte{byte(n - 1), ^byte(n - 1)}, ack)
	return h.read(n)
}

func (h *host) erase(list ...int) {
	h.t.Helper()
	h.expect(command(stm32boot.CmdExtendedErase), ack)
	h.expect(pages(list...), ack)
}
