package ccm

import (
	"context"
	"errors"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/ccm/outbox"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// codeOffline is what a request gets that cannot do without a broker.
const codeOffline = 503

var (
	// ErrNoCloud is returned by a module that has no connection configured.
	ErrNoCloud = errors.New("ccm: no cloud is configured")

	errOffline = &jsonrpc.Error{Code: codeOffline, Message: "not connected to the cloud"}
)

// Publish publishes a message, and returns when the broker has it: after PUBACK
// with QoS 1, when it was written with QoS 0. It does not queue; a module
// without a connection at the moment returns an error at once. payload is not
// kept after the return.
func (m *Module) Publish(ctx context.Context, topic string, qos byte, payload []byte) error {
	if m.cloud == nil {
		return ErrNoCloud
	}
	return m.cloud.Publish(ctx, cloud.Message{Topic: topic, QoS: qos, Payload: payload})
}

// Subscribe has handle called for every message whose topic the filter matches,
// by one goroutine at a time, which it must not block; payload is borrowed. A nil
// handle drops them. The subscription lasts as long as the module, and every call
// adds a handle. Subscribe returns when the broker has granted it. Offline it
// returns cloud.ErrOffline; the subscription is there then, and the broker is asked
// when there is a connection: do not call again. So it is with cloud.ErrLost and the
// error of ctx; with any other error there is none.
func (m *Module) Subscribe(ctx context.Context, filter string, qos byte, handle func(topic string, payload []byte)) error {
	if m.cloud == nil {
		return ErrNoCloud
	}
	if err := cloud.ValidFilter(filter); err != nil {
		return err
	}
	if handle == nil {
		handle = func(string, []byte) {}
	}
	h, qos := m.router.addHandler(filter, qos, func(msg *cloud.Message) { handle(msg.Topic, msg.Payload) })
	err := m.cloud.Subscribe(ctx, cloud.Subscription{Filter: filter, QoS: qos})
	switch {
	case err == nil, errors.Is(err, cloud.ErrOffline), errors.Is(err, cloud.ErrLost),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case isDenied(err):
		m.denied(nil, filter)
	}
	m.router.removeHandler(h, filter)
	return err
}

// isDenied reports whether the broker refuses a subscription.
func isDenied(err error) bool {
	_, is := errors.AsType[*cloud.SubscribeError](err)
	return is
}

// send hands a message of the outbox to the connection.
func (m *Module) send(msg *outbox.Message, done func(error)) error {
	if m.cloud == nil {
		return outbox.ErrOffline
	}
	err := m.cloud.PublishFunc(cloud.Message{Topic: msg.Topic, Payload: msg.Payload, QoS: 1, Retain: msg.Retain}, done)
	switch {
	case errors.Is(err, cloud.ErrBusy):
		return outbox.ErrBusy
	case errors.Is(err, cloud.ErrOffline):
		return outbox.ErrOffline
	}
	return err
}

// heldBack is told by the outbox of a topic over which the broker seems to close
// the connection.
func (m *Module) heldBack(topic string, pause time.Duration) {
	m.log.Warn("the connection breaks when this is published; it has to wait", "topic", topic, "pause", pause)
}

// mqttPub is MQTT.Pub {topic, message, qos=0, retain=false}. QoS 0 is answered
// null when it is written. QoS 1 is answered null after PUBACK, and
// {"queued":true} when there is no connection, it is lost, or PUBACK is late.
func (m *Module) mqttPub(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	msg, err := m.publication(r)
	if err != nil {
		m.refused(ctx, "MQTT.Pub", err)
		w.Fail(err)
		return
	}
	if msg.QoS == 0 {
		m.pubNow(ctx, w, msg)
		return
	}
	m.pubQueued(ctx, w, msg)
}

// publication reads the params of MQTT.Pub.
func (m *Module) publication(r *jsonrpc.Request) (msg cloud.Message, err error) {
	var ok bool
	if msg.Topic, ok = r.Param("topic").Text(); !ok {
		return msg, badParams("topic must be a string")
	}
	if err := cloud.ValidTopic(msg.Topic, m.cfg.Cloud != nil && m.cfg.Cloud.StrictTopics); err != nil {
		return msg, badParams(err.Error())
	}
	if msg.Payload, ok = r.Param("message").AppendString(nil); !ok {
		return msg, badParams("message must be a string")
	}
	if msg.QoS, err = qosParam(r, 0); err != nil {
		return msg, err
	}
	if v := r.Param("retain"); v.Exists() {
		if msg.Retain, ok = v.Bool(); !ok {
			return msg, badParams("retain must be true or false")
		}
	}
	return msg, nil
}

// qosParam reads the qos, 0 or 1.
func qosParam(r *jsonrpc.Request, absent byte) (byte, error) {
	v := r.Param("qos")
	if !v.Exists() {
		return absent, nil
	}
	if n, isInt := v.Int(); isInt && (n == 0 || n == 1) {
		return byte(n), nil
	}
	return 0, badParams("qos must be 0 or 1")
}

func badParams(text string) error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: text}
}

