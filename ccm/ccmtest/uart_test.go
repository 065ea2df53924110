package ccmtest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

var (
	_ framing.Port = (*ccmtest.End)(nil)
	_ interface {
		SetMode(uart.Mode) error
		Mode() uart.Mode
		SetDTR(bool) error
		SetRTS(bool) error
		Break(time.Duration) error
		Drain() error
		ResetInput() error
	} = (*uart.Port)(nil)
	_ interface {
		SetMode(uart.Mode) error
		Mode() uart.Mode
		SetDTR(bool) error
		SetRTS(bool) error
		Break(time.Duration) error
		Drain() error
		ResetInput() error
	} = (*ccmtest.End)(nil)
)

// readAll reads until nothing comes for a second.
func readAll(e *ccmtest.End) []byte {
	var all []byte
	for p := make([]byte, 4096); ; {
		e.SetReadDeadline(time.Now().Add(time.Second))
		n, err := e.Read(p)
		if err != nil {
			e.SetReadDeadline(time.Time{})
			return all
		}
		all = append(all, p[:n]...)
	}
}

// within reports whether two durations differ by no more than the rounding of
// one nanosecond a piece.
func within(got, want time.Duration, pieces int) bool {
	return got <= want && want-got <= time.Duration(pieces)
}

// TestPacing: the virtual time of every piece, at 10 and 11 bits a byte.
func TestPacing(t *testing.T) {
	for _, test := range []struct {
		mode uart.Mode
		bits int
	}{
		{uart.Mode8N1(9600), 10}, {uart.Mode8E1(9600), 11}, {uart.Mode8N1(115200), 10}, {uart.Mode8E1(115200), 11},
		{uart.Mode{Baud: 300, DataBits: 7, StopBits: uart.StopBits2}, 10},
		{uart.Mode{Baud: 2_000_000, Parity: uart.ParityOdd, StopBits: uart.StopBits2}, 12},
	} {
		t.Run(test.mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := ccmtest.NewUART(ccmtest.Line{Baud: 57600})
				for _, e := range []*ccmtest.End{u.Module(), u.Host()} {
					if err := e.SetMode(test.mode); err != nil {
						t.Fatal(err)
					}
				}
				start := time.Now()
				for i, n := range []int{1, 15, 16, 17, 1000} {
					began := time.Now()
					u.Module().Write(make([]byte, n))
					want := time.Duration(n*test.bits) * time.Second / time.Duration(test.mode.Baud)
					if got := time.Since(began); !within(got, want, n/16+1) {
						t.Errorf("write %d of %d bytes took %v, want %v", i, n, got, want)
					}
				}
				at, pieces := time.Duration(0), 0
				for _, e := range u.Trace() {
					if e.Kind != ccmtest.EventBytes {
						continue
					}
					at += time.Duration(len(e.Data)*test.bits) * time.Second / time.Duration(test.mode.Baud)
					if pieces++; !within(e.At, at, pieces) {
						t.Errorf("piece %d of %d bytes at %v, want %v", pieces, len(e.Data), e.At, at)
					}
				}
				if total := time.Duration(1049*test.bits) * time.Second / time.Duration(test.mode.Baud); !within(time.Since(start), total, pieces) {
					t.Errorf("1049 bytes took %v, want %v", time.Since(start), total)
				}
			})
		})
	}
}

