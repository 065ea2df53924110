package fwbundle_test

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/fwbundle"
)

// TestParsePart reads specifications and faulty ones.
func TestParsePart(t *testing.T) {
	for _, c := range []struct{ spec, want string }{ // the members in the manifest, or what is wrong
		{"fw:src=a.bin", `"src": "a.bin"`},
		{"a b:src=a=b", `"src": "a=b"`},
		{"fw:src=x:y", `"src": "x:y"`},
		{"fw:type=STM32,src=FW.BIN,addr=0x8000000", `"type": "STM32" "src": "FW.BIN" "addr": 134217728`},
		{"fw:src=x,addr=010,size=7,", `"src": "x" "addr": 8 "size": 7`},
		{"fw:src=x,addr=0b11", `"src": "x" "addr": 3`},
		{"fw:src=x,,addr=5", `"src": "x"`},
		{"fw:src=x,addr=1,addr=2", `"src": "x" "addr": 2`},
		{"fw:src=x,addr=0,encrypt=false,fs_size=0,ptn=", `"src": "x"`},
		{"fw:fill=0,size=4,flash=false", `"size": 4 "fill": 0 "flash": false`},
		{"fw:src=x,flash=true", `"src": "x" "flash": true`},
		{"fw:src=x,z=1,ptn=p,encrypt=true,a=2,fs_size=3", `"src": "x" "fs_size": 3 "encrypt": true "ptn": "p" "a": 2 "z": 1`},
		{"fw:src=x,a=2,b=true,c=false,d=,e=-5,f=1.5", `"src": "x" "a": 2 "b": true "c": false "d": "" "e": -5 "f": "1.5"`},
		{"fw:src=x,a=2147483647,b=2147483648,c=-2147483648,d=0x90000000", `"src": "x" "a": 2147483647 "b": "2147483648" "c": -2147483648 "d": "0x90000000"`},
		{"fw:src=x,a='b c',d=\"e\",f='5',g='true'", `"src": "x" "a": "b c" "d": "e" "f": "5" "g": "true"`},
		{`fw:src=x,a='it\'s',b="\""`, `"src": "x" "a": "it's" "b": "\""`},
		{"fw:src=x,a=1,a=2,b=3,a=4", `"src": "x" "a": 4 "b": 3`},
		{"fw:src=x,a=<&>", `"src": "x" "a": "\u003c\u0026\u003e"`},
		{"fw:src=x,=5", `"src": "x" "": 5`},
		{"fw:src=x,falloc=-1,sig=s,sig_cert=c,sign=n", `"src": "x" "falloc": -1 "sig": "s" "sig_cert": "c" "sign": "n"`},

		{"fw", "want name:key=value"},
		{"", "want name:key=value"},
		{"fw:src", `"src" is no key=value`},
		{"fw:src=x,a='b,c'", `"a": no quote at the end`},
		{"fw:src=x,a='", `"a": no quote at the end`},
		{"fw:src=x,a='b\"", `"a": no quote at the end`},
		{"fw:src=x,addr=0x90000000", `"addr": not a plain integer`},
		{"fw:src=x,addr=-4", `"addr": not a plain integer`},
		{"fw:src=x,addr=flash", `"addr": not a plain integer`},
		{"fw:src=x,size=true", `"size": not a plain integer`},
		{"fw:fill=300,size=4", `"fill": not a plain integer`},
		{"fw:fill=-1,size=4", `"fill": not a plain integer`},
		{"fw:fill=1,size=4,flash=no", `"flash": neither true nor false`},
		{"fw:src=x,type=5", `"type": not a string`},
		{"fw:src=5", `"src": not a string`},
		{"fw:src=true", `"src": not a string`},
		{"fw:src=x,encrypt=1", `"encrypt": neither`},
		{"fw:src=x,ptn=1", `"ptn": not a string`},
		{"fw:src=x,falloc=a", `"falloc": not a plain integer`},
		{"fw:src=x,fs_size=-1", `"fs_size": not a plain integer`},
		{"fw:src=x,a=\xff", `not UTF-8`},
	} {
		p, err := fwbundle.ParsePart(c.spec)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "fwbundle: part ") {
				t.Errorf("%s: %v, want %s", c.spec, err, c.want)
			}
			continue
		}
		name, _, _ := strings.Cut(c.spec, ":")
		if p.Name != name {
			t.Errorf("%s: name %q", c.spec, p.Name)
		}
		if got := membersOf(t, p); got != c.want {
			t.Errorf("%s: %s, want %s", c.spec, got, c.want)
		}
	}
}

