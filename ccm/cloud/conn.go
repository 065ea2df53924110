package cloud

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

var (
	// ErrRunning is returned by a Run beside a running one.
	ErrRunning = errors.New("cloud: already running")
	// ErrOffline is returned while there is no connection.
	ErrOffline = errors.New("cloud: not connected")
	// ErrLost says that the connection ended before the server had answered. A
	// message may have arrived, or not.
	ErrLost = errors.New("cloud: connection lost")
	// ErrBusy is returned when Config.MaxInFlight messages are on their way.
	ErrBusy = errors.New("cloud: too many messages in flight")
	// ErrQoS is returned for a QoS other than 0 and 1.
	ErrQoS = errors.New("cloud: QoS must be 0 or 1")
	// ErrTooLarge is returned for a message longer than Config.MaxPacket.
	ErrTooLarge = errors.New("cloud: message too large")
	// ErrTooManySubscriptions is returned for a topic filter beyond
	// Config.MaxSubscriptions.
	ErrTooManySubscriptions = errors.New("cloud: too many subscriptions")
)

// Conn is a connection to one of several MQTT servers, made again whenever it
// breaks. All methods are safe for concurrent use.
type Conn struct {
	cfg     Config // without credentials
	log     *slog.Logger
	servers []server
	creds   func(ctx context.Context) (username, password string, err error)
	slots   [2]*semaphore.Weighted // of messages in flight, by QoS
	stats   stats
	running atomic.Bool

	// These belong to the goroutine of Run.
	backoff backoff
	tls     tlsClient
	warned  bool // that a connection is not encrypted

	mu     sync.Mutex
	status Status
	link   *link  // nil if there is none
	links  uint64 // made so far
	subs   []*subscription
	unsubs []*unsubscription // not sent yet
}

// New validates a configuration and returns a connection that [Conn.Run] makes.
// The errors name the field that is wrong. Files are not read yet; see
// [TLSConfig.Check].
func New(cfg Config) (*Conn, error) {
	servers, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	c := &Conn{log: cfg.Logger, servers: servers, creds: cfg.Credentials}
	if c.creds == nil {
		username, password := cfg.Username, string(cfg.Password)
		c.creds = func(context.Context) (string, string, error) { return username, password, nil }
	}
	cfg.Username, cfg.Password = "", "" // whatever prints a Conn does not find them
	c.cfg = cfg
	for qos := range c.slots {
		c.slots[qos] = semaphore.NewWeighted(int64(cfg.MaxInFlight))
	}
	c.tls = tlsClient{cfg: &c.cfg.TLS, clock: c.clock}
	c.status = Status{Reason: ReasonNotStarted, Since: time.Now()}
	return c, nil
}

// clock returns the time for certificates.
func (c *Conn) clock() time.Time {
	if now := time.Now(); now.After(c.cfg.BuildTime) {
		return now
	}
	return c.cfg.BuildTime
}

// Run keeps up a connection until ctx ends. Then it takes leave of the server
// with DISCONNECT and returns nil, within 50 ms even if the network is stuck;
// every goroutine has ended then. Messages that are not acknowledged end with
// ErrLost. Run may be called again later; subscriptions stay.
func (c *Conn) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer c.running.Store(false)
	defer c.report(Status{Reason: ReasonStopped})
	c.backoff = backoff{min: c.cfg.BackoffMin, max: c.cfg.BackoffMax, rand: c.cfg.Rand}
	if c.cfg.RequireTime {
		c.waitForClock(ctx)
	}
	for next := 0; ctx.Err() == nil; {
		s := c.servers[next]
		e := c.visit(ctx, s)
		if ctx.Err() != nil {
			break
		}
		if e.up < stable {
			next = (next + 1) % len(c.servers)
		}
		c.pause(ctx, s, e)
	}
	return nil
}

// ending is how an attempt or a connection ended.
type ending struct {
	err *Error
	up  time.Duration // since CONNACK; 0 if there was none
}

// pause tells why there is no connection and waits until the next attempt.
func (c *Conn) pause(ctx context.Context, s server, e ending) {
	wait := c.backoff.next(e.err.Reason, e.up)
	last := c.Status()
	c.report(Status{
		Server: s.address, Secure: s.tls, Reason: e.err.Reason, Err: e.err,
		Failures: c.backoff.failures, Next: time.Now().Add(wait),
	})
	level := slog.LevelDebug // the same again
	if e.up > 0 || last.Reason != e.err.Reason {
		level = slog.LevelWarn
	}
	c.log.Log(ctx, level, "no connection to the cloud", "err", e.err, "up", e.up.Round(time.Millisecond), "retry", wait.Round(time.Millisecond))
	if e.up > 0 && c.backoff.quick == quickLimit {
		c.log.Warn("the server ends every connection soon: does another client use the same id?", "client id", c.cfg.ClientID)
	}
	sleep(ctx, wait)
}

// waitForClock waits until the clock shows a time that is possible.
func (c *Conn) waitForClock(ctx context.Context) {
	if !time.Now().Before(c.cfg.BuildTime) {
		return
	}
	c.report(Status{Reason: ReasonClock, Err: &Error{Reason: ReasonClock}})
	c.log.Warn("waiting for the clock to be set", "at least", c.cfg.BuildTime)
	for ctx.Err() == nil && time.Now().Before(c.cfg.BuildTime) {
		sleep(ctx, clockPoll)
	}
}

// sleep waits for a time or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
