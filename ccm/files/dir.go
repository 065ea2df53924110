package files

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/ccmkit/ccmkit/internal/fsx"
)

// Bounds of a Dir (rulings D3).
const (
	MaxFile  = 256 << 10 // bytes in a file
	MaxFiles = 64        // files
	MaxTotal = 4 << 20   // bytes in all files
)

var (
	// ErrName is returned for a name that no file can have.
	ErrName = errors.New("files: invalid name")
	// ErrNotExist is returned for a file that is not there. errors.Is finds
	// fs.ErrNotExist in it.
	ErrNotExist = fmt.Errorf("files: %w", fs.ErrNotExist)
	// ErrTooLarge is returned for a file that is, or would be, longer than
	// MaxFile.
	ErrTooLarge = errors.New("files: file too large")
	// ErrFull is returned if there would be more than MaxFiles files or more
	// than MaxTotal bytes.
	ErrFull = errors.New("files: store full")
	// ErrOffset is returned for an offset below 0, and by Put for one beyond the
	// end of the file.
	ErrOffset = errors.New("files: illegal offset")
	// ErrPrivateKey is returned by Put for a part that would make of a private
	// key a file that is not known as one.
	ErrPrivateKey = errors.New("files: part of a private key")
)

const (
	dirMode  = 0o700
	fileMode = 0o600
	// newFile is where the next content of a file is written. It is no name of a
	// file of ours, nor is what fsx.WriteFile makes of it: a client may well call
	// a file "x.tmp".
	newFile = "new~"
)

// Options says where a Dir is.
type Options struct {
	// FS is the disk. nil = that of the operating system.
	FS fsx.FS
	// Dir is the directory, which is made if it is missing. It must be set.
	Dir string
}

// Dir is a flat directory of files. Make it with [Open].
type Dir struct {
	disk fsx.FS
	path string

	mu sync.RWMutex // held for writing while the directory changes
}

// Open makes the directory if need be, and removes what a Put has left that was
// interrupted. Nothing is to be closed.
func Open(o Options) (*Dir, error) {
	if o.Dir == "" {
		return nil, errors.New("files: Options.Dir is not set")
	}
	d := &Dir{disk: o.FS, path: o.Dir}
	if d.disk == nil {
		d.disk = fsx.OS()
	}
	if err := fsx.MkdirAll(d.disk, d.path, dirMode); err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	for _, left := range []string{newFile, newFile + fsx.TempSuffix} {
		if err := d.disk.Remove(d.file(left)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("files: %w", err)
		}
	}
	return d, nil
}

// file returns the path of an entry of the directory.
func (d *Dir) file(name string) string { return filepath.Join(d.path, name) }

// diskError returns what the disk has said about a file.
func diskError(op, name string, err error) error {
	return fmt.Errorf("files: %s %q: %w", op, name, err)
}
