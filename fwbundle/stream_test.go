package fwbundle_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ccmkit/ccmkit/fwbundle"
	"github.com/ccmkit/ccmkit/internal/race"
)

// bigBundle returns a signed bundle with parts of some size together, whose manifest
// has 4 KiB, and a policy that takes it.
func bigBundle(t testing.TB, size int, compress bool) ([]byte, *fwbundle.Policy) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := fwbundle.Draft{Name: "big", Platform: "ccm_host", Version: "2.0", Compress: compress}
	d.Signers.ECDSA[0] = key
	add := func(name string, addr uint32, data []byte) {
		if err := d.AddPart(fwbundle.Part{Name: name, Type: "STM32", Src: name + ".bin", Addr: addr}, data); err != nil {
			t.Fatal(err)
		}
	}
	data := firmware(size)
	for i := range data {
		data[i] &= 0x3f // so that it compresses
	}
	add("host_fw", 0x08000000, data[:size/4*3])
	add("assets", 0x080c0000, data[size/4*3:])
	text, err := d.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	d.Description = strings.Repeat("x", 4<<10-len(text)-len(` "description": "",`)-1)
	var out bytes.Buffer
	if _, err := d.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	p := &fwbundle.Policy{FlashSize: 2 << 20, SigReqMask: new(1)}
	p.Keys.ECDSA[0] = &key.PublicKey
	return out.Bytes(), p
}

// TestStreamMemory: a bundle of 1 MiB with a manifest of 4 KiB is read in less than
// 64 KiB, in pieces of any size.
func TestStreamMemory(t *testing.T) {
	length := 1 << 20
	if race.Enabled { // which takes its time, and memory of its own
		length = 128 << 10
	}
	for _, compress := range []bool{false, true} {
		data, policy := bigBundle(t, length, compress)
		for _, size := range []int{1, 2, 3, 7, 512, 4096} {
			sums := map[string]hash.Hash{"host_fw": sha256.New(), "assets": sha256.New()}
			var s *fwbundle.Stream
			var live int64
			total := allocated(func() {
				base := heap()
				s = fwbundle.NewStream(fwbundle.StreamConfig{
					Policy: policy,
					Part:   func(p *fwbundle.Part) (io.Writer, error) { return sums[p.Name], nil },
				})
				for n := 0; n < len(data); n += size {
					if _, err := s.Write(data[n:min(len(data), n+size)]); err != nil {
						t.Fatal(err)
					}
					if before := n - n%(len(data)/4); n/size*size >= before && n-size < before {
						live = max(live, heap()-base)
					}
				}
			})
			if err := s.Close(); err != nil {
				t.Fatalf("pieces of %d: %v", size, err)
			}
			m := s.Manifest()
			if n := len(m.Text()); n < 4095 || n > 4097 {
				t.Errorf("the manifest has %d bytes", n)
			}
			for name, h := range sums {
				if m.Part(name).SHA256 != hexText(h.Sum(nil)) {
					t.Errorf("%s has come with other content", name)
				}
			}
			t.Logf("compressed %v, pieces of %d: %d bytes allocated in all, %d live", compress, size, total, live)
			if live > 64<<10 && !race.Enabled {
				t.Errorf("pieces of %d: %d bytes live, want at most 64 KiB", size, live)
			}
			if !compress {
				limitAllocs(t, total, 64<<10)
			}
		}
	}
}

// heap returns the bytes on the heap that are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestStreamVerdicts: the verdict on the same bytes is the same for pieces of any
// size, on good bundles and on bad ones.
func TestStreamVerdicts(t *testing.T) {
	length := heavy(1 << 20)
	if race.Enabled {
		length = 50 << 10
	}
	good, policy := bigBundle(t, length, false)
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 4
	manifestFlipped := bytes.Clone(good)
	manifestFlipped[bytes.Index(good, []byte(`"2.0"`))+1] = '3'
	for name, data := range map[string][]byte{
		"good": good, "data": flipped, "manifest": manifestFlipped, "cut": good[:len(good)/2], "nothing": nil,
		"cut in a header": good[:20], "another archive behind": append(bytes.Clone(good), good...),
	} {
		_, want := stream(data, policy, len(good))
		for _, size := range []int{1, 2, 3, 7, 512, 4096} {
			if _, err := stream(data, policy, size); text(err) != text(want) {
				t.Errorf("%s: %v in pieces of %d, %v in one", name, err, size, want)
			}
		}
		if isGood := strings.Contains("good another archive behind", name); isGood != (want == nil) {
			t.Errorf("%s: %v", name, want)
		}
	}
}

