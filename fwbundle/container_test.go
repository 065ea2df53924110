package fwbundle_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/fwbundle"
)

// containerCase breaks a rule of spec/security.md 7.2, or does not.
type containerCase struct {
	name  string
	stage fwbundle.Stage // 0: accepted
	edit  func(z *zipArchive)
}

// fw returns the entry with the firmware.
func (z *zipArchive) fw() *zipEntry { return &z.entries[1] }

// add adds an entry that no part names.
func (z *zipArchive) add(e zipEntry) { z.entries = append(z.entries, e) }

// put16 and put32 return an edit of a header.
func put16(at int, v uint16) func([]byte) { return func(h []byte) { le.PutUint16(h[at:], v) } }
func put32(at int, v uint32) func([]byte) { return func(h []byte) { le.PutUint32(h[at:], v) } }

// both edits a word of the local and of the central header, where it is 2 bytes
// further.
func (e *zipEntry) both(at int, v uint16) { e.editLocal, e.editHeader = put16(at, v), put16(at+2, v) }

// badDescriptor changes a byte of the descriptor.
func badDescriptor(e *zipEntry, length, at int) {
	e.deflate, e.descriptor = true, length
	e.editDescriptor = func(d []byte) { d[min(at, len(d)-1)]++ }
}

// unix sets the mode of an entry that was made on Unix.
func unix(mode uint32) func([]byte) {
	return func(h []byte) { h[5] = 3; le.PutUint32(h[38:], mode<<16) }
}

var eocd = "PK\x05\x06"

const (
	container = fwbundle.StageContainer
	names     = fwbundle.StageNames
	limits    = fwbundle.StageLimits
)

