package fwbundle

import (
	"bytes"
	"compress/flate"
	"hash/crc32"
)

// file is an entry that is to be written.
type file struct {
	name     string
	data     []byte
	compress bool
	record   []byte // content of the record 0x293a; nil for none
}

// zipVersion is 2.0, as the tool says in all headers.
const zipVersion = 20

// zipFiles returns an archive in the layout of the tool: sizes in the local
// headers, no times, no comments.
func zipFiles(files []file) ([]byte, error) {
	var out, directory []byte
	for _, f := range files {
		packed, method, err := f.pack()
		if err != nil {
			return nil, err
		}
		offset := uint32(len(out))
		common := le.AppendUint16(nil, zipVersion)
		common = le.AppendUint16(common, 0) // flags
		common = le.AppendUint16(common, method)
		common = le.AppendUint32(common, 0) // time and date
		common = le.AppendUint32(common, crc32.ChecksumIEEE(f.data))
		common = le.AppendUint32(common, uint32(len(packed)))
		common = le.AppendUint32(common, uint32(len(f.data)))
		common = le.AppendUint16(common, uint16(len(f.name)))
		extra := f.extra()
		common = le.AppendUint16(common, uint16(len(extra)))

		out = append(le.AppendUint32(out, sigLocal), common...)
		out = append(append(append(out, f.name...), extra...), packed...)

		directory = le.AppendUint16(le.AppendUint32(directory, sigCentral), zipVersion)
		directory = append(directory, common...)
		directory = append(directory, make([]byte, 10)...) // comment, volume, attributes
		directory = le.AppendUint32(directory, offset)
		directory = append(append(directory, f.name...), extra...)
	}
	start := uint32(len(out))
	out = append(out, directory...)
	out = le.AppendUint32(le.AppendUint32(out, sigEnd), 0) // volumes
	out = le.AppendUint16(out, uint16(len(files)))
	out = le.AppendUint16(out, uint16(len(files)))
	out = le.AppendUint32(out, uint32(len(directory)))
	out = le.AppendUint32(out, start)
	return le.AppendUint16(out, 0), nil // comment
}

// extra returns the extra field.
func (f *file) extra() []byte {
	if f.record == nil {
		return nil
	}
	extra := le.AppendUint16(nil, extraRecord)
	extra = le.AppendUint16(extra, uint16(len(f.record)))
	return append(extra, f.record...)
}

// pack returns the data as it is in the archive.
func (f *file) pack() (packed []byte, method uint16, err error) {
	if !f.compress {
		return f.data, stored, nil
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return nil, 0, err
	}
	if _, err = w.Write(f.data); err != nil {
		return nil, 0, err
	}
	err = w.Close()
	return b.Bytes(), deflated, err
}
