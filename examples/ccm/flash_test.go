package main

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/stm32boot"
)

// hexFile returns data at an address as Intel HEX.
func hexFile(addr uint32, data []byte) []byte {
	var b strings.Builder
	record := func(kind byte, offset uint16, data []byte) {
		r := append([]byte{byte(len(data)), byte(offset >> 8), byte(offset), kind}, data...)
		sum := byte(0)
		for _, v := range r {
			sum -= v
		}
		fmt.Fprintf(&b, ":%s%02X\n", strings.ToUpper(hex.EncodeToString(r)), sum)
	}
	for i := 0; i < len(data); i += 16 {
		at := addr + uint32(i)
		if i == 0 || at&0xFFFF == 0 {
			record(4, 0, []byte{byte(at >> 24), byte(at >> 16)})
		}
		record(0, uint16(at), data[i:min(i+16, len(data))])
	}
	record(1, 0, nil)
	return []byte(b.String())
}

// elfFile returns data at an address as an executable file.
func elfFile(addr uint32, data []byte) []byte {
	var b bytes.Buffer
	h := elf.Header32{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_ARM), Version: 1, Entry: addr,
		Phoff: 52, Ehsize: 52, Phentsize: 32, Phnum: 1, Shentsize: 40,
	}
	copy(h.Ident[:], "\x7fELF\x01\x01\x01")
	binary.Write(&b, binary.LittleEndian, h)
	binary.Write(&b, binary.LittleEndian, elf.Prog32{
		Type: uint32(elf.PT_LOAD), Off: 84, Vaddr: addr, Paddr: addr, Filesz: uint32(len(data)), Memsz: uint32(len(data)),
	})
	b.Write(data)
	return b.Bytes()
}

// TestFlash puts files of all kinds into boards at TCP addresses and pseudo
// terminals, reads them back and compares the whole flash.
func TestFlash(t *testing.T) {
	dir := t.TempDir()
	data := pattern(9000)
	path := func(name string) string { return filepath.Join(dir, name) }
	mustWrite(t, path("fw.bin"), data)
	mustWrite(t, path("fw.hex"), hexFile(0x08000000, data))
	mustWrite(t, path("fw.elf"), elfFile(0x08000000, data))
	must(t, "bundle", "create", "-o", path("fw.zip"), "--platform", "ccm_host",
		"host_fw:type=STM32,src="+path("fw.bin")+",addr=0x08000000", "pad:type=STM32,fill=0x11,size=0x400,addr=0x08004000")
	for _, c := range []struct{ file, chip, where string }{
		{"fw.bin", "0x410", "--pty"}, {"fw.hex", "0x431", "--tcp=127.0.0.1:0"},
		{"fw.elf", "0x415", "--pty"}, {"fw.zip", "0x450", "--tcp=127.0.0.1:0"}, {"fw.bin", "0x447", "--tcp=127.0.0.1:0"},
	} {
		t.Run(c.file+" "+c.chip, func(t *testing.T) {
			t.Parallel()
			saved, read := path(c.chip), path(c.chip+"read")
			b := newBoard(t, c.where, "--chip", c.chip, "--ecc", "--save", saved)
			out, log := must(t, b.args(path(c.file), "--chip", c.chip)...)
			wants(t, out, "wrote ", ", verified, in ")
			wants(t, log, "connecting to "+b.endpoint, c.chip, "erase ", "write ", "verify ")
			out, _ = must(t, b.args(path(c.file), "--changed-only", "--no-verify")...)
			wants(t, out, "nothing to do: the flash holds the ")
			out, _ = must(t, b.args("--read", read, "--size", "9000")...)
			wants(t, out, "9000 bytes from 0x08000000")
			b.stop(t)
			want := slices.Clone(data)
			flash := mustRead(t, saved)
			if !bytes.Equal(mustRead(t, read), want) || !bytes.Equal(flash[:9000], want) {
				t.Error("the flash is not as the file")
			}
			if c.file == "fw.zip" && !bytes.Equal(flash[0x4000:0x4400], bytes.Repeat([]byte{0x11}, 0x400)) {
				t.Error("the fill part is not there")
			}
		})
	}
}

