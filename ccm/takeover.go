package ccm

import (
	"context"
	"sync/atomic"

	"github.com/ccmkit/ccmkit/framing"
)

// takeover is the wish of somebody to have the port for a while.
type takeover struct {
	ctx  context.Context
	lent chan loan     // told once, when it is settled that the port is lent
	back chan struct{} // closed when the port is not needed any more

	settled atomic.Bool // it is decided whether the port is lent or given up before
}

// loan is the port, or why it could not be opened.
type loan struct {
	port framing.Port
	err  error
}

// Exclusive takes the port from the link to the host for as long as use runs,
// for what is not JSON-RPC, such as writing the firmware of the host. The link
// ends, the port is opened anew for use, and closed when use has returned; then
// the module opens it again and finds out who is there. Meanwhile calls to the
// host wait, and messages for it too. A handler of that host must not wait for
// Exclusive: the link ends when its handlers have returned.
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
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(run.ctx, cancel)
	defer stop()
	t := &takeover{ctx: limited, lent: make(chan loan, 1), back: make(chan struct{})}
	port, err := h.borrow(t)
	if err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			return ErrHostDown
		}
		return err
	}
	defer func() { // also when use panics
		port.Close()
		h.setState(HostDown, nil)
		close(t.back)
	}()
	return use(limited, port)
}

// borrow waits for the port.
func (h *Host) borrow(t *takeover) (framing.Port, error) {
	select {
	case h.take <- t:
	case <-t.ctx.Done():
		return nil, t.ctx.Err()
	}
	if l := h.linked(); l != nil {
		l.conn.Close()
	}
	select {
	case got := <-t.lent:
		return got.port, got.err
	case <-t.ctx.Done():
		if t.settled.CompareAndSwap(false, true) {
			return nil, t.ctx.Err() // it will not be lent
		}
	}
	got := <-t.lent
	return got.port, got.err
}

// lend gives the port away for a while.
func (h *Host) lend(t *takeover) {
	if !t.settled.CompareAndSwap(false, true) {
		return
	}
	h.setState(HostTaken, nil)
	port, err := h.open(t.ctx)
	if err == nil && t.ctx.Err() != nil {
		port.Close()
		err = t.ctx.Err()
	}
	if err != nil {
		h.setState(HostDown, nil)
		t.lent <- loan{err: err}
		return
	}
	t.lent <- loan{port: port}
	<-t.back
}