// TestFaultRates: every kind of fault comes as often as asked, is counted, and
// is in the trace.
func TestFaultRates(t *testing.T) {
	const n, p = 400_000, 0.01
	for name, f := range map[string]ccmtest.Faults{
		"none": {}, "drop": {Drop: p}, "flip": {Flip: p}, "duplicate": {Duplicate: p}, "insert": {Insert: p},
		"break": {Break: p}, "all": ccmtest.Uniform(4 * p),
	} {
		t.Run(name, func(t *testing.T) {
			var u *ccmtest.UART
			var got []byte
			synctest.Test(t, func(t *testing.T) {
				u = ccmtest.NewUART(ccmtest.Line{Faults: f, Seed: 11})
				got = transfer(u, bytes.Repeat([]byte{0x55}, n))
			})
			s := u.Module().Stats()
			for _, c := range []struct {
				name  string
				p     float64
				count uint64
			}{
				{"dropped", f.Drop, s.Dropped}, {"flipped", f.Flip, s.Flipped}, {"duplicated", f.Duplicate, s.Duplicated},
				{"inserted", f.Insert, s.Inserted}, {"broken", f.Break, s.Broken},
			} {
				if want := c.p * n; float64(c.count) < want*0.93 || float64(c.count) > want*1.07 || c.p == 0 && c.count != 0 {
					t.Errorf("%s: %d of %d, want about %.0f", c.name, c.count, n, want)
				}
			}
			if s.Written != n || s.Delivered != n-s.Dropped+s.Duplicated+s.Inserted || uint64(len(got)) != s.Delivered || s.Overrun != 0 {
				t.Errorf("%d bytes arrived, counters %+v", len(got), s)
			}
			if !bytes.Equal(got, u.Bytes(ccmtest.Module)) {
				t.Error("the trace has other bytes")
			}
			if bytes.Count(got, []byte{0}) < int(s.Broken) || f == (ccmtest.Faults{}) != (s.Faults() == 0) {
				t.Errorf("%d NUL, %d faults", bytes.Count(got, []byte{0}), s.Faults())
			}
		})
	}
}

// transfer sends text from the module to the host and returns what arrives.
func transfer(u *ccmtest.UART, text []byte) []byte {
	var wg sync.WaitGroup
	var got []byte
	wg.Go(func() { got = readAll(u.Host()) })
	u.Module().Write(text)
	wg.Wait()
	return got
}

// TestSameSeedSameTrace is acceptance scenario 19: a session over a noisy line
// with a host that resets, twice with one seed and once with another.
func TestSameSeedSameTrace(t *testing.T) {
	session := func(seed uint64) (digest, text string) {
		synctest.Test(t, func(t *testing.T) {
			u := ccmtest.NewUART(ccmtest.Line{Baud: 115200, Seed: seed, Faults: ccmtest.Uniform(2e-3), Split: true})
			mcu := ccmtest.NewMCU(ccmtest.MCUOptions{BootTime: 20 * time.Millisecond, BootText: "boot\r\n", Chatter: 7 * time.Millisecond, Seed: seed})
			go mcu.Run(t.Context(), u.Host())
			c := jsonrpc.NewConn(framing.NewConn(u.Module(), nil), &jsonrpc.ConnOptions{FirstID: 1, CallTimeout: time.Second})
			go c.Run(t.Context())
			time.Sleep(30 * time.Millisecond)
			for i := range 100 {
				c.Call(t.Context(), nil, "Sum", "[%d,%d]", i, i)
				if i == 50 {
					time.Sleep(time.Microsecond) // not in an instant in which the host begins or ends a piece
					mcu.ResetAfter(0, 20)
				}
			}
			digest, text = u.Digest(), ccmtest.FormatTrace(u.Trace())
		})
		return digest, text
	}
	digest, text := session(7)
	for range 4 {
		if again, same := session(7); digest != again || text != same {
			t.Fatalf("the same seed gave another trace:\n%s", firstDifference(text, same))
		}
	}
	if other, _ := session(8); other == digest || len(digest) != 128 {
		t.Errorf("another seed gave the same trace, digest %q", digest)
	}
	if !strings.Contains(text, `host bytes "boot\r\n"`) {
		t.Errorf("no boot text in the trace:\n%.500s", text)
	}
}

