package bench

import (
	"bytes"
	"context"
	"net"
	"testing"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/tidwall/gjson"
)

// BenchmarkFind16K looks up the last member of a 16 KiB document.
func BenchmarkFind16K(b *testing.B) {
	doc := input(b, "late16k.json")
	b.Run("ccmkit", func(b *testing.B) {
		v := mjson.Find(doc, "$.late.value")
		if string(v.Raw) != "42" {
			b.Fatalf("found %q", v.Raw)
		}
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			v = mjson.Find(doc, "$.late.value")
		}
	})
	b.Run("gjson", func(b *testing.B) {
		v := gjson.GetBytes(doc, "late.value")
		if v.Raw != "42" {
			b.Fatalf("found %q", v.Raw)
		}
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			v = gjson.GetBytes(doc, "late.value")
		}
	})
}

// BenchmarkMerge changes a 1 KiB document by another one: members that are
// changed, merged, removed and added.
func BenchmarkMerge(b *testing.B) {
	doc, patch := input(b, "merge_a.json"), input(b, "merge_b.json")
	want := mjson.Merge(nil, doc, patch)
	b.Run("ccmkit", func(b *testing.B) {
		var out []byte
		checkMerge(b, want)
		b.SetBytes(int64(len(doc) + len(patch)))
		b.ReportAllocs()
		for b.Loop() {
			out = mjson.Merge(out[:0], doc, patch)
		}
	})
	b.Run("sjson", func(b *testing.B) {
		out, err := sjsonMerge(doc, patch)
		if err != nil || !bytes.Equal(out, want) {
			b.Fatalf("merged %s, %v", out, err)
		}
		b.SetBytes(int64(len(doc) + len(patch)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := sjsonMerge(doc, patch); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// checkMerge looks for one member of each kind: merged, removed, untouched,
// replaced, added.
func checkMerge(tb testing.TB, merged []byte) {
	tb.Helper()
	for path, want := range map[string]string{
		"$.member04": `{"v":4,"s":"abc","t":"new"}`,
		"$.member05": "",
		"$.member06": `{"v":42,"s":"abc"}`,
		"$.member07": "[1,2,3,7]",
		"$.added006": `"a new member 6"`,
	} {
		if v := mjson.Find(merged, path); string(v.Raw) != want {
			tb.Errorf("%s is %q after the merge, want %q", path, v.Raw, want)
		}
	}
}

// BenchmarkPrintf formats the notification by which the CCM manual publishes a
// message.
func BenchmarkPrintf(b *testing.B) {
	const format = `{"method":"MQTT.Pub","params":{%Q:%Q,%Q:%Q,%Q:%d}}`
	const want = `{"method":"MQTT.Pub","params":{"topic":"dev/room/temp","message":"21.5","qos":1}}`
	b.Run("ccmkit", func(b *testing.B) {
		topic, message, qos := "dev/room/temp", []byte("21.5"), 1
		out, err := mjson.Appendf(nil, format, "topic", topic, "message", message, "qos", qos)
		if err != nil || string(out) != want {
			b.Fatalf("printed %s, %v", out, err)
		}
		b.SetBytes(int64(len(want)))
		b.ReportAllocs()
		for b.Loop() {
			if out, err = mjson.Appendf(out[:0], format, "topic", topic, "message", message, "qos", qos); err != nil {
				b.Fatal(err)
			}
			qos ^= 1 // keeps the arguments from being constants
		}
	})
}

// BenchmarkDecoder cuts lines of 64 bytes and a line feed out of a stream that
// comes in pieces of 1 KiB, the read buffer of a connection, so that about one
// line in sixteen lies in two pieces.
func BenchmarkDecoder(b *testing.B) {
	const lines, piece = 1024, 1024
	line := bytes.Repeat([]byte{' '}, 64)
	copy(line, `{"method": "Shadow.Report", "params": {"on": true, "uptime": 1}`)
	line[63] = '}'
	stream := bytes.Repeat(append(line, '\n'), lines)
	b.Run("ccmkit", func(b *testing.B) {
		d := framing.NewDecoder(0)
		feed := func() (found, size int) {
			for rest := stream; len(rest) > 0; {
				p := rest[:min(piece, len(rest))]
				rest = rest[len(p):]
				for len(p) > 0 {
					var l []byte
					if l, p = d.Feed(p); l != nil {
						found++
						size += len(l)
					}
				}
			}
			return found, size
		}
		if found, size := feed(); found != lines || size != lines*len(line) {
			b.Fatalf("%d lines of %d bytes in all", found, size)
		}
		b.SetBytes(int64(len(stream)))
		b.ReportAllocs()
		for b.Loop() {
			feed()
		}
	})
}

// BenchmarkCall is a call and its answer between two connections: printer,
// framer, pipe, parser, lane, handler, and back. Both ends have the defaults of
// their options, the reply cache included. The contender pipe is what nothing can
// get below: the bytes of one frame, sent through such a pipe and back.
func BenchmarkCall(b *testing.B) {
	b.Run("ccmkit", func(b *testing.B) {
		c := newCaller(b)
		ctx := context.Background()
		out, err := c.Call(ctx, nil, "Sum", "[%d,%d]", 2, 3)
		if err != nil || string(out) != "5" {
			b.Fatalf("answer %q, %v", out, err)
		}
		b.SetBytes(int64(len(`{"id":12007,"method":"Sum","params":[2,3]}`)))
		b.ReportAllocs()
		for b.Loop() {
			if out, err = c.Call(ctx, out[:0], "Sum", "[%d,%d]", 2, 3); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pipe", func(b *testing.B) {
		near, far := net.Pipe()
		echoed := make(chan struct{})
		go func() {
			defer close(echoed)
			buf := make([]byte, 64)
			for {
				n, err := far.Read(buf)
				if err != nil {
					return
				}
				far.Write(buf[:n])
			}
		}()
		frame, buf := []byte(`{"id":12007,"method":"Sum","params":[2,3]}`), make([]byte, 64)
		b.SetBytes(int64(len(frame)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := near.Write(frame); err != nil {
				b.Fatal(err)
			}
			if _, err := near.Read(buf); err != nil {
				b.Fatal(err)
			}
		}
		near.Close()
		<-echoed
	})
}

// newCaller returns a connection to a peer that serves the handlers.
func newCaller(tb testing.TB) *jsonrpc.Conn {
	near, far := net.Pipe()
	var mux jsonrpc.Mux
	new(handlers).register(&mux)
	caller := jsonrpc.NewConn(framing.NewConn(near, nil), &jsonrpc.ConnOptions{FirstID: 12007})
	callee := jsonrpc.NewConn(framing.NewConn(far, nil), &jsonrpc.ConnOptions{Handler: &mux})
	done := make(chan struct{}, 2)
	for _, c := range []*jsonrpc.Conn{caller, callee} {
		go func() {
			c.Run(context.Background())
			done <- struct{}{}
		}()
	}
	tb.Cleanup(func() {
		caller.Close()
		callee.Close()
		<-done
		<-done
	})
	return caller
}
