package ccmtest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// sketch is the application of the CCM manual: Sum, and a switch that obeys its
// shadow.
type sketch struct {
	mcu *MCU

	mu    sync.Mutex
	on    bool
	state []byte // all deltas since the boot, merged
	born  time.Time
}

// sum answers Sum [a,b] with a+b as 32-bit integers, as the manual's sketch does.
func sum(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	a := mjson.GetNumber(r.Params(), "$[0]", 0)
	b := mjson.GetNumber(r.Params(), "$[1]", 0)
	w.Resultf("%d", int32(a)+int32(b))
}

// begin sets the state that the sketch has at boot.
func (s *sketch) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on, s.state, s.born = false, nil, time.Now()
}

// boot sets the sketch up on a stock host, and sends the boot report.
func (s *sketch) boot(l *life) {
	s.begin()
	o := &s.mcu.o
	if o.Bare || o.Report == ReportNone {
		return
	}
	frame, _ := s.mcu.request(nil, nil, "Shadow.Report", "%s", []any{s.switchState()})
	if o.Report == ReportNoLF || o.Report == ReportUsual && o.Generation == GenHead {
		frame = frame[:len(frame)-1]
	}
	s.mcu.push(l.ctx, l, frame)
}

// switchState returns what the manual's sketch reports.
func (s *sketch) switchState() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, _ := mjson.Appendf(nil, "{%Q:%B,%Q:%d}", "on", s.on, "uptime", int(time.Since(s.born).Seconds()))
	return text
}

// apply applies a delta and returns what is to be reported.
func (s *sketch) apply(delta []byte) []byte {
	s.mu.Lock()
	s.on = mjson.GetBool(delta, "$.on", s.on)
	old := s.state
	if len(old) == 0 {
		old = []byte("{}")
	}
	s.state = mjson.Merge(nil, old, delta)
	s.mu.Unlock()
	if s.mcu.o.Mirror && len(delta) > 0 {
		return slices.Clone(delta)
	}
	return s.switchState()
}

// delta handles Shadow.Delta: the report goes out before the reply.
func (s *sketch) delta(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	_ = s.mcu.Notify(ctx, "Shadow.Report", "%s", s.apply(r.Params())) // fails when the MCU was reset meanwhile
	w.Result(nil)
}

// On reports whether the sketch's switch is on: member "on" of the last delta
// that had one. It is off after a boot.
func (m *MCU) On() bool {
	m.sketch.mu.Lock()
	defer m.sketch.mu.Unlock()
	return m.sketch.on
}

// State returns all deltas since the last boot, merged by mjson.Merge, as JSON
// text; "{}" if there was none.
func (m *MCU) State() string {
	m.sketch.mu.Lock()
	defer m.sketch.mu.Unlock()
	if len(m.sketch.state) == 0 {
		return "{}"
	}
	return string(m.sketch.state)
}
