package bench

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/creachadair/jrpc2"
	"github.com/creachadair/jrpc2/channel"
	"github.com/creachadair/jrpc2/handler"
	sgrpc "github.com/sourcegraph/jsonrpc2"
	xrpc "golang.org/x/exp/jsonrpc2"
)

// The other JSON-RPC libraries run their own server. All three get the raw bytes
// of the request and give the raw bytes of the reply, whole messages over Go
// channels, which is the cheapest connection their public interfaces allow: no
// client, no framing, no copying. One request is in flight, and the connection
// is used for all of them.

var errMethod = errors.New("method not found")

// jrpc2Server is the contender "jrpc2": its server behind its own in-memory
// channel, without built-in methods and without parallel handlers.
type jrpc2Server struct {
	ch channel.Channel
}

func newJRPC2(tb testing.TB) *jrpc2Server {
	near, far := channel.Direct()
	srv := jrpc2.NewServer(handler.Map{"Sum": jrpc2Sum}, &jrpc2.ServerOptions{
		DisableBuiltin: true,
		Concurrency:    1,
	}).Start(far)
	tb.Cleanup(func() {
		near.Close()
		srv.Wait()
	})
	return &jrpc2Server{near}
}

// jrpc2Sum is a plain handler: cheaper than one made by handler.New, which goes
// through reflection.
func jrpc2Sum(_ context.Context, r *jrpc2.Request) (any, error) {
	var args []int
	if err := r.UnmarshalParams(&args); err != nil {
		return nil, err
	}
	return args[0] + args[1], nil
}

func (s *jrpc2Server) serve(dst, frame []byte) []byte {
	if s.ch.Send(frame) != nil {
		return dst
	}
	out, err := s.ch.Recv()
	if err != nil {
		return dst
	}
	return append(dst, out...)
}

// link carries whole messages to and from a library that has no in-memory
// channel of its own but takes one from its user.
type link struct {
	in, out chan []byte
	done    chan struct{}
}

func newLink(tb testing.TB) *link {
	l := &link{make(chan []byte), make(chan []byte), make(chan struct{})}
	tb.Cleanup(func() { close(l.in); <-l.done })
	return l
}

func (l *link) serve(dst, frame []byte) []byte {
	l.in <- frame
	return append(dst, <-l.out...)
}

// newXExp makes the contender "xexp", a connection of golang.org/x/exp/jsonrpc2.
// Its server side is made by Dial as well as by Serve; the framer is the seam.
func newXExp(tb testing.TB) *link {
	l := newLink(tb)
	sum := func(_ context.Context, r *xrpc.Request) (any, error) {
		if r.Method != "Sum" {
			return nil, errMethod
		}
		var args []int
		if err := json.Unmarshal(r.Params, &args); err != nil {
			return nil, err
		}
		return args[0] + args[1], nil
	}
	conn, err := xrpc.Dial(context.Background(), xrpcEnd{l}, xrpc.ConnectionOptions{
		Framer:  xrpcEnd{l},
		Handler: xrpc.HandlerFunc(sum),
	})
	if err != nil {
		tb.Fatal(err)
	}
	go func() {
		conn.Wait()
		close(l.done)
	}()
	return l
}

// xrpcEnd is the library's end of a link: dialer, stream, framer, reader and
// writer in one.
type xrpcEnd struct{ l *link }

func (e xrpcEnd) Dial(context.Context) (io.ReadWriteCloser, error) { return e, nil }
func (e xrpcEnd) Reader(io.Reader) xrpc.Reader                     { return xrpcReader(e) }
func (e xrpcEnd) Writer(io.Writer) xrpc.Writer                     { return xrpcWriter(e) }
func (e xrpcEnd) Read([]byte) (int, error)                         { return 0, io.EOF }
func (e xrpcEnd) Write([]byte) (int, error)                        { return 0, io.ErrClosedPipe }
func (e xrpcEnd) Close() error                                     { return nil }

type xrpcReader struct{ l *link }

func (r xrpcReader) Read(context.Context) (xrpc.Message, int64, error) {
	frame, open := <-r.l.in
	if !open {
		return nil, 0, io.EOF
	}
	msg, err := xrpc.DecodeMessage(frame)
	return msg, int64(len(frame)), err
}

type xrpcWriter struct{ l *link }

func (w xrpcWriter) Write(_ context.Context, msg xrpc.Message) (int64, error) {
	frame, err := xrpc.EncodeMessage(msg)
	if err != nil {
		return 0, err
	}
	w.l.out <- frame
	return int64(len(frame)), nil
}

// newSourcegraph makes the contender "sourcegraph", a connection of
// github.com/sourcegraph/jsonrpc2 over an object stream of ours.
func newSourcegraph(tb testing.TB) *link {
	l := newLink(tb)
	sum := func(_ context.Context, _ *sgrpc.Conn, r *sgrpc.Request) (any, error) {
		if r.Method != "Sum" || r.Params == nil {
			return nil, errMethod
		}
		var args []int
		if err := json.Unmarshal(*r.Params, &args); err != nil {
			return nil, err
		}
		return args[0] + args[1], nil
	}
	conn := sgrpc.NewConn(context.Background(), sgrpcStream{l}, sgrpc.HandlerWithError(sum))
	go func() {
		<-conn.DisconnectNotify()
		close(l.done)
	}()
	return l
}

type sgrpcStream struct{ l *link }

func (s sgrpcStream) ReadObject(v any) error {
	frame, open := <-s.l.in
	if !open {
		return io.EOF
	}
	return json.Unmarshal(frame, v)
}

func (s sgrpcStream) WriteObject(v any) error {
	frame, err := json.Marshal(v)
	if err != nil {
		return err
	}
	s.l.out <- frame
	return nil
}

func (s sgrpcStream) Close() error { return nil }
