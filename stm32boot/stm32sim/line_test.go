package stm32sim_test

import (
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/stm32boot"
	"github.com/ccmkit/ccmkit/stm32boot/stm32sim"
)

// bytesAt returns how long n bytes of 11 bits take.
func bytesAt(baud, n int) time.Duration {
	return time.Duration(n) * 11 * time.Second / time.Duration(baud)
}

// TestPace: a command takes its bytes and its turns, to the nanosecond.
func TestPace(t *testing.T) {
	const turn = time.Millisecond
	for _, baud := range []int{1200, 9600, 115200, 1000000} {
		synctest.Test(t, func(t *testing.T) {
			target, line, h := plug(t, stm32sim.Options{}, stm32sim.LineOptions{Baud: baud, Turnaround: turn})
			begin := time.Now()
			h.expect([]byte{stm32boot.Init}, ack)
			h.writeMemory(0x20000200, image(256))
			h.readMemory(0x20000200, 256)
			took := time.Since(begin)
			sent, received := 1+2+5+258+2+5+2, 1+3+2+257
			// Every write is rounded down to a nanosecond.
			if want := bytesAt(baud, sent+received) + 14*turn; took > want || took < want-100 {
				t.Errorf("%d baud: %v, want %v", baud, took, want)
			}
			s := line.Stats()
			if s.ToTarget.Written != uint64(sent) || s.ToClient.Written != uint64(received) || s.Turns != 14 {
				t.Errorf("%+v", s)
			}
			if ts := target.Stats(); ts.Received != uint64(sent) || ts.Sent != uint64(received) || ts.Turns != 14 || ts.Early != 0 {
				t.Errorf("%+v", ts)
			}
		})
	}
}

// TestBits: a line may be 8N1.
func TestBits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := stm32sim.NewLine(stm32sim.LineOptions{Baud: 1000, Bits: 10})
		defer line.Close()
		begin := time.Now()
		if _, err := line.Client().Write(make([]byte, 100)); err != nil || time.Since(begin) != time.Second {
			t.Errorf("%v, %v", time.Since(begin), err)
		}
	})
}

// TestTurnaround: it passes when the direction changes, not with every write.
func TestTurnaround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := stm32sim.NewLine(stm32sim.LineOptions{Turnaround: time.Millisecond})
		defer line.Close()
		begin := time.Now()
		for _, end := range []*stm32sim.End{line.Client(), line.Client(), line.Target(), line.Target(), line.Client()} {
			if _, err := end.Write([]byte{1}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took != 3*time.Millisecond || line.Stats().Turns != 3 {
			t.Errorf("%v, %d turns", took, line.Stats().Turns)
		}
	})
}

// TestTargetPace: a target on a port without a speed can take the time itself.
func TestTargetPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, h := plug(t, stm32sim.Options{Baud: 9600}, stm32sim.LineOptions{})
		begin := time.Now()
		h.expect([]byte{stm32boot.Init}, ack)
		h.writeMemory(0x20000200, image(256))
		if took, want := time.Since(begin), bytesAt(9600, 1+1+2+1+5+1+258+1); took > want || took < want-100 {
			t.Errorf("%v, want %v", took, want)
		}
	})
}

// TestWrongBaud: a speed that the target has not measured gives random bytes both
// ways; a reset helps.
func TestWrongBaud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, line, h := plug(t, stm32sim.Options{}, stm32sim.LineOptions{Baud: 115200, Seed: 1})
		h.expect([]byte{stm32boot.Init}, ack)
		if err := line.SetBaud(57600); err != nil {
			t.Fatal(err)
		}
		h.write(command(stm32boot.CmdGet)...)
		if got := h.within(len(getF103), silence); slices.Equal(got, getF103) {
			t.Error("it understands")
		}
		if s := line.Stats(); s.ToTarget.Garbled != 2 {
			t.Errorf("%+v", s)
		}
		pulse(target)
		h.expect([]byte{stm32boot.Init}, ack)
		h.expect(command(stm32boot.CmdGet), getF103...)
		if line.SetBaud(0) == nil {
			t.Error("0 baud is no error")
		}
	})
}

// TestFaultsAt: faults can depend on the speed.
func TestFaultsAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, line, h := plug(t, stm32sim.Options{}, stm32sim.LineOptions{
			Baud: 115200,
			FaultsAt: func(baud int) (toTarget, toClient stm32sim.Faults) {
				if baud > 57600 {
					toTarget.Drop = 1
				}
				return toTarget, toClient
			},
		})
		h.expect([]byte{stm32boot.Init})
		_ = line.SetBaud(57600)
		h.expect([]byte{stm32boot.Init}, ack)
		if s := line.Stats(); s.ToTarget.Dropped != 1 || s.ToTarget.Faults() != 1 || target.Stats().Received != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestLineFaults: the same seed makes the same faults, about as many as asked for.
func TestLineFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100_000
		carry := func(seed uint64) ([]byte, stm32sim.Traffic) {
			line := stm32sim.NewLine(stm32sim.LineOptions{Seed: seed, ToTarget: stm32sim.Uniform(0.01)})
			defer line.Close()
			go func() {
				_, _ = line.Client().Write(image(n))
				_ = line.Client().Close()
			}()
			got, err := io.ReadAll(line.Target())
			if err != nil {
				t.Fatal(err)
			}
			return got, line.Stats().ToTarget
		}
		a, s := carry(1)
		b, again := carry(1)
		c, _ := carry(2)
		if !slices.Equal(a, b) || s != again || slices.Equal(a, c) {
			t.Error("seeds do not make the faults")
		}
		for _, kind := range []uint64{s.Dropped, s.Flipped, s.Duplicated, s.Inserted} {
			if kind < 150 || kind > 350 {
				t.Errorf("%+v", s)
				break
			}
		}
		if s.Written != n || s.Delivered != uint64(len(a)) {
			t.Errorf("%+v, %d bytes", s, len(a))
		}
	})
}

// TestEnd has the errors of the ends of a line.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := stm32sim.NewLine(stm32sim.LineOptions{Baud: 9600})
		c, target := line.Client(), line.Target()
		timeout := func(what string, err error) {
			t.Helper()
			var e interface{ Timeout() bool }
			if !errors.As(err, &e) || !e.Timeout() {
				t.Errorf("%s: %v", what, err)
			}
		}
		_ = c.SetWriteDeadline(time.Now().Add(bytesAt(9600, 10)))
		n, err := c.Write(make([]byte, 20))
		timeout("write", err)
		if got, _ := target.Read(make([]byte, 20)); n != 10 || got != 10 {
			t.Errorf("%d of 10 bytes sent, %d arrived", n, got)
		}
		_, err = c.Write([]byte{1})
		timeout("write after the deadline", err)
		_ = c.SetWriteDeadline(time.Time{})
		_ = target.SetReadDeadline(time.Now().Add(time.Second))
		_, err = target.Read(make([]byte, 1))
		timeout("read", err)
		_ = target.SetReadDeadline(time.Time{})

		if n, err := c.Write(nil); n != 0 || err != nil {
			t.Errorf("write nothing: %d, %v", n, err)
		}
		_, _ = c.Write([]byte{1, 2, 3})
		_ = target.ResetInput()
		_, _ = c.Write([]byte{4})
		if b := make([]byte, 9); read(target, b) != 1 || b[0] != 4 {
			t.Errorf("after ResetInput: % X", b)
		}
		go func() {
			time.Sleep(bytesAt(9600, 5) + 1)
			_ = c.Close()
		}()
		n, err = c.Write(make([]byte, 20))
		if err != io.ErrClosedPipe || n != 5 {
			t.Errorf("write into Close: %d, %v", n, err)
		}
		if _, err := c.Write([]byte{1}); err != io.ErrClosedPipe {
			t.Errorf("write after Close: %v", err)
		}
		if _, err := c.Read([]byte{1}); err != io.ErrClosedPipe {
			t.Errorf("read after Close: %v", err)
		}
		if got, err := io.ReadAll(target); len(got) > 5 || err != nil {
			t.Errorf("the other end: %d bytes, %v", len(got), err)
		}
		if c.Close() != nil || line.Close() != nil {
			t.Error("Close fails the second time")
		}
	})
}

func read(r io.Reader, p []byte) int {
	n, _ := r.Read(p)
	return n
}

// TestResetCutsAnswer: what the target was sending when it was reset ends there.
func TestResetCutsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, _, h := plug(t, stm32sim.Options{Image: image(256)}, stm32sim.LineOptions{Baud: 9600})
		h.expect([]byte{stm32boot.Init}, ack)
		h.expect(command(cmdRead), ack)
		h.expect(address(start), ack)
		h.write(0xFF, 0x00)
		synctest.Wait() // the answer begins
		time.Sleep(bytesAt(9600, 100) + time.Microsecond)
		pulse(target)
		if got := h.within(257, silence); len(got) != 100 {
			t.Errorf("%d bytes came, want 100", len(got))
		}
		h.expect([]byte{stm32boot.Init}, ack)
	})
}

// TestEarly: bytes that do not wait for the answer before them are counted.
func TestEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, h := connect(t, stm32sim.Options{Image: image(256)})
		h.expect(slices.Concat(command(cmdRead), address(start), []byte{0, 0xFF}), ack, ack, ack, 0x5A)
		if s := target.Stats(); s.Early != 7+2 {
			t.Errorf("%d early bytes", s.Early)
		}
	})
}
