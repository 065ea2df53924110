package channel

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/ccmkit/ccmkit/ccm/access"
)

// socket is a websocket. One frame is one message; text and binary are taken,
// text is sent (Mongoose OS, rpc-ws).
type socket struct {
	ws     *websocket.Conn
	conn   *conn // nil without Serve
	limits Limits
	stream stream

	// Of the reader.
	stop     func()    // ends the context of reads
	controls int       // pings and pongs in the second that began
	began    time.Time // then
}

// maxControls is how many pings and pongs a peer may send in a second. The library
// answers each on the spot; who sends more wants to keep us busy, and is cut off.
const maxControls = 10

// serveSocket makes a request a websocket, and serves it until it ends.
func (h *HTTP) serveSocket(w http.ResponseWriter, r *http.Request) {
	c := connOf(r.Context())
	if c.open != nil {
		c.open.Add(1)
		defer c.open.Done()
	}
	k := &socket{conn: c.pooled, limits: h.cfg.Limits}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{"clubby.cesanta.com", "json-rpc"},
		InsecureSkipVerify: true, // of the Origin, which was looked at
		OnPingReceived:     func(context.Context, []byte) bool { return k.control() },
		OnPongReceived:     func(context.Context, []byte) { k.control() },
	})
	if err != nil {
		h.s.stats.rejected.Add(1)
		return
	}
	ws.SetReadLimit(int64(h.s.cfg.MaxFrame))
	k.ws = ws
	o := &access.Origin{Role: h.cfg.Role, Channel: access.WSIn, Remote: r.RemoteAddr}
	k.stream.init(h.s, o, c.pooled, k.write)
	k.run(r.Context())
}

// run reads frames until the websocket ends or ctx does.
func (k *socket) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	k.stop = stop
	k.stream.start(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { k.watch(ctx) })
	for {
		frame, err := k.read(reading)
		if err != nil {
			if errors.Is(err, websocket.ErrMessageTooBig) {
				k.stream.s.stats.tooLong.Add(1)
			}
			break
		}
		k.stream.take(ctx, frame)
	}
	k.ws.CloseNow()
	cancel()
	k.stream.end()
	watching.Wait()
}

// read returns the next message, which must come in time once it has begun.
func (k *socket) read(ctx context.Context) ([]byte, error) {
	_, r, err := k.ws.Reader(ctx)
	if err != nil {
		return nil, err
	}
	late := time.AfterFunc(k.limits.Read, k.cut)
	defer late.Stop()
	return io.ReadAll(r)
}

// control counts a ping or a pong, and reports whether it may be answered.
func (k *socket) control() bool {
	if now := time.Now(); now.Sub(k.began) >= time.Second {
		k.began, k.controls = now, 0
	}
	if k.controls++; k.controls > maxControls {
		k.cut()
		return false
	}
	return true
}

// cut ends the connection without a word.
func (k *socket) cut() {
	if k.conn != nil {
		k.conn.Close()
		return
	}
	// The library closes the connection when the context of a read ends, but it
	// starts a goroutine for every frame that it reads until it has.
	k.stop()
}

// write sends a reply. It is safe for concurrent use.
func (k *socket) write(reply []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), k.limits.Write)
	defer cancel()
	return k.ws.Write(ctx, websocket.MessageText, reply)
}

// watch asks the peer now and then whether it is there, and says goodbye when
// ctx ends.
func (k *socket) watch(ctx context.Context) {
	t := time.NewTicker(k.limits.Idle)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if k.ping(ctx) != nil && ctx.Err() == nil {
				k.cut()
				return
			}
		case <-ctx.Done():
			late := time.AfterFunc(grace, k.cut) // the library may read for ever
			defer late.Stop()
			k.ws.Close(websocket.StatusGoingAway, "")
			return
		}
	}
}

func (k *socket) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.limits.Read)
	defer cancel()
	return k.ws.Ping(ctx)
}
