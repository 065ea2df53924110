package fwbundle_test

import (
	"bytes"
	"debug/elf"
	"fmt"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/fwbundle"
)

// describe returns the segments of an image in hexadecimal.
func describe(m fwbundle.Image) string {
	var all []string
	for _, s := range m {
		if s.Data == nil {
			all = append(all, fmt.Sprintf("%08x: %d x %02x", s.Addr, s.Size, s.Fill))
		} else {
			all = append(all, fmt.Sprintf("%08x: %x", s.Addr, s.Data))
		}
	}
	return strings.Join(all, ", ")
}

// record returns a record of Intel HEX.
func record(kind byte, offset uint16, data ...byte) string {
	b := append([]byte{byte(len(data)), byte(offset >> 8), byte(offset), kind}, data...)
	sum := byte(0)
	for _, c := range b {
		sum -= c
	}
	return fmt.Sprintf(":%X\n", append(b, sum))
}

const hexEnd = ":00000001FF\n"

// TestHEX reads texts and faulty texts.
func TestHEX(t *testing.T) {
	base := record(4, 0, 0x08, 0x00)
	for _, c := range []struct{ name, text, want string }{
		{"one", base + record(0, 0x10, 1, 2) + hexEnd, "08000010: 0102"},
		{"adjacent", base + record(0, 0, 1) + record(0, 1, 2) + hexEnd, "08000000: 0102"},
		{"adjacent, not in order", base + record(0, 1, 2) + record(0, 0, 1) + record(0, 2, 3) + hexEnd, "08000000: 010203"},
		{"not in order", base + record(0, 0x20, 2) + record(0, 0x10, 1) + hexEnd, "08000010: 01, 08000020: 02"},
		{"across 64 KiB", base + record(0, 0xffff, 1, 2) + record(4, 0, 8, 1) + record(0, 1, 3) + hexEnd, "0800ffff: 010203"},
		{"no base", record(0, 0, 1) + hexEnd, "00000000: 01"},
		{"segment", record(2, 0, 0x12, 0x34) + record(0, 5, 1) + hexEnd, "00012345: 01"},
		{"start addresses", base + record(0, 0, 1) + record(3, 0, 0, 0, 0, 0) + record(5, 0, 8, 0, 1, 0x31) + hexEnd, "08000000: 01"},
		{"record without data", base + record(0, 5) + record(0, 0, 1) + hexEnd, "08000000: 01"},
		{"small letters", strings.ToLower(base + record(0, 0, 0xab) + hexEnd), "08000000: ab"},
		{"line ends", strings.NewReplacer("\n", "\r\n").Replace(base+record(0, 0, 1)) + "\r\n \t\r\r" + hexEnd + "\n\n", "08000000: 01"},
		{"no line end", base + record(0, 0, 1) + hexEnd[:11], "08000000: 01"},
		{"last byte", record(4, 0, 0xff, 0xff) + record(0, 0xffff, 1) + hexEnd, "ffffffff: 01"},

		{"nothing", "", "line 0: the text ends without an end record"},
		{"no data", hexEnd, "no data"},
		{"no end", base + record(0, 0, 1), "line 2: the text ends without an end record"},
		{"behind the end", base + record(0, 0, 1) + hexEnd + "\n" + record(0, 1, 1), "line 5: a record behind the end record"},
		{"no colon", base + "00000001FF\n", "line 2: a record begins with a colon"},
		{"too short", ":0000\n", "line 1: 5 characters are no record"},
		{"odd", ":00000001F\n", "line 1: 10 characters are no record"},
		{"too long", ":" + strings.Repeat("00", 261) + "\n", "line 1: 523 characters are no record"},
		{"no digit", ":0000000xFF\n", "line 1: a character is not a hexadecimal digit"},
		{"length", ":0200000001FD\n", "line 1: the record has 1 bytes of data, and says 2"},
		{"checksum", ":0100000001FF\n", "line 1: its checksum is FF, not FE"},
		{"type", record(6, 0), "line 1: unknown record type 6"},
		{"base of 3 bytes", record(4, 0, 1, 2, 3), "line 1: a record of type 4 has 3 bytes of data, not 2"},
		{"end with data", record(1, 0, 1), "line 1: a record of type 1 has 1 bytes of data, not 0"},
		{"beyond the last address", record(4, 0, 0xff, 0xff) + record(0, 0xffff, 1, 2) + hexEnd, "line 2: the data reaches beyond the last address"},
		{"wraps in the segment", record(2, 0, 0, 0) + record(0, 0xffff, 1, 2) + hexEnd, "line 2: the data wraps around the end of its segment"},
		{"overlap", base + record(0, 0, 1, 2, 3, 4) + record(0, 0x80, 9) + record(0, 3, 5) + hexEnd,
			"line 4: the data from here on overlaps that from line 2 on: 1 bytes at 0x08000003 overlap 4 bytes at 0x08000000"},
		{"the same twice", base + record(0, 0, 1, 2) + record(0, 8, 1) + record(0, 0, 3) + hexEnd, "line 4: the data from here on overlaps that from line 2 on"},
		{"overlap in the end", base + record(0, 8, 1, 2) + record(0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9) + hexEnd, "line 2: the data from here on overlaps that from line 3 on"},
	} {
		m, err := fwbundle.ParseHEX([]byte(c.text))
		if err == nil {
			if got := describe(m); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
		} else if want := "fwbundle: hex"; !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// TestVectorHEX reads the HEX files of the vectors.
func TestVectorHEX(t *testing.T) {
	count := func(n int) (b []byte) {
		for i := range n {
			b = append(b, byte(i))
		}
		return b
	}
	for name, want := range map[string]string{
		"fw/one.hex": fmt.Sprintf("08000000: %x", count(100)),
		"fw/two.hex": fmt.Sprintf("08000000: %x, 08010000: %x", count(64), count(32)),
	} {
		m, err := fwbundle.ParseImage(vector(t, name), 0)
		if got := describe(m); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

// program is a program header of an ELF file.
type program struct {
	kind, paddr, memory uint32
	data                []byte
}

// elfFile returns an ELF file with these program headers.
func elfFile(programs ...program) []byte {
	f := append([]byte("\x7fELF\x01\x01\x01"), make([]byte, 9)...)
	f = le.AppendUint16(le.AppendUint16(f, 2), 40)
	for _, v := range []uint32{1, 0x08000131, 52, 0, 0x05000200} {
		f = le.AppendUint32(f, v)
	}
	for _, v := range []int{52, 32, len(programs), 40, 0, 0} {
		f = le.AppendUint16(f, uint16(v))
	}
	at := uint32(len(f) + 32*len(programs))
	var data []byte
	for _, p := range programs {
		for _, v := range []uint32{p.kind, at + uint32(len(data)), p.paddr + 0x18000000, p.paddr, uint32(len(p.data)), max(p.memory, uint32(len(p.data))), 7, 4} {
			f = le.AppendUint32(f, v)
		}
		data = append(data, p.data...)
	}
	return append(f, data...)
}

// TestELF reads files and faulty files; package debug/elf understands the good ones
// in the same way.
func TestELF(t *testing.T) {
	text, vars := program{1, 0x08000000, 0, []byte{1, 2, 3, 4}}, program{1, 0x08000004, 100, []byte{5, 6}}
	good := elfFile(text, vars)
	edit := func(at int, v ...byte) []byte {
		f := bytes.Clone(good)
		copy(f[at:], v)
		return f
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"two", good, "08000000: 010203040506"},
		{"not in order, apart", elfFile(program{1, 0x08000100, 0, []byte{9}}, text), "08000000: 01020304, 08000100: 09"},
		{"others", elfFile(program{6, 0, 0, []byte{1}}, text, program{1, 0x20000000, 5000, nil}, program{0x70000001, 0, 0, []byte{1}}), "08000000: 01020304"},
		{"last byte", elfFile(program{1, 0xffffffff, 0, []byte{1}}), "ffffffff: 01"},

		{"cut in the header", good[:51], "51 bytes are less than a header"},
		{"64 bits", edit(4, 2), "not a 32-bit little-endian ELF file"},
		{"big endian", edit(5, 2), "not a 32-bit little-endian ELF file"},
		{"no executable", edit(16, 1), "offset 16: type 1 for machine 40"},
		{"no Arm", edit(18, 62), "offset 16: type 2 for machine 62"},
		{"header size", edit(42, 31), "offset 42: 2 program headers of 31 bytes"},
		{"too many headers", edit(44, 0xff, 0xff), "offset 42: 65535 program headers"},
		{"headers outside", edit(28, 0xff, 0xff, 0xff, 0xff), "offset 28: the program headers"},
		{"cut in the headers", good[:100], "offset 28: the program headers at 52 to 116 are outside the file"},
		{"cut in the data", good[:len(good)-1], "offset 84: program header 1: its data at 120 to 122 is outside the file"},
		{"data far outside", edit(52+4, 0xff, 0xff, 0xff, 0xff), "program header 0: its data"},
		{"size", edit(52+16, 0xff, 0xff, 0xff, 0xff), "program header 0: its data"},
		{"memory less than file", edit(52+20, 3, 0, 0, 0), "program header 0: 4 bytes in the file are more than 3 in memory"},
		{"overlap", elfFile(text, program{1, 0x08000003, 0, []byte{1}}), "1 bytes at 0x08000003 overlap 4 bytes at 0x08000000"},
		{"beyond the last address", elfFile(program{1, 0xffffffff, 0, []byte{1, 2}}), "2 bytes at 0xffffffff reach beyond the last address"},
		{"nothing", elfFile(), "no data"},
		{"no data", elfFile(program{1, 0x20000000, 5000, nil}), "no data"},
	} {
		m, err := fwbundle.ParseELF(c.file)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "fwbundle: elf: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
			continue
		}
		if got := describe(m); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		compareELF(t, c.file, m)
	}
}

// compareELF compares an image with what package debug/elf reads.
func compareELF(t testing.TB, file []byte, m fwbundle.Image) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		return // because of its sections, which do not matter
	}
	bytesOf := map[uint64]byte{}
	for _, s := range m {
		for i, b := range s.Data {
			bytesOf[uint64(s.Addr)+uint64(i)] = b
		}
	}
	total := 0
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD || p.Filesz == 0 {
			continue
		}
		data := make([]byte, p.Filesz)
		if _, err := p.ReadAt(data, 0); err != nil {
			t.Fatalf("debug/elf: %v", err)
		}
		for i, b := range data {
			if got, is := bytesOf[p.Paddr+uint64(i)]; !is || got != b {
				t.Fatalf("debug/elf has another byte at %#x", p.Paddr+uint64(i))
			}
		}
		total += len(data)
	}
	if total != m.Size() {
		t.Fatalf("%d bytes, debug/elf has %d", m.Size(), total)
	}
}

