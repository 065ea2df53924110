package ccm

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/channel"
	"github.com/ccmkit/ccmkit/ccm/config"
	"github.com/ccmkit/ccmkit/ccm/files"
	"github.com/ccmkit/ccmkit/ccm/wifi"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// Management says how a module is managed: what there is to manage, through which
// doors, and by whom. The zero Management has no door and nothing to manage; the
// RPC over MQTT, which [Config] switches on, is a door too.
type Management struct {
	// Store is the configuration of the device. It gives the module the methods
	// Config.Get, Config.Set and Config.Save, and the rules of access. nil = none.
	Store *config.Store
	// Files are the files of the device, such as certificates, for FS.List, FS.Get
	// and so on. nil = none.
	Files *files.Dir
	// Network is the wireless network, for Wifi.Scan, Wifi.SetupSTA and
	// Wifi.SetupAP. nil = none.
	Network wifi.Network
	// Doors let callers in.
	Doors []Door
	// Access says who may call what. Its Kind is set by the module, and Rules and
	// Login, if they are nil, by what Store has under rpc.acl and rpc.auth_file.
	Access access.Config
	// HostMayReadSecrets lets hosts read passwords and tokens by Config.Get. To
	// everybody else they are eight stars.
	HostMayReadSecrets bool
	// AllowLevels lets clients on the network and the cloud write the vendor's
	// layers too (Config.Set with level 1 to 8), as far as conf_acl allows. Otherwise
	// only hosts may.
	AllowLevels bool
	// MAC is the hardware address that Sys.GetInfo tells, 12 hexadecimal digits.
	MAC string
	// Reboot, if set, makes the device, or the program, start anew. It is called
	// on a goroutine of its own when the replies have been sent; usually it ends
	// the ctx of Run. It must not wait for Run, which waits for it. nil = there is no Sys.Reboot, and what only takes effect after
	// a reboot has to wait for one.
	Reboot func()
	// SetDebug, if set, takes the level of logging, 0 (none) to 4 (all), of
	// Sys.SetDebug. nil = there is no such method.
	SetDebug func(level int) error
}

// Door lets callers in: a listener, a serial line. Run serves until ctx ends, and
// returns after everything it has started. The doors of package channel become one by
// [DoorFunc].
type Door interface {
	Run(ctx context.Context, s *channel.Service) error
}

// DoorFunc is a function as a Door.
type DoorFunc func(ctx context.Context, s *channel.Service) error

// Run calls the function.
func (f DoorFunc) Run(ctx context.Context, s *channel.Service) error { return f(ctx, s) }

// Bounds of what the configuration may say of the doors: rpc.max_frame_size and
// rpc.max_non_persistent_channels. With the smallest frames the configuration can
// still be changed.
const (
	minDoorFrame    = 512
	maxDoorFrame    = 64 << 10
	maxDoorChannels = 256
)

// gatekeeping is what stands between the doors and the methods.
type gatekeeping struct {
	gate    *access.Gate
	service *channel.Service
	saves   saveLimit
	restart restart
}

// newGate makes what stands between the doors and the methods.
func (m *Module) newGate() error {
	g, a := &m.keep, m.cfg.Management.Access
	if a.Logger == nil {
		a.Logger = m.log
	}
	if s := m.cfg.Management.Store; s != nil {
		if a.Rules == nil {
			a.Rules = func() (inline, file string) { return s.String("rpc.acl"), s.String("rpc.acl_file") }
		}
		if a.Login == nil {
			a.Login = storeLogin(s, a.ReadFile)
		}
	}
	a.Kind = m.kindOf
	var err error
	if g.gate, err = access.New(a); err != nil {
		return err
	}
	c := channel.Config{
		ID: m.ID, Gate: g.gate, Login: a.Login, Lookup: m.lookup, MaxMQTT: MaxCloudCalls, Timeout: answerLife, Logger: m.log,
	}
	if s := m.cfg.Management.Store; s != nil {
		if n := s.Int("rpc.max_frame_size"); n > 0 {
			c.MaxFrame = min(max(n, minDoorFrame), maxDoorFrame)
		}
		c.MaxChannels = min(s.Int("rpc.max_non_persistent_channels"), maxDoorChannels)
	}
	g.service, err = channel.New(c)
	return err
}

