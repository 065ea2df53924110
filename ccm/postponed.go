package ccm

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ccmkit/ccmkit/jsonrpc"
)

// postponed is an answer that is given later, by whoever is first. A host's
// request does not wait for it in the lane; other doors cannot answer later, so
// that there the handler waits.
type postponed struct {
	w        *jsonrpc.Response // nil: nobody wants the answer
	answered atomic.Bool
	given    chan struct{} // nil if nobody waits
	result   []byte
	err      error
	late     []byte // what to answer when it was waited for long enough; nil: ErrTimeout
}

// postpone returns the answer of w, to be given later; nil if w was answered
// because too many wait already.
func (m *Module) postpone(ctx context.Context, w *jsonrpc.Response) *postponed {
	if !w.Pending() {
		return &postponed{} // a notification: the answer goes nowhere
	}
	if HostFromContext(ctx) == nil {
		return &postponed{w: w, given: make(chan struct{})}
	}
	if w = w.Detach(); !w.Pending() {
		return nil
	}
	return &postponed{w: w}
}

// answer answers with JSON text, or an error. Only the first answer counts.
func (p *postponed) answer(result []byte, err error) {
	if p.w == nil || p.answered.Swap(true) {
		return
	}
	if p.given != nil {
		p.result, p.err = slices.Clone(result), err
		close(p.given)
		return
	}
	p.send(result, err)
}

// giveLate answers what is answered when it was waited for long enough.
func (p *postponed) giveLate() { p.answer(p.late, nil) }

// wait waits for the answer where it must.
func (p *postponed) wait(ctx context.Context) {
	if p.given == nil {
		return
	}
	select {
	case <-p.given:
		p.send(p.result, p.err)
	case <-ctx.Done():
		if p.late == nil {
			p.w.Fail(jsonrpc.ErrTimeout)
			return
		}
		p.w.Result(p.late)
	}
}

func (p *postponed) send(result []byte, err error) {
	if err != nil {
		p.w.Fail(err)
	} else {
		p.w.Result(result)
	}
}

// queuedAnswer tells that a message waits for the broker.
var queuedAnswer = []byte(`{"queued":true}`)

// unacked holds the answers that wait for PUBACK, in the order of the calls.
type unacked struct {
	mu  sync.Mutex
	all list.List // of *postponed
}

func (u *unacked) add(p *postponed) (place *list.Element) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.all.PushBack(p)
}

// remove takes an answer out, if it is still there.
func (u *unacked) remove(place *list.Element) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all.Remove(place)
}

// giveLate gives all answers because the connection is lost.
func (u *unacked) giveLate() {
	var all []*postponed
	u.mu.Lock()
	for e := u.all.Front(); e != nil; e = u.all.Front() {
		all = append(all, u.all.Remove(e).(*postponed))
	}
	u.mu.Unlock()
	for _, p := range all {
		p.giveLate()
	}
}
