package config

import (
	"fmt"
	"io"
	"strconv"

	"github.com/ccmkit/ccmkit/internal/secret"
)

// Secret is text that does not show itself: package fmt with any verb, encoding/json
// and log/slog print eight stars, or nothing if it is empty. What it holds is
// string(s). It is the same type as cloud.Secret.
type Secret = secret.Text

// View is a configuration as it was at one moment: what is read from it fits
// together, whatever is set meanwhile. It does not show its values when printed.
type View struct {
	schema *Schema
	mac    string
	set    values
}

// Has reports whether there is a key of that name.
func (v View) Has(key string) bool {
	if v.schema == nil {
		return false
	}
	n := v.schema.index[key]
	return n != nil && n.leaf
}

// Bool returns the value of a key of that type. If the schema has no such key the
// result is false.
func (v View) Bool(key string) bool { return v.text(key, Bool) == "true" }

// Int returns the value of a key of that type, or 0 if there is no such key.
func (v View) Int(key string) int {
	n, _ := strconv.Atoi(v.text(key, Int))
	return n
}

// Double returns the value of a key of that type, or 0 if there is no such key.
func (v View) Double(key string) float64 {
	f, _ := strconv.ParseFloat(v.text(key, Double), 64)
	return f
}

// String returns the value of a key of that type, or "" if there is no such key.
// Placeholders are replaced if the key says so. Secrets are returned as they are.
func (v View) String(key string) string {
	if v.schema == nil {
		return ""
	}
	k, is := v.schema.find(key, String)
	if !is {
		return ""
	}
	text := v.schema.value(v.set, k)
	if v.schema.keys[k].Expand || v.schema.keys[k].Show {
		return Expand(text, v.mac)
	}
	return text
}

// Secret is String for what must not appear in logs.
func (v View) Secret(key string) Secret { return Secret(v.String(key)) }

func (v View) text(key string, t Type) string {
	if v.schema == nil {
		return ""
	}
	k, is := v.schema.find(key, t)
	if !is {
		return ""
	}
	return v.schema.value(v.set, k)
}

// Format implements fmt.Formatter: the values are not shown.
func (v View) Format(f fmt.State, _ rune) { io.WriteString(f, "config.View") }
