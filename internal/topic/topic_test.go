package topic_test

import (
	"testing"

	"github.com/ccmkit/ccmkit/internal/topic"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/b/c", false}, {"a/b/c", "a/b", false}, {"a", "A", false},
		{"#", "a/b", true}, {"#", "$SYS/a", false}, {"$SYS/#", "$SYS/a", true}, {"+/a", "$SYS/a", false},
		{"a/#", "a", true}, {"a/#", "a/", true}, {"a/#", "a/b/c", true}, {"a/#", "ab", false},
		{"a/+", "a/b", true}, {"a/+", "a", false}, {"a/+", "a/", true}, {"a/+", "a/b/c", false},
		{"+", "a", true}, {"+/+", "a/b", true}, {"+/+", "/b", true}, {"/+", "/b", true}, {"+", "/b", false},
		{"a/+/c", "a/b/c", true}, {"a/+/c", "a/b/d", false}, {"a/+/#", "a/b", true}, {"a/+/#", "a", false},
	} {
		if got := topic.Match(c.filter, c.topic); got != c.want {
			t.Errorf("topic.Match(%q, %q) = %v", c.filter, c.topic, got)
		}
	}
}

func TestGoodWildcards(t *testing.T) {
	for filter, want := range map[string]bool{
		"a": true, "+": true, "#": true, "a/+/b": true, "a/#": true, "+/+/#": true, "": true, "/": true,
		"a+": false, "+a/b": false, "a/#/b": false, "#/": false, "##": false, "a/b#": false,
	} {
		if got := topic.GoodWildcards(filter); got != want {
			t.Errorf("GoodWildcards(%q) = %v", filter, got)
		}
	}
}
