package ccm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/shadow"
	"github.com/ccmkit/ccmkit/shadow/aws"
)

// Defaults and bounds.
const (
	DefaultID          = "ccm"
	DefaultHostFrame   = 255 // bytes to a host, CRC suffix included, line end not
	DefaultHostQueue   = 128 // messages that wait for a host
	MaxSubscriptions   = 128 // filters of one host
	MaxCloudCalls      = 24  // calls from the cloud that are served at a time
	messageLife        = 10 * time.Second
	answerLife         = 10 * time.Second
	maxDetachedAnswers = 256
)

// Config says what a Module is made of. The zero Config is a module without
// hosts and without a cloud.
type Config struct {
	// ID is the device id: the first level of the topics of the RPC over MQTT,
	// the thing of the shadow and, unless Cloud has one, the MQTT client id.
	// "" = device.id of Management.Store, else DefaultID.
	ID string
	// Info is what Sys.Info and Sys.GetInfo tell about the module.
	Info Info
	// Hosts are the hosts, each with a Name of its own.
	Hosts []HostConfig
	// Cloud is the connection to a broker; nil = none. The module sets
	// OnMessage and, if they are not set, ClientID and Logger. OnStatus tells
	// when the module is connected.
	Cloud *cloud.Config
	// Shadow keeps the hosts' device shadows; the zero value keeps none.
	Shadow ShadowConfig
	// Queue bounds the QoS 1 messages of the hosts that wait for the broker.
	Queue QueueConfig
	// NoCloudRPC leaves out the RPC over MQTT: calls to ID/rpc are not served. So
	// does rpc.mqtt.enable, if that is false in Management.Store.
	NoCloudRPC bool
	// Management is how the module is managed: its configuration and files, and
	// the doors to them.
	Management Management
	// Trace, if set, is told about every frame on the links to the hosts. It
	// is called from several goroutines at a time, and must neither block nor
	// keep or change the frame.
	Trace func(TraceEvent)
	// Logger is told what an operator wants to know; nil = nothing.
	Logger *slog.Logger

	storedID bool // ID is device.id of Management.Store
}

// Info is what the module tells about itself.
type Info struct {
	App       string // name of the program; "" = "ccm"
	FWVersion string // version of the program; "" = "0.0.0"
	FWID      string // build date and time, or another name of the build
	Arch      string // "" = GOOS/GOARCH
}

// QueueConfig bounds the queue of QoS 1 messages to the broker.
type QueueConfig struct {
	MaxMessages int  // 0 = 1000
	MaxBytes    int  // topics and payloads; 0 = 4 MiB
	DropOldest  bool // make room by dropping the oldest; else new ones are refused with 429
}

// ShadowConfig says where the device shadows live.
type ShadowConfig struct {
	// Backend makes the backend of one shadow in the dialect of a cloud; [AWS]
	// is one. nil = the module has no shadow.
	Backend func(t shadow.Transport, thing, name string) (shadow.Backend, error)
	// Thing is the name of the thing. "" = the module's ID.
	Thing string
	// RepeatAfter is how long an unchanged delta is not sent again to the same
	// session of a host. 0 = 60 s, below 0 = every delta is sent.
	RepeatAfter time.Duration
	// DropNulls keeps from hosts that a desired key was removed.
	DropNulls bool
	// OnDelta, if set, sees every delta before the host does, and returns what
	// the host shall get: delta, a part of it, or nil. It is called by one
	// goroutine per host and must not keep delta.
	OnDelta func(ctx context.Context, h *Host, delta []byte) []byte
}

// AWS is the dialect of AWS IoT Core, and of the service in package
// shadow/service, for ShadowConfig.Backend.
func AWS(t shadow.Transport, thing, name string) (shadow.Backend, error) {
	return aws.New(t, thing, name)
}

