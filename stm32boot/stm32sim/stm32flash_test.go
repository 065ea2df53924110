package stm32sim_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/internal/testbed"
	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// bench is a target on a pseudo terminal, for the real stm32flash.
type bench struct {
	t       *testing.T
	target  *stm32sim.Target
	started <-chan struct{} // tells of each start of the ROM
	tty     string
	dir     string
}

func newBench(t *testing.T, o stm32sim.Options) *bench {
	testbed.Require(t, "stm32flash", "pty")
	started, observe := starts()
	o.Observer = observe
	target, err := stm32sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	master, tty := testbed.PTY(t)
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := target.Run(ctx, master); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		run.Wait()
	})
	return &bench{t, target, started, tty, t.TempDir()}
}

// try runs stm32flash.
func (b *bench) try(args ...string) (string, error) {
	b.t.Helper()
	return testbed.STM32Flash(b.t, slices.Concat([]string{"-m", "8n1", "-b", "115200"}, args, []string{b.tty})...)
}

// run demands that it succeeds.
func (b *bench) run(args ...string) string {
	b.t.Helper()
	out, err := b.try(args...)
	if err != nil {
		b.t.Fatalf("stm32flash %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// file makes a file.
func (b *bench) file(name string, content []byte) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// TestSTM32Flash has the real stm32flash identify, write, verify, read back,
// start and erase targets.
func TestSTM32Flash(t *testing.T) {
	for _, id := range []uint16{0x410, 0x431, 0x415, 0x450} {
		t.Run(fmt.Sprintf("0x%03X", id), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, stm32sim.Options{ID: id, ECC: true, Image: bytes.Repeat([]byte{0x5A}, 64<<10)})
			chip := b.target.Chip()
			if out := b.run(); !strings.Contains(out, fmt.Sprintf("Device ID    : 0x%04x", id)) {
				t.Errorf("it prints\n%s", out)
			}
			size := 20_003
			b.run("-w", b.file("image", image(size)), "-v")
			want := append(image(size), 0xFF)
			if !bytes.Equal(b.target.Flash()[:size+1], want) {
				t.Error("flash is not as written")
			}
			pulse(b.target) // the session before found the ROM at work
			<-b.started
			b.run("-r", filepath.Join(b.dir, "read"), "-S", "0x08000000:"+strconv.Itoa(size))
			if got, err := os.ReadFile(filepath.Join(b.dir, "read")); err != nil || !bytes.Equal(got, image(size)) {
				t.Errorf("read back %d other bytes, %v", len(got), err)
			}
			b.run("-o")
			if blank := bytes.Repeat([]byte{0xFF}, int(chip.FlashSize)); !bytes.Equal(b.target.Flash(), blank) {
				t.Error("flash is not erased")
			}
			b.run("-g", "0x08000000")
			if s := b.target.Stats(); s.Violations != 0 || s.Commands[stm32boot.CmdGo] != 1 || s.Nacks == 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestSTM32FlashErasesPages has it erase some pages.
func TestSTM32FlashErasesPages(t *testing.T) {
	for _, id := range []uint16{0x410, 0x431, 0x415, 0x450} {
		t.Run(fmt.Sprintf("0x%03X", id), func(t *testing.T) {
			t.Parallel()
			chip, _ := stm32boot.Lookup(id)
			b := newBench(t, stm32sim.Options{ID: id, Image: bytes.Repeat([]byte{0x5A}, int(chip.FlashSize))})
			b.run("-o", "-s", "2", "-e", "3")
			for number, n := range b.target.Stats().Erases {
				if want := number >= 2 && number < 5; want != (n == 1) {
					t.Errorf("page %d was erased %d times", number, n)
				}
			}
		})
	}
}

// TestSTM32FlashProtection has it lock and unlock a target. The pty cannot drive
// pins, but the loader resets itself.
func TestSTM32FlashProtection(t *testing.T) {
	b := newBench(t, stm32sim.Options{ID: 0x431, Image: image(256)})
	b.run("-j")
	<-b.started
	if b.target.RDP() != 1 {
		t.Errorf("level %d", b.target.RDP())
	}
	if out, err := b.try("-r", filepath.Join(b.dir, "read"), "-S", "0x08000000:256"); err == nil {
		t.Errorf("it reads a locked chip:\n%s", out)
	}
	b.run("-k")
	if b.target.RDP() != 0 || !bytes.Equal(b.target.Flash()[:256], bytes.Repeat([]byte{0xFF}, 256)) {
		t.Error("unlocking has not erased the flash")
	}
}

// TestSTM32FlashWaits has it wait for a target that says BUSY and takes its time.
func TestSTM32FlashWaits(t *testing.T) {
	chip, _ := stm32boot.Lookup(0x415)
	b := newBench(t, stm32sim.Options{
		ID: 0x415, Baud: 230400, Times: stm32sim.RealTimes(&chip),
		Faults: []stm32sim.Fault{{Kind: stm32sim.Busy, At: 2, Count: 3, Delay: 50 * time.Millisecond}},
	})
	b.run("-w", b.file("image", image(4096)), "-v")
	if s := b.target.Stats(); s.Busy != 3 || s.Working < 22*time.Millisecond || !bytes.Equal(b.target.Flash()[:4096], image(4096)) {
		t.Errorf("%+v", s)
	}
}
