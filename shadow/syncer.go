package shadow

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config describes a [Syncer].
type Config struct {
	// Backend is the shadow. Required.
	Backend Backend
	// Deliver hands a delta to the host. The Syncer's goroutine calls it, one
	// call at a time, and does nothing else meanwhile; delta is valid during
	// the call. An error means that the host cannot take it now: what then
	// still differs is delivered after HostReady. Nil if there is no host.
	Deliver func(ctx context.Context, delta []byte) error
	// RepeatAfter is how long a delta that equals the last one is not delivered
	// again. 0 = 60 s; below 0 every delta is delivered.
	RepeatAfter time.Duration
	// DropNulls keeps from the host what is no longer desired, which only some
	// clouds tell, by null.
	DropNulls bool
	// Hidden lists top-level members of the desired state that are not for the
	// host.
	Hidden []string
	// Observer is told what happens. The Syncer's goroutine calls it; it must
	// not block.
	Observer func(Event)
}

// repeatAfter is the default of Config.RepeatAfter.
const repeatAfter = time.Minute

// Syncer keeps a host and its shadow in step. All methods are safe for
// concurrent use. Make one with [NewSyncer].
type Syncer struct {
	cfg     Config
	limits  Limits
	wake    chan struct{} // holds a value if there may be something to do
	running atomic.Bool
	stats   stats
	link    link // belongs to the goroutine in Run

	mu     sync.Mutex // guards what follows
	online bool
	epoch  uint64             // counts connections and their ends
	cancel context.CancelFunc // ends the request that is under way, if any
	ready  bool               // a host session has begun
	stale  bool               // the document must be fetched again
	lost   int                // deltas dropped that were not noted yet
	inbox  inbox
	queue  queue
	base   Document
	known  bool   // base has been fetched
	asked  []byte // what of the last delivered delta the host has not reported yet; nil = nothing
}

// NewSyncer makes a Syncer, which does nothing until Run is called.
func NewSyncer(cfg Config) *Syncer {
	if cfg.RepeatAfter == 0 {
		cfg.RepeatAfter = repeatAfter
	}
	cfg.Hidden = slices.Clone(cfg.Hidden)
	return &Syncer{cfg: cfg, limits: cfg.Backend.Limits(), wake: make(chan struct{}, 1)}
}

// SetOnline tells that a connection to the cloud is there, or that it is lost,
// which ends a request that is under way. Each call with true means a new
// connection. It does not block.
func (s *Syncer) SetOnline(online bool) {
	s.mu.Lock()
	if online || s.online {
		s.online = online
		s.epoch++
		s.inbox = inbox{}
		if s.cancel != nil {
			s.cancel()
		}
	}
	s.mu.Unlock()
	s.poke()
}

// HostReady tells that a host session has begun: all that differs now is
// delivered, whether it was before or not. It does not block.
func (s *Syncer) HostReady() {
	s.mu.Lock()
	s.ready = true
	s.mu.Unlock()
	s.poke()
}

// Document returns a copy of the document as it is known: as it was fetched last,
// changed by the deltas and accepted reports since. It is false before the first
// fetch. The desired state may still have members that were removed since then,
// because only some clouds tell.
func (s *Syncer) Document() (Document, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.base
	d.Desired, d.Reported = slices.Clone(d.Desired), slices.Clone(d.Reported)
	return d, s.known
}

// poke wakes the goroutine in Run.
func (s *Syncer) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
