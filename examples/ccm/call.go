package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/spf13/cobra"
)

// portEnv is the variable that may hold the endpoint of calls.
const portEnv = "CCM_PORT"

const callHelp = `Calls a method once and prints the JSON text of its result. PARAMS is JSON text.

The endpoint is a way to a host or a module, or a device behind a broker:

  mqtt://[USER[:PASSWORD]@]HOST[:PORT]/DEVICE   RPC over MQTT, as mos does it; also mqtts://

ccm --help lists the other forms. DEVICE is the --id of ccm run.

At a port, the peer is first asked RPC.Ping until it answers, because opening the
port may have reset it. Lines that are no frames go to standard error.`

// caller calls a method.
type caller struct {
	*program
	mqtt           mqttFlags
	port           string
	timeout        time.Duration
	method, params string
}

// callCommand is ccm call.
func (p *program) callCommand() *cobra.Command {
	c := &caller{program: p}
	cmd := &cobra.Command{
		Use: "call [--port ENDPOINT] METHOD [PARAMS]", Short: "Call a method of a host or a module", Long: callHelp,
		Example: "  ccm call --port /dev/ttyUSB0 Sum '[2,3]'\n" +
			"  ccm call --port mqtt://broker/dev-1 RPC.List\n" +
			"  ccm call --port mqtt://broker/dev-1 host/Sum '[2,3]'",
		Args:              between(1, "METHOD", "PARAMS"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	cmd.Flags().StringVar(&c.port, "port", "", "`endpoint` to call at; else "+portEnv+" is looked at")
	cmd.Flags().DurationVar(&c.timeout, "timeout", 10*time.Second, "how long all of it may take")
	c.mqtt.add(cmd)
	return cmd
}

// run calls and prints the result.
func (c *caller) run(cmd *cobra.Command, args []string) error {
	c.method = args[0]
	if len(args) > 1 {
		c.params = args[1]
	}
	if c.port == "" {
		c.port = os.Getenv(portEnv)
	}
	switch {
	case c.method == "":
		return usage(cmd, "METHOD is empty")
	case c.port == "":
		return usage(cmd, "no endpoint: give --port or set %s", portEnv)
	case c.params != "" && !jsonrpc.Valid([]byte(c.params)):
		return usage(cmd, "PARAMS is not JSON: %s", c.params)
	case c.timeout <= 0:
		return usage(cmd, "--timeout must be positive")
	}
	ask, err := c.way(cmd)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), c.timeout)
	defer cancel()
	result, err := ask(ctx)
	if err != nil {
		return c.explain(cmd.Context(), err)
	}
	c.out.printf("%s\n", result)
	return nil
}

// way returns how to call at the endpoint.
func (c *caller) way(cmd *cobra.Command) (func(ctx context.Context) ([]byte, error), error) {
	if isBroker(c.port) {
		cfg, device, err := c.mqtt.config(cmd, "--port", c.port)
		if err == nil && (device == "" || cloud.ValidTopic(device, false) != nil) {
			err = usage(cmd, "--port: want mqtt://HOST[:PORT]/DEVICE")
		}
		return func(ctx context.Context) ([]byte, error) { return c.overMQTT(ctx, cfg, device) }, err
	}
	at, err := parseEndpoint(c.port)
	if err != nil {
		err = usage(cmd, "--port: %v", err)
	}
	return func(ctx context.Context) ([]byte, error) { return c.overPort(ctx, at) }, err
}

// explain says which call has failed, and how.
func (c *caller) explain(ctx context.Context, err error) error {
	switch e, is := errors.AsType[*jsonrpc.Error](err); {
	case ctx.Err() != nil:
		return errInterrupted
	case is && len(e.Data) > 0:
		return fmt.Errorf("%s: %w: %s", c.method, err, readable(e.Data))
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%s: the other end has hung up: %w", c.method, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer within %v", c.method, c.timeout)
	}
	return fmt.Errorf("%s: %w", c.method, err)
}

// errEcho says that we have called ourselves.
var errEcho = errors.New("the line echoes what is sent: are TX and RX joined?")

