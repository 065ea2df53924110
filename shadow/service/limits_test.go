package service_test

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
	"github.com/ccmkit/ccmkit/shadow/service"
)

// TestThings makes as many things as there may be, and one more.
func TestThings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := faultfs.New()
		s, b := start(t, service.WithDisk(service.Config{Dir: "things"}, disk))
		ctx := t.Context()
		update := []byte(`{"state":{"reported":{"a":1}}}`)
		for i := range 10000 {
			if _, err := s.Update(ctx, "thing-"+strconv.Itoa(i), "", update); err != nil {
				t.Fatal(i, err)
			}
			b.take()
		}
		expect(t, "one more", b.ask(prefix+"update", `{"state":{},"clientToken":"k"}`),
			prefix+"update/rejected", `{"code":429,"message":"Too many things or shadows","timestamp":1700000000,"clientToken":"k"}`)
		if _, err := s.Update(ctx, "thing-0", "named", update); err != nil {
			t.Errorf("another shadow of a thing: %v", err)
		}
		if stats := s.Stats(); stats.Things != 10000 || stats.Shadows != 10001 {
			t.Errorf("%+v", stats)
		}

		// A thing whose shadows are deleted makes room, the oldest first.
		for _, thing := range []string{"thing-1", "thing-2", "thing-0"} {
			if err := s.Delete(ctx, thing, ""); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if _, err := s.Update(ctx, "new", "", update); err != nil {
			t.Errorf("after a deletion: %v", err)
		}
		got, _ := s.Update(ctx, "thing-2", "", update)
		if v := string(raw(t, string(got))["version"]); v != "2" {
			t.Errorf("thing-2 is at version %s, it should have been remembered", v)
		}
		if _, err := s.Update(ctx, "thing-1", "", update); refusal(err) != 429 {
			t.Errorf("thing-0 still has a shadow: %v", err)
		}
		if err := s.Delete(ctx, "thing-0", "named"); err != nil {
			t.Error(err)
		}
		got, _ = s.Update(ctx, "thing-1", "", update)
		if v := string(raw(t, string(got))["version"]); v != "1" {
			t.Errorf("thing-1 is at version %s, it should have been forgotten", v)
		}
		entries, err := disk.ReadDir("things")
		if err != nil || len(entries) != 10000 {
			t.Errorf("%d files, %v", len(entries), err)
		}
	})
}

// TestShadows makes as many shadows of one thing as there may be, and one more.
func TestShadows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, service.Config{MaxShadows: 3})
		update := func(name string) string {
			got, err := s.Update(t.Context(), "t", name, []byte(`{"state":{"reported":{"a":1}}}`))
			if err != nil {
				return strconv.Itoa(refusal(err))
			}
			return "v" + string(raw(t, string(got))["version"])
		}
		for _, step := range []struct{ name, want string }{
			{"", "v1"}, {"a", "v1"}, {"b", "v1"}, {"c", "429"}, {"a", "v2"},
			{"-a", ""}, {"-b", ""}, {"c", "v1"}, {"b", "v2"}, {"a", "429"}, {"-", ""}, {"a", "v1"}, {"", "429"},
		} {
			if name, deleted := strings.CutPrefix(step.name, "-"); deleted {
				time.Sleep(time.Second)
				if err := s.Delete(t.Context(), "t", name); err != nil {
					t.Error(err)
				}
			} else if got := update(step.name); got != step.want {
				t.Errorf("%q: %s, want %s", step.name, got, step.want)
			}
		}
	})
}

