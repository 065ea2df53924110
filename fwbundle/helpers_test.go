package fwbundle_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ccmkit/ccmkit/fwbundle"
	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/internal/vectors"
)

// open opens a bundle that is in memory.
func open(data []byte) (*fwbundle.Bundle, error) {
	return fwbundle.Open(bytes.NewReader(data), int64(len(data)))
}

// openAndCheck is what a device does with a stored bundle.
func openAndCheck(data []byte, p fwbundle.Policy) (*fwbundle.Bundle, error) {
	b, err := p.Limits.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	return b, b.Check(p)
}

// streamed is what came out of a stream.
type streamed struct {
	manifest *fwbundle.Manifest
	parts    map[string][]byte
}

// stream sends a bundle through a Stream in pieces of a size.
func stream(data []byte, policy *fwbundle.Policy, size int) (streamed, error) {
	out := streamed{parts: map[string][]byte{}}
	config := fwbundle.StreamConfig{
		Policy: policy,
		Part: func(p *fwbundle.Part) (io.Writer, error) {
			return writerFunc(func(b []byte) (int, error) {
				out.parts[p.Name] = append(out.parts[p.Name], b...)
				return len(b), nil
			}), nil
		},
	}
	if policy != nil {
		config.Limits = policy.Limits
	}
	s := fwbundle.NewStream(config)
	for len(data) > 0 {
		n := min(size, len(data))
		if _, err := s.Write(data[:n]); err != nil {
			break
		}
		data = data[n:]
	}
	err := s.Close()
	out.manifest = s.Manifest()
	return out, err
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// content returns the data of all parts that have some, and fails if one cannot be
// read.
func content(t testing.TB, b *fwbundle.Bundle) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, p := range b.Manifest().Parts {
		r, err := b.OpenPart(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if p.Fill == nil {
			all[p.Name] = data
		}
	}
	return all
}

// vector returns a file of the vectors.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectors.Dir(), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// stageOf returns the stage of an error; it fails if it is no *fwbundle.Error.
func stageOf(t testing.TB, err error) fwbundle.Stage {
	t.Helper()
	e, is := errors.AsType[*fwbundle.Error](err)
	if !is {
		t.Fatalf("%v: want an *fwbundle.Error", err)
	}
	return e.Stage
}

// allocated returns the bytes that f allocates, freed ones too.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// limitAllocs fails if more bytes were allocated than allowed; under the race
// detector that means nothing.
func limitAllocs(t testing.TB, got, most uint64) {
	t.Helper()
	if got > most && !race.Enabled {
		t.Errorf("%d bytes allocated, want at most %d", got, most)
	}
}

func hexText(b []byte) string { return fmt.Sprintf("%x", b) }

type (
	signer     = crypto.Signer
	ed25519Key = ed25519.PublicKey
)