// errNoFile says that nobody has told where the files of the rules are.
var errNoFile = errors.New("ccm: Management.Access.ReadFile is not set")

// storeLogin makes the login that the configuration describes.
func storeLogin(s *config.Store, read func(name string) ([]byte, error)) *access.Login {
	return access.NewLogin(access.LoginConfig{
		Realm: func() string { return s.String("rpc.auth_domain") },
		File: func() ([]byte, error) {
			name := s.String("rpc.auth_file")
			switch {
			case name == "":
				return nil, nil
			case read == nil:
				return nil, errNoFile
			}
			return read(name)
		},
		Algorithm: func() access.Algorithm { return access.Algorithm(s.Int("rpc.auth_algo")) },
	})
}

// openDoors serves the doors until ctx ends.
func (m *Module) openDoors(ctx context.Context) {
	for i, d := range m.cfg.Management.Doors {
		m.workers.Go(func() {
			if err := d.Run(ctx, m.keep.service); err != nil && ctx.Err() == nil {
				m.log.Error("a door is shut", "door", i, "err", err)
			}
		})
	}
}

// Service returns what is behind the doors of the module, for doors that are not in
// its configuration.
func (m *Module) Service() *channel.Service { return m.keep.service }

// kindOf tells what stands behind the name of a method.
func (m *Module) kindOf(method string) access.Kind {
	if h, _ := m.mux.Lookup([]byte(method)); h != nil {
		if _, own := h.(*builtin); own {
			return access.Builtin
		}
		return access.Registered
	}
	if h, _ := m.hostMethod(method); h != nil {
		return access.HostMethod
	}
	return access.Unknown
}

// lookup finds the handler of a method, for the doors. The methods of the module
// come first, then those of the hosts, whose codes pass unchanged.
func (m *Module) lookup(name []byte) (jsonrpc.Handler, func(int) int) {
	if h, _ := m.mux.Lookup(name); h != nil {
		return h, jsonrpc.ManagementCode
	}
	if h, name := m.hostMethod(string(name)); h != nil {
		return h.inTurn(name), nil
	}
	return nil, nil
}

// guarded serves the host: the methods that the gate lets it call.
type guarded struct{ m *Module }

// LaneOf returns the lane of the method.
func (g guarded) LaneOf(method []byte) jsonrpc.Lane { return g.m.mux.LaneOf(method) }

// ServeRPC calls the handler of the method, if the host may.
func (g guarded) ServeRPC(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	if err := g.m.keep.gate.Authorize(access.FromContext(ctx), string(r.Method())); err != nil {
		w.Fail(refusalError(err))
		return
	}
	g.m.mux.ServeRPC(ctx, w, r)
}

// refusalError returns a refusal of the gate as the error of a call.
func refusalError(err error) error {
	if r, is := errors.AsType[*access.Refusal](err); is {
		return &jsonrpc.Error{Code: r.Code, Message: r.Message}
	}
	return err
}

// saveLimit bounds how often the configuration is written: ten times a minute in the
// long run, which flash memory survives.
type saveLimit struct {
	mu   sync.Mutex
	last []time.Time // of the last minute, at most maxSaves
}

const maxSaves = 10

// take reports whether another save is due.
func (l *saveLimit) take() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.last = slices.DeleteFunc(l.last, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	if len(l.last) >= maxSaves {
		return false
	}
	l.last = append(l.last, now)
	return true
}

// give gives the last save back, which has written nothing.
func (l *saveLimit) give() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.last); n > 0 {
		l.last = l.last[:n-1]
	}
}
