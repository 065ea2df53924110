//go:build ignore

// Gen writes the inputs of the benchmarks. It was run once; the files are
// committed, so that every run measures the same bytes:
//
//	go run testdata/gen.go
//
// params16k.json is a request whose params are a 16 KiB object of nested
// objects, arrays, numbers and strings with about 4 100 tokens (keys, values
// and punctuation); late16k.json is a document of the same kind whose last
// member is "late"; stream.txt is 1 MB of mixed small frames, one a line.
package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

var words = []string{"temp", "hum", "state", "mode", "on", "uptime", "rssi", "wifi", "ssid", "name", "led", "pwm", "fan", "t1", "x", "y", "zone", "sensor", "batt", "cfg"}

type gen struct {
	r *rand.Rand
	b bytes.Buffer
}

func (g *gen) key() {
	fmt.Fprintf(&g.b, "%q:", fmt.Sprintf("%s_%d", words[g.r.IntN(len(words))], g.r.IntN(1000)))
}

func (g *gen) scalar() {
	switch k := g.r.IntN(20); {
	case k < 6:
		fmt.Fprintf(&g.b, "%d", g.r.IntN(10000))
	case k < 8:
		fmt.Fprintf(&g.b, "%d", g.r.IntN(2_000_000_000)-1_000_000_000)
	case k < 11:
		fmt.Fprintf(&g.b, "%.2f", g.r.Float64()*200-100)
	case k < 12:
		fmt.Fprintf(&g.b, "%.3e", g.r.NormFloat64())
	case k < 14:
		fmt.Fprintf(&g.b, "%q", words[g.r.IntN(len(words))])
	case k < 16:
		fmt.Fprintf(&g.b, "%q", words[g.r.IntN(len(words))]+" is "+words[g.r.IntN(len(words))]+" of this device")
	case k < 17:
		g.b.WriteString(`"a\tb\"c"`)
	case k < 18:
		g.b.WriteString("true")
	case k < 19:
		g.b.WriteString("false")
	default:
		g.b.WriteString("null")
	}
}

func (g *gen) value(depth int) {
	switch k := g.r.IntN(10); {
	case depth > 0 && k < 2:
		g.b.WriteByte('{')
		for i := range g.r.IntN(5) + 1 {
			if i > 0 {
				g.b.WriteByte(',')
			}
			g.key()
			g.value(depth - 1)
		}
		g.b.WriteByte('}')
	case depth > 0 && k < 4:
		g.b.WriteByte('[')
		for i := range g.r.IntN(6) + 1 {
			if i > 0 {
				g.b.WriteByte(',')
			}
			g.value(depth - 1)
		}
		g.b.WriteByte(']')
	default:
		g.scalar()
	}
}

// object appends members until the text has size bytes; then tail closes it.
func (g *gen) object(size int, tail string) {
	g.b.WriteByte('{')
	for i := 0; g.b.Len() < size-len(tail); i++ {
		if i > 0 {
			g.b.WriteByte(',')
		}
		g.key()
		g.value(4)
	}
	g.b.WriteString(tail)
}

func (g *gen) frame() {
	id := g.r.IntN(100000)
	w := words[g.r.IntN(len(words))]
	switch g.r.IntN(8) {
	case 0, 1, 2:
		fmt.Fprintf(&g.b, `{"id": %d, "method": "Sum", "params": [%d,%d]}`, id, g.r.IntN(100), g.r.IntN(10000))
	case 3:
		fmt.Fprintf(&g.b, `{"method": "Shadow.Report", "params": {"on": true, "uptime": %d}}`, g.r.IntN(100000))
	case 4:
		fmt.Fprintf(&g.b, `{"method": "MQTT.Pub", "params": {"topic": "dev/room/%s", "message": "%d", "qos": 1}}`, w, g.r.IntN(10000))
	case 5:
		fmt.Fprintf(&g.b, `{"id":%d,"method":"Echo","params":{"%s":%.2f}}`, id, w, g.r.Float64()*100)
	case 6:
		fmt.Fprintf(&g.b, `{"method": "Shadow.Delta", "params": {"%s": %d}}`, w, g.r.IntN(100))
	case 7:
		fmt.Fprintf(&g.b, `{"id":%d,"method":"Nope.%s","params":true}`, id, w)
	}
	g.b.WriteByte('\n')
}

// mergeDocs writes two objects of about 1 KiB: the second changes, adds and
// removes members of the first.
func mergeDocs(dir string) {
	var a, b bytes.Buffer
	a.WriteByte('{')
	b.WriteByte('{')
	sep := ""
	for i := range 40 {
		fmt.Fprintf(&a, `%s"member%02d":{"v":%d,"s":"abc"}`, sep, i, i*7)
		switch i % 4 {
		case 0:
			fmt.Fprintf(&b, `%s"member%02d":{"v":%d,"t":"new"}`, sep, i, i)
		case 1:
			fmt.Fprintf(&b, `%s"member%02d":null`, sep, i)
		case 2:
			fmt.Fprintf(&b, `%s"added%03d":"a new member %d"`, sep, i, i)
		case 3:
			fmt.Fprintf(&b, `%s"member%02d":[1,2,3,%d]`, sep, i, i)
		}
		sep = ","
	}
	a.WriteByte('}')
	b.WriteByte('}')
	save(dir, "merge_a.json", a.Bytes())
	save(dir, "merge_b.json", b.Bytes())
}

func save(dir, name string, data []byte) {
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	const dir = "testdata"
	src := rand.NewPCG(7, 41)

	g := &gen{r: rand.New(src)}
	g.object(16<<10, "}")
	save(dir, "params16k.json", fmt.Appendf(nil, `{"id":77,"method":"Config.Set","params":%s}`, g.b.Bytes()))

	g = &gen{r: rand.New(src)}
	g.object(16<<10, `,"late":{"value":42}}`)
	save(dir, "late16k.json", g.b.Bytes())

	g = &gen{r: rand.New(src)}
	for g.b.Len() < 1<<20 {
		g.frame()
	}
	save(dir, "stream.txt", g.b.Bytes())
	mergeDocs(dir)
}
