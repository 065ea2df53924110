package config

// GetOptions say which configuration to show, and how.
type GetOptions struct {
	// Level is 9 or -1 for the live configuration, 0 for the defaults of the schema,
	// and 1 to 8 for what these levels and those below them set, as it is saved.
	Level int
	// Reveal shows secrets. Otherwise one that is set is eight stars.
	Reveal bool
}

// AppendJSON appends the value of a key, or the tree of the keys below a group, or
// the whole tree for "", as JSON text without white space, in the order of the
// schema. An unknown key is a *KeyError that wraps ErrUnknownKey; it leaves dst as it
// is.
func (s *Store) AppendJSON(dst []byte, key string, o GetOptions) ([]byte, error) {
	n := s.schema.index[key]
	if n == nil {
		return dst, &KeyError{Key: key, Kind: Unknown}
	}
	live := o.Level == UserLevel || o.Level == -1
	var v values
	switch {
	case live:
		v = *s.live.Load()
	case o.Level < 0 || o.Level > UserLevel:
		return dst, errLevel
	default:
		s.mu.Lock()
		v = s.below(slotOf(o.Level) + 1)
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
