package fwbundle

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Manifest is what manifest.json says. The strings are empty if a member is not
// there.
type Manifest struct {
	Name           string
	Platform       string // for which device, such as "ccm_host"
	Description    string
	Version        string
	BuildID        string
	BuildTimestamp string // RFC 3339, not checked
	Parts          []Part // in the order of the text
	Attrs          []Attr // all other members, in the order of the text

	text  []byte
	depth int
}

// Text returns the bytes of the manifest as they were read, over which signatures
// are made. They must not be modified.
func (m *Manifest) Text() []byte { return m.text }

// Time returns the time of the build; false if the manifest has none.
func (m *Manifest) Time() (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, m.BuildTimestamp)
	return t, err == nil
}

// Part returns the part with a name; nil if there is none.
func (m *Manifest) Part(name string) *Part {
	for i := range m.Parts {
		if m.Parts[i].Name == name {
			return &m.Parts[i]
		}
	}
	return nil
}

// Part is one part of a bundle: Size bytes for address Addr, which are the
// content of an entry of the archive, or all of the value Fill.
type Part struct {
	Name   string
	Type   string // "STM32" for a host, "app", "fs" and others; "" if there is none
	Src    string // base name of the entry; "" for a fill part
	Addr   uint32 // of the flash; 0 if there is none
	Size   uint32 // bytes. Of a manifest without it, known when the data was read
	Fill   *byte  // value of a fill part, else nil
	Flash  *bool  // false: not to be written. nil stands for true
	SHA1   string // of the data, 40 hexadecimal digits, or ""
	SHA256 string // of the data, 64 hexadecimal digits, or ""
	Attrs  []Attr // all other members, in the order of the text

	hasAddr, hasSize bool
}

// HostName is the name of the part that is host firmware even without a type, as
// in the bundles of the CCM's vendor.
const HostName = "host_fw"

// HostType is the type of the parts that are written into an STM32 through its ROM
// loader.
const HostType = "STM32"

// ForHost reports whether the part is to be written into the flash of an STM32.
func (p *Part) ForHost() bool { return p.Written() && p.kind() == HostType }

// Written reports whether the part is to be written at all: it says nothing of
// flash, or flash is true.
func (p *Part) Written() bool { return p.Flash == nil || *p.Flash }

// kind returns the type of a part, known by its name if it has none.
func (p *Part) kind() string {
	if p.Type == "" && p.Name == HostName {
		return HostType
	}
	return p.Type
}

// Attr is a member of the manifest, of a part or of the extra record. Value is
// JSON text; it must not be modified.
type Attr struct {
	Name  string
	Value json.RawMessage
}

// Attribute returns the value of the attribute with a name; nil if there is none.
func Attribute(attrs []Attr, name string) json.RawMessage {
	for _, a := range attrs {
		if a.Name == name {
			return a.Value
		}
	}
	return nil
}

// ParseManifest reads a manifest.json, strictly: JSON of RFC 8259 in UTF-8 with
// nothing behind it, no member twice, numbers that are plain integers in range,
// and at least one part. Members that it does not know are kept. The text is
// retained. Errors are of type [*Error].
func ParseManifest(text []byte) (*Manifest, error) { return Limits{}.withDefaults().parse(text) }

func (l Limits) parse(text []byte) (*Manifest, error) {
	if len(text) > l.MaxManifest {
		return nil, refuse(StageLimits, ManifestName, "%d bytes, more than %d", len(text), l.MaxManifest)
	}
	if err := checkJSON(text); err != nil {
		return nil, &Error{Stage: StageManifest, Entry: ManifestName, Err: err}
	}
	m := &Manifest{text: text, depth: depthOf(text)}
	if m.depth > l.MaxDepth {
		return nil, refuse(StageLimits, ManifestName, "nested %d deep, more than %d", m.depth, l.MaxDepth)
	}
	if err := m.fill(text); err != nil {
		return nil, &Error{Stage: StageManifest, Entry: ManifestName, Err: err}
	}
	if len(m.Parts) > l.MaxParts {
		return nil, refuse(StageLimits, ManifestName, "%d parts, more than %d", len(m.Parts), l.MaxParts)
	}
	for i := range m.Parts {
		if err := m.Parts[i].consistent(); err != nil {
			return nil, &Error{Stage: StageManifest, Entry: ManifestName, Part: m.Parts[i].Name, Err: err}
		}
	}
	return m, nil
}

// fill takes the members of the manifest, which is valid JSON.
func (m *Manifest) fill(text []byte) error {
	var parts []byte
	for name, value := range members(text) {
		var err error
		switch name {
		case "name":
			err = setString(&m.Name, value)
		case "platform":
			err = setString(&m.Platform, value)
		case "description":
			err = setString(&m.Description, value)
		case "version":
			err = setString(&m.Version, value)
		case "build_id":
			err = setString(&m.BuildID, value)
		case "build_timestamp":
			err = setString(&m.BuildTimestamp, value)
		case "parts":
			parts = value
		default:
			m.Attrs = append(m.Attrs, Attr{name, value})
		}
		if err != nil {
			return memberError(name, err)
		}
	}
	if typeOf(parts) != mjson.Object {
		return memberError("parts", errNotObject)
	}
	for name, value := range members(parts) {
		p := Part{Name: name}
		if err := p.fill(value); err != nil {
			return memberError("parts", memberError(name, err))
		}
		m.Parts = append(m.Parts, p)
	}
	if len(m.Parts) == 0 {
		return errors.New("no parts")
	}
	return nil
}

// fill takes the members of a part.
func (p *Part) fill(text []byte) error {
	if typeOf(text) != mjson.Object {
		return errNotObject
	}
	for name, value := range members(text) {
		if err := p.set(name, value); err != nil {
			return memberError(name, err)
		}
	}
	return nil
}

func (p *Part) set(name string, value []byte) error {
	switch name {
	case "type":
		return setString(&p.Type, value)
	case "src":
		return setString(&p.Src, value)
	case "addr":
		p.hasAddr = true
		return setUint(&p.Addr, value)
	case "size":
		p.hasSize = true
		return setUint(&p.Size, value)
	case "fill":
		p.Fill = new(byte)
		return setUint(p.Fill, value)
	case "flash":
		p.Flash = new(bool)
		return setBool(p.Flash, value)
	case "cs_sha1":
		return setHex(&p.SHA1, value, 40)
	case "cs_sha256":
		return setHex(&p.SHA256, value, 64)
	}
	p.Attrs = append(p.Attrs, Attr{name, value})
	return nil
}

// consistent refuses parts whose members contradict each other.
func (p *Part) consistent() error {
	switch {
	case p.Src == "" && p.Fill == nil:
		return errors.New("neither src nor fill")
	case p.Src != "" && p.Fill != nil:
		return errors.New("both src and fill")
	case p.Src == ManifestName:
		return errors.New("its src is the manifest")
	case p.Fill != nil && p.Size == 0:
		return errors.New("fill without size")
	case p.Fill != nil && p.SHA1+p.SHA256 != "":
		return errors.New("fill with a digest")
	case uint64(p.Addr)+uint64(p.Size) > 1<<32:
		return errors.New("it reaches beyond the last address")
	}
	return nil
}

// checkJSON refuses text that is not one JSON object, or has a member twice.
func checkJSON(text []byte) error {
	if !jsonrpc.Valid(text) {
		return errors.New("not JSON in UTF-8, or nested too deep")
	}
	if typeOf(text) != mjson.Object {
		return errNotObject
	}
	return checkDuplicates(text)
}
