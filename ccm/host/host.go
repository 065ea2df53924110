package host

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

var (
	// ErrNotAttached is returned while no [Host.Run] is running.
	ErrNotAttached = errors.New("host: not attached to a port")
	// ErrAttached is returned by a second Run beside a running one.
	ErrAttached = errors.New("host: already attached to a port")
)

// Info is what the host tells of itself in Sys.Info.
type Info struct {
	FWVersion string // version of the firmware, "1.0"
	Arch      string // "" means unknown
	FWID      string // build date and time, or any other name of the build
	App       string // "" means unknown
}

// Config configures a [Host]. The zero value, like a nil pointer, has the
// defaults.
type Config struct {
	Info Info
	// MaxFrame is the longest frame, in bytes, that the host takes. The module
	// learns it from Sys.Info (rx_max). Default 4096.
	MaxFrame int
	// Pace slows down writing for a module, or an adapter, that cannot keep
	// up. Default: full speed.
	Pace framing.Pace
	// PlainFrames leaves the CRC suffix out until the module has sent one.
	PlainFrames bool
	// NoInit leaves out the line end and Sys.Init that Run sends first, for
	// peers that would not know what to make of them.
	NoInit bool
	// RequireCRC drops frames of the module that have no CRC suffix.
	RequireCRC bool
	// CallTimeout bounds calls whose ctx has no deadline. Default 10 s.
	CallTimeout time.Duration
	// Retries is how often a call is repeated when no answer comes within
	// RetryAfter. Default 2 times, after 1 s; negative for none.
	Retries    int
	RetryAfter time.Duration
	// QueueLen bounds the requests of the module that wait for a handler.
	// Default 64.
	QueueLen int
	// Junk, if set, is given the lines that are not frames. It must not block
	// or keep them.
	Junk func(line []byte)
	// Observer, if set, sees every frame; see jsonrpc.ConnOptions.
	Observer func(jsonrpc.Event)
}

// Host is one host MCU. Make it with [New].
type Host struct {
	cfg  Config
	mux  jsonrpc.Mux
	boot uint32
	conn atomic.Pointer[jsonrpc.Conn]
	init chan struct{} // the module has started: subscribe again

	mu     sync.Mutex
	subs   []subscription
	onInit func(ctx context.Context)
}

// New returns a host with the built-in methods. It starts nothing.
func New(cfg *Config) *Host {
	h := &Host{boot: rand.Uint32N(1<<31-1) + 1, init: make(chan struct{}, 1)}
	if cfg != nil {
		h.cfg = *cfg
	}
	if h.cfg.MaxFrame <= 0 {
		h.cfg.MaxFrame = framing.DefaultMaxFrame
	}
	if h.cfg.Retries == 0 {
		h.cfg.Retries = 2
	}
	h.mux.Handle("Sys.Info", jsonrpc.In(jsonrpc.Immediate, jsonrpc.HandlerFunc(h.sysInfo)))
	h.mux.Handle("RPC.Ping", jsonrpc.In(jsonrpc.Immediate, jsonrpc.HandlerFunc(ping)))
	h.mux.Handle("RPC.List", jsonrpc.ListHandler(&h.mux))
	h.mux.HandleFunc("Sys.Init", h.moduleStarted)
	h.mux.HandleFunc("MQTT.Message", h.message)
	return h
}

// Handle exports a method to the module and, through it, to the cloud. See
// [jsonrpc.Mux.Handle] for patterns and [jsonrpc.In] for the lane it runs in.
func (h *Host) Handle(method string, handler jsonrpc.Handler) { h.mux.Handle(method, handler) }

// HandleFunc exports a function; see [Host.Handle].
func (h *Host) HandleFunc(method string, f func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request)) {
	h.mux.HandleFunc(method, f)
}

// OnInit sets what is called when the module has started, after this host was
// attached or while it is: the place to report the state of the device.
func (h *Host) OnInit(f func(ctx context.Context)) {
	h.mu.Lock()
	h.onInit = f
	h.mu.Unlock()
}

