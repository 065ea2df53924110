package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"
)

// Defaults of Config.
const (
	DefaultKeepAlive        = 60 * time.Second
	DefaultConnectTimeout   = 15 * time.Second
	DefaultAckTimeout       = 60 * time.Second
	DefaultBackoffMin       = 2 * time.Second
	DefaultBackoffMax       = 60 * time.Second
	DefaultMaxPacket        = 128 << 10
	DefaultMaxInFlight      = 32
	DefaultMaxSubscriptions = 192 // 128 of the hosts, and those of the module itself
)

const (
	maxClientID = 1024  // bytes
	maxString   = 65535 // bytes that an MQTT string can have
	maxInFlight = 4096
	// maxUnacked is how many received messages may wait for their Ack: as many
	// as there are packet ids.
	maxUnacked = 65535
	// filtersPerPacket is what AWS takes in one SUBSCRIBE.
	filtersPerPacket = 8
	// writeTimeout bounds one write, controlTimeout the wait for SUBACK.
	writeTimeout   = 10 * time.Second
	controlTimeout = 10 * time.Second
	// pingGrace is how long after the end of the keepalive interval something
	// must have been received: paho looks every 5 s, and an answer takes time.
	pingGrace = 15 * time.Second
	// leaveTimeout is the time for a last DISCONNECT.
	leaveTimeout = 50 * time.Millisecond
	// clockPoll is how often the clock is looked at until it is set.
	clockPoll = 5 * time.Second
)

// Config configures a [Conn]. Only Servers must be set.
type Config struct {
	// Servers are "HOST[:PORT]", "mqtt://HOST[:PORT]" or "mqtts://HOST[:PORT]",
	// tried in turn. The default port is 1883, or 8883 with TLS; see TLSConfig
	// for when there is TLS. A connection that was up for a while is tried
	// again at the same server first.
	Servers []string

	// ClientID must be unique on the server: of two connections with the same
	// id, servers close the older one. "" lets the server choose.
	ClientID string

	// Username and Password are sent in CONNECT, if Username is not "".
	Username string
	Password Secret

	// Credentials, if set, is asked at every attempt to connect, on the
	// goroutine of Run, instead of Username and Password: for tokens that
	// expire. It must return soon after ctx has ended. Its error becomes a part
	// of Status.Err and must not hold a secret.
	Credentials func(ctx context.Context) (username, password string, err error)

	// AllowPlainCredentials permits to send a user name or password without
	// TLS to another machine.
	AllowPlainCredentials bool

	// TLS says how servers are reached over TLS.
	TLS TLSConfig

	// PersistentSession asks the server to keep subscriptions, and the QoS 1
	// messages that come while there is no connection. It needs a ClientID.
	PersistentSession bool

	// KeepAlive is the longest silence before a ping, in whole seconds.
	// 0 = DefaultKeepAlive; at most 65535 s.
	KeepAlive time.Duration

	// Will, if set, is published by the server when the connection ends in
	// another way than by the end of Run.
	Will *Message

	// ConnectTimeout bounds an attempt to connect, up to CONNACK.
	// 0 = DefaultConnectTimeout.
	ConnectTimeout time.Duration

	// AckTimeout is how long a PUBACK may take before the connection is given
	// up. 0 = DefaultAckTimeout.
	AckTimeout time.Duration

	// BackoffMin and BackoffMax are the first and the last limit of the random
	// wait between attempts; see the package comment.
	// 0 = DefaultBackoffMin, DefaultBackoffMax.
	BackoffMin, BackoffMax time.Duration

	// BuildTime is a time that is certainly past. Certificates are checked at
	// this time while the clock is before it.
	BuildTime time.Time
	// RequireTime waits with connecting until the clock has reached BuildTime.
	RequireTime bool

	// MaxPacket bounds a packet of the server, and what is published, in bytes
	// behind the fixed header. A longer packet of the server ends the
	// connection before memory is taken for it. 0 = DefaultMaxPacket.
	MaxPacket int

	// MaxInFlight bounds the messages that are published but not acknowledged
	// (QoS 1), and those not written yet (QoS 0), each. At most 4096.
	// 0 = DefaultMaxInFlight.
	MaxInFlight int

	// MaxSubscriptions bounds the topic filters that are kept.
	// 0 = DefaultMaxSubscriptions.
	MaxSubscriptions int

	// StrictTopics refuses topics and filters with white space, for which
	// brokers built on NATS close the connection.
	StrictTopics bool

	// CheckTopic, if set, may refuse topics and filters that ValidTopic lets
	// through, because the server would close the connection for them. It is
	// called from any goroutine.
	CheckTopic func(topic string) error

	// Dial opens the connection below TLS; nil is net.Dialer with a TCP
	// keepalive of 30 s. It must return soon after ctx has ended. Connections
	// need working deadlines.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Rand returns numbers from 0 to below 1 for the backoff. It is called by
	// one goroutine at a time. nil = math/rand/v2.
	Rand func() float64

	// OnMessage is given the messages that are received, one at a time in the
	// order of their arrival, on a goroutine of the connection, also before
	// OnStatus has told of it. It must not block, nor call Publish, Subscribe or
	// Unsubscribe; it owns the message. Messages with QoS 1 are acknowledged
	// when it, or somebody else later, calls Message.Ack. nil acknowledges and
	// drops them.
	OnMessage func(*Message)

	// OnStatus is told of every change of the status and every failed attempt,
	// one at a time, on the goroutine of Run. It must not block, nor call
	// Publish, Subscribe or Unsubscribe.
	OnStatus func(Status)

	// Logger is told what an operator wants to know; nil = nothing.
	Logger *slog.Logger
}

