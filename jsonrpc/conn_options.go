package jsonrpc

import "time"

// ConnOptions configures a [Conn]. The zero value, like a nil pointer, has the
// defaults.
type ConnOptions struct {
	// Handler serves the requests of the peer; nil answers every call with
	// CodeMethodNotFound. If it is a Scheduler, as a Mux is, it chooses the
	// lane of each method.
	Handler Handler
	// MaxInFlight bounds the calls that wait for an answer; one more fails
	// the oldest with ErrBusy. Default 25.
	MaxInFlight int
	// CallTimeout bounds a call whose ctx has no deadline, and the wait for
	// room in the queue of outgoing frames. Default 10 s.
	CallTimeout time.Duration
	// Retries is how often a call is sent again, under the same id, when no
	// answer came for RetryAfter (default 1 s). Default 0. Use it towards
	// peers that remember their replies, as a Conn does: their handler still
	// runs once. A call then waits until it is less than 32 ids ahead of the
	// oldest one, because the peer remembers no more.
	Retries    int
	RetryAfter time.Duration
	// QueueLen bounds the requests that wait for the lane; further calls are
	// answered CodeBusy and further notifications dropped. Default 64.
	QueueLen int
	// MaxBeside bounds the handlers that run beside the lane. Default 4.
	MaxBeside int
	// MaxHandlers bounds the handlers of the lane that run or wait in a call,
	// and, apart from them, the answers that are detached; further requests
	// are answered CodeBusy. Default 32.
	MaxHandlers int
	// WriteQueue bounds the frames that wait to be written. Default 64.
	WriteQueue int
	// NoReplyCache turns off the memory for replies to retried requests.
	NoReplyCache bool
	// Codes, if set, translates the error codes of handlers; see
	// ManagementCode.
	Codes func(code int) int
	// FirstID is the id of the first call, below 2^52. 0 takes a random one,
	// so that a late reply to an earlier connection does not fit.
	FirstID uint64
	// Observer, if set, is told what happens on the connection. It is called
	// from the reading and the writing goroutine, from handlers and from the
	// callers of Call and Notify, at the same time: it must be safe for
	// concurrent use, must not block, and must neither keep nor change the
	// frame.
	Observer func(Event)
}

// resolved returns the options with their defaults filled in.
func (o *ConnOptions) resolved() ConnOptions {
	var r ConnOptions
	if o != nil {
		r = *o
	}
	if r.Handler == nil {
		r.Handler = &Mux{}
	}
	or := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	or(&r.MaxInFlight, 25)
	or(&r.QueueLen, 64)
	or(&r.MaxBeside, 4)
	or(&r.MaxHandlers, 32)
	or(&r.WriteQueue, 64)
	if r.CallTimeout <= 0 {
		r.CallTimeout = 10 * time.Second
	}
	if r.RetryAfter <= 0 {
		r.RetryAfter = time.Second
	}
	return r
}
