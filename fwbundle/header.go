package fwbundle

import (
	"bytes"
	"encoding/binary"
	"io"
)

// Signatures, which are little-endian words, and other numbers of the zip format.
const (
	sigLocal      = 0x04034b50
	sigCentral    = 0x02014b50
	sigEnd        = 0x06054b50
	sigEnd64      = 0x06064b50
	sigLocator    = 0x07064b50
	sigDescriptor = 0x08074b50

	flagDescriptor = 1 << 3
	// flagsRefused are those of encryption, patches, strong encryption and
	// hidden headers.
	flagsRefused = 1<<0 | 1<<5 | 1<<6 | 1<<13

	stored   = 0
	deflated = 8

	extraZip64  = 0x0001
	extraRecord = 0x293a // signatures and attributes of the tool

	saturated = 0xffffffff // the value is in the zip64 record
)

// header is what the local and the central header of an entry have in common.
type header struct {
	name          string
	flags, method uint16
	crc           uint32
	packed, size  uint64 // bytes in the archive, and inflated
	record        []byte // content of the record 0x293a; nil if there is none
	zip64         []byte // content of the zip64 record; nil if there is none
}

// streamed reports whether the sizes may stand behind the data only.
func (h *header) streamed() bool { return h.flags&flagDescriptor != 0 }

var le = binary.LittleEndian

// localLen is the length of a local header behind its signature, without the
// name and the extra field.
const localLen = 26

// readLocal reads a local header behind its signature. It returns its length too,
// with name and extra field.
func readLocal(r io.Reader, l Limits) (h header, length int64, err error) {
	var b [localLen]byte
	if _, err = io.ReadFull(r, b[:]); err != nil {
		return h, 0, readError("", err)
	}
	nameLen, extraLen := int(le.Uint16(b[22:])), int(le.Uint16(b[24:]))
	h.fixed(b[2:22])
	if err = h.readName(r, nameLen, l); err != nil {
		return h, 0, err
	}
	if err = h.readExtra(r, extraLen); err != nil {
		return h, 0, err
	}
	if h.zip64 != nil && (h.packed == saturated || h.size == saturated) {
		if len(h.zip64) < 16 {
			return h, 0, refuse(StageContainer, h.name, "zip64 record too short")
		}
		size, packed := le.Uint64(h.zip64), le.Uint64(h.zip64[8:])
		if h.size != saturated && h.size != size || h.packed != saturated && h.packed != packed {
			return h, 0, refuse(StageContainer, h.name, "the sizes and their zip64 form differ")
		}
		h.size, h.packed = size, packed
	}
	return h, int64(localLen + nameLen + extraLen), h.check(l)
}

// fixed takes the fields from the flags to the size, which both headers have in
// the same order.
func (h *header) fixed(b []byte) {
	h.flags, h.method = le.Uint16(b), le.Uint16(b[2:])
	h.crc = le.Uint32(b[8:]) // the time and the date are before it
	h.packed, h.size = uint64(le.Uint32(b[12:])), uint64(le.Uint32(b[16:]))
}

func (h *header) readName(r io.Reader, n int, l Limits) error {
	if n > l.MaxName {
		return refuse(StageLimits, "", "the name of an entry has %d bytes, more than %d", n, l.MaxName)
	}
	var b [255]byte
	if _, err := io.ReadFull(r, b[:n]); err != nil {
		return readError("", err)
	}
	h.name = string(b[:n])
	return checkName(h.name)
}

// readExtra reads an extra field of n bytes: a chain of records, each of which
// has an id, a length and content. Only two kinds are kept.
func (h *header) readExtra(r io.Reader, n int) error {
	for n > 0 {
		var b [4]byte
		if n < len(b) {
			return refuse(StageContainer, h.name, "the extra field is no chain of records")
		}
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return readError(h.name, err)
		}
		id, length := le.Uint16(b[:]), int(le.Uint16(b[2:]))
		if n -= len(b) + length; n < 0 {
			return refuse(StageContainer, h.name, "the extra field is no chain of records")
		}
		if err := h.extraRecord(r, id, length); err != nil {
			return err
		}
	}
	return nil
}

// maxZip64 is the length of a zip64 record with all fields.
const maxZip64 = 28

func (h *header) extraRecord(r io.Reader, id uint16, length int) (err error) {
	switch {
	case id == extraRecord && length > maxRecord:
		return refuse(StageLimits, h.name, "the extra record 0x293a has %d bytes, more than %d", length, maxRecord)
	case id == extraRecord && h.record != nil, id == extraZip64 && h.zip64 != nil:
		return refuse(StageContainer, h.name, "two extra records %#04x", id)
	case id == extraRecord:
		h.record, err = readRecord(r, length)
	case id == extraZip64 && length <= maxZip64:
		h.zip64, err = readRecord(r, length)
	case id == extraZip64:
		return refuse(StageContainer, h.name, "zip64 record of %d bytes", length)
	default:
		_, err = io.CopyN(io.Discard, r, int64(length))
	}
	if err != nil {
		return readError(h.name, err)
	}
	return nil
}

func readRecord(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// check refuses what cannot be read, whatever the content is.
func (h *header) check(l Limits) error {
	switch {
	case h.flags&flagsRefused != 0:
		return refuse(StageContainer, h.name, "encrypted or patched (flags %#04x)", h.flags)
	case h.method != stored && h.method != deflated:
		return refuse(StageContainer, h.name, "compression method %d", h.method)
	case h.size > uint64(l.MaxArchive) || h.packed > uint64(l.MaxArchive):
		return refuse(StageLimits, h.name, "%d bytes, %d packed; at most %d are allowed", h.size, h.packed, l.MaxArchive)
	case base(h.name) == ManifestName && h.size > uint64(l.MaxManifest):
		return refuse(StageLimits, h.name, "%d bytes, more than %d", h.size, l.MaxManifest)
	case h.method == stored && h.packed != h.size:
		return refuse(StageContainer, h.name, "stored, but %d bytes packed are %d inflated", h.packed, h.size)
	case isDir(h.name) && h.size != 0:
		return refuse(StageNames, h.name, "a directory with content")
	}
	return nil
}

// differs returns what a local header has other than the central one, or "".
// Where a descriptor follows, a local value may be 0.
func (h *header) differs(central *header) string {
	late := func(local, central uint64) bool { return local != central && (local != 0 || !h.streamed()) }
	switch {
	case h.name != central.name:
		return "name"
	case h.flags != central.flags:
		return "flags"
	case h.method != central.method:
		return "method"
	case (h.record == nil) != (central.record == nil) || !bytes.Equal(h.record, central.record):
		return "extra record 0x293a"
	case late(uint64(h.crc), uint64(central.crc)):
		return "CRC"
	case late(h.packed, central.packed) || late(h.size, central.size):
		return "size"
	}
	return ""
}
