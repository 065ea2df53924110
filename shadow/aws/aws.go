package aws

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ccmkit/ccmkit/shadow"
)

// What the service takes (AWS IoT device shadow: quotas and error messages).
const (
	// MaxPatch bounds a reported patch. A shadow document may have 8 KiB; the
	// rest is for the envelope of the request.
	MaxPatch = 8000
	// MaxDepth bounds the nesting of a reported patch: the patch, which is the
	// section, and 6 levels in it.
	MaxDepth = 7
	// MaxPayload is the longest payload that is read from the broker.
	MaxPayload = 128 << 10

	interval = 100 * time.Millisecond // between two updates
	timeout  = 10 * time.Second       // for an answer
	qos      = 1
)

var (
	// ErrName is returned by [New] for a name that AWS does not allow.
	ErrName = errors.New("aws: a name must be letters, digits, ':', '_' and '-': 1 to 128 for a thing, up to 64 for a shadow")
	// ErrAnswer is returned for an answer that is not what the service sends.
	ErrAnswer = errors.New("aws: malformed answer")
)

// Backend is one device shadow. It implements [shadow.Backend].
type Backend struct {
	transport shadow.Transport
	prefix    string        // of the topics, without a slash at its end
	token     string        // of the requests, a counter follows
	slot      chan struct{} // holds a value while a request is under way
	foreign   atomic.Uint64
	malformed atomic.Uint64

	mu         sync.Mutex
	subscribed bool
	deltas     func(shadow.Delta)
	count      uint64   // requests so far
	pending    *pending // the request that waits for its answer, if any
}

var _ shadow.Backend = (*Backend)(nil)

// New returns the backend of the classic shadow of a thing, or of the shadow with
// a name. It starts nothing. Names are letters, digits, ':', '_' and '-', 1 to
// 128 of them for a thing and up to 64 for a shadow, else the error is [ErrName].
func New(t shadow.Transport, thing, name string) (*Backend, error) {
	if !validName(thing, 128) || name != "" && !validName(name, 64) {
		return nil, ErrName
	}
	prefix := "$aws/things/" + thing + "/shadow"
	if name != "" {
		prefix += "/name/" + name
	}
	var random [4]byte
	rand.Read(random[:])
	return &Backend{
		transport: t, prefix: prefix, token: hex.EncodeToString(random[:]) + "-",
		slot: make(chan struct{}, 1),
	}, nil
}

func validName(s string, most int) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_-"
	return len(s) > 0 && len(s) <= most && strings.Trim(s, letters) == ""
}

// Limits returns what AWS takes.
func (b *Backend) Limits() shadow.Limits {
	return shadow.Limits{Patch: MaxPatch, Depth: MaxDepth, Interval: interval}
}

// Stats are the counters of a [Backend] since it was made.
type Stats struct {
	Foreign   uint64 // answers to requests of others, or that came too late
	Malformed uint64 // messages that are not what the service sends
}

// Stats returns the counters. Safe for concurrent use.
func (b *Backend) Stats() Stats {
	return Stats{Foreign: b.foreign.Load(), Malformed: b.malformed.Load()}
}

// The topics behind the prefix.
const (
	updateDelta    = "/update/delta"
	updateAccepted = "/update/accepted"
	updateRejected = "/update/rejected"
	getAccepted    = "/get/accepted"
	getRejected    = "/get/rejected"
	deleteAccepted = "/delete/accepted"
)

// filters returns the topics to subscribe to.
func (b *Backend) filters() []string {
	filters := []string{updateDelta, updateAccepted, updateRejected, getAccepted, getRejected, deleteAccepted}
	for i := range filters {
		filters[i] = b.prefix + filters[i]
	}
	return filters
}

// Subscribe has deltas called from now on. It subscribes to the topics of the
// answers unless that was done before: the transport keeps subscriptions.
func (b *Backend) Subscribe(ctx context.Context, deltas func(shadow.Delta)) error {
	b.mu.Lock()
	b.deltas = deltas
	subscribed := b.subscribed
	b.mu.Unlock()
	if subscribed {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, shadow.ErrTimeout)
	defer cancel()
	if err := b.transport.Subscribe(ctx, b.filters(), qos, b.handle); err != nil {
		return timedOut(ctx, err)
	}
	b.mu.Lock()
	b.subscribed = true
	b.mu.Unlock()
	return nil
}
