package mjson_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// matchModel tries every way to match.
func matchModel(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	switch c := pattern[0]; {
	case c == '#' || c == '*':
		if matchModel(pattern[1:], text) {
			return true
		}
		return text != "" && (c == '#' || text[0] != '/') && matchModel(pattern, text[1:])
	case text == "":
		return false
	case c == '?' || c == text[0]:
		return matchModel(pattern[1:], text[1:])
	}
	return false
}

func TestMatchModel(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	pick := func(alphabet string, n int) string {
		b := make([]byte, r.IntN(n+1))
		for i := range b {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
		return string(b)
	}
	matches := 0
	for range 50000 {
		pattern, text := pick("ab/*#?", 7), pick("aab/", 8)
		want := matchModel(pattern, text)
		if got := mjson.Match(pattern, guarded([]byte(text))); got != want {
			t.Fatalf("Match(%q, %q) = %v", pattern, text, got)
		}
		if want {
			matches++
		}
	}
	t.Logf("%d matches", matches)
}

func TestMatchRepairs(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*/foo", "a/b/foo", false},
		{"#/foo", "a//foo", true},
		{"#*", "a/b", true},
		{"*?*b", "a/b", true},
		{"*", "*", true}, {"?", "/", true}, {"#", "", true}, {"a#", "a", true}, {"a?", "a", false},
		{strings.Repeat("*a", 40), strings.Repeat("a", 100) + "b", false},
		{strings.Repeat("#a", 400) + "#", strings.Repeat("a", 400), true},
		{strings.Repeat("#a", 400) + "#", strings.Repeat("a", 399), false},
		{strings.Repeat("?", 512), strings.Repeat("x", 512), true},
		{strings.Repeat("*?", 300), strings.Repeat("x", 299), false},
	} {
		if got := mjson.Match(c.pattern, []byte(c.text)); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.text, got)
		}
	}
}
