package ccmtest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc"
)

// Call is a request or a notification that has reached a handler of an [MCU].
type Call struct {
	At     time.Time
	Method string
	ID     string // JSON text; "" for a notification
	Params string // JSON text; "" if there are none
}

// defaultLog is how many entries of each kind are remembered.
const defaultLog = 4096

// mcuLog remembers what an MCU has received.
type mcuLog struct {
	limit int

	mu        sync.Mutex
	lines     []string
	calls     []Call
	responses []string
}

func (l *mcuLog) init(limit int) {
	if l.limit = limit; limit == 0 {
		l.limit = defaultLog
	}
}

func (l *mcuLog) line(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = keep(l.lines, s, l.limit)
}

func (l *mcuLog) call(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = keep(l.calls, c, l.limit)
}

func (l *mcuLog) response(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.responses = keep(l.responses, s, l.limit)
}

// keep appends v to a list and shortens the list to limit now and then.
func keep[T any](list []T, v T, limit int) []T {
	if limit <= 0 {
		return nil
	}
	list = append(list, v)
	if len(list) >= 2*limit {
		list = slices.Delete(list, 0, len(list)-limit)
	}
	return list
}

// newest returns a copy of the last entries of a list.
func newest[T any](list []T, limit int) []T {
	return slices.Clone(list[max(0, len(list)-max(limit, 0)):])
}

// Received returns the lines that the firmware has received, without their LF,
// whatever is in them. What was lost is not among them.
func (m *MCU) Received() []string {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	return newest(m.log.lines, m.log.limit)
}

// Calls returns the requests and notifications that have reached a handler, in
// order. Built-in methods are not among them.
func (m *MCU) Calls() []Call {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	return newest(m.log.calls, m.log.limit)
}

// Responses returns the frames that a stock host's library has handed to the
// response callback.
func (m *MCU) Responses() []string {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	return newest(m.log.responses, m.log.limit)
}

// recorded returns h, recorded as it is called, in its lane.
func (m *MCU) recorded(h jsonrpc.Handler) jsonrpc.Handler {
	var mux jsonrpc.Mux
	mux.Handle("#", h)
	inner, lane := mux.Lookup([]byte("x"))
	return jsonrpc.In(lane, jsonrpc.HandlerFunc(func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		m.count(func(s *MCUStats) { s.Calls++ })
		m.log.call(Call{At: time.Now(), Method: string(r.Method()), ID: string(r.ID()), Params: string(r.Params())})
		inner.ServeRPC(ctx, w, r)
	}))
}