// overPort calls whoever is at a port.
func (c *caller) overPort(ctx context.Context, at endpoint) ([]byte, error) {
	port, err := at.open(ctx)
	if err != nil {
		return nil, at.openError(err)
	}
	frames := framing.NewConn(port, &framing.Options{
		MaxFrame: 1 << 20, CRC: framing.CRCSend,
		Junk: func(line []byte) { c.log.printf("not a frame: %s\n", readable(line)) },
	})
	var sent atomic.Pointer[string] // the call
	var echoed atomic.Bool
	conn := jsonrpc.NewConn(frames, &jsonrpc.ConnOptions{Observer: func(e jsonrpc.Event) {
		switch {
		case e.Kind == jsonrpc.EventMalformed:
			c.log.printf("malformed frame: %s: %v\n", readable(e.Frame), e.Err)
		case e.Kind == jsonrpc.EventSent && text0(e.Frame, "$.method") == c.method:
			text := string(e.Frame)
			sent.Store(&text)
		case e.Kind == jsonrpc.EventReceived:
			if text := sent.Load(); text != nil && *text == string(e.Frame) {
				echoed.Store(true)
			}
		}
	}})
	var ended sync.WaitGroup
	var lost error
	ended.Go(func() { lost = conn.Run(ctx) })
	result, err := c.knockAndCall(ctx, frames, conn)
	closed := errors.Is(err, jsonrpc.ErrClosed) || errors.Is(err, framing.ErrClosed)
	if !closed { // a connection that has ended of itself says why
		conn.Close()
	}
	ended.Wait()
	switch {
	case err != nil && ctx.Err() != nil:
		err = ctx.Err() // which may have closed the port first
	case echoed.Load():
		err = errEcho
	case closed && lost != nil:
		err = lost
	}
	return result, err
}

// knockAndCall calls when the peer answers, or may be one that answers nothing
// but what it knows. The call itself is sent once: the peer may not remember that
// it has run.
func (c *caller) knockAndCall(ctx context.Context, frames *framing.Conn, conn *jsonrpc.Conn) ([]byte, error) {
	if err := frames.WriteFrame(nil); err != nil { // ends what the peer may have read of half a line
		return nil, err
	}
	patience := min(c.timeout/2, 3*time.Second)
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; {
		limited, cancel := context.WithTimeout(ctx, 2*askPause)
		_, err := conn.Call(limited, nil, "RPC.Ping", "")
		cancel()
		_, answered := errors.AsType[*jsonrpc.Error](err)
		if err == nil || answered && !errors.Is(err, jsonrpc.ErrTimeout) {
			break
		}
		if errors.Is(err, jsonrpc.ErrClosed) {
			return nil, err
		}
	}
	return conn.Call(ctx, nil, c.method, "%s", c.params)
}

// overMQTT calls a device behind a broker: the frame goes to DEVICE/rpc, and the
// answer comes to SRC/rpc (library rpc-mqtt of Mongoose OS).
func (c *caller) overMQTT(ctx context.Context, cfg cloud.Config, device string) ([]byte, error) {
	cfg.ClientID = fmt.Sprintf("ccm-%08x", rand.Uint32())
	src, id := device+"/rpc-resp/"+cfg.ClientID, 1<<40+rand.Int64N(1<<40)
	answers := make(chan []byte, 1)
	cfg.OnMessage = func(m *cloud.Message) {
		m.Ack()
		if n, is := mjson.Find(m.Payload, "$.id").Int(); is && n == id {
			select {
			case answers <- m.Payload:
			default: // sent twice
			}
		}
	}
	s, err := join(ctx, cfg, nil, src+"/rpc")
	if err != nil {
		return nil, err
	}
	defer s.leave()
	frame, _ := mjson.Appendf(nil, `{"src":%Q,"dst":%Q,"id":%ld,"method":%Q`, src, device, id, c.method)
	if c.params != "" {
		frame = append(append(frame, `,"params":`...), c.params...)
	}
	if err := s.Publish(ctx, cloud.Message{Topic: device + "/rpc", QoS: 1, Payload: append(frame, '}')}); err != nil {
		return nil, err
	}
	select {
	case text := <-answers:
		var m jsonrpc.Message
		if err := jsonrpc.Parse(text, &m); err != nil {
			return nil, fmt.Errorf("the answer is no frame: %w", err)
		}
		return m.Result(), m.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