// TestFlashPreserve: what is beside the image stays, or not, or nothing does.
func TestFlashPreserve(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, other := filepath.Join(dir, "image"), filepath.Join(dir, "other")
	mustWrite(t, image, pattern(3000))
	mustWrite(t, other, bytes.Repeat([]byte{0xA5}, 8))
	for _, c := range []struct {
		flags, warning string
		same, beside   bool // the bytes beside the image in its page, and in others
	}{
		{"--preserve", "", true, true},
		{"", "warning: 1016 bytes beside the image, in 1 of its pages, will be lost (--preserve keeps them)", false, true},
		{"--erase", "127 pages that the image does not touch will be erased", false, false},
	} {
		saved := filepath.Join(dir, "saved")
		b := newBoard(t, "--image", image, "--save", saved)
		out, log := must(t, b.args(append(strings.Fields(c.flags), "--addr", "0x08000400", other)...)...)
		wants(t, out, "wrote ", "1 page, verified")
		wants(t, log, c.warning)
		b.stop(t)
		flash := mustRead(t, saved)
		same, beside := bytes.Equal(flash[0x408:0x800], pattern(3000)[0x408:0x800]), bytes.Equal(flash[:0x400], pattern(3000)[:0x400])
		if same != c.same || beside != c.beside || flash[0x400] != 0xA5 {
			t.Errorf("%s: page preserved %t, others %t", c.flags, same, beside)
		}
	}
}

// TestFlashResumes: an interrupted flashing says how to go on, and does.
func TestFlashResumes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, state, saved := filepath.Join(dir, "image"), filepath.Join(dir, "state"), filepath.Join(dir, "saved")
	mustWrite(t, image, pattern(20_000))
	b := newBoard(t, "--baud", "230400", "--save", saved, "--verbose")
	r := launch(t, b.args(image, "--state", state, "--board", "7")...)
	r.log.waitFor(t, "write   20000 bytes")
	r.cancel()
	err := <-r.ended
	if !errors.Is(err, errInterrupted) || exitCode(err) != 1 {
		t.Fatal(err)
	}
	wants(t, err.Error(), "interrupted: the firmware is not complete", "its first page is blank", "run the same command again, it goes on where it was")
	if events := strings.Fields(b.log.waitFor(t, "app\n")); events[len(events)-1] != "app" {
		t.Error("the pins were left such that the boot loader runs")
	}
	if s, err := stm32boot.ParseState(mustRead(t, state)); err != nil || s.Step == stm32boot.StepDone {
		t.Errorf("%+v, %v", s, err)
	}
	out, log := must(t, b.args(image, "--state", state, "--board", "7", "--no-verify")...)
	wants(t, log, "going on where it was interrupted")
	wants(t, out, "wrote ", "not verified")
	begun := time.Now()
	out, _ = must(t, b.args(image, "--state", state, "--board", "7", "--changed-only")...)
	wants(t, out, "nothing to do: the flash holds the 20000 bytes already")
	t.Logf("identical by the state in %v", time.Since(begun))
	out, _ = must(t, b.args(image, "--state", state, "--board", "7", "--dry-run")...)
	wants(t, out, "chip    0x410", "image   20000 bytes in 20 pages", "erase   20 pages")
	b.stop(t)
	if !bytes.Equal(mustRead(t, saved)[:20_000], pattern(20_000)) {
		t.Error("the flash is not as the file")
	}
}

