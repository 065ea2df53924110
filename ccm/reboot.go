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
}

// reboot plans a reboot after d. One that is planned already is given up.
func (m *Module) reboot(d time.Duration) {
	run := m.running.Load()
	if m.cfg.Management.Reboot == nil || run == nil {
		return
	}
	ctx, cancel := context.WithCancel(run.ctx)
	m.planReboot(cancel)
	m.log.Info("rebooting", "in", d)
	m.workers.Go(func() {
		defer cancel()
		t := time.NewTimer(max(d, rebootSoon)) // which the reply to a host needs on its line
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		quiet, stop := context.WithTimeout(ctx, replyWait)
		defer stop()
		m.keep.service.Quiet(quiet) // what is not written by then is stuck
		if ctx.Err() == nil {
			m.cfg.Management.Reboot()
		}
	})
}

// planReboot makes cancel what gives up the planned reboot, and gives up the one
// before; nil plans none.
func (m *Module) planReboot(cancel context.CancelFunc) (was bool) {
	r := &m.keep.restart
	r.mu.Lock()
	defer r.mu.Unlock()
	was = r.cancel != nil
	if was {
		r.cancel()
	}
	r.cancel = cancel
	return was
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
		if m.planReboot(nil) {
			m.log.Info("the reboot is called off")
		}
	case delay < 0 || delay > int64(24*time.Hour/time.Millisecond):
		err = badParams("invalid delay value")
	default:
		m.reboot(time.Duration(delay) * time.Millisecond)
	}
	w.Fail(err)
}
