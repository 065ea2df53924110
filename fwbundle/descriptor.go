package fwbundle

import (
	"errors"
	"io"
)

// descriptor is what stands behind the data of an entry whose header was written
// before its size was known.
type descriptor struct {
	crc          uint32
	packed, size uint64
	wide         bool // sizes of 8 bytes
}

var errDescriptor = errors.New("bad data descriptor")

// read reads a descriptor, with its signature or without, that must say what d
// says. It returns its length.
func (d *descriptor) read(r io.Reader) (n int, err error) {
	var b [24]byte
	read := func(more int) {
		if err == nil {
			_, err = io.ReadFull(r, b[n:n+more])
			n += more
		}
	}
	read(8)
	at := 0
	if le.Uint32(b[:]) == sigDescriptor && le.Uint32(b[4:]) == d.crc {
		at = 4 // a CRC that looks like the signature is followed by a length, which is never that large
		read(4)
	}
	if d.wide {
		read(12)
	} else {
		read(4)
	}
	if err != nil {
		return n, err
	}
	crc, sizes := le.Uint32(b[at:]), b[at+4:]
	packed, size := uint64(le.Uint32(sizes)), uint64(le.Uint32(sizes[4:]))
	if d.wide {
		packed, size = le.Uint64(sizes), le.Uint64(sizes[8:])
	}
	if crc != d.crc || packed != d.packed || size != d.size {
		return n, errDescriptor
	}
	return n, nil
}
