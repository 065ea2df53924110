package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/ccmkit/ccmkit/internal/acl"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Change is a request to set keys, all of them or none. It does not show its values
// when it is printed, logged or encoded as JSON.
type Change struct {
	// Config is a sparse tree of the values to set, as JSON text. It is not kept.
	Config []byte
	// Key and Value, in place of Config, set one key, or the keys below a group, to
	// the value or the tree that is the JSON text Value.
	Key   string
	Value []byte
	// Level is the level to change, 1 to 9; 0 = 9, the user's, which takes effect
	// at once. Changes of the vendor's levels, 1 to 8, wait for Save.
	Level int
	// ACL is a list, in the syntax of conf_acl, of the keys that the caller may set.
	// Those that conf_acl does not allow may not be set anyway. "*" = no further
	// limit; "" allows nothing.
	ACL string
	// Vendor lets the change pass by conf_acl and ACL. It is for the program that
	// embeds the store, never for requests from outside.
	Vendor bool
}

// describe says what may be shown of a change: not its values.
func (c *Change) describe() string {
	return fmt.Sprintf("config.Change{Key:%q Level:%d Vendor:%t}", clip(c.Key), c.Level, c.Vendor)
}

// Format implements fmt.Formatter: the values are not shown.
func (c Change) Format(f fmt.State, _ rune) { io.WriteString(f, c.describe()) }

// MarshalText returns what Format prints. Without it encoding/json, and so the JSON
// handler of log/slog, would show the values in base64.
func (c Change) MarshalText() ([]byte, error) { return []byte(c.describe()), nil }

// LogValue returns what Format prints.
func (c Change) LogValue() slog.Value { return slog.StringValue(c.describe()) }

var (
	errNoSuchKey = errors.New("there is no such key")
	errLevel     = errors.New("config: no such level, want 1 to 9")
	errBoth      = errors.New("config: a Change has either Config or Key")
)

// Set makes a change, which becomes live at once but is not saved; a change of a
// vendor's level has no effect until Save. The first key in the text that may not be
// set (Denied), has a value of another type (BadType) or an unsuitable one, or is
// there twice (Invalid), or is not there although Key names it (Unknown) makes it fail
// with a *KeyError, and nothing is changed then; so does text that is not JSON
// (Invalid, ErrSyntax). Members that the schema
// does not have are ignored, unless Options.StrictKeys says otherwise.
//
// A secret that is set to eight stars stays as it is. A value that equals that of
// the levels below is set no more: the key follows them from now on.
func (s *Store) Set(c Change) error { return s.Update(c, nil) }

// Update makes a change and, if save is not nil, saves the level it is for: one that
// cannot be saved is not made. save.Level does not count.
func (s *Store) Update(c Change, save *SaveOptions) error {
	slot, err := levelSlot(c.Level)
	if err != nil {
		return err
	}
	changed, err := s.changeLevel(slot, c, save)
	s.notify(changed)
	return err
}

// levelSlot returns the slot of a level that can be written, or of the user's for 0.
func levelSlot(level int) (int, error) {
	switch {
	case level == 0:
		return slotUser, nil
	case level < 0 || level > UserLevel:
		return 0, errLevel
	}
	return slotOf(level), nil
}

// changeLevel makes a change of one level. It returns which live values are others
// now.
func (s *Store) changeLevel(slot int, c Change, save *SaveOptions) ([]uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edits, err := s.plan(c)
	if err != nil {
		return nil, err
	}
	l := &s.levels[slot]
	before := *l
	below := s.below(slot)
	set := s.schema.differing(l.current().edited(edits), below)
	if len(s.encode(slot, set)) > MaxFile {
		return nil, &KeyError{Key: c.Key, Kind: Invalid, Err: ErrTooLarge}
	}
	if slot == slotUser {
		l.set = set
	} else {
		l.staged, l.edited = set, true
	}
	if save != nil {
		if err := s.save(slot, *save); err != nil {
			l.set, l.staged, l.edited = before.set, before.staged, before.edited
			return nil, err
		}
	}
	return s.publish(), nil
}

// current returns what the level will set once it is saved.
func (l *level) current() values {
	if l.edited {
		return l.staged
	}
	return l.set
}

// plan returns the values that a change is to set. s.mu is held.
func (s *Store) plan(c Change) (values, error) {
	n, text := s.schema.root, c.Config
	if c.Key != "" {
		if c.Config != nil {
			return nil, errBoth
		}
		if n, text = s.schema.index[c.Key], c.Value; n == nil {
			return nil, &KeyError{Key: c.Key, Kind: Unknown}
		}
	}
	p := planner{schema: s.schema, strict: s.strict, silent: s.silent, may: s.permission(c)}
	w := walker{value: p.value, fault: func(e *KeyError) error { return e }, unknown: p.unknown}
	if err := w.walk(n, text); err != nil {
		return nil, err
	}
	if len(p.ignored) > 0 {
		s.log.Info("config: unknown keys are ignored", "keys", strings.Join(p.ignored, " "))
	}
	if len(p.refused) > 0 {
		s.log.Warn("config: keys that may not be set are left out", "keys", strings.Join(p.refused, " "))
	}
	p.edits.sort()
	return p.edits, nil
}

// permission returns the judgement of who makes a change, by the lists as they are
// before it.
func (s *Store) permission(c Change) func(key string) bool {
	if c.Vendor {
		return func(string) bool { return true }
	}
	may := s.allowed(*s.live.Load())
	return func(key string) bool { return may(key) && acl.Allows(c.ACL, key) }
}

// planner collects the values of a change.
type planner struct {
	schema           *Schema
	may              func(key string) bool
	strict, silent   bool
	edits            values
	ignored, refused []string
}

func (p *planner) value(n *node, raw mjson.Value) error {
	if !p.may(n.path) {
		if p.silent {
			p.refused = note(p.refused, n.path)
			return nil
		}
		return &KeyError{Key: n.path, Kind: Denied}
	}
	k := &p.schema.keys[n.key]
	if k.Secret {
		if text, is := raw.Text(); is && text == stars {
			return nil
		}
	}
	text, bad := k.parse(raw)
	if bad != nil {
		return bad
	}
	p.edits = append(p.edits, leaf{key: n.key, text: text})
	return nil
}

func (p *planner) unknown(path string) error {
	if p.strict {
		return &KeyError{Key: path, Kind: Invalid, Err: errNoSuchKey}
	}
	p.ignored = note(p.ignored, path)
	return nil
}

// note adds a name to those that the log will show: a few.
func note(list []string, path string) []string {
	if len(list) >= 8 {
		return list
	}
	return append(slices.Clip(list), clip(path))
}