// TestDocumentSize fills a shadow to the last byte.
func TestDocumentSize(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, b := start(t, config())
		text := func(n int) string { return `{"state":{"reported":{"s":"` + strings.Repeat("x", n) + `"}}}` }
		const desired, rest = `{"d":1}`, len(`{"s":""}`)
		free := 8192 - len(desired) - rest
		for _, step := range []struct {
			update string
			code   int
		}{
			{`{"state":{"desired":` + desired + `}}`, 0},
			{text(free + 1), 413},
			{text(free), 0},
			{`{"state":{"desired":{"d":12}}}`, 413},
			{`{"state":{"desired":{"d" : 2}}}`, 0}, // white space does not count
			{`{"state":{"desired":null}}`, 0},
			{text(free + len(desired)), 0},
			{`{"state":{"reported":{"s":null,"n":` + strings.Repeat(" ", 8000) + `1}}}`, 0},
		} {
			if _, err := s.Update(t.Context(), "t", "", []byte(step.update)); refusal(err) != step.code {
				t.Errorf("%.60s...: %v, want %d", step.update, err, step.code)
			}
		}
		sent := b.take()
		if last := sent[len(sent)-1]; string(raw(t, last.payload)["timestamp"]) == "null" {
			t.Errorf("%s", last.payload)
		}
	})
}

// TestLongMetadata fills a shadow with what has the longest metadata: the
// messages must not become longer than the broker takes.
func TestLongMetadata(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, b := start(t, service.Config{MaxDocument: 60 << 10})
		ones := strings.Repeat("1,", 29<<10)
		for _, state := range []string{`{"desired":{"a":[` + ones + `1]}}`, `{"desired":{"a":[` + ones + `2]}}`} {
			if _, err := s.Update(t.Context(), "t", "", []byte(`{"state":`+state+`}`)); err != nil {
				t.Fatal(err)
			}
			sent := b.take()
			if len(sent) != 3 {
				t.Fatalf("%q", topics(sent))
			}
			for _, m := range sent {
				if len(m.payload) > service.MaxMessage || string(raw(t, m.payload)["metadata"]) != "null" {
					t.Errorf("%s of %d bytes", m.topic, len(m.payload))
				}
			}
			if !same(string(raw(t, sent[0].payload)["state"]), state) {
				t.Error("the state is not whole")
			}
		}
		for _, m := range b.ask(prefix+"get", "") {
			if len(m.payload) > service.MaxMessage || !contains(m.topic, "accepted") {
				t.Errorf("%s of %d bytes", m.topic, len(m.payload))
			}
		}
	})
}

// TestOverload sends more requests than wait: the rest are refused, and beyond
// what refusals may wait they are dropped.
func TestOverload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, b := start(t, service.Config{Workers: 1})
		b.setDelay(time.Second)
		const dropped = 10
		// One request and one refusal are being published.
		want := map[string]int{"accepted": service.QueueLen + 1, "rejected": service.RefusedLen + 1}
		b.request(prefix+"get", "x") // it occupies the worker
		synctest.Wait()
		for range service.QueueLen {
			b.request(prefix+"get", "x")
		}
		b.request(prefix+"get", `{"clientToken":"k"}`)
		synctest.Wait() // the first refusal is on its way
		for range service.RefusedLen + dropped {
			b.request(prefix+"get", `{"clientToken":"k"}`)
		}
		time.Sleep(time.Hour)
		got := map[string]int{}
		for _, m := range b.take() {
			switch o := object(t, m.payload); o["message"] {
			case "Invalid JSON":
				got["accepted"]++
			case "Too many requests":
				got["rejected"]++
				if o["clientToken"] != "k" {
					t.Errorf("%s", m.payload)
				}
			}
		}
		if got["accepted"] != want["accepted"] || got["rejected"] != want["rejected"] || s.Stats().Dropped != dropped {
			t.Errorf("%v, want %v; %+v", got, want, s.Stats())
		}
	})
}

// TestConfig gives bad configurations.
func TestConfig(t *testing.T) {
	b := newBus()
	for name, cfg := range map[string]service.Config{
		"Transport":   {},
		"MaxThings":   {Transport: b, MaxThings: -1},
		"MaxShadows":  {Transport: b, MaxShadows: -1},
		"MaxDocument": {Transport: b, MaxDocument: 61441},
		"Workers":     {Transport: b, Workers: -1},
	} {
		if _, err := service.New(cfg); err == nil || !contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
