package fwbundle_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/fwbundle"
	"github.com/ccmkit/ccmkit/internal/vectors"
)

// profile is default_profile of vectors/bad/zip, and what a case changes of it.
type profile struct {
	Platform         *string `json:"platform"`
	FlashBase        uint32  `json:"flash_base"`
	FlashSize        uint32  `json:"flash_size"`
	WriteAlign       uint32  `json:"write_align"`
	Pad              *byte   `json:"pad"`
	MaxArchive       int64   `json:"max_archive_bytes"`
	MaxEntries       int     `json:"max_entries"`
	MaxName          int     `json:"max_name_bytes"`
	MaxManifest      int     `json:"max_manifest_bytes"`
	MaxDepth         int     `json:"max_json_depth"`
	MaxParts         int     `json:"max_parts"`
	RequireChecksum  *bool   `json:"require_checksum"`
	InstalledVersion *string `json:"installed_version"`
	AllowDowngrade   *bool   `json:"allow_downgrade"`
	SigReqMask       *int    `json:"update.sig_req_mask"`
	MinVersion       string  `json:"update.min_version"`
}

// policy decodes a profile with the changes of a case.
func policy(t testing.TB, base, changes json.RawMessage) fwbundle.Policy {
	t.Helper()
	var f profile
	keys := map[string]json.RawMessage{}
	for _, text := range []json.RawMessage{base, changes} {
		if text == nil {
			continue
		}
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &keys); err != nil {
			t.Fatal(err)
		}
	}
	p := fwbundle.Policy{
		FlashBase: f.FlashBase, FlashSize: f.FlashSize, WriteAlign: f.WriteAlign, Pad: f.Pad,
		AllowDowngrade: f.AllowDowngrade, SigReqMask: f.SigReqMask, MinVersion: f.MinVersion,
		Limits: fwbundle.Limits{
			MaxArchive: f.MaxArchive, MaxEntries: f.MaxEntries, MaxName: f.MaxName,
			MaxManifest: f.MaxManifest, MaxDepth: f.MaxDepth, MaxParts: f.MaxParts,
		},
	}
	p.AllowNoChecksum = f.RequireChecksum != nil && !*f.RequireChecksum
	if f.Platform != nil {
		p.Platform = *f.Platform
	}
	if f.InstalledVersion != nil {
		p.Installed = *f.InstalledVersion
	}
	for name, value := range keys {
		setKey(t, &p, name, value)
	}
	return p
}

// setKey sets a key of a policy, if a member of the profile is one.
func setKey(t testing.TB, p *fwbundle.Policy, name string, value json.RawMessage) {
	slot := int(name[len(name)-1] - '0')
	var text string
	switch {
	case strings.HasPrefix(name, "update.key"):
		json.Unmarshal(value, &text)
		key, err := fwbundle.ParsePublicKey(text)
		if err != nil {
			t.Logf("%s: %v", name, err) // a slot without a key
		}
		p.Keys.ECDSA[slot] = key
	case strings.HasPrefix(name, "update.ed_key"):
		json.Unmarshal(value, &text)
		key, err := fwbundle.ParseEd25519Key(text)
		if err != nil {
			t.Logf("%s: %v", name, err)
		}
		p.Keys.Ed25519[slot] = key
	}
}

// defaultProfile returns default_profile of vectors/bad/zip.
func defaultProfile(t testing.TB) json.RawMessage {
	var file struct {
		Profile json.RawMessage `json:"default_profile"`
	}
	if err := json.Unmarshal(vector(t, "bad/zip/manifest.json"), &file); err != nil {
		t.Fatal(err)
	}
	return file.Profile
}

// TestBadZipVectors runs all cases of vectors/bad/zip (H1): the verdict is right and
// always the same, and no case costs more than 8 MiB or a second.
func TestBadZipVectors(t *testing.T) {
	for _, name := range vectors.Files(t, "bad/zip/manifest.json") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Profile json.RawMessage `json:"default_profile"`
			Cases   []badZip        `json:"cases"`
		}
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		ran := 0
		for _, c := range file.Cases {
			t.Run(c.File, func(t *testing.T) { c.run(t, policy(t, file.Profile, c.Config)) })
			ran++
		}
		t.Logf("%s: %d of %d cases", name, ran, len(file.Cases))
		archives := vectors.Files(t, "bad/zip/*.zip")
		if ran == 0 || ran < len(archives) {
			t.Errorf("%d cases for %d archives", ran, len(archives))
		}
	}
}

