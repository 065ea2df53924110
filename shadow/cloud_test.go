package shadow_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ccmkit/ccmkit/shadow"
)

// oneWay is how long a message takes to or from the cloud.
const oneWay = 100 * time.Millisecond

var errOffline = errors.New("offline")

// cloud is a shadow service with one classic shadow, and the network to it: the
// rules of AWS, plainly written.
type cloud struct {
	t *testing.T

	mu                sync.Mutex
	rand              *rand.Rand
	desired, reported object
	version           int64
	exists            bool
	link              *connection // nil while offline
	filters           map[string]bool
	handle            func(topic string, payload []byte)

	// fault, if set, is asked for each request what goes wrong with it.
	fault func(op string, payload object) fault
	// noise makes messages take more time, come twice and in another order.
	noise bool

	requests []request // all that came, refused ones too
	grants   int       // SUBSCRIBE packets
}

// fault is what goes wrong with a request.
type fault struct {
	code   int  // the cloud refuses it
	silent bool // the cloud does it, but its answer is lost
	lost   bool // it is lost
}

// request is a message to the cloud.
type request struct {
	at      time.Time
	topic   string
	payload string
}

// connection is one connection of the device; its end is closed with it.
type connection struct {
	end     chan struct{}
	deliver sync.Mutex // one call of the handler at a time
}

const prefix = "$aws/things/thing-1/shadow"

func newCloud(t *testing.T, seed int) *cloud {
	return &cloud{
		t: t, rand: rand.New(rand.NewPCG(uint64(seed), 3)), filters: map[string]bool{},
		desired: object{}, reported: object{},
	}
}

// connect makes a connection, and disconnect ends it.
func (c *cloud) connect() {
	c.mu.Lock()
	c.link = &connection{end: make(chan struct{})}
	c.mu.Unlock()
}

func (c *cloud) disconnect() {
	c.mu.Lock()

	if c.link != nil {
		close(c.link.end)
		c.link = nil
	}
	c.mu.Unlock()
}

// travel waits while a message is on its way, and reports how that ended.
func (c *cloud) travel(ctx context.Context, l *connection) error {
	t := time.NewTimer(c.delay())
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-l.end:
		return errOffline
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *cloud) delay() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.noise {
		return oneWay
	}
	return oneWay/2 + time.Duration(c.rand.Int64N(int64(oneWay)))
}

func (c *cloud) current() (*connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == nil {
		return nil, errOffline
	}
	return c.link, nil
}

// Subscribe implements shadow.Transport.
func (c *cloud) Subscribe(ctx context.Context, filters []string, _ byte, handle func(string, []byte)) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	if err := c.travel(ctx, l); err != nil {
		return err
	}
	c.mu.Lock()
	for _, f := range filters {
		c.filters[f] = true
	}
	c.handle = handle
	c.grants++
	c.mu.Unlock()
	return c.travel(ctx, l)
}

// Publish implements shadow.Transport.
func (c *cloud) Publish(ctx context.Context, topic string, _ byte, payload []byte) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	text := string(payload)
	if err := c.travel(ctx, l); err != nil {
		return err
	}
	c.receive(topic, text)
	return c.travel(ctx, l)
}

// receive handles a message that has arrived.
func (c *cloud) receive(topic, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, request{time.Now(), topic, text})
	op, known := strings.CutPrefix(topic, prefix)
	if !known {
		c.t.Errorf("published under %s", topic)
		return
	}
	p := decodeObject(c.t, []byte(text))
	var f fault
	if c.fault != nil {
		f = c.fault(op, p)
	}
	token := p["clientToken"]
	switch {
	case f.lost:
	case f.code != 0:
		c.send(op+"/rejected", object{"code": f.code, "message": "refused", "clientToken": token})
	case op == "/get" && !c.exists:
		c.send("/get/rejected", object{"code": 404, "message": "No shadow exists with name: 'thing-1'", "clientToken": token})
	case op == "/get":
		if !f.silent {
			c.send("/get/accepted", object{"state": c.state(), "version": c.version, "timestamp": 1, "clientToken": token})
		}
	case op == "/update":
		c.update(p["state"].(object), token, !f.silent)
	default:
		c.t.Errorf("unknown request %s", topic)
	}
}