// membersOf returns the members of a part as they are written, without digests and
// the size that was computed.
func membersOf(t *testing.T, p *fwbundle.Part) string {
	t.Helper()
	size := p.Size
	var d fwbundle.Draft
	if err := d.AddPart(*p, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	text, err := d.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var members []string
	for line := range strings.Lines(string(text)) {
		if rest, is := strings.CutPrefix(line, "   "); is && !strings.Contains(rest, "cs_sha") {
			members = append(members, strings.TrimRight(rest, ",\n"))
		}
	}
	return strings.Join(members, " ")
}

// TestParseAttr reads attributes of the manifest.
func TestParseAttr(t *testing.T) {
	for pair, want := range map[string]string{
		"a=b": `"b"`, "a=": `""`, "a=true": `true`, "a=false": `false`, "a=7": `7`, "a=0x10": `16`, "a=-5": `-5`,
		"a=5000000000": `5000000000`, "a=9223372036854775807": `9223372036854775807`, "a=9223372036854775808": `"9223372036854775808"`,
		"a='b'": `"'b'"`, "a=b=c": `"b=c"`, "a=1,5": `"1,5"`,
	} {
		a, err := fwbundle.ParseAttr(pair)
		if err != nil || a.Name != "a" || string(a.Value) != want {
			t.Errorf("%s: %s %s, %v, want %s", pair, a.Name, a.Value, err, want)
		}
	}
	for _, pair := range []string{"", "a", "a=\xff"} {
		if _, err := fwbundle.ParseAttr(pair); err == nil {
			t.Errorf("%q is accepted", pair)
		}
	}
}

// TestDraftRefuses: what a draft does not write.
func TestDraftRefuses(t *testing.T) {
	read := func(name string) ([]byte, error) {
		switch name {
		case "fw.bin", "a/fw.bin":
			return []byte(name), nil
		case "bad.hex":
			return []byte(":00\n"), nil
		case "big.bin":
			return make([]byte, 20<<20), nil
		}
		return nil, fs.ErrNotExist
	}
	long := strings.Repeat("x", 70<<10)
	for name, c := range map[string]struct {
		specs []string
		attrs []string
		extra []string
		want  string
	}{
		"no parts":               {nil, nil, nil, "not an object"},
		"missing file":           {[]string{"fw:src=none.bin"}, nil, nil, "not exist"},
		"faulty HEX":             {[]string{"fw:src=bad.hex"}, nil, nil, "hex line 1: 3 characters are no record (bad.hex)"},
		"neither src nor fill":   {[]string{"fw:type=STM32,addr=5"}, nil, nil, "neither src nor fill"},
		"both":                   {[]string{"fw:src=fw.bin,fill=1,size=1"}, nil, nil, "both src and fill"},
		"fill without size":      {[]string{"fw:fill=1"}, nil, nil, "fill without size"},
		"fill with digest":       {[]string{"fw:fill=1,size=1,cs_sha1=a0"}, nil, nil, "fill with a digest"},
		"wrong digest":           {[]string{"fw:src=fw.bin,cs_sha1=12ab"}, nil, nil, "digest does not match"},
		"wrong specification":    {[]string{"fw:src"}, nil, nil, "no key=value"},
		"manifest as part":       {[]string{"fw:src=fw.bin", "m:src=manifest.json"}, nil, nil, "not exist"},
		"two files of one name":  {[]string{"a:src=fw.bin", "b:src=a/fw.bin"}, nil, nil, "two entries of that name"},
		"too large":              {[]string{"fw:src=big.bin"}, nil, nil, "limits"},
		"member twice":           {[]string{"fw:src=fw.bin"}, []string{"name=x"}, nil, `member "name" is there twice`},
		"parts as an attribute":  {[]string{"fw:src=fw.bin"}, []string{"parts=x"}, nil, `member "parts" is there twice`},
		"manifest too large":     {[]string{"fw:src=fw.bin"}, []string{"a=" + long}, nil, "limits"},
		"extra record too large": {[]string{"fw:src=fw.bin"}, nil, []string{"a=" + long}, "more than 8192"},
		"version is no string":   {[]string{"fw:src=fw.bin"}, []string{"version=7"}, nil, `"version": not a string`},
		"part beyond all addresses": {[]string{"fw:fill=1,addr=0x7fffffff,size=0x7fffffff", "fw2:fill=1,size=0x7fffffff,addr=0x7fffffff"},
			[]string{"x=1"}, nil, ""},
	} {
		d := &fwbundle.Draft{Name: "fw"}
		var err error
		for _, s := range c.specs {
			err = errors.Join(err, d.Add(s, read))
		}
		for _, pair := range c.attrs {
			a, _ := fwbundle.ParseAttr(pair)
			d.SetAttr(a)
		}
		for _, pair := range c.extra {
			a, _ := fwbundle.ParseAttr(pair)
			d.SetExtra(a)
		}
		var out bytes.Buffer
		if err == nil {
			_, err = d.WriteTo(&out)
		}
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
			t.Errorf("%s: %v, %d bytes written, want %s", name, err, out.Len(), c.want)
		}
	}
}

