package shadow_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/shadow"
)

// The tests S1, S3 and S4 of the reliability demands; S2 is TestReference, and
// what TestConvergence has in its documents.

// TestConvergence (S1): edits in the cloud and by hand, lost links, lost and
// doubled messages, hosts that restart; then, after quiet, the host has what is
// desired within 3 round trips, and at no time was an older delta delivered after
// a newer one.
func TestConvergence(t *testing.T) {
	for seed := range heavy(1000) {
		synctest.Test(t, func(t *testing.T) {
			r := &rig{T: t, cloud: newCloud(t, seed)}
			r.run(shadow.Config{}, func(r *rig) { converge(r, seed) })
		})
		if t.Failed() {
			return
		}
	}
}

func converge(r *rig, seed int) {
	defer func() {
		if r.Failed() {
			r.Logf("seed %d", seed)
		}
	}()
	c := &chaos{rig: r, source: newSource(seed)}
	c.depth = 5
	r.cloud.noise = true
	r.cloud.fault = c.fault
	for range 40 {
		c.act()
		time.Sleep(time.Duration(c.IntN(1500)) * time.Millisecond)
	}
	// The end of all trouble.
	r.cloud.mu.Lock()
	r.cloud.fault = nil
	r.cloud.noise = false
	r.cloud.mu.Unlock()
	c.repair()
	time.Sleep(2 * time.Minute) // requests time out, rests end
	c.check("after the trouble")
	// Quiet but for one more change from each side.
	c.edit()
	if c.IntN(2) == 0 {
		c.change()
	}
	time.Sleep(3*2*oneWay + 50*time.Millisecond)
	c.check("after 3 round trips")
	r.settle()
	before := len(r.cloud.sent())
	time.Sleep(time.Hour)
	if after := len(r.cloud.sent()); after != before {
		r.Errorf("%d requests while idle: %q", after-before, r.cloud.sent()[before:])
	}
}

// chaos is what happens to a rig.
type chaos struct {
	*rig
	*source
	seq    int
	isDown bool // the host
}

func (c *chaos) act() {
	switch n := c.IntN(10); n {
	case 0, 1, 2, 3:
		c.disturb(n)
	case 4, 5:
		c.change()
	case 6:
		if c.IntN(10) == 0 {
			c.cloud.remove()
		}
	default:
		for range 1 + c.IntN(3) {
			c.edit()
		}
	}
}

// disturb does something to the link or the host.
func (c *chaos) disturb(n int) {
	switch n {
	case 0:
		c.online()
	case 1:
		c.offline()
	case 2:
		c.host.crash()
		c.isDown = true
	case 3:
		if c.isDown {
			c.reboot()
		}
	}
}

// edit edits the desired state, or rarely the reported one, in the cloud.
func (c *chaos) edit() {
	if c.IntN(8) == 0 {
		c.cloud.edit("reported", object{c.name(): [...]any{nil, "nothing a host would say"}[c.IntN(2)]})
		return
	}
	c.seq++
	patch := c.object(c.depth, true)
	patch["seq"] = json.Number(strconv.Itoa(c.seq))
	c.cloud.edit("desired", patch)
}

// change is a change at the host.
func (c *chaos) change() {
	if !c.isDown {
		c.host.change(c.object(c.depth, true))
	}
}

func (c *chaos) reboot() {
	c.isDown = false
	c.host.boot(c.object(c.depth, true))
}

// repair makes everything work again.
func (c *chaos) repair() {
	if c.isDown {
		c.reboot()
	}
	c.online()
}

// fault lets some requests go wrong. It is called with the cloud's lock held.
func (c *chaos) fault(string, object) fault {
	random := c.cloud.rand
	switch random.IntN(30) {
	case 0:
		return fault{lost: true}
	case 1:
		return fault{silent: true}
	case 2:
		return fault{code: [...]int{409, 429, 500, 503}[random.IntN(4)]}
	}
	return fault{}
}

