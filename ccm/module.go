package ccm

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/ccm/outbox"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// Module is a Cloud Communication Module. All methods are safe for concurrent
// use.
type Module struct {
	cfg        Config
	log        *slog.Logger
	mux        jsonrpc.Mux // what the hosts and the cloud may call
	hosts      []*Host
	cloud      *cloud.Conn // nil without a cloud
	outbox     *outbox.Queue
	unacked    unacked // answers to hosts that wait for the outbox
	router     router
	keep       gatekeeping
	stats      counters
	complaints complaints

	running atomic.Pointer[running] // nil before Run
	workers sync.WaitGroup
	over    chan struct{} // closed when Run returns
}

// running is what there is from the call of Run on.
type running struct {
	ctx   context.Context // ends with Run
	begun time.Time
}

var errRunTwice = errors.New("ccm: Module.Run called twice")

// New returns a module. It checks the configuration and starts nothing.
func New(cfg Config) (*Module, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	m := &Module{cfg: cfg, log: cfg.Logger, over: make(chan struct{})}
	m.router.init(m)
	m.outbox = outbox.New(outbox.Config{
		Send: m.send, MaxMessages: cfg.Queue.MaxMessages, MaxBytes: cfg.Queue.MaxBytes, DropOldest: cfg.Queue.DropOldest,
		OnHold: m.heldBack,
	})
	if cfg.Cloud != nil {
		if err := m.newCloud(*cfg.Cloud); err != nil {
			return nil, err
		}
	}
	for i := range cfg.Hosts {
		h, err := newHost(m, cfg.Hosts[i])
		if err != nil {
			return nil, err
		}
		m.hosts = append(m.hosts, h)
	}
	m.registerServices()
	if err := m.newGate(); err != nil {
		return nil, err
	}
	return m, nil
}

// newCloud makes the connection to the broker.
func (m *Module) newCloud(c cloud.Config) error {
	if c.ClientID == "" {
		c.ClientID = m.cfg.ID
	}
	if c.Logger == nil {
		c.Logger = m.log
	}
	if c.MaxSubscriptions == 0 { // those of the hosts, of their shadows and of the module
		c.MaxSubscriptions = (MaxSubscriptions+8)*len(m.cfg.Hosts) + 64
	}
	c.OnMessage = m.router.route
	tell := c.OnStatus
	c.OnStatus = func(s cloud.Status) {
		m.cloudStatus(s)
		if tell != nil {
			tell(s)
		}
	}
	var err error
	m.cloud, err = cloud.New(c)
	return err
}

// Run serves the hosts and keeps the connection to the broker until ctx ends,
// and returns nil when every goroutine of the module has returned. A Module runs
// once.
func (m *Module) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !m.running.CompareAndSwap(nil, &running{ctx: ctx, begun: time.Now()}) {
		return errRunTwice
	}
	stop := context.AfterFunc(ctx, m.outbox.Close)
	defer stop()
	for _, h := range m.hosts {
		h.start(ctx)
	}
	if m.cloud != nil {
		if !m.cfg.NoCloudRPC {
			m.serveCloud()
		}
		m.workers.Go(func() { m.cloud.Run(ctx) })
	}
	m.openDoors(ctx)
	<-ctx.Done()
	m.keep.restart.end()
	m.workers.Wait()
	m.outbox.Close()
	close(m.over)
	return nil
}

// Handle registers a handler for the methods that pattern matches: for the hosts
// and for the cloud. It may replace the module's own, and is then as any other of the
// program: LAN may call it when Management.Access.Allow lists it. See
// [jsonrpc.Mux.Handle].
func (m *Module) Handle(pattern string, h jsonrpc.Handler) { m.mux.Handle(pattern, h) }

// HandleFunc registers a function.
func (m *Module) HandleFunc(pattern string, f func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request)) {
	m.mux.HandleFunc(pattern, f)
}

// Host returns the host with a name, or nil. The host of a module with only one
// is usually named "".
func (m *Module) Host(name string) *Host {
	for _, h := range m.hosts {
		if h.cfg.Name == name {
			return h
		}
	}
	return nil
}

// Hosts returns all hosts, in the order of the configuration.
func (m *Module) Hosts() []*Host { return append([]*Host(nil), m.hosts...) }

// ID returns the device id.
func (m *Module) ID() string { return m.cfg.ID }

// cloudStatus is told by the connection that it has come up or gone down.
func (m *Module) cloudStatus(s cloud.Status) {
	online := s.Connected
	for _, h := range m.hosts {
		if h.syncer != nil {
			h.syncer.SetOnline(online)
		}
	}
	m.outbox.SetOnline(online)
	if online {
		m.subscribeAgain()
	} else {
		m.unacked.giveLate()
	}
}

// complete fills in the defaults.
func (i *Info) complete() {
	or := func(s *string, def string) {
		if *s == "" {
			*s = def
		}
	}
	or(&i.App, "ccm")
	or(&i.FWVersion, "0.0.0")
	or(&i.FWID, "unknown")
	or(&i.Arch, runtime.GOOS+"/"+runtime.GOARCH)
}

// hostKey finds the calling host in a ctx.
type hostKey struct{}

// HostFromContext returns the host that a handler serves, or nil if it was
// called from elsewhere, such as the cloud.
func HostFromContext(ctx context.Context) *Host {
	h, _ := ctx.Value(hostKey{}).(*Host)
	return h
}
