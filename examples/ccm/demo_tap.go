package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/ccmkit/ccmkit/ccm/ccmtest"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// opener returns what opens the module's side of a line.
func (r *rig) opener(host string, u *ccmtest.UART) func(ctx context.Context) (framing.Port, error) {
	return func(ctx context.Context) (framing.Port, error) {
		port, err := u.OpenModule(ctx)
		if err != nil {
			return nil, err
		}
		return r.tap(port, green, host, "module"), nil
	}
}

// tap returns a port that shows the lines that arrive at it, after all that has
// happened to them on the way.
func (r *rig) tap(port framing.Port, c colour, from, to string) framing.Port {
	t := &tap{Port: port}
	t.show = func(line []byte) { r.frame(c, from, to, line) }
	return t
}

// tap is such a port.
type tap struct {
	framing.Port
	lines
}

// Read reads from the line.
func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Port.Read(p)
	t.take(p[:n])
	return n, err
}

// lines cuts a stream into lines.
type lines struct {
	show func(line []byte)
	part []byte
}

// take takes bytes of the stream.
func (l *lines) take(p []byte) {
	for len(p) > 0 {
		head, rest, whole := bytes.Cut(p, []byte{'\n'})
		l.part = append(l.part, head...)
		p = rest
		if whole || len(l.part) > maxShown {
			if line := bytes.TrimRight(l.part, "\r"); len(line) > 0 {
				l.show(line)
			}
			l.part = l.part[:0]
		}
	}
}

// frame shows a line that has arrived at the other end of a UART.
func (r *rig) frame(c colour, from, to string, line []byte) {
	json, crc := framing.CutCRC(line)
	damaged := crc == framing.CRCBad || !jsonrpc.Valid(json)
	if shown := r.shown.Load(); shown == showNothing || shown == showDamaged && !damaged {
		return
	}
	if damaged {
		c = red
		if line[0] != '{' {
			c = yellow // text, or what is left of a frame
		}
	}
	clock := fmt.Sprintf("%7.3f", time.Since(r.begun).Seconds())
	way := fmt.Sprintf("%6s > %-6s", from, to)
	text := cutTo(readable(line), r.d.out.width()-len(clock)-len(way)-2)
	r.d.out.printf("%s %s %s\n", r.d.paint(dim, clock), r.d.paint(c, way), r.d.paint(c, text))
}
