package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/ccm"
	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

func TestDemoOnce(t *testing.T) {
	t.Parallel()
	out, log, err := try(t, "demo", "--once")
	if err != nil || log != "" {
		t.Fatalf("%v, %s\n%s", err, log, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != len(steps)+1 || !strings.HasPrefix(lines[len(steps)], fmt.Sprintf("all %d steps held, in ", len(steps))) {
		t.Fatalf("got\n%s", out)
	}
	for i, s := range steps {
		if !strings.HasPrefix(lines[i], fmt.Sprintf("ok %2d %s: ", i+1, s.title)) {
			t.Errorf("line %d: %s", i+1, lines[i])
		}
	}
}

// TestDemoGoesOn: after the tour other programs can join, and Ctrl-C ends all.
func TestDemoGoesOn(t *testing.T) {
	t.Parallel()
	r := launch(t, "demo")
	text := r.out.waitFor(t, "Everything goes on until Ctrl-C")
	wants(t, text, "7. desired state\n", `module > stock  {"method":"Shadow.Delta","params":{"on":true}}`, "stock > module demo firmware 1.0")
	url := regexp.MustCompile(`mqtt://\S+/demo`).FindString(r.out.waitFor(t, "monitor --mqtt"))
	for _, method := range []string{"Sum", "modern/Sum"} {
		out, _, err := try(t, "call", "--port", url, method, "[40,2]")
		if err != nil || out != "42\n" {
			t.Errorf("%s: %q, %v", method, out, err)
		}
	}
	wants(t, r.out.String(), `"params":[40,2]`)
	r.interrupt(t)
}

// TestDemoInterrupted: at any moment, and nothing stays.
func TestDemoInterrupted(t *testing.T) {
	for after := time.Duration(0); after < 600*time.Millisecond; after += 70 * time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		if err := run(ctx, []string{"demo"}, io.Discard, io.Discard); err != nil {
			t.Errorf("after %v: %v", after, err)
		}
		cancel()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, []string{"demo", "--once"}, io.Discard, io.Discard); err != errInterrupted {
		t.Errorf("--once: %v", err)
	}
}

// TestTourNotices: each step fails when what it looks at is not as it should be.
func TestTourNotices(t *testing.T) {
	wrong := func(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Resultf("%d", 6) }
	nothing := func(context.Context, *jsonrpc.Response, *jsonrpc.Request) {}
	reconfigure := func(change func(c *ccm.Config)) func(*rig) {
		return func(r *rig) {
			c := r.moduleConfig()
			change(&c)
			r.module, _ = ccm.New(c)
		}
	}
	for name, c := range map[string]struct {
		step     func(ctx context.Context, r *rig) (string, error)
		sabotage func(r *rig)
		want     string
		late     bool // it shows only in that nothing happens
	}{
		"one host":   {discover, reconfigure(func(c *ccm.Config) { c.Hosts = c.Hosts[:1] }), "RPC.List of the module is", true},
		"no RPC":     {discover, reconfigure(func(c *ccm.Config) { c.NoCloudRPC = true }), "deadline exceeded", true},
		"sum":        {callSum, func(r *rig) { r.modern.HandleFunc("Sum", wrong) }, "modern/Sum [2,3] = 6", false},
		"there":      {callNothing, func(r *rig) { r.stock.HandleFunc("No.Such", wrong) }, "got 6", false},
		"methods":    {listMethods, func(r *rig) { r.stock.HandleFunc("More", wrong) }, `got ["More",`, false},
		"publish":    {publish, func(r *rig) { r.cloud.DenyPublish(upTopic + "/stock") }, "says hello", true},
		"subscribe":  {subscribe, func(r *rig) { r.cloud.Deny(downTopic + "/#") }, "MQTT.Sub of", false},
		"disobeys":   {desire, func(r *rig) { r.stock.HandleFunc("Shadow.Delta", nothing) }, `the shadow has a delta: {"on":true}`, true},
		"outage":     {outage, func(r *rig) { r.stock.HandleFunc("Shadow.Delta", nothing) }, "the host is not on", false},
		"long frame": {longDelta, reconfigure(func(c *ccm.Config) { c.Hosts[0].MaxFrame = -1 }), "the shadow has a delta", true},
		"one frame": {longDelta, func(r *rig) {
			r.stock = ccmtest.NewMCU(ccmtest.MCUOptions{Mirror: true, Buffer: 4096})
			reconfigure(func(c *ccm.Config) { c.Hosts[0].MaxFrame = -1 })(r)
		}, "frames, the longest of", false},
		"no retries": {noise, reconfigure(func(c *ccm.Config) { c.Hosts[1].Retries = 0 }), "call with [", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quiet := &program{out: &printer{w: io.Discard}, log: &printer{w: io.Discard}}
			r, err := newRig(t.Context(), &demo{program: quiet, once: true, listen: "127.0.0.1:0"})
			if err != nil {
				t.Fatal(err)
			}
			defer r.stop()
			c.sabotage(r)
			if err := r.start(); err != nil {
				t.Fatal(err)
			}
			for _, h := range r.module.Hosts() {
				if err := h.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			patience := stepTime
			if c.late {
				patience = 3 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if seen, err := c.step(ctx, r); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want an error with %q, got %q, %v", c.want, seen, err)
			}
		})
	}
}

// TestTourFails: the tour ends with the step that fails.
func TestTourFails(t *testing.T) {
	var out strings.Builder
	r := &rig{d: &demo{program: &program{out: &printer{w: &out}}}}
	bad := errors.New("it is broken")
	r.steps = []step{
		{"one", func(context.Context, *rig) (string, error) { return "seen", nil }},
		{"two", func(context.Context, *rig) (string, error) { return "", bad }},
		{"three", func(context.Context, *rig) (string, error) { t.Error("it goes on"); return "", nil }},
	}
	err := r.tour(t.Context())
	if err == nil || err.Error() != "the tour ended at step 2, two" || out.String() != "ok  1 one: seen\nFAIL  2 two: it is broken\n" {
		t.Errorf("%v, %q", err, out.String())
	}
}

// A line is shown when it is whole, and marked when it is damaged.
func TestTap(t *testing.T) {
	for _, c := range []struct {
		shown int32
		line  string
		want  string
	}{
		{showAll, `{"a":1}`, "\x1b[36m" + `{"a":1}`},
		{showAll, `{"method":"Sys.GetInfo"}010a4ff9`, "\x1b[36m{"},
		{showAll, `{"method":"Sys.GetInfo"}010a4ff8`, "\x1b[31m{"},
		{showAll, `{"a":`, "\x1b[31m{"},
		{showAll, "boot\x07", "\x1b[33m" + `"boot\a"`},
		{showDamaged, `{"a":1}`, ""},
		{showDamaged, `{"a":`, "\x1b[31m{"},
		{showNothing, `{"a":`, ""},
	} {
		var out strings.Builder
		r := &rig{d: &demo{program: &program{out: &printer{w: &out}, colour: true}}}
		r.shown.Store(c.shown)
		u := ccmtest.NewUART(ccmtest.Line{})
		port := r.tap(u.Module(), cyan, "here", "there")
		for _, b := range []byte("\n\r\n" + c.line + "\r\n") {
			u.Host().Write([]byte{b})
			port.Read(make([]byte, 10))
		}
		if got := out.String(); !strings.Contains(got, c.want) || c.want == "" && got != "" || strings.Count(got, "\n") > 1 {
			t.Errorf("%q: %q", c.line, got)
		}
	}
}

func TestDoor(t *testing.T) {
	d, err := openDoor(t.Context(), "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	d.listener.Close()
	if err := d.run(t.Context()); err == nil {
		t.Error("it serves without a listener")
	}
}
