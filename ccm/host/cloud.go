package host

import (
	"context"
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/internal/topic"
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

// Publish publishes a payload, which must be UTF-8 text, under a topic. At QoS 0
// it returns when the frame is on its way to the module; nobody will answer. At
// QoS 1 it returns when the module has delivered the message to the broker or
// has taken it into its queue; an [*jsonrpc.Error] with CodeBusy means that the
// queue is full. While the host is not attached it returns [ErrNotAttached].
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

// message handles MQTT.Message of the module.
func (h *Host) message(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	name, okTopic := r.Param("topic").Text()
	payload, okText := r.Param("message").AppendString(nil)
	if !okTopic || !okText {
		w.Fail(jsonrpc.ErrInvalidParams)
		return
	}
	h.mu.Lock()
	subs := slices.Clone(h.subs)
	h.mu.Unlock()
	for _, s := range subs {
		if s.handle != nil && topic.Match(s.filter, name) {
			s.handle(ctx, name, slices.Clone(payload))
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
// [Host.Report]. f replaces the one set before; nil ignores deltas. The method
// Shadow.Delta is there from the first f on.
//
//	h.OnDelta(func(ctx context.Context, delta []byte) {
//		led.Set(mjson.GetBool(delta, "$.on", false))
//		h.Report(ctx, "{%Q:%B}", "on", led.On())
//	})
func (h *Host) OnDelta(f func(ctx context.Context, delta []byte)) {
	h.mu.Lock()
	h.onDelta = f
	h.mu.Unlock()
	if f != nil {
		h.listenDelta.Do(func() { h.mux.HandleFunc("Shadow.Delta", h.delta) })
	}
}

// delta handles Shadow.Delta of the module.
func (h *Host) delta(ctx context.Context, _ *jsonrpc.Response, r *jsonrpc.Request) {
	h.mu.Lock()
	f := h.onDelta
	h.mu.Unlock()
	if f != nil {
		f(ctx, r.Params())
	}
}
