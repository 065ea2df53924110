package framing_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/ccmkit/ccmkit/framing"
)

// FuzzBLE runs operations on BLEIn and BLEOut, and on models of them that keep
// the announced length and the bytes so far. An operation is a byte that says
// which, a byte that says how many bytes it has, and these bytes.
func FuzzBLE(f *testing.F) {
	f.Add([]byte("\x00\x04\x00\x00\x00\x03\x02\x02ab\x02\x01c\x02\x01d"), byte(10))
	f.Add([]byte("\x00\x04\x00\x00\x00\x03\x01\x03\x02\x04abcd\x03\x00"), byte(2))
	f.Add([]byte("\x04\x05hello\x05\x00\x06\x01\x20\x06\x01\x20\x04\x01x\x07\x00"), byte(0))
	f.Add([]byte("\x04\x1e0123456789012345678901234567890\x06\x01\x17\x05\x00\x04\x00\x06\x00\x06\x00"), byte(0))
	f.Fuzz(func(t *testing.T, ops []byte, limit byte) {
		in := bleInModel{BLEIn: framing.BLEIn{MaxFrame: int(limit)}, limit: int(limit)}
		if limit == 0 {
			in.limit = framing.DefaultMaxFrame
		}
		var out bleOutModel
		for len(ops) >= 2 {
			op, n := ops[0], min(int(ops[1]), len(ops)-2)
			arg := ops[2 : 2+n : 2+n]
			ops = ops[2+n:]
			switch op % 8 {
			case 0: // as it came
				in.control(t, arg)
			case 1: // a length, most often in range
				in.control(t, []byte{0, 0, 0, byte(n)})
			case 2:
				in.data(t, arg)
			case 3:
				in.Reset()
				in.want, in.have = 0, nil
			case 4:
				out.put(t, arg)
			case 5:
				out.control(t)
			case 6:
				out.data(t, n)
			case 7:
				out.Reset()
				out.frame, out.pos = nil, 0
			}
			if m := in.want - len(in.have); in.Missing() != m {
				t.Fatalf("op %d: Missing %d, want %d", op%8, in.Missing(), m)
			}
			if out.Waiting() != len(out.frame) {
				t.Fatalf("op %d: Waiting %d, want %d", op%8, out.Waiting(), len(out.frame))
			}
		}
	})
}

type bleInModel struct {
	framing.BLEIn
	limit int
	want  int    // announced
	have  []byte // of the frame
}

func (m *bleInModel) control(t *testing.T, p []byte) {
	m.want, m.have = 0, nil
	var want error
	switch {
	case len(p) != 4:
		want = framing.ErrBLELength
	case uint64(binary.BigEndian.Uint32(p)) > uint64(m.limit):
		want = framing.ErrTooLong
	default:
		m.want = int(binary.BigEndian.Uint32(p))
	}
	if err := m.Control(p); !errors.Is(err, want) {
		t.Fatalf("Control(%x) = %v, want %v", p, err, want)
	}
}

func (m *bleInModel) data(t *testing.T, p []byte) {
	var want []byte
	var fault error
	m.have = append(m.have, p...)
	switch {
	case len(m.have) > m.want:
		m.want, m.have, fault = 0, nil, framing.ErrBLEExcess
	case len(p) > 0 && len(m.have) == m.want:
		want, m.want, m.have = m.have, 0, nil
	}
	got, err := m.Data(p)
	if !errors.Is(err, fault) || (got == nil) != (want == nil) || !bytes.Equal(got, want) || cap(got) != len(got) {
		t.Fatalf("Data(%q) = %q (cap %d), %v, want %q, %v", p, got, cap(got), err, want, fault)
	}
}

type bleOutModel struct {
	framing.BLEOut
	frame []byte // that waits
	pos   int    // bytes read of it
}

func (m *bleOutModel) put(t *testing.T, frame []byte) {
	var want error
	switch {
	case len(m.frame) > 0:
		want = framing.ErrBLEBusy
	case len(frame) == 0:
		want = framing.ErrBLELength
	default:
		m.frame, m.pos = bytes.Clone(frame), 0
	}
	err := m.Put(frame)
	for i := range frame {
		frame[i] ^= 0x55 // Put has copied it
	}
	if !errors.Is(err, want) {
		t.Fatalf("Put = %v, want %v", err, want)
	}
}

func (m *bleOutModel) control(t *testing.T) {
	m.pos = 0
	if n := m.Control(); binary.BigEndian.Uint32(n[:]) != uint32(len(m.frame)) {
		t.Fatalf("Control = %x, want %d", n, len(m.frame))
	}
}

func (m *bleOutModel) data(t *testing.T, mtu int) {
	end := min(len(m.frame), m.pos+max(mtu, 23)-2)
	want := m.frame[m.pos:end]
	if m.pos = end; end == len(m.frame) {
		m.frame, m.pos = nil, 0
	}
	if got := m.Data(mtu); !bytes.Equal(got, want) || cap(got) != len(got) {
		t.Fatalf("Data(%d) = %q (cap %d), want %q", mtu, got, cap(got), want)
	}
}