// TestDraft: parts are replaced and removed, digests that are given are checked, one
// file serves two parts, and the same draft gives the same bytes.
func TestDraft(t *testing.T) {
	files := map[string][]byte{"dir/fw.bin": []byte("firmware"), "b": []byte("b")}
	read := func(name string) ([]byte, error) { return files[name], nil }
	d := &fwbundle.Draft{Name: "fw", Platform: "p", BuildTimestamp: "2026-01-02T03:04:05Z"}
	for _, spec := range []string{
		"z:src=b", "z:src=dir/fw.bin,addr=1", "a:src=dir/fw.bin", "gone:src=b", "gone:-", "never:-", "m:src=b",
	} {
		if err := d.Add(spec, read); err != nil {
			t.Fatal(err)
		}
	}
	digest := fmt.Sprintf("%X", sha1.Sum(files["b"]))
	if err := d.Add("q:src=dir/fw.bin,cs_sha1="+digest, read); !errors.Is(err, fwbundle.ErrDigest) {
		t.Errorf("wrong digest: %v", err)
	}
	if err := d.Add("m:src=b,cs_sha1="+digest, read); err != nil {
		t.Errorf("right digest: %v", err)
	}
	write := func() []byte {
		var out bytes.Buffer
		if n, err := d.WriteTo(&out); err != nil || n != int64(out.Len()) {
			t.Fatal(n, err)
		}
		return out.Bytes()
	}
	d.Signers.ECDSA[5], d.Signers.Ed25519[1] = testKey(1), edKey(1)
	data := write()
	if !bytes.Equal(data, write()) {
		t.Error("the second time it writes other bytes")
	}
	b, err := open(data)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, e := range b.Entries() {
		order = append(order, e.Name)
	}
	if got := fmt.Sprint(order); got != "[manifest.json fw.bin b]" {
		t.Errorf("entries %s", got)
	}
	var parts []string
	for _, p := range b.Manifest().Parts {
		parts = append(parts, fmt.Sprint(p.Name, p.Src, p.Addr, p.Size))
	}
	if got := fmt.Sprint(parts); got != "[afw.bin0 8 mb0 1 zfw.bin1 8]" {
		t.Errorf("parts %s", got)
	}
	if e := b.Extra(); len(e) != 2 || e[0].Name != "ed1" || e[1].Name != "sig5" {
		t.Errorf("extra %s", e)
	}

	edited, err := fwbundle.Edit(b)
	if err != nil {
		t.Fatal(err)
	}
	edited.Signers = d.Signers
	d = edited
	if !bytes.Equal(write(), data) {
		t.Error("an edited bundle without changes has other bytes")
	}
}