// badZip is a case of vectors/bad/zip.
type badZip struct {
	File    string          `json:"file"`
	Verdict string          `json:"verdict"`
	Stage   string          `json:"stage"`
	Reason  string          `json:"reason"`
	SHA256  string          `json:"sha256"`
	Config  json.RawMessage `json:"config"`
}

func (c badZip) run(t *testing.T, p fwbundle.Policy) {
	data := vector(t, "bad/zip/"+c.File)
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != c.SHA256 {
		t.Fatal("the archive is not the one of the case")
	}
	var b *fwbundle.Bundle
	var err error
	start := time.Now()
	limitAllocs(t, allocated(func() { b, err = openAndCheck(data, p) }), 8<<20)
	if d := time.Since(start); d > time.Second {
		t.Logf("it took %v", d) // a second is allowed, on a machine that does nothing else
	}
	_, again := openAndCheck(data, p)
	if (err == nil) != (again == nil) {
		t.Errorf("first %v, then %v", err, again)
	}
	switch c.Verdict {
	case "accept":
		if err != nil {
			t.Fatalf("%s: %v", c.Reason, err)
		}
		content(t, b)
	case "reject":
		if err == nil {
			t.Fatalf("accepted: %s", c.Reason)
		}
		if got := stageOf(t, err).String(); got != c.Stage {
			t.Logf("stage %s, the vectors say %s: %v", got, c.Stage, err)
		}
	case "either":
	default:
		t.Fatalf("unknown verdict %q", c.Verdict)
	}
	checkAgreement(t, data, &p, b, err)
}

