package cloud_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/ccm/cloud"
)

func TestValidTopic(t *testing.T) {
	tests := []struct {
		topic string
		want  string // "" = valid
	}{
		{"a", ""}, {"/", ""}, {"//", ""}, {"a b", ""}, {"$SYS/x", ""}, {"größe/温度", ""}, {"\ufeffa", ""}, {"😀", ""},
		{strings.Repeat("x", 1024), ""}, {strings.Repeat("/", 127), ""}, {" ", ""},
		{"", "it is empty"},
		{strings.Repeat("x", 1025), "1025 bytes, at most 1024 are possible"},
		{strings.Repeat("/", 128), "more than 128 levels"},
		{"a#", "it has a wildcard"}, {"+", "it has a wildcard"},
		{"\xff", "it is not UTF-8"}, {"\xed\xa0\x80", "it is not UTF-8"}, {"\xc0\x80", "it is not UTF-8"},
		{"a\x00", "it has a control character or a code point that is none"},
		{"a\n", "it has a control character or a code point that is none"},
		{"\x7f", "it has a control character or a code point that is none"},
		{"\u0080", "it has a control character or a code point that is none"},
		{"\u009f", "it has a control character or a code point that is none"},
		{"\uffff", "it has a control character or a code point that is none"},
		{"\ufdd0", "it has a control character or a code point that is none"},
		{"\ufdef", "it has a control character or a code point that is none"},
		{"\U0001fffe", "it has a control character or a code point that is none"},
		{"\U0010ffff", "it has a control character or a code point that is none"},
		{"\u00a0\ufdcf\ufdf0\ufffd", ""},
	}
	for _, test := range tests {
		err := cloud.ValidTopic(test.topic, false)
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, cloud.ErrTopic) || err.Error() != "cloud: invalid topic: "+test.want) {
			t.Errorf("%.20q: %v, want %q", test.topic, err, test.want)
		}
		if filterErr := cloud.ValidFilter(test.topic); (filterErr == nil) != (err == nil) && !strings.ContainsAny(test.topic, "+#") {
			t.Errorf("%.20q as a filter: %v", test.topic, filterErr)
		}
	}
	for _, topic := range []string{"a b", " ", "a\u00a0b", "a\u2028"} {
		if err := cloud.ValidTopic(topic, true); !errors.Is(err, cloud.ErrTopic) {
			t.Errorf("%q, strict: %v", topic, err)
		}
	}
}

func TestValidFilter(t *testing.T) {
	for _, filter := range []string{"#", "+", "/", "a/#", "+/+/#", "/#", "a//b", "$SYS/#", "$share/g/#", "$share/g/a/+", "$share/g//", "$shared", "a/$share"} {
		if err := cloud.ValidFilter(filter); err != nil {
			t.Errorf("%q: %v", filter, err)
		}
	}
	for _, filter := range []string{"", "#/", "#/a", "a#", "a/b#", "a+", "+a", "a/+b/c", "##", "++", "$share", "$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/a#/b", "$share/g/a#"} {
		if err := cloud.ValidFilter(filter); !errors.Is(err, cloud.ErrTopic) {
			t.Errorf("%q: %v", filter, err)
		}
	}
}

func TestMatch(t *testing.T) {
	tests := []struct {
		filter, topic string
		want          bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a", "a/", false}, {"a/", "a", false}, {"a", "A", false},
		{"#", "a", true}, {"#", "a/b", true}, {"#", "/", true}, {"#", "$SYS", false}, {"$SYS/#", "$SYS/a", true}, {"$SYS/#", "$SYS", true},
		{"+", "a", true}, {"+", "", true}, {"+", "a/b", false}, {"+", "$a", false}, {"+/b", "$a/b", false}, {"+/+", "/", true},
		{"a/#", "a", true}, {"a/#", "a/", true}, {"a/#", "a/b/c", true}, {"a/#", "ab", false}, {"a/#", "b", false},
		{"a/+", "a", false}, {"a/+", "a/", true}, {"a/+", "a/b", true}, {"a/+", "a/b/c", false}, {"a/+/c", "a/b/c", true}, {"a/+/#", "a", false}, {"a/+/#", "a/b", true},
		{"a//b", "a//b", true}, {"a/+/b", "a//b", true}, {"/a", "a", false}, {"/+", "/a", true}, {"/#", "/a", true},
		{"$share/g/a/#", "a/b", true}, {"$share/g/a", "b", false}, {"$share/g/#", "$SYS/a", false},
	}
	for _, test := range tests {
		if got := cloud.Match(test.filter, test.topic); got != test.want {
			t.Errorf("%q, %q: %v, want %v", test.filter, test.topic, got, test.want)
		}
	}
}

// match is Match by the letter of MQTT 3.1.1, section 4.7.
func match(filter, topic []string) bool {
	switch {
	case len(filter) == 0:
		return len(topic) == 0
	case filter[0] == "#":
		return true
	case len(topic) == 0:
		return false
	}
	return (filter[0] == "+" || filter[0] == topic[0]) && match(filter[1:], topic[1:])
}

// FuzzTopics compares with simpler code, and checks what is let through.
func FuzzTopics(f *testing.F) {
	f.Add("a/+/#", "a/b/c")
	f.Add("$share/g/x/#", "x")
	f.Add("#", "$SYS/a")
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if cloud.ValidTopic(topic, false) == nil {
			bad := func(r rune) bool { return r < 0x20 || r == 0x7f || r == '+' || r == '#' }
			if topic == "" || len(topic) > 65535 || !utf8.ValidString(topic) || strings.ContainsFunc(topic, bad) {
				t.Fatalf("%q is let through", topic)
			}
			if strict := cloud.ValidTopic(topic, true); (strict == nil) == strings.ContainsFunc(topic, unicode.IsSpace) {
				t.Fatalf("%q, strict: %v", topic, strict)
			}
		}
		if cloud.ValidFilter(filter) != nil || cloud.ValidTopic(topic, false) != nil {
			return
		}
		levels := strings.Split(filter, "/")
		if levels[0] == "$share" {
			levels = levels[2:]
		}
		want := match(levels, strings.Split(topic, "/"))
		if topic[0] == '$' && !strings.HasPrefix(levels[0], "$") {
			want = false
		}
		if got := cloud.Match(filter, topic); got != want {
			t.Fatalf("%q, %q: %v, want %v", filter, topic, got, want)
		}
		if i := slices.Index(levels, "#"); i >= 0 && i < len(levels)-1 {
			t.Fatalf("%q is let through", filter)
		}
	})
}
