package bench

import (
	"context"

	"github.com/ccmkit/ccmkit/jsonrpc"
)

// handlers are the methods of the frames, as users of the package write them.
// The strict path and the engine drive the same ones.
type handlers struct {
	notified int
}

func (h *handlers) heard() int { return h.notified }

func (h *handlers) register(m *jsonrpc.Mux) {
	m.HandleFunc("Sum", h.sum)
	m.HandleFunc("Echo", h.echo)
	m.HandleFunc("Shadow.Delta", h.delta)
	m.HandleFunc("Shadow.Report", h.note)
	m.HandleFunc("MQTT.Pub", h.note)
	m.HandleFunc("Config.Set", h.null)
}

func (h *handlers) sum(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	a, isInt := r.Arg(0).Int()
	b, isInt2 := r.Arg(1).Int()
	if !isInt || !isInt2 {
		w.Fail(jsonrpc.ErrInvalidParams)
		return
	}
	w.Resultf("%d", a+b)
}

func (h *handlers) echo(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	w.Result(r.Params())
}

func (h *handlers) delta(_ context.Context, _ *jsonrpc.Response, r *jsonrpc.Request) {
	if on, _ := r.Param("on").Bool(); on {
		h.notified++
	}
}

func (h *handlers) note(context.Context, *jsonrpc.Response, *jsonrpc.Request) { h.notified++ }

func (h *handlers) null(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) { w.Result(nil) }

// strict is the contender "ccmkit": the whole frame is checked against RFC 8259
// and the rules of JSON-RPC before a handler runs, as on a connection.
type strict struct {
	handlers
	msg jsonrpc.Message
	mux jsonrpc.Mux
}

func newStrict() *strict {
	s := new(strict)
	s.register(&s.mux)
	return s
}

func (s *strict) serve(dst, frame []byte) []byte {
	if err := jsonrpc.Parse(frame, &s.msg); err != nil {
		return dst
	}
	return jsonrpc.Serve(context.Background(), dst, &s.msg, &s.mux)
}

// engine is the contender "engine": the drop-in for the C library, with its
// grammar. Its frames end with a line feed.
type engine struct {
	handlers
	e *jsonrpc.Engine
}

func newEngine() *engine {
	s := &engine{e: jsonrpc.NewEngine()}
	s.register(&s.e.Mux)
	return s
}

func (s *engine) serve(dst, frame []byte) []byte {
	return s.e.Process(context.Background(), dst, frame)
}
