//go:build unix

package config

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

var errForeign = errors.New("it belongs to somebody else")

// private checks that a file is ours and nobody else's.
func private(info fs.FileInfo) error {
	if info.Mode().Perm()&0o077 != 0 {
		return errPublic
	}
	if s, is := info.Sys().(*syscall.Stat_t); is && int(s.Uid) != os.Geteuid() {
		return errForeign
	}
	return nil
}
