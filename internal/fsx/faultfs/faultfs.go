package faultfs

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/ccmkit/ccmkit/internal/fsx"
)

// ErrPowerCut is returned by all operations after the cut.
var ErrPowerCut = errors.New("faultfs: power cut")

// Kind is a kind of operation.
type Kind string

// The operations that are counted and can be made to fail.
const (
	Open    Kind = "open" // for reading
	Create  Kind = "create"
	Read    Kind = "read"
	Write   Kind = "write"
	Sync    Kind = "sync"
	Close   Kind = "close"
	Rename  Kind = "rename"
	Remove  Kind = "remove"
	Mkdir   Kind = "mkdir"
	ReadDir Kind = "readdir"
	SyncDir Kind = "syncdir"
)

// Op is one operation.
type Op struct {
	N    int // counted from 0
	Kind Kind
	Name string // the file; the old name for Rename
	Size int    // bytes, for Write
}

// FS is a disk. Make it with [New].
type FS struct {
	mu    sync.Mutex
	names map[string]*node // what a running program sees
	safe  map[string]*node // what survives
	moved map[string]bool  // names that are not the same in both
	log   []Op
	cutAt int // -1 never
	bytes int
	dark  bool // power has failed
	fail  func(Op) error
}

// node is a file or a directory.
type node struct {
	dir        bool
	data, safe []byte // what was written; what was synced
}

// New returns a disk with nothing but the root directory and the current one.
func New() *FS {
	root := map[string]*node{string(filepath.Separator): {dir: true}, ".": {dir: true}}
	return &FS{names: root, safe: maps.Clone(root), moved: map[string]bool{}, cutAt: -1}
}

// CutAt makes power fail at operation n, which is not done, except that a write
// stores the first bytes of its data.
func (d *FS) CutAt(n, bytes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cutAt, d.bytes = n, bytes
}

// Fail makes operations fail: f is asked before each, and an error that it
// returns is the error of the operation, which is then not done; half of the data
// of a write is stored. f runs on the goroutine of the operation, one call at a
// time, and must not use the disk. nil ends it.
func (d *FS) Fail(f func(Op) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = f
}

// Ops returns the operations so far.
func (d *FS) Ops() []Op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.log)
}

// begin counts an operation and returns its error, and how much of a write is
// stored all the same. d.mu is held.
func (d *FS) begin(kind Kind, name string, size int) (stored int, err error) {
	op := Op{N: len(d.log), Kind: kind, Name: name, Size: size}
	d.log = append(d.log, op)
	switch {
	case d.dark:
		return 0, ErrPowerCut
	case op.N == d.cutAt:
		d.dark = true
		return min(d.bytes, size), ErrPowerCut
	case d.fail != nil:
		if err := d.fail(op); err != nil {
			return size / 2, &fs.PathError{Op: string(kind), Path: name, Err: err}
		}
	}
	return size, nil
}

// OpenFile implements fsx.FS.
func (d *FS) OpenFile(name string, flag int, _ fs.FileMode) (fsx.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = filepath.Clean(name)
	kind := Open
	if flag&os.O_CREATE != 0 {
		kind = Create
	}
	if _, err := d.begin(kind, name, 0); err != nil {
		return nil, err
	}
	n := d.names[name]
	switch {
	case n == nil && flag&os.O_CREATE == 0, d.names[filepath.Dir(name)] == nil:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case n != nil && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case n == nil:
		n = &node{}
		d.set(name, n)
	}
	if flag&os.O_TRUNC != 0 {
		n.data = nil
	}
	f := &file{disk: d, name: name, node: n}
	if flag&os.O_APPEND != 0 {
		f.at = len(n.data)
	}
	return f, nil
}

// Rename implements fsx.FS.
func (d *FS) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	from, to = filepath.Clean(from), filepath.Clean(to)
	if _, err := d.begin(Rename, from, 0); err != nil {
		return err
	}
	n := d.names[from]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	d.set(from, nil)
	d.set(to, n)
	return nil
}

// Remove implements fsx.FS.
func (d *FS) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = filepath.Clean(name)
	if _, err := d.begin(Remove, name, 0); err != nil {
		return err
	}
	if d.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	d.set(name, nil)
	return nil
}

// Mkdir implements fsx.FS.
func (d *FS) Mkdir(name string, _ fs.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = filepath.Clean(name)
	if _, err := d.begin(Mkdir, name, 0); err != nil {
		return err
	}
	err := error(nil)
	switch {
	case d.names[name] != nil:
		err = fs.ErrExist
	case d.names[filepath.Dir(name)] == nil:
		err = fs.ErrNotExist
	default:
		d.set(name, &node{dir: true})
		return nil
	}
	return &fs.PathError{Op: "mkdir", Path: name, Err: err}
}

// ReadDir implements fsx.FS.
func (d *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = filepath.Clean(name)
	if _, err := d.begin(ReadDir, name, 0); err != nil {
		return nil, err
	}
	if n := d.names[name]; n == nil || !n.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	var list []fs.DirEntry
	for path, n := range d.names {
		if path != name && filepath.Dir(path) == name {
			list = append(list, entry{filepath.Base(path), n.dir})
		}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return list, nil
}

// SyncDir implements fsx.FS.
func (d *FS) SyncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = filepath.Clean(name)
	if _, err := d.begin(SyncDir, name, 0); err != nil {
		return err
	}
	if n := d.names[name]; n == nil || !n.dir {
		return &fs.PathError{Op: "syncdir", Path: name, Err: fs.ErrNotExist}
	}
	for path := range d.moved {
		if filepath.Dir(path) != name {
			continue
		}
		delete(d.moved, path)
		if n := d.names[path]; n != nil {
			d.safe[path] = n
		} else {
			delete(d.safe, path)
		}
	}
	return nil
}

// set changes a name, which nil removes. d.mu is held.
func (d *FS) set(path string, n *node) {
	d.moved[path] = true
	if n == nil {
		delete(d.names, path)
		return
	}
	d.names[path] = n
}

// entry is a directory entry without more to tell than its name.
type entry struct {
	name string
	dir  bool
}

func (e entry) Name() string               { return e.name }
func (e entry) IsDir() bool                { return e.dir }
func (e entry) Info() (fs.FileInfo, error) { return nil, errors.ErrUnsupported }
func (e entry) Type() fs.FileMode {
	if e.dir {
		return fs.ModeDir
	}
	return 0
}
