package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// runDemo joins a host and a caller by a UART in memory, shows the frames as
// they cross it, and fails unless every answer is the right one and all could be
// printed.
func runDemo(parent context.Context, w, log io.Writer) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	near, far := net.Pipe()
	out := &lockedWriter{w: w}
	caller := jsonrpc.NewConn(framing.NewConn(near, nil), &jsonrpc.ConnOptions{
		FirstID:  12007,
		Observer: func(e jsonrpc.Event) { show(out, e) },
	})
	var ends sync.WaitGroup
	defer ends.Wait()
	defer cancel()
	ends.Go(func() { newHost(log).Run(ctx, far) })
	ends.Go(func() { caller.Run(ctx) })

	fmt.Fprintln(out, "a host with the function Sum and a caller, joined by a UART in memory:")
	for _, s := range demoSteps {
		fmt.Fprintf(out, "\n%s\n", s.title)
		got, err := caller.Call(ctx, nil, s.method, s.params)
		if ctx.Err() != nil {
			return nil
		}
		if err := s.check(string(got), err); err != nil {
			return fmt.Errorf("demo: %s: %w", s.title, err)
		}
		if err := out.failed(); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "\nall answers are right")
	return out.failed()
}

// demoStep is a call and what it must give: a result or an error code.
type demoStep struct {
	title, method, params string
	want                  string
	code                  int
}

var demoSteps = []demoStep{
	{"call Sum:", "Sum", "[2,3]", "5", 0},
	{"call it with fractions:", "Sum", "[0.5,-2]", "-1.5", 0},
	{"call it without numbers:", "Sum", `["two","three"]`, "", jsonrpc.CodeInvalidParams},
	{"call what is not there:", "This_Function_Does_Not_Exist", "true", "", jsonrpc.CodeMethodNotFound},
	{"ask what is there:", "RPC.List", "", `["Sum","MQTT.Message","Sys.Init","RPC.List","RPC.Ping","Sys.Info"]`, 0},
}

// check compares an answer with the one wanted.
func (s demoStep) check(got string, err error) error {
	if s.code != 0 {
		if e, is := errors.AsType[*jsonrpc.Error](err); !is || e.Code != s.code {
			return fmt.Errorf("got %s, error %v; want an error with code %d", got, err, s.code)
		}
		return nil
	}
	if err != nil || got != s.want {
		return fmt.Errorf("got %s, error %v; want %s", got, err, s.want)
	}
	return nil
}

// show prints a frame as the caller sees it.
func show(out io.Writer, e jsonrpc.Event) {
	switch e.Kind {
	case jsonrpc.EventSent:
		fmt.Fprintf(out, "  caller > %s\n", e.Frame)
	case jsonrpc.EventReceived:
		fmt.Fprintf(out, "  host   < %s\n", e.Frame)
	}
}
