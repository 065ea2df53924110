package host

import (
	"context"

	"github.com/ccmkit/ccmkit/jsonrpc"
)

// Stats returns the counters of the current connection; they start anew with
// every Run, and are zero while the host is not attached.
func (h *Host) Stats() jsonrpc.Stats {
	if c := h.conn.Load(); c != nil {
		return c.Stats()
	}
	return jsonrpc.Stats{}
}

// Call calls a method of the module, or of the cloud through it, and appends
// the JSON text of the result to dst; see [jsonrpc.Conn.Call]. It fails with
// [ErrNotAttached] at once while no [Host.Run] is running; [Host.Attached]
// waits for one.
func (h *Host) Call(ctx context.Context, dst []byte, method, format string, args ...any) ([]byte, error) {
	c := h.conn.Load()
	if c == nil {
		return dst, ErrNotAttached
	}
	return c.Call(ctx, dst, method, format, args...)
}

// Notify sends a notification to the module; see [jsonrpc.Conn.Notify]. It fails
// with [ErrNotAttached] as [Host.Call] does.
func (h *Host) Notify(ctx context.Context, method, format string, args ...any) error {
	c := h.conn.Load()
	if c == nil {
		return ErrNotAttached
	}
	return c.Notify(ctx, method, format, args...)
}
