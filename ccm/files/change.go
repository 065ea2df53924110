package files

import (
	"errors"

	"github.com/ccmkit/ccmkit/internal/fsx"
)

// PutMode says where the data of a Put go. The zero value makes the file anew.
type PutMode struct {
	// Append puts the data at the end of the file, which is made if it is
	// missing. It means nothing if there is an offset.
	Append bool
	// HasOffset says that Offset is given: 0 makes the file anew, with these
	// data only. Any other puts the data there, over what is there and beyond the
	// end if they are longer; what is behind them stays. It must not be beyond
	// the end of the file.
	HasOffset bool
	Offset    int // bytes
}

// whole reports whether the data are all of the new content.
func (m PutMode) whole() bool { return m.HasOffset && m.Offset == 0 || !m.HasOffset && !m.Append }

// apply returns the new content of a file, in new memory. old is not read if the
// mode is whole.
func (m PutMode) apply(old, data []byte) ([]byte, error) {
	offset := len(old)
	switch {
	case m.whole():
		offset, old = 0, nil
	case m.HasOffset:
		offset = m.Offset
	}
	if offset < 0 || offset > len(old) {
		return nil, ErrOffset
	}
	if len(data) > MaxFile-offset {
		return nil, ErrTooLarge
	}
	content := make([]byte, max(len(old), offset+len(data)))
	copy(content, old)
	copy(content[offset:], data)
	if IsPrivateKey(old) && !IsPrivateKey(content) {
		return nil, ErrPrivateKey
	}
	return content, nil
}

// Put writes a file or a part of it. data are not kept. Nothing has changed if the
// error is one of this package's.
func (d *Dir) Put(name string, data []byte, mode PutMode) error {
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	old, err := d.before(name, mode)
	if err != nil {
		return err
	}
	content, err := mode.apply(old, data)
	if err != nil {
		return nameError(err, name)
	}
	if err := d.room(name, int64(len(content))); err != nil {
		return err
	}
	if err := d.write(name, content); err != nil {
		return diskError("write", name, err)
	}
	return nil
}

// before returns what a Put finds in the file, nothing if it makes it anew.
func (d *Dir) before(name string, mode PutMode) ([]byte, error) {
	if mode.whole() {
		return nil, nil
	}
	old, err := d.read(name)
	if errors.Is(err, ErrNotExist) && !mode.HasOffset {
		return nil, nil
	}
	return old, err
}

// room returns ErrFull if a file must not get that size. What is there already
// may stay and may shrink, however much there is.
func (d *Dir) room(name string, size int64) error {
	list, err := d.list()
	if err != nil {
		return err
	}
	count, total, old := 1, size, int64(-1)
	for _, f := range list {
		if f.Name == name {
			old = f.Size
			continue
		}
		count++
		total += f.Size
	}
	if old < 0 && count > MaxFiles || size > old && total > MaxTotal {
		return nameError(ErrFull, name)
	}
	return nil
}

// write replaces a file, or makes it.
func (d *Dir) write(name string, content []byte) error {
	next := d.file(newFile)
	err := fsx.WriteFile(d.disk, next, content, fileMode)
	if err == nil {
		err = d.disk.Rename(next, d.file(name))
	}
	if err != nil {
		d.disk.Remove(next) // if it stays, the next write replaces it
		return err
	}
	return d.disk.SyncDir(d.path)
}

// Remove removes a file.
func (d *Dir) Remove(name string) error {
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.find(name); err != nil {
		return err
	}
	if err := d.disk.Remove(d.file(name)); err != nil {
		return diskError("remove", name, err)
	}
	if err := d.disk.SyncDir(d.path); err != nil {
		return diskError("remove", name, err)
	}
	return nil
}

// Rename gives a file another name. A file that has that name is replaced.
func (d *Dir) Rename(src, dst string) error {
	src, err := cleanName(src)
	if err != nil {
		return err
	}
	if dst, err = cleanName(dst); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.find(src); err != nil || src == dst {
		return err
	}
	if err := d.disk.Rename(d.file(src), d.file(dst)); err != nil {
		return diskError("rename", src, err)
	}
	if err := d.disk.SyncDir(d.path); err != nil {
		return diskError("rename", src, err)
	}
	return nil
}
