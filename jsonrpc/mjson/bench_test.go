package mjson_test

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// largeDoc is an object of about 16 KiB with its last member named "late".
func largeDoc() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := 0; b.Len() < 16<<10; i++ {
		n := strconv.Itoa(i * 7919 % 10007)
		b.WriteString(`"sensor_` + n + `":{"temp":` + n + `.25,"on":true,"hist":[` + n + `,-3,1.5e3,null],"name":"the ` + n + `th sensor"},`)
	}
	b.WriteString(`"late":{"value":42}}`)
	return b.Bytes()
}

var frame = []byte(`{"id": 12007, "method": "MQTT.Pub", "params": {"topic": "dev/room/temp", "message": "21.5", "qos": 1}}`)

func benchmark(b *testing.B, bytes int, f func()) {
	b.Helper()
	b.ReportAllocs()
	b.SetBytes(int64(bytes))
	for b.Loop() {
		f()
	}
}

func BenchmarkScan(b *testing.B) {
	doc := largeDoc()
	fn := func(mjson.Type, int, int) bool { return true }
	b.Run("events", func(b *testing.B) { benchmark(b, len(doc), func() { mjson.Scan(doc, fn) }) })
	b.Run("check", func(b *testing.B) { benchmark(b, len(doc), func() { mjson.Scan(doc, nil) }) })
	b.Run("frame", func(b *testing.B) { benchmark(b, len(frame), func() { mjson.Scan(frame, nil) }) })
}

func BenchmarkFind(b *testing.B) {
	doc := largeDoc()
	b.Run("late", func(b *testing.B) { benchmark(b, len(doc), func() { mjson.Find(doc, "$.late.value") }) })
	b.Run("frame", func(b *testing.B) { benchmark(b, len(frame), func() { mjson.Find(frame, "$.params.qos") }) })
}

func BenchmarkParseNumber(b *testing.B) {
	for _, token := range []string{"12007", "-21.5", "2.718281828459045", "1.7976931348623157e308",
		"9007199254740993.00000000000000000000000001"} {
		raw := []byte(token)
		b.Run(token, func(b *testing.B) { benchmark(b, len(raw), func() { mjson.ParseNumber(raw) }) })
	}
}

func BenchmarkAppendf(b *testing.B) {
	dst := make([]byte, 0, 256)
	n := 12000
	b.Run("frame", func(b *testing.B) {
		benchmark(b, 0, func() {
			n++
			dst, _ = mjson.Appendf(dst[:0], `{"id":%d,"result":{%Q:%g,%Q:%B}}`, n, "temp", 21.5, "on", n&1 == 0)
		})
	})
	text := bytes.Repeat([]byte("some text to quote "), 50)
	b.Run("quote", func(b *testing.B) {
		benchmark(b, len(text), func() { dst = mjson.AppendQuoteBytes(dst[:0], text) })
	})
}

func BenchmarkUnquote(b *testing.B) {
	quoted := mjson.AppendQuoteBytes(nil, bytes.Repeat([]byte("a line of text\n"), 60))
	dst := make([]byte, 0, len(quoted))
	benchmark(b, len(quoted), func() { dst, _ = mjson.AppendUnquote(dst[:0], quoted) })
}

func BenchmarkMerge(b *testing.B) {
	var x, y bytes.Buffer
	for i := range 40 {
		n := strconv.Itoa(100 + i)
		x.WriteString(`,"member` + n + `":{"v":` + n + `,"s":"abc"}`)
		y.WriteString(`,"member` + n + []string{`":{"v":1}`, `":null`, `":[1,2,3]`, `x":"added"`}[i%4])
	}
	a := append(append([]byte{'{'}, x.Bytes()[1:]...), '}')
	c := append(append([]byte{'{'}, y.Bytes()[1:]...), '}')
	dst := make([]byte, 0, 4096)
	benchmark(b, len(a)+len(c), func() { dst = mjson.Merge(dst[:0], a, c) })
}

func BenchmarkPretty(b *testing.B) {
	doc := largeDoc()
	dst := make([]byte, 0, 4*len(doc))
	benchmark(b, len(doc), func() { dst, _ = mjson.Pretty(dst[:0], doc, "  ") })
}

func BenchmarkMatch(b *testing.B) {
	for _, pattern := range []string{"Config.Set", "Config.*", "#", "#.S?t"} {
		b.Run(pattern, func(b *testing.B) { benchmark(b, 0, func() { mjson.Match(pattern, []byte("Config.Set")) }) })
	}
}
