package shadow_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/shadow"
)

// twin is the cloud under other rules than those of AWS: of Azure, which sends
// patches of the desired state, or of mDash, which sends differences without
// versions.
type twin struct {
	*cloud
	patches bool
	deltas  func(shadow.Delta)
	odd     any // if not nil, what Get gives for the desired state
}

func (w *twin) Limits() shadow.Limits {
	return shadow.Limits{Removals: w.patches, AnyValue: !w.patches}
}

func (w *twin) Subscribe(ctx context.Context, deltas func(shadow.Delta)) error {
	return w.roundTrip(ctx, "/subscribe", func() { w.deltas = deltas })
}

func (w *twin) Get(ctx context.Context) (doc shadow.Document, err error) {
	err = w.roundTrip(ctx, "/get", func() {
		doc = shadow.Document{Desired: encode(w.t, w.desired), Reported: encode(w.t, w.reported)}
		if w.odd != nil {
			doc.Desired = encode(w.t, w.odd)
		}
		if w.patches {
			doc.Version = w.version
		}
	})
	return doc, err
}

func (w *twin) Report(ctx context.Context, patch []byte) error {
	p := decode(w.t, patch)
	return w.roundTrip(ctx, "/update", func() {
		w.reported = refMerge(w.reported, p).(object)
		w.tell(nil)
	})
}

// roundTrip does f in the cloud.
func (w *twin) roundTrip(ctx context.Context, op string, f func()) error {
	l, err := w.current()
	if err != nil {
		return err
	}
	if err := w.travel(ctx, l); err != nil {
		return err
	}
	w.mu.Lock()
	w.requests = append(w.requests, request{at: time.Now(), topic: prefix + op})
	var failed fault
	if w.fault != nil {
		failed = w.fault(op, nil)
	}
	if failed.code == 0 && !failed.lost {
		f()
	}
	w.mu.Unlock()
	if failed.lost || failed.silent {
		select {
		case <-l.end:
			return errOffline
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Second):
			return shadow.ErrTimeout
		}
	}
	if err := w.travel(ctx, l); err != nil {
		return err
	}
	if failed.code != 0 {
		return &shadow.Error{Code: failed.code}
	}
	return nil
}

// edit edits the desired state.
func (w *twin) edit(patch object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.desired = refMerge(w.desired, patch).(object)
	w.version++
	w.tell(patch)
}

// tell sends a delta after a change of the desired state, or after a report.
func (w *twin) tell(patch object) {
	l, deltas := w.link, w.deltas
	if l == nil || deltas == nil {
		return
	}
	d := shadow.Delta{State: encode(w.t, patch), Version: w.version, Patch: true}
	if !w.patches {
		d = shadow.Delta{State: encode(w.t, refDiff(w.desired, w.reported))}
	}
	if string(d.State) == "null" || string(d.State) == "{}" {
		return
	}
	wait := oneWay
	if w.noise && w.patches { // without versions the order counts
		wait = oneWay/2 + time.Duration(w.rand.Int64N(int64(oneWay)))
	}
	time.AfterFunc(wait, func() {
		l.deliver.Lock()
		defer l.deliver.Unlock()
		select {
		case <-l.end:
		default:
			deltas(d)
		}
	})
}

// twinBubble runs a test with a rig whose cloud is a twin.
func twinBubble(t *testing.T, seed int, patches bool, cfg shadow.Config, test func(r *rig, w *twin)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, cloud: newCloud(t, seed)}
		w := &twin{cloud: r.cloud, patches: patches}
		cfg.Backend = w
		r.run(cfg, func(r *rig) { test(r, w) })
	})
}

// TestTwinConvergence is S1 under the rules of Azure and mDash.
func TestTwinConvergence(t *testing.T) {
	for seed := range heavy(1000) {
		twinBubble(t, seed, seed%2 == 0, shadow.Config{}, func(r *rig, w *twin) { convergeTwin(r, w, seed) })
		if t.Failed() {
			return
		}
	}
}

