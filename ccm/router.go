package ccm

import (
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

var errTooManySubscriptions = &jsonrpc.Error{Code: jsonrpc.CodeBusy, Message: "too many subscriptions"}

// router knows who has subscribed to what. It outlives connections and hosts.
type router struct {
	m *Module

	mu    sync.RWMutex
	exact map[string]*topic // filters without wildcards
	wild  []*topic          // the others
}

// topic is one filter and who has subscribed to it.
type topic struct {
	filter   string
	qos      byte
	hosts    []*Host
	handlers []func(msg *cloud.Message)
}

func (r *router) init(m *Module) {
	r.m, r.exact = m, map[string]*topic{}
}

// find returns the subscription to a filter, or nil. The lock is held.
func (r *router) find(filter string) *topic {
	if !strings.ContainsAny(filter, "+#") {
		return r.exact[filter]
	}
	for _, t := range r.wild {
		if t.filter == filter {
			return t
		}
	}
	return nil
}

// entry returns the subscription to a filter, a new one if need be. The lock is
// held.
func (r *router) entry(filter string) *topic {
	t := r.find(filter)
	if t == nil {
		t = &topic{filter: filter}
		if strings.ContainsAny(filter, "+#") {
			r.wild = append(r.wild, t)
		} else {
			r.exact[filter] = t
		}
	}
	return t
}

// drop forgets a subscription that nobody has. The lock is held.
func (r *router) drop(t *topic) {
	delete(r.exact, t.filter)
	r.wild = slices.DeleteFunc(r.wild, func(o *topic) bool { return o == t })
}

// addHost subscribes a host, and returns the QoS to ask the broker for.
func (r *router) addHost(h *Host, filter string, qos byte) (byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.find(filter); (t == nil || !slices.Contains(t.hosts, h)) && r.count(h) >= MaxSubscriptions {
		return 0, errTooManySubscriptions
	}
	t := r.entry(filter)
	if !slices.Contains(t.hosts, h) {
		t.hosts = append(t.hosts, h)
	}
	t.qos = max(t.qos, qos)
	return t.qos, nil
}

// count returns how many filters a host has. The lock is held.
func (r *router) count(h *Host) (n int) {
	for _, t := range r.exact {
		if slices.Contains(t.hosts, h) {
			n++
		}
	}
	for _, t := range r.wild {
		if slices.Contains(t.hosts, h) {
			n++
		}
	}
	return n
}

// removeHost ends the subscription of a host. It reports whether nobody is left.
func (r *router) removeHost(h *Host, filter string) (last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.find(filter)
	if t == nil {
		return false
	}
	i := slices.Index(t.hosts, h)
	if i < 0 {
		return false
	}
	t.hosts = append(t.hosts[:i:i], t.hosts[i+1:]...) // a copy: route may be reading the old one
	if len(t.hosts)+len(t.handlers) > 0 {
		return false
	}
	r.drop(t)
	return true
}

// addHandler subscribes a function of the module.
func (r *router) addHandler(filter string, qos byte, handle func(msg *cloud.Message)) byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.entry(filter)
	t.handlers = append(t.handlers, handle)
	t.qos = max(t.qos, qos)
	return t.qos
}

// subscribers returns who has subscribed to a topic, each host once.
func (r *router) subscribers(name string) (hosts []*Host, handlers []func(msg *cloud.Message)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if t := r.exact[name]; t != nil {
		hosts, handlers = t.hosts[:len(t.hosts):len(t.hosts)], t.handlers[:len(t.handlers):len(t.handlers)]
	}
	for _, t := range r.wild {
		if !cloud.Match(t.filter, name) {
			continue
		}
		handlers = append(handlers, t.handlers...)
		for _, h := range t.hosts {
			if !slices.Contains(hosts, h) {
				hosts = append(hosts, h)
			}
		}
	}
	return hosts, handlers
}

// route hands a message of the broker to everybody who has subscribed. It is
// called by the connection, one message at a time, and must not block.
func (r *router) route(msg *cloud.Message) {
	m := r.m
	m.stats.arrived.Add(1)
	hosts, handlers := r.subscribers(msg.Topic)
	for _, handle := range handlers {
		handle(msg)
	}
	if len(hosts) > 0 && !utf8.Valid(msg.Payload) {
		m.stats.notText.Add(1)
		m.complain("message dropped: not UTF-8", hosts[0].cfg.Name, "topic", msg.Topic, "bytes", len(msg.Payload))
		hosts = nil
	}
	a := &arrival{msg: msg, due: time.Now().Add(messageLife)}
	a.left.Store(int32(len(hosts)) + 1)
	for _, h := range hosts {
		if !h.inbox.put(a) {
			m.stats.overflow.Add(1)
			m.complain("message dropped: the queue of the host is full", h.cfg.Name, "topic", msg.Topic)
			a.settle()
		}
	}
	a.settle()
}
