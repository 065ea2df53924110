package fwbundle_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/fwbundle"
)

// withVersion returns a bundle with these members in front of its manifest.
func withMembers(t testing.TB, members string) *fwbundle.Bundle {
	t.Helper()
	z := goodArchive()
	z.entries[0].data = []byte(`{` + members + `"platform":"ccm_host","parts":{` + goodPart + `}}`)
	b, err := open(z.bytes())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPolicy: rules about version, age and limits.
func TestPolicy(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	signed := func(p fwbundle.Policy) fwbundle.Policy {
		p.SigReqMask = new(1 << 8)
		p.Keys.Ed25519[0] = edKey(1).Public().(ed25519Key)
		return p
	}
	for _, c := range []struct {
		name    string
		members string
		policy  fwbundle.Policy
		want    error // a condition; errAny is another error
	}{
		{"no rules", ``, fwbundle.Policy{}, nil},
		{"older, allowed", `"version":"1.0",`, fwbundle.Policy{Installed: "2.0"}, nil},
		{"older", `"version":"1.0",`, fwbundle.Policy{Installed: "2.0", AllowDowngrade: new(false)}, fwbundle.ErrDowngrade},
		{"older, signed", `"version":"1.0",`, signed(fwbundle.Policy{Installed: "2.0"}), fwbundle.ErrDowngrade},
		{"older, signed, allowed", `"version":"1.0",`, signed(fwbundle.Policy{Installed: "2.0", AllowDowngrade: new(true)}), nil},
		{"equal", `"version":"2.0",`, fwbundle.Policy{Installed: "2", AllowDowngrade: new(false)}, nil},
		{"newer", `"version":"2.10",`, fwbundle.Policy{Installed: "2.9", AllowDowngrade: new(false)}, nil},
		{"unknown", `"version":"latest",`, fwbundle.Policy{Installed: "0.1", AllowDowngrade: new(false)}, fwbundle.ErrDowngrade},
		{"no version", ``, fwbundle.Policy{Installed: "0.1", AllowDowngrade: new(false)}, fwbundle.ErrDowngrade},
		{"unknown installed", `"version":"0.1",`, fwbundle.Policy{Installed: "latest", AllowDowngrade: new(false)}, nil},
		{"nothing installed", `"version":"0.1",`, fwbundle.Policy{AllowDowngrade: new(false)}, nil},
		{"below the floor", `"version":"1.9",`, fwbundle.Policy{MinVersion: "2"}, fwbundle.ErrDowngrade},
		{"at the floor", `"version":"2",`, fwbundle.Policy{MinVersion: "2"}, nil},
		{"same, wanted", `"version":"2","build_id":"b",`, fwbundle.Policy{Installed: "2", InstalledBuild: "b"}, nil},
		{"same", `"version":"2","build_id":"b",`, fwbundle.Policy{Installed: "2", InstalledBuild: "b", IgnoreSameVersion: true}, fwbundle.ErrSameVersion},
		{"same version, other build", `"version":"2","build_id":"c",`, fwbundle.Policy{Installed: "2", InstalledBuild: "b", IgnoreSameVersion: true}, nil},
		{"counter lower", `"sec_cnt":6,`, fwbundle.Policy{Counter: 7}, fwbundle.ErrDowngrade},
		{"no counter", ``, fwbundle.Policy{Counter: 7}, fwbundle.ErrDowngrade},
		{"counter equal", `"sec_cnt":7,`, fwbundle.Policy{Counter: 7}, nil},
		{"counter with a fraction", `"sec_cnt":7.0,`, fwbundle.Policy{}, errAny},
		{"expired", `"expires":"2026-03-01T11:59:59Z",`, fwbundle.Policy{Now: now}, fwbundle.ErrExpired},
		{"expired elsewhere", `"expires":"2026-03-01T12:30:00+01:00",`, fwbundle.Policy{Now: now}, fwbundle.ErrExpired},
		{"not yet expired", `"expires":"2026-03-01T12:00:00Z",`, fwbundle.Policy{Now: now}, nil},
		{"clock not trusted", `"expires":"2001-01-01T00:00:00Z",`, fwbundle.Policy{}, nil},
		{"expires no date", `"expires":true,`, fwbundle.Policy{Now: now}, fwbundle.ErrExpired},
		{"other platform", ``, fwbundle.Policy{Platform: "linux"}, fwbundle.ErrPlatform},
		{"archive too large", ``, fwbundle.Policy{Limits: fwbundle.Limits{MaxArchive: 1024}}, errAny},
		{"too many entries", ``, fwbundle.Policy{Limits: fwbundle.Limits{MaxEntries: 1}}, errAny},
		{"name too long", ``, fwbundle.Policy{Limits: fwbundle.Limits{MaxName: 12}}, errAny},
		{"names not too long", ``, fwbundle.Policy{Limits: fwbundle.Limits{MaxName: 13}}, nil},
		{"manifest too long", ``, fwbundle.Policy{Limits: fwbundle.Limits{MaxManifest: 100}}, errAny},
		{"manifest too deep", ``, fwbundle.Policy{Limits: fwbundle.Limits{MaxDepth: 2}}, errAny},
		{"manifest not too deep", ``, fwbundle.Policy{Limits: fwbundle.Limits{MaxDepth: 3}}, nil},
		{"flash elsewhere", ``, fwbundle.Policy{FlashBase: 0x08004000}, errAny},
		{"flash up to the last address", ``, fwbundle.Policy{FlashSize: 0xf8000000}, nil},
		{"flash too small", ``, fwbundle.Policy{FlashSize: 1023}, errAny},
		{"flash just large enough", ``, fwbundle.Policy{FlashSize: 1024}, nil},
		{"rounded up beyond the flash", ``, fwbundle.Policy{FlashSize: 1024, WriteAlign: 32 << 10}, errAny},
		{"other types", ``, fwbundle.Policy{Types: []string{"app"}}, errAny},
	} {
		b := resign(t, withMembers(t, c.members), fwbundle.Signers{Ed25519: [8]signer{0: edKey(1)}})
		err := b.Check(c.policy)
		switch {
		case c.want == nil:
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		case err == nil:
			t.Errorf("%s: accepted", c.name)
		default:
			stageOf(t, err)
			if c.want != errAny && !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
	}
}

// TestOverlapByOne: parts may be next to each other, but share no byte.
func TestOverlapByOne(t *testing.T) {
	for addr, ok := range map[int]bool{0x08000003: false, 0x08000004: true} {
		z := goodArchive()
		z.entries[0].data = manifestText(fmt.Sprintf(`"a":{"type":"STM32","fill":1,"size":4,"addr":134217728},"b":{"type":"STM32","fill":1,"size":4,"addr":%d}`, addr))
		if _, err := openAndCheck(z.bytes(), fwbundle.Policy{WriteAlign: 1}); (err == nil) != ok {
			t.Errorf("address %#x: %v", addr, err)
		}
	}
}

var errAny = errors.New("any error")

// TestLimits: the limits of Open are those of the receiver.
func TestLimits(t *testing.T) {
	z := goodArchive()
	z.add(zipEntry{name: "MORE", data: firmware(100)})
	data := z.bytes()
	for _, c := range []struct {
		limits fwbundle.Limits
		ok     bool
	}{
		{fwbundle.Limits{MaxArchive: int64(len(data))}, true},
		{fwbundle.Limits{MaxArchive: int64(len(data)) - 1}, false},
		{fwbundle.Limits{MaxEntries: 3}, true},
		{fwbundle.Limits{MaxEntries: 2}, false},
		{fwbundle.Limits{MaxName: 13}, true},
		{fwbundle.Limits{MaxName: 12}, false},
		{fwbundle.Limits{MaxManifest: len(z.entries[0].data)}, true},
		{fwbundle.Limits{MaxManifest: len(z.entries[0].data) - 1}, false},
		{fwbundle.Limits{MaxDepth: 3}, true},
		{fwbundle.Limits{MaxDepth: 2}, false},
		{fwbundle.Limits{MaxParts: 1}, true},
		{fwbundle.Limits{MaxDepth: 1000, MaxName: 1000}, true},
	} {
		_, err := c.limits.Open(bytes.NewReader(data), int64(len(data)))
		if (err == nil) != c.ok || !c.ok && stageOf(t, err) != limits {
			t.Errorf("%+v: %v", c.limits, err)
		}
		// A stream does not read the central directory, and so less of the archive.
		_, err = stream(data, &fwbundle.Policy{Limits: c.limits}, 50)
		if (err == nil) != c.ok && c.limits.MaxArchive == 0 || c.ok && err != nil {
			t.Errorf("stream, %+v: %v", c.limits, err)
		}
	}
}

// TestErrors: an error names the stage, the entry and the part, and wraps what the
// source has said.
func TestErrors(t *testing.T) {
	z := goodArchive()
	z.entries[0].data = []byte(part(`"src":"FW.BIN","addr":134217729`))
	_, err := openAndCheck(z.bytes(), fwbundle.Policy{})
	want := `fwbundle: policy: "FW.BIN": part "host_fw": address 0x08000001 is no multiple of 4`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	e, is := errors.AsType[*fwbundle.Error](err)
	if !is || e.Stage != polic || e.Entry != "FW.BIN" || e.Part != "host_fw" {
		t.Errorf("%+v", e)
	}
	for s, name := range map[fwbundle.Stage]string{
		container: "container", names: "names", limits: "limits", manifest: "manifest", partStage: "part", polic: "policy",
		fwbundle.StageSignature: "signature", 0: "none", 9: "stage 9",
	} {
		if s.String() != name {
			t.Errorf("stage %d is %q", s, s)
		}
	}

	data := goodArchive().bytes()
	failure := errors.New("the disk is on fire")
	for fails := range len(data) {
		r := readerAt(func(p []byte, at int64) (int, error) {
			if at <= int64(fails) && int64(fails) < at+int64(len(p)) && fails >= 0 {
				return 0, failure
			}
			return bytes.NewReader(data).ReadAt(p, at)
		})
		if _, err := fwbundle.Open(r, int64(len(data))); !errors.Is(err, failure) || stageOf(t, err) != container {
			t.Fatalf("reading byte %d fails: %v", fails, err)
		}
	}
	short := readerAt(func(p []byte, at int64) (int, error) { return bytes.NewReader(data[:1000]).ReadAt(p, at) })
	if _, err := fwbundle.Open(short, int64(len(data))); !errors.Is(err, fwbundle.ErrTruncated) {
		t.Errorf("a file shorter than it was: %v", err)
	}
}

type readerAt func([]byte, int64) (int, error)

func (f readerAt) ReadAt(p []byte, at int64) (int, error) { return f(p, at) }

// TestChangedFile: what has changed in the file after Open is found when a part is
// read.
func TestChangedFile(t *testing.T) {
	data := goodArchive().bytes()
	b, err := open(data)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, goodFirmware)
	data[at+500]++
	r, err := b.OpenPart("host_fw")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err == nil || stageOf(t, err) != container || len(got) != len(goodFirmware) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := b.Image(fwbundle.Policy{}); err == nil {
		t.Error("Image returns data that has changed")
	}
	if _, err := b.OpenPart("nothing"); err == nil || stageOf(t, err) != manifest {
		t.Errorf("OpenPart: %v", err)
	}
}

// TestImageOfBundle: what is to be written, by address, padded.
func TestImageOfBundle(t *testing.T) {
	d := fwbundle.Draft{Platform: "ccm_host"}
	files := map[string][]byte{"a.bin": []byte("12345"), "b.bin": []byte("abcdefgh"), "doc": []byte("text"), "c.bin": []byte("x")}
	for _, spec := range []string{
		"host_fw:src=a.bin,addr=0x8000100", "next:type=STM32,src=b.bin,addr=0x8000108", "pad:type=STM32,fill=7,size=6,addr=0x8000000",
		"doc:type=doc,src=doc,flash=false", "not:type=STM32,src=c.bin,addr=0x7000001,flash=false",
	} {
		if err := d.Add(spec, func(name string) ([]byte, error) { return files[name], nil }); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := d.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	b, err := open(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		policy fwbundle.Policy
		want   string
	}{
		{fwbundle.Policy{}, "08000000: 6 x 07, 08000100: 3132333435ffffff6162636465666768"},
		{fwbundle.Policy{Pad: new(byte(0))}, "08000000: 6 x 07, 08000100: 31323334350000006162636465666768"},
	} {
		m, err := b.Image(c.policy)
		if got := describe(m); err != nil || got != c.want || m.Size() != 6+16 {
			t.Errorf("%d bytes, %s, %v, want %s", m.Size(), got, err, c.want)
		}
	}
	fill, err := b.OpenPart("pad")
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(fill); err != nil || !bytes.Equal(data, bytes.Repeat([]byte{7}, 6)) {
		t.Errorf("fill part %x, %v", data, err)
	}
}

// TestFillIsNotMaterialised: a fill part of 1 GiB costs nothing.
func TestFillIsNotMaterialised(t *testing.T) {
	z := goodArchive()
	z.entries[0].data = manifestText(`"pad":{"type":"STM32","fill":0,"size":1073741824,"addr":134217728}`)
	data := z.bytes()
	p := fwbundle.Policy{FlashSize: 1 << 30}
	limitAllocs(t, allocated(func() {
		b, err := openAndCheck(data, p)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := b.Image(p); err != nil || len(m) != 1 || m[0].Size != 1<<30 || m[0].Data != nil {
			t.Errorf("image of %d segments, %v", len(m), err)
		}
		if _, err := b.OpenPart("pad"); err != nil {
			t.Error(err)
		}
		if _, err := stream(data, &p, 512); err != nil {
			t.Error(err)
		}
	}), 200<<10)
}
