package service_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
	"github.com/ccmkit/ccmkit/shadow/service"
)

// TestSubscribe starts while the broker cannot be reached.
func TestSubscribe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBus()
		b.setOffline(true)
		var mu sync.Mutex
		var at []time.Duration
		var last service.Event
		seen := func() ([]time.Duration, service.Event) {
			mu.Lock()
			defer mu.Unlock()
			return at, last
		}
		began := time.Now()
		s, err := service.New(service.Config{Transport: b, Observer: func(e service.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == service.EventOffline || e.Kind == service.EventOnline {
				at, last = append(at, time.Since(began)), e
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		run(t, s)
		time.Sleep(40*time.Second + 1)
		attempts, event := seen()
		if want := []time.Duration{0, 1, 3, 7, 15, 25, 35}; !slices.Equal(attempts, seconds(want)) || !errors.Is(event.Err, errOffline) {
			t.Errorf("attempts at %v: %v", attempts, event)
		}
		b.setOffline(false)
		time.Sleep(10 * time.Second)
		if _, event := seen(); event.Kind != service.EventOnline || !slices.Equal(b.subscribed(), service.Filters) {
			t.Errorf("%v, filters %q", event, b.subscribed())
		}
		// The bus still knows the handlers of the attempts that failed.
		if got := b.ask(prefix+"get", ""); len(got) != 1 {
			t.Errorf("%d answers", len(got))
		}
	})
}

func seconds(list []time.Duration) []time.Duration {
	for i := range list {
		list[i] *= time.Second
	}
	return list
}

// TestRunAgain runs a service twice, one after the other and at the same time.
func TestRunAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, err := service.New(service.Config{Transport: newBus()})
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, s)
		synctest.Wait()
		if err := s.Run(t.Context()); !errors.Is(err, service.ErrRunning) {
			t.Errorf("twice: %v", err)
		}
		stop()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Run(ended); err != nil {
			t.Errorf("with a ctx that has ended: %v", err)
		}
	})
}

// TestStop ends Run while requests wait for the broker.
func TestStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBus()
		b.setDelay(time.Hour)
		s, err := service.New(service.Config{Transport: b, Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, s)
		synctest.Wait()
		for range 50 {
			b.request(prefix+"update", `{"state":{"desired":{"a":1}}}`)
			b.request("$aws/things/other/shadow/get", "")
		}
		synctest.Wait()
		before := time.Now()
		stop()
		if took := time.Since(before); took > 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if b.request("other", ""); s.Stats().Ignored != 0 { // the transport has not noticed
			t.Error("it still takes messages")
		}
		b.setDelay(0)
		run(t, s)
		synctest.Wait()
		if got := b.ask(prefix+"get", ""); len(got) != 1 || got[0].topic != prefix+"get/accepted" {
			t.Errorf("after another start: %v", got)
		}
	})
}

// TestOffline changes shadows while the broker cannot be reached.
func TestOffline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, b := start(t, config())
		mustUpdate(t, s, "settled", "", `{"desired":{"a":1}}`)
		b.setOffline(true)
		b.take()
		mustUpdate(t, s, "t", "", `{"desired":{"a":1}}`)
		mustUpdate(t, s, "t", "", `{"desired":{"b":2}}`)
		mustUpdate(t, s, "t", "n", `{"desired":{"c":3}}`)
		mustUpdate(t, s, "settled", "", `{"reported":{"a":1}}`)
		mustUpdate(t, s, "gone", "", `{"desired":{"a":1}}`)
		if err := s.Delete(t.Context(), "gone", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if sent := b.take(); len(sent) > 0 {
			t.Errorf("%v", sent)
		}
		b.setOffline(false)
		time.Sleep(10 * time.Second)
		sent := b.take()
		slices.SortFunc(sent, func(a, b message) int { return len(a.topic) - len(b.topic) })
		for i := range sent { // without the time
			sent[i].payload = `{"version":` + string(raw(t, sent[i].payload)["version"]) + `,"state":` + string(raw(t, sent[i].payload)["state"]) + `}`
		}
		expect(t, "back again", sent,
			prefix+"update/delta", `{"version":2,"state":{"a":1,"b":2}}`,
			prefix+"name/n/update/delta", `{"version":1,"state":{"c":3}}`)
		time.Sleep(time.Hour)
		if sent := b.take(); len(sent) > 0 {
			t.Errorf("once more: %v", sent)
		}
		if s.Stats().Unpublished == 0 {
			t.Errorf("%+v", s.Stats())
		}
	})
}