// TestFlashInterrupted: before anything was erased it says so.
func TestFlashInterrupted(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	image := filepath.Join(t.TempDir(), "image")
	mustWrite(t, image, pattern(100))
	for args, want := range map[string]string{image: "interrupted: the flash was not touched", "--info": "interrupted"} {
		r := launch(t, "flash", "tcp:"+l.Addr().String(), args)
		r.log.waitFor(t, "connecting to tcp:127.0.0.1:")
		r.cancel()
		if err := <-r.ended; err == nil || err.Error() != want {
			t.Errorf("%s: %v", args, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, []string{"flash", "tcp:" + l.Addr().String(), "--info"}, newOutput(), newOutput()); err != errInterrupted {
		t.Error(err)
	}
}

// TestFlashInfo: what is told of a chip.
func TestFlashInfo(t *testing.T) {
	t.Parallel()
	b := newBoard(t, "--chip", "0x431", "--flash-size", "256K")
	out, log := must(t, b.args("--info")...)
	wants(t, out, "chip         0x431 F4", "flash        256 KiB at 0x08000000, pages 4 x 16 KiB, 1 x 64 KiB, 1 x 128 KiB\n",
		"RAM          128 KiB", "boot loader  version 3.1\n", "commands     get, ", "extended erase", "protection   none against reading\n")
	if strings.Contains(log, "stays in its boot loader") {
		t.Error(log)
	}
	b.rom(t)
	out, _ = must(t, "flash", b.endpoint, "--info", "--go", "0x08000000")
	wants(t, out, "started the program at 0x08000000")
	b.rom(t)
	_, log = must(t, "flash", b.endpoint, "--erase", "--latency", "10ms", "--verbose")
	wants(t, log, "to start the firmware reset it with BOOT0 low")
}

// TestFlashProtected: a locked chip is left alone until it may be erased.
func TestFlashProtected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, saved := filepath.Join(dir, "image"), filepath.Join(dir, "saved")
	mustWrite(t, image, pattern(100))
	b := newBoard(t, "--rdp", "1", "--image", image, "--save", saved)
	out, log := must(t, b.args("--info")...)
	wants(t, out, "readout protection is on", "up to 128 KiB")
	wants(t, log, "does not tell the size of its flash")
	for _, args := range [][]string{{image}, {"--read", saved}} {
		_, _, err := try(t, b.args(args...)...)
		if err == nil || exitCode(err) != 1 {
			t.Fatalf("%s: %v", args, err)
		}
		wants(t, err.Error(), "readout protected", "--unprotect removes the protection, and ERASES ALL")
	}
	if _, err := os.Stat(saved); err == nil {
		t.Error("a file was made of what cannot be read")
	}
	out, log = must(t, b.args("--unprotect", image)...)
	wants(t, log, "removing the protection, which erases the flash")
	wants(t, out, "wrote 100 bytes, 1 page, verified")
}

// TestFlashRefuses: what cannot be is told, with what helps, and nothing is
// changed.
func TestFlashRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string, data []byte) string {
		mustWrite(t, filepath.Join(dir, name), data)
		return filepath.Join(dir, name)
	}
	image, saved := path("image", pattern(1000)), filepath.Join(dir, "saved")
	good := path("good.bin", pattern(16))
	b := newBoard(t, "--image", image, "--save", saved, "--flash-size", "16K")
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{path("large.bin", pattern(17<<10))}, []string{"larger than the flash", "--info shows the flash"}},
		{[]string{good, "--addr", "0x08004000"}, []string{"outside the flash", "is --addr right?"}},
		{[]string{good, "--chip", "0x431"}, []string{"wrong chip", "--chip wants 0x431", "is it the right board"}},
		{[]string{good, "--chip", "size=64K,page=1K,id=0x411"}, []string{"wrong chip"}},
		{[]string{good, "--go", "0x20000000", "--chip", "0x431"}, []string{"wrong chip"}},
		{[]string{"--read", saved, "--addr", "0x1ffff000"}, []string{"not in the flash: say by --size"}},
		{[]string{"--read", saved, "--size", "0"}, []string{"nothing to read"}},
		{[]string{"--read", saved, "--addr", "0x08003ff0", "--size", "17"}, []string{"end behind the flash, at 0x08004000: read at most 16"}},
		{[]string{"--read", saved, "--addr", "0xffffffff", "--size", "2"}, []string{"behind the last address"}},
		{[]string{"--read", saved, "--addr", "0x60000000", "--size", "2"}, []string{"refused (NACK)", "the chip has no memory"}},
		{[]string{"--read", "/no/such/file", "--size", "2"}, []string{"--read /no/such/file: the directory is missing"}},
	} {
		_, log, err := try(t, b.args(c.args...)...)
		if err == nil || exitCode(err) != 1 {
			t.Errorf("%q: %v\n%s", c.args, err, log)
			continue
		}
		wants(t, err.Error(), c.want...)
	}
	b.stop(t)
	if !bytes.Equal(mustRead(t, saved)[:1000], pattern(1000)) {
		t.Error("the flash has changed")
	}
}

