package fwbundle_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/fwbundle"
	"github.com/ccmkit/ccmkit/internal/vectors"
)

// FuzzBundle: nothing panics; every error is an Error; a stream agrees with Open; what
// Open accepts, package archive/zip reads in the same way, and a draft of it gives a
// bundle with the same parts.
func FuzzBundle(f *testing.F) {
	for _, pattern := range []string{"fw/*.zip", "bad/zip/*.zip"} {
		for _, name := range vectors.Files(f, pattern) {
			if data, err := os.ReadFile(name); err == nil && len(data) < 4096 {
				f.Add(data)
			}
		}
	}
	for _, c := range containerCases {
		z := goodArchive()
		c.edit(&z)
		if data := z.bytes(); len(data) < 4096 {
			f.Add(data)
		}
	}
	limits := fwbundle.Limits{MaxArchive: 1 << 20}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := fwbundle.Policy{Limits: limits}
		b, err := openAndCheck(data, p)
		checkAgreement(t, data, &p, b, err)
		if err != nil {
			stageOf(t, err)
		}
		if b == nil {
			return
		}
		compareZip(t, data, b)
		checkRewritten(t, b)
	})
}

// compareZip compares a bundle with what package archive/zip reads.
func compareZip(t *testing.T, data []byte, b *fwbundle.Bundle) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		if bytes.Contains(data, le.AppendUint32(nil, 0x07064b50)) {
			return // it looks for a zip64 end record only if certain fields are full
		}
		t.Fatalf("archive/zip does not read it: %v", err)
	}
	parts := content(t, b)
	if len(z.File) != len(b.Entries()) {
		t.Fatalf("archive/zip finds %d entries, not %d", len(z.File), len(b.Entries()))
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatalf("archive/zip: %v", err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("archive/zip: %s: %v", f.Name, err)
		}
		for _, p := range b.Manifest().Parts {
			if p.Src != "" && p.Src == f.Name[strings.LastIndexByte(f.Name, '/')+1:] && !bytes.Equal(parts[p.Name], data) {
				t.Fatalf("archive/zip reads other data for %s", f.Name)
			}
		}
	}
}

// checkRewritten makes the bundle anew and compares the parts.
func checkRewritten(t *testing.T, b *fwbundle.Bundle) {
	t.Helper()
	d, err := fwbundle.Edit(b)
	if err != nil {
		t.Fatal(err)
	}
	var out, again bytes.Buffer
	if _, err := d.WriteTo(&out); err != nil {
		if strings.Contains(err.Error(), "limits") || strings.Contains(err.Error(), "second end record") || strings.Contains(err.Error(), "names") {
			return // the manifest is longer now, or the order of the files another, or a name is ".."
		}
		t.Fatal(err)
	}
	c, err := open(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !equalContent(content(t, c), content(t, b)) {
		t.Fatal("the new bundle has other parts")
	}
	if d, err = fwbundle.Edit(c); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteTo(&again); err != nil || !bytes.Equal(again.Bytes(), out.Bytes()) {
		t.Fatalf("written twice, the bytes differ: %v", err)
	}
}

// FuzzManifest: what is accepted is JSON, with the values that package encoding/json
// finds.
func FuzzManifest(f *testing.F) {
	for _, c := range manifestCases {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := fwbundle.ParseManifest(text)
		if err != nil {
			stageOf(t, err)
			return
		}
		var want struct {
			Name, Platform, Version string
			Parts                   map[string]struct {
				Type, Src  string
				Addr, Size uint32
				Fill       *byte
				Flash      *bool
				SHA1       string `json:"cs_sha1"`
				SHA256     string `json:"cs_sha256"`
			}
		}
		if strings.ContainsFunc(string(text), func(r rune) bool { return 'A' <= r && r <= 'Z' || r > 0x7e }) {
			// encoding/json takes names in any case, even ſrc for src
			if !json.Valid(text) {
				t.Fatal("not JSON")
			}
			return
		}
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		if m.Name != want.Name || m.Platform != want.Platform || m.Version != want.Version || len(m.Parts) != len(want.Parts) {
			t.Fatalf("%+v, want %+v", m, want)
		}
		for _, p := range m.Parts {
			w := want.Parts[p.Name]
			if p.Type != w.Type || p.Src != w.Src || p.Addr != w.Addr || p.Size != w.Size || p.SHA1 != w.SHA1 || p.SHA256 != w.SHA256 ||
				(p.Fill == nil) != (w.Fill == nil) || p.Fill != nil && *p.Fill != *w.Fill ||
				(p.Flash == nil) != (w.Flash == nil) || p.Flash != nil && *p.Flash != *w.Flash {
				t.Fatalf("part %+v, want %+v", p, w)
			}
		}
	})
}

