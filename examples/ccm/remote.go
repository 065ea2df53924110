package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
	"github.com/spf13/cobra"
)

// portEnv is the variable that may hold the endpoint of calls.
const portEnv = "CCM_PORT"

// adminEnv is the variable that may hold the password for a module.
const adminEnv = "CCM_PASSWORD"

// maxAnswer is the longest answer that is taken, in bytes.
const maxAnswer = 1 << 20

const remoteHelp = `The endpoint is a door of a module, a device behind a broker, or a port:

  ws://HOST[:PORT]/rpc, wss://...        websocket
  http://HOST[:PORT]/rpc, https://...    HTTP
  mqtt://[USER[:PASSWORD]@]HOST[:PORT]/DEVICE   RPC over MQTT, as mos does it; also mqtts://
  tcp://HOST:PORT, udp://HOST:PORT       the other doors of a module
  /dev/ttyUSB0, tcp:HOST:PORT, ...       a port: ccm --help lists the forms

A module that asks for a login is answered with --user, and with the password from
--password-file, from the environment variable ` + adminEnv + ` or from the URL.`

// remote is whoever is called: a module, or a host.
type remote interface {
	// call calls a method. params is JSON text, or "" for none. An error that the
	// other end has answered is a *jsonrpc.Error.
	call(ctx context.Context, method, params string) ([]byte, error)
	close()
}

// remoteFlags say who is called, and as whom.
type remoteFlags struct {
	mqtt     mqttFlags
	port     string
	user     string
	passFile string
	timeout  time.Duration
}

// usualFrame is the longest frame that modules take, in bytes.
const usualFrame = 4096

// add adds the flags to a command.
func (f *remoteFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.port, "port", "", "`endpoint` to call at; else "+portEnv+" is looked at")
	cmd.Flags().StringVar(&f.user, "user", "admin", "`name` to log in with, if a login is asked for")
	cmd.Flags().StringVar(&f.passFile, "password-file", "", "`file` with the password for it, - is standard input; else "+adminEnv+" is looked at")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 10*time.Second, "how long connecting, and then each call, may take")
	f.mqtt.add(cmd)
}

// login is what a module is answered that asks who it is.
type login struct {
	user     string
	password cloud.Secret
}

var errNoPassword = errors.New("a login is asked for: give --password-file, or set " + adminEnv)

// login reads name and password, from the flags, the URL or the environment.
func (f *remoteFlags) login(cmd *cobra.Command, info *url.Userinfo) (login, error) {
	l := login{user: f.user}
	password, inURL := info.Password()
	if name := info.Username(); name != "" {
		l.user = name
	}
	switch {
	case f.passFile != "":
		text, err := readPassword(cmd, f.passFile, "password of "+l.user+": ")
		if err == nil && len(text) == 0 {
			err = errors.New("it is empty")
		}
		if err != nil {
			return l, fmt.Errorf("--password-file: %w", err)
		}
		l.password = cloud.Secret(text)
	case inURL:
		l.password = cloud.Secret(password)
	default:
		l.password = cloud.Secret(os.Getenv(adminEnv))
	}
	return l, nil
}

