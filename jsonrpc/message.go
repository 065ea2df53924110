package jsonrpc

import (
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Kind tells what a message is.
type Kind uint8

// The kinds of messages.
const (
	KindInvalid      Kind = iota
	KindCall              // method and id: a reply is expected
	KindNotification      // method without id: never answered
	KindResult            // result: the answer to a call
	KindError             // error: the answer to a call, or a complaint when it has no id
)

// String returns "call", "notification" and so on.
func (k Kind) String() string {
	switch k {
	case KindCall:
		return "call"
	case KindNotification:
		return "notification"
	case KindResult:
		return "result"
	case KindError:
		return "error"
	}
	return "invalid"
}

// Limits of a message; see [Parse].
const (
	MaxID     = 64  // bytes of an id, as it stands in the frame
	MaxMethod = 128 // bytes of a decoded method name that is looked up
)

// span is a part of a frame. The zero span is an absent part, because no value
// of a message can end at offset 0.
type span struct{ off, end uint32 }

func (s span) exists() bool { return s.end != 0 }

// Message is one parsed frame: a set of views into it, recorded in one pass.
// All slices it returns are read-only parts of the frame and valid as long as
// the frame is. The zero Message is ready for [Parse]; one Message can be
// parsed into again and again and then allocates nothing. It must not be
// copied while in use, and is not safe for concurrent use.
type Message struct {
	Request
	kind  Kind
	reply Response // for Serve
}

// Kind tells what the message is.
func (m *Message) Kind() Kind { return m.kind }

// Result returns the JSON text of the result, or nil.
func (m *Message) Result() []byte { return m.part(resultMember) }

// ErrorValue returns the JSON text of the error member, or nil. Peers send all
// sorts of values there; [Message.Err] reads it.
func (m *Message) ErrorValue() []byte { return m.part(errorMember) }

// Err returns the error member as an *Error, or nil if there is none or its code
// is 0, which some Mongoose OS services send for success. Text that is not an
// error object becomes the message of a CodeInternalError. The *Error holds
// copies and outlives the frame.
func (m *Message) Err() error {
	if m.kind != KindError {
		return nil
	}
	raw := m.ErrorValue()
	if raw[0] != '{' {
		e := &Error{Code: CodeInternalError, Message: string(raw)}
		if s, is := (mjson.Value{Raw: raw}).Text(); is {
			e.Message = s
		}
		return e
	}
	deep := mjson.Scanner{MaxDepth: MaxDepth}
	code, isInt := deep.Find(raw, "$.code").Int()
	if !isInt {
		code = CodeInternalError
	}
	if code == 0 {
		return nil
	}
	e := &Error{Code: int(code)}
	e.Message, _ = deep.Find(raw, "$.message").Text()
	if data := deep.Find(raw, "$.data"); data.Exists() {
		e.Data = append([]byte(nil), data.Raw...)
	}
	return e
}

// reset forgets what was parsed and keeps the buffers.
func (m *Message) reset(frame []byte) {
	m.Request.reset(frame)
	m.kind = KindInvalid
}

// answerable reports whether a faulty message can be answered with an error:
// when it certainly was a request and its id is known. A response must never
// be answered, and what is left of a damaged one might look like anything.
func (m *Message) answerable() bool {
	id := m.part(idMember)
	return id != nil && id[0] != 'n' && m.has(methodMember) && !m.has(resultMember) && !m.has(errorMember)
}
