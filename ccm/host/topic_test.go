package host

import "testing"

func TestMatchTopic(t *testing.T) {
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
		if got := matchTopic(c.filter, c.topic); got != c.want {
			t.Errorf("matchTopic(%q, %q) = %v", c.filter, c.topic, got)
		}
	}
}
