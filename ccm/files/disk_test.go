package files_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/ccmkit/ccmkit/internal/fsx"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
	"github.com/ccmkit/ccmkit/internal/testbed"
)

// openReal opens a directory of the operating system.
func openReal(t *testing.T) (d *files.Dir, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "state", "files")
	d, err := files.Open(files.Options{Dir: path})
	if err != nil {
		t.Fatal(err)
	}
	return d, path
}

func TestOpenWithoutDir(t *testing.T) {
	if _, err := files.Open(files.Options{}); err == nil {
		t.Error("no error")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Open(files.Options{Dir: filepath.Join(file, "files")}); err == nil {
		t.Error("no error below a file")
	}
}

// TestModes looks at who may read the files, whatever they were before.
func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	d, path := openReal(t)
	if err := os.WriteFile(filepath.Join(path, "b"), []byte("by hand"), 0o644); err != nil {
		t.Fatal(err)
	}
	put(t, d, "a", "A", whole)
	put(t, d, "b", "B", add)
	for name, want := range map[string]fs.FileMode{"": fs.ModeDir | 0o700, "a": 0o600, "b": 0o600} {
		if info, err := os.Stat(filepath.Join(path, name)); err != nil || info.Mode() != want {
			t.Errorf("%q: %v, %v", name, info.Mode(), err)
		}
	}
	if got := contents(t, d); len(got) != 2 || got["b"] != "by handB" {
		t.Errorf("files %v", got)
	}
}

