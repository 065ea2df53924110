package fsx

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
)

// TempSuffix is what [WriteFile] appends to the name of a file for the temporary
// file beside it. One may be left over by a power cut.
const TempSuffix = ".tmp"

// ErrTooLarge is returned by [ReadFile] for a file longer than allowed.
var ErrTooLarge = errors.New("fsx: file too large")

// FS is a disk. Names are those of the operating system, errors are those of
// package os: errors.Is with fs.ErrNotExist and fs.ErrExist works.
type FS interface {
	// OpenFile opens a file; flag and perm are those of os.OpenFile. Used are
	// O_RDONLY, and O_WRONLY with O_CREATE, O_TRUNC, O_APPEND and O_EXCL.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Rename moves a file within its directory, replacing what is there.
	Rename(from, to string) error
	// Remove removes a file.
	Remove(name string) error
	// Mkdir makes one directory.
	Mkdir(name string, perm fs.FileMode) error
	// ReadDir returns the entries of a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
}

// File is an open file.
type File interface {
	io.Reader
	io.Writer
	io.Closer
	// Sync makes the content durable, but not the name: see FS.SyncDir.
	Sync() error
}

// ReadFile returns the content of a file of at most limit bytes.
func ReadFile(disk FS, name string, limit int) ([]byte, error) {
	f, err := disk.OpenFile(name, flagRead, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(data) > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: ErrTooLarge}
	}
	return data, err
}

// WriteFile replaces the content of a file, or makes the file. When it returns
// nil the new content is durable. When it returns an error the file has the old
// content or the new one, whole; the new one only if all that failed was to make
// the name durable.
func WriteFile(disk FS, name string, data []byte, perm fs.FileMode) error {
	return WriteFileBy(disk, name+TempSuffix, name, data, perm)
}

// WriteFileBy is [WriteFile] with another temporary file, in the same directory. What
// is there under that name is lost.
func WriteFileBy(disk FS, temp, name string, data []byte, perm fs.FileMode) error {
	err := writeNew(disk, temp, data, perm)
	if err == nil {
		err = disk.Rename(temp, name)
	}
	if err != nil {
		disk.Remove(temp) // if it stays, the next WriteFile truncates it
		return err
	}
	return disk.SyncDir(filepath.Dir(name))
}

// writeNew writes a file and makes its content durable.
func writeNew(disk FS, name string, data []byte, perm fs.FileMode) error {
	f, err := disk.OpenFile(name, flagWrite, perm)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// MkdirAll makes a directory, and those above it that are missing, and makes
// their names durable.
func MkdirAll(disk FS, dir string, perm fs.FileMode) error {
	dir = filepath.Clean(dir)
	up := filepath.Dir(dir)
	err := disk.Mkdir(dir, perm)
	if errors.Is(err, fs.ErrNotExist) && up != dir {
		if err = MkdirAll(disk, up, perm); err == nil {
			err = disk.Mkdir(dir, perm)
		}
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		disk.SyncDir(up) // in case power failed last time between the two; up may not be ours
		return nil
	case err != nil:
		return err
	}
	return disk.SyncDir(up)
}
