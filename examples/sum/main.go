// Sum is the sketch of the CCM manual in Go: a host that exports one function,
// Sum, which adds two numbers, over a serial port, a new pseudo terminal, TCP or
// its standard input and output.
//
//	go run ./examples/sum --demo                    a host and a caller, joined in memory
//	go run ./examples/sum /dev/ttyUSB0              serve on a serial port
//	go run ./examples/sum --pty                     serve on a new pseudo terminal
//	go run ./examples/sum --listen 127.0.0.1:4000   serve every TCP connection
//	echo '{"id":1,"method":"Sum","params":[2,3]}' | go run ./examples/sum --stdio
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/ccmkit/ccmkit/ccm/host"
	"github.com/ccmkit/ccmkit/framing/uart"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

const usage = `Usage: sum [flags] [serial:]PATH
       sum --demo | --pty | --listen HOST:PORT | --stdio

Serves the JSON-RPC method Sum, one object a line:

  {"id":12007,"method":"Sum","params":[2,3]}  ->  {"id":12007,"result":5}

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "sum:", err)
		}
		stop()
		os.Exit(1)
	}
}

// run is the program: args are its arguments. It returns nil when ctx ends.
func run(ctx context.Context, args []string, in io.Reader, out, log io.Writer) error {
	fs := flag.NewFlagSet("sum", flag.ContinueOnError)
	fs.SetOutput(log)
	fs.Usage = func() {
		fmt.Fprint(log, usage)
		fs.PrintDefaults()
	}
	demo := fs.Bool("demo", false, "play a host and a caller over a UART in memory, and show the frames")
	pty := fs.Bool("pty", false, "serve on a new pseudo terminal, whose path is printed")
	listen := fs.String("listen", "", "serve every TCP connection to this `address`")
	stdio := fs.Bool("stdio", false, "serve on standard input and output")
	baud := fs.Int("baud", 115200, "speed of the serial port in bits per second")
	if err := fs.Parse(args); err != nil {
		return err
	}
	chosen := fs.NArg()
	for _, on := range []bool{*demo, *pty, *listen != "", *stdio} {
		if on {
			chosen++
		}
	}
	if chosen != 1 {
		fs.Usage()
		return fmt.Errorf("want exactly one place to serve on, got %d", chosen)
	}
	switch {
	case *demo:
		return runDemo(ctx, out)
	case *pty:
		return servePTY(ctx, out)
	case *listen != "":
		return serveTCP(ctx, *listen, out)
	case *stdio:
		return serveStdio(ctx, in, out)
	}
	return serveSerial(ctx, fs.Arg(0), *baud, log)
}

// newHost is the sketch: a host that exports Sum.
func newHost() *host.Host {
	h := host.New(&host.Config{
		Info:        host.Info{FWVersion: "1.0", Arch: "go", FWID: "sum", App: "sum"},
		PlainFrames: true, // readable on a terminal; CRC starts when the peer uses it
		NoInit:      true, // the sketch only speaks when it is asked
	})
	h.HandleFunc("Sum", sum)
	return h
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
	w.Resultf("%.*g", 15, x+y)
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
	return newHost().Run(ctx, port)
}