// check checks the flags, and returns how to get to the remote.
func (f *remoteFlags) check(cmd *cobra.Command, log *printer) (dial func(ctx context.Context) (remote, error), err error) {
	if f.port == "" {
		f.port = os.Getenv(portEnv)
	}
	if scheme, rest, isURL := strings.Cut(f.port, "://"); isURL { // in any case (RFC 3986, section 3.1)
		f.port = strings.ToLower(scheme) + "://" + rest
	}
	switch {
	case f.port == "":
		return nil, usage(cmd, "no endpoint: give --port or set %s", portEnv)
	case f.timeout <= 0:
		return nil, usage(cmd, "--timeout must be positive")
	case isBroker(f.port):
		return f.dialBroker(cmd)
	}
	u, err := url.Parse(f.port)
	scheme, rest, _ := strings.Cut(f.port, ":")
	isURL := strings.HasPrefix(rest, "//") && scheme != "unix" && scheme != "serial"
	switch {
	case rest != "" && isDoor(scheme) && (isURL || scheme != "tcp") && (err != nil || u.Host == ""): // tcp:HOST:PORT is a port
		return nil, usage(cmd, "--port %s is no URL; in a password write %%25, %%2F, %%23, %%3F and %%20 for %%, /, #, ? and a blank, or use --password-file", shown(f.port))
	case isURL && !isDoor(scheme):
		return nil, usage(cmd, "--port %s: unknown scheme %q; there are ws, wss, http, https, mqtt, mqtts, tcp and udp", shown(f.port), scheme)
	case !isURL || u == nil:
		return f.dialPort(cmd, log)
	}
	who, err := f.login(cmd, u.User)
	if err != nil {
		return nil, err
	}
	if _, _, err := net.SplitHostPort(u.Host); err != nil && (u.Scheme == "tcp" || u.Scheme == "udp") {
		return nil, usage(cmd, "--port: want %s://HOST:PORT", u.Scheme)
	}
	u.User = nil
	trust, err := f.mqtt.trust()
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "http", "https":
		return func(context.Context) (remote, error) { return newWeb(u, trust, who), nil }, nil
	case "ws", "wss":
		return func(ctx context.Context) (remote, error) { return dialSocket(ctx, u, trust, who) }, nil
	case "udp":
		return func(ctx context.Context) (remote, error) { return dialUDP(ctx, u.Host, who) }, nil
	}
	return func(ctx context.Context) (remote, error) { return dialTCP(ctx, u.Host, who) }, nil
}

// shown returns an endpoint without a password: what is before the last @ may be or
// hold one, whether it is a good URL or not.
func shown(endpoint string) string {
	scheme, rest, _ := strings.Cut(endpoint, ":")
	at := strings.LastIndex(rest, "@")
	if at < 0 || scheme == "unix" || scheme == "serial" || !strings.HasPrefix(rest, "//") && !isDoor(scheme) {
		return endpoint
	}
	return scheme + "://..." + rest[at:]
}

// isDoor reports whether a scheme is that of a door of a module.
func isDoor(scheme string) bool {
	switch scheme {
	case "http", "https", "ws", "wss", "tcp", "udp":
		return true
	}
	return false
}

// dialBroker returns the way to a device behind a broker.
func (f *remoteFlags) dialBroker(cmd *cobra.Command) (func(ctx context.Context) (remote, error), error) {
	cfg, device, err := f.mqtt.config(cmd, "--port", f.port)
	if err == nil && (device == "" || cloud.ValidTopic(device, false) != nil) {
		err = usage(cmd, "--port: want mqtt://HOST[:PORT]/DEVICE")
	}
	if err != nil {
		return nil, err
	}
	who, err := f.login(cmd, nil) // the name in the URL is that for the broker
	return func(ctx context.Context) (remote, error) { return dialMQTT(ctx, cfg, device, who) }, err
}

// dialPort returns the way to whoever is at a port.
func (f *remoteFlags) dialPort(cmd *cobra.Command, log *printer) (func(ctx context.Context) (remote, error), error) {
	at, err := parseEndpoint(f.port)
	if err != nil {
		return nil, usage(cmd, "--port: %v", err)
	}
	return func(ctx context.Context) (remote, error) {
		return dialPort(ctx, at, min(f.timeout/2, 3*time.Second), log)
	}, nil
}

// wire carries frames to a module and back.
type wire interface {
	send(ctx context.Context, frame []byte) error
	// receive returns the next frame, which is valid until the call after it.
	receive(ctx context.Context) ([]byte, error)
	close()
}

// framed is a module that is reached by frames.
type framed struct {
	wire
	src, dst string // members of the frames; "" = left out
	who      login
}

