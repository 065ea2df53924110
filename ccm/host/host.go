package host

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// Info is what the host tells of itself in Sys.Info. It is not
// [jsonrpc.SysInfo], whose defaults are those of the C library, "unknown_arch"
// and "unknown_app".
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
	// CallTimeout bounds calls whose ctx has no deadline. Default 15 s: the
	// module may take 10 s to answer a [Host.Publish] at QoS 1.
	CallTimeout time.Duration
	// Retries is how often a call is repeated when no answer comes within
	// RetryAfter. Default 2 times, after 1 s; negative for none.
	Retries    int
	RetryAfter time.Duration
	// QueueLen bounds the requests of the module that wait for a handler.
	// Default 64.
	QueueLen int
	// Junk, if set, is given the lines that are not frames, without their line
	// ends. It runs on the reading goroutine and must not block or keep them.
	Junk func(line []byte)
	// Observer, if set, sees every frame; see jsonrpc.ConnOptions. It is called
	// from several goroutines, also at the same time, and must be safe for
	// concurrent use and not block.
	Observer func(jsonrpc.Event)
}

// Host is one host MCU. Make it with [New].
type Host struct {
	cfg  Config
	mux  jsonrpc.Mux
	boot uint32
	conn atomic.Pointer[jsonrpc.Conn] // of the running Run; changed under mu
	wake chan struct{}                // some subscription is to be sent

	listenDelta sync.Once // Shadow.Delta is registered

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when conn changes
	session uint64        // counts the starts of the module and the attachments
	subs    []*subscription
	onInit  func(ctx context.Context)
	onDelta func(ctx context.Context, delta []byte)
}

// New returns a host with the built-in methods. It starts nothing.
func New(cfg *Config) *Host {
	h := &Host{boot: rand.Uint32N(1<<31-1) + 1, wake: make(chan struct{}, 1), changed: make(chan struct{})}
	if cfg != nil {
		h.cfg = *cfg
	}
	if h.cfg.MaxFrame <= 0 {
		h.cfg.MaxFrame = framing.DefaultMaxFrame
	}
	if h.cfg.Retries == 0 {
		h.cfg.Retries = 2
	}
	if h.cfg.CallTimeout <= 0 {
		h.cfg.CallTimeout = 15 * time.Second
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
// What is registered later counts: a method or a pattern that matches a built-in
// one, such as "Sys.*" or "#", hides it, and with Sys.Init, MQTT.Message and
// Shadow.Delta what the Host does on them.
func (h *Host) Handle(method string, handler jsonrpc.Handler) { h.mux.Handle(method, handler) }

// HandleFunc exports a function; see [Host.Handle].
func (h *Host) HandleFunc(method string, f func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request)) {
	h.mux.HandleFunc(method, f)
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
