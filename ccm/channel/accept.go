package channel

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/jsonrpc"
)

// loginFunc checks the credentials that a door has beside the frame.
type loginFunc func() (user string, err error)

// Accept reads a frame that has come from o. It returns nil if there is nothing
// to do, else a Call, of which Serve must be called once.
//
// o is the channel, too: frames with the same *Origin share the limit
// Config.MaxPerChannel, and those of all origins with the channel MQTT share
// Config.MaxMQTT. It is copied, and not changed by a login, which holds
// for its frame only. frame is copied.
func (s *Service) Accept(o *access.Origin, frame []byte) *Call {
	c, _ := s.Take(o, Frame{Text: frame})
	return c
}

// Take is Accept for doors that know more than the text, or want to know why
// there is no Call. The error is one of this package, a *jsonrpc.ParseError, that
// of Frame.Source, or for a notification that was refused ErrUnanswered with a
// *access.Refusal.
func (s *Service) Take(o *access.Origin, f Frame) (*Call, error) {
	var key any = o
	if o.Channel == access.MQTT {
		key = mqttKey
	}
	return s.take(key, o, &f, nil)
}

// take is Take for the channel that key stands for.
func (s *Service) take(key any, o *access.Origin, f *Frame, login loginFunc) (*Call, error) {
	c, err := s.read(key, o, f)
	if err == nil {
		err = s.admit(c, login)
	}
	if err != nil {
		s.log.Debug("frame dropped", "channel", o.Channel, "remote", o.Remote, "bytes", len(f.Text), "err", err)
		return nil, err
	}
	return c, nil
}

// AcceptMethod accepts a call whose method and params come apart, as in POST
// /rpc/METHOD. Its reply is the bare result or the bare error object, and
// Call.Code tells which. params is JSON text, or empty, and is copied. There is
// always a Call.
func (s *Service) AcceptMethod(o *access.Origin, method string, params []byte) *Call {
	return s.takeMethod(o, o, method, params, nil)
}

// takeMethod is AcceptMethod for the channel that key stands for.
func (s *Service) takeMethod(key any, o *access.Origin, method string, params []byte, login loginFunc) *Call {
	params = bytes.TrimSpace(params)
	f := Frame{Text: []byte(`{"id":0}`), Method: method}
	if len(params) > 0 {
		f.Text = append(append([]byte(`{"id":0,"params":`), params...), '}')
	}
	c := &Call{s: s, key: key, origin: *o, bare: true}
	c.expect()
	switch err := c.req.parse(&f); {
	case len(params) > s.cfg.MaxFrame:
		s.stats.tooLong.Add(1)
		c.refuse(jsonrpc.CodeTooLarge, "the request is too long")
	case err != nil || len(c.req.msg.Params()) != len(params): // params may be more than one value
		s.stats.bad.Add(1)
		c.refuse(400, invalidRequest)
	default:
		s.decide(c, login)
	}
	return c
}

// invalidRequest is what Mongoose OS says of an HTTP body that is no frame.
const invalidRequest = "Invalid request"

// read reads a frame and finds out whether there is anything to do.
func (s *Service) read(key any, o *access.Origin, f *Frame) (*Call, error) {
	if len(f.Text) > s.cfg.MaxFrame {
		s.stats.tooLong.Add(1)
		return nil, ErrTooLong
	}
	c := &Call{s: s, key: key, origin: *o}
	switch err := c.req.parse(f); {
	case errors.Is(err, ErrResponse):
		s.stats.responses.Add(1)
		return nil, err
	case err != nil:
		s.stats.bad.Add(1)
		return nil, err
	}
	if !s.isUs(c.req.dst) {
		s.stats.foreign.Add(1)
		return nil, ErrNotForUs
	}
	if f.Source != nil && !c.req.msg.IsNotification() {
		if err := f.Source(c.req.src); err != nil {
			s.stats.bad.Add(1)
			return nil, err
		}
	}
	return c, nil
}

// admit decides about a frame. Its error says that there will be no reply.
func (s *Service) admit(c *Call, login loginFunc) error {
	if !c.req.msg.IsNotification() {
		c.expect()
		s.decide(c, login)
		return nil
	}
	if s.decide(c, login); c.handler == nil {
		return fmt.Errorf("%w: %w", ErrUnanswered, &access.Refusal{Code: c.code, Message: c.text})
	}
	return nil
}

// decide gives the call a handler, or refuses it. Every call of every door comes
// through here.
func (s *Service) decide(c *Call, login loginFunc) {
	if r := s.authorize(c, login); r != nil {
		s.stats.refused.Add(1)
		c.refuse(r.Code, r.Message)
		return
	}
	if !s.places.take(c.key) {
		s.stats.busy.Add(1)
		c.refuse(jsonrpc.CodeBusy, jsonrpc.ErrBusy.Message)
		return
	}
	method := c.req.msg.Method()
	if len(method) <= jsonrpc.MaxMethod {
		c.handler, c.codes = s.cfg.Lookup(method)
	}
	if c.handler == nil {
		s.places.giveEach(c.key)
		s.places.giveTotal()
		s.stats.notFound.Add(1)
		c.refuse(jsonrpc.ManagementCode(jsonrpc.CodeMethodNotFound), noHandler(method))
		return
	}
	if h, may := c.handler.(InTurn); may && h.InTurn() {
		c.turn = s.places.turn(c.key)
	}
	if c.req.msg.IsNotification() {
		s.stats.notifications.Add(1)
	} else {
		s.stats.calls.Add(1)
	}
}

// noHandler is the text of a 404. Names that are too long are not repeated.
func noHandler(method []byte) string {
	if len(method) > jsonrpc.MaxMethod {
		return "No handler for this method"
	}
	return "No handler for " + string(method)
}

// authorize asks the Gate, first as nobody in particular, and then, if it wants
// to know who it is, with the credentials that there are.
func (s *Service) authorize(c *Call, login loginFunc) *access.Refusal {
	method := string(c.req.msg.Method())
	r := refusal(s.cfg.Gate.Authorize(&c.origin, method))
	if r == nil || r.Code != jsonrpc.CodeUnauthorized || s.cfg.Login == nil {
		return r
	}
	if auth := c.req.auth; auth != nil {
		login = func() (string, error) { return s.cfg.Login.Frame(c.origin.Remote, auth) }
	}
	if login == nil {
		return r
	}
	user, err := login()
	if err != nil {
		c.denied = true
		return refusal(err)
	}
	c.origin.User = user
	return refusal(s.cfg.Gate.Authorize(&c.origin, method))
}

// refusal returns an error as a refusal. What is none is denied, too.
func refusal(err error) *access.Refusal {
	if err == nil {
		return nil
	}
	if r, is := errors.AsType[*access.Refusal](err); is {
		return r
	}
	return &access.Refusal{Code: jsonrpc.CodeDenied, Message: err.Error()}
}

// withOrigin returns the context of a handler.
func (c *Call) withOrigin(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(access.NewContext(ctx, &c.origin), c.s.cfg.Timeout)
}
