package channel

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// pool holds the connections of all doors, and makes room for new ones.
type pool struct {
	max     int
	evicted *atomic.Uint64

	mu   sync.Mutex
	list map[*conn]bool
}

// conn is a connection in the pool. Closing it takes it out.
type conn struct {
	net.Conn
	pool *pool

	// Guarded by pool.mu.
	busy int       // calls at work
	last time.Time // when there was something to do last
}

// add puts a connection into the pool. If it is full, the connection that has
// been idle for the longest is closed; if all are busy, the new one is refused.
func (p *pool) add(c net.Conn) *conn {
	n := &conn{Conn: c, pool: p, last: time.Now()}
	p.mu.Lock()
	var victim *conn
	if len(p.list) >= p.max {
		for o := range p.list {
			if o.busy == 0 && (victim == nil || o.last.Before(victim.last)) {
				victim = o
			}
		}
		p.evicted.Add(1)
		if victim == nil {
			p.mu.Unlock()
			return nil
		}
		delete(p.list, victim)
	}
	if p.list == nil {
		p.list = map[*conn]bool{}
	}
	p.list[n] = true
	p.mu.Unlock()
	if victim != nil {
		victim.Conn.Close()
	}
	return n
}

// len returns how many connections there are.
func (p *pool) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.list)
}

// Close closes the connection.
func (c *conn) Close() error {
	c.pool.mu.Lock()
	delete(c.pool.list, c)
	c.pool.mu.Unlock()
	return c.Conn.Close()
}

// begin and end enclose a handler at work: the connection is not idle. It is while
// the reply is being written, as that is up to the peer. A nil conn, of a door that
// is served by somebody else, takes no part.
func (c *conn) begin() { c.work(1) }

func (c *conn) end() { c.work(-1) }

// touch notes that something has come.
func (c *conn) touch() { c.work(0) }

func (c *conn) work(n int) {
	if c == nil {
		return
	}
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.busy += n
	c.last = time.Now()
}

// listener puts what it accepts into the pool.
type listener struct {
	net.Listener
	pool *pool
}

// Accept returns the next connection for which there is room.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if n := l.pool.add(c); n != nil {
			return n, nil
		}
		c.Close()
	}
}
