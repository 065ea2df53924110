package jsonrpc

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Mux calls the handler that is registered for the method of a request. The
// zero Mux has no handlers and is ready for use. It is safe for concurrent use;
// handlers may be added while it serves.
//
// Names are patterns: ? stands for one byte, * for a run of bytes other than a
// slash, # for any run. A pattern also matches itself. Of several patterns that
// match, the one registered last counts, and so a name that is registered again
// hides the older one. Methods in requests are data, never patterns.
type Mux struct {
	// Exact turns patterns off: names are compared byte by byte. Set it before
	// the first registration.
	Exact bool

	register sync.Mutex // held while a new table is made
	table    atomic.Pointer[muxTable]
}

// muxTable is what is registered. It never changes, so that look-ups need no
// lock; a registration replaces it.
type muxTable struct {
	entries  []*muxEntry   // in order of registration
	byLength [][]*muxEntry // the newest entry of each name, by the length of the name
	globs    []*muxEntry   // those that hold a wildcard, newest last
}

type muxEntry struct {
	name    string
	handler Handler
	lane    Lane
	at      int // place in the order of registration
}

// Handle registers a handler for the methods that pattern matches, which has at
// most [MaxMethod] bytes. Use [In] to choose the lane it runs in. A nil handler
// and a longer pattern panic.
func (m *Mux) Handle(pattern string, h Handler) {
	if h == nil {
		panic("jsonrpc: nil handler for " + pattern)
	}
	if len(pattern) > MaxMethod {
		panic("jsonrpc: name too long: " + pattern)
	}
	e := &muxEntry{name: pattern, handler: h}
	if l, is := h.(laned); is {
		e.handler, e.lane = l.Handler, l.lane
	}
	m.register.Lock()
	defer m.register.Unlock()
	var t muxTable
	if old := m.table.Load(); old != nil {
		t = *old
	}
	e.at = len(t.entries)
	t.entries = append(slices.Clip(t.entries), e)
	lengths := make([][]*muxEntry, max(len(t.byLength), len(pattern)+1))
	copy(lengths, t.byLength)
	t.byLength = lengths
	same := slices.Clone(t.byLength[len(pattern)])
	same = slices.DeleteFunc(same, func(o *muxEntry) bool { return o.name == pattern })
	t.byLength[len(pattern)] = append(same, e)
	if !m.Exact && strings.ContainsAny(pattern, "?*#") {
		t.globs = append(slices.Clip(t.globs), e)
	}
	m.table.Store(&t)
}

// HandleFunc registers a function.
func (m *Mux) HandleFunc(pattern string, f func(ctx context.Context, w *Response, r *Request)) {
	m.Handle(pattern, HandlerFunc(f))
}

// Names returns the registered names and patterns, the newest first. A name
// that was registered twice stands twice.
func (m *Mux) Names() []string {
	t := m.table.Load()
	if t == nil {
		return nil
	}
	names := make([]string, 0, len(t.entries))
	for i := len(t.entries) - 1; i >= 0; i-- {
		names = append(names, t.entries[i].name)
	}
	return names
}

// Lookup returns the handler for a method and the lane it runs in, or nil.
func (m *Mux) Lookup(method []byte) (Handler, Lane) {
	if e := m.lookup(method); e != nil {
		return e.handler, e.lane
	}
	return nil, Ordered
}

// lookup returns the newest entry whose name is the method or matches it.
func (m *Mux) lookup(method []byte) *muxEntry {
	t := m.table.Load()
	if t == nil {
		return nil
	}
	var best *muxEntry
	if len(method) < len(t.byLength) {
		for _, e := range t.byLength[len(method)] {
			if e.name == string(method) {
				best = e
				break
			}
		}
	}
	for i := len(t.globs) - 1; i >= 0; i-- {
		g := t.globs[i]
		if best != nil && g.at <= best.at {
			break
		}
		if mjson.Match(g.name, method) {
			return g
		}
	}
	return best
}

// LaneOf returns the lane of the method's handler.
func (m *Mux) LaneOf(method []byte) Lane {
	_, lane := m.Lookup(method)
	return lane
}

// ServeRPC calls the handler for the request's method, or answers
// CodeMethodNotFound. Method names of more than [MaxMethod] bytes are not
// looked up.
func (m *Mux) ServeRPC(ctx context.Context, w *Response, r *Request) {
	if e := m.lookup(r.Method()); e != nil {
		e.handler.ServeRPC(ctx, w, r)
		return
	}
	w.Error(CodeMethodNotFound, ErrMethodNotFound.Message)
}

// ListHandler answers with the names registered in m, the newest first: what
// hosts call RPC.List or rpc.list.
func ListHandler(m *Mux) Handler {
	return In(Immediate, HandlerFunc(func(_ context.Context, w *Response, _ *Request) {
		list := []byte{'['}
		for i, name := range m.Names() {
			if i > 0 {
				list = append(list, ',')
			}
			list, _ = w.printer.Appendf(list, "%Q", name)
		}
		w.Result(append(list, ']'))
	}))
}