var (
	errNoServer      = errors.New("cloud: Config.Servers is empty")
	errNoClientID    = errors.New("cloud: Config.PersistentSession needs a ClientID")
	errPasswordAlone = errors.New("a password needs a user name")
	errTooLongText   = errors.New("more than 65535 bytes")
	errNotText       = errors.New("it must be UTF-8 without control characters")
)

// complete validates the configuration, fills in the defaults and returns the
// servers.
func (c *Config) complete() ([]server, error) {
	c.fill()
	if err := c.check(); err != nil {
		return nil, err
	}
	if len(c.Servers) == 0 {
		return nil, errNoServer
	}
	servers := make([]server, len(c.Servers))
	for i, entry := range c.Servers {
		s, err := parseServer(entry, c.TLS.on())
		if err == nil && c.Credentials == nil && c.Username != "" && c.inClear(s) {
			err = errors.New(ReasonPlainCredentials.String())
		}
		if err != nil {
			return nil, fmt.Errorf("cloud: Config.Servers[%d]: %w", i, err)
		}
		servers[i] = s
	}
	return servers, nil
}

// fill sets the defaults.
func (c *Config) fill() {
	duration := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	duration(&c.KeepAlive, DefaultKeepAlive)
	duration(&c.ConnectTimeout, DefaultConnectTimeout)
	duration(&c.AckTimeout, DefaultAckTimeout)
	duration(&c.BackoffMin, DefaultBackoffMin)
	duration(&c.BackoffMax, max(DefaultBackoffMax, c.BackoffMin))
	c.KeepAlive = min((c.KeepAlive+time.Second-1)/time.Second, maxString) * time.Second
	number := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	number(&c.MaxPacket, DefaultMaxPacket)
	number(&c.MaxInFlight, DefaultMaxInFlight)
	number(&c.MaxSubscriptions, DefaultMaxSubscriptions)
	if c.Dial == nil {
		c.Dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// check validates what does not concern a server alone.
func (c *Config) check() error {
	if err := c.TLS.check(); err != nil {
		return fmt.Errorf("cloud: Config.%w", err)
	}
	if err := credentialsError(c.Username, string(c.Password)); err != nil {
		return fmt.Errorf("cloud: Config.Username, Password: %w", err)
	}
	switch {
	case c.PersistentSession && c.ClientID == "":
		return errNoClientID
	case len(c.ClientID) > maxClientID || !validString(c.ClientID):
		return fmt.Errorf("cloud: Config.ClientID: %w", errNotText)
	case c.BackoffMin > c.BackoffMax:
		return fmt.Errorf("cloud: Config.BackoffMin %v is more than BackoffMax %v", c.BackoffMin, c.BackoffMax)
	case c.MaxInFlight > maxInFlight:
		return fmt.Errorf("cloud: Config.MaxInFlight is more than %d", maxInFlight)
	case c.Will == nil:
		return nil
	}
	if err := c.validate(c.Will); err != nil {
		return fmt.Errorf("cloud: Config.Will: %w", err)
	}
	if len(c.Will.Payload) > maxString {
		return fmt.Errorf("cloud: Config.Will: %w", errTooLongText)
	}
	return nil
}

// inClear reports whether credentials would go to a server without protection.
func (c *Config) inClear(s server) bool {
	return !s.tls && !s.local() && !c.AllowPlainCredentials
}

// credentialsError says why credentials cannot be sent. The text does not hold
// them.
func credentialsError(username, password string) error {
	switch {
	case username == "" && password != "":
		return errPasswordAlone
	case len(username) > maxString, len(password) > maxString:
		return errTooLongText
	case !validString(username):
		return errNotText
	}
	return nil
}
