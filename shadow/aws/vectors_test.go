package aws_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/shadow"
	"github.com/ccmkit/ccmkit/shadow/aws"
)

// row is a line of a transcript.
type row struct {
	Dir, Cmd, Topic, Payload string
}

// TestTranscriptVectors takes the place of the AWS SDKs: for each of their
// requests it makes one of its own, whose topic and state must be the same, and
// it must understand the answers that they understood.
func TestTranscriptVectors(t *testing.T) {
	p := &player{shadows: map[string]*played{}}
	vectors.Each(t, "clouds/aws_sdk_v*_shadow.jsonl", 0, func(t *testing.T, r row) {
		at := strings.LastIndex(r.Topic, "/shadow")
		if r.Cmd != "publish" || at < 0 {
			return
		}
		name, op := "", r.Topic[at+len("/shadow"):]
		if named, is := strings.CutPrefix(op, "/name/"); is {
			name, op, _ = strings.Cut(named, "/")
			op = "/" + op
		}
		s := p.shadow(t, name)
		if r.Dir == "c2s" {
			s.request(t, r, op)
		} else {
			s.message(t, r, op)
		}
	})
	p.wait()
}

// player plays a transcript; played is one shadow of it.
type player struct {
	sync.WaitGroup
	shadows map[string]*played
}

type played struct {
	*player
	broker  *broker
	backend *aws.Backend
	deltas  func() []shadow.Delta
	ctx     context.Context
	end     context.CancelFunc
	theirs  string // the token of the SDK's last request
	ours    string // that of ours
	result  chan result
}

type result struct {
	doc shadow.Document
	err error
}

func (p *player) shadow(t *testing.T, name string) *played {
	s := p.shadows[name]
	if s == nil {
		s = &played{player: p, broker: newBroker(), result: make(chan result, 1)}
		s.backend, s.deltas = connect(t, s.broker, name)
		s.ctx, s.end = context.WithCancel(context.Background())
		p.shadows[name] = s
	}
	return s
}

func (p *player) wait() {
	for _, s := range p.shadows {
		s.end()
	}
	p.Wait()
}

// request makes the request of the SDK.
func (s *played) request(t *testing.T, r row, op string) {
	var theirs struct {
		State       struct{ Reported json.RawMessage }
		ClientToken string
	}
	if err := json.Unmarshal([]byte(r.Payload), &theirs); err != nil {
		t.Fatal(err)
	}
	s.theirs, s.ours = theirs.ClientToken, ""
	switch op {
	case "/get":
		s.Go(func() {
			doc, err := s.backend.Get(s.ctx)
			s.result <- result{doc, err}
		})
	case "/update":
		s.Go(func() { s.result <- result{err: s.backend.Report(s.ctx, theirs.State.Reported)} })
	default:
		return
	}
	m := <-s.broker.published
	s.ours = m.token()
	want, _ := json.Marshal(map[string]any{"state": map[string]any{"reported": theirs.State.Reported}, "clientToken": s.ours})
	if op == "/get" {
		want = []byte(`{"clientToken":"` + s.ours + `"}`)
	}
	if m.topic != r.Topic || !shadow.Equal([]byte(m.payload), want) {
		t.Errorf("published %s %s, want %s %s", m.topic, m.payload, r.Topic, want)
	}
}

// message hands on a message of the cloud, and checks what came of it.
func (s *played) message(t *testing.T, r row, op string) {
	mine := s.ours != "" && strings.Contains(r.Payload, `"clientToken":"`+s.theirs+`"`)
	payload := strings.ReplaceAll(r.Payload, `"`+s.theirs+`"`, `"`+s.ours+`"`)
	s.broker.send(r.Topic, payload)
	var body struct {
		Code    int
		Version int64
		State   json.RawMessage
	}
	if err := json.Unmarshal([]byte(r.Payload), &body); err != nil {
		t.Fatal(err)
	}
	switch {
	case op == "/update/delta":
		if d := s.deltas(); len(d) != 1 || d[0].Version != body.Version || !shadow.Equal(d[0].State, body.State) {
			t.Errorf("deltas %v", d)
		}
	case op == "/delete/accepted":
		if d := s.deltas(); len(d) != 1 || d[0].State != nil {
			t.Errorf("deltas %v", d)
		}
	case mine:
		got := <-s.result
		s.check(t, op, got, body.Code, body.Version, body.State)
	}
}

func (s *played) check(t *testing.T, op string, got result, code int, version int64, state []byte) {
	refusal, _ := errors.AsType[*shadow.Error](got.err)
	switch {
	case code == 404:
		if got.err != nil || got.doc.Version != 0 {
			t.Errorf("no shadow: %+v", got)
		}
	case code != 0:
		if refusal == nil || refusal.Code != code {
			t.Errorf("%+v, want code %d", got, code)
		}
	case got.err != nil:
		t.Error(got.err)
	case op == "/get/accepted":
		var want struct{ Desired, Reported json.RawMessage }
		if err := json.Unmarshal(state, &want); err != nil {
			t.Fatal(err)
		}
		if !shadow.Equal(got.doc.Desired, want.Desired) || !shadow.Equal(got.doc.Reported, want.Reported) || got.doc.Version != version {
			t.Errorf("document %s %s %d", got.doc.Desired, got.doc.Reported, got.doc.Version)
		}
	}
}
