package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/ccmkit/ccmkit/internal/secret"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Type is the type of a value.
type Type uint8

// The types, as Mongoose OS has them.
const (
	Bool   Type = iota + 1 // true or false
	Int                    // an integer of 32 bits
	Double                 // a number
	String                 // text of at most MaxString bytes, without NUL
)

// String returns what error messages call the type.
func (t Type) String() string {
	switch t {
	case Bool:
		return "boolean"
	case Int:
		return "integer"
	case Double:
		return "number"
	case String:
		return "string"
	}
	return "Type(" + strconv.Itoa(int(t)) + ")"
}

// Key describes one setting.
type Key struct {
	// Name is the dotted path: parts of letters, digits, '_' and '-', at most
	// MaxName bytes together.
	Name string
	Type Type
	// Default is the value of level 0 as JSON text. "" = false, 0 or "".
	Default string
	// Secret hides the value, which must be a String: it reads as eight stars,
	// and is encrypted in files if there is a root key.
	Secret bool
	// Expand replaces placeholders in what Store.String returns; see [Expand].
	Expand bool
	// Show has Store.AppendJSON show the live value with placeholders replaced
	// too, as Mongoose OS does for device.id.
	Show bool
	// Doc says what the setting is for, in a few words.
	Doc string
	// Check, if set, refuses values: true, 6, 0.5 or the text of a string, not
	// quoted. Its error must not show the value. It may be called from several
	// goroutines at a time.
	Check func(value string) error
}

// Bounds of what is stored.
const (
	MaxFile   = 64 << 10 // bytes of a file, and of the text given to Store.Set
	MaxString = 4 << 10  // bytes of a string
	MaxName   = 128      // bytes of the name of a key
	MaxKeys   = 4096     // keys of a schema
)

// A value is kept as text: a string as what it stands for, all others as JSON
// in one form, so that equal values have equal texts.

// parse returns the value that raw, which is valid JSON, has for the key.
func (k *Key) parse(raw mjson.Value) (string, *KeyError) {
	text, ok := k.Type.parse(raw)
	if !ok {
		return "", &KeyError{Key: k.Name, Kind: BadType, Want: k.Type}
	}
	return text, k.check(text)
}

// check judges a value of the right type.
func (k *Key) check(text string) *KeyError {
	var err error
	switch {
	case k.Type == String && len(text) > MaxString:
		err = fmt.Errorf("longer than %d bytes", MaxString)
	case strings.IndexByte(text, 0) >= 0:
		err = errNUL
	case k.Secret && looksSealed(text):
		err = errLooksSealed
	case k.Check != nil:
		err = k.Check(text)
	}
	if err != nil {
		return &KeyError{Key: k.Name, Kind: Invalid, Err: err}
	}
	return nil
}

func (t Type) parse(raw mjson.Value) (string, bool) {
	switch t {
	case Bool:
		b, ok := raw.Bool()
		return strconv.FormatBool(b), ok
	case Int:
		if raw.Type() != mjson.Number {
			return "", false
		}
		n, ok := raw.Int()
		return strconv.FormatInt(n, 10), ok && math.MinInt32 <= n && n <= math.MaxInt32
	case Double:
		f, ok := raw.Number()
		return formatDouble(f), ok && !math.IsInf(f, 0)
	case String:
		return raw.Text()
	}
	return "", false
}

// formatDouble prints a number as Mongoose OS does, with six decimals, if that is
// exactly the number, else as short as possible.
func formatDouble(f float64) string {
	if f == 0 {
		f = 0 // not -0
	}
	if math.Abs(f) < 1e15 {
		text := strconv.FormatFloat(f, 'f', 6, 64)
		if back, err := strconv.ParseFloat(text, 64); err == nil && back == f {
			return text
		}
	}
	return strconv.FormatFloat(f, 'e', -1, 64)
}

// append appends a value as JSON text.
func (t Type) append(dst []byte, text string) []byte {
	if t == String {
		return mjson.AppendQuote(dst, text)
	}
	return append(dst, text...)
}

// stars stand for a secret that is set.
const stars = secret.Stars

// redacted returns what is shown of a value.
func (k *Key) redacted(text string) string {
	if k.Secret && text != "" {
		return stars
	}
	return text
}
