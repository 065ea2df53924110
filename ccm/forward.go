package ccm

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/ccmkit/ccmkit/jsonrpc"
)

// hostMethod finds the host that a method is of: NAME/Method, host/Method, or
// Method for the host without a name.
func (m *Module) hostMethod(method string) (*Host, string) {
	if name, rest, cut := strings.Cut(method, "/"); cut && name != "" && rest != "" {
		if name == "host" {
			name = ""
		}
		if h := m.Host(name); h != nil {
			return h, rest
		}
	}
	if method == "" {
		return nil, ""
	}
	return m.Host(""), method
}

// inTurn returns a handler by which the host answers. Requests are sent to it in
// the order of the calls of inTurn. The handler must run once.
func (h *Host) inTurn(method string) jsonrpc.Handler {
	turn := make(chan struct{})
	h.mu.Lock()
	before := h.turn
	h.turn = turn
	h.mu.Unlock()
	return jsonrpc.HandlerFunc(func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		pass := sync.OnceFunc(func() { close(turn) })
		defer pass()
		if before != nil {
			select {
			case <-before:
			case <-ctx.Done():
			}
		}
		h.forward(ctx, method, w, r, pass)
	})
}

// forward has the host answer. Its codes pass unchanged. pass is called when the
// next request may be sent to the host, unless forward returns before.
func (h *Host) forward(ctx context.Context, method string, w *jsonrpc.Response, r *jsonrpc.Request, pass func()) {
	params, err := hostText(r.Params())
	if err != nil {
		h.m.complain("call not passed to the host", h.cfg.Name, "method", clip(method), "err", err)
		w.Error(jsonrpc.ManagementCode(jsonrpc.CodeInvalidParams), err.Error())
		return
	}
	format, args := "", []any(nil)
	if params != nil {
		format, args = "%s", []any{params}
	}
	if r.IsNotification() {
		if err := h.Notify(ctx, method, format, args...); err != nil {
			h.m.complain("notification for the host not delivered", h.cfg.Name, "method", clip(method), "err", err)
		}
		return
	}
	result, err := h.call(ctx, nil, pass, method, format, args...)
	if err == nil {
		w.Result(result)
		return
	}
	e := callError(err)
	w.ErrorData(e.Code, e.Message, e.Data)
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