func firstDifference(a, b string) string {
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(la), len(lb)) {
		if la[i] != lb[i] {
			return fmt.Sprintf("line %d:\n%s\n%s", i, la[i], lb[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(la), len(lb))
}

// TestSplitAndMerge: the sizes of reads.
func TestSplitAndMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := make([]byte, 1000)
		r := rand.New(rand.NewPCG(1, 1))
		for i := range text {
			text[i] = byte(r.Uint32())
		}
		sizes := func(l ccmtest.Line) (n []int, at []time.Duration) {
			u := ccmtest.NewUART(l)
			start := time.Now()
			go u.Module().Write(text)
			var got []byte
			for p := make([]byte, 4096); len(got) < len(text); {
				k, err := u.Host().Read(p)
				if err != nil {
					t.Fatal(err)
				}
				got, n, at = append(got, p[:k]...), append(n, k), append(at, time.Since(start))
			}
			if !bytes.Equal(got, text) {
				t.Error("other bytes")
			}
			return n, at
		}
		n, _ := sizes(ccmtest.Line{Baud: 9600})
		if slices.Max(n) != 16 || len(n) != 63 {
			t.Errorf("plain: %v", n)
		}
		n, _ = sizes(ccmtest.Line{Baud: 9600, Split: true, Seed: 3})
		if len(n) < 80 || slices.Min(n) != 1 || slices.Max(n) > 32 {
			t.Errorf("split: %v", n)
		}
		n, at := sizes(ccmtest.Line{Baud: 9600, Merge: 40 * time.Millisecond})
		if slices.Min(n[:len(n)-1]) < 32 {
			t.Errorf("merged: %v", n)
		}
		if d := at[0] - time.Second*160/9600; d != 40*time.Millisecond {
			t.Errorf("the first bytes were kept for %v", d)
		}
		n, _ = sizes(ccmtest.Line{Baud: 115200, Merge: 16 * time.Millisecond})
		if n[0] != 64 {
			t.Errorf("merged fast: %v", n)
		}
	})
}

// TestOverrun: a reader that is too slow loses bytes on a paced line, and holds
// up the writer on one that is not.
func TestOverrun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := ccmtest.NewUART(ccmtest.Line{Baud: 9600, HostBuffer: 64})
		u.Module().Write(bytes.Repeat([]byte("x"), 100))
		if got := len(readAll(u.Host())); got != 64 || u.Module().Stats().Overrun != 36 {
			t.Errorf("%d bytes, %+v", got, u.Module().Stats())
		}
		u.Host().Write(bytes.Repeat([]byte("x"), 1000))
		if got := len(readAll(u.Module())); got != 1000 {
			t.Errorf("%d bytes at the module", got)
		}

		u = ccmtest.NewUART(ccmtest.Line{HostBuffer: 64})
		done := make(chan error)
		go func() { _, err := u.Module().Write(make([]byte, 100)); done <- err }()
		synctest.Wait()
		if got := len(readAll(u.Host())); got != 100 || <-done != nil {
			t.Errorf("%d bytes", got)
		}
	})
}