func convergeTwin(r *rig, w *twin, seed int) {
	c := &chaos{rig: r, source: newSource(seed)}
	c.depth = 4
	r.host.unordered = !w.patches // nothing tells a delta from before the fetch
	r.cloud.noise, r.cloud.fault = true, c.fault
	edit := func() {
		c.seq++
		patch := c.object(c.depth, true)
		patch["seq"] = json.Number(strconv.Itoa(c.seq))
		w.edit(patch)
	}
	for range 40 {
		switch c.IntN(3) {
		case 0:
			edit()
		case 1:
			if !c.isDown {
				c.host.change(object{"local": c.scalar()})
			}
		default:
			if n := c.IntN(10); n < 4 {
				c.disturb(n)
			}
		}
		time.Sleep(time.Duration(c.IntN(1500)) * time.Millisecond)
	}
	r.cloud.mu.Lock()
	r.cloud.fault, r.cloud.noise = nil, false
	r.cloud.mu.Unlock()
	c.repair()
	time.Sleep(2 * time.Minute)
	c.check("after the trouble")
	edit()
	time.Sleep(3*2*oneWay + 50*time.Millisecond)
	c.check("after 3 round trips")
	if r.Failed() {
		r.Logf("seed %d", seed)
	}
}

// TestPatchDialect: the host gets what of a patch differs, and by null what is
// no longer desired.
func TestPatchDialect(t *testing.T) {
	for _, drop := range []bool{false, true} {
		twinBubble(t, 1, true, shadow.Config{DropNulls: drop}, func(r *rig, w *twin) {
			steps := []struct {
				do           func()
				told, silent string // delta with nulls, and without
			}{
				{func() { w.edit(object{"a": 1, "o": object{"x": 1, "y": 2}, "$version": 2}) }, `{"a":1,"o":{"x":1,"y":2}}`, ""},
				{func() { w.edit(object{"a": 1, "b": 2}) }, `{"b":2}`, ""},
				{func() { w.edit(object{"o": object{"x": nil, "y": 3}}) }, `{"o":{"x":null,"y":3}}`, `{"o":{"y":3}}`},
				{func() { w.edit(object{"b": nil}) }, `{"b":null}`, `-`},
				{func() { w.edit(object{"n": object{"p": nil, "q": 1}}) }, `{"n":{"p":null,"q":1}}`, `{"n":{"q":1}}`},
				{func() { r.offline(); w.edit(object{"a": nil, "o": object{"y": nil, "z": 4}}); r.online() },
					`{"a":null,"o":{"y":null,"z":4}}`, `{"o":{"z":4}}`},
			}
			r.online()
			r.settle()
			for _, s := range steps {
				s.do()
				r.settle()
				want := s.told
				if drop && s.silent != "" {
					want = s.silent
				}
				got := append(r.host.got(), "-")[0]
				if !shadow.Equal([]byte(got), []byte(want)) && got != want {
					r.Errorf("delta %s, want %s", got, want)
				}
			}
		})
	}
}

// TestPatchMissed: patches that the host could not take, or that have not come,
// are made up for.
func TestPatchMissed(t *testing.T) {
	twinBubble(t, 1, true, shadow.Config{}, func(r *rig, w *twin) {
		r.online()
		r.settle()
		r.host.crash()
		w.edit(object{"a": 1})
		r.settle()
		r.host.mu.Lock()
		r.host.down = false // without a word
		r.host.mu.Unlock()
		w.edit(object{"b": 2})
		r.settle()
		r.expect("deltas", r.host.got(), `{"a":1,"b":2}`)
		w.mu.Lock()
		w.desired["c"] = json.Number("3")
		w.version++
		w.mu.Unlock()
		w.edit(object{"d": 4})
		r.settle()
		r.expect("deltas after a gap", r.host.got(), `{"d":4}`, `{"c":3}`)
	})
}

// TestAnyValue: where the cloud takes any value, so does Report.
func TestAnyValue(t *testing.T) {
	twinBubble(t, 1, false, shadow.Config{}, func(r *rig, w *twin) {
		for _, patch := range []string{`{"a":1}`, `5`, `{"b":2}`, `{"c":3}`} {
			if err := r.syncer.Report([]byte(patch)); err != nil {
				r.Errorf("Report(%s): %v", patch, err)
			}
		}
		if s := r.syncer.Stats(); s.Reports != 4 || s.Joined != 1 {
			r.Errorf("%+v", s)
		}
	})
}

