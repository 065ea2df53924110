package channel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
)

// webConn is what the requests of a connection have in common. It is empty when
// the handler is used without Serve.
type webConn struct {
	pooled *conn
	open   *sync.WaitGroup // the connections of Serve
}

type webConnKey struct{}

// connOf returns the connection of a request.
func connOf(ctx context.Context) webConn {
	c, _ := ctx.Value(webConnKey{}).(webConn)
	return c
}

// Serve serves the connections of a listener until ctx ends, or the listener
// fails, and closes it. Requests at work then have a second to end. It returns
// nil when ctx has ended, after all connections and handlers have.
func (h *HTTP) Serve(ctx context.Context, l net.Listener) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var open, closing sync.WaitGroup
	srv := h.server(inner, &open)
	closing.Go(func() {
		<-inner.Done()
		limited, stop := context.WithTimeout(context.WithoutCancel(inner), grace)
		defer stop()
		srv.Shutdown(limited)
		srv.Close()
	})
	err := srv.Serve(h.s.secured(l, h.cfg.TLS))
	cancel()
	closing.Wait()
	open.Wait()
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("channel: serve HTTP: %w", err)
}

// server returns the server of net/http with all its limits.
func (h *HTTP) server(ctx context.Context, open *sync.WaitGroup) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: h.cfg.Limits.Header,
		ReadTimeout:       h.cfg.Limits.Read,
		WriteTimeout:      h.cfg.Limits.Write,
		IdleTimeout:       h.cfg.Limits.Idle,
		// net/http reads 4096 bytes more than it is told.
		MaxHeaderBytes: MaxHeader - 4096,
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, webConnKey{}, webConn{pooled(c), open})
		},
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed, http.StateHijacked: // a websocket counts itself
				open.Done()
			}
		},
		ErrorLog:                     slog.NewLogLogger(h.s.log.Handler(), slog.LevelDebug),
		DisableGeneralOptionsHandler: true,
	}
}