// TestUnplug: what each side sees when an adapter is pulled and put back.
func TestUnplug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := ccmtest.NewUART(ccmtest.Line{Baud: 9600})
		p, err := u.OpenModule(t.Context())
		if err != nil || p != framing.Port(u.Module()) {
			t.Fatalf("open: %v, %v", p, err)
		}
		if _, err := u.OpenModule(t.Context()); !errors.Is(err, uart.ErrBusy) {
			t.Errorf("second open: %v", err)
		}
		read := make(chan error)
		go func() { _, err := p.Read(make([]byte, 1)); read <- err }()
		wrote := make(chan error)
		go func() { _, err := p.Write(make([]byte, 960)); wrote <- err }()
		time.Sleep(500 * time.Millisecond)
		u.Module().Unplug()
		for _, c := range []chan error{read, wrote} {
			if err := <-c; !errors.Is(err, uart.ErrUnplugged) {
				t.Errorf("in progress: %v", err)
			}
		}
		for op, do := range map[string]func() error{
			"read":         func() error { _, err := p.Read(make([]byte, 1)); return err },
			"write":        func() error { _, err := p.Write([]byte("x")); return err },
			"set deadline": func() error { return p.SetReadDeadline(time.Now()) },
			"set mode":     func() error { return u.Module().SetMode(uart.Mode{}) },
			"set DTR":      func() error { return u.Module().SetDTR(true) },
			"break":        func() error { return u.Module().Break(time.Millisecond) },
			"drain":        func() error { return u.Module().Drain() },
			"reset input":  func() error { return u.Module().ResetInput() },
		} {
			err := do()
			if pe, is := errors.AsType[*fs.PathError](err); !is || pe.Op != op || !errors.Is(err, uart.ErrUnplugged) {
				t.Errorf("%s: %v", op, err)
			}
		}
		if _, err := u.OpenModule(t.Context()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open without the adapter: %v", err)
		}
		if n := len(readAll(u.Host())); n != 480 {
			t.Errorf("the host got %d bytes", n)
		}
		if _, err := u.Host().Write([]byte("to nobody")); err != nil {
			t.Errorf("the host notices: %v", err)
		}
		p.Close()
		if _, err := u.Module().Write([]byte("x")); !errors.Is(err, uart.ErrClosed) {
			t.Errorf("a new port without the adapter: %v", err)
		}
		u.Module().Plug()
		p, err = u.OpenModule(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		u.Host().Write([]byte("again"))
		got := make([]byte, 9)
		if n, err := p.Read(got); string(got[:n]) != "again" || err != nil {
			t.Errorf("read %q, %v", got[:n], err)
		}
		kinds := []string{}
		for _, e := range u.Trace() {
			if e.Kind != ccmtest.EventBytes {
				kinds = append(kinds, e.Side.String()+" "+e.Kind.String()+fmt.Sprint(e.Level))
			}
		}
		if want := []string{"module plugfalse", "module closefalse", "module plugtrue"}; !slices.Equal(kinds, want) {
			t.Errorf("trace %q", kinds)
		}
	})
}

// TestClosed: errors after Close, and the next port.
func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := ccmtest.NewUART(ccmtest.Line{})
		e := u.Host()
		e.SetReadDeadline(time.Now().Add(time.Minute))
		start := time.Now()
		if _, err := e.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		} else if ne, is := errors.AsType[net.Error](err); is && !ne.Timeout() {
			t.Error("no timeout")
		}
		e.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { e.Close() })
		if _, err := e.Read(make([]byte, 1)); !errors.Is(err, uart.ErrClosed) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("read: %v", err)
		}
		if _, err := e.Write([]byte("x")); !errors.Is(err, uart.ErrClosed) {
			t.Errorf("write: %v", err)
		}
		if err := e.SetRTS(true); !errors.Is(err, uart.ErrClosed) {
			t.Errorf("RTS: %v", err)
		}
		if err := e.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if n, err := u.Module().Write([]byte("lost")); n != 4 || err != nil {
			t.Errorf("the other side: %d, %v", n, err)
		}
		next := u.Host()
		if next == e {
			t.Fatal("the same port")
		}
		u.Module().Write([]byte("kept"))
		if got := readAll(next); string(got) != "kept" {
			t.Errorf("the next port reads %q", got)
		}
	})
}

// TestStall: Write waits, and Close ends the wait.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := ccmtest.NewUART(ccmtest.Line{Baud: 9600})
		u.Module().Stall(true)
		time.AfterFunc(time.Hour, func() { u.Module().Stall(false) })
		start := time.Now()
		if _, err := u.Module().Write([]byte("0123456789")); err != nil || !within(time.Since(start)-time.Hour, 100*time.Second/9600, 1) {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		u.Module().Stall(true)
		time.AfterFunc(time.Hour, func() { u.Module().Close() })
		if _, err := u.Module().Write([]byte("x")); !errors.Is(err, uart.ErrClosed) {
			t.Errorf("%v", err)
		}
		u.Host().Write([]byte("y")) // the other direction does not care
		u.Module().Stall(false)
		if _, err := u.Module().Write([]byte("z")); err != nil {
			t.Error(err)
		}
		if got := readAll(u.Host()); string(got) != "0123456789z" {
			t.Errorf("got %q", got)
		}
	})
}