// call sends a frame, and the same once more with a login if that is asked for.
func (f *framed) call(ctx context.Context, method, params string) ([]byte, error) {
	id := 1<<40 + rand.Int64N(1<<40) // as mos numbers its calls
	result, err := f.exchange(ctx, id, method, params, nil)
	e, is := errors.AsType[*jsonrpc.Error](err)
	if !is || e.Code != jsonrpc.CodeUnauthorized {
		return result, err
	}
	if f.who.password == "" {
		return nil, errNoPassword
	}
	auth, err := access.AnswerFrame(e.Message, f.who.user, string(f.who.password))
	if err != nil {
		return nil, err
	}
	if result, err = f.exchange(ctx, id, method, params, auth); err != nil {
		err = loginError(err)
	}
	return result, err
}

// errTooManyLogins says that the module takes no login now, not even a good one.
var errTooManyLogins = errors.New("too many failed logins: wait a minute")

// errLogin says that name or password are wrong.
var errLogin = errors.New("the login is refused: look at --user and the password")

// loginError makes a second 401 readable.
func loginError(err error) error {
	if e, is := errors.AsType[*jsonrpc.Error](err); is && e.Code == jsonrpc.CodeUnauthorized {
		return errLogin
	}
	return err
}

// exchange sends a call and waits for its answer. Other frames are not for us.
func (f *framed) exchange(ctx context.Context, id int64, method, params string, auth []byte) ([]byte, error) {
	if err := f.send(ctx, f.frame(id, method, params, auth)); err != nil {
		return nil, err
	}
	for {
		text, err := f.receive(ctx)
		if err != nil {
			return nil, err
		}
		if n, is := mjson.Find(text, "$.id").Int(); is && n == id {
			return answerOf(text)
		}
	}
}

// frame builds the frame of a call.
func (f *framed) frame(id int64, method, params string, auth []byte) []byte {
	out, _ := mjson.Appendf(nil, `{"src":%Q`, f.src)
	if f.dst != "" {
		out, _ = mjson.Appendf(out, `,"dst":%Q`, f.dst)
	}
	out, _ = mjson.Appendf(out, `,"id":%ld,"method":%Q`, id, method)
	if params != "" {
		out = append(append(out, `,"params":`...), oneLine(params)...)
	}
	if auth != nil {
		out = append(append(out, `,"auth":`...), auth...)
	}
	return append(out, '}')
}

// oneLine takes the line ends out of JSON text, where they stand between tokens
// only.
func oneLine(text string) string { return strings.NewReplacer("\n", " ", "\r", " ").Replace(text) }

// answerOf reads the answer to a call.
func answerOf(text []byte) ([]byte, error) {
	var m jsonrpc.Message
	if err := jsonrpc.Parse(text, &m); err != nil {
		return nil, fmt.Errorf("the answer is no frame: %w", err)
	}
	if err := m.Err(); err != nil {
		return nil, err
	}
	return bytes.Clone(m.Result()), nil
}

// explain says which call has failed, and how. params is how many bytes its params had.
func (f *remoteFlags) explain(ctx context.Context, method string, params int, err error) error {
	switch e, is := errors.AsType[*jsonrpc.Error](err); {
	case ctx.Err() != nil:
		return errInterrupted
	case is && e.Code == jsonrpc.CodeBusy && strings.Contains(e.Message, "login"):
		return fmt.Errorf("%s: %w", method, errTooManyLogins)
	case is && len(e.Data) > 0:
		return fmt.Errorf("%s: %w: %s", method, err, readable(e.Data))
	case params > usualFrame && !is:
		return fmt.Errorf("%s: %w (the call has %d bytes; modules take %d, see rpc.max_frame_size)", method, plainEnd(err, f.timeout), params, usualFrame)
	case hungUp(err):
		return fmt.Errorf("%s: the other end has hung up: %w", method, err)
	}
	return fmt.Errorf("%s: %w", method, plainEnd(err, f.timeout))
}

// plainEnd says in words that time was up.
func plainEnd(err error, timeout time.Duration) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("no answer within %v", timeout)
	}
	return err
}
