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
	entries  []muxEntry           // in order of registration
	byLength [MaxMethod + 1][]int // the newest entry of each name, by the length of the name
	globs    []int                // entries that hold a wildcard, newest last
}

type muxEntry struct {
	name    string
	handler Handler
	lane    Lane
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
	e := muxEntry{name: pattern, handler: h}
	if l, is := h.(laned); is {
		e.handler, e.lane = l.Handler, l.lane
	}
	m.register.Lock()
	defer m.register.Unlock()
	var t muxTable
	if old := m.table.Load(); old != nil {
		t = *old
	}
	n := len(t.entries)
	t.entries = append(slices.Clip(t.entries), e)
	same := slices.Clone(t.byLength[len(pattern)])
	same = slices.DeleteFunc(same, func(i int) bool { return t.entries[i].name == pattern })
	t.byLength[len(pattern)] = append(same, n)
	if !m.Exact && strings.ContainsAny(pattern, "?*#") {
		t.globs = append(slices.Clip(t.globs), n)
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
	t := m.table.Load()
	if t == nil {
		return nil, Ordered
	}
	best := -1
	if len(method) < len(t.byLength) {
		for _, i := range t.byLength[len(method)] {
			if t.entries[i].name == string(method) {
				best = i
				break
			}
		}
	}
	for i := len(t.globs) - 1; i >= 0 && t.globs[i] > best; i-- {
		if mjson.Match(t.entries[t.globs[i]].name, method) {
			best = t.globs[i]
		}
	}
	if best < 0 {
		return nil, Ordered
	}
	return t.entries[best].handler, t.entries[best].lane
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
	if method := r.Method(); len(method) <= MaxMethod {
		if h, _ := m.Lookup(method); h != nil {
			h.ServeRPC(ctx, w, r)
			return
		}
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
