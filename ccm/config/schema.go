package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Schema is a set of keys with their types and defaults, and the rules by which
// values must fit together. It does not change: all stores of a program can share
// one. Make it with [NewSchema] or [CCM].
type Schema struct {
	keys  []Key
	defs  []string // the defaults
	index map[string]*node
	root  *node
	rules []Rule
}

// Rule judges a configuration as a whole, before it is saved. Its error must not
// show a secret.
type Rule func(v View) error

// node is a key or what groups keys.
type node struct {
	path string // dotted; "" for the root
	name string // the last part
	leaf bool
	key  uint16 // index into keys, of a leaf
	typ  Type   // of a leaf
	kids []*node
	kid  map[string]*node
}

// NewSchema returns a schema of these keys. Config.Get lists them in this order,
// but those of a group together.
func NewSchema(keys ...Key) (*Schema, error) {
	return (&Schema{}).With(keys...)
}

// With returns a schema that has these keys too. A key that is there already is
// replaced, where it stands, if it is of the same type: to have another default,
// for example.
func (s *Schema) With(keys ...Key) (*Schema, error) {
	n := &Schema{keys: slices.Clone(s.keys), defs: slices.Clone(s.defs), rules: s.rules}
	at := map[string]int{}
	for i, k := range n.keys {
		at[k.Name] = i
	}
	for _, k := range keys {
		def, err := k.valid()
		if err != nil {
			return nil, err
		}
		i, there := at[k.Name]
		switch {
		case there && n.keys[i].Type != k.Type:
			return nil, fmt.Errorf("config: key %s: was a %v", k.Name, n.keys[i].Type)
		case there:
			n.keys[i], n.defs[i] = k, def
			continue
		}
		at[k.Name] = len(n.keys)
		n.keys, n.defs = append(n.keys, k), append(n.defs, def)
	}
	if len(n.keys) > MaxKeys {
		return nil, fmt.Errorf("config: more than %d keys", MaxKeys)
	}
	if err := n.grow(); err != nil {
		return nil, err
	}
	return n, nil
}

// WithRules returns a schema that has these rules too.
func (s *Schema) WithRules(rules ...Rule) *Schema {
	n := *s
	n.rules = append(slices.Clip(slices.Clone(s.rules)), rules...)
	return &n
}

// Keys returns the keys in order.
func (s *Schema) Keys() []Key { return slices.Clone(s.keys) }

// Lookup returns the key of a name.
func (s *Schema) Lookup(name string) (Key, bool) {
	if n := s.index[name]; n != nil && n.leaf {
		return s.keys[n.key], true
	}
	return Key{}, false
}

// Format implements fmt.Formatter: a schema is long.
func (s Schema) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "config.Schema(%d keys)", len(s.keys)) }

// valid checks the description of a key and returns the default.
func (k *Key) valid() (def string, err error) {
	if !validName(k.Name) {
		return "", fmt.Errorf("config: key %q: use parts of letters, digits, '_' and '-', joined by dots, at most %d bytes", k.Name, MaxName)
	}
	switch {
	case k.Type < Bool || k.Type > String:
		return "", fmt.Errorf("config: key %s: %v", k.Name, k.Type)
	case k.Type != String && (k.Secret || k.Expand || k.Show):
		return "", fmt.Errorf("config: key %s: only strings can be secret or expanded", k.Name)
	case k.Secret && (k.Expand || k.Show):
		return "", fmt.Errorf("config: key %s: secrets are not expanded", k.Name)
	}
	text := k.Default
	if text == "" {
		text = [...]string{Bool: "false", Int: "0", Double: "0", String: `""`}[k.Type]
	}
	if !jsonrpc.Valid([]byte(text)) {
		return "", fmt.Errorf("config: key %s: the default is not JSON", k.Name)
	}
	raw := mjson.Find([]byte(text), "$")
	def, bad := k.parse(raw)
	if bad != nil {
		return "", fmt.Errorf("config: the default of %s: %w", k.Name, bad)
	}
	return def, nil
}

// maxParts is how deep keys may be nested, with room below jsonrpc.MaxDepth for
// the frame around them.
const maxParts = 16

func validName(name string) bool {
	if len(name) > MaxName || strings.Count(name, ".") >= maxParts {
		return false
	}
	for part := range strings.SplitSeq(name, ".") {
		if part == "" {
			return false
		}
		for _, c := range []byte(part) {
			switch {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
			default:
				return false
			}
		}
	}
	return true
}

// grow makes the tree of the keys.
func (s *Schema) grow() error {
	s.root = &node{kid: map[string]*node{}}
	s.index = map[string]*node{"": s.root}
	for i, k := range s.keys {
		n := s.root
		for part := range strings.SplitSeq(k.Name, ".") {
			if n.leaf {
				return fmt.Errorf("config: key %s: %s is a key too", k.Name, n.path)
			}
			n = s.child(n, part)
		}
		if len(n.kids) > 0 {
			return fmt.Errorf("config: key %s: %s is a key too", n.kids[0].path, k.Name)
		}
		n.leaf, n.key, n.typ = true, uint16(i), k.Type
	}
	return nil
}

// child returns the node of a part, which it makes if need be.
func (s *Schema) child(up *node, part string) *node {
	if n := up.kid[part]; n != nil {
		return n
	}
	n := &node{path: strings.TrimPrefix(up.path+"."+part, "."), name: part}
	if up.kid == nil {
		up.kid = map[string]*node{}
	}
	up.kid[part] = n
	up.kids = append(up.kids, n)
	s.index[n.path] = n
	return n
}

// find returns the leaf of a name and type, or false.
func (s *Schema) find(name string, t Type) (uint16, bool) {
	n := s.index[name]
	if n == nil || !n.leaf || s.keys[n.key].Type != t {
		return 0, false
	}
	return n.key, true
}
