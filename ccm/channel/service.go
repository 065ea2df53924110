package channel

import (
	"errors"
	"log/slog"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// Defaults of Config.
const (
	DefaultMaxFrame      = 4096 // bytes; Mongoose OS: rpc.max_frame_size
	DefaultMaxChannels   = 20   // Mongoose OS: rpc.max_non_persistent_channels
	DefaultMaxHandlers   = 32
	DefaultMaxPerChannel = 4
	DefaultMaxMQTT       = 24
	DefaultTimeout       = time.Minute
)

// Config describes a [Service]. Gate and Lookup must be set.
type Config struct {
	// ID returns device.id: the src of replies, and a dst that frames may
	// have. nil = replies have no src.
	ID func() string

	// Aliases are other names that frames may have as dst.
	Aliases []string

	// Gate decides who may call what.
	Gate *access.Gate

	// Login checks the passwords of frames and HTTP requests. It should be that
	// of the Gate. nil = nobody can log in.
	Login *access.Login

	// Lookup returns the handler of a method that the Gate has let through, and
	// what translates its error codes: jsonrpc.ManagementCode for the methods of
	// the module, nil for those of a host, whose codes pass unchanged. No
	// handler means 404. It is called on the goroutine that reads the channel,
	// in the order in which frames arrive, and must not block. A handler that it
	// returns runs exactly once, even if its ctx has ended before, unless it is
	// InTurn and its turn did not come in time.
	Lookup func(method []byte) (h jsonrpc.Handler, codes func(code int) int)

	// MaxFrame limits the bytes of a received frame. 0 = DefaultMaxFrame.
	MaxFrame int

	// MaxChannels limits the connections (HTTP, websocket, TCP) of all doors
	// together. 0 = DefaultMaxChannels.
	MaxChannels int

	// MaxHandlers and MaxPerChannel limit the calls at work, of all channels and
	// of one. 0 = DefaultMaxHandlers, DefaultMaxPerChannel.
	MaxHandlers, MaxPerChannel int

	// MaxMQTT is MaxPerChannel for the calls that come over MQTT: all clients share
	// that channel. What it leaves of MaxHandlers is for the other doors.
	// 0 = DefaultMaxMQTT.
	MaxMQTT int

	// Timeout is how long a handler may take before its ctx ends.
	// 0 = DefaultTimeout.
	Timeout time.Duration

	// Logger is told about handlers that panic, ports that cannot be opened
	// and, at level Debug, about every frame that is dropped. nil = nobody.
	Logger *slog.Logger
}

// Service turns frames into calls of handlers, and what they answer into
// replies. All its doors share it.
type Service struct {
	cfg    Config
	log    *slog.Logger
	places places
	pool   pool
	stats  counters
}

// New returns a Service. It starts nothing.
func New(cfg Config) (*Service, error) {
	switch {
	case cfg.Gate == nil:
		return nil, errors.New("channel: Config.Gate is not set")
	case cfg.Lookup == nil:
		return nil, errors.New("channel: Config.Lookup is not set")
	}
	setDefault(&cfg.MaxFrame, DefaultMaxFrame)
	setDefault(&cfg.MaxChannels, DefaultMaxChannels)
	setDefault(&cfg.MaxHandlers, DefaultMaxHandlers)
	setDefault(&cfg.MaxPerChannel, DefaultMaxPerChannel)
	setDefault(&cfg.MaxMQTT, DefaultMaxMQTT)
	setDefault(&cfg.Timeout, DefaultTimeout)
	s := &Service{cfg: cfg, log: cfg.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.places.total, s.places.each, s.places.mqtt = cfg.MaxHandlers, cfg.MaxPerChannel, cfg.MaxMQTT
	s.pool.max = cfg.MaxChannels
	s.pool.evicted = &s.stats.evicted
	return s, nil
}

// setDefault replaces a limit that is not set.
func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// MaxFrame returns the longest frame that is taken, in bytes.
func (s *Service) MaxFrame() int { return s.cfg.MaxFrame }

// id returns our own id, or "".
func (s *Service) id() string {
	if s.cfg.ID == nil {
		return ""
	}
	return s.cfg.ID()
}

// isUs reports whether a frame with this dst is for us.
func (s *Service) isUs(dst string) bool {
	if dst == "" || dst == s.id() {
		return true
	}
	for _, a := range s.cfg.Aliases {
		if dst == a {
			return true
		}
	}
	return false
}
