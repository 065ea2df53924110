package shadow_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/ccmkit/ccmkit/internal/race"
	"github.com/ccmkit/ccmkit/shadow"
)

// hostile returns documents of about the size that would take minutes if the time
// were not linear.
func hostile(size int) map[string][]byte {
	members := func(n int, member func(i int) string) []byte {
		var b bytes.Buffer
		for i := range n {
			b.WriteString("," + member(i))
		}
		return append(append([]byte{'{'}, b.Bytes()[1:]...), '}')
	}
	nested := strings.Repeat(`{"a":`, 30)
	return map[string][]byte{
		"keys":           members(size/12, func(i int) string { return `"k` + strconv.Itoa(i) + `":1` }),
		"same key":       members(size/8, func(int) string { return `"key":1` }),
		"escaped keys":   members(size/16, func(i int) string { return `"\u0061` + strconv.Itoa(i) + `":1` }),
		"small objects":  members(size/20, func(i int) string { return `"k` + strconv.Itoa(i) + `":{"a":1}` }),
		"nulls":          members(size/16, func(i int) string { return `"k` + strconv.Itoa(i) + `":null` }),
		"deep":           []byte(nested + string(members(size/12, func(i int) string { return `"k` + strconv.Itoa(i) + `":1` })) + strings.Repeat("}", 30)),
		"long key":       []byte(`{"` + strings.Repeat("k", size/2) + `":` + string(members(size/24, func(i int) string { return `"k` + strconv.Itoa(i) + `":1` })) + `}`),
		"long keys":      members(20, func(i int) string { return `"` + strings.Repeat("k", size/20) + strconv.Itoa(i) + `":1` }),
		"array":          []byte(`{"a":[` + strings.Repeat("1,", size/2) + `1]}`),
		"array of pairs": []byte(`{"a":[` + strings.Repeat(`{"a":1,"b":2},`, size/14) + `1]}`),
		"commas":         []byte(`{"a":"` + strings.Repeat(",{[", size/3) + `"}`),
		"digits":         []byte(`{"a":1` + strings.Repeat("0", size) + `}`),
		"exponent":       []byte(`{"a":1e` + strings.Repeat("9", size) + `}`),
		"zeros":          []byte(`{"a":0.` + strings.Repeat("0", size) + `1e` + strconv.Itoa(size) + `}`),
		"escapes":        []byte(`{"a":"` + strings.Repeat(`\ud83d\ude00`, size/12) + `"}`),
		"open":           []byte(strings.Repeat(`{"a":`, size/5)),
		"spaces":         []byte("{" + strings.Repeat(" ", size) + "}"),
	}
}

// TestHostileDocuments: nothing is measured; a quadratic function would not come
// to its end.
func TestHostileDocuments(t *testing.T) {
	size := 600000 // 5e4 members
	if full() {
		size *= 2
	}
	if race.Enabled {
		size /= 16
	}
	docs := hostile(size)
	keys := docs["keys"]
	for name, doc := range docs {
		t.Run(name, func(t *testing.T) {
			for _, pair := range [][2][]byte{{doc, doc}, {doc, keys}, {nil, doc}} {
				shadow.Diff(pair[0], pair[1])
				shadow.Merge(pair[0], pair[1])
				shadow.Compose(pair[0], pair[1])
				shadow.Equal(pair[0], pair[1])
			}
			other := append(bytes.TrimSuffix(bytes.Clone(doc), []byte("}")), ` }`...)
			shadow.Equal(doc, other)
			shadow.Diff(other, doc)
			for _, n := range []int{10, 8192, len(doc) - 1} {
				shadow.Split(doc, func(part []byte) bool { return len(part) <= n })
			}
		})
	}
}
