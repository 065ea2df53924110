package framing_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/internal/race"
)

func TestBLEIn(t *testing.T) {
	frame := frames[0]
	for piece := 1; piece <= len(frame); piece++ {
		in := &framing.BLEIn{MaxFrame: len(frame)}
		if err := in.Control([]byte{0, 0, 0, byte(len(frame))}); err != nil {
			t.Fatal(err)
		}
		for p := []byte(frame); len(p) > 0; {
			n := min(piece, len(p))
			got, err := in.Data(p[:n])
			if p = p[n:]; err != nil || (got != nil) != (len(p) == 0) {
				t.Fatalf("%d missing: %q, %v", len(p), got, err)
			}
			if len(p) == 0 && (string(got) != frame || cap(got) != len(got)) {
				t.Fatalf("got %q (cap %d)", got, cap(got))
			} else if got == nil && in.Missing() != len(p) {
				t.Fatalf("Missing %d, want %d", in.Missing(), len(p))
			}
		}
	}
}

func TestBLEInErrors(t *testing.T) {
	in := &framing.BLEIn{MaxFrame: 300}
	control := func(want error, p ...byte) {
		t.Helper()
		if err := in.Control(p); !errors.Is(err, want) {
			t.Errorf("Control(%x) = %v, want %v", p, err, want)
		}
	}
	data := func(want error, p string) string {
		t.Helper()
		f, err := in.Data([]byte(p))
		if !errors.Is(err, want) {
			t.Errorf("Data(%q) = %v, want %v", p, err, want)
		}
		return string(f)
	}
	data(framing.ErrBLEExcess, "x") // nothing announced
	data(nil, "")
	control(nil, 0, 0, 0, 3)
	data(nil, "ab")
	data(framing.ErrBLEExcess, "cd")
	data(framing.ErrBLEExcess, "c") // the frame is gone
	control(nil, 0, 0, 0, 3)
	data(nil, "ab")
	control(nil, 0, 0, 0, 3) // clears the partial frame
	if got := data(nil, "xyz"); got != "xyz" {
		t.Errorf("got %q", got)
	}
	data(framing.ErrBLEExcess, "x") // after a complete frame
	for _, bad := range [][]byte{{0, 0, 1, 45}, {0, 1, 0, 0}, {255, 255, 255, 255}} {
		control(framing.ErrTooLong, bad...)
		data(framing.ErrBLEExcess, "x")
	}
	for _, bad := range [][]byte{nil, {1}, {0, 0, 1}, {0, 0, 0, 1, 0}} {
		control(framing.ErrBLELength, bad...)
	}
	control(nil, 0, 0, 1, 44) // 300, the limit
	if got := data(nil, strings.Repeat("x", 300)); len(got) != 300 {
		t.Errorf("got %d bytes", len(got))
	}
	control(nil, 0, 0, 0, 3)
	control(nil, 0, 0, 0, 0)
	data(framing.ErrBLEExcess, "x")
	var zero framing.BLEIn
	if err := zero.Control([]byte{0, 0, 0x10, 0}); err != nil {
		t.Error(err)
	}
	if err := zero.Control([]byte{0, 0, 0x10, 1}); !errors.Is(err, framing.ErrTooLong) {
		t.Error(err)
	}
}

func TestBLEOut(t *testing.T) {
	var out framing.BLEOut
	if out.Control() != [4]byte{} || len(out.Data(100)) != 0 {
		t.Error("the zero value is not empty")
	}
	frame := bytes.Repeat([]byte("0123456789"), 30)
	if err := out.Put(frame); err != nil {
		t.Fatal(err)
	}
	if err := out.Put(frame); !errors.Is(err, framing.ErrBLEBusy) {
		t.Errorf("second frame: %v", err)
	}
	if n := out.Control(); n != [4]byte{0, 0, 1, 44} || out.Waiting() != 300 {
		t.Errorf("length %v", n)
	}
	if p := out.Data(102); !bytes.Equal(p, frame[:100]) || cap(p) != 100 {
		t.Errorf("first read %q", p)
	}
	if p := out.Data(0); !bytes.Equal(p, frame[100:121]) {
		t.Errorf("read with the smallest MTU %q", p)
	}
	out.Control() // rewinds
	var got []byte
	for i := 0; i < 3; i++ {
		got = append(got, out.Data(102)...)
	}
	if !bytes.Equal(got, frame) {
		t.Errorf("got %q", got)
	}
	if out.Control() != [4]byte{} || len(out.Data(100)) != 0 {
		t.Error("the frame is still there")
	}
	if err := out.Put([]byte("{}")); err != nil {
		t.Error(err)
	}
	out.Reset()
	if err := out.Put(nil); !errors.Is(err, framing.ErrBLELength) {
		t.Errorf("empty frame: %v", err)
	}
}

func TestBLERoundTrip(t *testing.T) {
	var in framing.BLEIn
	var out framing.BLEOut
	pass := func(frame []byte) {
		if err := out.Put(frame); err != nil {
			t.Fatal(err)
		}
		n := out.Control()
		if err := in.Control(n[:]); err != nil {
			t.Fatal(err)
		}
		for {
			got, err := in.Data(out.Data(50))
			if err != nil {
				t.Fatal(err)
			}
			if got != nil {
				if !bytes.Equal(got, frame) {
					t.Fatalf("got %q, want %q", got, frame)
				}
				return
			}
		}
	}
	for _, f := range frames {
		pass([]byte(f))
	}
	long := bytes.Repeat([]byte("x"), framing.DefaultMaxFrame)
	pass(long)
	if race.Enabled {
		return
	}
	if n := testing.AllocsPerRun(100, func() { pass(long) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
