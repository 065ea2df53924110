package ccm

import (
	"context"
	"errors"
	"slices"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

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
