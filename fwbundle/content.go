package fwbundle

import (
	"bufio"
	"compress/flate"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"strings"
)

// source is where the bytes of an archive come from.
type source interface {
	io.Reader
	io.ByteReader
}

// section reads a source up to a limit, as the packed data of an entry.
type section struct {
	r    source
	left uint64
}

// Read implements io.Reader.
func (s *section) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.r.Read(p[:min(uint64(len(p)), s.left)])
	s.left -= uint64(n)
	return n, err
}

// ReadByte implements io.ByteReader, so that nothing behind the compressed data
// is read.
func (s *section) ReadByte() (byte, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	b, err := s.r.ReadByte()
	if err == nil {
		s.left--
	}
	return b, err
}

// content reads the data of one entry after the other, inflated, and checks what
// the headers say of it: the last Read returns io.EOF only if all is as it should
// be.
type content struct {
	header
	late   bool          // a local header that leaves values to the descriptor: 0 is not checked
	limit  uint64        // of its inflated size, if that is not known
	file   *bufio.Reader // what packed reads, if the archive is a file
	packed section
	data   io.Reader // the packed section, or what inflates it
	flate  io.ReadCloser
	read   uint64 // bytes inflated
	sum    uint32
	parts  *digests // of the parts that the entry is the data of; nil if there are none
}

// endless is the length of packed data whose end is known only when it was inflated.
const endless = math.MaxInt64

// open begins with an entry, whose packed data comes next in r.
func (c *content) open(h header, r source, late bool, limit uint64, parts *digests) {
	c.header, c.late, c.limit, c.parts = h, late, limit, parts
	c.read, c.sum = 0, 0
	c.packed = section{r, h.packed}
	if c.unknown(h.packed) {
		c.packed.left = endless
	}
	if h.method == stored {
		c.data = &c.packed
		return
	}
	if c.flate == nil {
		c.flate = flate.NewReader(&c.packed)
	} else {
		c.flate.(flate.Resetter).Reset(&c.packed, nil) // never fails
	}
	c.data = c.flate
}

// unknown reports whether a value of the header is to be read from the data and
// the descriptor.
func (c *content) unknown(v uint64) bool { return c.late && v == 0 }

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.data.Read(p)
	most := c.size
	if c.unknown(c.size) {
		most = c.limit
	}
	if uint64(n) > most-c.read {
		return 0, refuse(StageLimits, c.name, "it inflates to more than %d bytes", most)
	}
	c.read += uint64(n)
	c.sum = crc32.Update(c.sum, crc32.IEEETable, p[:n])
	c.parts.write(p[:n])
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		return n, c.end()
	}
	if _, corrupt := errors.AsType[flate.CorruptInputError](err); corrupt {
		return n, refuse(StageContainer, c.name, "compressed data is damaged: %w", err)
	}
	if c.method == deflated && c.packed.left == 0 {
		return n, refuse(StageContainer, c.name, "its compressed data ends before its end")
	}
	return n, readError(c.name, err)
}

// end checks the data when all of it was read.
func (c *content) end() error {
	switch {
	case c.read != c.size && !c.unknown(c.size):
		if c.method == stored {
			return readError(c.name, io.ErrUnexpectedEOF)
		}
		return refuse(StageContainer, c.name, "%d bytes, not the %d of its header", c.read, c.size)
	case c.packed.left != 0 && !c.unknown(c.header.packed):
		return refuse(StageContainer, c.name, "%d bytes behind its compressed data", c.packed.left)
	case c.sum != c.crc && !c.unknown(uint64(c.crc)):
		return refuse(StageContainer, c.name, "its CRC-32 is %08x, not %08x", c.sum, c.crc)
	}
	if err := c.parts.check(c.name, c.read); err != nil {
		return err
	}
	return io.EOF
}

// descriptor is what must stand behind the data.
func (c *content) descriptor() descriptor {
	packed := c.header.packed
	if c.unknown(packed) {
		packed = endless - c.packed.left
	}
	return descriptor{crc: c.sum, packed: packed, size: c.read, wide: c.zip64 != nil}
}

// digests are those of the data of parts that share an entry.
type digests struct {
	sha1, sha256 hash.Hash
	parts        []*Part
}

// newDigests returns what checks the data of an entry; nil if it is no part's, as a
// directory, whose base name is empty.
func newDigests(m *Manifest, name string) *digests {
	var d *digests
	for i := range m.Parts {
		if p := &m.Parts[i]; p.Src != "" && p.Src == base(name) {
			if d == nil {
				d = &digests{sha1: sha1.New(), sha256: sha256.New()}
			}
			d.parts = append(d.parts, p)
		}
	}
	return d
}

func (d *digests) write(p []byte) {
	if d != nil {
		d.sha1.Write(p)
		d.sha256.Write(p)
	}
}

// check compares size and digests, when all data was written, with what the
// manifest says.
func (d *digests) check(entry string, size uint64) error {
	if d == nil {
		return nil
	}
	for _, p := range d.parts {
		if size > math.MaxUint32 {
			return refusePart(StagePart, entry, p.Name, "%d bytes are too many", size)
		}
		if p.hasSize && uint64(p.Size) != size {
			return refusePart(StagePart, entry, p.Name, "%d bytes, not the %d of the manifest", size, p.Size)
		}
		if err := compare(d.sha1, p.SHA1); err != nil {
			return refusePart(StagePart, entry, p.Name, "cs_sha1: %w", err)
		}
		if err := compare(d.sha256, p.SHA256); err != nil {
			return refusePart(StagePart, entry, p.Name, "cs_sha256: %w", err)
		}
	}
	return nil
}

// compare compares a digest with its hexadecimal text, if there is one.
func compare(h hash.Hash, want string) error {
	if want != "" && !strings.EqualFold(hex.EncodeToString(h.Sum(nil)), want) {
		return ErrDigest
	}
	return nil
}