// Run attaches the host to a port and serves until ctx ends or the port fails.
// It closes the port and returns when all handlers have returned: nil after the
// end of ctx, else the error of the port, which is io.EOF when the other end
// has hung up. It first sends a line end, in case the module has read half a
// line, and Sys.Init, and then its subscriptions.
func (h *Host) Run(ctx context.Context, port framing.Port) error {
	fc := framing.NewConn(port, h.framingOptions())
	conn := jsonrpc.NewConn(fc, &jsonrpc.ConnOptions{
		Handler: &h.mux, CallTimeout: h.cfg.CallTimeout, Retries: max(h.cfg.Retries, 0),
		RetryAfter: h.cfg.RetryAfter, QueueLen: h.cfg.QueueLen, Observer: h.cfg.Observer,
	})
	if !h.conn.CompareAndSwap(nil, conn) {
		port.Close()
		return ErrAttached
	}
	defer h.conn.Store(nil)
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	workers.Go(func() { h.announce(ctx, fc, conn) })
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

// announce tells the module that the host is there, and subscribes, now and
// whenever the module has started anew.
func (h *Host) announce(ctx context.Context, fc *framing.Conn, conn *jsonrpc.Conn) {
	if !h.cfg.NoInit && (fc.WriteFrame(nil) != nil || conn.Notify(ctx, "Sys.Init", "") != nil) {
		return // Run returns the port's error
	}
	for {
		h.resubscribe(ctx)
		select {
		case <-ctx.Done():
			return
		case <-conn.Done():
			return
		case <-h.init:
		}
	}
}

// moduleStarted handles Sys.Init of the module.
func (h *Host) moduleStarted(ctx context.Context, _ *jsonrpc.Response, _ *jsonrpc.Request) {
	select {
	case h.init <- struct{}{}:
	default:
	}
	h.mu.Lock()
	f := h.onInit
	h.mu.Unlock()
	if f != nil {
		f(ctx)
	}
}

// sysInfo answers Sys.Info: the members that the CCM manual lists, then the
// longest frame this host takes and a number that changes with every start.
func (h *Host) sysInfo(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
	i := &h.cfg.Info
	w.Resultf("{%Q:%Q,%Q:%Q,%Q:%Q,%Q:%Q,%Q:%d,%Q:%u}", "fw_version", i.FWVersion,
		"arch", orUnknown(i.Arch), "fw_id", i.FWID, "app", orUnknown(i.App),
		"rx_max", h.cfg.MaxFrame, "boot", h.boot)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// ping answers RPC.Ping.
func ping(_ context.Context, w *jsonrpc.Response, _ *jsonrpc.Request) {
	w.Result([]byte(`{}`))
}

// attached returns the connection of the running Run.
func (h *Host) attached() (*jsonrpc.Conn, error) {
	if c := h.conn.Load(); c != nil {
		return c, nil
	}
	return nil, ErrNotAttached
}

// Stats returns the counters of the current connection; they start anew with
// every Run, and are zero while the host is not attached.
func (h *Host) Stats() jsonrpc.Stats {
	if c := h.conn.Load(); c != nil {
		return c.Stats()
	}
	return jsonrpc.Stats{}
}

// Call calls a method of the module, or of the cloud through it, and appends
// the JSON text of the result to dst; see [jsonrpc.Conn.Call].
func (h *Host) Call(ctx context.Context, dst []byte, method, format string, args ...any) ([]byte, error) {
	c, err := h.attached()
	if err != nil {
		return dst, err
	}
	return c.Call(ctx, dst, method, format, args...)
}

// Notify sends a notification to the module; see [jsonrpc.Conn.Notify].
func (h *Host) Notify(ctx context.Context, method, format string, args ...any) error {
	c, err := h.attached()
	if err != nil {
		return err
	}
	return c.Notify(ctx, method, format, args...)
}
