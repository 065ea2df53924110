// Shadowled is the LED sketch of the CCM manual in Go, on the host's side: an LED
// that obeys the device shadow. The desired state {"on":true} switches it on from
// the cloud, and the host reports what it has done.
//
//	go run ./examples/shadowled --demo                    with a module and a cloud in memory
//	go run ./examples/shadowled /dev/ttyUSB0              at a module behind a serial port
//	go run ./examples/shadowled --pty                     on a new pseudo terminal
//	go run ./examples/shadowled --listen 127.0.0.1:4000   for a module that connects by TCP
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/internal/pty"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shadowled:", err)
		stop()
		os.Exit(1)
	}
}

// run is the program: args are its arguments. It returns nil when ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet("shadowled", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // main prints the error
	inMemory := fs.Bool("demo", false, "play the module and the cloud too, and switch the LED")
	onPTY := fs.Bool("pty", false, "serve on a new pseudo terminal, whose path is printed")
	listen := fs.String("listen", "", "serve one TCP connection after the other at this `address`")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(out, "Usage: shadowled PATH | --pty | --listen HOST:PORT | --demo")
		fs.SetOutput(out)
		fs.PrintDefaults()
		return nil
	} else if err != nil {
		return err
	}
	l := newLED(out)
	switch places := fs.NFlag() + fs.NArg(); {
	case places != 1:
		return errors.New("give one of a serial port, --pty, --listen or --demo")
	case *inMemory:
		return demo(ctx, l)
	case *onPTY:
		term, err := pty.Open()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s is the host's serial port\n", term.Path)
		return l.host.Run(ctx, term)
	case *listen != "":
		return l.serveTCP(ctx, *listen)
	}
	port, err := uart.Open(fs.Arg(0), nil)
	if err != nil {
		return err
	}
	return l.host.Run(ctx, port)
}

// led is the device: an LED, and the host that switches it.
type led struct {
	host *host.Host
	out  io.Writer
	born time.Time

	mu sync.Mutex
	on bool
}

// newLED returns an LED that is off.
func newLED(out io.Writer) *led {
	l := &led{out: out, born: time.Now()}
	l.host = host.New(&host.Config{Info: host.Info{FWVersion: "1.0", Arch: "go", FWID: "shadowled", App: "shadowled"}})
	l.host.OnInit(l.report) // a module that has just started knows nothing
	l.host.OnDelta(l.obey)
	return l
}

// obey handles Shadow.Delta: it does what is desired, and reports it.
func (l *led) obey(ctx context.Context, delta []byte) {
	l.mu.Lock()
	was := l.on
	l.on = mjson.GetBool(delta, "$.on", was)
	on := l.on
	l.mu.Unlock()
	if on != was {
		fmt.Fprintf(l.out, "LED %s\n", map[bool]string{false: "off", true: "ON"}[on])
	}
	l.report(ctx)
}

// report reports the state of the device. It fails only when the port is gone,
// and on the next port OnInit reports again.
func (l *led) report(ctx context.Context) {
	l.mu.Lock()
	on := l.on
	l.mu.Unlock()
	_ = l.host.Report(ctx, "{%Q:%B,%Q:%d}", "on", on, "uptime", int(time.Since(l.born).Seconds()))
}

// serveTCP serves the connections to an address, one after the other: a host has
// one line.
func (l *led) serveTCP(ctx context.Context, address string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	fmt.Fprintf(l.out, "%s is the host's line\n", listener.Addr())
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if err := l.host.Run(ctx, conn); err != nil {
			fmt.Fprintf(l.out, "the module has gone: %v\n", err)
		}
	}
}
