package fsx_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ccmkit/ccmkit/internal/fsx"
	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
)

// disks are the implementations, each with a directory to use.
func disks(t *testing.T) map[string]struct {
	fsx.FS
	dir string
} {
	return map[string]struct {
		fsx.FS
		dir string
	}{
		"os":    {fsx.OS(), t.TempDir()},
		"fault": {faultfs.New(), "."},
	}
}

// TestDisks does the same on each implementation.
func TestDisks(t *testing.T) {
	for name, disk := range disks(t) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(disk.dir, "a", "b")
			file := filepath.Join(dir, "f")
			if _, err := fsx.ReadFile(disk, file, 10); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("read: %v", err)
			}
			if err := fsx.WriteFile(disk, file, nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("write without a directory: %v", err)
			}
			for range 2 {
				if err := fsx.MkdirAll(disk, dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for _, text := range []string{"longer", "text", ""} {
				if err := fsx.WriteFile(disk, file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if got, err := fsx.ReadFile(disk, file, len(text)); err != nil || string(got) != text {
					t.Errorf("%q, %v", got, err)
				}
			}
			appendTo(t, disk, file, "one ")
			appendTo(t, disk, file, "two")
			if got, err := fsx.ReadFile(disk, file, 7); err != nil || string(got) != "one two" {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := fsx.ReadFile(disk, file, 6); !errors.Is(err, fsx.ErrTooLarge) {
				t.Errorf("too large: %v", err)
			}
			if _, err := disk.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); !errors.Is(err, fs.ErrExist) {
				t.Errorf("exclusive: %v", err)
			}
			if err := disk.Mkdir(filepath.Join(dir, "z", "y"), 0o700); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("mkdir: %v", err)
			}
			if err := disk.Rename(filepath.Join(dir, "x"), file); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("rename: %v", err)
			}
			if err := disk.Remove(filepath.Join(dir, "x")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("remove: %v", err)
			}
			if err := disk.SyncDir(filepath.Join(dir, "x")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("sync: %v", err)
			}
			if got := list(t, disk, filepath.Dir(dir)) + list(t, disk, dir); got != "b/f" {
				t.Errorf("entries %q", got)
			}
			if err := disk.Remove(file); err != nil || list(t, disk, dir) != "" {
				t.Errorf("%v, entries %q", err, list(t, disk, dir))
			}
			if _, err := disk.ReadDir(file); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("readdir: %v", err)
			}
		})
	}
}

func appendTo(t *testing.T, disk fsx.FS, name, text string) {
	t.Helper()
	f, err := disk.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte(text)); n != len(text) || err != nil {
		t.Error(n, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Error(err)
	}
}

// list returns the entries of a directory, those of directories with a slash.
func list(t *testing.T, disk fsx.FS, dir string) string {
	t.Helper()
	entries, err := disk.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names strings.Builder
	for _, e := range entries {
		names.WriteString(e.Name())
		if e.IsDir() && e.Type().IsDir() {
			names.WriteByte('/')
		}
	}
	return names.String()
}

// TestWriteFilePower cuts power at every operation of MkdirAll and WriteFile: the
// file is as it was or as it was to be, whole, and what was acknowledged is there.
func TestWriteFilePower(t *testing.T) {
	texts := []string{"", strings.Repeat("old ", 300), strings.Repeat("longer ", 500), "new"}
	// write returns how many of the texts were written.
	write := func(disk fsx.FS) int {
		if fsx.MkdirAll(disk, "a/b", 0o700) != nil {
			return 0
		}
		for n, text := range texts[1:] {
			if fsx.WriteFile(disk, "a/b/f", []byte(text), 0o600) != nil {
				return n
			}
		}
		return len(texts) - 1
	}
	whole := faultfs.New()
	if n := write(whole); n != 3 {
		t.Fatalf("%d written", n)
	}
	for _, op := range whole.Ops() {
		for _, size := range []int{0, op.Size / 2, op.Size} {
			disk := faultfs.New()
			disk.CutAt(op.N, size)
			n := write(disk)
			if n == 3 {
				t.Fatalf("no cut at %+v", op)
			}
			for _, loss := range faultfs.Losses() {
				got, err := fsx.ReadFile(disk.Restart(loss), "a/b/f", 10000)
				missing := errors.Is(err, fs.ErrNotExist) && n == 0
				if !missing && (err != nil || string(got) != texts[n] && string(got) != texts[n+1]) {
					t.Errorf("%s: cut at %+v after %d: %.20q (%d bytes), %v", loss.Name, op, n, got, len(got), err)
				}
			}
		}
	}
}

