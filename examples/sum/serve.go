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

	"github.com/ccmkit/ccmkit/internal/pty"
)

// parseSerial reads serial:PATH?baud=N, where all but PATH may be missing.
func parseSerial(endpoint string, baud int) (path string, speed int, err error) {
	path, query, _ := strings.Cut(strings.TrimPrefix(endpoint, "serial:"), "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", 0, fmt.Errorf("endpoint %q: %w", endpoint, err)
	}
	for key, v := range values {
		if key != "baud" {
			return "", 0, fmt.Errorf("endpoint %q: unknown setting %q (known: baud)", endpoint, key)
		}
		if baud, err = strconv.Atoi(v[0]); err != nil || baud <= 0 {
			return "", 0, fmt.Errorf("endpoint %q: baud must be a positive number", endpoint)
		}
	}
	return path, baud, nil
}

// servePTY serves on a new pseudo terminal until ctx ends. Peers may open and
// close it as they like.
func servePTY(ctx context.Context, out io.Writer) error {
	term, err := pty.Open()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s serves Sum; open it as a serial port\n", term.Path)
	return newHost().Run(ctx, term)
}

// serveTCP serves every connection to addr, each with a host of its own.
func serveTCP(ctx context.Context, addr string, out io.Writer) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	fmt.Fprintf(out, "%s serves Sum\n", l.Addr())
	var peers sync.WaitGroup
	defer peers.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		peers.Go(func() {
			if err := newHost().Run(ctx, conn); err != nil && !errors.Is(err, io.EOF) {
				fmt.Fprintf(out, "%s: %v\n", conn.RemoteAddr(), err)
			}
		})
	}
}

// serveStdio serves on a reader and a writer until the reader ends.
func serveStdio(ctx context.Context, in io.Reader, out io.Writer) error {
	// A reader that may block for ever, such as a terminal, has no deadlines:
	// a pipe in memory, fed by a goroutine, has.
	near, far := net.Pipe()
	go func() {
		io.Copy(far, in)
		far.Close()
	}()
	err := newHost().Run(ctx, stdio{Conn: near, out: out})
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
