package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/pty"
)

// parseSerial reads serial:PATH?baud=N, where all but PATH may be missing.
func parseSerial(endpoint string, baud int) (path string, speed int, err error) {
	path, query, _ := strings.Cut(strings.TrimPrefix(endpoint, "serial:"), "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", 0, usageError{fmt.Sprintf("endpoint %q: %v", endpoint, err)}
	}
	for key, v := range values {
		if key != "baud" {
			return "", 0, usageError{fmt.Sprintf("endpoint %q: unknown setting %q (known: baud)", endpoint, key)}
		}
		if baud, err = strconv.Atoi(v[0]); err != nil {
			baud = 0
		}
	}
	if baud <= 0 {
		return "", 0, usageError{fmt.Sprintf("endpoint %q: baud must be a positive number", endpoint)}
	}
	return path, baud, nil
}

// serveSerial serves on a serial port until ctx ends or the port goes away.
func serveSerial(ctx context.Context, endpoint string, baud int, log io.Writer) error {
	path, baud, err := parseSerial(endpoint, baud)
	if err != nil {
		return err
	}
	port, err := uart.Open(path, &uart.Config{Mode: uart.Mode8N1(baud)})
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "serving Sum on %s, %s\n", path, uart.Mode8N1(baud))
	return newHost(log).Run(ctx, port)
}

// servePTY serves on a new pseudo terminal until ctx ends. Peers may open and
// close it as they like.
func servePTY(ctx context.Context, out, log io.Writer) error {
	term, err := pty.Open()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "%s serves Sum; open it as a serial port\n", term.Path); err != nil {
		term.Close()
		return err
	}
	return newHost(log).Run(ctx, term)
}

// serveTCP serves the connections to addr.
func serveTCP(ctx context.Context, addr string, out, log io.Writer) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "%s serves Sum\n", l.Addr()); err != nil {
		l.Close()
		return err
	}
	return serveListener(ctx, l, log)
}

// maxPeers is how many TCP connections are served at a time, so that
// descriptors do not run out; more wait until one ends.
const maxPeers = 16

// serveListener serves every connection, each with a host of its own, until ctx
// ends or no more can be accepted; then it ends all of them. It closes l.
func serveListener(parent context.Context, l net.Listener, log io.Writer) error {
	ctx, cancel := context.WithCancel(parent)
	var peers sync.WaitGroup
	defer peers.Wait()
	defer l.Close()
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	places := make(chan struct{}, maxPeers)
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		peers.Go(func() {
			defer func() { <-places }()
			if err := newHost(log).Run(ctx, conn); err != nil && !errors.Is(err, io.EOF) {
				fmt.Fprintf(log, "%s: %v\n", conn.RemoteAddr(), err)
			}
		})
	}
}

// serveStdio serves on a reader and a writer until the reader ends or the writer
// fails.
func serveStdio(ctx context.Context, in io.Reader, out, log io.Writer) error {
	// A reader that may block for ever, such as a terminal, has no deadlines:
	// a pipe in memory, fed by a goroutine, has. Nobody waits for the
	// goroutine: a Read of standard input that blocks cannot be interrupted, so
	// after Ctrl-C it stays in it until the program is gone. If more input
	// comes, it ends, because the pipe is closed.
	near, far := net.Pipe()
	go func() {
		io.Copy(far, in)
		far.Close()
	}()
	printed := &lockedWriter{w: out}
	err := newHost(log).Run(ctx, stdio{Conn: near, out: printed})
	if lost := printed.failed(); lost != nil {
		return lost // also when the reader had ended
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// stdio reads from a pipe and writes to standard output.
type stdio struct {
	net.Conn
	out io.Writer
}

func (s stdio) Write(p []byte) (int, error) { return s.out.Write(p) }
