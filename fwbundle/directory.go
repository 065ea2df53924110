package fwbundle

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
)

// entry is a file or a directory in the archive.
type entry struct {
	header        // as in the central directory
	offset int64  // of the local header
	data   int64  // offset of the data
	mode   uint32 // of Unix, or 0
}

// file reports whether it is no directory.
func (e *entry) file() bool { return !isDir(e.name) }

// archive is a zip archive that is being opened.
type archive struct {
	r       io.ReaderAt
	size    int64
	limits  Limits
	ends    [2]int64 // offsets of the last two signatures of an end record, the last one first; -1 if there is none
	start   int64    // of the central directory
	stop    int64    // behind it
	entries []entry  // in the order of their offsets
}

// readArchive reads the structure of an archive and refuses one that two readers
// could understand in different ways. It does not read the data of the entries.
func readArchive(r io.ReaderAt, size int64, l Limits) (*archive, error) {
	a := &archive{r: r, size: size, limits: l}
	if size <= 0 {
		return nil, refuse(StageContainer, "", "the archive is empty")
	}
	if size > l.MaxArchive {
		return nil, refuse(StageLimits, "", "the archive has %d bytes, more than %d", size, l.MaxArchive)
	}
	count, err := a.findDirectory()
	if err != nil {
		return nil, err
	}
	if err := a.readDirectory(count); err != nil {
		return nil, err
	}
	if err := a.placeEntries(); err != nil {
		return nil, err
	}
	return a, a.checkNames()
}

// scan finds the last two signatures of an end record.
func (a *archive) scan() error {
	a.ends = [2]int64{-1, -1}
	pattern := le.AppendUint32(nil, sigEnd)
	buf := make([]byte, 32<<10)
	kept := 0 // bytes at the start of buf that were there before
	for at := int64(0); at < a.size; {
		n := min(len(buf)-kept, int(min(a.size-at, int64(len(buf)))))
		if _, err := a.readAt(buf[kept:kept+n], at); err != nil {
			return err
		}
		have := buf[:kept+n]
		for from := 0; ; from++ {
			i := bytes.Index(have[from:], pattern)
			if i < 0 {
				break
			}
			from += i
			a.ends = [2]int64{at - int64(kept) + int64(from), a.ends[0]}
		}
		at += int64(n)
		kept = copy(buf, have[max(0, len(have)-len(pattern)+1):])
	}
	return nil
}

// readAt fills b from an offset.
func (a *archive) readAt(b []byte, at int64) (int, error) {
	n, err := a.r.ReadAt(b, at)
	if n == len(b) {
		return n, nil
	}
	return n, readError("", err)
}

const (
	endLen     = 22
	locatorLen = 20
	end64Len   = 56
	centralLen = 46
)

// findDirectory finds the central directory and returns the number of entries.
func (a *archive) findDirectory() (count int, err error) {
	if err := a.scan(); err != nil {
		return 0, err
	}
	end := a.ends[0]
	if end < 0 || end+endLen > a.size {
		return 0, refuse(StageContainer, "", "no end record: truncated, or not a zip archive")
	}
	var b [endLen]byte
	if _, err := a.readAt(b[:], end); err != nil {
		return 0, err
	}
	if comment := int64(le.Uint16(b[20:])); end+endLen+comment != a.size {
		return 0, refuse(StageContainer, "", "the end record is not at the end: %d bytes follow, the comment has %d", a.size-end-endLen, comment)
	}
	d := directory{
		disk: uint32(le.Uint16(b[4:])), startDisk: uint32(le.Uint16(b[6:])),
		here: uint64(le.Uint16(b[8:])), total: uint64(le.Uint16(b[10:])),
		size: uint64(le.Uint32(b[12:])), offset: uint64(le.Uint32(b[16:])),
	}
	a.stop = end
	if err := a.findZip64(&d); err != nil {
		return 0, err
	}
	switch {
	case d.disk != 0 || d.startDisk != 0 || d.here != d.total:
		return 0, refuse(StageContainer, "", "the archive is one of several volumes")
	case d.offset > uint64(a.stop) || d.size != uint64(a.stop)-d.offset:
		return 0, refuse(StageContainer, "", "the central directory does not end at the end record")
	case d.total > uint64(a.limits.MaxEntries):
		return 0, refuse(StageLimits, "", "%d entries, more than %d", d.total, a.limits.MaxEntries)
	}
	a.start = int64(d.offset)
	return int(d.total), nil
}