// TestDeltaAfterStart starts with shadows that differ: a service that was stopped
// before it could publish must not leave a device behind.
func TestDeltaAfterStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := service.WithDisk(service.Config{Dir: "d"}, faultfs.New())
		s := open(t, cfg)
		mustUpdate(t, s, "same", "", `{"desired":{"a":1},"reported":{"a":1}}`)
		mustUpdate(t, s, "reported", "", `{"reported":{"a":1}}`)
		mustUpdate(t, s, "gone", "", `{"desired":{"a":1}}`)
		mustUpdate(t, s, "t", "", `{"desired":{"a":1}}`)
		if err := s.Delete(t.Context(), "gone", ""); err != nil {
			t.Fatal(err)
		}
		_, b := start(t, cfg)
		time.Sleep(time.Hour)
		expect(t, "after the start", b.take(),
			prefix+"update/delta", `{"version":1,"timestamp":1700000001,"state":{"a":1},"metadata":{"a":{"timestamp":1700000000}}}`)
	})
}

// TestLostMessages loses single messages of an update.
func TestLostMessages(t *testing.T) {
	for _, lost := range []string{"accepted", "delta", "documents"} {
		bubble(t, func(t *testing.T) {
			s, b := start(t, config())
			var once sync.Once
			b.mu.Lock()
			b.veto = func(topic string) (err error) {
				if topic == prefix+"update/"+lost {
					once.Do(func() { err = errOffline })
				}
				return err
			}
			b.mu.Unlock()
			mustUpdate(t, s, "t", "", `{"desired":{"a":1}}`)
			time.Sleep(time.Minute)
			want := map[string][]string{
				"accepted":  {prefix + "update/delta"},
				"delta":     {prefix + "update/accepted", prefix + "update/delta"},
				"documents": {prefix + "update/accepted", prefix + "update/delta", prefix + "update/delta"},
			}[lost]
			if got := topics(b.take()); !slices.Equal(got, want) {
				t.Errorf("without %s: %q, want %q", lost, got, want)
			}
		})
	}
}

// TestSilentBroker has a broker that acknowledges nothing.
func TestSilentBroker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, b := start(t, config())
		b.setDelay(time.Hour)
		before := time.Now()
		mustUpdate(t, s, "t", "", `{"desired":{"a":1}}`)
		if took := time.Since(before); took != 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestOrder publishes requests and calls for the same thing at the same time:
// what the service publishes must be in the order of versions.
func TestOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, b := start(t, config())
		b.setDelay(time.Millisecond)
		var wg sync.WaitGroup
		for n := range 20 {
			wg.Go(func() {
				if n%2 == 0 {
					b.request(prefix+"update", `{"state":{"desired":{"a":1}}}`)
				} else {
					mustUpdate(t, s, "t", "", `{"reported":{"b":2}}`)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		var got, want []string
		for _, m := range b.take() {
			version := raw(t, m.payload)["version"]
			if m.topic == prefix+"update/documents" {
				version = raw(t, string(raw(t, m.payload)["current"]))["version"]
			}
			got = append(got, string(version)+m.topic)
		}
		deltas := false
		for v := 1; v <= 20; v++ {
			for _, what := range []string{"accepted", "delta", "documents"} {
				line := code(v) + prefix + "update/" + what
				deltas = deltas || slices.Contains(got, line)
				if what != "delta" || slices.Contains(got, line) {
					want = append(want, line)
				}
			}
		}
		if !slices.Equal(got, want) || !deltas {
			t.Errorf("got %q\nwant %q", got, want)
		}
	})
}

// TestManyClients updates few shadows from many clients: versions have no gaps,
// each update has its own, and none is lost.
func TestManyClients(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := faultfs.New()
		cfg := service.WithDisk(service.Config{Dir: "d"}, disk)
		s, b := start(t, cfg)
		const clients, updates = 40, 50
		things := []string{"a", "b", "c"}
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				for n := range updates {
					thing := things[n%len(things)]
					payload := `{"state":{"reported":{"c` + code(c) + `":` + code(n) + `}},"clientToken":"` + code(c) + `-` + code(n) + `"}`
					if c%2 == 0 {
						if _, err := s.Update(t.Context(), thing, "", []byte(payload)); err != nil {
							t.Error(err)
						}
						continue
					}
					b.request("$aws/things/"+thing+"/shadow/update", payload)
					time.Sleep(time.Millisecond) // or too many wait
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		versions, tokens := map[string]int{}, map[string]bool{}
		for _, m := range b.take() {
			if contains(m.topic, "/accepted") {
				o := raw(t, m.payload)
				thing := m.topic[12:13]
				versions[thing]++
				if got := string(o["version"]); got != code(versions[thing]) {
					t.Fatalf("%s: version %s, want %d", thing, got, versions[thing])
				}
				tokens[string(o["clientToken"])] = true
			}
		}
		if len(tokens) != clients*updates {
			t.Errorf("%d updates of %d", len(tokens), clients*updates)
		}
		again := open(t, cfg)
		for _, thing := range things {
			got, _ := s.Get(thing, "")
			stored, _ := again.Get(thing, "")
			if string(got) != string(stored) || again.Version(thing, "") != int64(versions[thing]) {
				t.Errorf("%s: stored %s\n is %s", thing, stored, got)
			}
		}
	})
}

// TestWaitingCall ends a call that waits for its turn.
func TestWaitingCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, b := start(t, service.Config{Workers: 1})
		b.setDelay(time.Second)
		b.request(prefix+"update", `{"state":{"desired":{"a":1}}}`)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := s.Update(ctx, "t", "", []byte(`{"state":{"desired":{"a":2}}}`))
		if !errors.Is(err, context.DeadlineExceeded) || s.Version("t", "") != 1 {
			t.Errorf("%v, version %d", err, s.Version("t", ""))
		}
		// One that ends while its messages are published has happened; the
		// delta follows.
		time.Sleep(time.Minute)
		b.take()
		ctx, cancel = context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if _, err := s.Update(ctx, "t", "", []byte(`{"state":{"desired":{"a":3}}}`)); err != nil || s.Version("t", "") != 2 {
			t.Errorf("%v, version %d", err, s.Version("t", ""))
		}
		time.Sleep(time.Minute)
		if got := topics(b.take()); !slices.Equal(got, []string{prefix + "update/delta"}) {
			t.Errorf("%q", got)
		}
	})
}

// TestForgetBusy needs room while the thing that could be forgotten is busy.
func TestForgetBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, b := start(t, service.Config{MaxThings: 1, Workers: 2})
		mustUpdate(t, s, "a", "", `{"reported":{"x":1}}`)
		b.setDelay(time.Second)
		b.request("$aws/things/a/shadow/delete", "")
		synctest.Wait()
		b.setDelay(0)
		// Of the two turns, "c" has that of "a", and "b" the other.
		if _, err := s.Update(t.Context(), "b", "", []byte(`{"state":{}}`)); refusal(err) != 429 {
			t.Errorf("%v", err)
		}
		if mustUpdate(t, s, "c", "", `{}`); s.Version("a", "") != 0 {
			t.Error("it is still remembered")
		}
	})
}

// TestOwedBound: a service that cannot publish remembers no more shadows than it
// may have.
func TestOwedBound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBus()
		b.setOffline(true)
		s, err := service.New(service.Config{Transport: b, MaxThings: 2})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			mustUpdate(t, s, "t"+code(i), "", `{"desired":{"a":1}}`)
			if err := s.Delete(t.Context(), "t"+code(i), ""); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.Owed(); n > 2 {
			t.Errorf("%d", n)
		}
	})
}
