package channel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
)

// UDPConfig describes a UDP door.
type UDPConfig struct {
	Role access.Role // of everybody who comes through this door
}

// ServeUDP serves the datagrams of a socket, each of which is one bare frame,
// until ctx ends, or the socket fails, and closes it. Replies go to the sender.
// All senders together are one channel. It returns nil when ctx has ended, after
// all handlers have. Login is by frame.
func ServeUDP(ctx context.Context, s *Service, pc net.PacketConn, cfg UDPConfig) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { pc.Close() })
	defer stop()
	defer pc.Close()
	buf := make([]byte, s.cfg.MaxFrame+1)
	for {
		n, from, err := pc.ReadFrom(buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			s.datagram(ctx, &wg, pc, from, buf[:n], cfg.Role)
		case isTemporary(err) || errors.Is(err, syscall.ECONNREFUSED): // somebody has not taken a reply
			rest(ctx, acceptPause)
		default:
			return fmt.Errorf("channel: read UDP: %w", err)
		}
	}
}

// datagram serves a datagram.
func (s *Service) datagram(ctx context.Context, wg *sync.WaitGroup, pc net.PacketConn, from net.Addr, frame []byte, role access.Role) {
	o := &access.Origin{Role: role, Channel: access.UDPIn, Remote: from.String()}
	c, err := s.take(pc, o, &Frame{Text: frame}, nil)
	if err != nil {
		return
	}
	write := func(reply []byte) error {
		pc.SetWriteDeadline(time.Now().Add(DefaultWriteTimeout))
		_, err := pc.WriteTo(reply, from)
		if errors.Is(err, syscall.EMSGSIZE) {
			return ErrTooLong
		}
		return err
	}
	if c.Ready() {
		c.Serve(ctx, write)
		return
	}
	wg.Go(func() { c.Serve(ctx, write) })
}
