package ccm

import (
	"context"
	"errors"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// How often a port that cannot be opened is tried.
const (
	openPauseMin = 100 * time.Millisecond
	openPauseMax = 2 * time.Second
)

// run keeps the port open and serves what comes from it, until ctx ends.
func (h *Host) run(ctx context.Context) {
	defer h.setState(HostDown, nil)
	pause := openPauseMin
	var said string // the last failure that was logged
	for ctx.Err() == nil {
		began := time.Now()
		err := h.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > openPauseMax {
			pause, said = openPauseMin, ""
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			h.m.log.Warn("the port of the host cannot be used", "host", h.cfg.Name, "err", err)
		}
		if h.rest(ctx, pause) {
			pause = openPauseMin
		} else {
			pause = min(2*pause, openPauseMax)
		}
	}
}

// open opens the port.
func (h *Host) open(ctx context.Context) (framing.Port, error) {
	port, err := h.cfg.Open(ctx)
	if err == nil && port == nil {
		err = errors.New("ccm: HostConfig.Open returned no port")
	}
	return port, err
}

// rest waits before the port is opened again, or gives it to somebody who wants
// it.
func (h *Host) rest(ctx context.Context, d time.Duration) (lent bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case want := <-h.take:
		h.lend(want)
		return true
	default:
	}
	select {
	case want := <-h.take:
		h.lend(want)
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

// serve opens the port and serves the host until the port fails, ctx ends or
// somebody wants the port.
func (h *Host) serve(ctx context.Context) error {
	port, err := h.open(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	l := h.newLink(ctx, port)
	h.setState(HostSearching, func() { h.link, h.info = l, HostInfo{} })
	if len(h.take) > 0 { // it came while there was no link to close
		l.conn.Close()
	}
	l.search()
	err = l.conn.Run(ctx)
	cancel()
	l.end()
	h.setState(HostDown, func() {
		h.link = nil
		h.port.add(l)
	})
	return err
}

// newLink joins the port and the module's services.
func (h *Host) newLink(ctx context.Context, port framing.Port) *link {
	f := framing.NewConn(port, &framing.Options{
		MaxFrame: h.cfg.MaxReceive, MaxWrite: h.frameLimit(0), CRC: h.cfg.CRC, RequireCRC: h.cfg.RequireCRC,
		Pace: h.cfg.Pace, XonXoff: h.cfg.XonXoff, Junk: h.cfg.Junk, Observer: h.lineEvent,
	})
	return &link{h: h, ctx: ctx, look: make(chan struct{}, 1), frames: f, conn: jsonrpc.NewConn(f, &jsonrpc.ConnOptions{
		Handler: guarded{h.m}, Retries: h.cfg.Retries, MaxHandlers: maxDetachedAnswers, FirstID: h.cfg.FirstID, Observer: h.frameEvent,
	})}
}

// frameLimit returns the longest frame to the host, when it says that it takes
// told bytes; told 0 says nothing.
func (h *Host) frameLimit(told int) int {
	switch n := h.cfg.MaxFrame; {
	case n < 0:
		return 0
	case n > 0:
		return n
	case told > 0:
		return told
	}
	return DefaultHostFrame
}

// frameEvent is told about every frame of the connection.
func (h *Host) frameEvent(e jsonrpc.Event) {
	h.trace(TraceEvent{Host: h.cfg.Name, RPC: e.Kind, Frame: e.Frame, Err: e.Err})
	switch e.Kind {
	case jsonrpc.EventReceived:
		h.heard()
	case jsonrpc.EventComplaint:
		h.m.complain("the host did not understand a frame", h.cfg.Name)
	case jsonrpc.EventPanic:
		h.m.log.Error("handler panicked", "host", h.cfg.Name, "err", e.Err)
	case jsonrpc.EventUnsent, jsonrpc.EventBusy, jsonrpc.EventTooLong:
		h.m.complain("frame "+e.Kind.String(), h.cfg.Name, "bytes", len(e.Frame))
	}
}

// lineEvent is told about everything on the line that is no ordinary frame.
func (h *Host) lineEvent(e framing.Event) {
	h.trace(TraceEvent{Host: h.cfg.Name, Line: e.Kind, Frame: e.Line, Err: e.Err})
}

// trace tells the observer of the configuration.
func (h *Host) trace(e TraceEvent) {
	if h.m.cfg.Trace != nil {
		h.m.cfg.Trace(e)
	}
}

// TraceEvent is a frame or something else on the link to a host. One of RPC and
// Line is set.
type TraceEvent struct {
	Host  string            // name of the host
	RPC   jsonrpc.EventKind // what happened to a frame
	Line  framing.EventKind // what happened to a line that is no ordinary frame
	Frame []byte            // valid during the call
	Err   error
}
