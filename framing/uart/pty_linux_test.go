package uart_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/testbed"
	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// open opens a port that the end of the test closes.
func open(t testing.TB, path string, cfg *uart.Config) *uart.Port {
	t.Helper()
	p, err := uart.Open(path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// onPTY opens a port on a pty and returns the far side too.
func onPTY(t testing.TB) (p *uart.Port, far *os.File) {
	t.Helper()
	far, path := testbed.PTY(t)
	return open(t, path, nil), far
}

// until sets a generous deadline, so that a broken test ends.
func until(t testing.TB, d time.Duration, ports ...interface{ SetReadDeadline(time.Time) error }) {
	t.Helper()
	for _, p := range ports {
		if err := p.SetReadDeadline(time.Now().Add(d)); err != nil {
			t.Fatal(err)
		}
	}
}

// expect reads data from r.
func expect(t *testing.T, r io.Reader, data []byte) {
	t.Helper()
	got := make([]byte, len(data))
	if n, err := io.ReadFull(r, got); err != nil {
		t.Fatalf("got %d of %d bytes: %v", n, len(data), err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("got %x, want %x", got, data)
	}
}

func TestPTYEveryByte(t *testing.T) {
	p, far := onPTY(t)
	until(t, 5*time.Second, p, far)
	data := make([]byte, 256)
	for i := range data {
		data[i] = byte(i)
	}
	if _, err := p.Write(data); err != nil {
		t.Fatal(err)
	}
	expect(t, far, data)
	if _, err := far.Write(data); err != nil {
		t.Fatal(err)
	}
	expect(t, p, data)
}

func TestPTYPairOfPorts(t *testing.T) {
	pathA, pathB := testbed.PTYPair(t)
	a, b := open(t, pathA, nil), open(t, pathB, nil)
	until(t, 10*time.Second, a, b)
	data := pattern(100_000)
	var wg sync.WaitGroup
	for _, pair := range [][2]*uart.Port{{a, b}, {b, a}} {
		wg.Go(func() {
			if n, err := pair[0].Write(data); n != len(data) || err != nil {
				t.Errorf("write: %d, %v", n, err)
			}
		})
		wg.Go(func() {
			got := make([]byte, len(data))
			if n, err := io.ReadFull(pair[1], got); err != nil || !bytes.Equal(got, data) {
				t.Errorf("read: %d, %v", n, err)
			}
		})
	}
	wg.Wait()
}

func TestPTYDeadline(t *testing.T) {
	p, far := onPTY(t)
	start := time.Now()
	until(t, 70*time.Millisecond, p)
	n, err := p.Read(make([]byte, 8))
	wantTimeout(t, n, err)
	if took := time.Since(start); took < 70*time.Millisecond {
		t.Errorf("timed out after %v", took)
	}
	if !strings.Contains(err.Error(), p.Path()) {
		t.Errorf("%q does not name the port", err)
	}
	if _, err := far.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	n, err = p.Read(make([]byte, 8)) // the deadline still holds
	wantTimeout(t, n, err)
	until(t, 5*time.Second, p)
	expect(t, p, []byte("late"))
}

func TestPTYCloseDuringRead(t *testing.T) {
	for _, deadline := range []time.Time{{}, time.Now().Add(time.Hour)} {
		p, _ := onPTY(t)
		if err := p.SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() {
			_, err := p.Read(make([]byte, 8))
			ended <- err
		}()
		time.Sleep(20 * time.Millisecond) // let it block; either order is right
		start := time.Now()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, uart.ErrClosed) || errors.Is(err, uart.ErrUnplugged) {
			t.Errorf("read: %v, want ErrClosed", err)
		}
		took := time.Since(start)
		t.Logf("Close and Read took %v", took)
		if took > uart.CloseWait/2 {
			t.Errorf("Close and Read took %v", took)
		}
	}
}

func TestPTYCloseDuringStuckWrite(t *testing.T) {
	p, far := onPTY(t)
	ended, read := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := p.Write(make([]byte, 1<<20)) // no one reads
		ended <- err
	}()
	go func() {
		_, err := p.Read(make([]byte, 8))
		read <- err
	}()
	time.Sleep(50 * time.Millisecond)
	start := time.Now()
	err := p.Close()
	took := time.Since(start)
	t.Logf("Close took %v", took)
	if !errors.Is(err, uart.ErrStuckWrite) || took > uart.CloseWait+time.Second {
		t.Errorf("close: %v after %v, want ErrStuckWrite after %v", err, took, uart.CloseWait)
	}
	for _, c := range []chan error{ended, read} {
		if err := <-c; !errors.Is(err, uart.ErrClosed) {
			t.Errorf("%v, want ErrClosed", err)
		}
	}
	if p.StuckWrites() != 1 {
		t.Errorf("%d stuck writes, want 1", p.StuckWrites())
	}
	until(t, 5*time.Second, far)
	go func() { _, _ = io.Copy(io.Discard, struct{ io.Reader }{far}) }()
	eventually(t, "the stuck write ends", func() bool { return p.StuckWrites() == 0 })
	_ = far.Close()
}

// A call on a closed port must not reach the file that got its descriptor.
func TestPTYUseAfterCloseLeavesOtherFilesAlone(t *testing.T) {
	_, path := testbed.PTY(t)
	before := descriptors(t)
	p, err := uart.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	used := descriptors(t) - before
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	for i := range used { // takes the descriptors the port had
		f, err := os.Create(filepath.Join(t.TempDir(), string(rune('a'+i))))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	wantClosed(t, p)
	for _, f := range files {
		if info, err := f.Stat(); err != nil || info.Size() != 0 {
			t.Errorf("%s has %d bytes, %v", f.Name(), info.Size(), err)
		}
	}
}

// descriptors returns the number of open files of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestPTYUnplug(t *testing.T) {
	p, far := onPTY(t)
	ended := make(chan error)
	go func() {
		_, err := p.Read(make([]byte, 8))
		ended <- err
	}()
	time.Sleep(10 * time.Millisecond)
	_ = far.Close()
	err := <-ended
	port, ok := errors.AsType[*serial.PortError](err)
	if !errors.Is(err, uart.ErrUnplugged) || errors.Is(err, uart.ErrClosed) || !ok || port.Code() != serial.PortClosed {
		t.Errorf("read in progress: %v, want ErrUnplugged", err)
	}
	if _, err := p.Read(make([]byte, 8)); !errors.Is(err, uart.ErrUnplugged) {
		t.Errorf("next read: %v, want ErrUnplugged", err)
	}
	if _, err := p.Write([]byte("x")); !errors.Is(err, uart.ErrUnplugged) || !errors.Is(err, syscall.EIO) {
		t.Errorf("write: %v, want ErrUnplugged and EIO", err)
	}
	if err := p.SetMode(uart.Mode8E1(9600)); !errors.Is(err, uart.ErrUnplugged) {
		t.Errorf("set mode: %v, want ErrUnplugged", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wantClosed(t, p)
}

// A write that is stuck ends when the device goes away.
func TestPTYUnplugFreesStuckWrite(t *testing.T) {
	p, far := onPTY(t)
	ended := make(chan error)
	var n int
	go func() {
		var err error
		n, err = p.Write(make([]byte, 1<<20))
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond)
	_ = far.Close()
	if err := <-ended; !errors.Is(err, uart.ErrUnplugged) || n == 0 || n == 1<<20 {
		t.Errorf("write: %d, %v; want a part and ErrUnplugged", n, err)
	}
}

func TestPTYReopen(t *testing.T) {
	far, path := testbed.PTY(t)
	start := descriptors(t)
	for i := range 100 {
		p, err := uart.Open(path, nil)
		if err != nil {
			t.Fatalf("open %d: %v", i, err)
		}
		until(t, 5*time.Second, p, far)
		message := []byte{byte(i), 0, 255}
		if _, err := p.Write(message); err != nil {
			t.Fatal(err)
		}
		expect(t, far, message)
		if _, err := far.Write(message); err != nil {
			t.Fatal(err)
		}
		expect(t, p, message)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if now := descriptors(t); now != start {
		t.Errorf("%d files open, %d before", now, start)
	}
}

func TestPTYConcurrent(t *testing.T) {
	for range 20 {
		p, far := onPTY(t)
		until(t, 5*time.Second, far)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.Copy(io.Discard, struct{ io.Reader }{far}) })
		wg.Go(func() {
			for _, err := far.Write(pattern(50)); err == nil; _, err = far.Write(pattern(50)) {
			}
		})
		for range 2 {
			wg.Go(func() {
				b := make([]byte, 100)
				for _, err := p.Read(b); !errors.Is(err, uart.ErrClosed); _, err = p.Read(b) {
				}
			})
			wg.Go(func() {
				for _, err := p.Write(pattern(300)); err == nil; _, err = p.Write(pattern(300)) {
				}
			})
			wg.Go(func() {
				for p.SetReadDeadline(time.Now().Add(time.Millisecond)) == nil {
					_ = p.SetMode(uart.Mode8E1(9600))
					_ = p.ResetInput()
					_ = p.SetDTR(true)
				}
			})
		}
		time.Sleep(5 * time.Millisecond)
		for range 3 {
			wg.Go(func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() { _ = p.Close(); _ = far.Close() })
		wg.Wait()
	}
}

// termios returns the kernel's settings of a pty.
func termios(t *testing.T, far *os.File) (settings *unix.Termios) {
	t.Helper()
	raw, err := far.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) { settings, failed = unix.IoctlGetTermios(int(fd), unix.TCGETS2) })
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return settings
}

// The kernel's settings follow SetMode. Parity and data bits cannot be seen on
// a pty: TestSetModePassesEveryField looks at the calls instead.
func TestPTYSetMode(t *testing.T) {
	p, far := onPTY(t)
	for _, mode := range []uart.Mode{
		{}, uart.Mode8E1(57600), uart.Mode8N1(74880), {Baud: 9600, StopBits: uart.StopBits2},
		uart.Mode8N1(921600), {Baud: 1234567, Parity: uart.ParityOdd}, uart.Mode8N1(115200),
	} {
		if err := p.SetMode(mode); err != nil {
			t.Fatalf("%v: %v", mode, err)
		}
		settings := termios(t, far)
		want := uart.Mode8N1(mode.Baud)
		if mode.Baud == 0 {
			want.Baud = uart.DefaultBaud
		}
		if int(settings.Ospeed) != want.Baud {
			t.Errorf("%v: the kernel has %d baud", mode, settings.Ospeed)
		}
		if two := settings.Cflag&unix.CSTOPB != 0; two != (mode.StopBits == uart.StopBits2) {
			t.Errorf("%v: two stop bits: %v", mode, two)
		}
	}
}

func TestPTYSetModeDropsInput(t *testing.T) {
	p, far := onPTY(t)
	if _, err := far.Write([]byte("old")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	if err := p.SetMode(uart.Mode8E1(115200)); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	until(t, 5*time.Second, p)
	expect(t, p, []byte("new"))
}

// The library waits for input and reads then. When the input is thrown away in
// between, the read must come back, or Close would wait for it for ever.
func TestPTYResetInputDuringRead(t *testing.T) {
	p, far := onPTY(t)
	for _, mode := range []uart.Mode{{}, uart.Mode8E1(74880)} {
		if cc := termios(t, far).Cc; cc[unix.VMIN] != 0 || cc[unix.VTIME] != 0 {
			t.Errorf("VMIN %d, VTIME %d, want 0", cc[unix.VMIN], cc[unix.VTIME])
		}
		if err := p.SetMode(mode); err != nil {
			t.Fatal(err)
		}
	}
	type result struct {
		n   int
		err error
	}
	got := make(chan result)
	rounds := 1000
	if testing.Short() {
		rounds = 200
	}
	for range rounds {
		until(t, 2*time.Millisecond, p)
		go func() {
			n, err := p.Read(make([]byte, 16))
			got <- result{n, err}
		}()
		if _, err := far.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := p.ResetInput(); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case r := <-got:
			if r.n == 0 {
				wantTimeout(t, r.n, r.err)
			}
		case <-time.After(5 * time.Second):
			_ = far.Close()
			t.Fatal("the read is stuck in the kernel")
		}
	}
}

// A device that is there but only ever gives empty reads counts as gone, in
// the end.
func TestPTYEmptyReads(t *testing.T) {
	_, path := testbed.PTY(t)
	library, err := serial.Open(path, &serial.Mode{})
	if err != nil {
		t.Fatal(err)
	}
	_ = library.Close()
	_, end := library.Read(make([]byte, 1)) // the library's error for an end
	p, dev := newFake(t)
	empty := 3
	dev.read = func(b []byte) (int, error) {
		if empty--; empty >= 0 {
			return 0, end
		}
		return copy(b, "data"), nil
	}
	for range 2 {
		if n, err := p.Read(make([]byte, 8)); n != 4 || err != nil {
			t.Errorf("read: %d, %v", n, err)
		}
		empty = uart.MaxEmpty
	}
	empty = uart.MaxEmpty + 1
	if n, err := p.Read(make([]byte, 8)); n != 0 || !errors.Is(err, uart.ErrUnplugged) {
		t.Errorf("read: %d, %v; want ErrUnplugged", n, err)
	}
}

func TestPTYOtherCalls(t *testing.T) {
	p, _ := onPTY(t)
	if err := errors.Join(p.Drain(), p.Break(time.Millisecond), p.ResetInput(), p.ResetOutput()); err != nil {
		t.Error(err)
	}
	if err := p.DTR().Set(false); !errors.Is(err, uart.ErrNotSupported) || !errors.Is(err, syscall.ENOTTY) {
		t.Errorf("DTR of a pty: %v, want ErrNotSupported and ENOTTY", err)
	}
}

func TestOpenMode(t *testing.T) {
	for _, baud := range []int{9600, 74880, 230400} {
		far, path := testbed.PTY(t)
		p := open(t, path, &uart.Config{Mode: uart.Mode{Baud: baud, StopBits: uart.StopBits2}})
		settings := termios(t, far)
		if int(settings.Ospeed) != baud || settings.Cflag&unix.CSTOPB == 0 || p.Mode().Baud != baud {
			t.Errorf("%v: the kernel has %d baud, flags %x", p, settings.Ospeed, settings.Cflag)
		}
	}
}

func TestOpenInitialLevelsOnPTY(t *testing.T) {
	_, path := testbed.PTY(t)
	open(t, path, &uart.Config{InitialDTR: new(false), InitialRTS: new(false)})
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		want       []error
	}{
		{"missing", filepath.Join(dir, "ttyUSB9"), []error{fs.ErrNotExist, syscall.ENOENT}},
		{"no path", "", []error{fs.ErrNotExist}},
		{"file", file, []error{uart.ErrNotSerial, syscall.ENOTTY}},
		{"directory", dir, []error{syscall.EISDIR}},
		{"other device", "/dev/null", []error{uart.ErrNotSerial, syscall.ENOTTY}},
		{"path with NUL", "/dev/tty\x00S0", []error{syscall.EINVAL}},
	}
	for _, test := range tests {
		before := descriptors(t)
		p, err := uart.Open(test.path, nil)
		if err == nil || p != nil {
			t.Fatalf("%s: opened", test.name)
		}
		for _, want := range test.want {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", test.name, err, want)
			}
		}
		if pe, ok := errors.AsType[*fs.PathError](err); !ok || pe.Path != test.path || pe.Op != "open" {
			t.Errorf("%s: %v does not name the port", test.name, err)
		}
		if after := descriptors(t); after != before {
			t.Errorf("%s: %d files open, %d before", test.name, after, before)
		}
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "content" {
		t.Errorf("the file has changed: %q, %v", content, err)
	}
}

