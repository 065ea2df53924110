package service_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/shadow/service"
)

// packet is one line of a transcript.
type packet struct {
	Mark          string
	Ev            string
	Dir, Cmd      string
	Topic         string
	Payload       string
	Subscriptions []struct{ Topic string }
}

// shadowMessage reports whether the packet is a message in direction dir on a
// shadow topic.
func (p packet) shadowMessage(dir string) bool {
	return p.Dir == dir && p.Cmd == "publish" && strings.HasPrefix(p.Topic, "$aws/things/")
}

// TestTranscriptVectors plays what the AWS SDKs sent against the service and
// compares what it publishes with what they were sent then.
func TestTranscriptVectors(t *testing.T) {
	for _, file := range vectors.Files(t, "clouds/aws_sdk_v*_shadow.jsonl") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			lines := vectors.Lines(t, file)
			packets := make([]packet, len(lines))
			for i, line := range lines {
				if err := json.Unmarshal(line, &packets[i]); err != nil {
					t.Fatalf("line %d: %v", i+1, err)
				}
			}
			bubble(t, func(t *testing.T) {
				r := &replay{t: t}
				r.s, r.b = start(t, service.Config{})
				for i := range packets {
					r.play(packets[i], packets[i+1:])
				}
				r.settle()
				t.Logf("%d rows: %d requests, %d cloud marks, %d messages compared, %d extra, %d other rows",
					len(lines), r.requests, r.marks, r.compared, r.extra, r.others)
				if rows := r.requests + r.marks + r.compared + r.subscriptions + r.others; rows != len(lines) {
					t.Errorf("%d of %d rows ran", rows, len(lines))
				}
				if r.requests == 0 || r.compared == 0 || r.marks == 0 {
					t.Error("the transcript tests nothing")
				}
			})
		})
	}
}

// replay is one transcript that is being played.
type replay struct {
	t          *testing.T
	s          *service.Service
	b          *bus
	subscribed []string  // by the client
	last       string    // topic of the last request
	silent     bool      // the cloud has changed the version without a word: B5 allows more messages
	got        []message // for the client, not compared yet

	requests, marks, compared, extra, subscriptions, others int
}

// play takes one line. rest are the lines after it.
func (r *replay) play(p packet, rest []packet) {
	switch {
	case p.shadowMessage("c2s"):
		r.settle()
		r.requests++
		r.last = p.Topic
		r.b.request(p.Topic, p.Payload)
		r.receive()
	case strings.HasPrefix(p.Mark, "cloud:"):
		r.settle()
		r.marks++
		r.cloud(rest)
		r.receive()
	case p.shadowMessage("s2c"):
		r.compared++
		r.compare(p)
	case p.Dir == "c2s" && p.Cmd == "subscribe":
		r.subscriptions++
		for _, s := range p.Subscriptions {
			r.subscribed = append(r.subscribed, s.Topic)
		}
	default: // the connection, acknowledgements, other topics, what the program saw
		r.others++
	}
}

// cloud does what the cloud did at a mark: the messages that follow tell what. If
// there are none it was a silent change.
func (r *replay) cloud(rest []packet) {
	thing, name, _, _, _ := service.ParseTopic(r.last)
	update := ""
	for _, p := range rest {
		if p.shadowMessage("c2s") || strings.HasPrefix(p.Mark, "cloud:") || strings.HasPrefix(p.Mark, "action:") || update != "" {
			break
		}
		if !p.shadowMessage("s2c") {
			continue
		}
		state := raw(r.t, p.Payload)["state"]
		thing, name, _, _, _ = service.ParseTopic(p.Topic[:strings.LastIndexByte(p.Topic, '/')])
		switch {
		case strings.HasSuffix(p.Topic, "/update/accepted"):
			update = `{"state":` + string(state) + `}`
		case strings.HasSuffix(p.Topic, "/update/delta"):
			update = `{"state":{"desired":` + string(state) + `}}`
		}
	}
	if update == "" {
		r.silent = true
		update = `{"state":{"desired":{"silent":true}}}`
	}
	if _, err := r.s.Update(r.t.Context(), thing, name, []byte(update)); err != nil {
		r.t.Errorf("cloud: %s: %v", update, err)
	}
}

// receive collects what the service publishes and the client has subscribed.
func (r *replay) receive() {
	synctest.Wait()
	for _, m := range r.b.take() {
		if slices.Contains(r.subscribed, m.topic) {
			r.got = append(r.got, m)
		}
	}
}

// compare compares a message of the transcript with the next one of the service.
func (r *replay) compare(p packet) {
	for len(r.got) > 0 && r.got[0].topic != p.Topic && r.permitted(r.got[0]) {
		r.got = r.got[1:]
	}
	if len(r.got) == 0 {
		r.t.Errorf("missing: %s %s", p.Topic, p.Payload)
		return
	}
	got := r.got[0]
	r.got = r.got[1:]
	if got.topic != p.Topic {
		r.t.Errorf("got %s %s\nwant %s %s", got.topic, got.payload, p.Topic, p.Payload)
		return
	}
	// B5 names the token, version, code and state; the messages and metadata of
	// the transcripts are right as well.
	have, want := raw(r.t, got.payload), raw(r.t, p.Payload)
	for _, member := range []string{"clientToken", "version", "code", "state", "message", "metadata", "timestamp"} {
		if !same(string(have[member]), string(want[member])) {
			r.t.Errorf("%s: %s is %s, want %s", p.Topic, member, have[member], want[member])
		}
	}
}

// permitted counts a message that the transcript does not have.
func (r *replay) permitted(m message) bool {
	r.extra++
	return r.silent && (strings.HasSuffix(m.topic, "/update/accepted") || strings.HasSuffix(m.topic, "/update/delta"))
}

// settle is called when nothing more may come of what was done last.
func (r *replay) settle() {
	for _, m := range r.got {
		if !r.permitted(m) {
			r.t.Errorf("surplus: %s %s", m.topic, m.payload)
		}
	}
	r.got = nil
}

// raw returns the members of a payload.
func raw(t *testing.T, payload string) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(payload), &m); err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	for _, member := range []string{"clientToken", "version", "code", "state", "message", "metadata", "timestamp"} {
		if m[member] == nil {
			m[member] = json.RawMessage("null")
		}
	}
	return m
}
