package shadow_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/shadow"
)

// TestConnect: subscribe, flush what was reported while offline, fetch, deliver
// what differs.
func TestConnect(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.cloud.editText("desired", `{"on":true,"level":3}`)
		for _, patch := range []string{`{"on":false,"x":1}`, `{"x":null}`, `{"on":true}`} {
			if err := r.syncer.Report([]byte(patch)); err != nil {
				t.Error(err)
			}
		}
		if _, known := r.syncer.Document(); known {
			t.Error("a document before the first fetch")
		}
		r.online()
		r.settle()
		r.expect("requests", r.cloud.sent(), `update {"on":true,"x":null}`, "get", `update {"level":3}`)
		r.expect("deltas", r.host.got(), `{"level":3}`)
		doc, known := r.syncer.Document()
		if !known || string(doc.Desired) != `{"level":3,"on":true}` || !shadow.Equal(doc.Reported, doc.Desired) || doc.Version != 2 {
			t.Errorf("Document = %s, %s, %d, %v", doc.Desired, doc.Reported, doc.Version, known)
		}
		want := string(doc.Desired) + string(doc.Reported)
		doc.Desired[0], doc.Reported[0] = '#', '#' // they are copies
		if doc, _ := r.syncer.Document(); string(doc.Desired)+string(doc.Reported) != want {
			t.Errorf("Document = %s, %s", doc.Desired, doc.Reported)
		}
	})
}

// TestLiveDelta: what is edited while connected is delivered, reported, settled.
func TestLiveDelta(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.online()
		r.settle()
		r.cloud.editText("desired", `{"on":true,"cfg":{"a":[1,2],"b":{"c":9007199254740993}}}`)
		r.settle()
		r.expect("deltas", r.host.got(), `{"cfg":{"a":[1,2],"b":{"c":9007199254740993}},"on":true}`)
		r.cloud.editText("desired", `{"cfg":{"b":{"c":9007199254740992}}}`)
		r.settle()
		r.expect("deltas", r.host.got(), `{"cfg":{"b":{"c":9007199254740992}}}`)
		if d := r.cloud.unsettled(); len(d) > 0 {
			t.Errorf("not settled: %v", d)
		}
		r.expect("events", r.happened(), "synced", "delivered", "reported", "delivered", "reported")
	})
}

// TestHeldDeltas: deltas that come before the document has are held; after it,
// those that it includes are dropped.
func TestHeldDeltas(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.host.deaf = true
		r.online()
		time.Sleep(2*oneWay + 10*time.Millisecond) // the get is on its way
		r.cloud.editText("desired", `{"a":1}`)     // will be in the document
		time.Sleep(oneWay)
		r.cloud.editText("desired", `{"b":2}`) // will not
		r.settle()
		r.expect("deltas", r.host.got(), `{"a":1}`, `{"a":1,"b":2}`)
		r.expect("events", r.happened(), "synced", "delivered", "stale", "delivered")
	})
}

// TestNoDeltasBeforeGet: without a document nothing is delivered.
func TestNoDeltasBeforeGet(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.cloud.fault = func(op string, _ object) fault { return fault{code: map[string]int{"/get": 500}[op]} }
		r.online()
		r.settle()
		r.cloud.editText("desired", `{"a":1}`)
		r.settle()
		r.expect("deltas", r.host.got())
		r.cloud.mu.Lock()
		r.cloud.fault = nil
		r.cloud.mu.Unlock()
		time.Sleep(time.Minute)
		r.expect("deltas", r.host.got(), `{"a":1}`)
	})
}

// TestReconnect: what is edited while offline is found by the fetch, and the
// filters are subscribed once.
func TestReconnect(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.host.deaf = true
		r.cloud.editText("desired", `{"a":1}`)
		r.online()
		r.settle()
		r.expect("deltas", r.host.got(), `{"a":1}`)
		r.offline()
		r.cloud.editText("desired", `{"b":2}`)
		r.settle()
		r.online()
		r.settle()
		r.expect("deltas", r.host.got(), `{"a":1,"b":2}`)
		r.offline()
		r.online()
		r.settle()
		r.expect("deltas, unchanged but on a new connection", r.host.got(), `{"a":1,"b":2}`)
		if r.cloud.grants != 1 {
			t.Errorf("%d SUBSCRIBE packets", r.cloud.grants)
		}
	})
}

