package ccm_test

import (
	"bufio"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
)

// roughNet is a network to a broker whose connections break after a random
// number of packets, between two or inside one, in one direction or the other.
type roughNet struct {
	b      *ccmtest.Broker
	calm   atomic.Bool // from now on connections hold
	breaks atomic.Int64

	mu     sync.Mutex
	random *rand.Rand
	pace   int // packets after which a connection breaks, at most
}

// Dial connects to the broker.
func (n *roughNet) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := n.b.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := &roughConn{Conn: conn, n: n, in: bufio.NewReader(conn), up: -1, down: -1}
	at := n.random.IntN(n.pace)
	if n.random.IntN(2) == 0 {
		c.up = at
	} else {
		c.down = at
	}
	c.part = []float64{0, 0, 1, 1, n.random.Float64()}[n.random.IntN(5)]
	c.stray = n.random.IntN(4) == 0
	return c, nil
}

// roughConn is a connection that breaks at a packet: when a part of it has
// passed, which may be none or all.
type roughConn struct {
	net.Conn
	n        *roughNet
	up, down int // the packet, counted from 0; -1 = none
	part     float64
	stray    bool // PUBACKs with ids that nobody uses come before the packets of the broker
	written  int
	in       *bufio.Reader
	read     int
	packet   []byte // being read
	broken   bool   // after packet
}

// Write sends a packet: paho writes each with one call.
func (c *roughConn) Write(p []byte) (int, error) {
	c.written++
	if c.written-1 != c.up || c.n.calm.Load() {
		return c.Conn.Write(p)
	}
	k, _ := c.Conn.Write(p[:int(c.part*float64(len(p)))])
	c.n.breaks.Add(1)
	c.Close()
	return k, io.ErrUnexpectedEOF
}

// Read reads a part of a packet.
func (c *roughConn) Read(p []byte) (int, error) {
	for len(c.packet) == 0 {
		if c.broken {
			c.n.breaks.Add(1)
			c.Close()
			return 0, io.ErrUnexpectedEOF
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	k := copy(p, c.packet)
	c.packet = c.packet[k:]
	return k, nil
}

// next reads the next packet of the broker.
func (c *roughConn) next() error {
	header, err := c.in.Peek(2) // all packets here are shorter than 128 bytes
	if err != nil {
		return err
	}
	packet := make([]byte, 2+int(header[1]))
	if _, err := io.ReadFull(c.in, packet); err != nil {
		return err
	}
	if c.read == c.down && !c.n.calm.Load() {
		packet, c.broken = packet[:int(c.part*float64(len(packet)))], true
	}
	if c.stray && c.read > 0 {
		packet = append([]byte{0x40, 2, 0xff, byte(c.read)}, packet...)
	}
	c.read++
	c.packet = packet
	return nil
}