// TestNotFiles puts into the directory what is no file of ours: it is neither
// listed nor followed, and what a link points to stays as it is.
func TestNotFiles(t *testing.T) {
	d, path := openReal(t)
	outside := filepath.Join(t.TempDir(), "outside")
	at := func(name string) string { return filepath.Join(path, name) }
	if err := errors.Join(
		os.WriteFile(outside, []byte("outside"), 0o600),
		os.Mkdir(at("dir"), 0o700),
		os.WriteFile(at("dir/inside"), []byte("x"), 0o600),
		os.WriteFile(at("no name"), []byte("x"), 0o600),
		os.WriteFile(at("mine"), []byte("mine"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	links := map[string]string{"link": outside, "up": "..", "dangling": filepath.Join(path, "..", "made"), "self": "mine"}
	for name, target := range links {
		if err := os.Symlink(target, at(name)); err != nil {
			testbed.Missing(t, "symlinks", err)
		}
	}
	if got := contents(t, d); len(got) != 1 || got["mine"] != "mine" {
		t.Errorf("files %v", got)
	}
	for _, name := range []string{"link", "up", "dangling", "self", "dir"} {
		_, read := d.Read(name)
		for n, err := range []error{read, d.Remove(name), d.Rename(name, "x"), d.Put(name, []byte("x"), files.PutMode{HasOffset: true, Offset: 1})} {
			if !errors.Is(err, files.ErrNotExist) {
				t.Errorf("%s: %d: %v", name, n, err)
			}
		}
	}
	put(t, d, "link", "new", whole)
	put(t, d, "dangling", "new", add)
	put(t, d, "up", "new", whole)
	if err := d.Rename("mine", "self"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(d.Put("dir", []byte("x"), whole)); err == nil {
		t.Error("a directory was replaced")
	}
	got := contents(t, d)
	if len(got) != 4 || got["link"] != "new" || got["dangling"] != "new" || got["up"] != "new" || got["self"] != "mine" {
		t.Errorf("files %v", got)
	}
	if text, err := os.ReadFile(outside); string(text) != "outside" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(path, "..", "made")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("made: %v", err)
	}
	if _, err := os.Lstat(at("new~")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left over: %v", err)
	}
}

// TestTemporary opens a directory with what an interrupted Put has left, as links
// to a file outside to be thorough.
func TestTemporary(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	path := filepath.Join(dir, "files")
	if err := errors.Join(os.WriteFile(outside, []byte("outside"), 0o600), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new~", "new~.tmp"} {
		if err := os.Symlink(outside, filepath.Join(path, name)); err != nil {
			testbed.Missing(t, "symlinks", err)
		}
	}
	d, err := files.Open(files.Options{Dir: path})
	if err != nil {
		t.Fatal(err)
	}
	put(t, d, "f", "F", whole)
	if text, err := os.ReadFile(outside); string(text) != "outside" {
		t.Errorf("%q, %v", text, err)
	}
	if entries, err := os.ReadDir(path); len(entries) != 1 || entries[0].Name() != "f" {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestDiskErrors makes each operation of the disk fail once, with each error that
// disks have: the caller is told, every file is as before or as it was to be, no
// temporary file is listed, and the next attempt works.
func TestDiskErrors(t *testing.T) {
	changes := []struct {
		name string
		do   func(d *files.Dir) error
		want string // of "f"; "-" = missing
	}{
		{"replace", func(d *files.Dir) error { return d.Put("f", []byte("new"), whole) }, "new"},
		{"append", func(d *files.Dir) error { return d.Put("f", []byte("new"), add) }, "oldnew"},
		{"chunk", func(d *files.Dir) error { return d.Put("f", []byte("new"), at(2)) }, "olnew"},
		{"remove", func(d *files.Dir) error { return d.Remove("f") }, "-"},
		{"rename", func(d *files.Dir) error { return d.Rename("g", "f") }, "other"},
	}
	for _, c := range changes {
		for _, cause := range []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS} {
			ops := -1 // of the change when nothing fails
			for n := 0; n != ops; n++ {
				disk := faultfs.New()
				d := open(t, disk)
				put(t, d, "f", "old", whole)
				put(t, d, "g", "other", whole)
				start := len(disk.Ops())
				if ops < 0 {
					if err := c.do(d); err != nil {
						t.Fatal(err)
					}
					ops, n = len(disk.Ops())-start, -1
					continue
				}
				disk.Fail(func(op faultfs.Op) error {
					if op.N == start+n {
						return cause
					}
					return nil
				})
				err := c.do(d)
				op := disk.Ops()[start+n]
				disk.Fail(nil)
				if !errors.Is(err, cause) && op.Kind != faultfs.Close {
					t.Errorf("%s, %v at %+v: %v", c.name, cause, op, err)
				}
				checkDisk(t, d, disk, c.want, err)
				if err := c.do(d); err != nil && (c.want != "-" && c.name != "rename" || !errors.Is(err, files.ErrNotExist)) {
					t.Errorf("%s, %v at %+v, then: %v", c.name, cause, op, err)
				}
			}
		}
	}
}

// checkDisk checks what an error has left.
func checkDisk(t *testing.T, d *files.Dir, disk fsx.FS, want string, err error) {
	t.Helper()
	all := contents(t, d)
	got, there := all["f"]
	if !there {
		got = "-"
	}
	if got != want && (got != "old" || err == nil) {
		t.Errorf("f is %q, %v", got, err)
	}
	entries, _ := disk.ReadDir("files")
	if len(entries) != len(all) {
		t.Errorf("entries %v, files %v, after %v", entries, all, err)
	}
}

// oddDisk is a disk of which a directory entry cannot tell the size.
type oddDisk struct {
	fsx.FS
	err error
}

func (d oddDisk) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := d.FS.ReadDir(name)
	for n, e := range entries {
		if e.Name() == "odd" {
			entries[n] = oddEntry{e, d.err}
		}
	}
	return entries, err
}

type oddEntry struct {
	fs.DirEntry
	err error
}

func (e oddEntry) Info() (fs.FileInfo, error) { return nil, e.err }

// TestSizeUnknown lists a file that another program has just removed, and one
// whose size is not to be had.
func TestSizeUnknown(t *testing.T) {
	d, path := openReal(t)
	put(t, d, "a", "A", whole)
	put(t, d, "odd", "odd", whole)
	for _, c := range []struct {
		err, want error
		files     int
	}{
		{fs.ErrNotExist, nil, 1},
		{syscall.EIO, syscall.EIO, 0},
		{errors.ErrUnsupported, nil, 2}, // its bytes are counted
	} {
		odd, err := files.Open(files.Options{FS: oddDisk{fsx.OS(), c.err}, Dir: path})
		if err != nil {
			t.Fatal(err)
		}
		list, err := odd.List()
		if len(list) != c.files || !errors.Is(err, c.want) {
			t.Errorf("%v: %v, %v", c.err, list, err)
		}
		if err := odd.Put("b", nil, whole); !errors.Is(err, c.want) {
			t.Errorf("%v: put: %v", c.err, err)
		}
		d.Remove("b")
	}
}