// TestOverflow: more deltas than may wait are dropped, and the document fetched.
func TestOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var last string
		deliver := func(_ context.Context, delta []byte) error {
			<-release
			last = string(delta)
			return nil
		}
		r := &rig{T: t, cloud: newCloud(t, 1)}
		w := &twin{cloud: r.cloud, patches: true}
		r.run(shadow.Config{Backend: w, Deliver: deliver}, func(r *rig) {
			r.online()
			r.settle()
			w.edit(object{"first": 1})
			r.settle() // it waits in deliver
			w.deltas(shadow.Delta{State: []byte(`[1]`)})
			for i := range 50 {
				w.edit(object{"k" + strconv.Itoa(i%40): i})
			}
			r.settle()
			close(release)
			r.settle()
			before := r.syncer.Stats()
			// For what was lost, and maybe once more for what is stale and was replaced.
			if gets := before.Gets; before.Lost != 35 || before.Stale != 16 || gets != 2 && gets != 3 || before.Delivered != 2 {
				r.Errorf("%+v", before)
			}
			desired, _, _ := r.cloud.document()
			if !shadow.Equal([]byte(last), []byte(desired)) {
				r.Errorf("the last delta was %s", last)
			}
			w.deltas(shadow.Delta{State: []byte(`[1]`)})
			r.settle()
			if s := r.syncer.Stats(); s.Lost != 36 || s.Gets != before.Gets {
				r.Errorf("%+v", s)
			}
		})
	})
}

// TestSizes: documents and deltas beyond the bounds are not kept.
func TestSizes(t *testing.T) {
	twinBubble(t, 1, true, shadow.Config{}, func(r *rig, w *twin) {
		r.host.deaf = true
		r.online()
		r.settle()
		big := strings.Repeat("x", shadow.MaxDocument)
		w.deltas(shadow.Delta{State: encode(t, object{"big": big}), Version: 1, Patch: true})
		r.settle()
		r.expect("after a large delta", r.happened(), "synced", "lost", "synced")
		for i := range 3 { // each fits, together they do not
			state := encode(t, object{"part" + strconv.Itoa(i): big[:shadow.MaxDocument/2]})
			w.deltas(shadow.Delta{State: state, Version: int64(i + 1), Patch: true})
		}
		r.settle()
		if doc, _ := r.syncer.Document(); len(doc.Desired) != 2 {
			t.Errorf("desired has %d bytes", len(doc.Desired))
		}
		for _, desired := range []any{object{"big": big}, []any{}} {
			w.mu.Lock()
			w.odd = desired
			w.mu.Unlock()
			r.happened()
			r.syncer.HostReady()
			time.Sleep(5 * time.Minute)
			if e := r.happened(); len(e) < 3 || e[0] != "failed" || e[len(e)-1] != "failed" {
				t.Errorf("events %q", e)
			}
		}
		w.mu.Lock()
		w.odd = nil
		w.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if e := r.happened(); len(e) == 0 || e[len(e)-1] != "synced" {
			t.Errorf("events %q", e)
		}
	})
}

// TestNoSubscription: without it nothing is sent, and it is tried again.
func TestNoSubscription(t *testing.T) {
	twinBubble(t, 1, true, shadow.Config{}, func(r *rig, w *twin) {
		w.fault = func(op string, _ object) fault { return fault{code: map[string]int{"/subscribe": 500}[op]} }
		r.syncer.Report([]byte(`{"a":1}`))
		r.online()
		time.Sleep(10 * time.Minute)
		tries := w.received()
		for _, q := range tries {
			if q.topic != prefix+"/subscribe" {
				t.Errorf("%s without a subscription", q.topic)
			}
		}
		if n := len(tries); n < 15 || n > 60 {
			t.Errorf("%d tries", n)
		}
		w.mu.Lock()
		w.fault = nil
		w.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if _, reported, _ := w.document(); reported != `{"a":1}` {
			t.Errorf("reported %s", reported)
		}
	})
}
