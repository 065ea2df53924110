package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// runCall plays the caller's end: it calls a method once, never again, because
// the peer may not remember that it ran, and prints the result.
func runCall(parent context.Context, o options, out, log io.Writer) error {
	switch {
	case o.params != "" && !json.Valid([]byte(o.params)):
		return usageError{"--params is not JSON: " + o.params}
	case o.timeout <= 0:
		return usageError{"--timeout must be positive"}
	}
	ctx, cancel := context.WithTimeout(parent, o.timeout)
	defer cancel()
	port, err := dial(ctx, o)
	if err != nil {
		return err
	}
	conn := jsonrpc.NewConn(framing.NewConn(port, &framing.Options{
		MaxFrame: 1 << 20,
		CRC:      framing.CRCSend,
		Junk:     func(line []byte) { reportJunk(log, line) },
	}), &jsonrpc.ConnOptions{Observer: func(e jsonrpc.Event) { reportMalformed(log, e) }})
	var lost error
	var ends sync.WaitGroup
	ends.Go(func() { lost = conn.Run(parent) })
	result, err := conn.Call(ctx, nil, o.call, "%s", o.params)
	if !errors.Is(err, jsonrpc.ErrClosed) {
		conn.Close()
	}
	ends.Wait() // a connection that has ended of itself says why
	if err == nil {
		_, err = fmt.Fprintf(out, "%s\n", result)
		return err
	}
	if errors.Is(err, jsonrpc.ErrClosed) && lost != nil {
		err = lost
	}
	if e, is := errors.AsType[*jsonrpc.Error](err); is && e.Data != nil {
		return fmt.Errorf("%s at %s: %w: %s", o.call, o.endpoint, err, e.Data)
	}
	return fmt.Errorf("%s at %s: %w", o.call, o.endpoint, err)
}

// dial opens an endpoint: tcp:HOST:PORT or a serial port.
func dial(ctx context.Context, o options) (framing.Port, error) {
	if addr, is := strings.CutPrefix(o.endpoint, "tcp:"); is {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	path, baud, err := parseSerial(o.endpoint, o.baud)
	if err != nil {
		return nil, err
	}
	return uart.Open(path, &uart.Config{Mode: uart.Mode8N1(baud)})
}
