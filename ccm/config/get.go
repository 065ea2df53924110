package config

import "errors"

// GetOptions say which configuration to show, and how.
type GetOptions struct {
	// Layers is how many levels count, from level 0 on, as they are saved: 1 for the
	// defaults of the schema, 6 for the levels 0 to 5. 0 = the live configuration.
	Layers int
	// Reveal shows secrets. Otherwise one that is set is eight stars.
	Reveal bool
}

var errLayers = errors.New("config: GetOptions.Layers: want 0 to 9")

// AppendJSON appends the value of a key, or the tree of the keys below a group, or
// the whole tree for "", as JSON text without white space, in the order of the
// schema. An unknown key is a *KeyError that wraps ErrUnknownKey; it leaves dst as it
// is.
func (s *Store) AppendJSON(dst []byte, key string, o GetOptions) ([]byte, error) {
	n := s.schema.index[key]
	if n == nil {
		return dst, &KeyError{Key: key, Kind: Unknown}
	}
	live := o.Layers == 0
	var v values
	switch {
	case live:
		v = *s.live.Load()
	case o.Layers < 0 || o.Layers > UserLevel:
		return dst, errLayers
	default:
		s.mu.Lock()
		v = s.below(slotOf(o.Layers-1) + 1)
		s.mu.Unlock()
	}
	return s.schema.appendTree(dst, n, func(key uint16) string {
		text, k := s.schema.value(v, key), &s.schema.keys[key]
		if k.Show && live {
			text = Expand(text, s.mac)
		}
		if !o.Reveal {
			text = k.redacted(text)
		}
		return text
	}), nil
}
