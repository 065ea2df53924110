package service_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/internal/vectors"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/shadow"
	"github.com/ccmkit/ccmkit/shadow/service"
)

// FuzzRequest sends a request to a shadow that has a state, and then another one.
// Whatever is published is JSON, versions count up, and what is accepted can be
// read back.
func FuzzRequest(f *testing.F) {
	for _, r := range refusals {
		f.Add(r.op, []byte(r.payload))
	}
	for _, file := range vectors.Files(f, "clouds/aws_sdk_v*_shadow.jsonl") {
		for _, line := range vectors.Lines(f, file) {
			var p packet
			if err := json.Unmarshal(line, &p); err == nil && p.shadowMessage("c2s") {
				f.Add(p.Topic[strings.LastIndexByte(p.Topic, '/')+1:], []byte(p.Payload))
			}
		}
	}
	f.Add("update", []byte(`{"state":{"desired":{"a":{"b":null,"c":[{}]},"a":{}},"reported":{"x":1e400}},"version":1}`))
	f.Fuzz(func(t *testing.T, op string, payload []byte) {
		b := newBus()
		s, err := service.New(service.Config{Transport: b})
		if err != nil {
			t.Fatal(err)
		}
		mustUpdate(t, s, "t", "", `{"desired":{"a":{"b":1,"c":[1,2]},"d":"x"},"reported":{"a":{"b":1.0},"x":null}}`)
		b.take()
		text := string(payload)
		if op == "update" {
			var answer []byte
			answer, err = s.Update(t.Context(), "t", "", payload)
			if string(payload) != text {
				t.Fatal("the payload was changed")
			}
			checkUpdate(t, s, text, string(answer), err)
		}
		for _, m := range b.take() {
			if !jsonrpc.Valid([]byte(m.payload)) {
				t.Errorf("%s: %q", m.topic, m.payload)
			}
		}
	})
}

// checkUpdate checks what an update has done.
func checkUpdate(t *testing.T, s *service.Service, payload, answer string, err error) {
	t.Helper()
	if err != nil {
		if c := refusal(err); c != 400 && c != 409 && c != 413 && c != 415 || s.Version("t", "") != 1 {
			t.Errorf("%v, version %d", err, s.Version("t", ""))
		}
		return
	}
	if !utf8.ValidString(payload) || !json.Valid([]byte(payload)) || s.Version("t", "") != 2 {
		t.Fatalf("accepted: %q, version %d", payload, s.Version("t", ""))
	}
	got, want := object(t, answer), object(t, payload)
	for member, value := range want {
		if member == "state" || member == "clientToken" && value != nil {
			have, _ := json.Marshal(got[member])
			sent, _ := json.Marshal(value)
			if !shadow.Equal(have, sent) {
				t.Errorf("%s: %s, sent %s", member, have, sent)
			}
		}
	}
	doc, err := s.Get("t", "")
	if err != nil || !jsonrpc.Valid(doc) {
		t.Fatalf("%s, %v", doc, err)
	}
}

// FuzzFile reads the content of a file. What is taken is written the same way
// again, and again.
func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"version":3,"timestamp":1700000000,"state":{"desired":{"a":1,"b":{"c":[1,{"d":2}]}}},"stamps":{"desired":{"a":5,"b":{"c":6}}}}`))
	f.Add([]byte(`{"version":3,"timestamp":1700000000,"deleted":true}`))
	f.Add([]byte(`{"version":3,"timestamp":-1,"state":{"reported":{"a":1,"a":2}},"stamps":{"reported":{"a":-5,"a":1e3}}}`))
	f.Add([]byte(`{"version":3,"timestamp":7,"state":{"reported":{}},"stamps":{"x":[]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := service.Recode(data)
		if err != nil {
			return
		}
		twice, err := service.Recode(once)
		if err != nil || string(once) != string(twice) {
			t.Errorf("%s\nthen %s, %v", once, twice, err)
		}
	})
}

// FuzzTopic takes topics apart. What is taken goes together again, and names that
// are allowed make a name of a file, which goes back.
func FuzzTopic(f *testing.F) {
	for _, topic := range service.Filters {
		f.Add(topic)
		f.Add(strings.ReplaceAll(topic, "+", "Lamp:1"))
	}
	for _, name := range badNames {
		f.Add("$aws/things/" + name + "/shadow/get")
	}
	f.Fuzz(func(t *testing.T, topic string) {
		thing, name, op, valid, ok := service.ParseTopic(topic)
		if !ok {
			return
		}
		again := "$aws/things/" + thing + "/shadow/" + op
		if name != "" {
			again = "$aws/things/" + thing + "/shadow/name/" + name + "/" + op
		}
		if again != topic {
			t.Errorf("%q: %q %q %q", topic, thing, name, op)
		}
		if !valid {
			return
		}
		file := service.FileName(thing, name)
		gotThing, gotName, is := service.ParseFileName(file)
		if !is || gotThing != thing || gotName != name || len(file) > 248 || strings.ToLower(file) != file {
			t.Errorf("%q is %q %q %v", file, gotThing, gotName, is)
		}
	})
}

// FuzzFileName takes names of files apart.
func FuzzFileName(f *testing.F) {
	f.Add("lamp=1~8.cfg~.json")
	f.Add("a~.json")
	f.Fuzz(func(t *testing.T, file string) {
		if thing, name, ok := service.ParseFileName(file); ok && service.FileName(thing, name) != file {
			t.Errorf("%q: %q %q", file, thing, name)
		}
	})
}
