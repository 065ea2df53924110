package shadow_test

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/shadow"
)

// TestIdleCost: a Syncer that has nothing to do costs one goroutine and a few
// KiB.
func TestIdleCost(t *testing.T) {
	if race.Enabled {
		t.Skip("memory differs under the race detector")
	}
	const n = 1000
	before := used()
	ctx, cancel := context.WithCancel(t.Context())
	var running, synced sync.WaitGroup
	syncers := make([]*shadow.Syncer, n)
	for i := range syncers {
		synced.Add(1)
		m := &memory{doc: shadow.Document{Desired: []byte(`{"on":true,"n":` + strconv.Itoa(i) + `}`), Version: 1}}
		s := shadow.NewSyncer(shadow.Config{
			Backend: m,
			Deliver: func(context.Context, []byte) error {
				synced.Done()
				return nil
			},
		})
		s.SetOnline(true)
		running.Go(func() { s.Run(ctx) })
		syncers[i] = s
	}
	synced.Wait()
	if g := runtime.NumGoroutine(); g > n+20 {
		t.Errorf("%d goroutines", g)
	}
	if each := (used() - before) / n; each > 16<<10 {
		t.Errorf("%d bytes each", each)
	} else {
		t.Logf("%d bytes each", each)
	}
	cancel()
	running.Wait()
	runtime.KeepAlive(syncers)
}

// used returns the memory in use, stacks included.
func used() int {
	for range 3 {
		runtime.GC() // stacks shrink by half each time
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// TestConcurrency calls everything from everywhere; the race detector watches.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, cloud: newCloud(t, 1)}
		r.cloud.noise = true
		r.run(shadow.Config{}, func(r *rig) {
			var callers sync.WaitGroup
			for caller := range 8 {
				callers.Go(func() { r.call(caller) })
			}
			callers.Wait()
			r.online()
			r.settle()
			time.Sleep(time.Minute)
			if d := r.cloud.unsettled(); len(d) > 0 {
				r.Errorf("not settled: %v", d)
			}
		})
	})
}

// call does one thing again and again.
func (r *rig) call(caller int) {
	for i := range 200 {
		switch caller {
		case 0:
			r.online()
		case 1:
			r.offline()
		case 2:
			r.syncer.HostReady()
		case 3:
			r.cloud.editText("desired", `{"d":`+strconv.Itoa(i)+`}`)
		case 4:
			r.syncer.Document()
			r.syncer.Stats()
		default:
			r.syncer.Report([]byte(`{"r` + strconv.Itoa(caller) + `":` + strconv.Itoa(i) + `}`))
		}
		time.Sleep(time.Duration(caller*7+i%13) * time.Millisecond)
	}
}

// TestRunTwice: a second Run fails while one runs, and goes on when it has ended.
func TestRunTwice(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		synctest.Wait()
		if err := r.syncer.Run(t.Context()); err == nil {
			t.Error("a second Run ended without an error")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := shadow.NewSyncer(shadow.Config{Backend: m})
		s.SetOnline(true)
		for i := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			s.Report([]byte(`{"n` + strconv.Itoa(i) + `":1}`))
			if err := s.Run(ctx); err != nil {
				t.Error(err)
			}
			cancel()
		}
		if string(m.doc.Reported) != `{"n0":1,"n1":1,"n2":1}` {
			t.Errorf("reported %s", m.doc.Reported)
		}
	})
}

func TestEventKinds(t *testing.T) {
	for k, want := range map[shadow.EventKind]string{
		0: "unknown", shadow.EventSynced: "synced", shadow.EventFailed: "failed", 99: "unknown",
	} {
		if k.String() != want {
			t.Errorf("%d: %s", k, k)
		}
	}
}
