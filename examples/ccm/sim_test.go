package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/internal/gpio"
	"github.com/ccmkit/ccmkit/internal/testbed"
	"github.com/ccmkit/ccmkit/stm32boot"
)

// board is a virtual STM32 that ccm sim stm32 runs.
type board struct {
	*running
	endpoint string
	pins     string // path of the socket
}

// newBoard starts a virtual STM32 with flags of ccm sim stm32, at a TCP address
// unless they say otherwise.
func newBoard(t *testing.T, flags ...string) *board {
	t.Helper()
	dir, err := os.MkdirTemp("", "x") // the path of a UNIX socket must be short
	if err != nil {
		t.Fatal(err)
	}
	b := &board{pins: filepath.Join(dir, "pins")}
	args := append([]string{"sim", "stm32", "--ctl", b.pins}, flags...)
	if !strings.Contains(strings.Join(flags, " "), "--pty") {
		args = append(args, "--tcp", "127.0.0.1:0")
	}
	b.running = launch(t, args...)
	t.Cleanup(func() {
		b.cancel()
		<-b.ended
		os.RemoveAll(dir)
	})
	b.endpoint, _, _ = strings.Cut(b.out.waitFor(t, "in its boot loader\n"), " ")
	return b
}

// stop ends the program, so that it saves its flash.
func (b *board) stop(t *testing.T) {
	t.Helper()
	b.cancel()
	err := <-b.ended
	b.ended <- err
	if err != nil {
		t.Error(err)
	}
}

// args returns the arguments of a ccm flash of the board, both pins wired.
func (b *board) args(args ...string) []string {
	return append([]string{"flash", b.endpoint, "--latency", "5ms", "--rst", "ctl:" + b.pins, "--boot0", "ctl:" + b.pins}, args...)
}

// rom restarts the board into its boot loader.
func (b *board) rom(t *testing.T) {
	t.Helper()
	for _, step := range []struct {
		pin  string
		high bool
	}{{"boot0", true}, {"rst", false}, {"rst", true}} {
		pin, closer, err := wiring{kind: "ctl", path: b.pins}.open(t.Context(), nil, step.pin)
		if err != nil {
			t.Fatal(err)
		}
		if err := pin.Set(step.high); err != nil {
			t.Fatal(err)
		}
		closer()
	}
}

// pattern returns n bytes that repeat late and are never blank.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7+i>>8) &^ 0x80
	}
	return p
}

// TestSTM32Flash has the real stm32flash at work on the virtual chips: it
// identifies, writes, verifies, reads back and erases them.
func TestSTM32Flash(t *testing.T) {
	testbed.Require(t, "stm32flash", "pty")
	for _, chip := range []string{"0x410", "0x431", "0x415", "0x450"} { // F103, F411, L476, H743
		t.Run(chip, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			saved := filepath.Join(dir, "saved")
			b := newBoard(t, "--pty", "--chip", chip, "--ecc", "--save", saved)
			flash := func(args ...string) string {
				t.Helper()
				b.rom(t)
				out, err := testbed.STM32Flash(t, append(append([]string{"-m", "8n1"}, args...), b.endpoint)...)
				if err != nil {
					t.Fatalf("stm32flash %q: %v\n%s", args, err, out)
				}
				return out
			}
			image, read := filepath.Join(dir, "image"), filepath.Join(dir, "read")
			mustWrite(t, image, pattern(20_000))
			wants(t, flash(), "Device ID    : 0x0"+chip[2:])
			wants(t, flash("-w", image, "-v"), "Wrote and verified")
			flash("-r", read, "-S", "0x08000000:20000")
			if !bytes.Equal(mustRead(t, read), pattern(20_000)) {
				t.Error("what is read back is not what was written")
			}
			flash("-o")
			b.stop(t)
			data := mustRead(t, saved)
			if len(data) < 128<<10 || len(bytes.Trim(data, "\xff")) > 0 {
				t.Errorf("%d bytes of flash are not blank", len(data))
			}
		})
	}
}

