package fwbundle_test

import (
	"bytes"
	"compress/flate"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

var le = binary.LittleEndian

// zipEntry is an entry of an archive that may break rules.
type zipEntry struct {
	name       string
	data       []byte
	deflate    bool
	descriptor int    // length of what follows the data: 0, 12, 16, 20 or 24; not 0 sets bit 3
	known      bool   // the sizes are in the local header although a descriptor follows
	extra      []byte // of both headers
	zip64      bool   // the sizes are in zip64 records
	zip64All   bool   // so are the offset and the volume

	packed         []byte         // instead of data as it would be packed
	editLocal      func(h []byte) // fixed part of the local header, 30 bytes
	editHeader     func(h []byte) // fixed part of the central header, 46 bytes
	editDescriptor func(d []byte)
	localName      string // instead of name
	localExtra     []byte // instead of extra
	comment        string // behind the central header
	behind         []byte // bytes between this entry and the next
}

// zipArchive is an archive that may break rules.
type zipArchive struct {
	entries []zipEntry
	before  []byte // the first entry
	comment string
	after   []byte // the end record
	zip64   bool   // with a zip64 end record and locator
	reverse bool   // the central directory is in reverse order
	edit    func(end []byte)
	edit64  func(end []byte) // zip64 end record, 56 bytes, and locator, 20 bytes
}

// bytes returns the archive.
func (z zipArchive) bytes() []byte {
	out := bytes.Clone(z.before)
	var headers [][]byte
	for _, e := range z.entries {
		var header []byte
		out, header = e.append(out)
		headers = append(headers, header)
	}
	start := len(out)
	for i := range headers {
		if z.reverse {
			i = len(headers) - 1 - i
		}
		out = append(out, headers[i]...)
	}
	size, n := len(out)-start, len(headers)
	if z.zip64 {
		end := le.AppendUint32(nil, 0x06064b50)
		end = le.AppendUint64(end, 44)
		end = append(end, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		for _, v := range []int{n, n, size, start} {
			end = le.AppendUint64(end, uint64(v))
		}
		end = le.AppendUint32(end, 0x07064b50)
		end = le.AppendUint32(end, 0)
		end = le.AppendUint64(end, uint64(len(out)))
		end = le.AppendUint32(end, 1)
		if z.edit64 != nil {
			z.edit64(end)
		}
		out = append(out, end...)
	}
	end := append(le.AppendUint32(nil, 0x06054b50), 0, 0, 0, 0)
	end = le.AppendUint16(le.AppendUint16(end, uint16(n)), uint16(n))
	end = le.AppendUint32(le.AppendUint32(end, uint32(size)), uint32(start))
	end = le.AppendUint16(end, uint16(len(z.comment)))
	if z.edit != nil {
		z.edit(end)
	}
	out = append(append(out, end...), z.comment...)
	return append(out, z.after...)
}

// append appends the local part of the entry, and returns its central header.
func (e zipEntry) append(out []byte) (local, central []byte) {
	packed, method := e.data, uint16(0)
	if e.deflate {
		packed, method = deflate(e.data), 8
	}
	if e.packed != nil {
		packed = e.packed
	}
	crc, packedLen, size := crc32.ChecksumIEEE(e.data), len(packed), len(e.data)
	flags := uint16(0)
	if e.descriptor != 0 {
		flags = 8
	}
	offset := uint32(len(out))
	sizes := func(h []byte, p, s int, wide bool) []byte {
		if wide {
			return append(h, bytes.Repeat([]byte{0xff}, 8)...)
		}
		return le.AppendUint32(le.AppendUint32(h, uint32(p)), uint32(s))
	}
	wideExtra := func(p, s int) []byte {
		if !e.zip64 {
			return nil
		}
		return le.AppendUint64(le.AppendUint64([]byte{1, 0, 16, 0}, uint64(s)), uint64(p))
	}

	localCRC, lp, ls := crc, packedLen, size
	if e.descriptor != 0 && !e.known {
		localCRC, lp, ls = 0, 0, 0
	}
	name, extra := e.name, e.extra
	if e.localName != "" {
		name = e.localName
	}
	if e.localExtra != nil {
		extra = e.localExtra
	}
	extra = append(wideExtra(lp, ls), extra...)
	h := le.AppendUint16(le.AppendUint32(nil, 0x04034b50), 20)
	h = append(le.AppendUint16(le.AppendUint16(h, flags), method), 0, 0, 0, 0)
	h = sizes(le.AppendUint32(h, localCRC), lp, ls, e.zip64)
	h = le.AppendUint16(le.AppendUint16(h, uint16(len(name))), uint16(len(extra)))
	if e.editLocal != nil {
		e.editLocal(h)
	}
	out = append(append(append(append(out, h...), name...), extra...), packed...)
	d := descriptor(e.descriptor, crc, packedLen, size)
	if e.editDescriptor != nil && len(d) > 0 {
		e.editDescriptor(d)
	}
	out = append(out, d...)
	out = append(out, e.behind...)

	wide := wideExtra(packedLen, size)
	if e.zip64All {
		wide[2] += 12
		wide = le.AppendUint32(le.AppendUint64(wide, uint64(offset)), 0)
	}
	extra = append(wide, e.extra...)
	h = append(le.AppendUint32(nil, 0x02014b50), 20, 0, 20, 0)
	h = append(le.AppendUint16(le.AppendUint16(h, flags), method), 0, 0, 0, 0)
	h = sizes(le.AppendUint32(h, crc), packedLen, size, e.zip64)
	h = le.AppendUint16(le.AppendUint16(h, uint16(len(e.name))), uint16(len(extra)))
	h = append(h, make([]byte, 10)...)
	h = le.AppendUint32(h, offset)
	if e.zip64All {
		le.PutUint16(h[34:], 0xffff)
		le.PutUint32(h[42:], 0xffffffff)
	}
	if e.editHeader != nil {
		e.editHeader(h)
	}
	return out, append(append(append(h, e.name...), extra...), e.comment...)
}

// descriptor returns a data descriptor of a length.
func descriptor(length int, crc uint32, packed, size int) []byte {
	var d []byte
	if length == 16 || length == 24 {
		d = le.AppendUint32(d, 0x08074b50)
	}
	d = le.AppendUint32(d, crc)
	switch length {
	case 0:
		return nil
	case 12, 16:
		return le.AppendUint32(le.AppendUint32(d, uint32(packed)), uint32(size))
	}
	return le.AppendUint64(le.AppendUint64(d, uint64(packed)), uint64(size))
}

func deflate(data []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// firmware returns n bytes that do not compress.
func firmware(n int) []byte {
	data := make([]byte, n)
	x := uint32(0x12345678)
	for i := range data {
		x = x*1664525 + 1013904223
		data[i] = byte(x >> 24)
	}
	return data
}

// partText returns a part of a manifest with its digests, and further members.
func partText(name, src string, addr uint32, data []byte, more string) string {
	return fmt.Sprintf(`%q:{"type":"STM32","src":%q,"addr":%d,"size":%d,"cs_sha1":"%x","cs_sha256":"%x"%s}`,
		name, src, addr, len(data), sha1.Sum(data), sha256.Sum256(data), more)
}

// manifestText returns a manifest for parts.
func manifestText(parts string) []byte {
	return []byte(`{"name":"fw","platform":"ccm_host","version":"1.0","parts":{` + parts + `}}`)
}

// goodFirmware is what is in goodArchive.
var goodFirmware = firmware(1024)

// goodArchive is a bundle of a manifest and one part, which tests break.
func goodArchive() zipArchive {
	return zipArchive{entries: []zipEntry{
		{name: "manifest.json", data: manifestText(partText("host_fw", "FW.BIN", 0x08000000, goodFirmware, ""))},
		{name: "FW.BIN", data: goodFirmware},
	}}
}