// TestStreamReadFrom: a stream takes what a reader has, and stops at the end of the
// bundle.
func TestStreamReadFrom(t *testing.T) {
	data := goodArchive().bytes()
	rest := bytes.NewReader(append(bytes.Clone(data), make([]byte, 100<<10)...))
	s := fwbundle.NewStream(fwbundle.StreamConfig{})
	if n, err := io.Copy(s, iotest.HalfReader(rest)); err != nil || n > int64(len(data))+4<<10 || rest.Len() < 90<<10 {
		t.Errorf("%d bytes read, %v; %d are left", n, err, rest.Len())
	}
	if !s.Done() || s.Close() != nil {
		t.Error("not complete")
	}
	if n, err := s.Write([]byte("more")); n != 4 || err != nil {
		t.Errorf("Write behind the end: %d, %v", n, err)
	}
	if err := s.Check(fwbundle.Policy{Platform: "esp32"}); !errors.Is(err, fwbundle.ErrPlatform) {
		t.Errorf("Check: %v", err)
	}
	if err := s.Check(fwbundle.Policy{}); err != nil {
		t.Errorf("Check: %v", err)
	}
	if err := fwbundle.NewStream(fwbundle.StreamConfig{}).Check(fwbundle.Policy{}); !errors.Is(err, fwbundle.ErrTruncated) {
		t.Errorf("Check of nothing: %v", err)
	}
	signed, policy := signedBundle(t, false)
	s = fwbundle.NewStream(fwbundle.StreamConfig{})
	s.Write(signed)
	if err := s.Check(policy); err != nil || len(s.Extra()) != 1 || s.Extra()[0].Name != "sig0" {
		t.Errorf("Check: %v, extra %s", err, s.Extra())
	}

	s = fwbundle.NewStream(fwbundle.StreamConfig{})
	failure := errors.New("line broken")
	if _, err := s.ReadFrom(io.MultiReader(bytes.NewReader(data[:700]), iotest.ErrReader(failure))); !errors.Is(err, failure) {
		t.Errorf("ReadFrom: %v", err)
	}
	if s.Done() {
		t.Error("done though the source has failed")
	}
	if _, err := s.ReadFrom(bytes.NewReader(data[700:])); err != nil || s.Close() != nil {
		t.Errorf("the rest: %v, %v", err, s.Close())
	}
}

// TestStreamEnds: every way to end a stream early.
func TestStreamEnds(t *testing.T) {
	data := goodArchive().bytes()
	failure := errors.New("no room")
	for _, c := range []struct {
		name   string
		config fwbundle.StreamConfig
		most   int // bytes that the verdict needs
		want   error
	}{
		{"Begin", fwbundle.StreamConfig{Begin: func(*fwbundle.Manifest) error { return failure }}, 400, failure},
		{"Part", fwbundle.StreamConfig{Part: func(*fwbundle.Part) (io.Writer, error) { return nil, failure }}, 500, failure},
		{"sink", fwbundle.StreamConfig{Part: func(*fwbundle.Part) (io.Writer, error) {
			return writerFunc(func([]byte) (int, error) { return 0, failure }), nil
		}}, 500, failure},
		{"policy", fwbundle.StreamConfig{Policy: &fwbundle.Policy{Platform: "esp32"}}, 400, fwbundle.ErrPlatform},
		{"locked", fwbundle.StreamConfig{Policy: &fwbundle.Policy{SigReqMask: new(0)}}, 400, fwbundle.ErrLocked},
	} {
		s := fwbundle.NewStream(c.config)
		n := 0
		for n < len(data) && !s.Done() {
			s.Write(data[n : n+1])
			n++
		}
		if n > c.most {
			t.Errorf("%s: the verdict came after %d bytes", c.name, n)
		}
		if _, err := s.Write([]byte{0}); !errors.Is(err, c.want) {
			t.Errorf("%s: Write: %v", c.name, err)
		}
		for range 2 {
			if err := s.Close(); !errors.Is(err, c.want) {
				t.Errorf("%s: Close: %v", c.name, err)
			}
		}
	}
	for _, s := range []*fwbundle.Stream{fwbundle.NewStream(fwbundle.StreamConfig{}), begun(data)} {
		err := s.Close()
		if !errors.Is(err, fwbundle.ErrTruncated) || !errors.Is(err, io.ErrUnexpectedEOF) || stageOf(t, err) != container {
			t.Errorf("Close: %v", err)
		}
		if _, err := s.Write(data); err == nil {
			t.Error("Write after Close")
		}
	}
}

func begun(data []byte) *fwbundle.Stream {
	s := fwbundle.NewStream(fwbundle.StreamConfig{})
	s.Write(data[:100])
	return s
}

// TestStreamPanics: a function that panics does so in Write, and leaves a stream
// that is never good.
func TestStreamPanics(t *testing.T) {
	s := fwbundle.NewStream(fwbundle.StreamConfig{Begin: func(*fwbundle.Manifest) error { panic("in Begin") }})
	func() {
		defer func() {
			if p := recover(); p != "in Begin" {
				t.Errorf("recovered %v", p)
			}
		}()
		s.Write(goodArchive().bytes())
	}()
	s.Write(goodArchive().bytes())
	if err := s.Close(); err == nil {
		t.Error("good after a panic")
	}
}

