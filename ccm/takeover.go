package ccm

import (
	"context"
	"sync/atomic"

	"github.com/ccmkit/ccmkit/framing"
)

// takeover is the wish of somebody to have the port for a while.
type takeover struct {
	ctx  context.Context
	use  func(ctx context.Context, port framing.Port) error
	done chan error // told once, how it went

	settled atomic.Bool // it is decided whether use is called or given up before
}

// Exclusive takes the port from the link to the host for as long as use runs,
// for what is not JSON-RPC, such as writing the firmware of the host. The link
// ends, the port is opened anew for use, and closed when use has returned; then
// the module opens it again and finds out who is there. Meanwhile calls to the
// host wait, and messages for it too.
//
// ctx is that of use, and ends with Run. use must look at it itself, and return
// soon after it has ended. Exclusive returns what use or the opening of the port
// returns, or ErrHostDown if the module is not running.
func (h *Host) Exclusive(ctx context.Context, use func(ctx context.Context, port framing.Port) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	run := h.m.running.Load()
	if run == nil {
		return ErrHostDown
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(run.ctx, cancel)
	defer stop()
	t := &takeover{ctx: ctx, use: use, done: make(chan error, 1)}
	select {
	case h.take <- t:
	case <-ctx.Done():
		return ctx.Err()
	}
	h.mu.Lock()
	l := h.link
	h.mu.Unlock()
	if l != nil {
		l.conn.Close()
	}
	select {
	case err := <-t.done:
		return err
	case <-h.m.over:
	case <-ctx.Done():
		if t.settled.CompareAndSwap(false, true) {
			return ctx.Err() // and use will not be called
		}
	}
	return t.outcome(h.m.over)
}

// outcome waits for the end of use, or for that of the module.
func (t *takeover) outcome(over <-chan struct{}) error {
	select {
	case err := <-t.done:
		return err
	case <-over:
	}
	select {
	case err := <-t.done:
		return err
	default:
		return ErrHostDown
	}
}

// lend gives the port away for a while.
func (h *Host) lend(t *takeover) {
	if !t.settled.CompareAndSwap(false, true) {
		return
	}
	h.setState(HostTaken, nil)
	port, err := h.open(t.ctx)
	if err == nil {
		if err = t.ctx.Err(); err == nil {
			err = t.use(t.ctx, port)
		}
		port.Close()
	}
	h.setState(HostDown, nil)
	t.done <- err
}
