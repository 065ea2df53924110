package stm32boot

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// oddPort is a port whose methods are given.
type oddPort struct {
	read     func(p []byte) (int, error)
	write    func(p []byte) (int, error)
	deadline error
}

func (o oddPort) Read(p []byte) (int, error)      { return o.read(p) }
func (o oddPort) Write(p []byte) (int, error)     { return o.write(p) }
func (o oddPort) SetReadDeadline(time.Time) error { return o.deadline }

// TestOddPorts: ports that break the rules end a command with an error that
// names the place, and never hang.
func TestOddPorts(t *testing.T) {
	all := func(p []byte) (int, error) { return len(p), nil }
	rows := []struct {
		name string
		port oddPort
		want error
		text string
	}{
		{"end of the stream", oddPort{func([]byte) (int, error) { return 0, io.EOF }, all, nil},
			io.EOF, "stm32boot: get id: command stage: read: EOF"},
		{"nothing and no error", oddPort{func([]byte) (int, error) { return 0, nil }, all, nil},
			errSpinning, "stm32boot: get id: command stage: read: port returns no bytes and no error"},
		{"short write", oddPort{nil, func(p []byte) (int, error) { return len(p) - 1, nil }, nil},
			io.ErrShortWrite, "stm32boot: get id: command stage: write: short write"},
		{"write fails", oddPort{nil, func([]byte) (int, error) { return 0, errBroken }, nil},
			errBroken, "stm32boot: get id: command stage: write: rom: port is broken"},
		{"no deadlines", oddPort{nil, all, errBroken},
			errBroken, "stm32boot: get id: command stage: read: rom: port is broken"},
	}
	for _, row := range rows {
		synctest.Test(t, func(t *testing.T) {
			_, err := idleClient(row.port, 0x410).GetID(t.Context())
			_, port := errors.AsType[*PortError](err)
			if !port || !errors.Is(err, row.want) || err.Error() != row.text {
				t.Errorf("%s: %v", row.name, err)
			}
		})
	}
}

// TestTricklingPort: a port that gives one byte at a time, with empty reads and
// time-outs in between, is as good as another.
func TestTricklingPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newROM(0x410)
		turn := 0
		port := struct{ oddPort }{oddPort{write: r.Write, read: func(p []byte) (int, error) {
			switch turn++; turn % 3 {
			case 0:
				return 0, nil
			case 1:
				r.deadline = time.Now().Add(time.Millisecond)
				return r.Read(p[:1])
			}
			time.Sleep(time.Millisecond)
			return 0, timeoutError{}
		}}}
		c := dial(t, Config{Port: port})
		if err := c.Read(t.Context(), 0x08000000, make([]byte, 300)); err != nil {
			t.Error(err)
		}
	})
}

// deadlinePort also limits writes.
type deadlinePort struct {
	*rom
	limit time.Time
}

func (d *deadlinePort) SetWriteDeadline(t time.Time) error { d.limit = t; return nil }

// TestWriteDeadline: where a port can limit writes, they are limited.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &deadlinePort{rom: newROM(0x410)}
		c := dial(t, Config{Port: p})
		if _, err := c.GetID(t.Context()); err != nil || time.Until(p.limit) <= time.Second {
			t.Errorf("limit in %v, %v", time.Until(p.limit), err)
		}
	})
}

// TestErrorTexts pins what users read.
func TestErrorTexts(t *testing.T) {
	at := Place{Command: CmdWrite, Stage: StageData, Addr: 0x08001000}
	nack := &NackError{Place{Command: CmdErase, Stage: StageCommand}}
	rows := []struct {
		err  error
		text string
		is   error
	}{
		{nack, "stm32boot: erase: command stage: refused (NACK)", nil},
		{&NackError{Place{CmdRead, StageAddress, 0x1FFF0000}}, "stm32boot: read 0x1FFF0000: address stage: refused (NACK)", ErrAddress},
		{&protectedError{nack}, "stm32boot: erase: command stage: refused (NACK): target is readout protected", ErrReadProtected},
		{&TimeoutError{at, 0, 1}, "stm32boot: write 0x08001000: data stage: timeout after 0 of 1 bytes", ErrTimeout},
		{&ReplyError{at, 0xFE, "neither ACK nor NACK"}, "stm32boot: write 0x08001000: data stage: neither ACK nor NACK (0xFE)", ErrReply},
		{&PortError{Op: "reset pin", Err: io.EOF}, "stm32boot: reset pin: EOF", io.EOF},
		{&VerifyError{0x08000004, 1, 2}, "stm32boot: verify failed at 0x08000004: want 0x01, got 0x02", ErrVerify},
	}
	for _, row := range rows {
		if row.err.Error() != row.text || row.is != nil && !errors.Is(row.err, row.is) {
			t.Errorf("%s\nwant %s, is %v", row.err, row.text, row.is)
		}
	}
	if errors.Is(nack, ErrAddress) || errors.Is(nack, ErrReadProtected) {
		t.Error("a refused command is more than that")
	}
	if !isTimeout(&TimeoutError{}) || isTimeout(context.Canceled) {
		t.Error("Timeout")
	}
	for text, name := range map[string]string{
		CommandName(0xA1): "checksum", CommandName(0x7F): "init", CommandName(0x5C): "command 0x5C",
		StageEnd.String(): "end", Stage(99).String(): "?", EventPage.String(): "page", EventKind(99).String(): "?",
	} {
		if text != name {
			t.Errorf("%q, want %q", text, name)
		}
	}
}
