package jsonrpc

import (
	"strings"
	"unicode/utf8"

	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// Response takes the answer of a handler. The first answer wins; later ones,
// and answers to notifications, are dropped. When a handler answers nothing, a
// [Conn] sends null and an [Engine] sends nothing. The answer is sent when the
// handler has returned. A Response is not safe for concurrent use.
type Response struct {
	buf      []byte // the answer is appended here
	id       []byte // empty for a notification
	answered bool
	newline  bool          // an Engine ends its frames with LF
	codes    func(int) int // translates error codes; nil: unchanged
	printer  mjson.Printer

	conn     *Conn    // nil on an Engine
	slot     cacheRef // remembers the answer for a retry
	session  uint32   // of the peer, in which the request came
	failed   bool     // the answer is an error
	detached bool     // made by Detach: sent as soon as it is answered
	away     bool     // Detach was called: the answer comes from elsewhere
}

// reset prepares w for a request; the answer will be appended to buf.
func (w *Response) reset(buf, id []byte) {
	w.buf, w.id, w.slot = buf, id, cacheRef{}
	w.answered, w.failed, w.away = false, false, false
}

// open reports whether an answer may be written, and takes the right to.
func (w *Response) open() bool {
	if w.answered {
		return false
	}
	w.answered = true
	return len(w.id) > 0
}

// Pending reports whether an answer is still awaited: the request was a call,
// and nothing has answered it.
func (w *Response) Pending() bool { return !w.answered && len(w.id) > 0 }

// close ends the frame that was written.
func (w *Response) close() {
	if w.newline {
		w.buf = append(w.buf, '\n')
	}
	if w.detached {
		w.conn.undetach(w)
	}
}

// Result answers with raw, which must be JSON text. Nothing is checked or kept.
// Empty text stands for null.
func (w *Response) Result(raw []byte) {
	if w.open() {
		w.buf = AppendResult(w.buf, w.id, raw)
		w.close()
	}
}

// Resultf answers with text formatted by the verbs of [mjson.Appendf], such as
// %d, %g, %B, %Q and %s. The text must be JSON; if it comes out empty the
// answer is null. If the arguments do not fit the format, the answer is an
// internal error that says so.
func (w *Response) Resultf(format string, args ...any) {
	if !w.open() {
		return
	}
	start := len(w.buf)
	w.buf = appendResultHead(w.buf, w.id)
	head := len(w.buf)
	var err error
	if w.buf, err = w.printer.Appendf(w.buf, format, args...); err != nil {
		w.buf = w.buf[:start]
		w.writeError(CodeInternalError, err.Error(), nil)
		return
	}
	if len(w.buf) == head {
		w.buf = append(w.buf, `null`...)
	}
	w.buf = append(w.buf, '}')
	w.close()
}

// Error answers with an error. The message is plain text, cut to [MaxErrorText]
// bytes unless it is sent by an Engine.
func (w *Response) Error(code int, message string) {
	if w.open() {
		w.writeError(code, message, nil)
	}
}

// ErrorData answers with an error that carries data, which must be JSON text.
func (w *Response) ErrorData(code int, message string, data []byte) {
	if w.open() {
		w.writeError(code, message, data)
	}
}

// ErrorRaw answers with an error whose message is JSON text of any type, as
// hosts built on the C library of 2018 could send it. Empty text stands for "".
func (w *Response) ErrorRaw(code int, message []byte) {
	if !w.open() {
		return
	}
	w.failed = true
	w.buf = appendErrorHead(w.buf, w.id, w.code(code))
	if len(message) == 0 {
		message = []byte(`""`)
	}
	w.buf = appendErrorTail(append(w.buf, message...), nil)
	w.close()
}

// Fail answers with a Go error: an [*Error] as it is, a passed deadline as
// CodeTimeout, anything else as CodeInternalError with its text, cut to
// [MaxErrorText] bytes. A nil error answers null.
func (w *Response) Fail(err error) {
	if err == nil {
		w.Result(nil)
		return
	}
	if w.open() {
		w.writeError(errorParts(err))
	}
}

// Detach lets the answer be given after the handler has returned, from any one
// goroutine, which does not wait for the peer: it returns a Response of its own
// that is sent as soon as it is answered. w takes no more answers. A detached answer holds no place in the
// connection's lane, but every request that needs one must get it in the end.
// On an Engine, which cannot send later, the request stays unanswered. When
// MaxHandlers answers are detached already, the call is answered CodeBusy and
// the Response returned takes no answer.
func (w *Response) Detach() *Response {
	d := &Response{
		id: append([]byte(nil), w.id...), conn: w.conn, slot: w.slot, session: w.session, detached: true,
		codes: w.codes, printer: w.printer,
	}
	switch {
	case !w.open() || w.conn == nil:
		d.answered = true
	case !w.conn.detach():
		w.conn.cache.drop(w.slot)
		w.slot = cacheRef{}
		w.conn.stats.busy.Add(1)
		w.answered, d.answered = false, true
		w.Fail(ErrBusy)
	default:
		w.away = true
	}
	return d
}

// writeError appends an error frame.
func (w *Response) writeError(code int, message string, data []byte) {
	w.failed = true
	w.buf = appendErrorHead(w.buf, w.id, w.code(code))
	if !w.newline {
		if message = cut(message); !utf8.ValidString(message) {
			// Texts of Go errors may quote any bytes; a strict peer would drop
			// the answer and wait on.
			message = strings.ToValidUTF8(message, "\ufffd")
		}
	}
	if w.printer.EscapeSlash {
		w.buf, _ = w.printer.Appendf(w.buf, "%Q", message)
	} else {
		w.buf = mjson.AppendQuote(w.buf, message)
	}
	w.buf = appendErrorTail(w.buf, data)
	w.close()
}

// code translates a code into the dialect of the door.
func (w *Response) code(code int) int {
	if w.codes == nil {
		return code
	}
	return w.codes(code)
}

// panicked replaces whatever the handler wrote from offset start on by an
// internal error.
func (w *Response) panicked(start int, r *Request, value any) {
	if w.conn != nil {
		w.conn.panicked(r, value)
	}
	if w.away {
		return
	}
	w.buf, w.answered = w.buf[:start], false
	w.Error(CodeInternalError, "the handler of the method did not return")
}
