package service_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/internal/fsx/faultfs"
	"github.com/ccmkit/ccmkit/shadow/service"
)

// step is one request of the power-cut test. An empty state deletes.
type step struct {
	id
	state string
}

// long is a state that takes several sectors of the disk.
var long = `{"reported":{"s":"` + strings.Repeat("abcdefghijklm", 120) + `"}}`

// script makes, changes, deletes and forgets shadows. There is room for two
// things.
var script = []step{
	{id{"a", ""}, `{"desired":{"x":1}}`},
	{id{"a", ""}, `{"reported":{"x":1}}`},
	{id{"a", "n"}, long},
	{id{"A", ""}, `{"desired":{"y":[1,2]}}`},
	{id{"A", ""}, ""},
	{id{"A", ""}, `{"desired":{"y":3}}`},
	{id{"a", "n"}, ""},
	{id{"a", ""}, ""},
	{id{"B", ""}, `{"reported":{"z":1}}`}, // "a" is forgotten
	{id{"B", ""}, long},
	{id{"A", ""}, `{"desired":null}`},
}

// world is what there is of the shadows of the script: version and state.
type world [4]string

func look(s *service.Service) (w world) {
	for n, i := range []id{{"a", ""}, {"a", "n"}, {"A", ""}, {"B", ""}} {
		w[n] = fmt.Sprintf("%v version %d", i, s.Version(i.thing, i.name))
		if doc, err := s.Get(i.thing, i.name); err == nil {
			doc, _, _ := strings.Cut(string(doc), `,"metadata"`)
			w[n] += doc
		}
	}
	return w
}

// play does the steps of the script until one fails. It returns how many it did
// and what there was after each.
func play(t *testing.T, cfg service.Config) (steps int, worlds []world) {
	s, err := service.New(cfg)
	if err != nil {
		return 0, nil
	}
	worlds = append(worlds, look(s))
	for _, st := range script {
		if st.state == "" {
			err = s.Delete(t.Context(), st.thing, st.name)
		} else {
			_, err = s.Update(t.Context(), st.thing, st.name, []byte(`{"state":`+st.state+`}`))
		}
		if err != nil {
			return steps, worlds
		}
		steps++
		worlds = append(worlds, look(s))
	}
	return steps, worlds
}

// TestPowerCuts cuts power at every operation of the disk, writes also in the
// middle, loses in every way what was not synced, and starts again (reliability.md
// C1): each shadow is as it was when the last request was answered, or as the
// request that was not answered would have made it, and no file is broken. A
// second cut during the start changes nothing.
func TestPowerCuts(t *testing.T) {
	config := func(disk *faultfs.FS) service.Config {
		return service.WithDisk(service.Config{Transport: newBus(), Dir: "state/shadows", MaxThings: 2}, disk)
	}
	whole := faultfs.New()
	steps, worlds := play(t, config(whole))
	if steps != len(script) {
		t.Fatalf("%d of %d steps", steps, len(script))
	}
	cuts := 0
	for _, op := range whole.Ops() {
		sizes := []int{0}
		if op.Kind == faultfs.Write {
			sizes = []int{0, 1, op.Size / 2, op.Size - 1, op.Size}
		}
		for _, size := range sizes {
			disk := faultfs.New()
			disk.CutAt(op.N, size)
			steps, _ := play(t, config(disk))
			old, next := worlds[steps], worlds[min(steps+1, len(script))]
			for _, loss := range faultfs.Losses() {
				cuts++
				where := fmt.Sprintf("cut at %d (%s %s, %d bytes), %s", op.N, op.Kind, op.Name, size, loss.Name)
				again := disk.Restart(loss)
				again.CutAt(cuts%12, 0)
				service.New(config(again)) // it fails if there are that many operations
				for _, start := range []*faultfs.FS{disk.Restart(loss), again.Restart(loss)} {
					got := started(t, where, config(start))
					for n := range got {
						if got[n] != old[n] && got[n] != next[n] {
							t.Errorf("%s:\n got %s\nwant %s\n  or %s", where, got[n], old[n], next[n])
						}
					}
				}
			}
		}
	}
	t.Logf("%d operations, %d cuts", len(whole.Ops()), cuts)
}

// started starts a service after a power cut.
func started(t *testing.T, where string, cfg service.Config) world {
	t.Helper()
	cfg.Observer = func(e service.Event) {
		if e.Kind == service.EventBroken || e.Kind == service.EventDisk {
			t.Errorf("%s: %v %s: %v", where, e.Kind, e.File, e.Err)
		}
	}
	s, err := service.New(cfg)
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	w := look(s)
	if _, err := s.Update(t.Context(), "A", "", []byte(`{"state":{"reported":{"after":true}}}`)); err != nil && refusal(err) != 429 {
		t.Errorf("%s: then: %v", where, err)
	}
	return w
}

// TestStoredFirst looks at the disk at the moment at which each answer is
// published: it must be true after a power cut.
func TestStoredFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := faultfs.New()
		s, b := start(t, service.WithDisk(service.Config{Dir: "d"}, disk))
		looked := 0
		b.mu.Lock()
		b.veto = func(topic string) error {
			for _, loss := range faultfs.Losses() {
				after := open(t, service.WithDisk(service.Config{Dir: "d"}, disk.Restart(loss)))
				if look(after) != look(s) {
					t.Errorf("%s, %s: %s", topic, loss.Name, look(after))
				}
				looked++
			}
			return nil
		}
		b.mu.Unlock()
		for n, state := range []string{`{"desired":{"a":1}}`, `{"reported":{"a":1}}`, "", `{"desired":{"a":2}}`} {
			op, payload := "update", `{"state":`+state+`}`
			if state == "" {
				op, payload = "delete", ""
			}
			sent := b.ask("$aws/things/a/shadow/"+op, payload)
			if s.Version("a", "") != []int64{1, 2, 2, 3}[n] || len(sent) != []int{3, 2, 1, 3}[n] {
				t.Errorf("%d: version %d, %q", n, s.Version("a", ""), topics(sent))
			}
		}
		if want := 9 * len(faultfs.Losses()); looked != want {
			t.Errorf("%d looks, want %d", looked, want)
		}
	})
}
