package jsonrpc

// Framer carries whole frames; framing.Conn is one. ReadFrame is called by one
// goroutine and its slice is used until the next call. WriteFrame is called by
// one goroutine, must write the frame whole and must not keep it. Close
// unblocks both. An error of either ends the [Conn], except that a frame which
// exceeds the limit of a [FrameLimiter] is only refused.
type Framer interface {
	ReadFrame() ([]byte, error)
	WriteFrame(frame []byte) error
	Close() error
}

// FrameLimiter is a Framer whose peer takes frames up to some number of bytes.
// 0 means any.
type FrameLimiter interface {
	FrameLimit() int
}

// Splitter is a Framer whose lines may hold several messages, glued by a lost
// line end. Split cuts the first one off line; rest is empty after the last.
// An error means that the line is none of that kind and must be dropped.
type Splitter interface {
	Split(line []byte) (frame, rest []byte, err error)
}