// TestLostWhileReporting: a report under way when the link breaks is sent again,
// composed with newer ones.
func TestLostWhileReporting(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.online()
		r.settle()
		r.syncer.Report([]byte(`{"a":1,"b":1}`))
		time.Sleep(oneWay / 2)
		r.offline()
		r.syncer.Report([]byte(`{"b":2}`))
		r.settle()
		r.online()
		r.settle()
		r.expect("requests", r.cloud.sent(), "get", `update {"a":1,"b":2}`, "get")
		if s := r.syncer.Stats(); s.Failed != 0 || s.Reports != 2 || s.Reported != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestCoalescing: while an update is under way, new reports become one; pairs
// that cannot be one patch stay two, in order.
func TestCoalescing(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.online()
		r.settle()
		for _, patch := range []string{`{"o":{"x":1}}`, `{"n":1}`, `{"n":2}`, `{"o":null}`, `{"o":{"y":2}}`, `{"n":3}`, `{}`} {
			r.syncer.Report([]byte(patch))
			time.Sleep(time.Millisecond)
		}
		r.settle()
		r.expect("requests", r.cloud.sent(), "get", `update {"o":{"x":1}}`, `update {"n":2,"o":null}`, `update {"o":{"y":2},"n":3}`)
		if _, reported, _ := r.cloud.document(); reported != `{"n":3,"o":{"y":2}}` {
			t.Errorf("reported %s", reported)
		}
		if s := r.syncer.Stats(); s.Reports != 6 || s.Joined != 3 || s.Reported != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// TestInterval: updates keep their distance, however fast the cloud is, and
// nothing is lost by that.
func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &paced{memory: memory{}}
		s := shadow.NewSyncer(shadow.Config{Backend: w})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s.SetOnline(true)
		for n := range 100 {
			time.AfterFunc(time.Duration(n)*70*time.Millisecond, func() { s.Report([]byte(`{"n":` + strconv.Itoa(n) + `}`)) })
		}
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
		for i, at := range w.times[1:] {
			if d := at.Sub(w.times[i]); d < time.Second {
				t.Errorf("%v between two updates", d)
			}
		}
		if n := len(w.times); n != 8 || string(w.doc.Reported) != `{"n":99}` {
			t.Errorf("%d updates, reported %s", n, w.doc.Reported)
		}
	})
}

// paced is a shadow that is as fast as memory, but wants a second of rest.
type paced struct {
	memory
	times []time.Time
}

func (p *paced) Limits() shadow.Limits { return shadow.Limits{Interval: time.Second} }

func (p *paced) Report(ctx context.Context, patch []byte) error {
	p.times = append(p.times, time.Now())
	return p.memory.Report(ctx, patch)
}

// TestRepeatSuppression: a delta that every unrelated report brings again is
// delivered once in RepeatAfter.
func TestRepeatSuppression(t *testing.T) {
	for _, c := range []struct {
		repeat time.Duration
		want   int
	}{{0, 2}, {10 * time.Second, 7}, {-1, 65}} {
		bubble(t, shadow.Config{RepeatAfter: c.repeat}, func(r *rig) {
			r.host.deaf = true
			r.online()
			r.settle()
			r.cloud.editText("desired", `{"slow":1}`)
			for range 65 {
				time.Sleep(time.Second)
				r.host.change(object{"uptime": time.Now().Unix()})
			}
			// The edit and 64 reports have brought a delta; the last report's is on its way.
			if n := len(r.host.got()); n != c.want {
				t.Errorf("RepeatAfter %v: %d deltas, want %d", c.repeat, n, c.want)
			}
		})
	}
}

