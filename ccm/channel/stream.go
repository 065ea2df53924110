package channel

import (
	"context"
	"sync"

	"github.com/ccmkit/ccmkit/ccm/access"
)

// maxRefusals is how many refusals of a channel may wait to be written; when
// there are more, nothing is read until the peer has taken some of them.
const maxRefusals = 8

// stream serves the frames of a channel that stays open. One goroutine calls its
// methods.
type stream struct {
	s     *Service
	o     *access.Origin
	conn  *conn                    // nil if it is not in the pool
	write func(reply []byte) error // safe for concurrent use, ends with the channel

	refused chan *Call
	wg      sync.WaitGroup
}

func (t *stream) init(s *Service, o *access.Origin, c *conn, write func([]byte) error) {
	t.s, t.o, t.conn, t.write = s, o, c, write
	t.refused = make(chan *Call, maxRefusals)
}

// start starts the goroutine that writes refusals. The reader must not do it: a
// peer may hold it off until it has been read from.
func (t *stream) start(ctx context.Context) {
	t.wg.Go(func() {
		for c := range t.refused {
			c.Serve(ctx, t.write)
		}
	})
}

// take serves a frame. ctx is that of the handlers.
func (t *stream) take(ctx context.Context, frame []byte) {
	t.conn.touch()
	c := t.s.Accept(t.o, frame)
	switch {
	case c == nil:
	case c.Ready():
		t.refused <- c
	default:
		c.keepBusy(t.conn)
		t.wg.Go(func() { c.Serve(ctx, t.write) })
	}
}

// end waits until all calls are served. The ctx of take must have ended.
func (t *stream) end() {
	close(t.refused)
	t.wg.Wait()
}
