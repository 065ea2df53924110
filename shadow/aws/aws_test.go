package aws_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccmkit/ccmkit/shadow"
	"github.com/ccmkit/ccmkit/shadow/aws"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		thing, name string
		ok          bool
	}{
		{"thing-1", "", true}, {"A:b_c-9", "cfg", true},
		{strings.Repeat("t", 128), strings.Repeat("n", 64), true},
		{strings.Repeat("t", 129), "", false}, {"t", strings.Repeat("n", 65), false},
		{"", "", false}, {"a/b", "", false}, {"a+", "", false}, {"t", "#", false}, {"é", "", false}, {"t ", "", false},
	} {
		_, err := aws.New(newBroker(), c.thing, c.name)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, aws.ErrName) {
			t.Errorf("New(%q, %q): %v", c.thing, c.name, err)
		}
	}
}

// TestTopics checks the topics and payloads to the byte.
func TestTopics(t *testing.T) {
	for name, prefix := range map[string]string{
		"":    "$aws/things/thing-1/shadow",
		"cfg": "$aws/things/thing-1/shadow/name/cfg",
	} {
		b := newBroker()
		backend, _ := connect(t, b, name)
		want := []string{
			prefix + "/update/delta", prefix + "/update/accepted", prefix + "/update/rejected",
			prefix + "/get/accepted", prefix + "/get/rejected", prefix + "/delete/accepted",
		}
		if !slices.Equal(b.filters, want) || b.qos != 1 {
			t.Errorf("filters %q, QoS %d", b.filters, b.qos)
		}
		b.reply = answer("accepted", `{"clientToken":"TOKEN","version":1}`)
		if err := backend.Report(t.Context(), []byte(" {\"on\":true,\"x\":null}\n")); err != nil {
			t.Error(err)
		}
		if _, err := backend.Get(t.Context()); err != nil {
			t.Error(err)
		}
		update, get := <-b.published, <-b.published
		for _, c := range []struct {
			m              message
			topic, payload string
		}{
			{update, prefix + "/update", `^\{"state":\{"reported":\{"on":true,"x":null\}\},"clientToken":"[0-9a-f]{8}-1"\}$`},
			{get, prefix + "/get", `^\{"clientToken":"[0-9a-f]{8}-2"\}$`},
		} {
			if c.m.topic != c.topic || !regexp.MustCompile(c.payload).MatchString(c.m.payload) || c.m.qos != 1 {
				t.Errorf("published %+v, want %s %s", c.m, c.topic, c.payload)
			}
		}
		if u, g := update.token(), get.token(); u[:9] != g[:9] {
			t.Errorf("tokens %s and %s", u, g)
		}
		other, _ := connect(t, b, name)
		other.Get(t.Context())
		if o := <-b.published; o.token()[:8] == get.token()[:8] {
			t.Errorf("two backends with the same tokens: %s", o.token())
		}
	}
}

func TestLimits(t *testing.T) {
	b, _ := connect(t, newBroker(), "")
	if got, want := b.Limits(), (shadow.Limits{Patch: 8000, Depth: 7, Interval: 100 * time.Millisecond}); got != want {
		t.Errorf("%+v", got)
	}
}

func TestGet(t *testing.T) {
	for _, c := range []struct {
		result, payload   string
		desired, reported string
		version           int64
		err               error // or *shadow.Error, by code
		code              int
	}{
		{"accepted", `{"state":{"desired":{"a":1},"reported":{ "b" : 2 },"delta":{"a":1}},"metadata":{},"version":7,"timestamp":1,"clientToken":"TOKEN"}`, `{"a":1}`, `{ "b" : 2 }`, 7, nil, 0},
		{"accepted", `{"state":{"desired":null},"version":7,"clientToken":"TOKEN"}`, ``, ``, 7, nil, 0},
		{"accepted", `{"state":null,"code":null,"message":null,"version":7,"clientToken":"TOKEN"}`, ``, ``, 7, nil, 0},
		{"rejected", `{"code":413,"clientToken":null}`, ``, ``, 0, nil, 413},
		{"accepted", `{"version":7,"clientToken":"TOKEN"}`, ``, ``, 7, nil, 0},
		{"accepted", `{"\u0073tate":{"\u0064esired":{}},"version":7,"client\u0054oken":"TOKEN"}`, `{}`, ``, 7, nil, 0},
		{"accepted", `{"state":{},"clientToken":"TOKEN"}`, ``, ``, 0, aws.ErrAnswer, 0},
		{"accepted", `{"state":{"desired":[]},"version":7,"clientToken":"TOKEN"}`, ``, ``, 0, aws.ErrAnswer, 0},
		{"accepted", `{"state":{"reported":{},"reported":{}},"version":7,"clientToken":"TOKEN"}`, ``, ``, 0, aws.ErrAnswer, 0},
		{"rejected", `{"code":404,"message":"No shadow exists with name: 'thing-1'","timestamp":1,"clientToken":"TOKEN"}`, ``, ``, 0, nil, 0},
		{"rejected", `{"code":403,"message":"Forbidden","clientToken":"TOKEN"}`, ``, ``, 0, nil, 403},
		{"rejected", `{"code":500,"message":"Internal","timestamp":1}`, ``, ``, 0, nil, 500},
		{"rejected", `{"code":429}`, ``, ``, 0, nil, 429},
	} {
		b := newBroker()
		backend, _ := connect(t, b, "")
		b.reply = answer(c.result, c.payload)
		doc, err := backend.Get(t.Context())
		refusal, _ := errors.AsType[*shadow.Error](err)
		switch {
		case c.code != 0 && (refusal == nil || refusal.Code != c.code), c.code == 0 && !errors.Is(err, c.err):
			t.Errorf("%s: %v", c.payload, err)
		case err == nil && (string(doc.Desired) != c.desired || string(doc.Reported) != c.reported || doc.Version != c.version):
			t.Errorf("%s: %s %s %d", c.payload, doc.Desired, doc.Reported, doc.Version)
		}
	}
}