// check checks that all is settled, and that host and cloud agree on what is
// desired.
func (c *chaos) check(when string) {
	if left := c.cloud.unsettled(); len(left) > 0 {
		c.Errorf("%s: not reported as desired: %s", when, encode(c.T, left))
	}
	c.cloud.mu.Lock()
	desired := c.cloud.desired
	c.cloud.mu.Unlock()
	c.host.mu.Lock()
	defer c.host.mu.Unlock()
	if left := refDiff(desired, c.host.state); len(left) > 0 {
		c.Errorf("%s: the host has not applied: %s", when, encode(c.T, left))
	}
}

// TestNoLoop (S3): at most one report for each delta, and no traffic while idle,
// even if the host does not obey.
func TestNoLoop(t *testing.T) {
	number := func(n int) json.Number { return json.Number(strconv.Itoa(n)) }
	flip := 0
	for name, answer := range map[string]func(delta object) object{
		"echoes":          nil,
		"reports nothing": func(object) object { return nil },
		"cannot obey":     func(object) object { return object{"x": number(50)} },
		"reports something else": func(object) object {
			flip++
			return object{"other": number(flip)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, shadow.Config{}, func(r *rig) {
				r.host.answer = answer
				r.online()
				r.settle()
				r.cloud.editText("desired", `{"x":100,"y":1}`)
				time.Sleep(10 * time.Second)
				if d, n := len(r.host.got()), len(r.cloud.sent())-1; n > d || d > 2 {
					t.Errorf("%d reports for %d deltas", n, d)
				}
				before := len(r.cloud.sent())
				time.Sleep(time.Hour)
				if n := len(r.cloud.sent()) - before; n != 0 {
					t.Errorf("%d requests while idle", n)
				}
			})
		})
	}
}

// TestSlowLoop: a host that answers each delta with another wrong report gets
// some at once, and then few; a real change is delivered at once all the same.
func TestSlowLoop(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		y := 0
		r.host.answer = func(object) object {
			y = 1 - y
			return object{"x": json.Number("50"), "y": json.Number(strconv.Itoa(y))}
		}
		r.online()
		r.settle()
		r.cloud.editText("desired", `{"x":100,"y":1}`)
		time.Sleep(10 * time.Second)
		if n := len(r.host.got()); n < 20 || n > 25 {
			t.Errorf("%d deltas in 10 s", n)
		}
		time.Sleep(10 * time.Minute)
		if n := len(r.host.got()); n < 150 || n > 210 {
			t.Errorf("%d deltas in 10 minutes", n)
		}
		r.cloud.editText("desired", `{"z":3}`)
		time.Sleep(oneWay + 10*time.Millisecond)
		if got := r.host.got(); len(got) == 0 || !strings.Contains(got[len(got)-1], `"z":3`) {
			t.Errorf("deltas %q", got)
		}
	})
}

