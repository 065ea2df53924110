package channel

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/framing"
)

// TCPConfig describes a TCP door.
type TCPConfig struct {
	Role   access.Role // of everybody who comes through this door
	TLS    *tls.Config // if set, the door speaks TLS only
	Limits Limits      // Header for the TLS handshake, Write for replies
}

// ServeTCP serves the connections of a listener, in the framing of the mos tool
// on TCP, until ctx ends, or the listener fails, and closes it. It returns nil
// when ctx has ended, after all connections and handlers have. Login is by frame.
func ServeTCP(ctx context.Context, s *Service, l net.Listener, cfg TCPConfig) error {
	cfg.Limits.setDefaults()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	return acceptAll(ctx, s.secured(l, cfg.TLS), func(c net.Conn) {
		wg.Go(func() { s.serveTCP(ctx, c, &cfg) })
	})
}

// serveTCP serves a connection.
func (s *Service) serveTCP(ctx context.Context, c net.Conn, cfg *TCPConfig) {
	defer c.Close()
	if t, is := c.(*tls.Conn); is {
		limited, cancel := context.WithTimeout(ctx, cfg.Limits.Header)
		err := t.HandshakeContext(limited)
		cancel()
		if err != nil {
			s.log.Debug("TLS handshake failed", "remote", c.RemoteAddr().String(), "err", err)
			return
		}
	}
	m := framing.NewMosTCP(&patient{c, cfg.Limits.Write}, &framing.MosOptions{MaxFrame: s.cfg.MaxFrame})
	o := &access.Origin{Role: cfg.Role, Channel: access.TCPIn, Remote: c.RemoteAddr().String()}
	s.serveFrames(ctx, m, o, pooled(c))
}

// patient is a connection whose writes have a limit.
type patient struct {
	net.Conn
	limit time.Duration
}

func (p *patient) Write(b []byte) (int, error) {
	p.SetWriteDeadline(time.Now().Add(p.limit))
	return p.Conn.Write(b)
}

// serveFrames serves a connection in the framing of mos until it fails or ctx
// ends, and closes it.
func (s *Service) serveFrames(ctx context.Context, m *framing.MosConn, o *access.Origin, c *conn) error {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { m.Close() })
	var t stream
	t.init(s, o, c, func(reply []byte) error {
		err := m.WriteFrame(reply)
		if errors.Is(err, framing.ErrTooLong) {
			return ErrTooLong
		}
		return err
	})
	t.start(ctx)
	defer func() {
		stop()
		cancel()
		m.Close()
		t.end()
	}()
	for {
		frame, err := m.ReadFrame()
		if err != nil {
			return err
		}
		t.take(ctx, frame)
	}
}
