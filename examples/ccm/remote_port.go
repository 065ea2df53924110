package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// errEcho says that we have called ourselves.
var errEcho = errors.New("the line echoes what is sent: are TX and RX joined?")

// port is whoever is at a port.
type port struct {
	frames   *framing.Conn
	conn     *jsonrpc.Conn
	log      *printer
	patience time.Duration // with which the first answer is waited for

	knocked bool
	ended   sync.WaitGroup
	lost    error                  // of conn, when ended
	sent    atomic.Pointer[string] // the last call
	echoed  atomic.Bool
}

// dialPort opens a port.
func dialPort(ctx context.Context, at endpoint, patience time.Duration, log *printer) (*port, error) {
	opened, err := at.open(ctx)
	if err != nil {
		return nil, at.openError(err)
	}
	p := &port{log: log, patience: patience}
	p.frames = framing.NewConn(opened, &framing.Options{
		MaxFrame: maxAnswer, CRC: framing.CRCSend,
		Junk: func(line []byte) { log.printf("not a frame: %s\n", readable(line)) },
	})
	p.conn = jsonrpc.NewConn(p.frames, &jsonrpc.ConnOptions{Observer: p.observe})
	p.ended.Go(func() { p.lost = p.conn.Run(ctx) })
	return p, nil
}

// observe sees what is sent and received.
func (p *port) observe(e jsonrpc.Event) {
	switch e.Kind {
	case jsonrpc.EventMalformed:
		p.log.printf("malformed frame: %s: %v\n", readable(e.Frame), e.Err)
	case jsonrpc.EventSent:
		text := string(e.Frame)
		p.sent.Store(&text)
	case jsonrpc.EventReceived:
		if text := p.sent.Load(); text != nil && *text == string(e.Frame) {
			p.echoed.Store(true)
		}
	}
}

// call calls when the peer answers, or may be one that answers nothing but what it
// knows. The call itself is sent once: the peer may not remember that it has run.
func (p *port) call(ctx context.Context, method, params string) ([]byte, error) {
	result, err := p.ask(ctx, method, params)
	if e, is := errors.AsType[*jsonrpc.Error](err); is && e.Code == jsonrpc.CodeUnauthorized {
		err = errPortLogin
	}
	if closed := errors.Is(err, jsonrpc.ErrClosed) || errors.Is(err, framing.ErrClosed); closed {
		p.ended.Wait()
		if p.lost != nil { // a connection that has ended of itself says why
			err = p.lost
		}
	}
	switch {
	case err != nil && ctx.Err() != nil:
		err = ctx.Err() // which may have closed the port first
	case p.echoed.Load():
		err = errEcho
	}
	return result, err
}

// errPortLogin is the answer of a module that wants a login at a port, where hosts
// are, who have none.
var errPortLogin = errors.New("a login is asked for, which a port does not have")

// ask knocks, the first time, and calls.
func (p *port) ask(ctx context.Context, method, params string) ([]byte, error) {
	if !p.knocked {
		p.knocked = true
		if err := p.knock(ctx); err != nil {
			return nil, err
		}
	}
	return p.conn.Call(ctx, nil, method, "%s", params)
}

// knock waits until the peer answers RPC.Ping, because opening the port may have
// reset it.
func (p *port) knock(ctx context.Context) error {
	if err := p.frames.WriteFrame(nil); err != nil { // ends what the peer may have read of half a line
		return err
	}
	for end := time.Now().Add(p.patience); time.Now().Before(end) && ctx.Err() == nil; {
		limited, cancel := context.WithTimeout(ctx, 2*askPause)
		_, err := p.conn.Call(limited, nil, "RPC.Ping", "")
		cancel()
		_, answered := errors.AsType[*jsonrpc.Error](err)
		if err == nil || answered && !errors.Is(err, jsonrpc.ErrTimeout) {
			break
		}
		if errors.Is(err, jsonrpc.ErrClosed) {
			return err
		}
	}
	return nil
}

// close closes the port.
func (p *port) close() {
	p.conn.Close()
	p.ended.Wait()
}

// hungUp reports whether an error is the end of what the other end sends.
func hungUp(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
