package ccmtest

import (
	"context"
	"strconv"
	"sync/atomic"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Sizes of the input buffer: of the library's own framer, which GenHead lost, and
// of the sketch on which GenHead was measured.
const (
	libraryBuffer = 256
	sketchBuffer  = 1024
)

// stock is the C library on a host: a line buffer of fixed size before a
// jsonrpc.Engine, which dispatches and prints. What the library does and the
// Engine does not, is done here: the buffer that starts anew when it is full,
// frames that run although they are cut short, and error responses that a
// library does not know for what they are.
type stock struct {
	gen      Generation
	engine   *jsonrpc.Engine
	response func(frame []byte) // the response callback
	size     int
	buf      []byte
	frame    []byte // scratch of process

	wraps, complaints atomic.Uint64 // full buffers; frames answered by a parse error
}

// newStock returns the library of a stock generation; size 0 is the usual one.
func newStock(gen Generation, info jsonrpc.SysInfo, size int) *stock {
	s := &stock{gen: gen, size: size}
	switch gen {
	case Gen2018:
		s.engine = jsonrpc.NewCCMEngine(info)
	case Gen2019:
		s.engine = &jsonrpc.Engine{}
		s.engine.Mux.Exact = true
		s.engine.Handle("RPC.List", jsonrpc.ListHandler(&s.engine.Mux))
	default:
		s.engine = jsonrpc.NewEngine()
	}
	if s.size <= 0 {
		s.size = libraryBuffer
		if gen == GenHead {
			s.size = sketchBuffer
		}
	}
	return s
}

// reset empties the buffer.
func (s *stock) reset() { s.buf = s.buf[:0] }

// receive takes bytes from the line and hands on what the library sends. Lines
// of no or one byte are ignored. A byte that finds the buffer full empties it
// first, the line end too: so a line as long as the buffer vanishes, and of a
// longer one the tail counts as a line of its own.
func (s *stock) receive(ctx context.Context, p []byte, send func([]byte)) {
	for _, b := range p {
		if len(s.buf) >= s.size {
			s.reset()
			s.wraps.Add(1)
		}
		if b != '\n' {
			s.buf = append(s.buf, b)
			continue
		}
		line := s.buf
		s.reset()
		if len(line) <= 1 {
			continue
		}
		if reply := s.process(ctx, nil, line); len(reply) > 0 {
			send(reply)
		}
		if ctx.Err() != nil { // a reset while the handler ran
			return
		}
	}
}

// process handles one frame and appends what the library sends.
func (s *stock) process(ctx context.Context, dst, frame []byte) []byte {
	if s.gen.strict() {
		if _, err := mjson.Scan(frame, nil); err != nil {
			return s.complain(dst, frame)
		}
	}
	if mjson.Find(frame, "$.result").Exists() || !s.gen.strict() && mjson.Find(frame, "$.error").Exists() {
		if s.response != nil {
			s.response(frame)
		}
		return dst
	}
	method, ok := s.method(mjson.Find(frame, "$.method"))
	if !ok {
		return s.complain(dst, frame)
	}
	// What the library has found, as a whole frame.
	f := append(append(s.frame[:0], `{"method":`...), method...)
	for _, m := range []struct{ head, path string }{{`,"id":`, "$.id"}, {`,"params":`, "$.params"}} {
		if v := mjson.Find(frame, m.path); v.Exists() {
			f = append(append(f, m.head...), v.Raw...)
		}
	}
	s.frame = append(f, '}')
	return s.engine.Process(ctx, dst, s.frame)
}

// method returns the method of a frame as JSON text that the Engine decodes to
// what the library compares with the names, and reports whether the library
// takes it for a method.
func (s *stock) method(v mjson.Value) (text []byte, ok bool) {
	if v.Type() != mjson.String {
		return nil, false
	}
	raw := v.Raw[1 : len(v.Raw)-1]
	if !s.gen.strict() { // it compares the text as it stands
		return mjson.AppendQuoteBytes(nil, raw), true
	}
	var name []byte
	for len(raw) > 0 {
		b, n := s.gen.char(raw)
		if n == 0 {
			return nil, false
		}
		name, raw = append(name, b), raw[n:]
	}
	const maxName = 49 // it decodes into a buffer of 50 bytes
	return v.Raw, 0 < len(name) && len(name) <= maxName
}

// complain appends the answer to a frame that is no request: an error without id
// that quotes it.
func (s *stock) complain(dst, frame []byte) []byte {
	s.complaints.Add(1)
	dst = append(dst, `{"error":{"code":`...)
	dst = strconv.AppendInt(dst, jsonrpc.CodeParseError, 10)
	dst = append(dst, `,"message":`...)
	return append(s.gen.appendQuoted(dst, frame), "}}\n"...)
}
