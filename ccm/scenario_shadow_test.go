package ccm_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/shadow"
)

// lamp is a module with the shadow "lamp" and hosts.
func lamp(t testing.TB, c *ccmtest.Cloud, stations ...*station) *rig {
	t.Helper()
	cfg := ccm.Config{ID: "lamp", Cloud: via(c), Shadow: ccm.ShadowConfig{Backend: ccm.AWS}}
	for i, s := range stations {
		name := ""
		if i > 0 {
			name = fmt.Sprint("host", i)
		}
		cfg.Hosts = append(cfg.Hosts, s.config(name))
	}
	r := up(t, cfg, stations...)
	time.Sleep(time.Second) // a host that was just found makes the module fetch the document again
	return r
}

// deltas returns the deltas that a host has got.
func deltas(m *ccmtest.MCU) (list []string) {
	for _, c := range m.Calls() {
		if c.Method == "Shadow.Delta" {
			list = append(list, c.Params)
		}
	}
	return list
}

// wantDeltas demands the deltas that a host has got.
func wantDeltas(t testing.TB, m *ccmtest.MCU, want ...string) {
	t.Helper()
	if got := deltas(m); !slices.Equal(got, want) {
		t.Errorf("the host got the deltas %q, want %q", got, want)
	}
}

// cleared demands that the reported state has become the desired one.
func cleared(t testing.TB, c *ccmtest.Cloud, thing string) {
	t.Helper()
	if s := c.Shadow(thing); s.Delta != "" || !shadow.Equal([]byte(s.Desired), []byte(s.Reported)) {
		t.Errorf("shadow %s: %+v", thing, s)
	}
}

// set changes the desired state.
func set(t testing.TB, c *ccmtest.Cloud, thing, desired string) {
	t.Helper()
	if err := c.SetDesired(thing, desired); err != nil {
		t.Errorf("desired %s: %v", desired, err)
	}
}

// TestScenario5 changes the desired state: hosts of every generation get the
// delta and nothing else, report, and the delta clears.
func TestScenario5(t *testing.T) {
	for _, g := range append(ccmtest.Generations(), ccmtest.GenModern) {
		t.Run(g.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud(t)
				s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Generation: g, Mirror: true, Report: ccmtest.ReportNone})
				r := lamp(t, c, s)
				set(t, c, "lamp", `{"on":true,"color":{"r":1,"g":2}}`)
				time.Sleep(time.Second)
				cleared(t, c, "lamp")
				set(t, c, "lamp", `{"color":{"g":3}}`)
				time.Sleep(time.Second)
				cleared(t, c, "lamp")
				set(t, c, "lamp", `{"on":true}`) // nothing changes
				time.Sleep(time.Second)
				set(t, c, "lamp", `{"list":[1,{"a":2}],"big":12345678901234567890.5,"text":"Grüße"}`)
				time.Sleep(time.Second)
				cleared(t, c, "lamp")
				wantDeltas(t, s.mcu, `{"on":true,"color":{"r":1,"g":2}}`, `{"color":{"g":3}}`,
					`{"list":[1,{"a":2}],"big":12345678901234567890.5,"text":"Grüße"}`)
				if st := r.module.Stats(); st.Deltas != 3 || st.Reports != 3 || st.Oversize != 0 {
					t.Errorf("%+v", st)
				}
				if n := s.mcu.Stats().Complaints; n != 0 {
					t.Errorf("the host did not understand %d frames", n)
				}
			})
		})
	}
}

// TestScenario5Sketch is the lamp of the published sketch: it reports its state
// at boot and after each delta.
func TestScenario5Sketch(t *testing.T) {
	for _, g := range append(ccmtest.Generations(), ccmtest.GenModern) {
		t.Run(g.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud(t)
				set(t, c, "lamp", `{"on":true}`)
				s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Generation: g, BootTime: 300 * time.Millisecond})
				lamp(t, c, s)
				lit := func(what string) {
					t.Helper()
					time.Sleep(5 * time.Second)
					if st := c.Shadow("lamp"); !s.mcu.On() || st.Delta != "" || !strings.Contains(st.Reported, `"on":true`) {
						t.Errorf("%s: on %v, %+v", what, s.mcu.On(), st)
					}
				}
				lit("after the start")
				s.mcu.Reset(t.Context()) // it is off, and says so at boot
				lit("after a reset")
				n := len(deltas(s.mcu))
				c.Stop()
				time.Sleep(10 * time.Second)
				s.mcu.Reset(t.Context())
				time.Sleep(10 * time.Second)
				c.Start()
				time.Sleep(time.Minute)
				lit("after an outage and a reset")
				if got := deltas(s.mcu); len(got) > n+1 || slices.ContainsFunc(got, func(d string) bool { return d != `{"on":true}` }) {
					t.Errorf("deltas %q", got)
				}
			})
		})
	}
}