// TestParseImage knows formats by how they begin.
func TestParseImage(t *testing.T) {
	hexText := record(4, 0, 8, 0) + record(0, 0, 1) + hexEnd
	for _, c := range []struct{ name, data, want string }{
		{"HEX", hexText, "08000000: 01"},
		{"HEX behind blank lines", "\r\n\n " + hexText, "08000000: 01"},
		{"ELF", string(elfFile(program{1, 0x08000000, 0, []byte{1}})), "08000000: 01"},
		{"bytes", "\x01\x02", "08004000: 0102"},
		{"a colon is not yet HEX", ":0102 x", "08004000: 3a303130322078"},
		{"HEX that is cut", hexText[:20], "line 2: 4 characters are no record"},
		{"HEX with a wrong checksum", ":0100000001FF\n" + hexEnd, "line 1: its checksum"},
		{"zip", string(goodArchive().bytes()), "a zip archive, not an image"},
		{"nothing", "", "no data"},
	} {
		m, err := fwbundle.ParseImage([]byte(c.data), 0x08004000)
		if err == nil && describe(m) != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s, %v, want %s", c.name, describe(m), err, c.want)
		}
	}
	if _, err := fwbundle.ParseImage([]byte{1, 2}, 0xffffffff); err == nil {
		t.Error("bytes beyond the last address")
	}
}

