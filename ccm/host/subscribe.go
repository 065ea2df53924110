package host

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ccmkit/ccmkit/jsonrpc"
)

// maxSubscriptions is how many subscriptions a host has at most.
const maxSubscriptions = 128

// The pauses between attempts to send what the module has not taken.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// ErrTooManySubscriptions is returned for a subscription beyond 128.
var ErrTooManySubscriptions = errors.New("host: too many subscriptions")

// MessageFunc handles a message of a subscription. It owns its arguments. It
// runs in the lane: one message at a time, in order.
type MessageFunc func(ctx context.Context, topic string, payload []byte)

// subscription is one filter and what handles its messages.
type subscription struct {
	filter string
	qos    int
	handle MessageFunc

	// session, under Host.mu, is the session in which the filter was sent, and
	// answered or still is to be; 0 after a failure.
	session uint64
}

// Subscribe subscribes to a topic filter and has its messages handled; a nil
// handle drops them. The subscription stays until [Host.Unsubscribe], also over
// restarts of the module and changes of the port. A filter has one handler:
// subscribing again replaces it. A message that several filters match goes to
// each of their handlers. A host has 128 subscriptions at most; one more is
// refused with [ErrTooManySubscriptions].
//
// When the module refuses the subscription, with CodeDenied, CodeUnauthorized,
// CodeInvalidParams or CodeMethodNotFound, it is forgotten, and one that it was
// to replace stays as it was. After any other error, such as a timeout, a busy
// module or a closed connection, the subscription stays all the same and is sent
// again, after 1 s at first and at last every 60 s, until the module answers.
// So it is when the host is not attached yet; the error is nil then. What the
// module refuses when it is sent again stays, and is sent at the next start of
// the module or on the next port.
func (h *Host) Subscribe(ctx context.Context, filter string, qos int, handle MessageFunc) error {
	switch {
	case !validFilter(filter):
		return ErrTopic
	case qos != 0 && qos != 1:
		return ErrQoS
	}
	s := &subscription{filter: filter, qos: qos, handle: handle}
	var old *subscription
	h.mu.Lock()
	switch i := h.find(filter); {
	case i >= 0:
		old, h.subs[i] = h.subs[i], s
	case len(h.subs) >= maxSubscriptions:
		h.mu.Unlock()
		return ErrTooManySubscriptions
	default:
		h.subs = append(h.subs, s)
	}
	s.session = h.session // nobody else sends it meanwhile
	h.mu.Unlock()
	err := h.send(ctx, s)
	switch {
	case err == nil || errors.Is(err, ErrNotAttached):
		return nil
	case refused(err):
		h.replace(s, old)
	default:
		h.resend()
	}
	return err
}

// Unsubscribe ends a subscription: its handler is not called any more, whatever
// the error. While the host is not attached, the error is nil.
func (h *Host) Unsubscribe(ctx context.Context, filter string) error {
	h.mu.Lock()
	h.subs = slices.DeleteFunc(h.subs, func(o *subscription) bool { return o.filter == filter })
	h.mu.Unlock()
	_, err := h.Call(ctx, nil, "MQTT.Unsub", "{%Q:%Q}", "topic", filter)
	if errors.Is(err, ErrNotAttached) {
		return nil
	}
	return err
}

// find returns the place of a filter in subs, or -1; mu is held.
func (h *Host) find(filter string) int {
	return slices.IndexFunc(h.subs, func(o *subscription) bool { return o.filter == filter })
}

// replace puts old, if any, back into the place of s.
func (h *Host) replace(s, old *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.subs, s); i >= 0 && old != nil {
		h.subs[i] = old
		h.resend() // the module may have started anew meanwhile
	} else if i >= 0 {
		h.subs = slices.Delete(h.subs, i, i+1)
	}
}

// refused reports whether an error is a definite answer of the module.
func refused(err error) bool {
	if e, is := errors.AsType[*jsonrpc.Error](err); is {
		switch e.Code {
		case jsonrpc.CodeDenied, jsonrpc.CodeUnauthorized, jsonrpc.CodeInvalidParams, jsonrpc.CodeMethodNotFound:
			return true
		}
	}
	return false
}

// send sends a subscription and notes how it went.
func (h *Host) send(ctx context.Context, s *subscription) error {
	h.mu.Lock()
	session := h.session
	s.session = session
	h.mu.Unlock()
	_, err := h.Call(ctx, nil, "MQTT.Sub", "{%Q:%Q,%Q:%d}", "topic", s.filter, "qos", s.qos)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil && !refused(err) && s.session == session {
		s.session = 0
	}
	if i := h.find(s.filter); i >= 0 && h.subs[i] != s && err == nil {
		h.subs[i].session = 0 // replaced meanwhile: the new one has the last word
		h.resend()
	}
	return err
}

// resend has what is not sent in this session sent soon.
func (h *Host) resend() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// keepSubscribed sends the subscriptions, at once in each session, and until the
// module has answered to each.
func (h *Host) keepSubscribed(ctx context.Context, conn *jsonrpc.Conn) {
	again := time.NewTimer(0)
	defer again.Stop()
	pause, session := firstPause, uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-conn.Done():
			return
		case <-h.wake:
		case <-again.C:
		}
		unsent, now := h.unsent()
		if now != session {
			pause, session = firstPause, now
		}
		failed := false
		for _, s := range unsent {
			err := h.send(ctx, s)
			failed = failed || err != nil && !refused(err)
		}
		if failed {
			again.Reset(pause)
			pause = min(2*pause, lastPause)
		} else {
			pause = firstPause
		}
	}
}

// unsent returns what is not sent in this session, and the session.
func (h *Host) unsent() (subs []*subscription, session uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.subs {
		if s.session != h.session {
			subs = append(subs, s)
		}
	}
	return subs, h.session
}
