package acl_test

import (
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/internal/acl"
	"github.com/ccmkit/ccmkit/internal/vectors"
)

func TestVectors(t *testing.T) {
	type row struct {
		ACL   string `json:"acl"`
		Key   string `json:"key"`
		Allow bool   `json:"allow"`
	}
	vectors.Each(t, "bad/acl/*.jsonl", 1, func(t *testing.T, r row) {
		if r.Key == "" {
			return // not judged (rulings D7)
		}
		if got := acl.Allows(r.ACL, r.Key); got != r.Allow {
			t.Errorf("Allows(%q, %q) = %v", r.ACL, r.Key, got)
		}
	})
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"abc", "abc", true}, {"abc", "ABC", true}, {"ABC", "abc", true}, {"abc", "ab", false}, {"abc", "abcd", false},
		{"", "a", false}, {"", "", false}, {"*", "", false}, {"**", "", false},
		{"abc*", "abc", false}, {"abc*", "abcd", true}, {"abc*", "abcd.e", true}, {"abc*", "abc/", false}, {"abc**", "abc/", true}, {"abc**", "abc", false},
		{"a*c", "ac", true}, {"a*c", "abbc", true}, {"a*c", "ab/c", false}, {"a**c", "ab/c", true}, {"a***c", "ab/c", true}, {"a*c*", "acc", true}, {"a*c*", "abc", false},
		{"a?c", "abc", true}, {"a?c", "a/c", true}, {"a?c", "ac", false}, {"a?", "a", false}, {"a?", "ab", true},
		{"a|b", "b", true}, {"a|b", "a|b", false}, {"a|", "a", true}, {"|", "a", false},
		{"abc$", "abc", true}, {"abc$", "abc$", false}, {"a*$", "ab", true}, {"a[b]", "a[b]", true}, {"a#", "ab", false}, {`a\*`, `a\b`, true},
		{"wifi.*", "wifi.", false}, {"wifi.*", "wifi.sta.ssid", true}, {"wifi", "wifi.sta", false}, {" a", "a", false},
		{"*.*.x", "a.b.x", true}, {"*a*b*c", "xaybzc", true}, {"*a*b*c", "xaybz", false}, {"é*", "éa", true},
		{"az", "AZ", true}, {"@[", "`{", false}, {strings.Repeat("a", 128), strings.Repeat("A", 128), true},
		{strings.Repeat("a", 129), strings.Repeat("A", 129), true}, {"*a", strings.Repeat("a", 4096), true},
	} {
		if got := acl.Match(c.pattern, c.name); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.name, got)
		}
	}
}

func TestAllows(t *testing.T) {
	for _, c := range []struct {
		list, name string
		want       bool
	}{
		{"", "a", false}, {",,", "a", false}, {"*", "a.b", true}, {"a,b", "b", true}, {"-a,*", "a", false}, {"*,-a", "a", true}, {"+a", "a", true},
		{"--a", "-a", false}, {"-+a", "+a", false}, {"-", "a", false}, {"+", "a", false}, {"b,-*", "a", false}, {"-foo.bar,+foo.*,-*", "foo.qwe", true}, {"a,", "a", true},
	} {
		if got := acl.Allows(c.list, c.name); got != c.want {
			t.Errorf("Allows(%q, %q) = %v", c.list, c.name, got)
		}
	}
}

func TestAllocs(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { acl.Allows("-wifi.ap.*,a|b|c*,**.ssid", "wifi.sta.ssid") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A pattern with many runs takes no longer than one of its length without.
func FuzzAllows(f *testing.F) {
	f.Add("-foo.bar,+foo.*,-*", "foo.qwe")
	f.Add(strings.Repeat("*a", 2000)+"b", strings.Repeat("a", 4000))
	f.Add(strings.Repeat("**?|", 1000), strings.Repeat("/", 200))
	f.Fuzz(func(t *testing.T, list, name string) {
		allowed := acl.Allows(list, name)
		switch {
		case allowed && (name == "" || list == ""):
			t.Error("nothing is allowed")
		case allowed != acl.Allows(list, strings.ToUpper(name)) && isASCII(list+name):
			t.Error("it depends on the case")
		case acl.Match("**", name) != (name != ""):
			t.Error("** does not match")
		}
	})
}

func isASCII(s string) bool { return strings.IndexFunc(s, func(c rune) bool { return c >= 0x80 }) < 0 }
