package shadow

import (
	"context"
	"time"
)

// Transport is how a dialect, or the shadow service, reaches an MQTT broker.
// Package ccm implements it over a cloud connection; tests do in memory.
type Transport interface {
	// Publish returns when the broker has the message (QoS 1: the PUBACK came;
	// QoS 0: it is written), or with an error, at once if the transport is
	// offline. It does not keep payload.
	Publish(ctx context.Context, topic string, qos byte, payload []byte) error

	// Subscribe returns when the broker has granted all filters, or with an
	// error. From then on the transport keeps the subscription over reconnects
	// by itself. handle runs on a goroutine of the transport, one call at a
	// time, must not block, and must not keep payload.
	Subscribe(ctx context.Context, filters []string, qos byte, handle func(topic string, payload []byte)) error
}

// Document is a device shadow: two JSON objects. A section that is nil is
// absent.
type Document struct {
	Desired, Reported []byte
	Version           int64 // 0 = there is no shadow, or the dialect has no versions
}

// Delta is a change of the desired state, as a dialect hands it to the [Syncer].
type Delta struct {
	// State is a JSON object, owned by the receiver. Nil means that the shadow
	// has changed in a way that only [Backend.Get] can tell, such as that it
	// was deleted.
	State []byte
	// Version is that of the shadow; 0 = the dialect has none.
	Version int64
	// Patch tells what State is. If false (AWS, mDash): the difference between
	// the desired and the reported state, whole. If true (Azure): a patch of
	// the desired state, in which null removes.
	Patch bool
}

// Backend is one device shadow in the dialect of a cloud. Its methods are safe
// for concurrent use. Those that block return when the cloud has answered, when
// ctx ends, when the transport is lost, or after the dialect's time-out of 10
// seconds with [ErrTimeout]. A refusal is an [*Error].
type Backend interface {
	// Subscribe starts the flow of deltas. The Syncer calls it once for each
	// connection; only the last function given is called. It runs on a
	// goroutine of the transport and does not block.
	Subscribe(ctx context.Context, deltas func(Delta)) error

	// Get fetches the document, which the caller owns. A shadow that does not
	// exist yet is the zero Document.
	Get(ctx context.Context) (Document, error)

	// Report changes the reported state by a merge patch, RFC 7396, which is
	// not kept.
	Report(ctx context.Context, patch []byte) error

	// Limits returns what the cloud takes. It is always the same.
	Limits() Limits
}

// Limits are what a cloud takes. A zero is no limit of its own.
type Limits struct {
	Patch    int           // bytes of a reported patch
	Depth    int           // objects and arrays nested in a reported patch, itself included
	Interval time.Duration // at least this long between two updates
	AnyValue bool          // reports need not be objects
	Removals bool          // hosts are told by null what is no longer desired (Azure)
}
