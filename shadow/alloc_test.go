package shadow_test

import (
	"testing"

	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/shadow"
)

var (
	smallDesired  = []byte(`{"on":true,"level":30,"cfg":{"period":10,"names":["a","b"],"unit":"C"},"mode":"auto"}`)
	smallReported = []byte(`{"on":false,"level":30.0,"cfg":{"period":10,"names":["a","c"],"unit":"C"},"mode":"auto","uptime":7}`)
)

// TestAllocs: one allocation for the nodes of both documents, one for the result.
func TestAllocs(t *testing.T) {
	if race.Enabled {
		t.Skip("counts differ under the race detector")
	}
	fits := func(part []byte) bool { return len(part) <= 255 }
	for _, c := range []struct {
		name string
		most float64
		f    func()
	}{
		{"Diff", 2, func() { shadow.Diff(smallDesired, smallReported) }},
		{"Merge", 2, func() { shadow.Merge(smallReported, smallDesired) }},
		{"Compose", 2, func() { shadow.Compose(smallReported, smallDesired) }},
		{"Equal", 1, func() { shadow.Equal(smallReported, smallDesired) }},
		{"Split", 1, func() { shadow.Split(smallReported, fits) }},
	} {
		if n := testing.AllocsPerRun(100, c.f); n > c.most {
			t.Errorf("%s: %v allocations, want %v", c.name, n, c.most)
		}
	}
}

func BenchmarkDiff(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(smallDesired) + len(smallReported)))
	for b.Loop() {
		shadow.Diff(smallDesired, smallReported)
	}
}

func BenchmarkMerge(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(smallDesired) + len(smallReported)))
	for b.Loop() {
		shadow.Merge(smallReported, smallDesired)
	}
}

func BenchmarkCompose(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(smallDesired) + len(smallReported)))
	for b.Loop() {
		shadow.Compose(smallReported, smallDesired)
	}
}
