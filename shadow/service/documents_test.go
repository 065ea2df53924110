package service_test

import (
	"testing"
	"time"
)

// TestDocuments follows one shadow through its life.
func TestDocuments(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, b := start(t, config())
		const at, later = `{"timestamp":1700000000}`, `{"timestamp":1700000010}`
		u := prefix + "update"
		expect(t, "the first update", b.ask(u, ` { "state" : { "desired" : { "a" : 1 , "b" : { "c" : [ 1 , { "x" : 2 } ] } } } , "clientToken" : "k1" } `),
			u+"/accepted", `{"state":{"desired":{"a":1,"b":{"c":[1,{"x":2}]}}},"metadata":{"desired":{"a":`+at+`,"b":{"c":[`+at+`,{"x":`+at+`}]}}},"version":1,"timestamp":1700000000,"clientToken":"k1"}`,
			u+"/delta", `{"version":1,"timestamp":1700000000,"state":{"a":1,"b":{"c":[1,{"x":2}]}},"metadata":{"a":`+at+`,"b":{"c":[`+at+`,{"x":`+at+`}]}},"clientToken":"k1"}`,
			u+"/documents", `{"previous":{"state":{},"metadata":{},"version":0},"current":{"state":{"desired":{"a":1,"b":{"c":[1,{"x":2}]}}},"metadata":{"desired":{"a":`+at+`,"b":{"c":[`+at+`,{"x":`+at+`}]}}},"version":1},"timestamp":1700000000,"clientToken":"k1"}`)

		time.Sleep(10 * time.Second)
		expect(t, "a report of something else: the delta comes again, with its own times", b.ask(u, `{"state":{"reported":{"up":5,"gone":null}}}`),
			u+"/accepted", `{"state":{"reported":{"up":5,"gone":null}},"metadata":{"reported":{"up":`+later+`,"gone":`+later+`}},"version":2,"timestamp":1700000010}`,
			u+"/delta", `{"version":2,"timestamp":1700000010,"state":{"a":1,"b":{"c":[1,{"x":2}]}},"metadata":{"a":`+at+`,"b":{"c":[`+at+`,{"x":`+at+`}]}}}`,
			u+"/documents", `{"previous":{"state":{"desired":{"a":1,"b":{"c":[1,{"x":2}]}}},"metadata":{"desired":{"a":`+at+`,"b":{"c":[`+at+`,{"x":`+at+`}]}}},"version":1},`+
				`"current":{"state":{"desired":{"a":1,"b":{"c":[1,{"x":2}]}},"reported":{"up":5}},"metadata":{"desired":{"a":`+at+`,"b":{"c":[`+at+`,{"x":`+at+`}]}},"reported":{"up":`+later+`}},"version":2},"timestamp":1700000010}`)

		expect(t, "one of two keys is settled", b.ask(u, `{"state":{"reported":{"a":1.0}},"version":2}`)[1:2],
			u+"/delta", `{"version":3,"timestamp":1700000010,"state":{"b":{"c":[1,{"x":2}]}},"metadata":{"b":{"c":[`+at+`,{"x":`+at+`}]}}}`)

		expect(t, "get", b.ask(prefix+"get", `{"clientToken":"k2","version":1}`),
			prefix+"get/accepted", `{"state":{"desired":{"a":1,"b":{"c":[1,{"x":2}]}},"reported":{"up":5,"a":1.0},"delta":{"b":{"c":[1,{"x":2}]}}},`+
				`"metadata":{"desired":{"a":`+at+`,"b":{"c":[`+at+`,{"x":`+at+`}]}},"reported":{"up":`+later+`,"a":`+later+`}},"version":3,"timestamp":1700000010,"clientToken":"k2"}`)

		expect(t, "desired is removed", b.ask(u, `{"state":{"desired":null}}`)[:1],
			u+"/accepted", `{"state":{"desired":null},"metadata":{},"version":4,"timestamp":1700000010}`)
		expect(t, "get", b.ask(prefix+"get", " "),
			prefix+"get/accepted", `{"state":{"reported":{"up":5,"a":1.0}},"metadata":{"reported":{"up":`+later+`,"a":`+later+`}},"version":4,"timestamp":1700000010}`)

		expect(t, "both sections are removed", b.ask(u, `{"state":null}`),
			u+"/accepted", `{"state":null,"metadata":{},"version":5,"timestamp":1700000010}`,
			u+"/documents", `{"previous":{"state":{"reported":{"up":5,"a":1.0}},"metadata":{"reported":{"up":`+later+`,"a":`+later+`}},"version":4},"current":{"state":{},"metadata":{},"version":5},"timestamp":1700000010}`)
		expect(t, "get", b.ask(prefix+"get", ""),
			prefix+"get/accepted", `{"state":{},"metadata":{},"version":5,"timestamp":1700000010}`)

		expect(t, "delete", b.ask(prefix+"delete", `{"version":1,"clientToken":"k3"}`),
			prefix+"delete/accepted", `{"version":5,"timestamp":1700000010,"clientToken":"k3"}`)
		expect(t, "get", b.ask(prefix+"get", "\n"),
			prefix+"get/rejected", `{"code":404,"message":"No shadow exists with name: 't'","timestamp":1700000010}`)
		expect(t, "delete", b.ask(prefix+"delete", ""),
			prefix+"delete/rejected", `{"code":404,"message":"No shadow exists with name: 't'","timestamp":1700000010}`)
		expect(t, "the version goes on", b.ask(u, `{"state":{"reported":{"n":1}}}`),
			u+"/accepted", `{"state":{"reported":{"n":1}},"metadata":{"reported":{"n":`+later+`}},"version":6,"timestamp":1700000010}`,
			u+"/documents", `{"previous":{"state":{},"metadata":{},"version":5},"current":{"state":{"reported":{"n":1}},"metadata":{"reported":{"n":`+later+`}},"version":6},"timestamp":1700000010}`)
		if b.qos != 1 {
			t.Errorf("published at QoS %d", b.qos)
		}
	})
}