var containerCases = []containerCase{
	{"good", 0, func(z *zipArchive) {}},
	{"central directory in another order", 0, func(z *zipArchive) { z.reverse = true }},
	{"manifest last", 0, func(z *zipArchive) { z.entries[0], z.entries[1] = z.entries[1], z.entries[0] }},
	{"all deflated", 0, func(z *zipArchive) { z.entries[0].deflate, z.fw().deflate = true, true }},
	{"deflated, descriptor", 0, func(z *zipArchive) { z.fw().deflate, z.fw().descriptor = true, 16 }},
	{"deflated, descriptor without signature", 0, func(z *zipArchive) { z.fw().deflate, z.fw().descriptor = true, 12 }},
	{"stored, descriptor, sizes known", 0, func(z *zipArchive) { z.fw().descriptor, z.fw().known = 16, true }},
	{"stored, descriptor, sizes unknown", 0, func(z *zipArchive) { z.fw().descriptor = 12 }},
	{"unreferenced file", 0, func(z *zipArchive) { z.add(zipEntry{name: "README", data: []byte("hello")}) }},
	{"unreferenced empty file", 0, func(z *zipArchive) { z.add(zipEntry{name: "EMPTY", data: []byte{}}) }},
	{"directory", 0, func(z *zipArchive) {
		z.entries = append([]zipEntry{{name: "fw/", editHeader: unix(0o40755)}}, z.entries...)
	}},
	{"directories deep", 0, func(z *zipArchive) { z.entries[0].name, z.fw().name = "a/b/c/manifest.json", "d/e/FW.BIN" }},
	{"regular file of Unix", 0, func(z *zipArchive) { z.fw().editHeader = unix(0o100644) }},
	{"comment", 0, func(z *zipArchive) { z.comment = "made by hand" }},
	{"longest comment", 0, func(z *zipArchive) { z.comment = strings.Repeat("x", 65535) }},
	{"comment of an entry", 0, func(z *zipArchive) {
		z.fw().editHeader, z.fw().comment = put16(32, 5), "hello"
	}},
	{"unknown extra fields", 0, func(z *zipArchive) { z.fw().extra = []byte{0x55, 0x54, 5, 0, 3, 1, 2, 3, 4, 0x75, 0x78, 0, 0} }},
	{"times", 0, func(z *zipArchive) {
		z.fw().editLocal, z.fw().editHeader = put32(10, 0x5a5a5a5a), put32(12, 0x5a5a5a5a)
	}},
	{"zip64 sizes", 0, func(z *zipArchive) { z.fw().zip64 = true }},
	{"zip64 sizes, offset and volume", 0, func(z *zipArchive) { z.fw().zip64, z.fw().zip64All = true, true }},
	{"zip64 descriptor", 0, func(z *zipArchive) { z.fw().zip64, z.fw().deflate, z.fw().descriptor = true, true, 24 }},
	{"zip64 descriptor without signature", 0, func(z *zipArchive) { z.fw().zip64, z.fw().deflate, z.fw().descriptor = true, true, 20 }},
	{"zip64 end", 0, func(z *zipArchive) { z.zip64 = true }},
	{"zip64 end in full", 0, func(z *zipArchive) {
		z.zip64, z.edit = true, func(e []byte) { copy(e[8:20], bytes.Repeat([]byte{0xff}, 12)) }
	}},
	{"name of 255 bytes", 0, func(z *zipArchive) { z.add(zipEntry{name: strings.Repeat("n", 255)}) }},
	{"64 entries", 0, func(z *zipArchive) { fillUp(z, 64) }},

	{"empty", container, func(z *zipArchive) { z.entries = nil }},
	{"no manifest", container, func(z *zipArchive) { z.entries = z.entries[1:] }},
	{"bytes before the first entry", container, func(z *zipArchive) { z.before = []byte("#!/bin/sh\n") }},
	{"bytes between entries", container, func(z *zipArchive) { z.entries[0].behind = []byte{0} }},
	{"bytes before the directory", container, func(z *zipArchive) { z.fw().behind = []byte("xx") }},
	{"bytes behind the end", container, func(z *zipArchive) { z.after = []byte{0} }},
	{"comment too short", container, func(z *zipArchive) { z.comment = "abc"; z.edit = put16(20, 4) }},
	{"comment too long", container, func(z *zipArchive) { z.comment = "abc"; z.edit = put16(20, 2) }},
	{"end record in the comment", container, func(z *zipArchive) { z.comment = eocd + strings.Repeat("\x00", 18) }},
	{"end signature in the comment", container, func(z *zipArchive) { z.comment = "x" + eocd }},
	{"end signature in the second file", container, func(z *zipArchive) { z.add(zipEntry{name: "X", data: []byte("12" + eocd + "34")}) }},
	{"two archives", container, func(z *zipArchive) { z.after = goodArchive().bytes() }},
	{"archive in front", container, func(z *zipArchive) { z.before = goodArchive().bytes() }},
	{"entry missing in the directory", container, func(z *zipArchive) { z.edit = func(e []byte) { le.PutUint16(e[8:], 1); le.PutUint16(e[10:], 1) } }},
	{"one entry too many", container, func(z *zipArchive) { z.edit = func(e []byte) { le.PutUint16(e[8:], 3); le.PutUint16(e[10:], 3) } }},
	{"entry counts differ", container, func(z *zipArchive) { z.edit = put16(8, 1) }},
	{"volume of the end", container, func(z *zipArchive) { z.edit = put16(4, 1) }},
	{"volume of the directory", container, func(z *zipArchive) { z.edit = put16(6, 1) }},
	{"volume of an entry", container, func(z *zipArchive) { z.fw().editHeader = put16(34, 1) }},
	{"directory size", container, func(z *zipArchive) { z.edit = func(e []byte) { e[12]++ } }},
	{"directory offset", container, func(z *zipArchive) { z.edit = func(e []byte) { e[16]-- } }},
	{"directory offset far away", container, func(z *zipArchive) { z.edit = put32(16, 0xfffffff0) }},
	{"zip64 end differs", container, func(z *zipArchive) { z.zip64, z.edit64 = true, func(e []byte) { e[24]++ } }},
	{"zip64 end in full differs", container, func(z *zipArchive) {
		z.zip64, z.edit64 = true, func(e []byte) { e[40]++ }
		z.edit = func(e []byte) { copy(e[8:20], bytes.Repeat([]byte{0xff}, 12)) }
	}},
	{"zip64 locator elsewhere", container, func(z *zipArchive) { z.zip64, z.edit64 = true, func(e []byte) { e[56+8]++ } }},
	{"zip64 end of another length", container, func(z *zipArchive) { z.zip64, z.edit64 = true, func(e []byte) { e[4]++ } }},
	{"zip64 missing", container, func(z *zipArchive) { z.edit = put32(12, 0xffffffff) }},
	{"encrypted", container, func(z *zipArchive) { z.fw().both(6, 1) }},
	{"strongly encrypted", container, func(z *zipArchive) { z.fw().both(6, 0x40) }},
	{"hidden header", container, func(z *zipArchive) { z.fw().both(6, 0x2000) }},
	{"patch", container, func(z *zipArchive) { z.fw().both(6, 0x20) }},
	{"method", container, func(z *zipArchive) { z.fw().both(8, 12) }},
	{"method of the local header", container, func(z *zipArchive) { z.fw().editLocal = put16(8, 8) }},
	{"flags of the local header", container, func(z *zipArchive) { z.fw().editLocal = put16(6, 0x800) }},
	{"name of the local header", container, func(z *zipArchive) { z.fw().localName = "FW.BIX" }},
	{"CRC of the local header", container, func(z *zipArchive) { z.fw().editLocal = put32(14, 1) }},
	{"zero CRC of the local header", container, func(z *zipArchive) { z.fw().editLocal = put32(14, 0) }},
	{"size of the local header", container, func(z *zipArchive) { z.fw().editLocal = put32(22, 1023) }},
	{"zero size of the local header", container, func(z *zipArchive) { z.fw().editLocal = put32(22, 0) }},
	{"wrong size beside a descriptor", container, func(z *zipArchive) {
		z.fw().deflate, z.fw().descriptor, z.fw().editLocal = true, 16, put32(22, 1023)
	}},
	{"CRC", container, func(z *zipArchive) { z.fw().editLocal, z.fw().editHeader = put32(14, 1), put32(16, 1) }},
	{"CRC of an unreferenced file", container, func(z *zipArchive) {
		z.add(zipEntry{name: "X", data: []byte("x"), editLocal: put32(14, 1), editHeader: put32(16, 1)})
	}},
	{"no local header", container, func(z *zipArchive) { z.fw().editLocal = func(h []byte) { h[0] = 'Q' } }},
	{"offset of an entry", container, func(z *zipArchive) { z.fw().editHeader = func(h []byte) { h[42]++ } }},
	{"offset in the directory", container, func(z *zipArchive) { z.fw().editHeader = put32(42, 5000) }},
	{"two entries in one place", container, func(z *zipArchive) { z.add(zipEntry{name: "X", editHeader: put32(42, 0)}) }},
	{"overlap", container, func(z *zipArchive) {
		z.fw().editLocal = func(h []byte) { le.PutUint32(h[18:], 1025); le.PutUint32(h[22:], 1025) }
		z.fw().editHeader = func(h []byte) { le.PutUint32(h[20:], 1025); le.PutUint32(h[24:], 1025) }
	}},
	{"shorter than its data", container, func(z *zipArchive) {
		z.fw().editLocal = func(h []byte) { le.PutUint32(h[18:], 1023); le.PutUint32(h[22:], 1023) }
		z.fw().editHeader = func(h []byte) { le.PutUint32(h[20:], 1023); le.PutUint32(h[24:], 1023) }
	}},
	{"descriptor missing", container, func(z *zipArchive) { z.fw().both(6, 8) }},
	{"descriptor of 12 bytes, another CRC", container, func(z *zipArchive) { badDescriptor(z.fw(), 12, 0) }},
	{"descriptor of 12 bytes, another packed size", container, func(z *zipArchive) { badDescriptor(z.fw(), 12, 4) }},
	{"descriptor of 12 bytes, another size", container, func(z *zipArchive) { badDescriptor(z.fw(), 12, 8) }},
	{"descriptor of 16 bytes, another CRC", container, func(z *zipArchive) { badDescriptor(z.fw(), 16, 4) }},
	{"descriptor of 16 bytes, another packed size", container, func(z *zipArchive) { badDescriptor(z.fw(), 16, 8) }},
	{"descriptor of 16 bytes, another size", container, func(z *zipArchive) { badDescriptor(z.fw(), 16, 12) }},
	{"descriptor of 24 bytes, another CRC", container, func(z *zipArchive) { z.fw().zip64 = true; badDescriptor(z.fw(), 24, 4) }},
	{"descriptor of 24 bytes, another packed size", container, func(z *zipArchive) { z.fw().zip64 = true; badDescriptor(z.fw(), 24, 8) }},
	{"descriptor of 24 bytes, another size", container, func(z *zipArchive) { z.fw().zip64 = true; badDescriptor(z.fw(), 24, 16) }},
	{"descriptor without its signature", container, func(z *zipArchive) { badDescriptor(z.fw(), 16, 0) }},
	{"byte behind a descriptor", container, func(z *zipArchive) { z.fw().deflate, z.fw().descriptor, z.fw().behind = true, 16, []byte{0} }},
	{"descriptor with another length", container, func(z *zipArchive) { z.fw().deflate, z.fw().descriptor = true, 20 }},
	{"compressed data damaged", container, func(z *zipArchive) {
		z.fw().deflate, z.fw().packed = true, append([]byte{0xff}, deflate(goodFirmware)[1:]...)
	}},
	{"compressed data cut", container, func(z *zipArchive) {
		z.fw().deflate, z.fw().packed = true, deflate(goodFirmware)[:500]
	}},
	{"bytes behind compressed data", container, func(z *zipArchive) {
		z.fw().deflate, z.fw().packed = true, append(deflate(goodFirmware), 0)
	}},
	{"compressed data shorter", container, func(z *zipArchive) { z.fw().deflate, z.fw().packed = true, deflate(goodFirmware[:1023]) }},
	{"extra field no chain", container, func(z *zipArchive) { z.fw().extra = []byte{1, 2, 3} }},
	{"extra record too long", container, func(z *zipArchive) { z.fw().extra = []byte{0x55, 0x54, 5, 0, 1} }},
	{"extra record one byte too long", container, func(z *zipArchive) { z.fw().extra = []byte{0x55, 0x54, 2, 0, 1} }},
	{"extra field of the local header no chain", container, func(z *zipArchive) { z.fw().localExtra = []byte{0x55, 0x54, 5, 0, 1} }},
	{"extra record 0x293a in the local header only", container, func(z *zipArchive) { z.entries[0].localExtra = []byte{0x3a, 0x29, 2, 0, '{', '}'} }},
	{"extra records 0x293a differ", container, func(z *zipArchive) {
		z.entries[0].extra = []byte{0x3a, 0x29, 2, 0, '{', '}'}
		z.entries[0].localExtra = []byte{0x3a, 0x29, 3, 0, '{', '}', ' '}
	}},
	{"two extra records 0x293a", container, func(z *zipArchive) {
		z.entries[0].extra = []byte{0x3a, 0x29, 2, 0, '{', '}', 0x3a, 0x29, 2, 0, '{', '}'}
	}},
	{"zip64 record too short", container, func(z *zipArchive) {
		z.fw().extra = append([]byte{1, 0, 8, 0}, make([]byte, 8)...)
		z.fw().editLocal, z.fw().editHeader = put32(18, 0xffffffff), put32(20, 0xffffffff)
	}},

	{"zip64 record too short for both", container, func(z *zipArchive) {
		z.fw().extra = append([]byte{1, 0, 8, 0}, make([]byte, 8)...)
		z.fw().editHeader = func(h []byte) { copy(h[20:28], bytes.Repeat([]byte{0xff}, 8)) }
	}},
	{"zip64 record too long", container, func(z *zipArchive) { z.fw().extra = append([]byte{1, 0, 32, 0}, make([]byte, 32)...) }},
	{"two zip64 records", container, func(z *zipArchive) { z.fw().zip64, z.fw().extra = true, []byte{1, 0, 0, 0} }},
	{"volume in the zip64 record", container, func(z *zipArchive) {
		z.fw().extra = []byte{1, 0, 4, 0, 1, 0, 0, 0}
		z.fw().editHeader = put16(34, 0xffff)
	}},
	{"zip64 end without its signature", container, func(z *zipArchive) {
		z.zip64, z.edit64 = true, func(e []byte) { e[0] = 'X' }
	}},
	{"zip64 end in the comment of an entry", container, func(z *zipArchive) {
		end := goodArchive()
		end.zip64 = true
		data := end.bytes()
		hidden := data[len(data)-22-76 : len(data)-22]
		z.fw().editHeader, z.fw().comment = put16(32, uint16(len(hidden))), string(hidden)
	}},
	{"zip64 locator in an extra field", container, func(z *zipArchive) {
		locator := make([]byte, 20)
		le.PutUint32(locator, 0x07064b50)
		z.fw().extra = append([]byte{0x55, 0x54, 20, 0}, locator...)
	}},
	{"zip64 sizes of the local header beside others", container, func(z *zipArchive) {
		z.fw().zip64, z.fw().editLocal = true, put32(18, 1023)
	}},
	{"zip64 size of the local header beside another", container, func(z *zipArchive) {
		z.fw().zip64, z.fw().editLocal = true, put32(22, 1023)
	}},
	{"zip64 end, another number of entries on this volume", container, func(z *zipArchive) { z.zip64, z.edit = true, put16(8, 1) }},
	{"zip64 directory that wraps around", container, func(z *zipArchive) {
		z.zip64, z.edit = true, func(e []byte) { copy(e[8:20], bytes.Repeat([]byte{0xff}, 12)) }
		z.edit64 = func(e []byte) {
			le.PutUint64(e[40:], le.Uint64(e[40:])+le.Uint64(e[48:])+16)
			le.PutUint64(e[48:], 1<<64-16)
		}
	}},
	{"zip64 locator of another volume", container, func(z *zipArchive) { z.zip64, z.edit64 = true, func(e []byte) { e[56+4]++ } }},
	{"zip64 locator of two volumes", container, func(z *zipArchive) { z.zip64, z.edit64 = true, func(e []byte) { e[56+16]++ } }},
	{"descriptor with signature, of a CRC that looks like it", 0, func(z *zipArchive) {
		z.add(zipEntry{name: "X", data: []byte("\xac\x0a\x7a\xd5"), deflate: true, descriptor: 16})
	}},
	{"extra record of the local header one byte too long", container, func(z *zipArchive) { z.fw().localExtra = []byte{0x55, 0x54, 2, 0, 1} }},
	{"zip64 sizes of the local header beside equal ones", 0, func(z *zipArchive) {
		z.fw().zip64, z.fw().editLocal = true, put32(18, 1024)
	}},

	{"extra record of 8 KiB and one", limits, func(z *zipArchive) {
		z.entries[0].extra = append([]byte{0x3a, 0x29, 1, 0x20}, make([]byte, 0x2001)...)
	}},
	{"name of 256 bytes", limits, func(z *zipArchive) { z.add(zipEntry{name: strings.Repeat("n", 256)}) }},
	{"65 entries", limits, func(z *zipArchive) { fillUp(z, 65) }},
	{"manifest of 64 KiB and one", limits, func(z *zipArchive) {
		m := &z.entries[0]
		m.data = append(m.data, bytes.Repeat([]byte{' '}, 64<<10+1-len(m.data))...)
		m.deflate = true
	}},
	{"declares 4 GiB", limits, func(z *zipArchive) {
		z.fw().editLocal = func(h []byte) { copy(h[18:26], bytes.Repeat([]byte{0xfe}, 8)) }
		z.fw().editHeader = func(h []byte) { copy(h[20:28], bytes.Repeat([]byte{0xfe}, 8)) }
	}},
	{"declares 4 GiB packed", limits, func(z *zipArchive) {
		z.fw().deflate = true
		z.fw().editLocal, z.fw().editHeader = put32(18, 0xfefefefe), put32(20, 0xfefefefe)
	}},
	{"inflates to one byte more", limits, func(z *zipArchive) {
		z.fw().deflate, z.fw().packed = true, deflate(append(bytes.Clone(goodFirmware), 0))
	}},

	{"empty name", names, func(z *zipArchive) { z.add(zipEntry{name: ""}) }},
	{"name not UTF-8", names, func(z *zipArchive) { z.add(zipEntry{name: "a\xff"}) }},
	{"NUL in the name", names, func(z *zipArchive) { z.add(zipEntry{name: "FW.BIN\x00.txt"}) }},
	{"backslash in the name", names, func(z *zipArchive) { z.add(zipEntry{name: `..\evil`}) }},
	{"absolute name", names, func(z *zipArchive) { z.add(zipEntry{name: "/etc/passwd"}) }},
	{"drive letter", names, func(z *zipArchive) { z.add(zipEntry{name: "C:evil"}) }},
	{"..", names, func(z *zipArchive) { z.add(zipEntry{name: ".."}) }},
	{".. in front", names, func(z *zipArchive) { z.add(zipEntry{name: "../x"}) }},
	{".. inside", names, func(z *zipArchive) { z.add(zipEntry{name: "a/../x"}) }},
	{".. of a directory", names, func(z *zipArchive) { z.add(zipEntry{name: "a/../"}) }},
	{"dots that are none of these", 0, func(z *zipArchive) { z.add(zipEntry{name: "...a/..b/c.."}) }},
	{"two entries of one name", names, func(z *zipArchive) { z.add(*z.fw()) }},
	{"two manifests", names, func(z *zipArchive) { z.add(z.entries[0]) }},
	{"two files of one base name", names, func(z *zipArchive) { z.add(zipEntry{name: "old/FW.BIN", data: goodFirmware}) }},
	{"two manifests in directories", names, func(z *zipArchive) { z.add(zipEntry{name: "a/manifest.json", data: []byte("{}")}) }},
	{"two directories of one name", names, func(z *zipArchive) { z.add(zipEntry{name: "d/"}); z.add(zipEntry{name: "d/"}) }},
	{"directory with content", names, func(z *zipArchive) { z.add(zipEntry{name: "d/", data: []byte("x")}) }},
	{"directory with content and a descriptor", names, func(z *zipArchive) {
		z.add(zipEntry{name: "d/", data: []byte("x"), deflate: true, descriptor: 16})
	}},
	{"directory with nothing, deflated, and a descriptor", 0, func(z *zipArchive) {
		z.add(zipEntry{name: "d/", data: []byte{}, deflate: true, descriptor: 16})
	}},
	{"symbolic link", names, func(z *zipArchive) { z.fw().editHeader = unix(0o120777) }},
	{"symbolic link of macOS", names, func(z *zipArchive) {
		z.fw().editHeader = func(h []byte) { unix(0o120777)(h); h[5] = 19 }
	}},
	{"file with the mode of a directory", names, func(z *zipArchive) { z.fw().editHeader = unix(0o40755) }},
	{"device", names, func(z *zipArchive) { z.fw().editHeader = unix(0o60600) }},
	{"pipe", names, func(z *zipArchive) { z.fw().editHeader = unix(0o10600) }},
	{"socket", names, func(z *zipArchive) { z.fw().editHeader = unix(0o140600) }},
	{"symbolic link not of Unix", 0, func(z *zipArchive) { z.fw().editHeader = put32(38, 0o120777<<16) }},
}

