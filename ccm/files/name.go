package files

import (
	"fmt"
	"path/filepath"
	"strings"
)

// maxName is how long a name may be.
const maxName = 64

// isChar reports whether a character may be in a name.
func isChar(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// cleanName returns the name of a file in the directory for the one that a client
// has given.
func cleanName(name string) (string, error) {
	flat := strings.TrimPrefix(name, "/")
	if flat == "" || len(flat) > maxName || strings.TrimLeftFunc(flat, isChar) != "" || !local(flat) {
		return "", nameError(ErrName, name)
	}
	return flat, nil
}

// isName reports whether an entry of the directory can be one of ours.
func isName(entry string) bool {
	name, err := cleanName(entry)
	return err == nil && name == entry
}

// local refuses "." and "..", and on Windows the names of devices.
func local(name string) bool { return name != "." && filepath.IsLocal(name) }

// nameError returns an error of this package about a file. The name is cut: it may
// be anything that a client has sent.
func nameError(err error, name string) error {
	return fmt.Errorf("%w: %.80q", err, name)
}