// checkAgreement compares the verdict on a file with that on a stream. What Open
// accepts a stream accepts too, if the manifest comes first and nothing is stored
// without its size. Both give the same content.
func checkAgreement(t *testing.T, data []byte, p *fwbundle.Policy, b *fwbundle.Bundle, err error) {
	t.Helper()
	out, streamErr := stream(data, p, 512)
	for _, size := range []int{1, 7} {
		other, err := stream(data, p, size)
		if text(err) != text(streamErr) || !equalContent(other.parts, out.parts) {
			t.Errorf("in pieces of %d: %v, of 512: %v", size, err, streamErr)
		}
	}
	if err != nil || b == nil {
		return
	}
	switch reason := text(streamErr); {
	case strings.Contains(reason, "is not the first file"), strings.Contains(reason, "stored without its size"):
	case streamErr != nil:
		t.Errorf("Open accepts what a stream does not: %v", streamErr)
	case !bytes.Equal(out.manifest.Text(), b.Manifest().Text()):
		t.Error("the manifests differ")
	case !equalContent(out.parts, content(t, b)):
		t.Error("the parts differ")
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// equalContent compares the data of parts; those without data need not be there.
func equalContent(a, b map[string][]byte) bool {
	trim := func(m map[string][]byte) map[string][]byte {
		m = maps.Clone(m)
		maps.DeleteFunc(m, func(_ string, v []byte) bool { return len(v) == 0 })
		return m
	}
	return maps.EqualFunc(trim(a), trim(b), bytes.Equal)
}

// fwVector is a bundle of vectors/fw.
type fwVector struct {
	Origin, Stream, Random, Why string
	Contents                    *struct {
		Order    []string          `json:"zip_order"`
		Method   map[string]string `json:"method"`
		Size     int               `json:"size"`
		Manifest map[string]any    `json:"manifest_top"`
		Parts    map[string]any    `json:"parts"`
		Extra    *struct {
			JSON map[string]any `json:"json"`
		} `json:"manifest_extra"`
		SHA256 string `json:"manifest_sha256"`
	}
}

// TestFirmwareVectors runs all bundles of vectors/fw: both verdicts, and what is in
// those that the tool has made.
func TestFirmwareVectors(t *testing.T) {
	base := defaultProfile(t)
	p := policy(t, base, nil)
	for _, name := range vectors.Files(t, "fw/index.json") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var index map[string]fwVector
		if err := json.Unmarshal(text, &index); err != nil {
			t.Fatal(err)
		}
		ran := 0
		for _, file := range slices.Sorted(maps.Keys(index)) {
			t.Run(file, func(t *testing.T) { index[file].run(t, vector(t, "fw/"+file), p) })
			ran++
		}
		archives := vectors.Files(t, "fw/*.zip")
		t.Logf("%s: %d of %d bundles", filepath.Base(name), ran, len(archives))
		if ran != len(archives) {
			t.Errorf("%d rows for %d bundles", ran, len(archives))
		}
	}
}

func (v fwVector) run(t *testing.T, data []byte, p fwbundle.Policy) {
	b, err := openAndCheck(data, p)
	judge(t, "Open", v.Random, v.Why, err)
	_, streamErr := stream(data, &p, 4096)
	judge(t, "stream", v.Stream, v.Why, streamErr)
	checkAgreement(t, data, &p, b, err)
	if v.Contents == nil {
		return
	}
	if b == nil { // refused by the policy
		if b, err = open(data); err != nil {
			t.Fatal(err)
		}
	}
	v.compare(t, b)
}

func judge(t *testing.T, how, want, why string, err error) {
	t.Helper()
	switch want {
	case "ok":
		if err != nil {
			t.Errorf("%s: %v (%s)", how, err, why)
		}
	case "error":
		if err == nil {
			t.Errorf("%s accepts: %s", how, why)
		} else {
			stageOf(t, err)
		}
	case "any":
	default:
		t.Fatalf("unknown verdict %q", want)
	}
}

// compare compares a bundle with what the vectors say is in it.
func (v fwVector) compare(t *testing.T, b *fwbundle.Bundle) {
	t.Helper()
	c := v.Contents
	var order []string
	for _, e := range b.Entries() {
		order = append(order, e.Name)
		if method := map[bool]string{false: "stored", true: "deflate"}[e.Compressed]; method != c.Method[e.Name] {
			t.Errorf("%s is %s, want %s", e.Name, method, c.Method[e.Name])
		}
	}
	if !slices.Equal(order, c.Order) {
		t.Errorf("entries %q, want %q", order, c.Order)
	}
	var manifest map[string]any
	json.Unmarshal(b.Manifest().Text(), &manifest)
	wantManifest := maps.Clone(c.Manifest)
	wantManifest["parts"] = c.Parts
	equalJSON(t, "manifest", manifest, wantManifest)
	for name := range c.Parts {
		want, _ := json.Marshal(c.Parts[name])
		equalJSON(t, name, partJSON(b.Manifest().Part(name)), want)
	}
	if c.Extra != nil {
		extra := map[string]any{}
		for _, a := range b.Extra() {
			extra[a.Name] = a.Value
		}
		equalJSON(t, "extra record", extra, c.Extra.JSON)
	}
	if sum := sha256.Sum256(b.Manifest().Text()); c.SHA256 != "" && hex.EncodeToString(sum[:]) != c.SHA256 {
		t.Errorf("the manifest has SHA-256 %x", sum)
	}
}

// partJSON builds the members of a part from the fields of Part.
func partJSON(p *fwbundle.Part) map[string]any {
	m := map[string]any{}
	set := func(name string, value any, zero bool) {
		if !zero {
			m[name] = value
		}
	}
	set("type", p.Type, p.Type == "")
	set("src", p.Src, p.Src == "")
	set("addr", p.Addr, p.Addr == 0)
	set("size", p.Size, p.Size == 0)
	set("fill", p.Fill, p.Fill == nil)
	set("flash", p.Flash, p.Flash == nil)
	set("cs_sha1", p.SHA1, p.SHA1 == "")
	set("cs_sha256", p.SHA256, p.SHA256 == "")
	for _, a := range p.Attrs {
		m[a.Name] = a.Value
	}
	return m
}

// equalJSON compares two values as JSON.
func equalJSON(t *testing.T, what string, got, want any) {
	t.Helper()
	normal := func(v any) string {
		text, is := v.([]byte)
		if !is {
			text, _ = json.Marshal(v)
		}
		var x any
		json.Unmarshal(text, &x)
		out, _ := json.Marshal(x)
		return string(out)
	}
	if g, w := normal(got), normal(want); g != w {
		t.Errorf("%s: %s\nwant %s", what, g, w)
	}
}
