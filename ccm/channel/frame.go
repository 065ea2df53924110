package channel

import (
	"bytes"
	"errors"

	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Frame is a frame with what its door knows beside it.
type Frame struct {
	// Text is the JSON text, which is copied.
	Text []byte

	// Method, if not empty, is the method of a frame that has none, as over
	// MQTT on the topic ID/rpc/METHOD. The text may be empty then.
	Method string

	// Source, if set, judges the src of a call before anything is done for it:
	// whether the reply can be sent there. Notifications are not asked about.
	Source func(src string) error
}

// Errors of [Service.Take]: why a frame is dropped.
var (
	ErrNotForUs   = errors.New("channel: dst is another device")
	ErrResponse   = errors.New("channel: a response that nobody waits for")
	ErrTooLong    = errors.New("channel: frame too long")
	ErrBadMember  = errors.New("channel: a member of the frame is of the wrong type or there twice")
	ErrUnanswered = errors.New("channel: a notification was refused")
)

// envelope is what stands in a frame beside the message.
type envelope struct {
	src, dst string
	tag      []byte // JSON text
	auth     []byte // JSON text
	args     []byte // JSON text, with the key before it
	argsKey  int    // offset of the key in the frame
}

// envelopeMembers are the members that must not stand twice.
const envelopeMembers = 5

// read takes the members out of a frame that was parsed.
func (e *envelope) read(frame []byte) error {
	var seen [envelopeMembers]bool
	for name, v := range (mjson.Scanner{MaxDepth: jsonrpc.MaxDepth}).Children(frame) {
		which, good := -1, true
		key, _ := name.AppendString(make([]byte, 0, 16))
		switch string(key) {
		case "src":
			which = 0
			e.src, good = v.Text()
		case "dst":
			which = 1
			e.dst, good = v.Text()
		case "tag":
			which, e.tag = 2, v.Raw
			good = v.Raw[0] == '"'
		case "auth":
			which, e.auth = 3, v.Raw
			good = v.Raw[0] == '{'
		case "args":
			which, e.args, e.argsKey = 4, v.Raw, name.Offset
		}
		if which < 0 {
			continue
		}
		if !good || seen[which] {
			return ErrBadMember
		}
		seen[which] = true
	}
	return nil
}

// request is a frame that was read, in memory of its own.
type request struct {
	envelope
	msg jsonrpc.Message
}

// parse reads a frame.
func (q *request) parse(f *Frame) error {
	text := bytes.TrimSpace(f.Text)
	if f.Method != "" {
		text = withMethod(f.Method, text)
	} else {
		text = bytes.Clone(text)
	}
	if err := jsonrpc.Parse(text, &q.msg); err != nil {
		return err
	}
	switch q.msg.Kind() {
	case jsonrpc.KindCall, jsonrpc.KindNotification:
	default:
		return ErrResponse
	}
	if err := q.envelope.read(q.msg.Frame()); err != nil {
		return err
	}
	if q.args == nil || q.msg.Params() != nil {
		return nil
	}
	// Older tools say args.
	const old, now = `"args"`, `"params"`
	at := q.argsKey
	tail := text[at+bytes.IndexByte(text[at+1:], '"')+2:]
	text = append(append(append(make([]byte, 0, len(text)+len(now)-len(old)), text[:at]...), now...), tail...)
	return jsonrpc.Parse(text, &q.msg)
}

// withMethod returns the rest of a frame with a method.
func withMethod(method string, rest []byte) []byte {
	text := mjson.AppendQuote(append(make([]byte, 0, len(rest)+len(method)+16), `{"method":`...), method)
	if len(rest) == 0 {
		return append(text, '}')
	}
	if rest[0] != '{' {
		return bytes.Clone(rest) // which is not a frame, and will be said to be none
	}
	if body := bytes.TrimLeft(rest[1:], " \t\r\n"); len(body) == 0 || body[0] != '}' {
		text = append(text, ',')
	}
	return append(text, rest[1:]...)
}
