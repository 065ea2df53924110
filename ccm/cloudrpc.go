package ccm

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/ccmkit/ccmkit/ccm/cloud"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// The RPC over MQTT (library rpc-mqtt of Mongoose OS): a frame published to
// ID/rpc is a call, and its answer goes to SRC/rpc, where SRC is the member src
// of the frame. On ID/rpc/METHOD the method comes from the topic.

// serveCloud subscribes to the calls from the cloud. The one filter ID/rpc/#
// also matches ID/rpc.
func (m *Module) serveCloud() {
	filter := m.cfg.ID + "/rpc/#"
	m.router.addHandler(filter, 1, m.cloudCall)
	m.cloud.SubscribeFunc(cloud.Subscription{Filter: filter, QoS: 1}, func(err error) {
		if err != nil && !errors.Is(err, cloud.ErrOffline) {
			m.log.Error("no calls from the cloud", "filter", filter, "err", err)
		}
	})
}

// cloudCall takes a call from the cloud.
func (m *Module) cloudCall(msg *cloud.Message) {
	method := strings.TrimPrefix(strings.TrimPrefix(msg.Topic[len(m.cfg.ID):], "/rpc"), "/")
	c, err := parseCloudCall(method, msg.Payload)
	if err == nil && c.dst != "" && c.dst != m.cfg.ID {
		err = errNotForUs
	}
	if err == nil && msg.Retain {
		err = errRetained
	}
	if err != nil {
		m.stats.cloudBad.Add(1)
		m.complain("call from the cloud dropped", "", "topic", msg.Topic, "bytes", len(msg.Payload), "err", err)
		return
	}
	m.stats.cloudCalls.Add(1)
	select {
	case m.calls <- struct{}{}:
	default:
		m.stats.cloudBusy.Add(1)
		m.reply(c, jsonrpc.AppendError(nil, c.msg.ID(), jsonrpc.CodeBusy, jsonrpc.ErrBusy.Message, nil), func(msg cloud.Message) error {
			return m.cloud.PublishFunc(msg, func(err error) { // it must not wait here
				if err != nil {
					m.stats.cloudUnsent.Add(1)
				}
			})
		})
		return
	}
	serve := m.serverOf(c)
	m.workers.Go(func() {
		defer func() { <-m.calls }()
		m.within(answerLife, func(ctx context.Context) {
			answer := serve(ctx)
			m.within(answerLife, func(ctx context.Context) {
				m.reply(c, answer, func(msg cloud.Message) error { return m.publishSoon(ctx, msg) })
			})
		})
	})
}

// publishSoon publishes a message, and waits for a connection if there is none.
func (m *Module) publishSoon(ctx context.Context, msg cloud.Message) error {
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		err := m.cloud.Publish(ctx, msg)
		if !errors.Is(err, cloud.ErrOffline) {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return err
		}
	}
}

// within calls f with a ctx that ends after d, or with Run.
func (m *Module) within(d time.Duration, f func(ctx context.Context)) {
	ctx, cancel := context.WithTimeout(m.running.Load().ctx, d)
	defer cancel()
	f(ctx)
}

// cloudCall is a call from the cloud, in memory of its own.
type cloudCall struct {
	msg jsonrpc.Message
	src string // where the answer goes; "" for a notification
	dst string // who is called; "" is the module too
}

var (
	errNoSource  = errors.New("ccm: a call without src cannot be answered")
	errBadSource = errors.New("ccm: src is not usable as a topic")
	errNotForUs  = errors.New("ccm: dst is another device")
	errRetained  = errors.New("ccm: a retained call would be served at every connect")
)

// parseCloudCall reads a call. method, if not empty, is that of the topic.
func parseCloudCall(method string, payload []byte) (*cloudCall, error) {
	payload = bytes.TrimSpace(payload)
	if method != "" {
		payload = withMethod(method, payload)
	}
	c := new(cloudCall)
	if err := jsonrpc.Parse(payload, &c.msg); err != nil {
		return nil, err
	}
	if k := c.msg.Kind(); k != jsonrpc.KindCall && k != jsonrpc.KindNotification {
		return nil, errNotACall
	}
	if c.msg.Params() == nil {
		// Older tools say args.
		if args := (mjson.Scanner{MaxDepth: jsonrpc.MaxDepth}).Find(payload, "$.args"); args.Exists() {
			return parseCloudCall("", withParams(payload, args.Raw))
		}
	}
	c.dst, _ = mjson.Find(payload, "$.dst").Text()
	if c.msg.Kind() == jsonrpc.KindNotification {
		return c, nil
	}
	src, ok := mjson.Find(payload, "$.src").Text()
	if !ok || src == "" {
		return nil, errNoSource
	}
	if err := cloud.ValidTopic(src+"/rpc", false); err != nil {
		return nil, errBadSource
	}
	c.src = src
	return c, nil
}

var errNotACall = errors.New("ccm: neither a call nor a notification")

// withMethod adds the method of the topic to the rest of a frame.
func withMethod(method string, rest []byte) []byte {
	frame := mjson.AppendQuote([]byte(`{"method":`), method)
	if len(rest) == 0 {
		return append(frame, '}')
	}
	if rest[0] != '{' {
		return rest // which is not a frame, and will be said to be none
	}
	if body := bytes.TrimLeft(rest[1:], " \t\r\n"); len(body) == 0 || body[0] != '}' {
		frame = append(frame, ',')
	}
	return append(frame, rest[1:]...)
}

