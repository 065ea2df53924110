package stm32boot_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/stm32boot"
)

func records() []stm32boot.State {
	return []stm32boot.State{
		{Step: stm32boot.StepErase, ProductID: 0x410},
		{Step: stm32boot.StepWrite, ProductID: 0x415, UID: "3A0021", Image: stm32boot.Digest{1, 2, 3}, Next: 0x08004000},
		{Step: stm32boot.StepWrite, ProductID: 0x415, Next: 0x08004000, ErasedAll: true},
		{Step: stm32boot.StepVerify, UID: strings.Repeat("x", 255), Preserved: []stm32boot.Segment{
			{Addr: 0x08000010, Data: []byte{1, 2, 3}}, {Addr: 0x08000100, Data: []byte{4}},
		}},
		{Step: stm32boot.StepDone, Pages: []stm32boot.PageSum{{Addr: 0x08000000, Sum: [16]byte{9}}, {Addr: 0x08000400}}},
	}
}

func TestStateRoundTrip(t *testing.T) {
	for _, s := range records() {
		b, _ := s.AppendBinary([]byte("before"))
		got, err := stm32boot.ParseState(b[6:])
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%+v is %+v, %v", s, got, err)
		}
	}
	if s, err := stm32boot.ParseState(nil); err != nil || s.Step != 0 {
		t.Errorf("nothing is %+v, %v", s, err)
	}
	small, _ := (&stm32boot.State{Step: stm32boot.StepWrite}).AppendBinary(nil)
	if len(small) > 64 {
		t.Errorf("a record while writing has %d bytes", len(small))
	}
}

// TestStateDamage: no truncation and no changed byte goes unnoticed.
func TestStateDamage(t *testing.T) {
	for _, s := range records() {
		b, _ := s.AppendBinary(nil)
		if _, err := stm32boot.ParseState(sealed(append(bytes.Clone(b[:len(b)-4]), 0))); !errors.Is(err, stm32boot.ErrRecord) {
			t.Fatalf("a byte more: %v", err)
		}
		for i := range b {
			c := bytes.Clone(b)
			c[i] ^= 0x20
			if _, err := stm32boot.ParseState(c); !errors.Is(err, stm32boot.ErrRecord) {
				t.Fatalf("byte %d changed: %v", i, err)
			}
			if _, err := stm32boot.ParseState(sealed(b[:i])); i < len(b)-4 && !errors.Is(err, stm32boot.ErrRecord) {
				t.Fatalf("cut at %d and sealed: %v", i, err)
			}
			if _, err := stm32boot.ParseState(b[:i]); i > 0 && !errors.Is(err, stm32boot.ErrRecord) {
				t.Fatalf("cut at %d: %v", i, err)
			}
		}
	}
}

// FuzzState: what is parsed comes out the same when it is written again.
func FuzzState(f *testing.F) {
	for _, s := range records() {
		b, _ := s.AppendBinary(nil)
		f.Add(b[:len(b)-4])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b := sealed(body)
		s, err := stm32boot.ParseState(b)
		if err != nil {
			return
		}
		if again, _ := s.AppendBinary(nil); !bytes.Equal(again, b) {
			t.Errorf("% X\nis %+v\nis % X", b, s, again)
		}
	})
}

// sealed appends the checksum of a record.
func sealed(body []byte) []byte {
	return binary.LittleEndian.AppendUint32(bytes.Clone(body), crc32.ChecksumIEEE(body))
}