// TestSim: what is at the virtual chip's pins, ports and in its flash.
func TestSim(t *testing.T) {
	dir := t.TempDir()
	image, saved := filepath.Join(dir, "image"), filepath.Join(dir, "saved")
	mustWrite(t, image, pattern(1000))
	b := newBoard(t, "--image", image, "--save", saved, "--verbose")
	wants(t, b.out.String(), "tcp:127.0.0.1:", "  0x410 F1", ", 128 KiB, in its boot loader\n")

	c, err := net.Dial("unix", b.pins)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, dialogue := range [][2]string{
		{"boot0 1", "ok\n"}, {"rst 0", "ok\n"}, {"rst 1", "ok\n"},
		{"rst 2", "error: want rst 0"}, {"", "error: "}, {"boot0", "error: "},
	} {
		fmt.Fprintln(c, dialogue[0])
		buf := make([]byte, 100)
		if n, err := c.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), dialogue[1]) {
			t.Errorf("%s: %q, %v", dialogue[0], buf[:n], err)
		}
	}
	fmt.Fprintln(c, strings.Repeat("x", 2*maxPinLine))
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("a long line: %d bytes of an answer", n)
	}

	for range 2 { // programs come and go, and the target stays as it is
		b.rom(t)
		peer, err := net.Dial("tcp", strings.TrimPrefix(b.endpoint, "tcp:"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := peer.Write([]byte{stm32boot.Init}); err != nil {
			t.Fatal(err)
		}
		var answer [1]byte
		if _, err := io.ReadFull(peer, answer[:]); err != nil || answer[0] != stm32boot.ACK {
			t.Errorf("it answers %x, %v", answer, err)
		}
		peer.Close()
	}
	b.stop(t)
	if data := mustRead(t, saved); len(data) != 128<<10 || !bytes.Equal(data[:1000], pattern(1000)) {
		t.Errorf("%d bytes were saved, which begin with %x", len(data), data[:16])
	}
	wants(t, b.log.String(), "rom\n", "synced\n")
}

// TestSimSocketLeftBehind: the socket of a program that was killed is replaced,
// that of one that runs is not, nor is another file.
func TestSimSocketLeftBehind(t *testing.T) {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := listenPins(t.Context(), path); err == nil {
		d.Close()
		t.Error("the socket of another program was taken")
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	d, err := listenPins(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	mustWrite(t, path, []byte("precious"))
	if d, err := listenPins(t.Context(), path); err == nil {
		d.Close()
		t.Error("a file was replaced")
	} else if !strings.Contains(err.Error(), "it is a file: give another path") {
		t.Error(err)
	}
	if string(mustRead(t, path)) != "precious" {
		t.Error("the file is gone")
	}
}

func TestWiring(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "{  false} true",
		"dtr":                 "{dtr  false} true",
		"!rts":                "{rts  true} true",
		"ctl:/a:b":            "{ctl /a:b false} true",
		"!ctl:p":              "{ctl p true} true",
		"ctl:":                "{ctl  false} false",
		"ctl":                 "{ctl  false} false",
		"dsr":                 "{dsr  false} false",
		"gpio:0/17":           "{gpio 0/17 false} true",
		"!gpio:gpiochip1/RST": "{gpio gpiochip1/RST true} true",
		"gpio:17":             "{gpio 17 false} false",
		"gpio:":               "{gpio  false} false",
		"gpio":                "{gpio  false} false",
		"!":                   "{  true} false",
		"dtr:x":               "{dtr x false} false",
	} {
		w, err := parseWiring(text)
		if got := fmt.Sprint(w, err == nil); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	// A line that is asserted is low, unless an inverter makes it high.
	for _, c := range []struct{ invert, high, asserted bool }{{false, false, true}, {false, true, false}, {true, false, false}, {true, true, true}} {
		if got := (wiring{kind: "dtr", invert: c.invert}).asserted(c.high); got != c.asserted {
			t.Errorf("%+v: %t", c, got)
		}
	}
}

// TestGPIOWiring: how lines of GPIO chips are driven.
func TestGPIOWiring(t *testing.T) {
	line := gpio.Line{Chip: "/dev/gpiochip0", Name: "17"}
	for _, c := range []struct {
		text, pin string
		want      gpio.Config
	}{
		{"gpio:0/17", pinReset, gpio.Config{Line: line, High: true, OpenDrain: true, Consumer: "ccm rst"}},
		{"!gpio:0/17", pinReset, gpio.Config{Line: line, Consumer: "ccm rst"}},
		{"gpio:0/17", pinBoot0, gpio.Config{Line: line, Consumer: "ccm boot0"}},
		{"!gpio:0/17", pinBoot0, gpio.Config{Line: line, High: true, Consumer: "ccm boot0"}},
	} {
		w, err := parseWiring(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.gpio(c.pin); got != c.want {
			t.Errorf("%s as %s: %+v, want %+v", c.text, c.pin, got, c.want)
		}
		for _, high := range []bool{false, true} {
			var got level
			if err := (gpioPin{&got, w.invert}).Set(high); err != nil || bool(got) != (high != w.invert) {
				t.Errorf("%s set %t: the line is %t", c.text, high, got)
			}
		}
	}
	// The errors of the kernel of this machine, with what helps.
	for text, want := range map[string]string{
		"gpio:/dev/null/17":    "gpiodetect lists the chips",
		"gpio:/no/such/chip/1": "/no/such/chip: ",
	} {
		w, err := parseWiring(text)
		if err != nil {
			t.Fatal(err)
		}
		_, closer, err := w.open(t.Context(), nil, pinReset)
		closer()
		if err == nil || runtime.GOOS == "linux" && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for err, want := range map[error]string{
		fs.ErrPermission: "in the group of the device", gpio.ErrNoLine: "gpioinfo", gpio.ErrBusy: "end the program",
	} {
		if got := gpioError(fmt.Errorf("gpio: x: %w", err)); !errors.Is(got, err) || !strings.Contains(got.Error(), want) {
			t.Errorf("%v", got)
		}
	}
}

// level is a pin that remembers its level.
type level bool

func (l *level) Set(high bool) error { *l = level(high); return nil }

// TestCtlNobody: the socket of pins is not there, or is no socket.
func TestCtlNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	_, closer, err := wiring{kind: "ctl", path: path}.open(t.Context(), nil, pinReset)
	closer()
	if err == nil || !strings.Contains(err.Error(), "does ccm sim stm32 --ctl "+path+" run?") {
		t.Error(err)
	}
}

// TestCtlPin: answers that are none.
func TestCtlPin(t *testing.T) {
	dir, err := os.MkdirTemp("", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for answer, want := range map[string]string{"ok\n": "", "error: no\x1b\n": `rst 1: "error: no\x1b"`, strings.Repeat("x", 100): "buffer full", "": "EOF"} {
		pin, closer, err := wiring{kind: "ctl", path: path, invert: true}.open(context.Background(), nil, "rst")
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, answer)
		c.(*net.UnixConn).CloseWrite()
		if err := pin.Set(false); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", answer, err)
		}
		line := make([]byte, 20)
		if n, _ := c.Read(line); string(line[:n]) != "rst 1\n" {
			t.Errorf("it was sent %q", line[:n])
		}
		closer()
		c.Close()
	}
}
