package service_test

import (
	"context"
	"runtime"
	"strconv"
	"testing"

	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/shadow/service"
)

// sink is a broker that nobody listens to.
type sink struct{}

func (sink) Publish(context.Context, string, byte, []byte) error { return nil }
func (sink) Subscribe(context.Context, []string, byte, func(string, []byte)) error {
	return nil
}

// TestMemory weighs 10 000 idle shadows.
func TestMemory(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector's memory would be weighed too")
	}
	const things = 10000
	const state = `{"desired":{"on":true,"target":21.5},"reported":{"on":false,"target":21.5,"uptime":123456,"fw":"1.0.3"}}`
	s, err := service.New(service.Config{Transport: sink{}})
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	for i := range things {
		thing := "thing-" + strconv.Itoa(i)
		if _, err := s.Update(t.Context(), thing, "", []byte(`{"state":`+state+`}`)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Update(t.Context(), thing, "", []byte(`{"state":{"reported":{"on":true}}}`)); err != nil {
			t.Fatal(err)
		}
	}
	each := (heap() - before) / things
	document := len(state) - len(`{"desired":,"reported":}`)
	t.Logf("%d bytes for each shadow with a document of %d", each, document)
	if each > document+400 {
		t.Errorf("that is %d more than the document", each-document)
	}
	runtime.KeepAlive(s)
}

// heap returns how many bytes are in use.
func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// BenchmarkUpdate reports a change of one value, in memory.
func BenchmarkUpdate(b *testing.B) {
	s, err := service.New(service.Config{Transport: sink{}})
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	if _, err := s.Update(ctx, "t", "", []byte(`{"state":{"desired":{"on":true,"target":21.5},"reported":{"fw":"1.0.3"}}}`)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Update(ctx, "t", "", []byte(`{"state":{"reported":{"on":true,"uptime":123456}}}`)); err != nil {
			b.Fatal(err)
		}
	}
}