// withParams adds params to a frame, which is an object with members.
func withParams(frame, params []byte) []byte {
	out := append([]byte(`{"params":`), params...)
	return append(append(out, ','), frame[1:]...)
}

// serverOf returns what runs a call and returns the answer, or nothing. The
// methods of the module come first, then those of the hosts.
func (m *Module) serverOf(c *cloudCall) func(ctx context.Context) []byte {
	if h, _ := m.mux.Lookup(c.msg.Method()); h != nil {
		return func(ctx context.Context) []byte {
			return jsonrpc.ServeCodes(ctx, nil, &c.msg, m.loud(h), jsonrpc.ManagementCode)
		}
	}
	h, method := m.hostMethod(string(c.msg.Method()))
	if h == nil {
		return func(context.Context) []byte {
			if c.msg.IsNotification() {
				return nil
			}
			return jsonrpc.AppendError(nil, c.msg.ID(), jsonrpc.ManagementCode(jsonrpc.CodeMethodNotFound),
				"No handler for "+clip(string(c.msg.Method())), nil)
		}
	}
	before, turn := h.turn, make(chan struct{})
	h.turn = turn
	return func(ctx context.Context) []byte {
		var once sync.Once
		pass := func() { once.Do(func() { close(turn) }) }
		defer pass()
		if before != nil {
			select {
			case <-before:
			case <-ctx.Done():
			}
		}
		return forward(ctx, h, method, c, pass)
	}
}

// loud returns a handler whose panics are logged. They are answered all the same.
func (m *Module) loud(h jsonrpc.Handler) jsonrpc.Handler {
	return jsonrpc.HandlerFunc(func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		defer func() {
			if p := recover(); p != nil {
				m.log.Error("handler panicked", "host", "cloud", "method", clip(string(r.Method())), "err", p)
				panic(p)
			}
		}()
		h.ServeRPC(ctx, w, r)
	})
}

// hostMethod finds the host that a method is of: NAME/Method, host/Method, or
// Method for the host without a name.
func (m *Module) hostMethod(method string) (*Host, string) {
	if name, rest, cut := strings.Cut(method, "/"); cut {
		if name == "host" {
			name = ""
		}
		if h := m.Host(name); h != nil {
			return h, rest
		}
	}
	return m.Host(""), method
}

// forward has a host answer. Its codes pass unchanged. pass is called when the next
// call may be sent to the host, unless forward returns before.
func forward(ctx context.Context, h *Host, method string, c *cloudCall, pass func()) []byte {
	format, args := "", []any(nil)
	if p := c.msg.Params(); p != nil {
		format, args = "%s", []any{p}
	}
	if c.msg.IsNotification() {
		if err := h.Notify(ctx, method, format, args...); err != nil {
			h.m.complain("notification from the cloud not delivered", h.cfg.Name, "method", clip(method), "err", err)
		}
		return nil
	}
	result, err := h.call(ctx, nil, pass, method, format, args...)
	if err == nil {
		return jsonrpc.AppendResult(nil, c.msg.ID(), result)
	}
	e := callError(err)
	return jsonrpc.AppendError(nil, c.msg.ID(), e.Code, e.Message, e.Data)
}

// callError translates what came of a call to a host. ErrTimeout and the like
// are those of the house, not of the host.
func callError(err error) *jsonrpc.Error {
	e, is := errors.AsType[*jsonrpc.Error](err)
	switch {
	case is:
		return e
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrHostDown), errors.Is(err, jsonrpc.ErrClosed):
		return &jsonrpc.Error{Code: jsonrpc.CodeTimeout, Message: "the host does not answer"}
	case errors.Is(err, jsonrpc.ErrTooLong):
		return &jsonrpc.Error{Code: jsonrpc.CodeTooLarge, Message: "longer than the host takes"}
	}
	return &jsonrpc.Error{Code: jsonrpc.ManagementCode(jsonrpc.CodeInternalError), Message: err.Error()}
}

// clip shortens a name for an error message.
func clip(s string) string {
	if len(s) > jsonrpc.MaxMethod {
		return s[:jsonrpc.MaxMethod] + "..."
	}
	return s
}

// reply publishes an answer, with src and dst behind its id.
func (m *Module) reply(c *cloudCall, answer []byte, publish func(msg cloud.Message) error) {
	if len(answer) == 0 || c.src == "" {
		return
	}
	err := publish(m.envelope(c, answer))
	if errors.Is(err, cloud.ErrTooLarge) {
		err = publish(m.envelope(c, jsonrpc.AppendError(nil, c.msg.ID(), jsonrpc.CodeTooLarge, "the reply is too long", nil)))
	}
	if err != nil {
		m.stats.cloudUnsent.Add(1)
		m.complain("answer to the cloud not sent", "", "dst", c.src, "err", err)
	}
}

// envelope makes the message of an answer.
func (m *Module) envelope(c *cloudCall, answer []byte) cloud.Message {
	head := len(`{"id":`) + len(c.msg.ID())
	out := append([]byte(nil), answer[:head]...)
	out = mjson.AppendQuote(append(out, `,"src":`...), m.cfg.ID)
	out = mjson.AppendQuote(append(out, `,"dst":`...), c.src)
	out = append(out, answer[head:]...)
	return cloud.Message{Topic: c.src + "/rpc", QoS: 1, Payload: out}
}
