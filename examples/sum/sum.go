package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// newHost is the sketch: a host that exports Sum. It reports lines that are no
// frames on log, which must be safe for concurrent use.
func newHost(log io.Writer) *host.Host {
	h := host.New(&host.Config{
		Info:        host.Info{FWVersion: "1.0", Arch: "go", FWID: "sum", App: "sum"},
		PlainFrames: true, // readable on a terminal; CRC starts when the peer uses it
		NoInit:      true, // the sketch only speaks when it is asked
		Junk:        func(line []byte) { reportJunk(log, line) },
		Observer:    func(e jsonrpc.Event) { reportMalformed(log, e) },
	})
	h.HandleFunc("Sum", sum)
	return h
}

// reportJunk tells of a line that is not a frame.
func reportJunk(log io.Writer, line []byte) { fmt.Fprintf(log, "not a frame: %.100q\n", line) }

// reportMalformed tells of a frame that is not a message.
func reportMalformed(log io.Writer, e jsonrpc.Event) {
	if e.Kind == jsonrpc.EventMalformed {
		fmt.Fprintf(log, "malformed frame: %.100q: %v\n", e.Frame, e.Err)
	}
}

// sum answers the sum of two numbers, as an integer if both are.
func sum(_ context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	a, b := r.Arg(0), r.Arg(1)
	if i, okI := a.Int(); okI {
		if j, okJ := b.Int(); okJ && (i+j > i) == (j > 0) {
			w.Resultf("%ld", i+j)
			return
		}
	}
	x, okX := a.Number()
	y, okY := b.Number()
	if !okX || !okY {
		w.Error(jsonrpc.CodeInvalidParams, "params must be two numbers")
		return
	}
	if s := x + y; math.IsInf(s, 0) || math.IsNaN(s) {
		w.Error(jsonrpc.CodeInvalidParams, "the sum is out of range")
		return
	}
	w.Resultf("%.*g", 15, x+y)
}

// lockedWriter lets several goroutines print, and keeps the first error.
type lockedWriter struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.w.Write(p)
	if l.err == nil {
		l.err = err
	}
	return n, err
}

// failed returns the first error.
func (l *lockedWriter) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
