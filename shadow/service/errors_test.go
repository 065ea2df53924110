package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/shadow/service"
)

// nested returns n objects in each other.
func nested(n int) string {
	return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)
}

// refusals are requests that are refused, with the code and the text that AWS
// documents.
var refusals = []struct {
	name, op, payload string
	code              int
	message           string
	token             string // in the answer
}{
	{"empty update", "update", ``, 400, "Invalid JSON", ""},
	{"blank update", "update", ` `, 400, "Invalid JSON", ""},
	{"cut off", "update", `{"state":{"reported":{"a":1}}`, 400, "Invalid JSON", ""},
	{"lenient JSON", "update", `{"state":{"reported":{"a":01}}}`, 400, "Invalid JSON", ""},
	{"two values", "update", `{"state":{}}{"state":{}}`, 400, "Invalid JSON", ""},
	{"array", "update", `[1]`, 400, "Invalid JSON", ""},
	{"null", "update", `null`, 400, "Invalid JSON", ""},
	{"bad get", "get", `{`, 400, "Invalid JSON", ""},
	{"get of a number", "get", `1`, 400, "Invalid JSON", ""},
	{"bad delete", "delete", `x`, 400, "Invalid JSON", ""},
	{"no state", "update", `{"clientToken":"k"}`, 400, "Missing required node: state", "k"},
	{"state elsewhere", "update", `{"State":{},"clientToken":"k"}`, 400, "Missing required node: state", "k"},
	{"state is a number", "update", `{"state":1,"clientToken":"k"}`, 400, "State node must be an object", "k"},
	{"state is an array", "update", `{"state":[]}`, 400, "State node must be an object", ""},
	{"desired is a string", "update", `{"state":{"desired":"x"},"clientToken":"k"}`, 400, "Desired node must be an object", "k"},
	{"reported is an array", "update", `{"state":{"reported":[{}]},"clientToken":"k"}`, 400, "Reported node must be an object", "k"},
	{"delta", "update", `{"state":{"delta":{}},"clientToken":"k"}`, 400, "State contains an invalid node", "k"},
	{"unknown node", "update", `{"state":{"reported":{},"x":null}}`, 400, "State contains an invalid node", ""},
	{"null in an array", "update", `{"state":{"desired":{"c":[null,"RED"]}}}`, 400, "State contains an invalid node", ""},
	{"null in an inner array", "update", `{"state":{"desired":{"c":[{"d":[1,[null]]}]}}}`, 400, "State contains an invalid node", ""},
	{"version is a string", "update", `{"state":{},"version":"1","clientToken":"k"}`, 400, "Invalid version", "k"},
	{"version is negative", "update", `{"state":{},"version":-1}`, 400, "Invalid version", ""},
	{"version is a fraction", "update", `{"state":{},"version":1.5}`, 400, "Invalid version", ""},
	{"version is huge", "update", `{"state":{},"version":1e30}`, 400, "Invalid version", ""},
	{"token is a number", "update", `{"state":{},"clientToken":1}`, 400, "Invalid clientToken", ""},
	{"token of 65 bytes", "update", `{"state":{},"clientToken":"` + strings.Repeat("k", 65) + `"}`, 400, "Invalid clientToken", ""},
	{"token of 66 bytes in 33 characters", "get", `{"clientToken":"` + strings.Repeat("ä", 33) + `"}`, 400, "Invalid clientToken", ""},
	{"token of delete", "delete", `{"clientToken":{}}`, 400, "Invalid clientToken", ""},
	{"7 levels", "update", `{"state":{"reported":` + nested(8) + `},"clientToken":"k"}`, 400, "JSON contains too many levels of nesting; maximum is 6", "k"},
	{"7 levels of arrays", "update", `{"state":{"desired":{"a":` + strings.Repeat("[", 7) + strings.Repeat("]", 7) + `}}}`, 400, "JSON contains too many levels of nesting; maximum is 6", ""},
	{"19 levels", "update", `{"state":` + nested(19) + `}`, 400, "State contains an invalid node", ""},
	{"25 levels", "update", `{"state":` + nested(25) + `}`, 400, "JSON contains too many levels of nesting; maximum is 6", ""},
	{"1000 levels", "update", `{"state":` + nested(1000) + `}`, 400, "JSON contains too many levels of nesting; maximum is 6", ""},
	{"no shadow to get", "get", `{"clientToken":"k"}`, 404, "No shadow exists with name: 't'", "k"},
	{"no shadow to delete", "delete", `{"clientToken":"k"}`, 404, "No shadow exists with name: 't'", "k"},
	{"version of no shadow", "update", `{"state":{},"version":1,"clientToken":"k"}`, 409, "Version conflict", "k"},
	{"large payload", "update", `{"state":{},"clientToken":"k","x":"` + strings.Repeat("x", 18000) + `"}`, 413, "The payload exceeds the maximum size allowed", "k"},
	{"large payload that is no JSON", "get", strings.Repeat("x", 18000), 413, "The payload exceeds the maximum size allowed", ""},
	{"large state", "update", `{"state":{"reported":{"s":"` + strings.Repeat("x", 8192) + `"}},"clientToken":"k"}`, 413, "The payload exceeds the maximum size allowed", "k"},
	{"not UTF-8", "update", "{\"state\":{\"reported\":{\"s\":\"\xff\"}},\"clientToken\":\"k\"}", 415, "Unsupported documented encoding; supported encoding is UTF-8", ""},
	{"UTF-16", "get", "\xff\xfe{\x00}\x00", 415, "Unsupported documented encoding; supported encoding is UTF-8", ""},
}

