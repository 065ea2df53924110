package fwbundle

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// encode returns the manifest as the tool writes it: known members in its order and
// without those that have zero values, then the others sorted by name; one blank
// for each level of nesting; no line end at the end.
func (m *Manifest) encode() ([]byte, error) {
	var o object
	o.str("name", m.Name)
	o.str("platform", m.Platform)
	o.str("description", m.Description)
	o.str("version", m.Version)
	o.str("build_id", m.BuildID)
	o.str("build_timestamp", m.BuildTimestamp)
	o.raw("parts", m.encodeParts())
	for _, a := range sorted(m.Attrs, func(Attr) int { return 0 }) {
		o.attr(a)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, o.end(), "", " "); err != nil {
		return nil, fmt.Errorf("fwbundle: the manifest: %w", err)
	}
	return text.Bytes(), nil
}

func (m *Manifest) encodeParts() []byte {
	if len(m.Parts) == 0 {
		return []byte("null")
	}
	parts := slices.Clone(m.Parts)
	slices.SortFunc(parts, func(a, b Part) int { return strings.Compare(a.Name, b.Name) })
	var o object
	for i := range parts {
		o.raw(parts[i].Name, parts[i].encode())
	}
	return o.end()
}

func (p *Part) encode() []byte {
	var o object
	o.str("type", p.Type)
	o.str("src", p.Src)
	o.num("addr", p.Addr)
	o.num("size", p.Size)
	if p.Fill != nil {
		o.raw("fill", strconv.AppendUint(nil, uint64(*p.Fill), 10))
	}
	if p.Flash != nil {
		o.raw("flash", strconv.AppendBool(nil, *p.Flash))
	}
	o.str("cs_sha1", p.SHA1)
	o.str("cs_sha256", p.SHA256)
	for _, a := range sorted(p.Attrs, func(a Attr) int { return knownAttrs.index(a.Name) }) {
		if knownAttrs.index(a.Name) == len(knownAttrs) || !isZero(a.Value) {
			o.attr(a)
		}
	}
	return o.end()
}

// encodeAttrs returns attributes as an object.
func encodeAttrs(attrs []Attr) []byte {
	var o object
	for _, a := range attrs {
		o.attr(a)
	}
	return o.end()
}

// attrKind is what the tool takes as the value of an attribute of a part.
type attrKind uint8

const (
	kindUint32 attrKind = iota
	kindInt
	kindBool
	kindString
)

// attrTable lists attributes in their order in the manifest.
type attrTable []struct {
	name string
	kind attrKind
}

// knownAttrs are the attributes of a part that the tool knows, beside those that
// are fields of Part. They are left out if they are zero.
var knownAttrs = attrTable{
	{"fs_size", kindUint32}, {"fs_block_size", kindUint32}, {"fs_erase_size", kindUint32}, {"fs_page_size", kindUint32},
	{"encrypt", kindBool}, {"ptn", kindString},
	{"falloc", kindInt}, {"sig", kindString}, {"sig_cert", kindString}, {"sign", kindString},
}

// index returns the place of an attribute; the length of the table if it is not in
// it.
func (t attrTable) index(name string) int {
	for i := range t {
		if t[i].name == name {
			return i
		}
	}
	return len(t)
}

// sorted returns the attributes sorted by rank and then by name.
func sorted(attrs []Attr, rank func(Attr) int) []Attr {
	attrs = slices.Clone(attrs)
	slices.SortFunc(attrs, func(a, b Attr) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Name, b.Name))
	})
	return attrs
}

// isZero reports whether a value is one that the tool leaves out.
func isZero(value []byte) bool {
	switch string(value) {
	case "0", "false", `""`:
		return true
	}
	return false
}

// object is a JSON object that is being written. The zero value is one without
// members.
type object []byte

// raw adds a member whose value is JSON text.
func (o *object) raw(name string, value []byte) {
	sep := byte(',')
	if len(*o) == 0 {
		sep = '{'
	}
	key, _ := json.Marshal(name) // escapes <, > and &, as the tool does; never fails
	*o = append(append(append(append(*o, sep), key...), ':'), value...)
}

func (o *object) str(name, value string) {
	if value != "" {
		text, _ := json.Marshal(value)
		o.raw(name, text)
	}
}

func (o *object) num(name string, value uint32) {
	if value != 0 {
		o.raw(name, strconv.AppendUint(nil, uint64(value), 10))
	}
}

// attr adds an attribute, spelled as the tool does that has decoded it: members of
// nested objects sorted by name, strings escaped anew. Digits of numbers are kept.
func (o *object) attr(a Attr) {
	d := json.NewDecoder(bytes.NewReader(a.Value))
	d.UseNumber()
	var v any
	if d.Decode(&v) == nil {
		if text, err := json.Marshal(v); err == nil {
			o.raw(a.Name, text)
			return
		}
	}
	o.raw(a.Name, a.Value)
}

func (o *object) end() []byte {
	if len(*o) == 0 {
		return []byte("{}")
	}
	return append(*o, '}')
}
