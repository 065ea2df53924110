package ccmtest

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Ack says what becomes of a PUBACK that the broker sends to a client.
type Ack struct {
	Drop      bool          // it is lost; the broker has the message all the same
	Duplicate bool          // it comes twice
	Delay     time.Duration // it comes later, behind other packets
}

// SetAcks sets what becomes of every PUBACK to the clients from now on. The zero
// Ack is the ordinary one.
func (b *Broker) SetAcks(a Ack) {
	if a == (Ack{}) {
		b.acks.Store(nil)
		return
	}
	b.SetAckFunc(func(string, uint16) Ack { return a })
}

// SetAckFunc has f decide for each PUBACK, by client and packet id. It runs on
// the goroutine that serves the client and must not block. nil is the ordinary
// way.
func (b *Broker) SetAckFunc(f func(client string, id uint16) Ack) {
	if f == nil {
		b.acks.Store(nil)
		return
	}
	b.acks.Store(&f)
}

// brokerConn is the broker's end of a connection: the place where PUBACKs get
// lost.
type brokerConn struct {
	net.Conn       // raw, or TLS over it
	raw      *conn // for breaking it
	b        *Broker
	done     chan struct{}          // closed when nothing serves it any more
	client   atomic.Pointer[string] // its id, set at CONNECT
	asks     atomic.Bool            // a SUBSCRIBE is being served

	// Belong to the goroutine that serves the connection; see gate.
	publishing, taking bool

	mu      sync.Mutex
	ids     map[uint16]uint16 // the client's ids of packets, by mochi's; see broker_ids.go
	room    sync.Cond         // pending has become smaller
	pending int               // messages that wait to be written
	telling int               // observers that have been told of a message and have not returned
	late    []lateAck         // in the order in which they are due
	timer   *time.Timer
	over    bool
}

func newBrokerConn(b *Broker, raw *conn) *brokerConn {
	c := &brokerConn{Conn: raw, raw: raw, b: b, done: make(chan struct{})}
	c.room.L = &c.mu
	return c
}

// admit waits until another message may be queued for the client. mochi would
// drop it if its queue were full. It reports false when the connection has ended.
func (c *brokerConn) admit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.pending >= c.b.o.WritesPending && !c.over {
		t := time.AfterFunc(time.Second, c.recount)
		c.room.Wait()
		t.Stop()
	}
	c.pending++
	return !c.over
}

// recount forgets messages that were admitted and then not queued, which mochi
// does not tell. While an observer keeps the writer, messages wait and are not
// forgotten.
func (c *brokerConn) recount() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.telling == 0 {
		c.pending = 0
		c.room.Broadcast()
	}
}

// written notes that a message has left the queue. The writer goes on when told is
// called.
func (c *brokerConn) written() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.telling++
	c.pending = max(c.pending-1, 0)
	c.room.Signal()
}

func (c *brokerConn) told() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.telling--
	c.room.Broadcast() // those who wait set the timer of recount again
}

// id returns the id of the client, "" before its CONNECT.
func (c *brokerConn) id() string {
	if id := c.client.Load(); id != nil {
		return *id
	}
	return ""
}

// lateAck is a PUBACK that waits.
type lateAck struct {
	due    time.Time
	packet []byte
}

// puback is the first byte of a PUBACK.
const puback = 0x40

// cut breaks the connection.
func (c *brokerConn) cut() {
	c.raw.reset()
	c.finish()
}

// Close ends the connection.
func (c *brokerConn) Close() error {
	c.finish()
	return c.Conn.Close()
}

// Write sends p, which holds whole packets.
func (c *brokerConn) Write(p []byte) (n int, err error) {
	if decide := c.b.acks.Load(); decide == nil {
		n, err = c.Conn.Write(p)
	} else {
		n, err = c.sift(p, *decide)
	}
	if err != nil {
		c.finish()
		if len(p) > 0 && p[0] == puback {
			// mochi would not hand on a message whose PUBACK it cannot write.
			// A copy of it may have arrived, though, and then a broker that
			// keeps its word has the message.
			return len(p), nil
		}
	}
	return n, err
}

// sift sends the packets of p, or does with them what decide says.
func (c *brokerConn) sift(p []byte, decide func(string, uint16) Ack) (int, error) {
	for rest := p; len(rest) > 0; {
		n := packetLen(rest)
		if err := c.pass(rest[:n], decide); err != nil {
			return len(p) - len(rest), err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// pass sends one packet, or does with it what decide says.
func (c *brokerConn) pass(p []byte, decide func(string, uint16) Ack) error {
	times := 1
	if p[0] == puback && len(p) >= 4 {
		a := decide(c.id(), uint16(p[2])<<8|uint16(p[3]))
		if a.Duplicate {
			times = 2
		}
		if a.Drop {
			times = 0
			c.b.stats.droppedAcks.Add(1)
		}
		if a.Delay > 0 {
			for range times {
				c.later(a.Delay, p)
			}
			return nil
		}
	}
	for range times {
		if _, err := c.Conn.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// packetLen returns the length of the MQTT packet at the start of p, or that of
// p if it is not whole.
func packetLen(p []byte) int {
	n := 0
	for i := 1; i < len(p) && i <= 4; i++ {
		n |= int(p[i]&0x7f) << (7 * (i - 1))
		if p[i] < 0x80 {
			return min(i+1+n, len(p))
		}
	}
	return len(p)
}

// later sends a packet after d.
func (c *brokerConn) later(d time.Duration, p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	due := time.Now().Add(d)
	i := len(c.late)
	for i > 0 && c.late[i-1].due.After(due) {
		i--
	}
	c.late = append(c.late, lateAck{})
	copy(c.late[i+1:], c.late[i:])
	c.late[i] = lateAck{due, append([]byte(nil), p...)}
	c.wind()
}

// wind sets the timer to the next late packet; mu is held.
func (c *brokerConn) wind() {
	if len(c.late) == 0 {
		return
	}
	d := time.Until(c.late[0].due)
	if c.timer == nil {
		c.timer = time.AfterFunc(d, c.deliver)
	} else {
		c.timer.Reset(d)
	}
}

// deliver sends the packets that are due. The connection never waits, so the
// lock may be held.
func (c *brokerConn) deliver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.late) > 0 && !c.late[0].due.After(time.Now()) && !c.over {
		_, _ = c.Conn.Write(c.late[0].packet) // fails when the connection is gone
		c.late = c.late[1:]
	}
	c.wind()
}

// finish lets go of everything: the connection has ended.
func (c *brokerConn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over, c.late = true, nil
	c.room.Broadcast()
	if c.timer != nil {
		c.timer.Stop()
	}
}
