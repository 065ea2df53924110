package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/ccmkit/ccmkit/internal/fsx"
)

// Info is what List tells of a file.
type Info struct {
	Name string // without a "/"
	Size int64  // bytes
}

// List returns the files, sorted by name. The slice is the caller's.
func (d *Dir) List() ([]Info, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.list()
}

// list is List with d.mu held.
func (d *Dir) list() ([]Info, error) {
	entries, err := d.entries()
	if err != nil {
		return nil, err
	}
	list := make([]Info, 0, len(entries))
	for _, e := range entries {
		size, err := d.size(e)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another program has removed it just now
		}
		if err != nil {
			return nil, diskError("size of", e.Name(), err)
		}
		list = append(list, Info{e.Name(), size})
	}
	return list, nil
}

// entries returns the entries of the directory that are files of ours, sorted by
// name. d.mu is held.
func (d *Dir) entries() ([]fs.DirEntry, error) {
	all, err := d.disk.ReadDir(d.path)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	ours := all[:0]
	for _, e := range all {
		if e.Type().IsRegular() && isName(e.Name()) {
			ours = append(ours, e)
		}
	}
	return ours, nil
}

// size returns the size of a file. On a disk whose entries do not tell it, the
// bytes are counted.
func (d *Dir) size(e fs.DirEntry) (int64, error) {
	info, err := e.Info()
	if err == nil {
		return info.Size(), nil
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		return 0, err
	}
	f, err := d.disk.OpenFile(d.file(e.Name()), os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.Copy(io.Discard, f)
}

// Read returns the content of a file. The slice is the caller's.
func (d *Dir) Read(name string) ([]byte, error) {
	name, err := cleanName(name)
	if err != nil {
		return nil, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.read(name)
}

// read is Read of a clean name with d.mu held.
func (d *Dir) read(name string) ([]byte, error) {
	if err := d.find(name); err != nil {
		return nil, err
	}
	data, err := fsx.ReadFile(d.disk, d.file(name), MaxFile)
	switch {
	case errors.Is(err, fsx.ErrTooLarge):
		return nil, nameError(ErrTooLarge, name)
	case err != nil:
		return nil, diskError("read", name, err)
	}
	return data, nil
}

// find returns nil if there is such a file. The directory is asked and not the
// file, since that may be a link to anywhere. d.mu is held.
func (d *Dir) find(name string) error {
	entries, err := d.entries()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == name {
			return nil
		}
	}
	return nameError(ErrNotExist, name)
}

// ReadAt returns n bytes of a file from offset on, fewer at its end, and how many
// there are after them. n below 0 means all to the end. It does what FS.Get asks
// for: with an offset at or beyond the end there are no bytes and none left.
func (d *Dir) ReadAt(name string, offset, n int) (data []byte, left int, err error) {
	all, err := d.Read(name)
	if err != nil {
		return nil, 0, err
	}
	if data, left, err = Range(all, offset, n); err != nil {
		return nil, 0, nameError(err, name)
	}
	return data, left, nil
}

// Range cuts from the content of a file what [Dir.ReadAt] returns of it. The
// result shares the memory of data. The only error is ErrOffset.
func Range(data []byte, offset, n int) (part []byte, left int, err error) {
	if offset < 0 {
		return nil, 0, ErrOffset
	}
	rest := data[min(offset, len(data)):]
	if n < 0 || n > len(rest) {
		n = len(rest)
	}
	return rest[:n:n], len(rest) - n, nil
}