// TestRefusalCodes: all codes of AWS come through.
func TestRefusalCodes(t *testing.T) {
	for _, code := range []int{400, 401, 403, 404, 409, 413, 415, 429, 500} {
		b := newBroker()
		backend, _ := connect(t, b, "")
		b.reply = answer("rejected", `{"code":`+strconv.Itoa(code)+`,"message":"why","clientToken":"TOKEN"}`)
		err := backend.Report(t.Context(), []byte(`{"a":1}`))
		if e, is := errors.AsType[*shadow.Error](err); !is || *e != (shadow.Error{Code: code, Message: "why"}) {
			t.Errorf("%d: %v", code, err)
		}
	}
}

// TestForeign: answers to others, and messages that are no answers, change
// nothing.
func TestForeign(t *testing.T) {
	b := newBroker()
	backend, deltas := connect(t, b, "")
	b.reply = func(b *broker, m message) {
		for _, foreign := range []struct{ topic, payload string }{
			{prefix + "/update/accepted", `{"version":1,"clientToken":"console-1"}`},
			{prefix + "/update/accepted", `{"version":1}`},
			{prefix + "/update/rejected", `{"code":409,"clientToken":"console-1"}`},
			{prefix + "/update/rejected", `{"code":400,"message":"no token: it could not be read"}`},
			{prefix + "/update/rejected", `{"code":415,"message":"no token: it could not be read"}`},
			{prefix + "/get/rejected", `{"code":500,"clientToken":"` + m.token() + `"}`},
			{prefix + "/get/accepted", `{"state":{},"version":1,"clientToken":"` + m.token() + `"}`},
			{prefix + "/get/rejected", `{"code":500}`},
			{prefix + "/update/accepted", `{"version":1,"clientToken":"` + m.token() + `0"}`},
		} {
			b.send(foreign.topic, foreign.payload)
		}
		for _, bad := range []string{
			``, `[]`, `{`, `{"clientToken":5}`, `{"clientToken":"` + m.token() + `","version":"1"}`, `{"clientToken":"` + m.token() + `","version":-1}`,
			`{"clientToken":"` + m.token() + `","version":1.5}`, `{"clientToken":"` + m.token() + `","clientToken":"` + m.token() + `"}`,
			`{"clientToken":"` + strings.Repeat("x", 65) + `"}`, `{"clientToken":"` + m.token() + `","state":5}`, `{"clientToken":"` + m.token() + "\",\"x\":\"\xff\"}",
			`{"clientToken":"` + m.token() + `","x":"` + strings.Repeat("x", aws.MaxPayload) + `"}`,
			`{"clientToken":"` + m.token() + `","code":1000}`, `{"clientToken":"` + m.token() + `","message":5}`,
		} {
			b.send(prefix+"/update/accepted", bad)
		}
		b.send(prefix+"/update/rejected", `{"clientToken":"`+m.token()+`"}`) // no code
		b.send("$aws/things/thing-2/shadow/update/accepted", `{"version":1,"clientToken":"`+m.token()+`"}`)
		b.send(prefix+"/update/accepted", `{"version":2,"clientToken":"`+m.token()+`"}`)
		b.send(prefix+"/update/rejected", `{"code":500,"clientToken":"`+m.token()+`"}`) // too late
	}
	if err := backend.Report(t.Context(), []byte(`{"a":1}`)); err != nil {
		t.Error(err)
	}
	if s := backend.Stats(); s.Foreign != 10 || s.Malformed != 15 {
		t.Errorf("%+v", s)
	}
	if d := deltas(); len(d) != 0 {
		t.Errorf("deltas %v", d)
	}
}

