package ccm

import (
	"context"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc"
)

// How long a reboot waits: after Sys.Reboot unless it says otherwise, after what
// was saved with a reboot, and for replies that are not written yet.
const (
	rebootSoon  = 100 * time.Millisecond
	rebootLater = 500 * time.Millisecond
	replyWait   = 2 * time.Second
)

// restart is the reboot that is planned.
type restart struct {
	mu     sync.Mutex
	cancel context.CancelFunc // nil: none is
	over   bool               // Run ends, so that none is planned any more
}

// reboot plans a reboot after d. One that is planned already is given up.
func (m *Module) reboot(d time.Duration) {
	run := m.running.Load()
	if m.cfg.Management.Reboot == nil || run == nil {
		return
	}
	r := &m.keep.restart
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.giveUp()
	ctx, cancel := context.WithCancel(run.ctx)
	r.cancel = cancel
	m.log.Info("rebooting", "in", d)
	m.workers.Go(func() {
		defer cancel()
		t := time.NewTimer(max(d, rebootSoon))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		m.quiet(ctx)
		if ctx.Err() == nil {
			m.cfg.Management.Reboot()
		}
	})
}

// quiet waits until the replies are written. What is not by then is stuck.
func (m *Module) quiet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, replyWait)
	defer cancel()
	m.keep.service.Quiet(ctx)
	for _, h := range m.hosts {
		if l := h.linked(); l != nil {
			l.conn.Quiet(ctx)
		}
	}
}

// giveUp gives up the planned reboot, and reports whether there was one. r.mu is held.
func (r *restart) giveUp() (was bool) {
	if r.cancel == nil {
		return false
	}
	r.cancel()
	r.cancel = nil
	return true
}

// abort gives up the planned reboot, and reports whether there was one.
func (r *restart) abort() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.giveUp()
}

// end keeps reboots from being planned: Run waits for its workers then, and there
// must be no new ones.
func (r *restart) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
}

// sysReboot is Sys.Reboot {delay_ms=100, abort=false}.
func (m *Module) sysReboot(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	delay, err := intParam(r, "delay_ms", int64(rebootSoon/time.Millisecond))
	abort := false
	if err == nil {
		abort, err = boolParam(r, "abort", false)
	}
	switch {
	case err != nil:
	case abort:
		if m.keep.restart.abort() {
			m.log.Info("the reboot is called off")
		}
	case delay < 0 || delay > int64(24*time.Hour/time.Millisecond):
		err = badParams("invalid delay value")
	default:
		m.reboot(time.Duration(delay) * time.Millisecond)
	}
	w.Fail(err)
}
