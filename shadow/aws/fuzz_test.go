package aws_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/shadow"
	"github.com/ccmkit/ccmkit/shadow/aws"
)

// FuzzMessages: whatever comes under the topics, what is handed on is sound. In
// the payload TOKEN stands for the token of the request under way.
func FuzzMessages(f *testing.F) {
	for topic, payload := range map[string]string{
		"update/delta":    `{"version":2,"timestamp":1,"state":{"on":true},"metadata":{"on":{"timestamp":1}}}`,
		"get/accepted":    `{"state":{"desired":{"a":1},"reported":{"b":[2]}},"version":7,"clientToken":"TOKEN"}`,
		"get/rejected":    `{"code":404,"message":"No shadow","timestamp":1,"clientToken":"TOKEN"}`,
		"update/rejected": `{"code":409,"message":"\u00e9","clientToken":"TOKEN"}`,
		"update/accepted": `{"version":1,"clientToken":"TOKEN"}`,
		"delete/accepted": `{"version":1}`,
	} {
		f.Add(topic, payload)
	}
	f.Fuzz(func(t *testing.T, topic, payload string) {
		b := newBroker()
		backend, err := aws.New(b, "thing-1", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := backend.Subscribe(t.Context(), func(d shadow.Delta) { checkDelta(t, d) }); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b.reply = func(b *broker, m message) {
			b.send(prefix+"/"+topic, strings.ReplaceAll(payload, "TOKEN", m.token()))
			cancel() // so that Get does not wait for an answer
		}
		doc, err := backend.Get(ctx)
		if e, is := errors.AsType[*shadow.Error](err); is && (e.Code < 1 || e.Code > 999 || len(e.Message) > 256) {
			t.Errorf("%+v", e)
		}
		for _, section := range [][]byte{doc.Desired, doc.Reported} {
			if section != nil && (err != nil || !jsonrpc.Valid(section) || section[0] != '{') {
				t.Errorf("%q, %v", section, err)
			}
		}
	})
}

func checkDelta(t *testing.T, d shadow.Delta) {
	if d.State != nil && (!jsonrpc.Valid(d.State) || d.State[0] != '{' || d.Version < 1) {
		t.Errorf("%+v", d)
	}
}