// TestBreak: a break reads as one NUL and takes its time.
func TestBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := ccmtest.NewUART(ccmtest.Line{Baud: 9600})
		start := time.Now()
		u.Host().Write([]byte("a"))
		u.Host().Break(100 * time.Millisecond)
		u.Host().Write([]byte("b"))
		if d := time.Since(start); !within(d, 100*time.Millisecond+20*time.Second/9600, 2) {
			t.Errorf("took %v", d)
		}
		if got := readAll(u.Module()); string(got) != "a\x00b" || u.Host().Stats().Broken != 1 {
			t.Errorf("got %q", got)
		}
	})
}

// TestControls: modes and pins are recorded, and OnControl hears of them.
func TestControls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []string
		u := ccmtest.NewUART(ccmtest.Line{OnControl: func(e ccmtest.Event) { heard = append(heard, e.String()) }})
		m := u.Module()
		time.Sleep(time.Second)
		m.SetRTS(true)
		m.SetDTR(true)
		time.Sleep(time.Second)
		m.SetDTR(false)
		m.SetMode(uart.Mode8E1(0))
		u.Host().SetMode(uart.Mode{Baud: 57600, Parity: uart.ParityEven})
		want := []string{
			"1.000000s module RTS true", "1.000000s module DTR true", "2.000000s module DTR false",
			"2.000000s module mode 115200 8E1", "2.000000s host mode 57600 8E1",
		}
		if !slices.Equal(heard, want) {
			t.Errorf("heard %q", heard)
		}
		if got := ccmtest.FormatTrace(u.Trace()); got != strings.Join(want, "\n")+"\n" {
			t.Errorf("trace:\n%s", got)
		}
		if dtr, rts := m.Lines(); dtr || !rts || m.Mode() != uart.Mode8E1(115200) {
			t.Errorf("DTR %v, RTS %v, %v", dtr, rts, m.Mode())
		}
		for _, bad := range []uart.Mode{{Baud: -1}, {DataBits: 9}, {Parity: 9}, {StopBits: uart.StopBits1_5}} {
			if err := m.SetMode(bad); !errors.Is(err, uart.ErrMode) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		time.Sleep(time.Second)
		m.SetRTS(false)
		if tr := u.Trace(); tr[len(tr)-1].At != 3*time.Second || tr[len(tr)-2].Side != ccmtest.Host {
			t.Errorf("not in the order of time:\n%s", ccmtest.FormatTrace(tr))
		}
		m.Write([]byte("x")) // without pacing modes do not matter
		if got := readAll(u.Host()); string(got) != "x" {
			t.Errorf("got %q", got)
		}
	})
}

