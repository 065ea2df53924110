package cloud

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is text that does not show itself: package fmt with any verb,
// encoding/json and log/slog print eight stars, or nothing if it is empty. What
// it holds is string(s).
type Secret string

const stars = "********"

// String returns eight stars, or "" if s is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return stars
}

// GoString returns what String does, in quotes.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// Format prints what String returns, in quotes for %q and %#v.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		io.WriteString(f, s.GoString())
		return
	}
	io.WriteString(f, s.String())
}

// MarshalText returns what String does. Programs that store a Secret must
// convert it to a string first.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns what String does.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
