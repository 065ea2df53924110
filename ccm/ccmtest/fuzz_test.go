package ccmtest

import (
	"bytes"
	"context"
	"testing"

	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// FuzzStock: a stock host lives through everything, what it sends does not
// depend on how its input is cut, and is JSON with a line end.
func FuzzStock(f *testing.F) {
	for _, s := range []string{
		"{\"id\":1,\"method\":\"Sum\",\"params\":[2,3]}\n", "{\"id\":1,\"method\":\"Sum\",\"params\":[2,3\n", "hello\n\r\n5\n",
		"{\"id\":1,\"error\":{\"code\":1}}\n", "{\"id\":1,\"method\":\"S\\u0075m\"}\n{\"method\":\"\\", "{\"result\":1}\n",
		"[{\"id\":1}]\n\x00\xff\n", "{\"id\":\"a/b\",\"method\":\"rpc.list\"}\n{\"id\":{},\"method\":\"RPC.List\"}\n",
	} {
		f.Add(uint8(0), uint16(0), []byte(s))
		f.Add(uint8(3), uint16(40), []byte(s))
	}
	f.Fuzz(func(t *testing.T, gen uint8, size uint16, in []byte) {
		run := func(cut int) (out []byte) {
			s := newStock(Generation(gen%4), jsonrpc.SysInfo{FWVersion: "1.0"}, int(size))
			s.engine.HandleFunc("Sum", sum)
			for p := in; len(p) > 0; {
				n := min(cut, len(p))
				s.receive(context.Background(), p[:n], func(b []byte) { out = append(out, b...) })
				p = p[n:]
			}
			return out
		}
		out := run(len(in) + 1)
		if pieces := run(1); !bytes.Equal(out, pieces) {
			t.Errorf("in one piece %q, byte by byte %q", out, pieces)
		}
		if bytes.IndexByte(in, 0) >= 0 {
			return // quoted as it is, which is not JSON
		}
		for line := range bytes.Lines(out) {
			if n, err := mjson.Scan(line, nil); err != nil || n != len(line)-1 || line[n] != '\n' {
				t.Errorf("it sends %q: %v", line, err)
			}
		}
	})
}

// FuzzResample: any two modes give some bytes, no more than fit in the time, and
// a receiver in the sender's mode reads what was sent.
func FuzzResample(f *testing.F) {
	f.Add(115200, uint8(8), uint8(0), uint8(1), 9600, uint8(8), uint8(2), uint8(2), []byte("hello"))
	f.Add(9600, uint8(7), uint8(3), uint8(2), 1_000_000, uint8(5), uint8(4), uint8(1), []byte{0, 0xff, 0x55})
	f.Fuzz(func(t *testing.T, baudA int, bitsA, parityA, stopA uint8, baudB int, bitsB, parityB, stopB uint8, p []byte) {
		a := uart.Mode{Baud: baudA, DataBits: int(bitsA), Parity: uart.Parity(parityA), StopBits: uart.StopBits(stopA)}
		b := uart.Mode{Baud: baudB, DataBits: int(bitsB), Parity: uart.Parity(parityB), StopBits: uart.StopBits(stopB)}
		if !validMode(a) || !validMode(b) || len(p) > 1000 {
			return
		}
		out := resample(p, a, b)
		if limit := len(p) * charBits(a); len(out) > limit {
			t.Errorf("%d bytes became %d", len(p), len(out))
		}
		want := bytes.Clone(p)
		for i := range want {
			want[i] &= byte(1<<a.DataBits - 1)
		}
		if got := resample(p, a, a); !bytes.Equal(got, want) {
			t.Errorf("%v: % x became % x", a, p, got)
		}
	})
}