// TestRefusals (S4): which refusals of an update are repeated, how often in ten
// minutes, and which are dropped.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		code        int
		least, most int    // updates in 10 minutes
		last        string // event
	}{
		{400, 1, 1, "rejected"}, {404, 1, 1, "rejected"}, {413, 1, 1, "rejected"}, {415, 1, 1, "rejected"},
		{401, 9, 11, "failed"}, {403, 9, 11, "failed"},
		{408, 15, 60, "failed"}, {409, 15, 60, "failed"}, {429, 12, 50, "failed"}, {500, 15, 60, "failed"}, {503, 15, 60, "failed"},
	} {
		t.Run(strconv.Itoa(c.code), func(t *testing.T) {
			bubble(t, shadow.Config{}, func(r *rig) {
				r.online()
				r.settle()
				r.cloud.mu.Lock()
				r.cloud.fault = func(op string, _ object) fault { return fault{code: map[string]int{"/update": c.code}[op]} }
				r.cloud.mu.Unlock()
				r.happened()
				r.syncer.Report([]byte(`{"a":1,"b":1}`))
				time.Sleep(oneWay)
				r.syncer.Report([]byte(`{"b":2}`))
				time.Sleep(10 * time.Minute)
				updates, gets := 0, -1
				var last time.Time
				for _, q := range r.cloud.received() {
					if strings.HasSuffix(q.topic, "get") {
						gets++
						continue
					}
					if rest := q.at.Sub(last); c.code == 429 && rest < 10*time.Second {
						t.Errorf("%v after a 429", rest)
					}
					last = q.at
					updates++
				}
				kinds := r.taken()
				if c.last == "rejected" {
					c.least, c.most = 2, 2 // b:2 follows
				}
				if last := kinds[len(kinds)-1]; updates < c.least || updates > c.most || last.Kind.String() != c.last && last.Kind != shadow.EventSynced {
					t.Errorf("%d updates, then %v", updates, last.Kind)
				}
				if (gets > 0) != (c.code == 409) {
					t.Errorf("%d gets", gets)
				}
				r.cloud.mu.Lock()
				r.cloud.fault = nil
				r.cloud.mu.Unlock()
				time.Sleep(2 * time.Minute)
				want := `{"a":1,"b":2}`
				if c.last == "rejected" {
					want = `{}`
				}
				if _, reported, _ := r.cloud.document(); reported != want {
					t.Errorf("reported %s, want %s", reported, want)
				}
			})
		})
	}
}

// TestGetRefusals: a fetch is repeated, soon or after a minute.
func TestGetRefusals(t *testing.T) {
	for _, c := range []struct{ code, least, most int }{
		{403, 9, 11}, {400, 9, 11}, {413, 9, 11}, {429, 12, 50}, {500, 15, 60},
	} {
		bubble(t, shadow.Config{}, func(r *rig) {
			r.cloud.fault = func(op string, _ object) fault { return fault{code: map[string]int{"/get": c.code}[op]} }
			r.online()
			time.Sleep(5 * time.Minute)
			r.syncer.Report([]byte(`{"a":1}`)) // updates do not wait for it
			time.Sleep(5 * time.Minute)
			gets := 0
			for _, s := range r.cloud.sent() {
				if s == "get" {
					gets++
				}
			}
			if _, reported, _ := r.cloud.document(); gets < c.least || gets > c.most || reported != `{"a":1}` {
				t.Errorf("%d: %d gets, reported %s", c.code, gets, reported)
			}
		})
	}
}

// TestConflictOnce: after a version conflict the document is fetched and the
// update sent again at once.
func TestConflictOnce(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.online()
		r.settle()
		refuse := true
		r.cloud.mu.Lock()
		r.cloud.fault = func(op string, _ object) (f fault) {
			if op == "/update" && refuse {
				refuse, f.code = false, 409
			}
			return f
		}
		r.cloud.mu.Unlock()
		r.syncer.Report([]byte(`{"a":1}`))
		r.settle()
		r.expect("requests", r.cloud.sent(), "get", `update {"a":1}`, "get", `update {"a":1}`)
	})
}

// TestNoAnswer: requests without an answer are repeated.
func TestNoAnswer(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		lose := true
		r.cloud.fault = func(string, object) fault { return fault{silent: lose} }
		r.syncer.Report([]byte(`{"a":1}`))
		r.online()
		time.Sleep(25 * time.Second)
		r.expect("requests", r.cloud.sent()[:2], `update {"a":1}`, "get")
		r.cloud.mu.Lock()
		lose = false
		r.cloud.mu.Unlock()
		time.Sleep(time.Minute)
		if doc, known := r.syncer.Document(); !known || string(doc.Reported) != `{"a":1}` {
			t.Errorf("Document = %+v, %v", doc, known)
		}
		for _, e := range r.taken() {
			if e.Kind == shadow.EventFailed && e.Err != shadow.ErrTimeout {
				t.Errorf("failed with %v", e.Err)
			}
		}
	})
}

