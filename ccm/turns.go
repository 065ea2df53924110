package ccm

import (
	"context"
	"sync"

	"github.com/ccmkit/ccmkit/jsonrpc"
)

// turns lets handlers begin in the order in which their calls came, though each runs
// on a goroutine of its own. The zero turns is ready for use.
type turns struct {
	mu   sync.Mutex
	last chan struct{} // closed when the next one may begin; nil: at once
}

// handler returns a handler that runs f when the calls of handler before it have
// passed. f passes by calling pass, or by returning. If the ctx of the handler ends,
// f runs at once. The handler must run once.
func (q *turns) handler(f func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request, pass func())) jsonrpc.Handler {
	turn := make(chan struct{})
	q.mu.Lock()
	before := q.last
	q.last = turn
	q.mu.Unlock()
	return jsonrpc.HandlerFunc(func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
		pass := sync.OnceFunc(func() { close(turn) })
		defer pass()
		if before != nil {
			select {
			case <-before:
			case <-ctx.Done():
			}
		}
		f(ctx, w, r, pass)
	})
}
