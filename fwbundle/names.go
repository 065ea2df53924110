package fwbundle

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// checkName refuses names of entries that are unsafe or that readers could take
// for different ones.
func checkName(name string) error {
	var err error
	switch {
	case name == "":
		err = errors.New("empty name")
	case !utf8.ValidString(name):
		err = errors.New("the name is not UTF-8")
	case strings.ContainsAny(name, "\x00\\"):
		err = errors.New("NUL or backslash in the name")
	case name[0] == '/':
		err = errors.New("absolute name")
	case len(name) > 1 && name[1] == ':' && isLetter(name[0]):
		err = errors.New("drive letter in the name")
	case slices.Contains(strings.Split(name, "/"), ".."):
		err = errors.New("'..' in the name")
	default:
		return nil
	}
	return &Error{Stage: StageNames, Entry: name, Err: err}
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// isDir reports whether the name is that of a directory.
func isDir(name string) bool { return strings.HasSuffix(name, "/") }

// base returns what is behind the last slash: parts name their entries that way.
func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// addName adds the name of an entry to those that an archive has, and refuses it
// if there is one like it, or a file with its base name. There are few.
func addName(names []string, name string) ([]string, error) {
	for _, other := range names {
		if other == name || !isDir(name) && !isDir(other) && base(other) == base(name) {
			return names, refuse(StageNames, name, "there are two entries of that name: %.80q", other)
		}
	}
	return append(names, name), nil
}