// state returns the state of the document as get/accepted has it.
func (c *cloud) state() object {
	state := object{}
	if len(c.desired) > 0 {
		state["desired"] = c.desired
	}
	if len(c.reported) > 0 {
		state["reported"] = c.reported
	}
	if d := refDiff(c.desired, c.reported); len(d) > 0 {
		state["delta"] = d
	}
	return state
}

// update changes the document and sends accepted and delta.
func (c *cloud) update(state object, token any, answer bool) {
	if d, has := state["desired"]; has {
		c.desired = refMerge(c.desired, d).(object)
	}
	if r, has := state["reported"]; has {
		c.reported = refMerge(c.reported, r).(object)
	}
	c.exists = true
	c.version++
	if answer {
		accepted := object{"state": state, "version": c.version, "timestamp": 1}
		if token != nil {
			accepted["clientToken"] = token
		}
		c.send("/update/accepted", accepted)
	}
	if d := refDiff(c.desired, c.reported); len(d) > 0 {
		c.send("/update/delta", object{"state": d, "version": c.version, "timestamp": 1})
	}
}

// edit is an update by a program in the cloud: "desired" or "reported".
func (c *cloud) edit(section string, patch object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.update(object{section: patch}, "console-1", true)
}

// editText is edit with JSON text.
func (c *cloud) editText(section, patch string) { c.edit(section, decodeObject(c.t, []byte(patch))) }

// remove deletes the shadow.
func (c *cloud) remove() {
	c.mu.Lock()

	defer c.mu.Unlock()
	c.desired, c.reported, c.exists = object{}, object{}, false
	c.send("/delete/accepted", object{"version": c.version, "timestamp": 1})
	c.version = 0
}

// send sends a message to the device, if it is connected and has subscribed.
func (c *cloud) send(topic string, payload object) {
	l := c.link
	if l == nil || !c.filters[prefix+topic] {
		return
	}
	text := encode(c.t, payload)
	n, wait := 1, oneWay
	if c.noise {
		wait = oneWay/2 + time.Duration(c.rand.Int64N(int64(oneWay)))
		if c.rand.IntN(8) == 0 {
			n = 2
		}
	}
	handle := c.handle
	for i := range n {
		time.AfterFunc(wait+time.Duration(i)*30*time.Millisecond, func() {
			l.deliver.Lock()
			defer l.deliver.Unlock()
			select {
			case <-l.end:
			default:
				borrowed := append([]byte(nil), text...)
				handle(prefix+topic, borrowed)
				for i := range borrowed {
					borrowed[i] = '#' // whoever has kept it will notice
				}
			}
		})
	}
}

// document returns the sections as JSON text.
func (c *cloud) document() (desired, reported string, version int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(encode(c.t, c.desired)), string(encode(c.t, c.reported)), c.version
}

// unsettled returns what of the desired state is not reported.
func (c *cloud) unsettled() object {
	c.mu.Lock()
	defer c.mu.Unlock()
	return refDiff(c.desired, c.reported)
}

// received returns the requests so far.
func (c *cloud) received() []request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// sent returns the requests so far: "get", or "update PATCH".
func (c *cloud) sent() []string {
	var out []string
	for _, r := range c.received() {
		op := strings.TrimPrefix(r.topic, prefix+"/")
		if op == "update" {
			var p struct {
				State struct{ Reported json.RawMessage }
			}
			if err := json.Unmarshal([]byte(r.payload), &p); err != nil {
				c.t.Error(err)
			}
			op += " " + string(p.State.Reported)
		}
		out = append(out, op)
	}
	return out
}

var _ shadow.Transport = (*cloud)(nil)
