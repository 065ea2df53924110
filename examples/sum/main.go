// Sum is the sketch of the CCM manual in Go: a host that exports one function,
// Sum, which adds two numbers, over a serial port, a new pseudo terminal, TCP or
// its standard input and output. It also plays the other end, the caller.
//
//	go run ./examples/sum --demo                    a host and a caller, joined in memory
//	go run ./examples/sum /dev/ttyUSB0              serve on a serial port
//	go run ./examples/sum --pty                     serve on a new pseudo terminal
//	go run ./examples/sum --listen 127.0.0.1:4000   serve TCP connections
//	echo '{"id":1,"method":"Sum","params":[2,3]}' | go run ./examples/sum --stdio
//
//	go run ./examples/sum --call Sum --params '[2,3]' /dev/ttyUSB0
//	go run ./examples/sum --call Sum --params '[2,3]' tcp:127.0.0.1:4000
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const usage = `Usage: sum [--baud N] [serial:]PATH[?baud=N]
       sum --demo | --pty | --listen HOST:PORT | --stdio
       sum --call METHOD [--params JSON] [--timeout TIME] [--baud N] ENDPOINT

Serves the JSON-RPC method Sum, one object a line:

  {"id":12007,"method":"Sum","params":[2,3]}  ->  {"id":12007,"result":5}

With --call it calls a method once and prints the result. ENDPOINT is a serial
port as above, or tcp:HOST:PORT. Lines that are no frames are reported on
standard error. The exit code is 0, 1 after an error or an error reply, and 2
for wrong arguments. Flags go before the path.

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "sum:", err)
		stop()
		os.Exit(exitCode(err))
	}
}

// usageError is about the arguments.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text + " (see sum --help)" }

// exitCode returns what the program ends with.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if _, is := errors.AsType[usageError](err); is {
		return 2
	}
	return 1
}

// options is what the arguments ask for.
type options struct {
	demo, pty, stdio     bool
	listen, call, params string
	timeout              time.Duration
	baud                 int
	endpoint             string
}

// parse reads the arguments. It returns flag.ErrHelp after printing the usage.
func parse(args []string, out io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("sum", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the error is printed once, by main
	fs.BoolVar(&o.demo, "demo", false, "play a host and a caller over a UART in memory, and show the frames")
	fs.BoolVar(&o.pty, "pty", false, "serve on a new pseudo terminal, whose path is printed")
	fs.StringVar(&o.listen, "listen", "", "serve TCP connections to this `address`, 16 at a time")
	fs.BoolVar(&o.stdio, "stdio", false, "serve on standard input and output")
	fs.StringVar(&o.call, "call", "", "call this `method` at the endpoint and print the result")
	fs.StringVar(&o.params, "params", "", "params of the call, as `JSON`; none if empty")
	fs.DurationVar(&o.timeout, "timeout", 5*time.Second, "how long the call may take, connecting included")
	fs.IntVar(&o.baud, "baud", 115200, "speed of the serial port in bits per second")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		if _, err := fmt.Fprint(out, usage); err != nil {
			return o, err
		}
		fs.SetOutput(out)
		fs.PrintDefaults()
		return o, err
	case err != nil:
		return o, usageError{err.Error()}
	}
	o.endpoint = fs.Arg(0)
	return o, o.check(fs)
}

// check demands one place to serve on, or one endpoint for a call.
func (o *options) check(fs *flag.FlagSet) error {
	var places []string
	fs.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "demo", "pty", "stdio":
			if f.Value.String() == "true" {
				places = append(places, "--"+f.Name)
			}
		case "listen":
			if o.listen != "" {
				places = append(places, "--listen "+o.listen)
			}
		}
	})
	hint := ""
	for i, arg := range fs.Args() {
		places = append(places, fmt.Sprintf("%q", arg))
		if i > 0 && strings.HasPrefix(arg, "-") {
			hint = "; flags go before the path"
		}
	}
	given := strings.Join(places, " and ") + hint
	switch {
	case len(places) == 0 && o.call != "":
		return usageError{"no endpoint to call " + o.call + " at"}
	case len(places) == 0:
		return usageError{"no place to serve on: give a serial port, --pty, --listen, --stdio or --demo"}
	case o.call != "" && (len(places) > 1 || fs.NArg() == 0):
		return usageError{"--call wants one endpoint and nothing else, got " + given}
	case len(places) > 1:
		return usageError{"several places to serve on: " + given}
	case o.call == "" && o.params != "":
		return usageError{"--params without --call"}
	case o.call == "" && strings.HasPrefix(o.endpoint, "tcp:"):
		return usageError{"serve TCP with --listen; " + o.endpoint + " is for --call"}
	}
	return nil
}

// run is the program: args are its arguments. It returns nil when ctx ends,
// except for a call.
func run(ctx context.Context, args []string, in io.Reader, out, log io.Writer) error {
	o, err := parse(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	log = &lockedWriter{w: log}
	switch {
	case o.call != "":
		return runCall(ctx, o, out, log)
	case o.demo:
		return runDemo(ctx, out, log)
	case o.pty:
		return servePTY(ctx, out, log)
	case o.listen != "":
		return serveTCP(ctx, o.listen, out, log)
	case o.stdio:
		return serveStdio(ctx, in, out, log)
	}
	return serveSerial(ctx, o.endpoint, o.baud, log)
}