func TestOpenBusy(t *testing.T) {
	_, path := testbed.PTY(t)
	first := open(t, path, nil)
	for range 2 {
		if _, err := uart.Open(path, nil); !errors.Is(err, uart.ErrBusy) || !strings.Contains(err.Error(), path) {
			t.Errorf("second open: %v, want ErrBusy that names the port", err)
		}
	}
	link := filepath.Join(t.TempDir(), "by-id")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := uart.Open(link, nil); !errors.Is(err, uart.ErrBusy) {
		t.Errorf("open by another name: %v, want ErrBusy", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := open(t, path, nil)
	_ = second.Close()
}

// Another program that locks the device in the same manner keeps us out.
func TestOpenBusyElsewhere(t *testing.T) {
	_, path := testbed.PTY(t)
	other, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal("lock the device:", err)
	}
	if _, err := uart.Open(path, nil); !errors.Is(err, uart.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	open(t, path, &uart.Config{NoLock: true})
}

// A program started while the port is open must not keep the line open.
func TestOpenNotInherited(t *testing.T) {
	_, path := testbed.PTY(t)
	open(t, path, nil)
	found := 0
	for fd := 3; fd < 1024; fd++ {
		target, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		if err != nil || target != path {
			continue
		}
		found++
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d of the port goes to child processes (%v)", fd, err)
		}
	}
	if found < 3 { // the test's, the lock's and the library's
		t.Errorf("only %d descriptors found", found)
	}
}

func TestOpenTooManyFiles(t *testing.T) {
	_, path := testbed.PTY(t)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < 1200 {
		testbed.Missing(t, "descriptors", fmt.Errorf("1200 of them, and only %d are allowed", limit.Cur))
	}
	for range 1024 {
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	before := descriptors(t)
	if _, err := uart.Open(path, nil); !errors.Is(err, uart.ErrTooManyFiles) {
		t.Errorf("got %v, want ErrTooManyFiles", err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d files open, %d before", after, before)
	}
}