// TestScenario5Outage: what the cloud desires while the connection is down is
// told after it; what the host reports meanwhile is not lost, and not told back.
func TestScenario5Outage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Mirror: true, Report: ccmtest.ReportNone})
		r := lamp(t, c, s)
		set(t, c, "lamp", `{"a":1,"b":1,"c":1}`)
		time.Sleep(time.Second)
		cleared(t, c, "lamp")
		c.Stop()
		r.offline()
		set(t, c, "lamp", `{"a":2}`)
		set(t, c, "lamp", `{"a":3,"b":2}`)
		s.mcu.Notify(t.Context(), "Shadow.Report", `{"b":1.5,"x":{"y":1}}`)
		s.mcu.Notify(t.Context(), "Shadow.Report", `{"b":2,"x":{"z":null,"w":2}}`) // as desired, by chance
		time.Sleep(time.Minute)
		wantDeltas(t, s.mcu, `{"a":1,"b":1,"c":1}`)
		c.Start()
		r.online()
		time.Sleep(time.Second)
		set(t, c, "lamp", `{"c":2}`) // the subscriptions are there again
		time.Sleep(time.Second)
		wantDeltas(t, s.mcu, `{"a":1,"b":1,"c":1}`, `{"a":3}`, `{"c":2}`)
		if got := c.Shadow("lamp"); got.Delta != "" || !shadow.Equal([]byte(got.Reported), []byte(`{"a":3,"b":2,"c":2,"x":{"y":1,"w":2}}`)) {
			t.Errorf("%+v", got)
		}
	})
}

// TestScenario5HostAway: a delta for a host that is not there is told when it is,
// and a host that starts anew is told again what it has not reported.
func TestScenario5HostAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Bare: true, Generation: ccmtest.Gen2018})
		s.mcu.HandleFunc("Shadow.Delta", nothing) // it is told, and does not obey
		r := lamp(t, c, s)
		s.uart.Module().Unplug()
		set(t, c, "lamp", `{"a":1}`)
		time.Sleep(time.Minute)
		wantDeltas(t, s.mcu)
		s.uart.Module().Plug()
		found(t, r.module.Host(""))
		time.Sleep(time.Second)
		wantDeltas(t, s.mcu, `{"a":1}`)
		set(t, c, "lamp", `{"b":1}`)
		time.Sleep(time.Second)
		wantDeltas(t, s.mcu, `{"a":1}`, `{"a":1,"b":1}`) // AWS lists all that differs
		c.SetReported("lamp", `{"other":1}`)             // brings the same delta again
		time.Sleep(time.Second)
		wantDeltas(t, s.mcu, `{"a":1}`, `{"a":1,"b":1}`)
		r.module.Host("").Reset(t.Context())
		time.Sleep(time.Second)
		wantDeltas(t, s.mcu, `{"a":1}`, `{"a":1,"b":1}`, `{"a":1,"b":1}`)
	})
}

// TestScenario5Hosts: each host of a module has a shadow of its own; the module's
// own member is kept from all of them.
func TestScenario5Hosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		var stations []*station
		for range 3 {
			stations = append(stations, newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Mirror: true, Report: ccmtest.ReportNone}))
		}
		r := lamp(t, c, stations...)
		set(t, c, "lamp", `{"n":0,"ota":{"url":"https://example.com/fw.zip"}}`)
		set(t, c, "lamp/host1", `{"n":1}`)
		set(t, c, "lamp/host2", `{"n":2}`)
		time.Sleep(time.Second)
		for i, s := range stations {
			wantDeltas(t, s.mcu, fmt.Sprintf(`{"n":%d}`, i))
		}
		cleared(t, c, "lamp/host1")
		cleared(t, c, "lamp/host2")
		if got := c.Shadow("lamp"); got.Delta != `{"ota":{"url":"https://example.com/fw.zip"}}` || got.Reported != `{"n":0}` {
			t.Errorf("%+v", got)
		}
		if err := r.module.Host("host2").Report([]byte(`{"more":true}`)); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		doc, known := r.module.Host("host2").Shadow()
		if got := c.Shadow("lamp/host2"); got.Reported != `{"n":2,"more":true}` || !known || string(doc.Reported) != got.Reported {
			t.Errorf("%+v, %s", got, doc.Reported)
		}
	})
}

// TestScenario5OnDelta: the program between cloud and host sees each delta first.
func TestScenario5OnDelta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		s := newStation(ccmtest.Line{Baud: 115200}, ccmtest.MCUOptions{Mirror: true, Report: ccmtest.ReportNone})
		var saw []string
		up(t, ccm.Config{ID: "lamp", Hosts: []ccm.HostConfig{s.config("")}, Cloud: via(c), Shadow: ccm.ShadowConfig{
			Backend: ccm.AWS, Thing: "thing",
			OnDelta: func(_ context.Context, h *ccm.Host, delta []byte) []byte {
				saw = append(saw, h.Name()+string(delta))
				if strings.Contains(string(delta), "secret") {
					return nil
				}
				return []byte(`{"seen":true}`)
			},
		}}, s)
		time.Sleep(time.Second)
		set(t, c, "thing", `{"a":1}`)
		time.Sleep(time.Second)
		set(t, c, "thing", `{"a":null,"secret":1}`)
		time.Sleep(time.Second)
		wantDeltas(t, s.mcu, `{"seen":true}`)
		synctest.Wait()
		if len(saw) != 2 || saw[0] != `{"a":1}` || saw[1] != `{"secret":1}` {
			t.Errorf("saw %q", saw)
		}
	})
}