// TestNames uses the classic shadow of a thing and named ones, which have
// nothing in common.
func TestNames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, b := start(t, config())
		for _, name := range []string{"", "cfg", "CFG"} {
			for range len(name) + 1 {
				if _, err := s.Update(t.Context(), "t", name, []byte(`{"state":{"desired":{"n":"`+name+`"}}}`)); err != nil {
					t.Fatal(err)
				}
			}
		}
		p := prefix + "name/cfg/"
		expect(t, "named", b.ask(p+"update", `{"state":{"reported":{"n":"cfg"}},"thingName":"x","shadowName":"y","clientToken":"k"}`)[:1],
			p+"update/accepted", `{"state":{"reported":{"n":"cfg"}},"metadata":{"reported":{"n":{"timestamp":1700000000}}},"version":5,"timestamp":1700000000,"clientToken":"k"}`)
		expect(t, "named", b.ask(p+"delete", ""), p+"delete/accepted", `{"version":5,"timestamp":1700000000}`)
		expect(t, "named", b.ask(p+"get", ""),
			p+"get/rejected", `{"code":404,"message":"No shadow exists with name: 'cfg'","timestamp":1700000000}`)
		for name, version := range map[string]string{"": "1", "CFG": "4"} {
			got, err := s.Get("t", name)
			want := `{"state":{"desired":{"n":"` + name + `"},"delta":{"n":"` + name + `"}},"metadata":{"desired":{"n":{"timestamp":1700000000}}},"version":` + version + `,"timestamp":1700000000}`
			if err != nil || !same(string(got), want) {
				t.Errorf("%q: %s, %v", name, got, err)
			}
		}
		if stats := s.Stats(); stats.Things != 1 || stats.Shadows != 2 {
			t.Errorf("%+v", stats)
		}
	})
}

// TestDigits sends numbers and strings that must come back as they are spelled.
func TestDigits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, b := start(t, config())
		const state = `{"big":9007199254740993,"cents":1.50,"e":1E+2,"zero":-0,"s":"\u00e4\/","k\u0065y":{"":[0.10]}}`
		sent := b.ask(prefix+"update", `{"state":{"desired":`+state+`}}`)
		got, err := s.Get("t", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{sent[0].payload, sent[1].payload, sent[2].payload, string(got)} {
			if !contains(text, state) {
				t.Errorf("%s\n lacks %s", text, state)
			}
		}
		// The members of an object are found by their decoded names.
		sent = b.ask(prefix+"update", `{"state":{"reported":{"key":{"":[0.1]},"big":9007199254740992,"cents":1.5,"e":100,"zero":0,"s":"ä/"}}}`)
		if !contains(sent[1].payload, `"state":{"big":9007199254740993}`) {
			t.Errorf("delta %s", sent[1].payload)
		}
	})
}