func TestRefusals(t *testing.T) {
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, b := start(t, config())
				token := ""
				if r.token != "" {
					token = `,"clientToken":"` + r.token + `"`
				}
				message, _ := json.Marshal(r.message)
				want := `{"code":` + code(r.code) + `,"message":` + string(message) + `,"timestamp":1700000000` + token + `}`
				expect(t, "published", b.ask(prefix+r.op, r.payload), prefix+r.op+"/rejected", want)
				if r.op == "update" {
					_, err := s.Update(t.Context(), "t", "", []byte(r.payload))
					if refusal(err) != r.code || !contains(err.Error(), r.message) {
						t.Errorf("Update: %v", err)
					}
				}
				if sent := b.take(); len(sent) > 0 {
					t.Errorf("a call that is refused publishes %q", topics(sent))
				}
				if stats := s.Stats(); stats.Shadows != 0 || stats.Things != 0 || stats.Rejected == 0 {
					t.Errorf("%+v", stats)
				}
			})
		})
	}
}

func code(n int) string {
	text, _ := json.Marshal(n)
	return string(text)
}

// TestTaken sends requests that look wrong and are not.
func TestTaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, b := start(t, config())
		version := "0"
		for _, payload := range []string{
			`{"state":{}}`,
			`{"state":{"reported":` + nested(7) + `}}`, // a section and 6 levels in it
			`{"state":{"reported":{},"desired":{}},"version":null,"clientToken":null}`,
			`{"version":VERSION,"state":{"reported":{"a":null}}}`,
			`{"version":1,"version":VERSION,"state":1,"st\u0061te":{"reported":{"a":[{"b":null}]}}}`,
			`{"version":VERSION,"unknown":` + nested(30) + `,"thingName":5,"state":{"reported":{"reported":{}}}}`,
			`{"version":VERSION.0,"state":null,"clientToken":"` + strings.Repeat("k", 64) + `"}`,
			"\t\r\n{\"state\":{\"desired\":{\"\":\"\x7f\\u0000\\ud83d\\ude00\"}},\"clientToken\":\"\\u006b\\\"\"}\n",
			`{"state":{"desired":{"$a":{"b":1}},"desired":{"a":2}}}`,
		} {
			payload = strings.ReplaceAll(payload, "VERSION", version)
			sent := b.ask(prefix+"update", payload)
			if len(sent) == 0 || sent[0].topic != prefix+"update/accepted" {
				t.Fatalf("%s: %v", payload, sent)
			}
			answer := raw(t, sent[0].payload)
			version = string(answer["version"])
			if !same(string(answer["clientToken"]), string(raw(t, payload)["clientToken"])) {
				t.Errorf("%s: token %s", payload, answer["clientToken"])
			}
		}
		if got, _ := s.Get("t", ""); !same(string(raw(t, string(got))["state"]), `{"desired":{"":"\u007f\u0000😀","a":2},"delta":{"":"\u007f\u0000😀","a":2}}`) {
			t.Errorf("%s", got)
		}
	})
}

