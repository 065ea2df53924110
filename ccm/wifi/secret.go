package wifi

import (
	"fmt"
	"io"
	"log/slog"
)

// Password is a text that does not show itself: package fmt with any verb,
// encoding/json and log/slog print eight stars, or nothing if it is empty. What it
// holds is string(p).
type Password string

// String returns eight stars, or "" if p is empty.
func (p Password) String() string {
	if p == "" {
		return ""
	}
	return "********"
}

// Format prints what String returns, in quotes for %q and %#v.
func (p Password) Format(f fmt.State, verb rune) {
	text := p.String()
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		text = `"` + text + `"`
	}
	io.WriteString(f, text)
}

// MarshalText returns what String does. Programs that store a Password must
// convert it to a string first.
func (p Password) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// LogValue returns what String does.
func (p Password) LogValue() slog.Value { return slog.StringValue(p.String()) }
