// Package jsonrpc speaks JSON-RPC 2.0 the way the hosts of a Cloud Communication
// Module do: small frames, one JSON object each, without the "jsonrpc" member.
// Both ends may call.
//
// # Parse a frame
//
// [Parse] checks a frame as strict RFC 8259 text and records where its parts
// are, in one pass and without allocating. What it returns are views into the
// frame.
//
//	var m jsonrpc.Message
//	err := jsonrpc.Parse([]byte(`{"id":1,"method":"Sum","params":[2,3]}`), &m)
//	a, ok := m.Arg(0).Int() // 2
//
// The functions named Append build frames in a slice of the caller.
//
// # Serve
//
// A [Handler] answers requests; a [Mux] finds the handler of a method, by name
// or by pattern. The same handlers run in three places: in a [Conn], which owns
// goroutines, in an [Engine], which has none, and in [Serve], which runs one
// request. Package jsonrpc/typed makes handlers of ordinary functions.
//
//	var mux jsonrpc.Mux
//	mux.HandleFunc("Sum", func(ctx context.Context, w *jsonrpc.Response, r *jsonrpc.Request) {
//		a, _ := r.Arg(0).Int()
//		b, _ := r.Arg(1).Int()
//		w.Resultf("%d", a+b)
//	})
//
// The slices of a request are valid until the handler returns. The first answer
// counts; [Response.Detach] gives it later. A handler that panics is answered
// with an internal error.
//
// # Connect
//
// A [Conn] joins a handler and a [Framer], such as framing.Conn, to one end of a
// connection. [Conn.Run] owns its goroutines; [Conn.Call] and [Conn.Notify] may
// be used from anywhere, also from handlers.
//
//	c := jsonrpc.NewConn(framing.NewConn(port, nil), &jsonrpc.ConnOptions{Handler: &mux})
//	go c.Run(ctx)
//	sum, err := c.Call(ctx, nil, "Sum", "[%d,%d]", 2, 3)
//
// # The lane
//
// Requests of one peer are handled in the order in which they arrived, one at a
// time. The next one starts when the handler before it has returned, has
// detached its answer, or waits in a call that was given the handler's ctx; so
// both ends may call each other back and forth. Handlers registered with
// In(Beside, h) run in parallel with the lane, and those with In(Immediate, h) on
// the reading goroutine, so that they answer whatever the others do. When too many
// requests wait, calls are answered [CodeBusy] and notifications are dropped.
//
// # What is not answered
//
// A Conn answers calls, and faulty frames that certainly were calls, and nothing
// else: never a response, nor an error, nor what might be the rest of one. An
// answer that no call waits for is counted and dropped. An error without an id
// means that the peer did not understand the last frame, unless it quotes our
// own error reply, as hosts of 2018 do.
//
// # Retries
//
// A Conn remembers the calls of its peer, at most 32 and each until 10 seconds
// after its reply, unless call and reply together exceed 64 KiB. The same call,
// same id and same text, is not handled twice:
// it joins the one that runs or gets the same reply again. RPC.*, Sys.* and *.Get
// only read and are not remembered. A peer that uses an id for another call
// switches this off until its next session, which begins with Sys.Init or
// [Conn.NewSession]. Towards such a peer it is safe to set ConnOptions.Retries.
//
// # Where this is not JSON-RPC 2.0
//
// The "jsonrpc" member is neither demanded nor sent. There are no batches.
// Parse errors are answered only if the id is known. Params may be of any type.
// An id of null is no id; an [Engine] echoes it, as it does ids of any type.
//
// # The two dialects of mjson
//
// An Engine plays a host built on the C library, to the byte: [NewEngine] the
// versions since 2020, [NewCCMEngine] that of 2018, which the CCM manual
// describes. It takes the lenient grammar of package jsonrpc/mjson, but runs
// nothing before a frame was found complete.
//
// # Limits
//
//	nesting                        MaxDepth, 32
//	id                             MaxID, 64 bytes
//	method that is looked up       MaxMethod, 128 bytes
//	text of an error               MaxErrorText, 256 bytes
//	calls in flight, queues ...    ConnOptions
//
// The length of a frame is the framer's concern.
//
// # Concurrency
//
// Conn and Mux are safe for concurrent use, Message, Request, Response and
// Engine are not.
//
// Sources: JSON-RPC 2.0 specification; cesanta/mjson at 696969c and 697a216.
package jsonrpc