// FuzzHEX: what is accepted is sorted, without overlaps, and no more than the text
// can hold.
func FuzzHEX(f *testing.F) {
	f.Add([]byte(record(4, 0, 8, 0) + record(0, 0x10, 1, 2) + record(0, 0x12, 3) + record(5, 0, 8, 0, 1, 0x31) + hexEnd))
	f.Add([]byte(record(2, 0, 0x12, 0x34) + "\r\n" + record(0, 0xfffe, 1, 2) + record(3, 0, 0, 0, 0, 0) + hexEnd))
	f.Add([]byte(record(0, 5, 1, 2) + record(0, 6, 1) + hexEnd))
	for _, name := range vectors.Files(f, "fw/*.hex") {
		if data, err := os.ReadFile(name); err == nil {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, err := fwbundle.ParseHEX(text); err == nil {
			checkImage(t, m, len(text)/2)
		} else if !strings.HasPrefix(err.Error(), "fwbundle: hex") {
			t.Fatal(err)
		}
	})
}

// FuzzELF: what is accepted is what package debug/elf reads.
func FuzzELF(f *testing.F) {
	f.Add(elfFile(program{1, 0x08000000, 0, []byte{1, 2, 3, 4}}, program{1, 0x08000004, 100, []byte{5, 6}}))
	f.Add(elfFile(program{6, 0, 0, []byte{1}}, program{1, 0x08000100, 0, []byte("data")}, program{1, 0x20000000, 5000, nil}))
	f.Add(elfFile())
	f.Fuzz(func(t *testing.T, file []byte) {
		m, err := fwbundle.ParseELF(file)
		if err != nil {
			return
		}
		checkImage(t, m, 1024*len(file))
		compareELF(t, file, m)
	})
}

// checkImage checks the promises of an image.
func checkImage(t *testing.T, m fwbundle.Image, most int) {
	t.Helper()
	end, total := uint64(0), 0
	for i, s := range m {
		if uint64(s.Addr) < end || i > 0 && uint64(s.Addr) == end || s.Size <= 0 || s.Size != len(s.Data) || uint64(s.Addr)+uint64(s.Size) > 1<<32 {
			t.Fatalf("segment %d: %d bytes at %#x, %#x is the end of the one before", i, s.Size, s.Addr, end)
		}
		end = uint64(s.Addr) + uint64(s.Size)
		total += s.Size
	}
	if len(m) == 0 || total != m.Size() || total > most {
		t.Fatalf("%d segments, %d bytes", len(m), total)
	}
}

// FuzzPart: a part that is accepted can be written, and is read back the same.
func FuzzPart(f *testing.F) {
	for _, spec := range []string{
		"host_fw:type=STM32,src=FW.BIN,addr=0x8000000,baud=57600,quoted='a b',dq=\"c d\",neg=-5,oct=010,addr2=0x90000000",
		"p:fill=0xff,size=1024,addr=0x8002000", "note:type=doc,src=a,flash=false", "x:-", "x:a=1,,b=2", `x:src=a,b='\'',c=`,
		"fs:type=fs,src=f,ptn=fs_0,fs_size=512,fs_block_size=4096,encrypt=true,falloc=-1", ":", "", "a:=", "a:src=../x/..",
	} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		if _, err := fwbundle.ParseAttr(spec); err != nil && !strings.HasPrefix(err.Error(), "fwbundle: ") {
			t.Fatal(err)
		}
		p, err := fwbundle.ParsePart(spec)
		if err != nil {
			return
		}
		var d fwbundle.Draft
		var out bytes.Buffer
		if err := d.AddPart(*p, []byte("data")); err != nil {
			return
		}
		if _, err := d.WriteTo(&out); err != nil {
			return
		}
		b, err := open(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		q := b.Manifest().Part(p.Name)
		if q == nil || q.Type != p.Type || q.Addr != p.Addr || (q.Fill == nil) != (p.Fill == nil) || len(q.Attrs) > len(p.Attrs) {
			t.Fatalf("part %+v, written %+v", q, p)
		}
		for _, a := range q.Attrs {
			if string(fwbundle.Attribute(p.Attrs, a.Name)) != string(a.Value) {
				t.Fatalf("attribute %q is %s, was %s", a.Name, a.Value, fwbundle.Attribute(p.Attrs, a.Name))
			}
		}
	})
}