// refused notes a request of a host that failed; a notification has no other
// way to say so.
func (m *Module) refused(ctx context.Context, method string, err error) {
	m.stats.refused.Add(1)
	m.log.Debug("request refused", "host", hostName(ctx), "method", method, "err", err)
}

// pubNow publishes with QoS 0.
func (m *Module) pubNow(ctx context.Context, w *jsonrpc.Response, msg cloud.Message) {
	p := m.postpone(ctx, w)
	if p == nil {
		return
	}
	err := error(errOffline)
	if m.cloud != nil {
		err = m.cloud.PublishFunc(msg, func(err error) { p.answer(nil, publishError(err)) })
	}
	if errors.Is(err, cloud.ErrBusy) {
		// The network is slower than the host, which has to wait a little.
		limited, cancel := context.WithTimeout(ctx, busyPatience)
		if err = m.cloud.Publish(limited, msg); err == nil {
			p.answer(nil, nil)
		} else if limited.Err() != nil {
			err = jsonrpc.ErrBusy
		}
		cancel()
	}
	if err == nil {
		m.stats.published.Add(1)
	} else {
		m.refused(ctx, "MQTT.Pub", err)
		p.answer(nil, publishError(err))
	}
	p.wait(ctx)
}

// busyPatience is how long a QoS 0 publication holds up its host while the
// network takes no more, before it is refused.
const busyPatience = time.Second

// pubQueued publishes with QoS 1.
func (m *Module) pubQueued(ctx context.Context, w *jsonrpc.Response, msg cloud.Message) {
	out := outbox.Message{Topic: msg.Topic, Payload: msg.Payload, Retain: msg.Retain}
	if !w.Pending() || !m.outbox.Online() {
		err := m.outbox.Put(out, nil)
		if err != nil {
			m.refused(ctx, "MQTT.Pub", err)
			w.Fail(publishError(err))
			return
		}
		m.stats.published.Add(1)
		w.Result(queuedAnswer)
		return
	}
	p := m.postpone(ctx, w)
	if p == nil {
		return // too many wait for their answers
	}
	p.late = queuedAnswer
	place := m.unacked.add(p)
	late := time.AfterFunc(answerLife, p.giveLate)
	err := m.outbox.Put(out, func(err error) {
		late.Stop()
		m.unacked.remove(place)
		p.answer(nil, publishError(err))
	})
	if err != nil {
		late.Stop()
		m.unacked.remove(place)
		m.refused(ctx, "MQTT.Pub", err)
		p.answer(nil, publishError(err))
	} else {
		m.stats.published.Add(1)
		if !m.outbox.Online() { // since it was asked before
			p.giveLate()
		}
	}
	p.wait(ctx)
}

// publishError translates an error for whoever asked.
func publishError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, outbox.ErrFull), errors.Is(err, cloud.ErrBusy), errors.Is(err, outbox.ErrDropped):
		return jsonrpc.ErrBusy
	case errors.Is(err, cloud.ErrOffline), errors.Is(err, cloud.ErrLost):
		return errOffline
	case errors.Is(err, cloud.ErrTooLarge):
		return &jsonrpc.Error{Code: jsonrpc.CodeTooLarge, Message: "longer than the cloud takes"}
	}
	return err
}

// hostName returns the name of the calling host, for the log.
func hostName(ctx context.Context) string {
	if h := HostFromContext(ctx); h != nil {
		return h.cfg.Name
	}
	return "cloud"
}
