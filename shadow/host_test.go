package shadow_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/shadow"
)

var errHostDown = errors.New("host down")

// host is a microcontroller that obeys: it applies each delta and reports what
// it has applied.
type host struct {
	t      *testing.T
	syncer *shadow.Syncer

	mu    sync.Mutex
	think time.Duration // until it reports
	down  bool
	deaf  bool // takes deltas and does nothing
	// unordered lets desired.seq go back.
	unordered bool
	state     object
	session   int
	deltas    []string
	seq       int64 // the largest desired.seq seen
	// answer, if set, returns what the host reports for a delta, nil for
	// nothing.
	answer func(delta object) object
}

// deliver is Config.Deliver.
func (h *host) deliver(_ context.Context, text []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		return errHostDown
	}
	h.deltas = append(h.deltas, string(text))
	delta := decodeObject(h.t, text)
	h.checkSeq(delta)
	if h.deaf {
		return nil
	}
	h.state = refMerge(h.state, delta).(object)
	session := h.session
	time.AfterFunc(h.think, func() {
		if report := h.reply(delta); report != nil {
			h.report(session, report)
		}
	})
	return nil
}

// reply returns what to report for a delta: how what is in it stands now.
func (h *host) reply(delta object) object {
	if h.answer != nil {
		return h.answer(delta)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	report := object{}
	for k, v := range delta {
		report[k] = current(v, h.state[k])
	}
	return report
}

// current returns the part of a state that a delta is about, null for what is
// missing.
func current(delta, state any) any {
	d, deep := delta.(object)
	s, same := state.(object)
	if !deep || !same || len(d) == 0 {
		return clone(state)
	}
	out := object{}
	for k, v := range d {
		out[k] = current(v, s[k])
	}
	return out
}

// checkSeq checks that desired.seq, which the cloud only ever counts up, does
// not go back: no delta with an older version after a newer one.
func (h *host) checkSeq(delta object) {
	seq, has := delta["seq"].(interface{ Int64() (int64, error) })
	if !has || h.unordered {
		return
	}
	n, err := seq.Int64()
	if err != nil {
		h.t.Error(err)
	}
	if n < h.seq {
		h.t.Errorf("delta %d after %d", n, h.seq)
	}
	h.seq = n
}

// report sends a Shadow.Report, unless the host has been reset since.
func (h *host) report(session int, patch object) {
	h.mu.Lock()
	gone := h.down || session != h.session
	h.mu.Unlock()
	if gone {
		return
	}
	text := encode(h.t, patch)
	if err := h.syncer.Report(text); err != nil {
		h.t.Errorf("Report(%s): %v", text, err)
	}
	for i := range text {
		text[i] = '#'
	}
}

// change changes the state by hand, and reports that.
func (h *host) change(patch object) {
	h.mu.Lock()
	h.state = refMerge(h.state, patch).(object)
	session := h.session
	h.mu.Unlock()
	h.report(session, patch)
}

// crash takes the host away; boot brings it back with some of its state changed,
// which it reports.
func (h *host) crash() {
	h.mu.Lock()
	h.down = true
	h.session++
	h.mu.Unlock()
}

func (h *host) boot(patch object) {
	h.mu.Lock()
	h.down, h.state = false, refMerge(h.state, patch).(object)
	session := h.session
	h.mu.Unlock()
	h.report(session, patch)
	h.syncer.HostReady()
}

// got returns the deltas since the last call.
func (h *host) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.deltas
	h.deltas = nil
	return d
}
