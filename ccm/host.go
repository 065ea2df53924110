package ccm

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/shadow"
)

var (
	// ErrHostDown is returned for a host whose port is not open, or that the
	// port has been taken from with Exclusive, for as long as was waited.
	ErrHostDown = errors.New("ccm: the host is not connected")
	// ErrNoReset is returned by Host.Reset without a reset line.
	ErrNoReset = errors.New("ccm: the host has no reset line")
)

// HostState tells what is known about a host.
type HostState uint8

// The states of a host.
const (
	HostDown      HostState = iota // the port is not open
	HostSearching                  // the port is open; who is there is being found out
	HostReady                      // the host has answered
	HostOpaque                     // nobody has answered; what is for the host is sent all the same
	HostTaken                      // the port belongs to a function given to Exclusive
	HostHung                       // the watchdog got no answers and may reset no more
)

// String returns "down", "searching" and so on.
func (s HostState) String() string {
	names := [...]string{"down", "searching", "ready", "opaque", "taken", "hung"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// Host is one host of a module: what is at the other end of a port. All methods
// are safe for concurrent use.
type Host struct {
	m      *Module
	cfg    HostConfig
	inbox  inbox
	syncer *shadow.Syncer // nil without a shadow
	take   chan *takeover // asks for the port; the link must be closed then
	told   bool           // Sys.Init was sent; belongs to the search

	mu       sync.Mutex
	turn     chan struct{} // closed when the last request of a door is on its way
	state    HostState
	link     *link         // nil while the port is not open
	changed  chan struct{} // closed at every change, and replaced
	info     HostInfo
	sessions uint64      // of the host that were found
	resets   []time.Time // of the watchdog in the last hour
	port     PortStats   // of earlier links
}

// link is one opening of the port.
type link struct {
	h        *Host
	ctx      context.Context // ends with it
	frames   *framing.Conn
	conn     *jsonrpc.Conn
	searches sync.WaitGroup
	look     chan struct{} // tells the watchdog that a search is wanted
	spoke    atomic.Bool   // the host has sent a frame since it was last reset

	mu        sync.Mutex
	searching bool   // a goroutine finds out who is there
	again     bool   // and is to do so once more
	ended     bool   // nobody does so any more
	blank     *blank // a line end that is on its way, or nil
}

// blank is a line end on its way.
type blank struct {
	over chan struct{} // closed when it has left, or failed
	sent bool          // it has left; set before over is closed
	tell bool          // the syncer is to be told then; guarded by the link's mu
}

// newHost returns a host that is down.
func newHost(m *Module, cfg HostConfig) (*Host, error) {
	h := &Host{
		m: m, cfg: cfg, take: make(chan *takeover, 1), changed: make(chan struct{}),
	}
	h.inbox.max = cfg.Queue
	if m.cfg.Shadow.Backend != nil {
		switch err := h.newSyncer(); {
		case err == nil:
		case m.cfg.storedID && m.cfg.Shadow.Thing == "": // as for a bad device.id
			m.log.Error("no shadow: device.id is not usable as the name of a thing", "host", cfg.Name, "err", err)
		default:
			return nil, err
		}
	}
	return h, nil
}

// Name returns the name of the host.
func (h *Host) Name() string { return h.cfg.Name }

// start starts the goroutines of the host.
func (h *Host) start(ctx context.Context) {
	w := &h.m.workers
	ctx = access.NewContext(context.WithValue(ctx, hostKey{}, h), &access.Origin{Role: access.Host, Channel: access.UART, Remote: "UART0"})
	h.inbox.start(func() { w.Go(func() { h.deliver(ctx) }) })
	w.Go(func() { h.run(ctx) })
	if h.syncer != nil {
		w.Go(func() { h.syncer.Run(ctx) })
	}
}

// Call calls a method of the host and appends the JSON text of its result to
// dst. It waits for the port to be opened if it is not, at most until ctx ends or
// for ten seconds. See [jsonrpc.Conn.Call] for the format and the errors; those
// that the host answers are a [*jsonrpc.Error].
func (h *Host) Call(ctx context.Context, dst []byte, method, format string, args ...any) ([]byte, error) {
	return h.call(ctx, dst, nil, method, format, args...)
}

// call is Call; see [jsonrpc.Conn.CallQueued] for queued.
func (h *Host) call(ctx context.Context, dst []byte, queued func(), method, format string, args ...any) ([]byte, error) {
	l, err := h.attached(ctx)
	if err != nil {
		return dst, err
	}
	return l.conn.CallQueued(ctx, dst, queued, method, format, args...)
}

// Notify sends the host a notification, and returns when it has been written.
// It waits as Call does.
func (h *Host) Notify(ctx context.Context, method, format string, args ...any) error {
	l, err := h.attached(ctx)
	if err != nil {
		return err
	}
	return l.conn.NotifyWritten(ctx, method, format, args...)
}

// Reset pulses the reset line of the host, and finds out anew who is there.
func (h *Host) Reset(ctx context.Context) error {
	if h.cfg.Reset == nil {
		return ErrNoReset
	}
	h.suspend()
	err := h.cfg.Reset(ctx)
	if l := h.linked(); l != nil && err == nil {
		l.conn.NewSession()
		l.frames.ResetPeer() // another firmware may run now
	}
	h.restarted()
	return err
}

// suspend lets wait what is for the host until it was found anew.
func (h *Host) suspend() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.link != nil {
		h.link.spoke.Store(false)
	}
	if h.state == HostReady || h.state == HostOpaque || h.state == HostHung {
		h.state = HostSearching
		close(h.changed)
		h.changed = make(chan struct{})
	}
}

// Wait waits until the host has answered, or has turned out opaque, and returns
// nil; or the error of ctx, or ErrHostDown when Run has returned.
func (h *Host) Wait(ctx context.Context) error {
	_, err := h.wait(ctx, func(s HostState) bool { return s == HostReady || s == HostOpaque })
	return err
}

// attached waits for an open port.
func (h *Host) attached(ctx context.Context) (*link, error) {
	if l := h.linked(); l != nil {
		return l, nil
	}
	limited, cancel := context.WithTimeout(ctx, answerLife)
	defer cancel()
	l, err := h.wait(limited, func(s HostState) bool { return s != HostDown && s != HostTaken })
	if err != nil && ctx.Err() == nil {
		return nil, ErrHostDown
	}
	return l, err
}

// wait waits for a state and returns the link of that moment.
func (h *Host) wait(ctx context.Context, is func(HostState) bool) (*link, error) {
	for {
		h.mu.Lock()
		s, l, changed := h.state, h.link, h.changed
		h.mu.Unlock()
		if is(s) {
			return l, nil
		}
		select {
		case <-changed:
		case <-h.m.over:
			return nil, ErrHostDown
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// setState changes the state, and more under the lock if that is not nil.
func (h *Host) setState(s HostState, more func()) {
	h.mu.Lock()
	was := h.state
	if more != nil {
		more()
	}
	h.state = s
	close(h.changed)
	h.changed = make(chan struct{})
	h.mu.Unlock()
	switch {
	case was == s:
	case s == HostOpaque:
		h.m.log.Warn("host opaque: nobody answers; it is sent what is for it all the same", "host", h.cfg.Name)
	default:
		h.m.log.Info("host "+s.String(), "host", h.cfg.Name)
	}
}

// linked returns the link, or nil if the port is not open.
func (h *Host) linked() *link {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.link
}

// ready returns the link if the host can be told something now.
func (h *Host) ready() *link {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == HostReady || h.state == HostOpaque {
		return h.link
	}
	return nil
}
