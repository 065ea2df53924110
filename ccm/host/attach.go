package host

import (
	"context"
	"errors"
	"sync"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

var (
	// ErrNotAttached is returned while no [Host.Run] is running.
	ErrNotAttached = errors.New("host: not attached to a port")
	// ErrAttached is returned by a second Run beside a running one.
	ErrAttached = errors.New("host: already attached to a port")
)

// Run attaches the host to a port and serves until ctx ends or the port fails.
// It returns when all handlers and the function given to [Host.OnInit] have
// returned: nil after the end of ctx, else the error of the port, which is
// io.EOF when the other end has hung up. Run owns the port and has closed it
// when it returns, also with [ErrAttached], which a Run beside a running one
// gets.
//
// The first bytes on the line are a line end, in case the module has read half
// a line, and Sys.Init; no call comes before it. Then Run sends the
// subscriptions.
func (h *Host) Run(ctx context.Context, port framing.Port) error {
	var f jsonrpc.Framer
	if fc := framing.NewConn(port, h.framingOptions()); h.cfg.NoInit {
		f = fc
	} else {
		f = &greeter{Conn: fc}
	}
	conn := jsonrpc.NewConn(f, &jsonrpc.ConnOptions{
		Handler: &h.mux, CallTimeout: h.cfg.CallTimeout, Retries: max(h.cfg.Retries, 0),
		RetryAfter: h.cfg.RetryAfter, QueueLen: h.cfg.QueueLen, Observer: h.cfg.Observer,
	})
	if !h.cfg.NoInit {
		// It takes the first place in the queue, before anybody else can have
		// the connection: the module would take a later Sys.Init for a new
		// start and run a repeated call twice.
		if err := conn.Notify(context.WithoutCancel(ctx), "Sys.Init", ""); err != nil {
			conn.Close()
			return err
		}
	}
	if !h.attach(conn) {
		conn.Close()
		return ErrAttached
	}
	defer h.detach()
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	workers.Go(func() { h.keepSubscribed(ctx, conn) })
	workers.Go(func() { h.report(ctx) })
	return conn.Run(ctx)
}

func (h *Host) framingOptions() *framing.Options {
	o := &framing.Options{
		MaxFrame: h.cfg.MaxFrame, Pace: h.cfg.Pace, RequireCRC: h.cfg.RequireCRC,
		Junk: h.cfg.Junk, CRC: framing.CRCSend,
	}
	if h.cfg.PlainFrames {
		o.CRC = framing.CRCAuto
	}
	return o
}

// greeter sends a lone line end before the first frame. It does so as the
// connection's one writer; a port that is stuck holds up nobody else.
type greeter struct {
	*framing.Conn
	greeted bool // belongs to the writer
}

func (g *greeter) WriteFrame(frame []byte) error {
	if !g.greeted {
		g.greeted = true
		if err := g.Conn.WriteFrame(nil); err != nil {
			return err
		}
	}
	return g.Conn.WriteFrame(frame)
}

// attach makes conn the host's connection, unless there is one.
func (h *Host) attach(conn *jsonrpc.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.conn.CompareAndSwap(nil, conn) {
		return false
	}
	select {
	case <-h.wake: // of the last connection
	default:
	}
	h.session++
	h.change()
	return true
}

func (h *Host) detach() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conn.Store(nil)
	h.change()
}

// change tells those who wait that conn has changed; mu is held.
func (h *Host) change() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// Attached waits until a [Host.Run] serves a port, and returns nil, or ctx's
// error if that ends first. The port may still go away at any moment.
func (h *Host) Attached(ctx context.Context) error {
	for {
		h.mu.Lock()
		conn, changed := h.conn.Load(), h.changed
		h.mu.Unlock()
		if conn != nil {
			select {
			case <-conn.Done(): // Run is about to return
			default:
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// OnInit sets what is called whenever the module may have lost what the host
// told it: after each start of [Host.Run], and whenever the module says
// Sys.Init because it has started anew. It is the place to report the state of
// the device; nil sets nothing. ctx ends with the connection, and Run waits for
// f.
//
// For Sys.Init, f runs in the lane as a handler does: before the handlers of all
// that the module sends after it. The call after attaching runs on a goroutine
// of its own, beside the handlers, and so beside a call for Sys.Init too: f
// must guard what it shares with them. The subscriptions are sent meanwhile,
// before or after.
func (h *Host) OnInit(f func(ctx context.Context)) {
	h.mu.Lock()
	h.onInit = f
	h.mu.Unlock()
}

// report calls what OnInit has set.
func (h *Host) report(ctx context.Context) {
	h.mu.Lock()
	f := h.onInit
	h.mu.Unlock()
	if f != nil {
		f(ctx)
	}
}

// moduleStarted handles Sys.Init of the module.
func (h *Host) moduleStarted(ctx context.Context, _ *jsonrpc.Response, _ *jsonrpc.Request) {
	h.mu.Lock()
	h.session++
	h.mu.Unlock()
	h.resend()
	h.report(ctx)
}