// TestEncodeNested: attributes that the tool cannot make are kept, spelled as it
// would: names sorted, escapes anew, digits as they were.
func TestEncodeNested(t *testing.T) {
	z := goodArchive()
	z.entries[0].data = []byte(`{"b":{"z":[1e2,9007199254740993,{}],"a":"\u0041<"},"a":null,"platform":"ccm_host","parts":{` + goodPart + `}}`)
	b, err := open(z.bytes())
	if err != nil {
		t.Fatal(err)
	}
	d, err := fwbundle.Edit(b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := d.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	want := " \"a\": null,\n \"b\": {\n  \"a\": \"A\\u003c\",\n  \"z\": [\n   1e2,\n   9007199254740993,\n   {}\n  ]\n }\n}"
	if !bytes.HasSuffix(text, []byte(want)) {
		t.Errorf("manifest\n%s\nwant at its end\n%s", text, want)
	}
}

// TestHEXParts: gaps of less than 512 bytes are filled, larger ones divide.
func TestHEXParts(t *testing.T) {
	text := record(4, 0, 8, 0) + record(0, 0, 1) + record(0, 512, 2) + // 511 bytes between
		record(0, 513+512, 3) + record(4, 0, 8, 1) + record(0, 0, 4) + hexEnd
	var d fwbundle.Draft
	err := d.Add("fw:type=STM32,src=out/x.hex,addr=5,baud=9600", func(string) ([]byte, error) { return []byte(text), nil })
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := d.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	b, err := open(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"fw x.0.bin 8000000 201", "fw_1 x.1.bin 8000401 1", "fw_2 x.2.bin 8010000 1"} {
		p := b.Manifest().Parts[i]
		if got := fmt.Sprintf("%s %s %x %x", p.Name, p.Src, p.Addr, p.Size); got != want || p.Type != "STM32" || len(p.Attrs) != 1 {
			t.Errorf("part %d: %s, want %s", i, got, want)
		}
	}
	if e := b.Entries(); len(e) != 4 || e[1].Name != "x.0.bin" || e[2].Name != "x.1.bin" || e[3].Name != "x.2.bin" {
		t.Errorf("entries %v", e)
	}
	data := content(t, b)["fw"]
	if data[0] != 1 || data[512] != 2 || !bytes.Equal(data[1:512], bytes.Repeat([]byte{0xff}, 511)) {
		t.Errorf("content %x", data)
	}
}

// TestHEXSparse: gaps that are filled count for the limit before they are filled.
func TestHEXSparse(t *testing.T) {
	var text strings.Builder
	for i := range 4000 {
		if i%125 == 0 {
			text.WriteString(record(4, 0, 8, byte(i/125)))
		}
		text.WriteString(record(0, uint16(i%125*512), 1))
	}
	text.WriteString(hexEnd)
	add := func(l fwbundle.Limits) error {
		d := fwbundle.Draft{Limits: l}
		return d.Add("fw:type=STM32,src=x.hex", func(string) ([]byte, error) { return []byte(text.String()), nil })
	}
	if err := add(fwbundle.Limits{}); err != nil {
		t.Error(err)
	}
	limitAllocs(t, allocated(func() {
		if err := add(fwbundle.Limits{MaxArchive: 1 << 20}); err == nil || !strings.Contains(err.Error(), "x.hex") {
			t.Errorf("2 MB for an archive of 1 MiB: %v", err)
		}
	}), 2<<20) // the records themselves cost most of it
}

// TestEndSignatureInData: data with the signature of an end record must be deflated,
// and the error says so.
func TestEndSignatureInData(t *testing.T) {
	d := fwbundle.Draft{Platform: "ccm_host"}
	if err := d.AddPart(fwbundle.Part{Name: "host_fw", Src: "x", Addr: 0x08000000}, []byte("1234"+eocd+strings.Repeat("x", 100))); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := d.WriteTo(&out); err == nil || !strings.Contains(err.Error(), "must be deflated") || out.Len() > 0 {
		t.Errorf("stored: %v", err)
	}
	// Enough text in front, so that deflate refers to it rather than copying.
	if err := d.AddPart(fwbundle.Part{Name: "host_fw", Src: "x", Addr: 0x08000000}, []byte(strings.Repeat("1234"+eocd+"56", 100))); err != nil {
		t.Fatal(err)
	}
	d.Compress = true
	if _, err := d.WriteTo(&out); err != nil {
		t.Error(err)
	}
	if _, err := open(out.Bytes()); err != nil {
		t.Error(err)
	}
}