// HostConfig describes a host and the way to it.
type HostConfig struct {
	// Name tells the hosts of a module apart. The host "" has the classic
	// shadow, and is the one whose methods the cloud may call by their bare
	// names; a host NAME has the named shadow NAME and methods NAME/Method.
	Name string
	// Open opens the port to the host: for a serial port, a function that
	// returns uart.Open(path, nil). It is called again, after a growing
	// pause, when the port is gone. The module owns the port.
	Open func(ctx context.Context) (framing.Port, error)
	// MaxFrame is the longest frame the host takes, in bytes with its CRC
	// suffix and without line end. 0 = what the host tells as rx_max in
	// Sys.Info, else DefaultHostFrame; below 0 = any.
	MaxFrame int
	// MaxReceive is the longest frame from the host. 0 = framing.DefaultMaxFrame.
	MaxReceive int
	// CRC says when to send CRC suffixes; the default answers in kind.
	CRC framing.CRCMode
	// RequireCRC drops frames of the host without a valid CRC suffix.
	RequireCRC bool
	// Pace writes with pauses, for hosts with small receive buffers.
	Pace framing.Pace
	// XonXoff obeys software flow control by the host.
	XonXoff bool
	// Retries is how often a call to the host is sent again when no answer
	// comes. Set it only for hosts that remember their replies, as those of
	// ccm/host do: others would do the work twice.
	Retries int
	// FirstID is the id of the first call to the host on each opening of the
	// port, for tests that compare traces. 0 = a random one, so that a late
	// answer fits no call of the next opening.
	FirstID uint64
	// Queue bounds the messages that wait for the host. 0 = DefaultHostQueue.
	Queue int
	// Reset, if set, pulses the reset line of the host. The module uses it for
	// the watchdog and for Host.Reset.
	Reset func(ctx context.Context) error
	// Watchdog looks after a host that hangs; the zero value does not.
	Watchdog Watchdog
	// Junk is given the lines of the host that are no frames: boot text and
	// logs, without line end. It must neither block nor keep line.
	Junk func(line []byte)
}

// Watchdog looks whether a host still answers, and resets it if not.
type Watchdog struct {
	// Interval is the time between two looks. 0 = there is no watchdog.
	Interval time.Duration
	// Misses is how many looks in a row go unanswered before the host counts
	// as hung. 0 = 3.
	Misses int
	// MaxResets is how often an hour a hung host is reset; beyond that it is
	// only reported. 0 = 3, below 0 = never.
	MaxResets int
}

// check validates the configuration and fills in the defaults.
func (c *Config) check() error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if s := c.Management.Store; s != nil && c.ID == "" {
		// A bad one, by a schema that does not check it, must not keep the module
		// from starting: nobody could change it any more.
		c.storedID = true
		if c.ID = s.String("device.id"); c.ID != "" && !validID(c.ID) {
			c.Logger.Error("device.id is not usable as a level of a topic", "device.id", clip(c.ID), "instead", DefaultID)
			c.ID = DefaultID
		}
	}
	if c.ID == "" {
		c.ID = DefaultID
	}
	if s := c.Management.Store; s != nil && s.Has("rpc.mqtt.enable") && !s.Bool("rpc.mqtt.enable") {
		c.NoCloudRPC = true
	}
	if !validID(c.ID) {
		return fmt.Errorf("ccm: Config.ID %q is not usable as a level of a topic", c.ID)
	}
	c.Info.complete()
	c.Hosts = slices.Clone(c.Hosts) // the caller's stay as they are
	seen := map[string]bool{}
	for i := range c.Hosts {
		h := &c.Hosts[i]
		switch {
		case seen[h.Name]:
			return fmt.Errorf("ccm: Config.Hosts[%d]: a second host named %q", i, h.Name)
		case h.Open == nil:
			return fmt.Errorf("ccm: Config.Hosts[%d].Open is not set", i)
		case h.Name != "" && !validHostName(h.Name):
			return fmt.Errorf("ccm: Config.Hosts[%d].Name %q: use letters, digits, '-', '_', ':' and '.', at most 64, but not host", i, h.Name)
		}
		seen[h.Name] = true
		if h.Queue <= 0 {
			h.Queue = DefaultHostQueue
		}
	}
	if c.Shadow.Backend != nil && c.Cloud == nil {
		return errors.New("ccm: Config.Shadow needs Config.Cloud")
	}
	return nil
}

// validID reports whether an id can be a level of topics.
func validID(id string) bool {
	return cloud.ValidTopic(id, true) == nil && !strings.Contains(id, "/")
}

// validHostName reports whether a name can be that of a shadow, and a part of
// a method. "host" stands for the host without a name.
func validHostName(name string) bool {
	if len(name) > 64 || name == "host" {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-' || c == '_' || c == ':' || c == '.':
		default:
			return false
		}
	}
	return true
}