// bombCases are those with archives that take long to make.
var bombCases = []containerCase{
	{"manifest of 900 KiB", limits, func(z *zipArchive) {
		m := &z.entries[0]
		m.data = append(m.data, bytes.Repeat([]byte{' '}, 900<<10)...)
		m.deflate = true
	}},
	{"declares more than 1 MiB, and has it", limits, func(z *zipArchive) {
		z.add(zipEntry{name: "BOMB", data: make([]byte, 1<<20+1), deflate: true})
	}},
	{"more than 1 MiB together", limits, func(z *zipArchive) {
		z.add(zipEntry{name: "BOMB1", data: make([]byte, 600<<10), deflate: true})
		z.add(zipEntry{name: "BOMB2", data: make([]byte, 500<<10), deflate: true})
	}},
	{"inflates to more than it says", limits, func(z *zipArchive) {
		z.fw().deflate, z.fw().packed = true, deflate(append(bytes.Clone(goodFirmware), make([]byte, 2<<20)...))
	}},
}

// fillUp adds entries up to a number.
func fillUp(z *zipArchive, n int) {
	for i := len(z.entries); i < n; i++ {
		z.add(zipEntry{name: string(rune('A'+i%26)) + string(rune('a'+i/26))})
	}
}

// TestContainer breaks each rule of the archive once.
func TestContainer(t *testing.T) {
	for _, c := range slices.Concat(containerCases, bombCases) {
		t.Run(c.name, func(t *testing.T) {
			z := goodArchive()
			c.edit(&z)
			data := z.bytes()
			var b *fwbundle.Bundle
			var err error
			p := fwbundle.Policy{Limits: fwbundle.Limits{MaxArchive: 1 << 20}}
			limitAllocs(t, allocated(func() { b, err = openAndCheck(data, p) }), 300<<10)
			if c.stage == 0 {
				if err != nil {
					t.Fatal(err)
				}
				if got := content(t, b)["host_fw"]; !bytes.Equal(got, goodFirmware) {
					t.Errorf("the firmware differs: %d bytes", len(got))
				}
				compareZip(t, data, b)
			} else if err == nil {
				t.Fatal("accepted")
			} else if got := stageOf(t, err); got != c.stage {
				t.Errorf("%v\nwant stage %v", err, c.stage)
			}
			checkAgreement(t, data, &p, b, err)
		})
	}
}

