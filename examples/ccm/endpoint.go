package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/framing/uart"
)

// dialTimeout bounds the opening of a TCP or UNIX endpoint.
const dialTimeout = 10 * time.Second

// endpoint is a way to a host.
type endpoint struct {
	network string // "serial", "tcp" or "unix"
	address string // path or HOST:PORT
	baud    int    // of a serial port
}

// The ways to write an endpoint, for error messages.
const endpointForms = "serial:PATH?baud=N, tcp:HOST:PORT, unix:PATH or the path of a serial port"

// parseEndpoint reads an endpoint as the user has written it.
func parseEndpoint(text string) (endpoint, error) {
	kind, rest, _ := strings.Cut(text, ":")
	var e endpoint
	var err error
	switch {
	case text == "":
		err = errors.New("it is empty; write " + endpointForms)
	case kind == "tcp":
		e, err = parseTCP(rest)
	case kind == "unix":
		e = endpoint{network: "unix", address: rest}
		if rest == "" {
			err = errors.New("the path is missing: unix:PATH")
		}
	case isBroker(text):
		err = errors.New("a broker is no way to a host; write " + endpointForms)
	case strings.Contains(text, "://"):
		err = errors.New("unknown kind; write " + endpointForms)
	default:
		e, err = parseSerial(strings.TrimPrefix(text, "serial:"))
	}
	if err != nil {
		return e, fmt.Errorf("endpoint %q: %w", shown(text), err)
	}
	return e, nil
}

// isBroker reports whether a text is the URL of a broker.
func isBroker(text string) bool {
	return strings.HasPrefix(text, "mqtt://") || strings.HasPrefix(text, "mqtts://")
}

// parseTCP reads HOST:PORT; mos writes two slashes before it.
func parseTCP(text string) (endpoint, error) {
	address := strings.TrimPrefix(text, "//")
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return endpoint{}, errors.New("want tcp:HOST:PORT")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return endpoint{}, errors.New("the port must be 1 to 65535")
	}
	return endpoint{network: "tcp", address: address}, nil
}

// parseSerial reads PATH?baud=N, where all but PATH may be missing.
func parseSerial(text string) (endpoint, error) {
	path, query, _ := strings.Cut(text, "?")
	e := endpoint{network: "serial", address: path, baud: uart.DefaultBaud}
	if path == "" {
		return e, errors.New("the path is missing: serial:PATH")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return e, err
	}
	for key, v := range values {
		if key != "baud" {
			return e, fmt.Errorf("unknown setting %q (known: baud)", key)
		}
		if e.baud, err = strconv.Atoi(v[len(v)-1]); err != nil || e.baud <= 0 {
			return e, fmt.Errorf("baud must be a positive number, not %q", v[len(v)-1])
		}
	}
	return e, nil
}

// String returns the endpoint as it can be given to a program again.
func (e endpoint) String() string {
	switch {
	case e.network != "serial":
		return e.network + ":" + e.address
	case e.baud != uart.DefaultBaud:
		return "serial:" + e.address + "?baud=" + strconv.Itoa(e.baud)
	}
	return e.address
}

// open opens the endpoint, a serial port at 8N1.
func (e endpoint) open(ctx context.Context) (framing.Port, error) {
	return e.openAs(ctx, uart.Config{Mode: uart.Mode8N1(e.baud)})
}

// openAs opens the endpoint, a serial port with a configuration.
func (e endpoint) openAs(ctx context.Context, c uart.Config) (framing.Port, error) {
	if e.network == "serial" {
		return uart.Open(e.address, &c)
	}
	d := net.Dialer{Timeout: dialTimeout}
	return d.DialContext(ctx, e.network, e.address)
}

// openError adds to an error of open what the user can do about it.
func (e endpoint) openError(err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist) && e.network == "serial":
		hint = "is it plugged in? Look at ls /dev/serial/by-id"
	case errors.Is(err, fs.ErrPermission) && e.network == "serial":
		hint = "your user may have to be in the group of the device, such as dialout"
	case errors.Is(err, uart.ErrBusy):
		hint = "another program has it: try fuser -v " + e.address
	case errors.Is(err, uart.ErrNotSerial):
		hint = "TCP and UNIX sockets are tcp:HOST:PORT and unix:PATH"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, hint)
}

// whenDone has f called when ctx ends. The function it returns takes that back, or
// waits until f has returned.
func whenDone(ctx context.Context, f func()) (stop func()) {
	returned := make(chan struct{})
	undo := context.AfterFunc(ctx, func() {
		defer close(returned)
		f()
	})
	return func() {
		if !undo() {
			<-returned
		}
	}
}