func TestDeltas(t *testing.T) {
	b := newBroker()
	_, deltas := connect(t, b, "")
	b.send(prefix+"/update/delta", `{"version":2,"timestamp":1,"state":{ "on" : true },"metadata":{"on":{"timestamp":1}}}`)
	for _, bad := range []string{`{"version":3}`, `{"state":{"a":1}}`, `{"version":0,"state":{}}`, `{"version":3,"state":null}`, `{"version":3,"state":[]}`, `{"state":{"a":1},"version":3`} {
		b.send(prefix+"/update/delta", bad)
	}
	b.send(prefix+"/delete/accepted", `{"version":3,"timestamp":1}`)
	b.send(prefix+"/update/documents", `{"version":4,"state":{"a":1}}`)
	b.send(prefix+"/name/other/update/delta", `{"version":4,"state":{"a":1}}`)
	got := deltas()
	if len(got) != 2 || string(got[0].State) != `{ "on" : true }` || got[0].Version != 2 || got[0].Patch || got[1].State != nil {
		t.Errorf("deltas %v", got)
	}
}

// TestSubscribeAgain: the filters are subscribed until that has succeeded, the
// function changes each time.
func TestSubscribeAgain(t *testing.T) {
	b := newBroker()
	backend, _ := aws.New(b, "thing-1", "")
	lost := errors.New("lost")
	b.fail(lost)
	if err := backend.Subscribe(t.Context(), nil); !errors.Is(err, lost) {
		t.Error(err)
	}
	b.fail(nil)
	calls := [3]int{}
	for i := range calls {
		if err := backend.Subscribe(t.Context(), func(shadow.Delta) { calls[i]++ }); err != nil {
			t.Error(err)
		}
		b.send(prefix+"/update/delta", `{"version":2,"state":{}}`)
	}
	if b.subscribed != 1 || calls != [3]int{1, 1, 1} {
		t.Errorf("%d SUBSCRIBE packets, %v", b.subscribed, calls)
	}
}

// TestNoAnswer: a request ends after 10 seconds, with its ctx, or with an error
// of the transport.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		backend, _ := connect(t, b, "")
		start := time.Now()
		if _, err := backend.Get(t.Context()); err != shadow.ErrTimeout || time.Since(start) != 10*time.Second {
			t.Errorf("Get: %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := backend.Report(ctx, []byte(`{}`)); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, shadow.ErrTimeout) {
			t.Errorf("Report: %v", err)
		}
		offline := errors.New("offline")
		b.fail(offline)
		if err := backend.Report(t.Context(), []byte(`{}`)); !errors.Is(err, offline) {
			t.Errorf("Report: %v", err)
		}
		if err := backend.Report(t.Context(), []byte(`null`)); !errors.Is(err, shadow.ErrNotObject) {
			t.Errorf("Report(null): %v", err)
		}
		if err := backend.Report(t.Context(), []byte(`{`)); !errors.Is(err, shadow.ErrInvalid) {
			t.Errorf("Report({): %v", err)
		}
	})
}

// TestAnsweredAndLost: an answer counts even if the link breaks before the broker
// has acknowledged the request.
func TestAnsweredAndLost(t *testing.T) {
	b := newBroker()
	backend, _ := connect(t, b, "")
	b.reply = func(b *broker, m message) {
		answer("accepted", `{"version":1,"clientToken":"TOKEN"}`)(b, m)
		b.fail(errors.New("lost"))
	}
	if err := backend.Report(t.Context(), []byte(`{"a":1}`)); err != nil {
		t.Error(err)
	}
}

// TestOneAtATime: one request is under way, others wait, at most until their time
// is over.
func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		backend, _ := connect(t, b, "")
		results := make(chan error, 3)
		for range 3 {
			go func() { results <- backend.Report(t.Context(), []byte(`{"a":1}`)) }()
		}
		for range 2 {
			synctest.Wait()
			if len(b.published) != 1 {
				t.Fatalf("%d requests under way", len(b.published))
			}
			m := <-b.published
			b.send(prefix+"/update/accepted", `{"version":1,"clientToken":"`+m.token()+`"}`)
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if err := <-results; err != shadow.ErrTimeout {
			t.Error(err)
		}
	})
}