// TestDescriptorLikeSignature: a CRC that is equal to the signature of a descriptor is
// no signature if the sizes follow. (Package archive/zip takes it for one.)
func TestDescriptorLikeSignature(t *testing.T) {
	z := goodArchive()
	z.add(zipEntry{name: "X", data: []byte("\xac\x0a\x7a\xd5"), deflate: true, descriptor: 12})
	if _, err := open(z.bytes()); err != nil {
		t.Error(err)
	}
	if _, err := stream(z.bytes(), nil, 3); err != nil {
		t.Error(err)
	}
}

// TestTruncated cuts a bundle at every byte.
func TestTruncated(t *testing.T) {
	data := goodArchive().bytes()
	for n := range data {
		if _, err := open(data[:n]); err == nil {
			t.Errorf("Open accepts the first %d bytes", n)
		} else {
			stageOf(t, err)
		}
	}
}

// TestContainerPairs breaks two or three rules at once, at random: nothing panics, a
// stream agrees, and what is accepted package archive/zip reads in the same way.
func TestContainerPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	accepted := 0
	for range heavy(5000) {
		z := goodArchive()
		var tried []string
		func() {
			defer func() { recover() }() // of edits that do not fit what others have done
			for range 2 + r.IntN(2) {
				c := containerCases[r.IntN(len(containerCases))]
				tried = append(tried, c.name)
				c.edit(&z)
			}
		}()
		data := z.bytes()
		if len(data) > 64<<10 {
			continue
		}
		t.Run(strings.Join(tried, " + "), func(t *testing.T) {
			p := fwbundle.Policy{Limits: fwbundle.Limits{MaxArchive: 1 << 20}}
			b, err := openAndCheck(data, p)
			checkAgreement(t, data, &p, b, err)
			if err != nil {
				stageOf(t, err)
				return
			}
			accepted++
			compareZip(t, data, b)
		})
	}
	t.Logf("%d accepted", accepted)
}

// TestEndAcrossPieces: end records are found wherever they are.
func TestEndAcrossPieces(t *testing.T) {
	padded := func(n int, comment string) []byte {
		z := goodArchive()
		z.add(zipEntry{name: "X", data: make([]byte, n)})
		z.comment = comment
		return z.bytes()
	}
	least := len(padded(0, "")) - 22 // offset of the end record
	for at := 32<<10 - 40; at < 32<<10+5; at++ {
		if _, err := open(padded(at-least, "")); err != nil {
			t.Errorf("end record at %d: %v", at, err)
		}
		if _, err := open(padded(at-least, eocd)); err == nil {
			t.Errorf("end record at %d, another one at %d: accepted", at, at+22)
		}
	}
}