// TestCompressedDataEnds: compressed data that needs more than its entry has is
// damaged; nothing was truncated on the way.
func TestCompressedDataEnds(t *testing.T) {
	z := goodArchive()
	z.fw().deflate, z.fw().packed = true, deflate(goodFirmware)[:500]
	_, err := open(z.bytes())
	_, streamErr := stream(z.bytes(), nil, 100)
	for _, err := range []error{err, streamErr} {
		if stageOf(t, err) != container || errors.Is(err, fwbundle.ErrTruncated) {
			t.Errorf("%v", err)
		}
	}
	if _, err := stream(z.bytes()[:700], nil, 100); !errors.Is(err, fwbundle.ErrTruncated) {
		t.Errorf("truncated: %v", err)
	}
}

// TestStreamLimits: what a stream takes is bounded though its end is not known.
func TestStreamLimits(t *testing.T) {
	small := fwbundle.Limits{MaxArchive: 64 << 10}
	bomb := goodArchive()
	bomb.add(zipEntry{name: "BOMB", data: make([]byte, 1<<20), deflate: true, descriptor: 16})
	two := goodArchive()
	two.add(zipEntry{name: "A", data: make([]byte, 40<<10), deflate: true})
	two.add(zipEntry{name: "B", data: make([]byte, 40<<10), deflate: true})
	long := goodArchive()
	long.add(zipEntry{name: "LONG", data: firmware(63 << 10)})
	tight := fwbundle.Limits{MaxArchive: int64(len(goodFirmware) + len(goodArchive().entries[0].data))} // headers come on top
	for _, c := range []struct {
		name   string
		z      zipArchive
		limits fwbundle.Limits
	}{{"bomb", bomb, small}, {"two", two, small}, {"long", long, small}, {"tight", goodArchive(), tight}} {
		for _, size := range []int{1, 100, 1 << 20} {
			_, err := stream(c.z.bytes(), &fwbundle.Policy{Limits: c.limits}, size)
			if err == nil || stageOf(t, err) != limits {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

// TestStreamEntries: entries are counted without a policy too.
func TestStreamEntries(t *testing.T) {
	for n, want := range map[int]fwbundle.Stage{64: 0, 65: limits} {
		z := goodArchive()
		fillUp(&z, n)
		_, err := stream(z.bytes(), nil, 100)
		if err != nil && stageOf(t, err) != want || err == nil && want != 0 {
			t.Errorf("%d entries: %v", n, err)
		}
	}
}

// TestStreamManifestBomb: a manifest whose size is not known is not inflated beyond
// its limit.
func TestStreamManifestBomb(t *testing.T) {
	z := goodArchive()
	m := &z.entries[0]
	m.data, m.deflate, m.descriptor = append(m.data, bytes.Repeat([]byte{' '}, 8<<20)...), true, 16
	data := z.bytes()
	limitAllocs(t, allocated(func() {
		if _, err := stream(data, nil, 4096); err == nil || stageOf(t, err) != limits {
			t.Errorf("%v", err)
		}
	}), 512<<10)
}

// streamDiffers are the container cases on which a stream has another verdict than
// Open: it cannot take two good archives, and does not see what is wrong with the
// central directory, behind it, or in front of the end of the first archive.
var streamDiffers = []string{
	"manifest last", "stored, descriptor, sizes unknown",
	"bytes behind the end", "comment too short", "comment too long", "end record in the comment", "end signature in the comment",
	"end signature in the second file", "two archives", "archive in front", "entry missing in the directory", "one entry too many",
	"entry counts differ", "volume of the end", "volume of the directory", "volume of an entry", "directory size", "directory offset",
	"directory offset far away", "zip64 end differs", "zip64 end in full differs", "zip64 locator elsewhere",
	"zip64 end in the comment of an entry", "zip64 locator in an extra field",
	"zip64 end of another length", "zip64 missing", "zip64 end without its signature", "flags of the local header",
	"offset of an entry", "offset in the directory", "two entries in one place", "extra record 0x293a in the local header only",
	"extra records 0x293a differ", "zip64 record too short for both", "volume in the zip64 record",
	"zip64 end, another number of entries on this volume", "zip64 directory that wraps around", "zip64 locator of another volume",
	"zip64 locator of two volumes", "symbolic link of macOS", "file with the mode of a directory",
	"symbolic link", "device", "pipe", "socket",
}

// TestStreamContainer: a stream breaks off at every fault that it can see.
func TestStreamContainer(t *testing.T) {
	for _, c := range slices.Concat(containerCases, bombCases) {
		z := goodArchive()
		c.edit(&z)
		p := fwbundle.Policy{Limits: fwbundle.Limits{MaxArchive: 1 << 20}}
		_, err := stream(z.bytes(), &p, 4096)
		if same := (err == nil) == (c.stage == 0); same == slices.Contains(streamDiffers, c.name) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
