package main

import (
	"context"
	"net"

	"github.com/ccmkit/ccmkit/framing"
)

// stream is a module that is reached by TCP, in the framing of mos.
type stream struct{ frames *framing.MosConn }

// dialTCP connects by TCP.
func dialTCP(ctx context.Context, address string, who login) (remote, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &framed{wire: stream{framing.NewMosTCP(conn, &framing.MosOptions{MaxFrame: maxAnswer})}, src: "ccm", who: who}, nil
}

func (s stream) send(ctx context.Context, frame []byte) error {
	defer whenDone(ctx, func() { s.frames.Close() })()
	return ended(ctx, s.frames.WriteFrame(frame))
}

func (s stream) receive(ctx context.Context) ([]byte, error) {
	defer whenDone(ctx, func() { s.frames.Close() })()
	frame, err := s.frames.ReadFrame()
	return frame, ended(ctx, err)
}

func (s stream) close() { s.frames.Close() }

// ended returns the error of ctx instead of one that its end has caused.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// datagrams is a module that is reached by UDP, one frame a datagram.
type datagrams struct {
	conn net.Conn
	buf  []byte
}

// dialUDP makes a socket.
func dialUDP(ctx context.Context, address string, who login) (remote, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	return &framed{wire: &datagrams{conn: conn, buf: make([]byte, 64<<10)}, src: "ccm", who: who}, nil
}

func (d *datagrams) send(_ context.Context, frame []byte) error {
	_, err := d.conn.Write(frame)
	return err
}

func (d *datagrams) receive(ctx context.Context) ([]byte, error) {
	defer whenDone(ctx, func() { d.conn.Close() })()
	n, err := d.conn.Read(d.buf)
	return d.buf[:n], ended(ctx, err)
}

func (d *datagrams) close() { d.conn.Close() }
