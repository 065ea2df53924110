// Package secret has text that does not show itself, for the packages that have
// passwords in their configurations.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Text is text that does not show itself: package fmt with any verb, encoding/json
// and log/slog print eight stars, or nothing if it is empty. What it holds is
// string(t).
type Text string

// Stars are what stands for a Text that is not empty.
const Stars = "********"

// String returns eight stars, or "" if t is empty.
func (t Text) String() string {
	if t == "" {
		return ""
	}
	return Stars
}

// GoString returns what String does, in quotes.
func (t Text) GoString() string { return fmt.Sprintf("%q", t.String()) }

// Format prints what String returns, in quotes for %q and %#v.
func (t Text) Format(f fmt.State, verb rune) {
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		io.WriteString(f, t.GoString())
		return
	}
	io.WriteString(f, t.String())
}

// MarshalText returns what String does. Programs that store a Text must convert it
// to a string first.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// LogValue returns what String does.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }
