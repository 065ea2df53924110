package jsonrpc

import "context"

// Handler answers requests. It is the one kind of handler in the house: the
// [Engine] and the [Conn] drive the same ones.
//
// ServeRPC reads the request and writes at most one answer into the response.
// The request's slices and the response are valid until ServeRPC returns; use
// [Request.Clone] and [Response.Detach] for what must last longer. ctx belongs
// to the connection: it carries the caller and ends with the connection. A
// panic becomes an internal error.
type Handler interface {
	ServeRPC(ctx context.Context, w *Response, r *Request)
}

// HandlerFunc is a function as a [Handler].
type HandlerFunc func(ctx context.Context, w *Response, r *Request)

// ServeRPC calls f.
func (f HandlerFunc) ServeRPC(ctx context.Context, w *Response, r *Request) { f(ctx, w, r) }

// Lane tells how a [Conn] runs a handler. An [Engine] runs every handler at
// once.
type Lane uint8

const (
	// Ordered handlers of a connection run one at a time in the order in
	// which their requests arrived. This is the default.
	Ordered Lane = iota
	// Beside handlers run in parallel with the ordered ones.
	Beside
	// Immediate handlers run on the goroutine that reads the connection, so
	// that they answer even while others are stuck. They must be quick and
	// must not call the peer.
	Immediate
)

// Scheduler is a Handler that knows in which lane a method runs. [Mux] is one;
// a handler that wraps a Mux should be one too and ask the Mux.
type Scheduler interface {
	Handler
	LaneOf(method []byte) Lane
}

// laned is a handler with its lane.
type laned struct {
	Handler
	lane Lane
}

// In returns h to be run in the given lane, for [Mux.Handle].
func In(lane Lane, h Handler) Handler { return laned{h, lane} }

// Serve runs h for a parsed call or notification and appends the reply, without
// a line end, to dst: the result or the error of a call, null if the handler
// answered nothing, and nothing at all for a notification or a response. It is
// for doors that have their own framing and one request at a time, such as an
// HTTP body; detached answers are not sent. It allocates only when dst is too
// small.
func Serve(ctx context.Context, dst []byte, m *Message, h Handler) []byte {
	return ServeCodes(ctx, dst, m, h, nil)
}

// ServeCodes is [Serve] for a door with other error codes: codes translates
// those of the handler. [ManagementCode] is one.
func ServeCodes(ctx context.Context, dst []byte, m *Message, h Handler, codes func(code int) int) []byte {
	if m.kind != KindCall && m.kind != KindNotification {
		return dst
	}
	w := &m.reply
	w.reset(dst, m.ID())
	w.codes = codes
	serve(ctx, h, w, &m.Request)
	if !w.answered {
		w.Result(nil)
	}
	dst, w.buf = w.buf, nil
	return dst
}

// serve runs a handler and turns a panic, or the end of its goroutine, into an
// internal error.
func serve(ctx context.Context, h Handler, w *Response, r *Request) {
	start, returned := len(w.buf), false
	defer func() {
		if !returned {
			w.panicked(start, r, recover())
		}
	}()
	h.ServeRPC(ctx, w, r)
	returned = true
}
