package host

import (
	"context"
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/jsonrpc"
)

var (
	// ErrTopic is returned for a topic that MQTT does not allow.
	ErrTopic = errors.New("host: invalid MQTT topic")
	// ErrPayload is returned for a payload that is not UTF-8 text, which is
	// all that MQTT.Pub can carry.
	ErrPayload = errors.New("host: payload is not UTF-8 text")
	// ErrQoS is returned for a quality of service other than 0 and 1.
	ErrQoS = errors.New("host: QoS must be 0 or 1")
)

// MessageFunc handles a message of a subscription. It owns its arguments. It
// runs in the lane: one message at a time, in order.
type MessageFunc func(ctx context.Context, topic string, payload []byte)

// subscription is one filter and what handles its messages.
type subscription struct {
	filter string
	qos    int
	handle MessageFunc
}

// Publish publishes a payload, which must be UTF-8 text, under a topic. At QoS 0
// it returns when the frame is on its way to the module; nobody will answer. At
// QoS 1 it returns when the module has delivered the message to the broker or
// has taken it into its queue; an [*jsonrpc.Error] with CodeBusy means that the
// queue is full.
func (h *Host) Publish(ctx context.Context, topic string, payload []byte, qos int) error {
	switch {
	case !validTopic(topic):
		return ErrTopic
	case !utf8.Valid(payload):
		return ErrPayload
	case qos != 0 && qos != 1:
		return ErrQoS
	}
	const format = "{%Q:%Q,%Q:%.*Q,%Q:%d}"
	if qos == 0 {
		return h.Notify(ctx, "MQTT.Pub", format, "topic", topic, "message", len(payload), payload, "qos", qos)
	}
	_, err := h.Call(ctx, nil, "MQTT.Pub", format, "topic", topic, "message", len(payload), payload, "qos", qos)
	return err
}

// Subscribe subscribes to a topic filter and has its messages handled. The
// subscription stays until [Host.Unsubscribe], also over restarts of the module
// and changes of the port; when the host is not attached yet it is sent later,
// and the error is nil. A filter has one handler: subscribing again replaces it.
// A message that several filters match goes to each of their handlers.
func (h *Host) Subscribe(ctx context.Context, filter string, qos int, handle MessageFunc) error {
	switch {
	case !validFilter(filter):
		return ErrTopic
	case qos != 0 && qos != 1:
		return ErrQoS
	}
	s := subscription{filter, qos, handle}
	h.mu.Lock()
	i := slices.IndexFunc(h.subs, func(o subscription) bool { return o.filter == filter })
	if i >= 0 {
		h.subs[i] = s
	} else {
		h.subs = append(h.subs, s)
	}
	h.mu.Unlock()
	err := h.subscribe(ctx, s)
	if errors.Is(err, ErrNotAttached) {
		return nil
	}
	if e, is := errors.AsType[*jsonrpc.Error](err); is && e.Code != jsonrpc.CodeTimeout {
		h.forget(filter) // the module refuses it
	}
	return err
}

// Unsubscribe ends a subscription.
func (h *Host) Unsubscribe(ctx context.Context, filter string) error {
	h.forget(filter)
	_, err := h.Call(ctx, nil, "MQTT.Unsub", "{%Q:%Q}", "topic", filter)
	if errors.Is(err, ErrNotAttached) {
		return nil
	}
	return err
}

// forget drops a subscription of this side.
func (h *Host) forget(filter string) {
	h.mu.Lock()
	h.subs = slices.DeleteFunc(h.subs, func(o subscription) bool { return o.filter == filter })
	h.mu.Unlock()
}

func (h *Host) subscribe(ctx context.Context, s subscription) error {
	_, err := h.Call(ctx, nil, "MQTT.Sub", "{%Q:%Q,%Q:%d}", "topic", s.filter, "qos", s.qos)
	return err
}

// resubscribe sends all subscriptions. What the module refuses is left to it:
// the subscription was accepted once and may be again.
func (h *Host) resubscribe(ctx context.Context) {
	h.mu.Lock()
	subs := slices.Clone(h.subs)
	h.mu.Unlock()
	for _, s := range subs {
		if err := h.subscribe(ctx, s); errors.Is(err, jsonrpc.ErrClosed) || ctx.Err() != nil {
			return
		}
	}
}

// message handles MQTT.Message of the module.
func (h *Host) message(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	topic, okTopic := r.Param("topic").Text()
	payload, okText := r.Param("message").AppendString(nil)
	if !okTopic || !okText {
		w.Fail(jsonrpc.ErrInvalidParams)
		return
	}
	h.mu.Lock()
	subs := slices.Clone(h.subs)
	h.mu.Unlock()
	for _, s := range subs {
		if s.handle != nil && matchTopic(s.filter, topic) {
			s.handle(ctx, topic, slices.Clone(payload))
		}
	}
}

// Report reports state to the device shadow: Shadow.Report with params
// formatted by the verbs of mjson.Appendf, an object with the members that have
// changed.
//
//	h.Report(ctx, "{%Q:%B,%Q:%d}", "on", on, "uptime", seconds)
//
// It returns when the frame is on its way to the module, which reports it to
// the cloud, later if need be.
func (h *Host) Report(ctx context.Context, format string, args ...any) error {
	return h.Notify(ctx, "Shadow.Report", format, args...)
}

// OnDelta sets what handles Shadow.Delta: the members of the desired state that
// differ from the reported one, as the JSON text of an object. delta is valid
// until f returns. Apply the change, then report the new state with
// [Host.Report].
//
//	h.OnDelta(func(ctx context.Context, delta []byte) {
//		led.Set(mjson.GetBool(delta, "$.on", false))
//		h.Report(ctx, "{%Q:%B}", "on", led.On())
//	})
func (h *Host) OnDelta(f func(ctx context.Context, delta []byte)) {
	h.mux.HandleFunc("Shadow.Delta", func(ctx context.Context, _ *jsonrpc.Response, r *jsonrpc.Request) {
		f(ctx, r.Params())
	})
}