// TestOversize (S4): a patch beyond what the cloud takes is divided, and the
// parts keep their distance.
func TestOversize(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		big := object{}
		for i := range 40 {
			big["key"+strconv.Itoa(i)] = object{"text": strings.Repeat("é", 250), "n": json.Number(strconv.Itoa(i))}
			r.syncer.Report(encode(t, object{"key" + strconv.Itoa(i): big["key"+strconv.Itoa(i)]}))
		}
		r.online()
		time.Sleep(10 * time.Second)
		updates := 0
		for _, q := range r.cloud.received() {
			if len(q.payload) > 8192 {
				t.Errorf("a request of %d bytes", len(q.payload))
			}
			if strings.HasSuffix(q.topic, "update") {
				updates++
			}
		}
		if _, reported, _ := r.cloud.document(); !shadow.Equal([]byte(reported), encode(t, big)) || updates != 3 {
			t.Errorf("%d updates, reported %.100s", updates, reported)
		}
	})
}

// TestSpelling: a name that two reports spell differently, one of them much
// longer, loses no value, also where the longer one would not leave room for it.
func TestSpelling(t *testing.T) {
	long, short := `"`+strings.Repeat(`\u0061`, 100)+`"`, `"`+strings.Repeat("a", 100)+`"`
	value := `"` + strings.Repeat("x", 7800) + `"`
	for _, reports := range [][]string{
		{`{"b":2,` + long + `:1}`, `{` + short + `:` + value + `}`},
		{`{"b":2,` + short + `:{"x":` + value + `}}`, `{` + long + `:{"y":1}}`},
	} {
		bubble(t, shadow.Config{}, func(r *rig) {
			for _, report := range reports {
				if err := r.syncer.Report([]byte(report)); err != nil {
					t.Error(err)
				}
			}
			r.online()
			time.Sleep(10 * time.Second)
			if _, reported, _ := r.cloud.document(); !strings.Contains(reported, value) {
				t.Errorf("%d bytes reported", len(reported))
			}
		})
	}
}

// TestDeletedWhileReporting: the document is fetched after a deletion that comes
// while an update is under way which then fails.
func TestDeletedWhileReporting(t *testing.T) {
	bubble(t, shadow.Config{}, func(r *rig) {
		r.cloud.editText("desired", `{"a":1}`)
		r.host.deaf = true
		r.online()
		r.settle()
		r.happened()
		r.cloud.mu.Lock()
		r.cloud.fault = func(op string, _ object) fault { return fault{code: map[string]int{"/update": 500}[op]} }
		r.cloud.mu.Unlock()
		r.cloud.remove()
		time.Sleep(oneWay / 2)
		r.syncer.Report([]byte(`{"b":1}`))
		time.Sleep(2*oneWay + time.Millisecond)
		r.expect("events", r.happened(), "failed")
		time.Sleep(3 * oneWay)
		if doc, _ := r.syncer.Document(); doc.Desired != nil {
			t.Errorf("desired %s", doc.Desired)
		}
	})
}

// TestRefusedAndReconnected: a new connection does not shorten the rest after a
// refusal, but that after a time-out.
func TestRefusedAndReconnected(t *testing.T) {
	for _, c := range []struct{ code, updates int }{{403, 1}, {429, 1}, {500, 2}} {
		bubble(t, shadow.Config{}, func(r *rig) {
			r.online()
			r.settle()
			r.cloud.mu.Lock()
			r.cloud.fault = func(op string, _ object) fault { return fault{code: map[string]int{"/update": c.code}[op]} }
			r.cloud.mu.Unlock()
			r.syncer.Report([]byte(`{"a":1}`))
			time.Sleep(2*oneWay + time.Millisecond)
			r.offline()
			r.online()
			time.Sleep(4*oneWay + time.Millisecond) // a subscription and an update
			updates := 0
			for _, s := range r.cloud.sent() {
				if s != "get" {
					updates++
				}
			}
			if updates != c.updates {
				t.Errorf("%d: %d updates", c.code, updates)
			}
		})
	}
}