// TestFlashForEverProtected: of a chip that no command unlocks it is said that
// nothing helps.
func TestFlashForEverProtected(t *testing.T) {
	t.Parallel()
	b := newBoard(t, "--rdp", "2")
	_, _, err := try(t, b.args("--unprotect")...)
	if err == nil || exitCode(err) != 1 {
		t.Fatal(err)
	}
	wants(t, err.Error(), "readout unprotect: command stage: refused", "level 2 is for ever")
}

// TestFlashCures: what is advised for errors that the tests above do not bring
// about.
func TestFlashCures(t *testing.T) {
	for _, c := range []struct {
		network string
		err     error
		want    string
	}{
		{"serial", uart.ErrUnplugged, "plug the adapter in"},
		{"tcp", io.EOF, "the other end has closed the connection"},
		{"unix", syscall.ECONNRESET, "the other end has closed the connection"},
		{"serial", stm32boot.ErrMisaligned, "a multiple of 4"},
		{"serial", stm32boot.ErrGaveUp, "--baud 19200"},
		{"serial", stm32boot.ErrWriteProtected, "ERASES ALL"},
	} {
		f := &flasher{at: endpoint{network: c.network}}
		wants(t, f.explain(t.Context(), new(journal), c.err).Error(), c.err.Error()+"\n  ", c.want)
	}
}

// TestFlashEndpointDies: the simulator goes away in the middle.
func TestFlashEndpointDies(t *testing.T) {
	for _, flag := range []string{"--tcp=127.0.0.1:0", "--pty"} {
		b := newBoard(t, flag, "--baud", "115200")
		image := filepath.Join(t.TempDir(), "image")
		mustWrite(t, image, pattern(60000))
		r := launch(t, b.args(image)...)
		r.log.waitFor(t, "write   60000 bytes")
		b.cancel()
		err := <-r.ended
		r.ended <- err
		if err == nil || exitCode(err) != 1 {
			t.Fatalf("%s: %v", flag, err)
		}
		wants(t, err.Error(), "write 0x0800", "\n  the ", "its first page is blank", "run the same command again")
	}
}

// TestFlashUnknownChip: a chip that the table does not have is flashed by its
// geometry.
func TestFlashUnknownChip(t *testing.T) {
	t.Parallel()
	image := filepath.Join(t.TempDir(), "image")
	mustWrite(t, image, pattern(3000))
	b := newBoard(t)
	out, log := must(t, b.args(image, "--chip", "size=64K,page=1K,align=2")...)
	wants(t, out, "wrote 3000 bytes, 3 pages, verified")
	wants(t, log, "as given by --chip, 64 KiB")
	err := new(flasher).explain(t.Context(), new(journal), stm32boot.ErrUnknownChip)
	wants(t, err.Error(), "unknown chip", "--chip size=64K,page=1K")
}

// TestFlashLines: the lines of a serial port as pins, which a pseudo terminal does
// not have.
func TestFlashLines(t *testing.T) {
	b := newBoard(t, "--pty")
	_, _, err := try(t, "flash", b.endpoint, "--rst", "dtr", "--boot0", "!rts", "--info")
	if !errors.Is(err, uart.ErrNotSupported) || exitCode(err) != 1 {
		t.Fatalf("%v", err)
	}
	wants(t, err.Error(), "--rst: ", "a pseudo terminal has none")
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("it says that more than once:\n%v", err)
	}
	var c uart.Config
	wiring{kind: "dtr"}.preset(&c, true)
	wiring{kind: "rts", invert: true}.preset(&c, true)
	if *c.InitialDTR || !*c.InitialRTS {
		t.Errorf("DTR %t, RTS %t", *c.InitialDTR, *c.InitialRTS)
	}
}

