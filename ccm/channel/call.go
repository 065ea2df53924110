package channel

import (
	"bytes"
	"context"
	"errors"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Call is a request that was accepted: let through, so that it will be handled,
// or refused, so that only the refusal is to be written. Serve must be called
// once, from any goroutine; the rest is for one goroutine at a time.
type Call struct {
	s       *Service
	key     any // the channel
	origin  access.Origin
	req     request
	bare    bool            // the reply is without envelope
	handler jsonrpc.Handler // nil: refused
	codes   func(code int) int
	code    int    // of the error that is the reply, 0 for none
	text    string // its message, if refused
	denied  bool   // there were credentials, and they were wrong
	due     bool   // a reply is on its way
	turn    *turn  // nil: it runs beside the others
	conn    *conn  // that the handler keeps busy, nil if it is not in the pool
}

// expect counts the reply as on its way.
func (c *Call) expect() {
	c.due = true
	c.s.places.replyDue()
}

// id returns the id of the frame. Bare calls have one too, even those that could
// not be read.
func (c *Call) id() []byte {
	if c.bare {
		return []byte{'0'}
	}
	return c.req.msg.ID()
}

// keepBusy makes a connection one at work, until the handler has returned.
func (c *Call) keepBusy(n *conn) {
	if n != nil && c.handler != nil {
		c.conn = n
		n.begin()
	}
}

// refuse makes an error the reply.
func (c *Call) refuse(code int, text string) { c.code, c.text = code, text }

// Method returns the name of the method.
func (c *Call) Method() string { return string(c.req.msg.Method()) }

// Source returns the src of the frame, to which the reply goes, or "".
func (c *Call) Source() string { return c.req.src }

// Origin returns where the call comes from, with the user after a login.
func (c *Call) Origin() access.Origin { return c.origin }

// Notification reports whether the frame has no id, so that Serve writes
// nothing.
func (c *Call) Notification() bool { return c.req.msg.IsNotification() }

// Ready reports whether Serve will run no handler, and only write: the call was
// refused. Doors need no goroutine for that.
func (c *Call) Ready() bool { return c.handler == nil }

// Code returns the code of the error that the reply is, 0 if it is a result. It
// is known when the call is Ready, and after Serve.
func (c *Call) Code() int { return c.code }

// Serve runs the handler and writes the reply, in a single call of write, unless
// the call is a notification. Until write has returned the reply counts as on
// its way; see [Service.Quiet]. When write returns an error that is ErrTooLong,
// it is called again with an error in the place of the reply.
//
// ctx is that of the handler, with access.FromContext and a limit of
// Config.Timeout. Serve returns the error of write.
func (c *Call) Serve(ctx context.Context, write func(reply []byte) error) error {
	defer c.end()
	reply := c.run(ctx)
	if c.conn != nil {
		// Peers that take no replies must not keep others out. They are few,
		// and their own places stay taken.
		c.s.places.giveTotal()
		c.conn.end()
	}
	if len(reply) == 0 {
		return nil
	}
	err := write(reply)
	if errors.Is(err, ErrTooLong) {
		c.refuse(jsonrpc.CodeTooLarge, "the reply is too long")
		err = write(c.refusal())
	}
	if err != nil {
		c.s.stats.unsent.Add(1)
		c.s.log.Debug("reply not sent", "channel", c.origin.Channel, "remote", c.origin.Remote, "err", err)
	}
	return err
}

// end gives back what the call holds.
func (c *Call) end() {
	if c.handler != nil {
		c.s.places.giveEach(c.key)
		if c.conn == nil {
			c.s.places.giveTotal()
		}
	}
	if c.due {
		c.s.places.replyDone()
	}
}

// run returns the reply, or nothing for a notification.
func (c *Call) run(ctx context.Context) []byte {
	if c.handler == nil {
		return c.refusal()
	}
	if c.turn != nil {
		defer close(c.turn.over)
	}
	ctx, cancel := c.withOrigin(ctx)
	defer cancel()
	answer := jsonrpc.ServeCodes(ctx, nil, &c.req.msg, jsonrpc.HandlerFunc(c.serve), c.codes)
	if len(answer) == 0 {
		return nil
	}
	// A handler's JSON may stand on several lines; a frame must not.
	if bytes.ContainsAny(answer, "\r\n") {
		answer = bytes.ReplaceAll(bytes.ReplaceAll(answer, []byte{'\r'}, nil), []byte{'\n'}, nil)
	}
	if c.isError(answer) {
		c.code = int(mjson.GetInt(answer[c.head()+len(errorHead):], "$.code", 0))
	}
	return c.wrap(answer)
}

// serve runs the handler, and logs it if it panics.
func (c *Call) serve(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
	defer func() {
		if p := recover(); p != nil {
			c.s.stats.panics.Add(1)
			c.s.log.Error("handler panicked", "channel", c.origin.Channel, "method", string(r.Method()), "err", p)
			panic(p)
		}
	}()
	if c.turn != nil && c.turn.wait(ctx) != nil {
		w.Fail(jsonrpc.ErrTimeout)
		return
	}
	c.handler.ServeRPC(ctx, w, r)
}

// refusal returns the reply of a call that was refused.
func (c *Call) refusal() []byte {
	text := c.text
	if l := c.s.cfg.Login; c.code == jsonrpc.CodeUnauthorized && l != nil {
		text = l.FrameChallengeFor(c.origin.Remote)
	}
	return c.wrap(jsonrpc.AppendError(nil, c.id(), c.code, text, nil))
}

const (
	idHead     = `{"id":`
	resultHead = `,"result":`
	errorHead  = `,"error":`
)

// head returns how long the beginning of an answer is, up to the id.
func (c *Call) head() int { return len(idHead) + len(c.id()) }

// isError reports whether an answer is an error.
func (c *Call) isError(answer []byte) bool {
	return bytes.HasPrefix(answer[c.head():], []byte(errorHead))
}

// wrap turns an answer, which has an id and a result or an error, into the
// reply.
func (c *Call) wrap(answer []byte) []byte {
	head := c.head()
	if c.bare {
		if c.isError(answer) {
			return answer[head+len(errorHead) : len(answer)-1]
		}
		return answer[head+len(resultHead) : len(answer)-1]
	}
	id := c.s.id()
	out := make([]byte, 0, len(answer)+len(id)+len(c.req.src)+len(c.req.tag)+32)
	out = append(out, answer[:head]...)
	if id != "" {
		out = mjson.AppendQuote(append(out, `,"src":`...), id)
	}
	if c.req.src != "" {
		out = mjson.AppendQuote(append(out, `,"dst":`...), c.req.src)
	}
	if c.req.tag != nil {
		out = append(append(out, `,"tag":`...), c.req.tag...)
	}
	return append(out, answer[head:]...)
}
