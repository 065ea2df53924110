package fwbundle

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
)

// Bundle is a bundle that has been read and verified. It does not change. It does
// not own its io.ReaderAt, which must stay as it is while the Bundle is used: data
// that has changed meanwhile is found by its digest.
type Bundle struct {
	facts
	archive *archive
}

// Open reads a bundle and verifies all that can be known without a device: the
// structure of the archive, names, limits, the manifest, and the CRC, size and
// digests of everything in it. Whether a device should take the bundle is asked of
// [Bundle.Check]. Errors are of type [*Error].
func Open(r io.ReaderAt, size int64) (*Bundle, error) { return Limits{}.Open(r, size) }

// Open is the function Open with other limits.
func (l Limits) Open(r io.ReaderAt, size int64) (*Bundle, error) {
	a, err := readArchive(r, size, l.withDefaults())
	if err != nil {
		return nil, err
	}
	b := &Bundle{archive: a}
	b.size, b.entries = size, len(a.entries)
	for i := range a.entries {
		b.longest = max(b.longest, len(a.entries[i].name))
	}
	if err := a.checkTotal(); err != nil {
		return nil, err
	}
	var c content
	if err := b.readManifest(&c); err != nil {
		return nil, err
	}
	if err := b.findSources(func(name string) bool { return a.file(name) != nil }); err != nil {
		return nil, err
	}
	return b, b.verify(&c)
}

// checkTotal refuses what inflates to more than the limit, before any of it is
// inflated.
func (a *archive) checkTotal() error {
	total := uint64(0)
	for i := range a.entries {
		total += a.entries[i].size
	}
	if total > uint64(a.limits.MaxArchive) {
		return refuse(StageLimits, "", "the entries have %d bytes inflated, more than %d", total, a.limits.MaxArchive)
	}
	return nil
}

// file returns the entry with a base name; nil if there is none.
func (a *archive) file(name string) *entry {
	i := slices.IndexFunc(a.entries, func(e entry) bool { return e.file() && base(e.name) == name })
	if i < 0 {
		return nil
	}
	return &a.entries[i]
}

// open begins to read an entry.
func (a *archive) open(c *content, e *entry, parts *digests) {
	packed := io.NewSectionReader(a.r, e.data, int64(e.packed))
	if c.file == nil {
		c.file = bufio.NewReader(packed)
	} else {
		c.file.Reset(packed)
	}
	c.open(e.header, c.file, false, uint64(a.limits.MaxArchive), parts)
}

func (b *Bundle) readManifest(c *content) error {
	e := b.archive.file(ManifestName)
	if e == nil {
		return refuse(StageContainer, ManifestName, "not in the archive")
	}
	b.archive.open(c, e, nil)
	text, err := io.ReadAll(c) // bounded: content ends at the size of the header, which is checked
	if err != nil {
		return readError(e.name, err)
	}
	if b.manifest, err = b.archive.limits.parse(text); err != nil {
		return err
	}
	b.extra, err = parseRecord(e.record)
	return err
}

// findSources refuses parts whose entry is not there.
func (f *facts) findSources(has func(name string) bool) error {
	for i := range f.manifest.Parts {
		if p := &f.manifest.Parts[i]; p.Src != "" && !has(p.Src) {
			return refusePart(StageManifest, p.Src, p.Name, "its src is not in the archive")
		}
	}
	return nil
}

// verify reads every entry but the manifest.
func (b *Bundle) verify(c *content) error {
	buf := make([]byte, 8<<10)
	for i := range b.archive.entries {
		e := &b.archive.entries[i]
		if e.file() && base(e.name) == ManifestName {
			continue
		}
		d := newDigests(b.manifest, e.name)
		b.archive.open(c, e, d)
		for {
			_, err := c.Read(buf)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return readError(e.name, err)
			}
		}
		d.measured(c.read)
	}
	return nil
}

// measured gives parts whose size the manifest does not tell that of their data.
func (d *digests) measured(size uint64) {
	if d == nil {
		return
	}
	for _, p := range d.parts {
		p.Size, p.hasSize = uint32(size), true
	}
}

// Manifest returns the manifest, which must not be modified.
func (b *Bundle) Manifest() *Manifest { return b.manifest }

// Extra returns the attributes of the extra record of the manifest, signatures
// too, in the order of the text. They must not be modified.
func (b *Bundle) Extra() []Attr { return b.extra }

// Check returns why a device with this policy must not take the bundle, or nil.
// It reads no data. Errors are of type [*Error].
func (b *Bundle) Check(p Policy) error { return b.check(p) }

// Verify returns which signatures are good under these keys: bit N for sigN, bit
// 8+N for edN.
func (b *Bundle) Verify(k Keys) int { return k.verify(b.extra, b.manifest.text) }

// Entry describes an entry of the archive.
type Entry struct {
	Name       string
	Size       int64 // bytes, inflated
	Packed     int64 // bytes in the archive
	Compressed bool  // deflated rather than stored
	CRC32      uint32
}

// Entries returns the entries in the order of the archive, directories too.
func (b *Bundle) Entries() []Entry {
	var all []Entry
	for i := range b.archive.entries {
		e := &b.archive.entries[i]
		all = append(all, Entry{e.name, int64(e.size), int64(e.packed), e.method == deflated, e.crc})
	}
	return all
}

// OpenPart returns the data of a part, checked once more: the last Read returns
// io.EOF only if size, CRC and digests are right, else an [*Error]. A fill part
// yields its bytes without holding them. The error is nil unless there is no such
// part.
func (b *Bundle) OpenPart(name string) (io.Reader, error) {
	p := b.manifest.Part(name)
	if p == nil {
		return nil, refusePart(StageManifest, ManifestName, name, "no such part")
	}
	if p.Fill != nil {
		return io.LimitReader(fillReader(*p.Fill), int64(p.Size)), nil
	}
	e := b.archive.file(p.Src)
	c := new(content)
	b.archive.open(c, e, newDigests(b.manifest, e.name))
	return c, nil
}

// fillReader yields a byte for ever.
type fillReader byte

// Read implements io.Reader.
func (f fillReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(f)
	}
	return len(p), nil
}

// readPart returns the data of a part that is no fill part.
func (b *Bundle) readPart(p *Part) ([]byte, error) {
	r, err := b.OpenPart(p.Name)
	if err != nil {
		return nil, err
	}
	room := min(uint64(p.Size)+bytes.MinRead, 16<<20) // the size was measured; more grows as it is read
	buf := bytes.NewBuffer(make([]byte, 0, room))
	_, err = buf.ReadFrom(r)
	return buf.Bytes(), err
}
