package ccmtest

import "sync"

// gate keeps publishing and the taking over of a session apart. mochi copies the
// session of a client to its new connection and then forgets the old one: a message
// that came between would be lost, and one that came before the CONNACK would be
// sent before it.
//
// Publishing may happen inside publishing, in the callback of a subscription; so
// it waits for nobody but a takeover that is under way.
type gate struct {
	mu         sync.Mutex // never held while waiting
	free       sync.Cond  // taken has become false
	publishing int
	taken      bool            // by a takeover
	next       []chan struct{} // takeovers that wait
}

func newGate() *gate {
	g := &gate{}
	g.free.L = &g.mu
	return g
}

// enter begins to publish, leave ends it.
func (g *gate) enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.taken {
		g.free.Wait()
	}
	g.publishing++
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.publishing--
	g.pass()
}

// take begins a takeover, when nobody publishes, and give ends it.
func (g *gate) take() {
	turn := make(chan struct{})
	g.mu.Lock()
	g.next = append(g.next, turn)
	g.pass()
	g.mu.Unlock()
	<-turn
}

func (g *gate) give() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.taken = false
	g.pass()
	g.free.Broadcast()
}

// pass lets the next takeover begin, if it may; mu is held.
func (g *gate) pass() {
	if g.publishing == 0 && !g.taken && len(g.next) > 0 {
		g.taken = true
		close(g.next[0])
		g.next = g.next[1:]
	}
}

// Of a connection, by the goroutine that serves it.

// enter begins to publish for the client, leave ends it.
func (c *brokerConn) enter() {
	if !c.publishing {
		c.b.gate.enter()
		c.publishing = true
	}
}

func (c *brokerConn) leave() {
	if c.publishing {
		c.publishing = false
		c.b.gate.leave()
	}
}

// take begins to take over the session of the client, give ends it.
func (c *brokerConn) take() {
	c.b.gate.take()
	c.taking = true
}

func (c *brokerConn) give() {
	if c.taking {
		c.taking = false
		c.b.gate.give()
	}
}
