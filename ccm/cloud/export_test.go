package cloud

import (
	"bytes"
	"io"
	"net"
	"time"
)

// Backoff is the backoff for its tests.
type Backoff struct{ b backoff }

func NewBackoff(low, high time.Duration, rand func() float64) *Backoff {
	return &Backoff{backoff{min: low, max: high, rand: rand}}
}

func (b *Backoff) Next(reason Reason, up time.Duration) time.Duration { return b.b.next(reason, up) }

// ParseServer is parseServer for its tests.
func ParseServer(entry string, secure bool) (address string, tls bool, err error) {
	s, err := parseServer(entry, secure)
	return s.address, s.tls, err
}

// Guarded returns what paho reads when a server has accepted a connection and
// then sends data, with a SUBSCRIBE of some filters on its way, and a function
// that says why the connection ended.
func Guarded(data []byte, maxPacket, filters int) (r io.Reader, cause func() *Error) {
	c := &Conn{cfg: Config{MaxPacket: maxPacket, KeepAlive: DefaultKeepAlive}}
	conn := &replay{Reader: bytes.NewReader(data)}
	l := newLink(c, server{address: "test"}, conn, conn)
	l.welcome.Store(true)
	l.answers.Store(int32(filters))
	l.Close() // so that paho is told of the end
	return l, l.cause.Load
}

// replay is a connection that has only been heard.
type replay struct {
	net.Conn // nil
	*bytes.Reader
}

func (r *replay) Read(p []byte) (int, error)     { return r.Reader.Read(p) }
func (*replay) Write([]byte) (int, error)        { return 0, net.ErrClosed }
func (*replay) Close() error                     { return nil }
func (*replay) SetReadDeadline(time.Time) error  { return nil }
func (*replay) SetWriteDeadline(time.Time) error { return nil }