// TestMismatch: what the sides read while their modes differ.
func TestMismatch(t *testing.T) {
	text := []byte(`{"id":1,"method":"Sum","params":[2,3]}` + "\n")
	for _, test := range []struct {
		from, to uart.Mode
		same     bool
	}{
		{uart.Mode8N1(115200), uart.Mode8N1(115200), true},
		{uart.Mode8N1(115200), uart.Mode8N1(119000), true}, // +3.3 %
		{uart.Mode8N1(115200), uart.Mode8N1(111500), true}, // -3.2 %
		{uart.Mode8N1(115200), uart.Mode8N1(124000), false},
		{uart.Mode8N1(115200), uart.Mode8N1(106000), false},
		{uart.Mode8N1(115200), uart.Mode8N1(57600), false},
		{uart.Mode8N1(9600), uart.Mode8N1(115200), false},
		{uart.Mode8N1(115200), uart.Mode8N1(9600), false},
		{uart.Mode8N1(115200), uart.Mode8E1(115200), false},
		{uart.Mode8E1(115200), uart.Mode8N1(115200), true}, // the parity bit looks like a stop bit or an error that nobody checks
		{uart.Mode{Baud: 9600, StopBits: uart.StopBits2}, uart.Mode8N1(9600), true},
		{uart.Mode{Baud: 9600, DataBits: 7}, uart.Mode8N1(9600), false},
		{uart.Mode{Baud: 9600, Parity: uart.ParityEven}, uart.Mode{Baud: 9600, Parity: uart.ParityOdd}, false},
		{uart.Mode{Baud: 9600, Parity: uart.ParityMark}, uart.Mode{Baud: 9600, StopBits: uart.StopBits2}, true},
	} {
		t.Run(test.from.String()+" to "+test.to.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := ccmtest.NewUART(ccmtest.Line{Baud: 9600})
				u.Module().SetMode(test.from)
				u.Host().SetMode(test.to)
				got := transfer(u, text)
				if bytes.Equal(got, text) != test.same {
					t.Errorf("got %q", got)
				}
				u.Host().SetMode(test.from)
				if got := transfer(u, text); !bytes.Equal(got, text) {
					t.Errorf("in the same mode: got %q", got)
				}
			})
		})
	}
	// At half the speed two bits look like one.
	synctest.Test(t, func(t *testing.T) {
		u := ccmtest.NewUART(ccmtest.Line{Baud: 9600})
		u.Host().SetMode(uart.Mode8N1(19200))
		if got := transfer(u, []byte{0x00}); len(got) != 1 || got[0] != 0x00 {
			t.Errorf("got % x", got)
		}
		if got := transfer(u, []byte{0xff}); len(got) != 1 || got[0] != 0xfe {
			t.Errorf("got % x", got)
		}
	})
}

// TestTraceBound: the trace forgets the oldest events of a side, the digest
// nothing.
func TestTraceBound(t *testing.T) {
	u := ccmtest.NewUART(ccmtest.Line{Trace: 10})
	for i := range 100 {
		fmt.Fprintf(u.Module(), "%02d", i)
	}
	u.Host().Write([]byte("h"))
	tr := u.Trace()
	if n := len(tr); n < 11 || n > 20 || string(tr[n-2].Data)+string(tr[n-1].Data) != "99h" {
		t.Errorf("%d events, the last %v", n, tr[n-2:])
	}
	first := u.Digest()
	u.Host().Write([]byte("h"))
	if u.Digest() == first {
		t.Error("the digest has not changed")
	}
	off := ccmtest.NewUART(ccmtest.Line{Trace: -1})
	off.Host().Write([]byte("h"))
	if len(off.Trace()) != 0 || off.Digest() != "" {
		t.Error("a trace, though it is off")
	}
	if s := ccmtest.EventKind(99).String() + ccmtest.EventKind(0).String(); s != "??" {
		t.Error(s)
	}
}

// TestUARTConcurrent is for the race detector.
func TestUARTConcurrent(t *testing.T) {
	u := ccmtest.NewUART(ccmtest.Line{Faults: ccmtest.Uniform(0.1), Split: true})
	var writers, readers sync.WaitGroup
	for _, e := range []func() *ccmtest.End{u.Module, u.Host} {
		readers.Go(func() {
			for p := make([]byte, 100); ; {
				if _, err := e().Read(p); errors.Is(err, io.EOF) || err != nil {
					return
				}
			}
		})
		writers.Go(func() {
			for i := range 300 {
				e().Write([]byte("hello"))
				e().SetFaults(ccmtest.Faults{Drop: 0.5})
				e().SetMode(uart.Mode8N1(9600 + i))
				e().SetDTR(i%2 == 0)
				e().Stats()
				u.Trace()
				u.Digest()
			}
		})
	}
	writers.Wait()
	u.Module().Close()
	u.Host().Close()
	readers.Wait()
}
