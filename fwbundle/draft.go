package fwbundle

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Draft is a bundle that is being made. The zero value is one without parts. Fields
// that are zero are left out of the manifest.
type Draft struct {
	Name           string
	Platform       string
	Description    string
	Version        string
	BuildID        string
	BuildTimestamp string // RFC 3339
	Attrs          []Attr // further members of the manifest; see ParseAttr
	Extra          []Attr // members of the extra record, which signatures do not cover
	Compress       bool   // deflate all entries; needed if data contains the bytes 50 4b 05 06
	Signers        Signers
	Limits         Limits // of the bundle; readers may have others

	parts []draftPart
}

type draftPart struct {
	Part
	data []byte // nil for a fill part
}

// Edit returns a draft of what is in a bundle, uncompressed and without its extra
// record: signatures do not survive a change. Files of the archive that are no
// part's data are left out.
func Edit(b *Bundle) (*Draft, error) {
	m := b.manifest
	d := &Draft{
		Name: m.Name, Platform: m.Platform, Description: m.Description,
		Version: m.Version, BuildID: m.BuildID, BuildTimestamp: m.BuildTimestamp,
		Attrs: slices.Clone(m.Attrs), Limits: b.archive.limits,
	}
	for _, p := range m.Parts {
		var data []byte
		if p.Fill == nil {
			var err error
			if data, err = b.readPart(&p); err != nil {
				return nil, err
			}
		}
		if err := d.AddPart(p, data); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Add does what an argument of the tool's command line does: it adds a part, in
// place of one with the same name, or removes one ("name:-"); see [ParsePart]. read
// returns the content of a file, such as os.ReadFile.
//
// A file whose name ends in ".hex" is read as Intel HEX. Each of its segments
// becomes a part, NAME, NAME_1, NAME_2 and so on, with the addresses of the file
// and entries X.bin or X.0.bin, X.1.bin; gaps of less than 512 bytes are filled
// with 0xFF first, if all together fits Limits.MaxArchive.
func (d *Draft) Add(spec string, read func(name string) ([]byte, error)) error {
	if name, is := strings.CutSuffix(spec, ":-"); is && !strings.Contains(name, ":") {
		d.Remove(name)
		return nil
	}
	p, err := ParsePart(spec)
	if err != nil {
		return err
	}
	if p.Src == "" {
		return d.AddPart(*p, nil)
	}
	data, err := read(p.Src)
	if err != nil {
		return specError(spec, err)
	}
	if strings.HasSuffix(p.Src, ".hex") {
		return d.addHEX(*p, data)
	}
	return d.AddPart(*p, data)
}

func (d *Draft) addHEX(p Part, text []byte) error {
	m, err := ParseHEX(text)
	if err != nil {
		return fmt.Errorf("%w (%s)", err, p.Src)
	}
	if m, err = m.filled(512, 0xff, d.Limits.withDefaults().MaxArchive); err != nil {
		return fmt.Errorf("%w (%s)", err, p.Src)
	}
	stem, name := strings.TrimSuffix(p.Src, ".hex"), p.Name
	for i, s := range m {
		p.Addr = s.Addr
		p.Src = stem + ".bin"
		if len(m) > 1 {
			p.Src = fmt.Sprintf("%s.%d.bin", stem, i)
		}
		if i > 0 {
			p.Name = fmt.Sprintf("%s_%d", name, i)
		}
		if err := d.AddPart(p, s.Data); err != nil {
			return err
		}
	}
	return nil
}

// AddPart adds a part, in place of one with the same name. Its data gets an entry
// with the base name of p.Src; size and digests are computed, digests that p has
// must be those of the data. For a fill part data is nil. data is retained until
// the draft was written.
func (d *Draft) AddPart(p Part, data []byte) error {
	p.Attrs = slices.Clone(p.Attrs)
	if p.Fill == nil {
		if p.Src == "" {
			return specError(p.Name, errors.New("neither src nor fill"))
		}
		if uint64(len(data)) > math.MaxUint32 {
			return specError(p.Name, errors.New("too large"))
		}
		if err := p.measure(data); err != nil {
			return specError(p.Name, err)
		}
		p.Src = filepath.Base(p.Src)
	}
	if err := p.consistent(); err != nil {
		return specError(p.Name, err)
	}
	d.Remove(p.Name)
	d.parts = append(d.parts, draftPart{p, data})
	return nil
}

// measure sets size and digests to those of the data.
func (p *Part) measure(data []byte) error {
	s1, s256 := sha1.Sum(data), sha256.Sum256(data)
	for _, digest := range []struct {
		have *string
		sum  []byte
	}{{&p.SHA1, s1[:]}, {&p.SHA256, s256[:]}} {
		text := hex.EncodeToString(digest.sum)
		if have := *digest.have; have != "" && !strings.EqualFold(have, text) {
			return fmt.Errorf("%w: %.80q, want %s", ErrDigest, have, text)
		}
		*digest.have = text
	}
	p.Size, p.hasSize = uint32(len(data)), true
	return nil
}

// Remove removes the part with a name, if there is one.
func (d *Draft) Remove(name string) {
	d.parts = slices.DeleteFunc(d.parts, func(p draftPart) bool { return p.Name == name })
}

// SetAttr sets an attribute of the manifest.
func (d *Draft) SetAttr(a Attr) { d.Attrs = replace(d.Attrs, a) }

// SetExtra sets an attribute of the extra record.
func (d *Draft) SetExtra(a Attr) { d.Extra = replace(d.Extra, a) }

// replace returns the attributes with one set.
func replace(attrs []Attr, a Attr) []Attr {
	for i := range attrs {
		if attrs[i].Name == a.Name {
			attrs[i] = a
			return attrs
		}
	}
	return append(attrs, a)
}

// SetBuildInfo takes version, build id and time from the JSON that the builds of
// Mongoose OS leave in build_info.json: members build_version, build_id and
// build_timestamp.
func (d *Draft) SetBuildInfo(text []byte) error {
	var info struct {
		Version   string     `json:"build_version"`
		ID        string     `json:"build_id"`
		Timestamp *time.Time `json:"build_timestamp"`
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return fmt.Errorf("fwbundle: build info: %w", err)
	}
	d.Version, d.BuildID, d.BuildTimestamp = info.Version, info.ID, ""
	if info.Timestamp != nil {
		d.BuildTimestamp = info.Timestamp.Format(time.RFC3339Nano)
	}
	return nil
}

// Manifest returns the text of the manifest as it will be written.
func (d *Draft) Manifest() ([]byte, error) {
	m := Manifest{
		Name: d.Name, Platform: d.Platform, Description: d.Description,
		Version: d.Version, BuildID: d.BuildID, BuildTimestamp: d.BuildTimestamp, Attrs: d.Attrs,
	}
	for i := range d.parts {
		m.Parts = append(m.Parts, d.parts[i].Part)
	}
	return m.encode()
}

// WriteTo signs and writes the bundle. Nothing is written if [Limits.Open] would
// refuse it: a draft without parts, two entries of one name, limits. Equal drafts
// give equal bytes, unless their ECDSA signers are not of type *ecdsa.PrivateKey,
// whose signatures are deterministic. WriteTo may be called more than once.
func (d *Draft) WriteTo(w io.Writer) (int64, error) {
	text, err := d.Manifest()
	if err != nil {
		return 0, err
	}
	files, err := d.files(text)
	if err != nil {
		return 0, err
	}
	return writeFiles(w, files, d.Limits)
}

// files returns the entries: the manifest, then the data in the order of the names
// of the parts.
func (d *Draft) files(text []byte) ([]file, error) {
	record, err := d.Signers.record(d.Extra, text)
	if err != nil {
		return nil, err
	}
	files := []file{{ManifestName, text, d.Compress, record}}
	parts := slices.Clone(d.parts)
	slices.SortFunc(parts, func(a, b draftPart) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range parts {
		shared := func(f file) bool { return f.name == p.Src && bytes.Equal(f.data, p.data) }
		if p.Src != "" && !slices.ContainsFunc(files, shared) {
			files = append(files, file{p.Src, p.data, d.Compress, nil})
		}
	}
	return files, nil
}

// writeFiles writes an archive that can be opened.
func writeFiles(w io.Writer, files []file, l Limits) (int64, error) {
	out, err := zipFiles(files)
	if err != nil {
		return 0, err
	}
	if _, err := l.Open(bytes.NewReader(out), int64(len(out))); err != nil {
		return 0, fmt.Errorf("cannot be written: %w", err)
	}
	n, err := w.Write(out)
	return int64(n), err
}

// Sign writes the bundle with signatures added to those that it has; new ones
// replace old ones of the same slot. The manifest keeps its bytes, and so what
// other signatures cover; all files keep their content, order and compression,
// but the manifest comes first.
func (b *Bundle) Sign(w io.Writer, s Signers) (int64, error) {
	record, err := s.record(b.extra, b.manifest.text)
	if err != nil {
		return 0, err
	}
	var files []file
	for i := range b.archive.entries {
		e := &b.archive.entries[i]
		var c content
		b.archive.open(&c, e, nil)
		data, err := io.ReadAll(&c)
		if err != nil {
			return 0, readError(e.name, err)
		}
		f := file{e.name, data, e.method == deflated, nil}
		if e.file() && base(e.name) == ManifestName {
			f.record = record
			files = slices.Insert(files, 0, f)
		} else {
			files = append(files, f)
		}
	}
	return writeFiles(w, files, b.archive.limits)
}
