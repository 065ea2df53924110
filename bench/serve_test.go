package bench

import (
	"bytes"
	"encoding/json"
	"testing"
)

// sumServers are the contenders of BenchmarkSum with the frame each of them
// takes.
var sumServers = []struct {
	name  string
	frame string
	make  func(testing.TB) server
}{
	{"ccmkit", sumFrame, func(testing.TB) server { return newStrict() }},
	{"engine", sumFrame, func(testing.TB) server { return newEngine() }},
	{"gjson", sumFrame, func(testing.TB) server { return new(gjsonServer) }},
	{"encodingjson", sumFrame, func(testing.TB) server { return new(stdServer) }},
	{"jrpc2", sumFrame20, func(tb testing.TB) server { return newJRPC2(tb) }},
	{"xexp", sumFrame20, func(tb testing.TB) server { return newXExp(tb) }},
	{"sourcegraph", sumFrame20, func(tb testing.TB) server { return newSourcegraph(tb) }},
}

// listeners are the contenders that take all frames of the stream.
var listeners = []struct {
	name string
	make func() listener
}{
	{"ccmkit", func() listener { return newStrict() }},
	{"gjson", func() listener { return new(gjsonServer) }},
}

// measure serves one frame again and again, into one buffer.
func measure(b *testing.B, s server, frame, want []byte) {
	out := s.serve(nil, frame)
	if err := sameReply(out, want); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		out = s.serve(out[:0], frame)
	}
}

// BenchmarkSum answers the smallest useful request.
func BenchmarkSum(b *testing.B) {
	for _, c := range sumServers {
		b.Run(c.name, func(b *testing.B) {
			measure(b, c.make(b), []byte(c.frame), []byte(sumAnswer))
		})
	}
}

// BenchmarkNotification takes a notification and reads its one parameter.
func BenchmarkNotification(b *testing.B) {
	for _, c := range listeners {
		b.Run(c.name, func(b *testing.B) {
			s := c.make()
			measure(b, s, []byte(deltaFrame), nil)
			if s.heard() == 0 {
				b.Fatal("the notification did not reach its handler")
			}
		})
	}
}

// BenchmarkParams16K takes a request with 16 KiB of params for a handler that
// does not look at them: what is left is finding the params and checking them.
func BenchmarkParams16K(b *testing.B) {
	frame := input(b, "params16k.json")
	for _, c := range listeners {
		b.Run(c.name, func(b *testing.B) {
			measure(b, c.make(), frame, []byte(`{"id":77,"result":null}`))
		})
	}
	b.Run("jsonvalid", func(b *testing.B) {
		if !json.Valid(frame) {
			b.Fatal("the frame is not JSON")
		}
		b.SetBytes(int64(len(frame)))
		b.ReportAllocs()
		for b.Loop() {
			if !json.Valid(frame) {
				b.Fatal("invalid")
			}
		}
	})
}

// eachLine calls fn for the lines of text. Every contender pays for it.
func eachLine(text []byte, fn func(line []byte)) {
	for len(text) > 0 {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			i = len(text) - 1
		}
		fn(text[:i])
		text = text[i+1:]
	}
}

// BenchmarkStream answers 1 MB of mixed requests and notifications, one a line,
// each reply into the same buffer.
func BenchmarkStream(b *testing.B) {
	text := input(b, "stream.txt")
	want := streamReplies(newStrict(), text)
	for _, c := range listeners {
		b.Run(c.name, func(b *testing.B) {
			s := c.make()
			if !bytes.Equal(streamReplies(s, text), want) {
				b.Fatal("the contenders answer differently")
			}
			var out []byte
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				eachLine(text, func(line []byte) { out = s.serve(out[:0], line) })
			}
		})
	}
	b.Run("jsonvalid", func(b *testing.B) {
		valid := true
		check := func(line []byte) { valid = json.Valid(line) && valid }
		if eachLine(text, check); !valid {
			b.Fatal("a line is not JSON")
		}
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			eachLine(text, check)
		}
	})
}

// streamReplies returns the replies to all lines of text, one a line.
func streamReplies(s server, text []byte) []byte {
	var all []byte
	eachLine(text, func(line []byte) {
		n := len(all)
		if all = s.serve(all, line); len(all) > n {
			all = append(all, '\n')
		}
	})
	return all
}
