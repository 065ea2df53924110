package ccmtest

import (
	"context"
	"strconv"
	"time"

	"github.com/ccmkit/ccmkit/framing"
	"github.com/ccmkit/ccmkit/jsonrpc"
	"github.com/ccmkit/ccmkit/jsonrpc/mjson"
)

// callTimeout bounds a call whose ctx has no deadline.
const callTimeout = 10 * time.Second

// printer formats as the library of the generation does.
func (m *MCU) printer() mjson.Printer {
	return mjson.Printer{EscapeSlash: m.o.Generation.escapesSlash()}
}

// Print sends text as it is: a frame to the byte, a log line, half a frame. It
// waits until the firmware listens and the text is queued; the one error is that
// of ctx.
func (m *MCU) Print(ctx context.Context, text string) error {
	l, err := m.ready(ctx)
	if err != nil {
		return err
	}
	if !m.push(ctx, l, []byte(text)) && ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

// Notify sends a notification and a line end. The params are formatted by the
// verbs of mjson.Appendf; an empty format sends none. It returns when the frame
// is queued; errors are that of ctx and a *mjson.FormatError.
func (m *MCU) Notify(ctx context.Context, method, format string, args ...any) error {
	l, err := m.ready(ctx)
	if err != nil {
		return err
	}
	if l.host != nil {
		return l.host.Notify(ctx, method, format, args...)
	}
	frame, err := m.request(nil, nil, method, format, args)
	if err != nil {
		return err
	}
	return m.Print(ctx, string(frame))
}

// request appends a request and LF; without an id it is a notification.
func (m *MCU) request(dst, id []byte, method, format string, args []any) ([]byte, error) {
	p := m.printer()
	dst = append(dst, '{')
	if id != nil {
		dst = append(append(append(dst, `"id":`...), id...), ',')
	}
	dst, _ = p.Appendf(dst, "%Q:%Q", "method", method)
	if format != "" {
		dst = append(dst, `,"params":`...)
		var err error
		if dst, err = p.Appendf(dst, format, args...); err != nil {
			return nil, err
		}
	}
	return append(dst, "}\n"...), nil
}

// response is the answer to a call of a stock host.
type response struct {
	result []byte
	err    error
}

// Call calls a method of the module and returns the JSON text of its result, or
// an *jsonrpc.Error. It waits for at most 10 s if ctx has no deadline, which
// gives jsonrpc.ErrTimeout.
//
// On a stock host the id counts from 1, nothing is sent again, and a handler
// cannot wait for an answer, because nothing is received meanwhile. Before
// Gen2020 an answer with an error is not known for one: the host complains about
// it, and the call times out.
func (m *MCU) Call(ctx context.Context, method, format string, args ...any) ([]byte, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, callTimeout, jsonrpc.ErrTimeout)
		defer cancel()
	}
	l, err := m.ready(ctx)
	if err != nil {
		return nil, err
	}
	if l.host != nil {
		return l.host.Call(ctx, nil, method, format, args...)
	}
	answer := make(chan response, 1)
	m.mu.Lock()
	m.lastID++
	id := m.lastID
	m.calls[id] = answer
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.calls, id)
		m.mu.Unlock()
	}()
	frame, err := m.request(nil, strconv.AppendUint(nil, id, 10), method, format, args)
	if err != nil {
		return nil, err
	}
	m.push(ctx, l, frame)
	select {
	case r := <-answer:
		return r.result, r.err
	case <-l.ctx.Done():
		return nil, jsonrpc.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// response is the response callback of a stock host.
func (m *MCU) response(frame []byte) {
	m.count(func(s *MCUStats) { s.Responses++ })
	m.log.response(string(frame))
	id, ok := mjson.Find(frame, "$.id").Int()
	if !ok || id < 0 {
		return
	}
	m.mu.Lock()
	answer := m.calls[uint64(id)]
	delete(m.calls, uint64(id))
	m.mu.Unlock()
	if answer == nil {
		return
	}
	var r response
	var msg jsonrpc.Message
	frame, _ = framing.CutCRC(frame) // which the library does not see
	if r.err = jsonrpc.Parse(frame, &msg); r.err == nil {
		r.result, r.err = append([]byte(nil), msg.Result()...), msg.Err()
	}
	if r.err != nil {
		r.result = nil
	}
	answer <- r
}