// directory is what an end record says of the central directory.
type directory struct {
	disk, startDisk           uint32
	here, total, size, offset uint64
}

// findZip64 replaces what the end record says by what its zip64 form says, if
// there is one, which must agree.
func (a *archive) findZip64(d *directory) error {
	var b [end64Len]byte
	at := a.stop - locatorLen
	if at < end64Len {
		return nil
	}
	if _, err := a.readAt(b[:locatorLen], at); err != nil {
		return err
	}
	if le.Uint32(b[:]) != sigLocator {
		return nil
	}
	if d.offset+d.size == uint64(a.stop) {
		// Some readers believe it, others do not look for it.
		return refuse(StageContainer, "", "a zip64 locator inside the central directory")
	}
	disk, offset, disks := le.Uint32(b[4:]), le.Uint64(b[8:]), le.Uint32(b[16:])
	if disk != 0 || disks > 1 || offset != uint64(at-end64Len) {
		return refuse(StageContainer, "", "the zip64 locator does not point to the record before it")
	}
	if _, err := a.readAt(b[:], at-end64Len); err != nil {
		return err
	}
	if le.Uint32(b[:]) != sigEnd64 || le.Uint64(b[4:]) != end64Len-12 {
		return refuse(StageContainer, "", "bad zip64 end record")
	}
	e := directory{
		disk: le.Uint32(b[16:]), startDisk: le.Uint32(b[20:]),
		here: le.Uint64(b[24:]), total: le.Uint64(b[32:]), size: le.Uint64(b[40:]), offset: le.Uint64(b[48:]),
	}
	agree := func(narrow, wide, full uint64) bool { return narrow == wide || narrow == full }
	if !agree(uint64(d.disk), uint64(e.disk), 0xffff) || !agree(uint64(d.startDisk), uint64(e.startDisk), 0xffff) ||
		!agree(d.here, e.here, 0xffff) || !agree(d.total, e.total, 0xffff) ||
		!agree(d.size, e.size, saturated) || !agree(d.offset, e.offset, saturated) {
		return refuse(StageContainer, "", "the end record and its zip64 form differ")
	}
	*d, a.stop = e, at-end64Len
	return nil
}

// readDirectory reads the headers in the central directory, which must fill it.
func (a *archive) readDirectory(count int) error {
	section := io.NewSectionReader(a.r, a.start, a.stop-a.start)
	r := bufio.NewReader(section)
	for range count {
		e, err := a.readCentral(r)
		if err != nil {
			return err
		}
		a.entries = append(a.entries, e)
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return readError("", err)
		}
		return refuse(StageContainer, "", "the central directory holds more than %d headers", count)
	}
	if count == 0 {
		return refuse(StageContainer, ManifestName, "not in the archive")
	}
	return nil
}

func (a *archive) readCentral(r *bufio.Reader) (e entry, err error) {
	var b [centralLen]byte
	if _, err = io.ReadFull(r, b[:]); err != nil {
		return e, readError("", err)
	}
	if le.Uint32(b[:]) != sigCentral {
		return e, refuse(StageContainer, "", "bad header in the central directory")
	}
	e.fixed(b[8:28])
	if err = e.readName(r, int(le.Uint16(b[28:])), a.limits); err != nil {
		return e, err
	}
	if err = e.readExtra(r, int(le.Uint16(b[30:]))); err != nil {
		return e, err
	}
	if _, err = r.Discard(int(le.Uint16(b[32:]))); err != nil { // a comment
		return e, readError(e.name, err)
	}
	disk, offset := uint32(le.Uint16(b[34:])), uint64(le.Uint32(b[42:]))
	if creator := b[5]; creator == 3 || creator == 19 { // Unix, macOS
		e.mode = le.Uint32(b[38:]) >> 16
	}
	if err = e.wide(&offset, &disk); err != nil {
		return e, err
	}
	if disk != 0 {
		return e, refuse(StageContainer, e.name, "it is on volume %d", disk)
	}
	if offset >= uint64(a.start) {
		return e, refuse(StageContainer, e.name, "its offset is outside the archive")
	}
	e.offset = int64(offset)
	return e, e.check(a.limits)
}