// TestRepeatAfterObeying: a delta that the host has obeyed is delivered again
// when the host has changed its mind.
func TestRepeatAfterObeying(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.online()
		r.settle()
		r.cloud.editText("desired", `{"x":1,"y":{"z":1}}`)
		r.settle()
		r.host.change(object{"y": object{"z": 5}})
		r.settle()
		r.expect("deltas", r.host.got(), `{"x":1,"y":{"z":1}}`, `{"y":{"z":1}}`)
		// Obeyed and changed again before the cloud has heard of it.
		r.host.think = 0
		r.cloud.editText("desired", `{"x":2}`)
		time.Sleep(oneWay + time.Millisecond)
		r.host.change(object{"x": 7})
		r.settle()
		r.settle()
		if got := r.host.got(); got[len(got)-1] != `{"x":2}` || len(r.cloud.unsettled()) > 0 {
			t.Errorf("deltas %q, unsettled %v", got, r.cloud.unsettled())
		}
	})
}

// TestHostReady: a new host session gets what differs now, from the cloud if it
// is there.
func TestHostReady(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.host.down = true
		r.cloud.editText("desired", `{"a":1,"b":2}`)
		r.online()
		r.settle()
		r.expect("events", r.happened(), "synced", "undelivered")
		r.host.deaf = true
		r.host.boot(object{"b": 2})
		r.settle()
		r.expect("deltas", r.host.got(), `{"a":1}`)
		r.syncer.HostReady()
		r.settle()
		r.expect("deltas of the next session", r.host.got(), `{"a":1}`)
		r.cloud.editText("desired", `{"a":null}`) // AWS does not tell
		r.offline()
		r.syncer.HostReady()
		r.settle()
		r.expect("deltas while offline", r.host.got(), `{"a":1}`)
		r.syncer.Report([]byte(`{"a":1}`))
		r.syncer.HostReady()
		r.settle()
		r.expect("deltas while offline, reported", r.host.got())
		r.online()
		r.settle()
		r.expect("deltas", r.host.got())
	})
}

// TestHidden: the module's part of the desired state is kept from the host.
func TestHidden(t *testing.T) {
	bubble(t, shadow.Config{Hidden: []string{"ota"}}, func(r *rig) {
		r.host.deaf = true
		r.cloud.editText("desired", `{"ota":{"url":"https://x"},"a":1}`)
		r.online()
		r.settle()
		r.expect("deltas", r.host.got(), `{"a":1}`)
		r.cloud.editText("desired", `{"ota":{"url":"https://y"}}`)
		r.settle()
		r.expect("deltas", r.host.got())
		r.cloud.editText("desired", `{"b":2,"$x":1}`)
		r.settle()
		r.expect("deltas", r.host.got(), `{"a":1,"b":2}`)
		if doc, _ := r.syncer.Document(); string(doc.Desired) != `{"a":1,"ota":{"url":"https://y"},"$x":1,"b":2}` {
			t.Errorf("desired %s", doc.Desired)
		}
	})
}

// TestDeletedShadow: after a deletion the versions start anew, and deltas come
// all the same.
func TestDeletedShadow(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.host.deaf = true
		r.online()
		r.settle()
		for range 5 {
			r.cloud.editText("desired", `{"a":1}`)
		}
		r.settle()
		r.cloud.remove()
		r.settle()
		if doc, known := r.syncer.Document(); doc.Desired != nil || doc.Version != 0 || !known {
			t.Errorf("Document = %+v, %v", doc, known)
		}
		r.host.got()
		r.cloud.editText("desired", `{"b":1}`)
		r.settle()
		r.expect("deltas", r.host.got(), `{"b":1}`)
	})
}

