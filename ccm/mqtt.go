package ccm

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
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

// queuedAnswer tells that a message waits for the broker.
var queuedAnswer = []byte(`{"queued":true}`)

// unacked holds the answers that wait for PUBACK, in the order of the calls.
type unacked struct {
	mu  sync.Mutex
	all list.List // of *postponed
}

func (u *unacked) add(p *postponed) (place *list.Element) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.all.PushBack(p)
}

// remove takes an answer out, if it is still there.
func (u *unacked) remove(place *list.Element) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all.Remove(place)
}

// giveLate gives all answers because the connection is lost.
func (u *unacked) giveLate() {
	var all []*postponed
	u.mu.Lock()
	for e := u.all.Front(); e != nil; e = u.all.Front() {
		all = append(all, u.all.Remove(e).(*postponed))
	}
	u.mu.Unlock()
	for _, p := range all {
		p.giveLate()
	}
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

// mqttSub is MQTT.Sub {topic, qos=1}, answered null when the broker has granted
// it or there is no connection, and with 403 when the broker refuses.
func (m *Module) mqttSub(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	h, filter, err := subscriber(ctx, r)
	var qos byte
	if err == nil {
		qos, err = qosParam(r, 1)
	}
	p := m.postpone(ctx, w)
	if p == nil {
		return
	}
	if err == nil {
		err = m.subscribe(h, filter, qos, func(err error) {
			if err != nil {
				m.refused(ctx, "MQTT.Sub", err)
			}
			p.answer(nil, err)
		})
	}
	if err != nil {
		m.refused(ctx, "MQTT.Sub", err)
		p.answer(nil, err)
	}
	p.wait(ctx)
}

// subscribe subscribes a host. If it returns nil, done is told what to tell the
// host.
func (m *Module) subscribe(h *Host, filter string, qos byte, done func(err error)) error {
	m.router.change.Lock()
	defer m.router.change.Unlock()
	qos, err := m.router.addHost(h, filter, qos)
	if err != nil {
		return err
	}
	if m.cloud == nil {
		done(nil)
		return nil
	}
	m.cloud.SubscribeFunc(cloud.Subscription{Filter: filter, QoS: qos}, func(err error) { done(m.subscribed(h, filter, err)) })
	return nil
}

// subscribed takes the outcome of a subscription, and forgets one that will not
// be sent again. It returns what to tell the host.
func (m *Module) subscribed(h *Host, filter string, err error) error {
	switch {
	case err == nil, errors.Is(err, cloud.ErrOffline), errors.Is(err, cloud.ErrLost):
		return nil // it is sent when there is a connection
	case isDenied(err):
		m.denied(h, filter)
		return &jsonrpc.Error{Code: jsonrpc.CodeDenied, Message: "the broker refuses the subscription"}
	case errors.Is(err, cloud.ErrTooManySubscriptions):
		err = errTooManySubscriptions
	default:
		err = badParams(err.Error())
	}
	m.router.removeHost(h, filter)
	return err
}

// denied ends the subscriptions to a filter that the broker refuses: those of all
// hosts, because the connection has forgotten the filter; or that of one host, if
// the broker is to be asked once more for another one.
func (m *Module) denied(h *Host, filter string) {
	m.router.change.Lock()
	defer m.router.change.Unlock()
	again := slices.ContainsFunc(m.cloud.Subscriptions(), func(s cloud.Subscription) bool { return s.Filter == filter })
	var hosts []*Host
	if !again {
		hosts = m.router.removeHosts(filter)
	} else if h != nil {
		m.router.removeHost(h, filter)
		hosts = []*Host{h}
	}
	for _, h := range hosts {
		m.log.Warn("the broker refuses a subscription", "host", h.cfg.Name, "filter", filter)
	}
}

// subscribeAgain asks for the filters of the module's functions that the connection
// has forgotten, because the broker has refused them to a host.
func (m *Module) subscribeAgain() {
	known := m.cloud.Subscriptions()
	for _, s := range m.router.own() {
		if !slices.ContainsFunc(known, func(k cloud.Subscription) bool { return k.Filter == s.Filter }) {
			m.cloud.SubscribeFunc(s, func(error) {})
		}
	}
}

// subscriber reads the params of MQTT.Sub and MQTT.Unsub.
func subscriber(ctx context.Context, r *jsonrpc.Request) (*Host, string, error) {
	h := HostFromContext(ctx)
	if h == nil {
		return nil, "", badParams("only a host can subscribe")
	}
	filter, ok := r.Param("topic").Text()
	if !ok {
		return nil, "", badParams("topic must be a string")
	}
	if err := cloud.ValidFilter(filter); err != nil {
		return nil, "", badParams(err.Error())
	}
	return h, filter, nil
}

// mqttUnsub is MQTT.Unsub {topic}, answered null.
func (m *Module) mqttUnsub(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	h, filter, err := subscriber(ctx, r)
	if err != nil {
		m.refused(ctx, "MQTT.Unsub", err)
		w.Fail(err)
		return
	}
	p := m.postpone(ctx, w)
	if p == nil {
		return
	}
	m.unsubscribe(h, filter, func(error) { p.answer(nil, nil) })
	p.wait(ctx)
}

// unsubscribe ends the subscription of a host.
func (m *Module) unsubscribe(h *Host, filter string, done func(err error)) {
	m.router.change.Lock()
	defer m.router.change.Unlock()
	if !m.router.removeHost(h, filter) || m.cloud == nil {
		done(nil)
		return
	}
	m.cloud.UnsubscribeFunc(filter, done)
}

// postponed is an answer that is given later, by whoever is first. A host's
// request does not wait for it in the lane; other doors cannot answer later, so
// that there the handler waits.
type postponed struct {
	w        *jsonrpc.Response // nil: nobody wants the answer
	answered atomic.Bool
	given    chan struct{} // nil if nobody waits
	result   []byte
	err      error
	late     []byte // what to answer when it was waited for long enough; nil: ErrTimeout
}

// postpone returns the answer of w, to be given later; nil if w was answered
// because too many wait already.
func (m *Module) postpone(ctx context.Context, w *jsonrpc.Response) *postponed {
	if !w.Pending() {
		return &postponed{} // a notification: the answer goes nowhere
	}
	if HostFromContext(ctx) == nil {
		return &postponed{w: w, given: make(chan struct{})}
	}
	if w = w.Detach(); !w.Pending() {
		return nil
	}
	return &postponed{w: w}
}

// answer answers with JSON text, or an error. Only the first answer counts.
func (p *postponed) answer(result []byte, err error) {
	if p.w == nil || p.answered.Swap(true) {
		return
	}
	if p.given != nil {
		p.result, p.err = slices.Clone(result), err
		close(p.given)
		return
	}
	p.send(result, err)
}

// giveLate answers what is answered when it was waited for long enough.
func (p *postponed) giveLate() { p.answer(p.late, nil) }

// wait waits for the answer where it must.
func (p *postponed) wait(ctx context.Context) {
	if p.given == nil {
		return
	}
	select {
	case <-p.given:
		p.send(p.result, p.err)
	case <-ctx.Done():
		if p.late == nil {
			p.w.Fail(jsonrpc.ErrTimeout)
			return
		}
		p.w.Result(p.late)
	}
}

func (p *postponed) send(result []byte, err error) {
	if err != nil {
		p.w.Fail(err)
	} else {
		p.w.Result(result)
	}
}

// hostName returns the name of the calling host, for the log.
func hostName(ctx context.Context) string {
	if h := HostFromContext(ctx); h != nil {
		return h.cfg.Name
	}
	return "cloud"
}