// wide replaces the values that are in the zip64 record: those that do not fit
// the header, in this order.
func (e *entry) wide(offset *uint64, disk *uint32) error {
	rest := e.zip64
	for _, v := range []*uint64{&e.size, &e.packed, offset} {
		if *v != saturated || e.zip64 == nil {
			continue
		}
		if len(rest) < 8 {
			return refuse(StageContainer, e.name, "zip64 record too short")
		}
		*v, rest = le.Uint64(rest), rest[8:]
	}
	if *disk == 0xffff && len(rest) >= 4 {
		*disk = le.Uint32(rest)
	}
	return nil
}

// placeEntries reads the local headers and finds that the entries follow each
// other without gaps, from the start of the archive to the central directory.
func (a *archive) placeEntries() error {
	slices.SortFunc(a.entries, func(x, y entry) int { return cmp.Compare(x.offset, y.offset) })
	if first := &a.entries[0]; first.offset != 0 {
		return refuse(StageContainer, first.name, "%d bytes before the first entry", first.offset)
	}
	for i := range a.entries {
		end := a.start
		if i+1 < len(a.entries) {
			end = a.entries[i+1].offset
		}
		if err := a.placeEntry(&a.entries[i], end); err != nil {
			return err
		}
	}
	first := &a.entries[0]
	if a.ends[1] >= first.data+int64(first.packed) {
		return refuse(StageContainer, "", "a second end record at offset %d; stored data that contains its signature must be deflated", a.ends[1])
	}
	return nil
}

// placeEntry checks an entry that must end at an offset.
func (a *archive) placeEntry(e *entry, end int64) error {
	r := io.NewSectionReader(a.r, e.offset, max(0, end-e.offset))
	var sig [4]byte
	if _, err := io.ReadFull(r, sig[:]); err != nil {
		return readError(e.name, err)
	}
	if le.Uint32(sig[:]) != sigLocal {
		return refuse(StageContainer, e.name, "no local header at its offset")
	}
	local, length, err := readLocal(r, a.limits)
	if err != nil {
		return err
	}
	if what := local.differs(&e.header); what != "" {
		return refuse(StageContainer, e.name, "local and central header differ: %s", what)
	}
	e.data = e.offset + int64(len(sig)) + length
	rest := end - e.data - int64(e.packed)
	if rest < 0 {
		return refuse(StageContainer, e.name, "overlaps what follows it")
	}
	if !e.streamed() {
		if rest != 0 {
			return refuse(StageContainer, e.name, "%d bytes behind it that belong to no entry", rest)
		}
		return nil
	}
	d := descriptor{crc: e.crc, packed: e.packed, size: e.size, wide: local.zip64 != nil}
	if _, err := r.Seek(int64(e.packed)+e.data-e.offset, io.SeekStart); err != nil {
		return readError(e.name, err)
	}
	n, err := d.read(r)
	if err != nil || int64(n) != rest {
		return refuse(StageContainer, e.name, "its data descriptor does not agree with it")
	}
	return nil
}

// checkNames refuses names that are there twice, and what is neither a file nor a
// directory.
func (a *archive) checkNames() (err error) {
	const typeBits, regular, directory = 0xf000, 0x8000, 0x4000
	names := make([]string, 0, len(a.entries))
	for i := range a.entries {
		e := &a.entries[i]
		if names, err = addName(names, e.name); err != nil {
			return err
		}
		switch t := e.mode & typeBits; {
		case t == 0, t == regular, t == directory && !e.file():
		default:
			return refuse(StageNames, e.name, "not a plain file (mode %#o)", e.mode)
		}
	}
	return nil
}