// TestDeltaOfDeletedShadow: a delta of a shadow that is gone is forgotten, though
// its version is higher than those of the new one.
func TestDeltaOfDeletedShadow(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.host.deaf = true
		for range 5 {
			r.cloud.editText("desired", `{"old":1}`)
		}
		r.cloud.fault = func(op string, _ object) fault { return fault{lost: op == "/get"} }
		r.online()
		r.settle()
		r.cloud.editText("desired", `{"old":2}`) // held
		r.settle()
		r.cloud.remove()
		r.cloud.editText("desired", `{"new":1}`)
		r.settle()
		r.cloud.mu.Lock()
		r.cloud.fault = nil
		r.cloud.mu.Unlock()
		time.Sleep(30 * time.Second)
		r.expect("deltas", r.host.got(), `{"new":1}`)
	})
}

func TestReportErrors(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		for _, c := range []struct {
			patch string
			want  error
		}{
			{``, shadow.ErrInvalid},
			{`{"a":`, shadow.ErrInvalid},
			{`5`, shadow.ErrNotObject},
			{` [1]`, shadow.ErrNotObject},
			{`null`, shadow.ErrNotObject},
			{` {"1":{"2":{"3":{"4":{"5":{"6":{"7":8}}}}}}}`, nil},
			{`{"1":{"2":{"3":{"4":{"5":{"6":{"7":[]}}}}}}}`, shadow.ErrTooDeep},
			{`{"a":"` + strings.Repeat("x", 7990) + `"}`, nil},
			{`{"a":"` + strings.Repeat("x", 8000) + `"}`, shadow.ErrTooLarge},
			{`{"a":"` + strings.Repeat("x", 100000) + `"}`, shadow.ErrTooLarge},
		} {
			if err := r.syncer.Report([]byte(c.patch)); !errors.Is(err, c.want) {
				t.Errorf("Report(%.40s): %v, want %v", c.patch, err, c.want)
			}
		}
	})
}

// TestFullQueue: the queue of reports is bounded in bytes and in patches.
func TestFullQueue(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		var taken int
		for ; taken < 100; taken++ { // of 2 that cannot be one
			if err := r.syncer.Report([]byte([]string{`{"a":1}`, `{"a":{}}`}[taken%2])); err != nil {
				if !errors.Is(err, shadow.ErrFull) {
					t.Error(err)
				}
				break
			}
		}
		if taken != 31 { // 2 and 3, 4 and 5 ... are one: 16 patches
			t.Errorf("%d reports taken", taken)
		}
		r.online()
		time.Sleep(20 * time.Second)
		if _, reported, _ := r.cloud.document(); !slices.Contains([]string{`{"a":1}`, `{"a":{}}`}, reported) {
			t.Errorf("reported %s", reported)
		}
		r.offline()
		size := 0
		big := strings.Repeat("x", 7000)
		for i := range 100 {
			err := r.syncer.Report([]byte(`{"k` + string(rune('a'+i)) + `":"` + big + `"}`))
			if err != nil {
				break
			}
			size += len(big)
		}
		if size < 50000 || size > shadow.MaxUnsent {
			t.Errorf("%d bytes queued", size)
		}
		if s := r.syncer.Stats(); s.Full != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// TestObeyedInParts: a delta that the host has obeyed in several reports is
// delivered again when the host has changed its mind.
func TestObeyedInParts(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.host.deaf = true
		r.online()
		r.settle()
		r.cloud.editText("desired", `{"x":1,"y":2}`)
		r.settle()
		for _, report := range []string{`{"first":1}`, `{"x":1}`, `{"y":2}`} { // the last two go as one
			if err := r.syncer.Report([]byte(report)); err != nil {
				t.Error(err)
			}
		}
		r.settle()
		r.syncer.Report([]byte(`{"x":5,"y":5}`))
		r.settle()
		r.expect("deltas", r.host.got(), `{"x":1,"y":2}`, `{"x":1,"y":2}`)
	})
}

// TestDocumentVersion: the document that is known has the version of the last
// delta.
func TestDocumentVersion(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.host.deaf = true
		r.online()
		r.settle()
		for range 3 {
			r.cloud.editText("desired", `{"a":1}`)
		}
		r.settle()
		if doc, _ := r.syncer.Document(); doc.Version != 3 {
			t.Errorf("version %d", doc.Version)
		}
	})
}
