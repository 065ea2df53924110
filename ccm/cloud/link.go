package cloud

import (
	"bufio"
	"net"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// readBuffer is the size of the buffer for what the server sends, in bytes.
const readBuffer = 2 << 10

// link is one connection to a server. It is also the net.Conn that paho is
// given, and stands between paho and the network:
//
//   - Read checks every packet before paho sees it (see guard.go).
//   - Once CONNACK has come, paho learns nothing of the end of the connection:
//     Read waits and Write pretends. So paho never stops by itself while a call
//     into it is under way, which would then hang, and it is always leave that
//     ends it.
//   - Deadlines are those of the link; paho's are ignored.
type link struct {
	c              *Conn
	server         server
	number         uint64
	raw, conn      net.Conn // what is closed; what is read and written
	client         mqtt.Client
	sessionPresent bool

	cause  atomic.Pointer[Error] // why the link has ended
	down   chan struct{}         // closed when it has
	closed chan struct{}         // closed by paho
	gone   atomic.Bool           // closed is closed
	grace  atomic.Pointer[time.Timer]
	wake   chan struct{} // something is to be sent

	// Reading; but for welcome and answers it belongs to paho's reader.
	in      *bufio.Reader
	left    int           // bytes of a checked packet that paho has not read yet
	reading time.Duration // when the read deadline was set, since begun
	welcome atomic.Bool   // CONNACK 0 came
	answers atomic.Int32  // filters in the SUBSCRIBE that waits for its answer

	begun   time.Time
	writing atomic.Int64 // when the write deadline was set, as a duration since begun
	unacked atomic.Int64 // messages that wait for their Ack

	// Guarded by c.mu.
	ready   bool // it takes messages: all subscriptions were answered
	unasked bool // there may be something to subscribe to, or to unsubscribe from
	acks    []*receipt
	queue   []*publication
	open    map[uint16]*publication // by packet id, waiting for PUBACK

	// These belong to serve.
	sent    uint64       // messages given to paho
	sending *publication // the one that is being given, until the ledger has it
	asked   *request     // the SUBSCRIBE or UNSUBSCRIBE that waits for its answer
	timer   *time.Timer
	due     time.Time // when timer fires; zero if it is stopped
}

func newLink(c *Conn, s server, raw, conn net.Conn) *link {
	c.mu.Lock()
	c.links++
	number := c.links
	c.mu.Unlock()
	l := &link{
		c: c, server: s, number: number, raw: raw, conn: conn,
		down: make(chan struct{}), closed: make(chan struct{}), wake: make(chan struct{}, 1),
		begun: time.Now(), unasked: true, open: make(map[uint16]*publication),
	}
	l.in = bufio.NewReaderSize(conn, readBuffer)
	return l
}

// fail ends the link, unless it has ended before. It does not wait.
func (l *link) fail(why *Error) {
	if l.cause.CompareAndSwap(nil, why) {
		close(l.down)
		l.raw.Close()
	}
}

// stop ends the link because Run shall end.
func (l *link) stop() { l.fail(&Error{Reason: ReasonStopped}) }

// ended reports whether the link has ended.
func (l *link) ended() bool {
	select {
	case <-l.down:
		return true
	default:
		return false
	}
}

// because makes the Error for an error of the network or the server.
func (l *link) because(err error) *Error {
	reason, cause := linkReason(err, l.welcome.Load())
	return &Error{Reason: reason, Server: l.server.address, Err: cause}
}

// poke has serve look for something to send.
func (l *link) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// leave ends paho, which sends DISCONNECT if the link is up, and waits for its
// goroutines. It does not wait for the network: see Write, and grace.
func (l *link) leave() {
	l.client.Disconnect(uint(time.Hour / time.Millisecond))
	l.stop()
}

// Read gives paho the bytes of packets that were found in order.
func (l *link) Read(p []byte) (n int, err error) {
	if l.left == 0 {
		err = l.nextPacket()
	}
	if err == nil {
		n, err = l.in.Read(p[:min(len(p), l.left)])
		l.left -= n
	}
	if err == nil {
		return n, nil
	}
	l.fail(l.because(err))
	if !l.welcome.Load() {
		return n, err
	}
	<-l.closed
	return 0, net.ErrClosed
}

// Write sends a packet: paho writes each with one call. It always reports
// success: how the connection ends is the business of Read.
func (l *link) Write(p []byte) (int, error) {
	if l.ended() {
		return len(p), nil
	}
	l.setWriteDeadline()
	_, err := l.conn.Write(p)
	switch {
	case err == nil:
		l.c.stats.bytesOut.Add(uint64(len(p)))
		if isDisconnect(p) {
			l.linger()
		}
	case timedOut(err):
		l.fail(l.because(errStuck))
	case l.welcome.Load():
		l.fail(l.because(err))
	default: // the server has closed, and what it has sent says why
	}
	return len(p), nil
}

func isDisconnect(packet []byte) bool { return len(packet) == 2 && packet[0] == 0xe0 }

// linger waits until the server has closed the connection after DISCONNECT, so
// that it certainly reads it: closing a connection with unread bytes would throw
// away what is on its way. grace bounds the wait.
func (l *link) linger() {
	if half, is := l.conn.(interface{ CloseWrite() error }); is {
		half.CloseWrite()
	}
	<-l.down // set by Read at the end of the stream
}

// setWriteDeadline lets the next write take between one and two halves of
// writeTimeout. Setting a deadline costs more than looking at the clock.
func (l *link) setWriteDeadline() {
	now := time.Since(l.begun)
	if set := time.Duration(l.writing.Load()); set == 0 || now-set > writeTimeout/2 {
		l.writing.Store(int64(max(now, 1)))
		l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
}

// setReadDeadline lets a packet come, completely, in the time in which the
// answer to a ping must have come.
func (l *link) setReadDeadline() {
	now := time.Since(l.begun)
	if l.reading == 0 || now-l.reading > time.Second {
		l.reading = max(now, 1)
		l.conn.SetReadDeadline(time.Now().Add(l.c.cfg.KeepAlive + pingGrace))
	}
}

// Close is called by paho when it has sent DISCONNECT and when it ends.
func (l *link) Close() error {
	if !l.gone.Swap(true) {
		close(l.closed)
	}
	return l.raw.Close()
}

// The deadlines that paho sets are ignored.
func (*link) SetDeadline(time.Time) error      { return nil }
func (*link) SetReadDeadline(time.Time) error  { return nil }
func (*link) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr and RemoteAddr make the link a net.Conn.
func (l *link) LocalAddr() net.Addr  { return l.raw.LocalAddr() }
func (l *link) RemoteAddr() net.Addr { return l.raw.RemoteAddr() }