// TestHEXLinear: the time and the memory that a text takes grow with its length,
// for the worst texts too.
func TestHEXLinear(t *testing.T) {
	for name, text := range map[string]string{
		"one byte a record, backwards": func() string {
			var b strings.Builder
			for i := 60000; i > 0; i -= 2 {
				b.WriteString(record(0, uint16(i), 1))
			}
			return b.String()
		}(),
		"adjacent pieces, backwards": func() string {
			var b strings.Builder
			for i := 60000; i > 0; i-- {
				b.WriteString(record(0, uint16(i), 1))
			}
			return b.String()
		}(),
	} {
		limitAllocs(t, allocated(func() {
			if _, err := fwbundle.ParseHEX([]byte(text + hexEnd)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}), uint64(40*len(text)))
	}
}

// TestELFShares: segments that share bytes of the file, so that a small file would
// be a large image, are refused before anything is copied.
func TestELFShares(t *testing.T) {
	const size, count = 256 << 10, 1000
	programs := make([]program, count)
	programs[0].data = firmware(size)
	f := elfFile(programs...)
	for i := range count {
		h := f[52+32*i:]
		le.PutUint32(h, 1)
		le.PutUint32(h[4:], 52+32*count)
		le.PutUint32(h[12:], uint32(size*i))
		le.PutUint32(h[16:], size)
		le.PutUint32(h[20:], size)
	}
	limitAllocs(t, allocated(func() {
		if m, err := fwbundle.ParseELF(f); err == nil || !strings.Contains(err.Error(), "program header 1") {
			t.Errorf("%d bytes of %d, %v", m.Size(), len(f), err)
		}
	}), 1<<20)
}

// TestELFHeaderInSegment: linkers put the headers of the file in front of code that
// does not begin at a page of theirs. They must not reach the flash.
func TestELFHeaderInSegment(t *testing.T) {
	f := elfFile(program{1, 0x08000000, 0, []byte{1, 2, 3, 4}})
	le.PutUint32(f[52+4:], 0)
	le.PutUint32(f[52+16:], uint32(len(f)))
	le.PutUint32(f[52+20:], uint32(len(f)))
	if m, err := fwbundle.ParseELF(f); err == nil || !strings.Contains(err.Error(), "offset 52: program header 0: it holds the headers of the file") {
		t.Errorf("%s, %v", describe(m), err)
	}
}