// TestFlashNobody: when nobody answers it says what to check.
func TestFlashNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct{ rst, boot0, want string }{
		{"", "", "is BOOT0 high, and was the chip reset since?"},
		{"x", "", "is BOOT0 high? Or wire it"},
		{"x", "x", "are --rst and --boot0 wired like that?"},
	} {
		f := &flasher{at: endpoint{network: "tcp"}, reset: wiring{kind: c.rst}, sel: wiring{kind: c.boot0}}
		wants(t, f.explain(t.Context(), new(journal), stm32boot.ErrNoSync).Error(), "no answer", c.want, "AN2606", "8E1")
	}
	addr := l.Addr().String()
	l.Close()
	if _, _, err := try(t, "flash", "tcp:"+addr, "--info"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
}

// TestFlashBadFiles: a file that is no firmware is refused before anything is
// opened: the endpoint does not exist.
func TestFlashBadFiles(t *testing.T) {
	dir := t.TempDir()
	hexText := hexFile(0x08000000, pattern(64))
	elfData := elfFile(0x08000000, pattern(64))
	mustWrite(t, filepath.Join(dir, "app"), pattern(64))
	must(t, "bundle", "create", "-o", filepath.Join(dir, "esp.zip"), "--platform", "esp32", "host_fw:src="+filepath.Join(dir, "app")+",addr=0x08000000")
	must(t, "bundle", "create", "-o", filepath.Join(dir, "far.zip"), "--platform", "ccm_host", "host_fw:src="+filepath.Join(dir, "app")+",addr=0x08020000")
	zip := mustRead(t, filepath.Join(dir, "far.zip"))
	for _, c := range []struct {
		name string
		data []byte
		args string
		want string
	}{
		{"empty.bin", nil, "", "the file is empty"},
		{"bad.hex", []byte("no hex"), "", "bad.hex: fwbundle: "},
		{"cut.hex", hexText[:60], "", "cut.hex: fwbundle: "},
		{"cut", hexText[:60], "", "cut: fwbundle: "},
		{"bad.elf", pattern(100), "", "bad.elf: fwbundle: "},
		{"cut.elf", elfData[:100], "", "cut.elf: fwbundle: "},
		{"x.s19", pattern(10), "", ".s19 files cannot be read"},
		{"cut.zip", zip[:len(zip)-1], "", "fwbundle: container: "},
		{"zip-named.bin", zip[:len(zip)-1], "", "fwbundle: container: "},
		{"bad.zip", pattern(100), "", "fwbundle: container: "},
		{"esp.zip", nil, "", `fwbundle: policy: "manifest.json": wrong platform`},
		{"far.zip", nil, "--chip 0x410", `fwbundle: policy: "app": part "host_fw"`},
		{"far.zip", nil, "--key " + filepath.Join(dir, "none"), "none: no such file"},
		{"far.zip", nil, "--sig-req-mask 0", "updates are locked"},
		{"far.zip", nil, "", "/no/such/port"}, // good: only now the port is opened
		{"none.bin", nil, "", "no such file"},
		{"fw.bin", pattern(8), "--state " + filepath.Join(dir, "app"), "app was not made by ccm flash"},
		{"fw.bin", pattern(8), "--state " + dir, dir + ": it is a directory"},
		{"fw.bin", pattern(8), "--state /no/such/state", "--state /no/such/state: the directory is missing"},
		{"fw.bin", pattern(8), "--state " + filepath.Join(dir, "app", "x"), "app is no directory"},
		{"esp.zip", nil, "", "ccm bundle create --platform"},
		{"far.zip", nil, "--sig-req-mask 1", "ccm bundle inspect shows the signatures"},
		{"bad.zip", pattern(100), "", "is it a bundle? If so it is damaged"},
		{"fw.bin", pattern(8), "--rst ctl:/no/such", "/no/such/port"},
		{"fw.bin", pattern(8), "--rst gpio:0/17 --boot0 gpio:0/27", "/no/such/port"},
	} {
		path := filepath.Join(dir, c.name)
		if c.data != nil || strings.HasPrefix(c.name, "empty") {
			mustWrite(t, path, c.data)
		}
		_, _, err := try(t, append([]string{"flash", "/no/such/port", path}, strings.Fields(c.args)...)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || exitCode(err) != 1 {
			t.Errorf("%s %s: %v, want %s", c.name, c.args, err, c.want)
		}
	}
}

// TestToolUsage: wrong arguments of the commands for firmware.
func TestToolUsage(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{"fw.bin": pattern(8), "fw.hex": hexFile(0x08000000, pattern(8))} {
		mustWrite(t, filepath.Join(dir, name), data)
	}
	t.Chdir(dir)
	for _, c := range []struct{ args, want string }{
		{"bundle nope", `unknown command "nope" (see ccm bundle --help)`},
		{"bundle verfy", "did you mean verify?"},
		{"bundle create", "-o is missing"},
		{"bundle create -o x", "PART is missing"},
		{"bundle create -o x -i a --manifest b", "give -i or --manifest, not both"},
		{"bundle create -o x nocolon", "nocolon"},
		{"bundle create -o x a:b", `a:b`},
		{"bundle create -o x a:fill=300", "fill"},
		{"bundle create -o x a:src=f,addr=0x90000000", "addr"},
		{"bundle create -o x --attr novalue a:src=f", "novalue"},
		{"bundle create -o x --extra-attr novalue a:src=f", "novalue"},
		{"bundle create -o x a:src=f" + strings.Repeat(" --sign-key k", 9), "--sign-key: at most 8"},
		{"bundle create --nope", "unknown flag"},
		{"bundle inspect", "FILE is missing"},
		{"bundle inspect a b", `unexpected argument "b"`},
		{"bundle verify", "FILE is missing"},
		{"bundle verify a --no-downgrade", "--no-downgrade needs --installed-version"},
		{"bundle verify a --key 8=f", "--key 8=f: there are slots 0 to 7"},
		{"bundle verify a --key 1=", "the file is missing"},
		{"bundle verify a --sig-req-mask x", "--sig-req-mask: want a number"},
		{"bundle verify a --sig-req-mask 0x10000", "--sig-req-mask: want a number"},
		{"bundle verify a --flash-size 5G", "want a number up to 32 bits"},
		{"bundle sign", "FILE is missing"},
		{"bundle sign a", "--key is missing"},
		{"bundle sign a --key 9=f", "there are slots 0 to 7"},

		{"sim nope", `unknown command "nope"`},
		{"sim stm32 x", `unexpected argument "x"`},
		{"sim stm32 --pty --tcp a:1", "give --pty or --tcp, not both"},
		{"sim stm32 --chip x", "want a product id such as 0x410"},
		{"sim stm32 --chip 0x999", "no chip has the id 0x999"},
		{"sim stm32 --flash-size 100", "--flash-size: 100 is no number of whole pages; 0x410 has pages 128 x 1 KiB"},
		{"sim stm32 --flash-size 129K", "--flash-size: chips with the id 0x410 have at most 128 KiB"},
		{"sim stm32 --rdp 3", "--rdp: want 0, 1 or 2, not 3"},
		{"sim stm32 --rdp -1", "--rdp: want 0, 1 or 2, not -1"},
		{"sim stm32 --tcp a", `--tcp: want HOST:PORT, such as 127.0.0.1:0, not "a"`},
		{"sim stm32 --baud -1", "--baud must not be negative"},

		{"flash", "ENDPOINT is missing"},
		{"flash tcp:h", "want tcp:HOST:PORT"},
		{"flash tcp:h:1", "FILE is missing (or --info"},
		{"flash tcp:h:1 a b", `unexpected argument "b"`},
		{"flash tcp:h:1 --changed-only --info", "--changed-only needs a FILE"},
		{"flash tcp:h:1 --state s --info", "--state needs a FILE"},
		{"flash tcp:h:1 --platform x --info", "--platform needs a FILE"},
		{"flash tcp:h:1 fw.bin --read x", "FILE and --read do not go together"},
		{"flash tcp:h:1 fw.bin --size 1", "--size is for --read"},
		{"flash tcp:h:1 --erase --read x", "--erase and --read do not go together"},
		{"flash tcp:h:1 fw.bin --erase --preserve", "--erase leaves nothing to preserve"},
		{"flash tcp:h:1 fw.bin --erase --changed-only", "--erase leaves nothing to preserve"},
		{"flash tcp:h:1 fw.bin --verify --no-verify", "give --verify or --no-verify, not both"},
		{"flash tcp:h:1 fw.bin --checksum --verify=false", "--checksum verifies"},
		{"flash tcp:h:1 fw.bin --dry-run --erase", "--dry-run changes nothing"},
		{"flash tcp:h:1 fw.bin --board 7", "--board is for --state"},
		{"flash tcp:h:1 fw.bin --latency -1s", "--latency must not be negative"},
		{"flash tcp:h:1 fw.bin --baud 9600", "--baud is for serial ports, not for tcp:h:1"},
		{"flash /dev/x fw.bin --baud 0", "--baud must be positive"},
		{"flash /dev/x fw.bin --rst dsr", `--rst: want dtr, rts, gpio:CHIP/LINE or ctl:PATH, with ! in front if an inverter is on the way, not "dsr"`},
		{"flash /dev/x fw.bin --rst gpio:17", "--rst: want CHIP/LINE, such as gpiochip0/17"},
		{"flash /dev/x fw.bin --boot0 gpio:soc/17", `--boot0: the chip "soc" is neither`},
		{"flash /dev/x fw.bin --rst gpio:0/17 --boot0 !gpio:0/17", "cannot be the same line"},
		{"flash /dev/x fw.bin --addr 0x08000002", "give a multiple of 4"},
		{"flash /dev/x fw.bin --boot0 ctl:", "--boot0: the path is missing"},
		{"flash tcp:h:1 fw.bin --rst dtr", "--rst dtr: tcp:h:1 has no such line"},
		{"flash /dev/x fw.bin --rst dtr --boot0 !dtr", "cannot be the same line"},
		{"flash /dev/x fw.bin --chip 0x12345", "--chip: want a product id"},
		{"flash /dev/x fw.bin --chip unknown", "nor a geometry such as size=64K,page=1K"},
		{"flash /dev/x fw.bin --chip size=64K", "size and page must be there"},
		{"flash /dev/x fw.bin --chip size=65K,page=2K", "size a multiple of page"},
		{"flash /dev/x fw.bin --chip colour=1", `unknown property "colour"`},
		{"flash /dev/x fw.bin --chip size=x,page=1", "size: want a number"},
		{"flash /dev/x fw.bin --chip size=64K,page=1K,align=3", "align must be"},
		{"flash /dev/x fw.bin --chip size=64K,page=1K,erased=1", "erased must be"},
		{"flash /dev/x fw.bin --chip size=64K,page=1K,start=0xfffff000", "behind the last address"},
		{"flash /dev/x fw.bin --chip size=1M,page=1,align=2", "more than 65536 pages"},
		{"flash /dev/x fw.hex --addr 0x08000000", "--addr is for plain bytes; a file of type HEX"},
		{"flash /dev/x fw.bin --no-downgrade --installed-version 1", "--installed-version is for bundles, and fw.bin is none"},
		{"flash /dev/x fw.bin --addr 08", "want a number up to 32 bits"},
	} {
		out, _, err := try(t, strings.Fields(c.args)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || exitCode(err) != 2 || out != "" {
			t.Errorf("%s:\n got %v, exit %d\nwant %s", c.args, err, exitCode(err), c.want)
		}
	}
}