// TestMkdirAllAgain makes a directory whose name could not be made durable the
// first time.
func TestMkdirAllAgain(t *testing.T) {
	disk := faultfs.New()
	disk.Fail(func(op faultfs.Op) error {
		if op.Kind == faultfs.SyncDir {
			return syscall.EIO
		}
		return nil
	})
	if err := fsx.MkdirAll(disk, "d", 0o700); !errors.Is(err, syscall.EIO) {
		t.Errorf("%v", err)
	}
	disk.Fail(nil)
	if err := errors.Join(fsx.MkdirAll(disk, "d", 0o700), fsx.WriteFile(disk, "d/f", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, loss := range faultfs.Losses() {
		if _, err := fsx.ReadFile(disk.Restart(loss), "d/f", 0); err != nil {
			t.Errorf("%s: %v", loss.Name, err)
		}
	}
}

// TestWriteFileErrors makes each operation fail: the error is returned, the file
// is whole, no temporary file is left, and the next attempt works.
func TestWriteFileErrors(t *testing.T) {
	for _, kind := range []faultfs.Kind{faultfs.Create, faultfs.Write, faultfs.Sync, faultfs.Close, faultfs.Rename, faultfs.SyncDir} {
		disk := faultfs.New()
		if err := fsx.WriteFile(disk, "f", []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		disk.Fail(func(op faultfs.Op) error {
			if op.Kind == kind {
				return syscall.ENOSPC
			}
			return nil
		})
		err := fsx.WriteFile(disk, "f", []byte("new"), 0o600)
		disk.Fail(nil)
		want := "old"
		if kind == faultfs.SyncDir {
			want = "new"
		}
		got, _ := fsx.ReadFile(disk, "f", 10)
		if !errors.Is(err, syscall.ENOSPC) || string(got) != want || list(t, disk, ".") != "f" {
			t.Errorf("%s: %v, %q, files %q", kind, err, got, list(t, disk, "."))
		}
		if err := fsx.WriteFile(disk, "f", []byte("newer"), 0o600); err != nil {
			t.Errorf("%s: then %v", kind, err)
		}
	}
}

// TestLosses shows what each loss makes of a disk on which some things were made
// durable and others not.
func TestLosses(t *testing.T) {
	disk := faultfs.New()
	write := func(name, text string, sync bool) {
		f, err := disk.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err == nil {
			_, err = f.Write([]byte(text))
		}
		if err == nil && sync {
			err = f.Sync()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	long := strings.Repeat("x", 600)
	write("safe", "s", true)
	write("grown", "g", true)
	write("unsynced", "u", false)
	write("gone", "", true)
	if err := disk.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	write("grown", long, false)
	write("new", "n", true)
	if err := disk.Remove("gone"); err != nil {
		t.Fatal(err)
	}
	torn := "g" + long[:511] + strings.Repeat("\x00", 89)
	want := map[string]map[string]string{
		"nothing lost":              {"safe": "s", "grown": "g" + long, "unsynced": "u", "new": "n"},
		"all lost":                  {"safe": "s", "grown": "g", "unsynced": "", "gone": ""},
		"names kept, data lost":     {"safe": "s", "grown": "g", "unsynced": "", "new": "n"},
		"names kept, data zero":     {"safe": "s", "grown": strings.Repeat("\x00", 601), "unsynced": "\x00", "new": "n"},
		"names kept, data torn":     {"safe": "s", "grown": torn, "unsynced": "u", "new": "n"},
		"names kept, half the data": {"safe": "s", "grown": "g" + long[:299], "unsynced": "", "new": "n"},
		"names lost, data kept":     {"safe": "s", "grown": "g" + long, "unsynced": "u", "gone": ""},
	}
	if len(faultfs.Losses()) != len(want) {
		t.Errorf("%d losses", len(faultfs.Losses()))
	}
	for _, loss := range faultfs.Losses() {
		after := disk.Restart(loss)
		entries, _ := after.ReadDir(".")
		if len(entries) != len(want[loss.Name]) {
			t.Errorf("%s: %q", loss.Name, list(t, after, "."))
		}
		for name, text := range want[loss.Name] {
			if got, err := fsx.ReadFile(after, name, 1000); err != nil || string(got) != text {
				t.Errorf("%s: %s: %q, %v", loss.Name, name, got, err)
			}
		}
	}
}

// TestCut shows what happens at a cut and after it.
func TestCut(t *testing.T) {
	disk := faultfs.New()
	disk.CutAt(1, 2)
	f, err := disk.OpenFile("f", os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("abc")); n != 2 || err != faultfs.ErrPowerCut {
		t.Errorf("%d, %v", n, err)
	}
	_, opened := disk.OpenFile("f", os.O_RDONLY, 0)
	_, read := f.Read(nil)
	_, listed := disk.ReadDir(".")
	for n, err := range []error{f.Sync(), f.Close(), opened, read, listed, disk.Rename("f", "g"), disk.Remove("f"),
		disk.Mkdir("d", 0), disk.SyncDir(".")} {
		if err != faultfs.ErrPowerCut {
			t.Errorf("%d: %v", n, err)
		}
	}
	if got, err := fsx.ReadFile(disk.Restart(faultfs.Losses()[0]), "f", 10); string(got) != "ab" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if ops := disk.Ops(); len(ops) != 11 || ops[1] != (faultfs.Op{N: 1, Kind: faultfs.Write, Name: "f", Size: 3}) {
		t.Errorf("%+v", ops)
	}
}

// TestReadError fails to read.
func TestReadError(t *testing.T) {
	disk := faultfs.New()
	if err := fsx.WriteFile(disk, "f", bytes.Repeat([]byte("x"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	reads := 0
	disk.Fail(func(op faultfs.Op) error {
		if op.Kind == faultfs.Read {
			if reads++; reads == 3 {
				return syscall.EIO
			}
		}
		return nil
	})
	if _, err := fsx.ReadFile(disk, "f", 10000); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
}

// An atomic replacement that power interrupts.
func Example() {
	disk := faultfs.New()
	fsx.WriteFile(disk, "settings", []byte("old"), 0o600)
	disk.CutAt(len(disk.Ops())+1, 2) // the second operation is the write
	err := fsx.WriteFile(disk, "settings", []byte("new"), 0o600)
	after := disk.Restart(faultfs.Losses()[0])
	text, _ := fsx.ReadFile(after, "settings", 100)
	fmt.Println(err)
	fmt.Printf("%s\n", text)
	// Output:
	// faultfs: power cut
	// old
}