// TestConflicts sends versions with updates.
func TestConflicts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, config())
		update := func(version string) int {
			_, err := s.Update(t.Context(), "t", "", []byte(`{"state":{},"version":`+version+`}`))
			return refusal(err)
		}
		for _, step := range []struct {
			version string
			code    int
		}{{"1", 409}, {"0", 0}, {"0", 409}, {"2", 409}, {"1", 0}, {"2", 0}} {
			if got := update(step.version); got != step.code {
				t.Errorf("version %s: %d, want %d", step.version, got, step.code)
			}
		}
		if err := s.Delete(t.Context(), "t", ""); err != nil {
			t.Error(err)
		}
		if got := []int{update("0"), update("4"), update("3")}; !slices.Equal(got, []int{409, 409, 0}) {
			t.Errorf("after the deletion of version 3: %v", got)
		}
	})
}

// badNames are names that no thing or shadow has.
var badNames = []string{"", "a.b", "..", ".", "a b", "a%b", "ä", "a\\b", "a~b", "con.json", "a=b", strings.Repeat("a", 129)}

func TestBadNames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dir := t.TempDir()
		s, b := start(t, service.Config{Dir: dir})
		const rejected = `{"code":400,"message":"Invalid thing or shadow name","timestamp":1700000000,"clientToken":"k"}`
		for _, name := range append(badNames, strings.Repeat("a", 65)) {
			for _, topic := range []string{"$aws/things/" + name + "/shadow/update", prefix + "name/" + name + "/update"} {
				if name == "" && topic != "$aws/things//shadow/update" || len(name) == 65 && !contains(topic, "/name/") {
					continue
				}
				expect(t, name, b.ask(topic, `{"state":{},"clientToken":"k"}`), topic+"/rejected", rejected)
			}
			if name != "" {
				_, err := s.Update(t.Context(), "t", name, []byte(`{"state":{}}`))
				if refusal(err) != 400 {
					t.Errorf("shadow %q: %v", name, err)
				}
			}
			if len(name) == 65 {
				continue
			}
			_, err := s.Update(t.Context(), name, "", []byte(`{"state":{}}`))
			_, err2 := s.Get(name, "")
			if err3 := s.Delete(t.Context(), name, ""); refusal(err) != 400 || refusal(err2) != 400 || refusal(err3) != 400 {
				t.Errorf("thing %q: %v, %v, %v", name, err, err2, err3)
			}
		}
		if got := files(t, dir); len(got) > 0 {
			t.Errorf("files %q", got)
		}
	})
}

// TestOtherTopics sends what is none of the requests.
func TestOtherTopics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, b := start(t, config())
		list := []string{"", "t", "$aws/things/t", "$aws/things/t/shadow", prefix, prefix + "update/accepted", prefix + "Update",
			prefix + "name/x", prefix + "name//get", prefix + "name/x/y/get", "$aws/things/t/x/shadow/get", "$aws/things/t/jobs/get",
			"$aws/things/" + strings.Repeat("a", 2000) + "/shadow/get"}
		for _, topic := range list {
			expect(t, topic, b.ask(topic, `{"state":{}}`))
		}
		if n := s.Stats().Ignored; n != uint64(len(list)) {
			t.Errorf("%d ignored of %d", n, len(list))
		}
	})
}

// TestEndedContext calls with a ctx that has ended.
func TestEndedContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, b := start(t, config())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Update(ctx, "t", "", []byte(`{"state":{}}`))
		if _, missing := s.Get("t", ""); !errors.Is(err, context.Canceled) || refusal(missing) != 404 || len(b.take()) > 0 {
			t.Errorf("%v, %v", err, missing)
		}
	})
}
