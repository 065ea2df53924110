package ccm

import (
	"iter"
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

	// change is held while the router and the list of the connection change
	// together, so that they agree; it is taken before mu.
	change sync.Mutex

	mu    sync.RWMutex
	exact map[string]*topic // filters that match only the topic of their name
	wild  []*topic          // the others
}

// topic is one filter and who has subscribed to it.
type topic struct {
	filter   string
	qos      byte
	hosts    []*Host
	handlers []*handler
}

// handler is a function of the module that has subscribed.
type handler struct{ handle func(msg *cloud.Message) }

func (r *router) init(m *Module) {
	r.m, r.exact = m, map[string]*topic{}
}

// isExact reports whether a filter matches only the topic of its name.
func isExact(filter string) bool {
	return !strings.ContainsAny(filter, "+#") && !strings.HasPrefix(filter, "$share/")
}

// find returns the subscription to a filter, or nil. The lock is held.
func (r *router) find(filter string) *topic {
	if isExact(filter) {
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
		if isExact(filter) {
			r.exact[filter] = t
		} else {
			r.wild = append(r.wild, t)
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
	for t := range r.all() {
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

// removeHosts ends the subscriptions of all hosts to a filter, and returns them.
func (r *router) removeHosts(filter string) []*Host {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.find(filter)
	if t == nil {
		return nil
	}
	hosts := t.hosts
	t.hosts = nil
	if len(t.handlers) == 0 {
		r.drop(t)
	}
	return hosts
}

// addHandler subscribes a function of the module, and returns the QoS to ask the
// broker for.
func (r *router) addHandler(filter string, qos byte, handle func(msg *cloud.Message)) (*handler, byte) {
	r.change.Lock()
	defer r.change.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &handler{handle}
	t := r.entry(filter)
	t.handlers = append(t.handlers, h)
	t.qos = max(t.qos, qos)
	return h, t.qos
}

// removeHandler ends the subscription of a function.
func (r *router) removeHandler(h *handler, filter string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.find(filter)
	if t == nil {
		return
	}
	i := slices.Index(t.handlers, h)
	if i < 0 {
		return
	}
	t.handlers = append(t.handlers[:i:i], t.handlers[i+1:]...) // a copy, as in removeHost
	if len(t.hosts)+len(t.handlers) == 0 {
		r.drop(t)
	}
}

// own returns what functions of the module have subscribed to.
func (r *router) own() (subs []cloud.Subscription) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for t := range r.all() {
		if len(t.handlers) > 0 {
			subs = append(subs, cloud.Subscription{Filter: t.filter, QoS: t.qos})
		}
	}
	return subs
}

// all returns the filters. The lock is held.
func (r *router) all() iter.Seq[*topic] {
	return func(yield func(*topic) bool) {
		for _, t := range r.exact {
			if !yield(t) {
				return
			}
		}
		for _, t := range r.wild {
			if !yield(t) {
				return
			}
		}
	}
}

// subscribers returns who has subscribed to a topic, each host once.
func (r *router) subscribers(name string) (hosts []*Host, handlers []*handler) {
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
	for _, h := range handlers {
		h.handle(msg)
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
