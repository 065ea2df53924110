package channel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Limits are the times that the connections of a door have. Zero fields have
// the defaults of the constants.
type Limits struct {
	Header time.Duration // for the header of an HTTP request, or the TLS handshake
	Read   time.Duration // for a whole request
	Write  time.Duration // for a reply, from the moment at which it is there
	Idle   time.Duration // between two requests of an HTTP connection, and between two pings of a websocket
}

// Defaults of Limits, and the longest header of an HTTP request in bytes.
const (
	DefaultHeaderTimeout = 5 * time.Second
	DefaultReadTimeout   = 15 * time.Second
	DefaultWriteTimeout  = 15 * time.Second
	DefaultIdleTimeout   = 30 * time.Second
	MaxHeader            = 8192
)

// grace is how long connections have to end, when their door is closed, before
// they are cut off.
const grace = time.Second

func (l *Limits) setDefaults() {
	setDefault(&l.Header, DefaultHeaderTimeout)
	setDefault(&l.Read, DefaultReadTimeout)
	setDefault(&l.Write, DefaultWriteTimeout)
	setDefault(&l.Idle, DefaultIdleTimeout)
}

// Listen opens a TCP listener. addr is HOST:PORT, or just a PORT as in the
// configuration key http.listen_addr of Mongoose OS, which means all interfaces.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	if !strings.Contains(addr, ":") {
		addr = ":" + addr
	}
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true}}
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("channel: %w", err)
	}
	return l, nil
}

// secured returns a listener whose connections are in the pool of s, with TLS if
// there is a configuration. TLS is 1.2 or later, whatever the configuration says,
// and speaks HTTP/1.1 only, as everything else would be unlimited.
func (s *Service) secured(l net.Listener, conf *tls.Config) net.Listener {
	l = &listener{Listener: l, pool: &s.pool}
	if conf == nil {
		return l
	}
	conf = conf.Clone()
	conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	conf.NextProtos = []string{"http/1.1"}
	return tls.NewListener(l, conf)
}

// pooled returns the connection in the pool that is under c, or nil.
func pooled(c net.Conn) *conn {
	if t, is := c.(*tls.Conn); is {
		c = t.NetConn()
	}
	p, _ := c.(*conn)
	return p
}

// acceptPause is how long a listener rests that cannot accept for the moment,
// for example for want of file descriptors.
const acceptPause = 50 * time.Millisecond

// acceptAll hands connections to serve, until ctx ends or the listener is
// closed. It closes the listener.
func acceptAll(ctx context.Context, l net.Listener, serve func(net.Conn)) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil
		case err == nil:
			serve(c)
		case isTemporary(err):
			rest(ctx, acceptPause)
		default:
			return fmt.Errorf("channel: accept: %w", err)
		}
	}
}

// isTemporary reports whether accepting may work again, as net/http does it.
func isTemporary(err error) bool {
	t, is := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return is && t.Temporary()
}
